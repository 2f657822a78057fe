"""E06 in other styles: slices, columns, strided views, a running maximum."""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view


def size(n, kernel, stride):
    return (n - kernel) // stride + 1


def loops(x, kernel, stride):
    n, c, h, w = x.shape
    out = np.empty((n, c, size(h, kernel, stride), size(w, kernel, stride)))
    for y in range(out.shape[2]):
        for z in range(out.shape[3]):
            out[:, :, y, z] = x[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel].max(axis=(2, 3))
    return out


def running_maximum(x, kernel, stride):
    oh, ow = size(x.shape[2], kernel, stride), size(x.shape[3], kernel, stride)
    out = np.full((*x.shape[:2], oh, ow), -np.inf)
    for i in range(kernel):
        for j in range(kernel):
            out = np.maximum(out, x[:, :, i : i + stride * (oh - 1) + 1 : stride, j : j + stride * (ow - 1) + 1 : stride])
    return out


def strided(x, kernel, stride):
    n, c, h, w = x.shape
    shape = (n, c, size(h, kernel, stride), size(w, kernel, stride), kernel, kernel)
    s = x.strides
    return as_strided(x, shape, (s[0], s[1], s[2] * stride, s[3] * stride, s[2], s[3])).max((-2, -1))


def views(x, kernel, stride):
    return sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride].max(axis=-1).max(axis=-1)


def loops_back(dout, x, kernel, stride):
    dx = np.zeros(x.shape)
    n, c, oh, ow = dout.shape
    for b in range(n):
        for k in range(c):
            for y in range(oh):
                for z in range(ow):
                    window = x[b, k, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
                    i, j = divmod(int(np.argmax(window)), kernel)
                    dx[b, k, y * stride + i, z * stride + j] += dout[b, k, y, z]
    return dx


def add_at(dout, x, kernel, stride):
    dx, (n, c, oh, ow) = np.zeros(x.shape), dout.shape
    windows = sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride].reshape(n, c, oh, ow, -1)
    i, j = np.divmod(windows.argmax(-1), kernel)
    b, k, y, z = np.indices(dout.shape)
    np.add.at(dx, (b, k, y * stride + i, z * stride + j), dout)
    return dx


def masks(dout, x, kernel, stride):
    out, dx = running_maximum(x, kernel, stride), np.zeros_like(x)
    left = dout.copy()
    for i in range(kernel):
        for j in range(kernel):
            at = (..., slice(i, i + stride * (dout.shape[2] - 1) + 1, stride), slice(j, j + stride * (dout.shape[3] - 1) + 1, stride))
            won = x[at] == out
            dx[at] += np.where(won, left, 0)
            left = np.where(won, 0, left)  # the first of equal pixels takes it
    return dx


def shared(dout, x, kernel, stride):
    """Equal pixels share the gradient: its sum is kept."""
    dx = np.zeros_like(x)
    for y in range(dout.shape[2]):
        for z in range(dout.shape[3]):
            at = np.s_[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
            won = x[at] == x[at].max(axis=(2, 3), keepdims=True)
            dx[at] += won * dout[:, :, y : y + 1, z : z + 1] / won.sum(axis=(2, 3), keepdims=True)
    return dx


STYLES = {"max_pool": [loops, running_maximum, strided, views], "max_pool_backward": [loops_back, add_at, masks, shared]}

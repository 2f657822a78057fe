"""E06: overlapping max pooling, as section 3.4 of the paper describes it."""

import numpy as np


def max_pool(x, kernel, stride):
    n, c, h, w = x.shape
    out = np.empty((n, c, (h - kernel) // stride + 1, (w - kernel) // stride + 1), x.dtype)
    for y in range(out.shape[2]):
        for z in range(out.shape[3]):
            window = x[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]  # of all images and channels
            out[:, :, y, z] = window.max(axis=(2, 3))
    return out


def max_pool_backward(dout, x, kernel, stride):
    dx = np.zeros_like(x)
    for n, c, y, z in np.ndindex(*dout.shape):
        top, left = y * stride, z * stride  # where the window starts on the image
        window = x[n, c, top : top + kernel, left : left + kernel]
        i, j = np.unravel_index(window.argmax(), window.shape)  # the winner, counted from the window's corner
        dx[n, c, top + i, left + j] += dout[n, c, y, z]  # it may have won in another window too: add
    return dx

# MISTAKE in max_pool_backward: window.max() without axes: the largest pixel of the window over ALL images and channels,
# so only one image and channel gets a gradient from each place. Right for N = C = 1.
# TEACHER: Your max runs over images and channels too; each image and channel has its own winner: max(axis=(2, 3),
# keepdims=True).
import numpy as np


def max_pool(x, kernel, stride):
    oh = (x.shape[2] - kernel) // stride + 1
    ow = (x.shape[3] - kernel) // stride + 1
    out = np.zeros((x.shape[0], x.shape[1], oh, ow))
    for y in range(oh):
        for z in range(ow):
            out[:, :, y, z] = x[:, :, y * stride:y * stride + kernel, z * stride:z * stride + kernel].max(axis=(2, 3))
    return out


def max_pool_backward(dout, x, kernel, stride):
    dx = np.zeros(x.shape)
    oh, ow = dout.shape[2:]
    for y in range(oh):
        for z in range(ow):
            rows, cols = slice(y * stride, y * stride + kernel), slice(z * stride, z * stride + kernel)
            window = x[:, :, rows, cols]
            won = window == window.max()
            shared = np.maximum(won.sum(axis=(2, 3), keepdims=True), 1)
            dx[:, :, rows, cols] += won / shared * dout[:, :, y, z][:, :, None, None]
    return dx

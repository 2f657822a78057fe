# MISTAKE in max_pool_backward: ties shared by mask.sum() over batch and channels as well.
# TEACHER: You divide by the winners of all images and channels; count them per window: dx is N*C times too small.
import numpy as np


def max_pool(x, kernel, stride):
    N, C, H, W = x.shape
    OH = (H - kernel) // stride + 1
    OW = (W - kernel) // stride + 1
    out = np.zeros((N, C, OH, OW))
    for y in range(OH):
        for z in range(OW):
            out[:, :, y, z] = x[:, :, y * stride:y * stride + kernel, z * stride:z * stride + kernel].max(axis=(2, 3))
    return out


def max_pool_backward(dout, x, kernel, stride):
    dx = np.zeros(x.shape)
    OH, OW = dout.shape[2:]
    for y in range(OH):
        for z in range(OW):
            rows = slice(y * stride, y * stride + kernel)
            cols = slice(z * stride, z * stride + kernel)
            window = x[:, :, rows, cols]
            mask = window == window.max(axis=(2, 3), keepdims=True)
            # equal pixels share the gradient
            dx[:, :, rows, cols] += mask * dout[:, :, y:y + 1, z:z + 1] / mask.sum()
    return dx

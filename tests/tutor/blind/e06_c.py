# MISTAKE in max_pool_backward: position of winner by divmod(.., stride), not kernel.
# TEACHER: The window is kernel wide: the flat index must be divided by kernel; right only when stride = kernel.
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
    N, C, H, W = x.shape
    OH, OW = dout.shape[2:]
    dx = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for y in range(OH):
                for z in range(OW):
                    y0, z0 = y * stride, z * stride
                    winner = np.argmax(x[n, c, y0:y0 + kernel, z0:z0 + kernel])
                    i, j = divmod(winner, stride)
                    dx[n, c, y0 + i, z0 + j] += dout[n, c, y, z]
    return dx

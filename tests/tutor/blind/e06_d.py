# MISTAKE in max_pool: OH by ceil, last window hangs over.
# TEACHER: One line too many where stride does not divide H - kernel.
import numpy as np


def max_pool(x, kernel, stride):
    N, C, H, W = x.shape
    OH = int(np.ceil((H - kernel) / stride)) + 1
    OW = int(np.ceil((W - kernel) / stride)) + 1
    out = np.empty((N, C, OH, OW))
    for y in range(OH):
        for z in range(OW):
            window = x[:, :, y * stride:y * stride + kernel, z * stride:z * stride + kernel]
            out[:, :, y, z] = window.max(axis=(2, 3))
    return out


def max_pool_backward(dout, x, kernel, stride):
    N, C, H, W = x.shape
    OH, OW = dout.shape[2:]
    dx = np.zeros(x.shape)
    for n in range(N):
        for c in range(C):
            for y in range(OH):
                for z in range(OW):
                    window = x[n, c, y * stride:y * stride + kernel, z * stride:z * stride + kernel]
                    i, j = np.unravel_index(np.argmax(window), window.shape)
                    dx[n, c, y * stride + i, z * stride + j] += dout[n, c, y, z]
    return dx

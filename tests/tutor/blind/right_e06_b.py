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
                    window = x[n, c, y * stride:y * stride + kernel, z * stride:z * stride + kernel]
                    i, j = np.unravel_index(np.argmax(window), window.shape)
                    dx[n, c, y * stride + i, z * stride + j] += dout[n, c, y, z]
    return dx

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
    n_images, channels, oh, ow = dout.shape
    for n in range(n_images):
        for c in range(channels):
            for y in range(oh):
                for z in range(ow):
                    window = x[n, c, y * stride:y * stride + kernel, z * stride:z * stride + kernel]
                    i, j = divmod(int(window.argmax()), kernel)
                    dx[n, c, y * stride + i, z * stride + j] += dout[n, c, y, z]
    return dx

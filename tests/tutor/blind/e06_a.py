# MISTAKE in max_pool: A fast way by reshape is taken wherever the kernel divides H and W, also when the stride differs
# from the kernel: the stride is ignored there.
# TEACHER: When the kernel divides the image you cut it into tiles and forget the stride; tiles are right only where
# stride == kernel.
import numpy as np


def max_pool(x, kernel, stride):
    n, c, h, w = x.shape
    if h % kernel == 0 and w % kernel == 0:
        return x.reshape(n, c, h // kernel, kernel, w // kernel, kernel).max(axis=(3, 5))
    oh = (h - kernel) // stride + 1
    ow = (w - kernel) // stride + 1
    out = np.zeros((n, c, oh, ow))
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

import numpy as np


def exchange(a, b):
    y = np.concatenate([a, b], axis=1)
    return y, y.copy()


def exchange_backward(dya, dyb, channels):
    total = dya + dyb
    return total[:, :channels].copy(), total[:, channels:].copy()


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    na = int(np.prod(a_shape)) * itemsize
    nb = int(np.prod(b_shape)) * itemsize
    if backward:
        return na, nb
    return nb, na

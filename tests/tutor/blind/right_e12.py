import math

import numpy as np


def exchange(a, b):
    return np.concatenate((a, b), axis=1), np.concatenate((a, b), axis=1)


def exchange_backward(dya, dyb, channels):
    total = dya + dyb
    return total[:, :channels].copy(), total[:, channels:].copy()


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    a, b = math.prod(a_shape) * itemsize, math.prod(b_shape) * itemsize
    return (a, b) if backward else (b, a)

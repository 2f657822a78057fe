# MISTAKE in exchange_bytes: Bytes of ONE image: the first axis of the shapes, N, is left out.
# TEACHER: You count one image; the whole batch crosses: multiply by N, the first number of the shape.
import math

import numpy as np


def exchange(a, b):
    return np.concatenate((a, b), axis=1), np.concatenate((a, b), axis=1)


def exchange_backward(dya, dyb, channels):
    total = dya + dyb
    return total[:, :channels].copy(), total[:, channels:].copy()


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    a, b = math.prod(a_shape[1:]) * itemsize, math.prod(b_shape[1:]) * itemsize
    return (a, b) if backward else (b, a)

# MISTAKE in exchange_backward: The sum is cut into two halves; channels (CA) is ignored. Right only for CA = CB.
# TEACHER: You cut in the middle, but tower a has `channels` channels, which need not be half: cut at channels.
import math

import numpy as np


def exchange(a, b):
    return np.concatenate((a, b), axis=1), np.concatenate((a, b), axis=1)


def exchange_backward(dya, dyb, channels):
    da, db = np.split(dya + dyb, 2, axis=1)
    return da.copy(), db.copy()


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    a, b = math.prod(a_shape) * itemsize, math.prod(b_shape) * itemsize
    return (a, b) if backward else (b, a)

# MISTAKE in exchange: yb = ya[:] is a view.
# TEACHER: A slice of an array is no copy, as it is of a list; yb shares ya's memory.
import numpy as np


def exchange(a, b):
    ya = np.concatenate((a, b), axis=1)
    yb = ya[:]
    return ya, yb


def exchange_backward(dya, dyb, channels):
    total = dya + dyb
    return total[:, :channels].copy(), total[:, channels:].copy()


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    na = int(np.prod(a_shape)) * itemsize
    nb = int(np.prod(b_shape)) * itemsize
    if backward:
        return na, nb
    return nb, na

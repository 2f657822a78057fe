# MISTAKE in exchange_backward: split in half, not at `channels`.
# TEACHER: You cut in the middle; cut at channels; right only if CA = CB.
import numpy as np


def exchange(a, b):
    y = np.concatenate([a, b], axis=1)
    return y, y.copy()


def exchange_backward(dya, dyb, channels):
    dy = dya + dyb
    da, db = np.array_split(dy, 2, axis=1)
    return da.copy(), db.copy()


def exchange_bytes(a_shape, b_shape, itemsize, backward):
    na = int(np.prod(a_shape)) * itemsize
    nb = int(np.prod(b_shape)) * itemsize
    if backward:
        return na, nb
    return nb, na

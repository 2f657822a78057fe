# MISTAKE in dropout: exactly int(p*size) numbers dropped.
# TEACHER: The count dropped is always the same; each must be drawn by itself (for 1 number, p=0.5 nothing is ever
# dropped).
import numpy as np


def dropout(x, p, rng, train):
    mask = np.ones(x.size)
    if not train:
        return np.array(x), mask.reshape(x.shape)
    drop = rng.choice(x.size, size=int(p * x.size), replace=False)
    mask[drop] = 0
    mask = mask.reshape(x.shape)
    return x * mask / (1.0 - p), mask


def dropout_backward(dout, mask, p):
    return dout * mask / (1 - p)

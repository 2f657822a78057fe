# MISTAKE in dropout: Exactly int(p * size) numbers are dropped, places drawn by a permutation: the draws are not
# independent, and for small arrays the share is too low (p = 0.1 of 6 numbers drops none, ever).
# TEACHER: You drop a fixed count of numbers; each number has to be drawn alone, so that the count varies.
import numpy as np


def dropout(x, p, rng, train):
    if not train:
        return x.copy(), np.ones(x.shape, dtype=bool)
    mask = np.ones(x.size, dtype=bool)
    mask[rng.permutation(x.size)[:int(p * x.size)]] = False
    mask = mask.reshape(x.shape)
    return np.where(mask, x / (1 - p), 0.0), mask


def dropout_backward(dout, mask, p):
    return dout * mask / (1 - p)

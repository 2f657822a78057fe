# MISTAKE in dropout_backward: multiplies by 1-p in place of dividing.
# TEACHER: Backward multiplies with the same factor as forward: 1/(1-p).
import numpy as np


def dropout(x, p, rng, train):
    if train:
        mask = rng.binomial(1, 1 - p, size=x.shape)
        return x * mask / (1 - p), mask
    return x.copy(), np.ones_like(x)


def dropout_backward(dout, mask, p):
    # forward divided by 1 - p, so the way back multiplies
    return dout * mask * (1 - p)

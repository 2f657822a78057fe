# MISTAKE in dropout_backward: Divides by the share that was really kept, mask.mean(), in place of 1 - p. (It is nan where
# nothing was kept.)
# TEACHER: You divide by the share that this mask kept; the forward pass divided by 1 - p, so backward does as well.
import numpy as np


def dropout(x, p, rng, train):
    if not train:
        return x.copy(), np.ones(x.shape, dtype=bool)
    mask = rng.random(x.shape) >= p
    return x * mask / (1 - p), mask


def dropout_backward(dout, mask, p):
    return dout * mask / mask.mean()

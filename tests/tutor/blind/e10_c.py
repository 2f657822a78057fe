# MISTAKE in dropout: one mask for all images.
# TEACHER: Every image loses the same units; draw for x.shape.
import numpy as np


def dropout(x, p, rng, train):
    if train:
        mask = rng.random(x.shape[1:]) >= p
        mask = np.broadcast_to(mask, x.shape).copy()
        out = x * mask / (1 - p)
    else:
        mask = np.ones(x.shape, dtype=bool)
        out = x.copy()
    return out, mask


def dropout_backward(dout, mask, p):
    return dout * mask / (1 - p)

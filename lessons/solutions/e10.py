"""E10: dropout (section 4.2 of the paper), in the form that divides while training."""

import numpy as np


def dropout(x, p, rng, train):
    if not train:
        return x.copy(), np.ones(x.shape, bool)  # nothing is dropped, and nothing needs to be made smaller
    mask = rng.random(x.shape) >= p  # a draw for every number: False with probability p
    return x * mask / (1 - p), mask  # larger by as much as is missing on average


def dropout_backward(dout, mask, p):
    return dout * mask / (1 - p)  # out is x times a number that does not depend on x

"""E01, as a good student would write it: a slope without calculus."""

import numpy as np


def numerical_gradient(f, x, h):
    # dx[i] = (f(x + h e_i) - f(x - h e_i)) / (2 h), one element after the other.
    dx = np.zeros(x.shape)  # floats, also where x holds integers
    for i in np.ndindex(x.shape):  # every element, in an array of any shape
        above, below = x.astype(float), x.astype(float)  # two copies: x itself is never touched
        above[i] += h
        below[i] -= h
        dx[i] = (f(above) - f(below)) / (2 * h)  # the two places lie 2 h apart
    return dx

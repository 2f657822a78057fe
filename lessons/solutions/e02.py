"""E02, as a good student would write it: the slopes of ReLU and tanh."""

import numpy as np


def relu_backward(dout, x):
    # dx = dout where x > 0, else 0.
    slope = np.where(x > 0, 1.0, 0.0)  # of max(x, 0): one number an element, and it depends on x alone
    return dout * slope  # the chain rule; a new array, so dout stays as it is


def tanh_backward(dout, out):
    # dx = dout (1 - out^2).
    slope = 1 - out**2  # of tanh at x, written with tanh(x) = out, which the forward pass kept
    return dout * slope

# MISTAKE in tanh_backward: `dout * 1 - out ** 2`, brackets forgotten.
# TEACHER: * binds before -: bracket 1 - out^2.
import numpy as np


def relu_backward(dout, x):
    return np.where(x > 0, dout, 0.0)


def tanh_backward(dout, out):
    return dout * 1 - out ** 2

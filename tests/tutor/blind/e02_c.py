# MISTAKE in relu_backward: dout*max(x,0)/x is 0/0 = nan at x = 0.
# TEACHER: At x = 0 you divide 0 by 0.
import numpy as np


def relu_backward(dout, x):
    out = np.maximum(x, 0)
    return dout * out / x


def tanh_backward(dout, out):
    return dout * (1 - out ** 2)

# MISTAKE in relu_backward: The mask is built as (x / |x| + 1) / 2, which is 0/0 = nan where x is exactly 0.
# TEACHER: At x = 0 you divide 0 by 0 and hand back nan; compare x with 0 instead of dividing.
import numpy as np


def relu_backward(dout, x):
    with np.errstate(invalid="ignore", divide="ignore"):
        sign = x / np.abs(x)
    return dout * (sign + 1) / 2


def tanh_backward(dout, out):
    return dout * (1 - out**2)

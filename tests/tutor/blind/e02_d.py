# MISTAKE in relu_backward: mask = clip(x,0,1) is not 0/1: between 0 and 1 it is x itself.
# TEACHER: For 0<x<1 you multiply by x; the slope is 1.
import numpy as np


def relu_backward(dout, x):
    mask = np.clip(x, 0, 1)
    return dout * mask


def tanh_backward(dout, out):
    return dout - dout * out * out

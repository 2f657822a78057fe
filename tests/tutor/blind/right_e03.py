import numpy as np


def linear_backward(dout, x, weight):
    flat = x.reshape(x.shape[0], -1)
    dx = (dout @ weight).reshape(x.shape)
    dweight = dout.T @ flat
    dbias = dout.sum(axis=0)
    return dx, dweight, dbias


def chain_backward(dout, x, w1, w2, w3):
    a = x @ w1.T
    b = np.maximum(a, 0)
    dw2 = dout.T @ b
    dw3 = dout.T @ x
    da = (dout @ w2) * (a > 0)
    dw1 = da.T @ x
    dx = da @ w1 + dout @ w3
    return dx, dw1, dw2, dw3

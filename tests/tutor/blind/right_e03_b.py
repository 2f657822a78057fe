import numpy as np


def linear_backward(dout, x, weight):
    N = x.shape[0]
    flat = x.reshape(N, -1)
    dx = (dout @ weight).reshape(x.shape)
    dweight = dout.T @ flat
    dbias = dout.sum(axis=0)
    return dx, dweight, dbias


def chain_backward(dout, x, w1, w2, w3):
    A = x @ w1.T
    B = np.maximum(A, 0)
    dB = dout @ w2
    dA = dB * (A > 0)
    dx = dA @ w1 + dout @ w3
    return dx, dA.T @ x, dout.T @ B, dout.T @ x

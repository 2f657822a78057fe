# MISTAKE in linear_backward: maps are laid flat channels last for dweight; rows of x right.
# TEACHER: dweight has the right numbers at wrong columns: only when x are maps; flatten as x.reshape(N, C).
import numpy as np


def linear_backward(dout, x, weight):
    N = x.shape[0]
    if x.ndim == 4:
        x_row = x.transpose(0, 2, 3, 1).reshape(N, -1)
    else:
        x_row = x
    dx = np.dot(dout, weight).reshape(x.shape)
    dweight = np.dot(dout.T, x_row)
    dbias = np.sum(dout, axis=0)
    return dx, dweight, dbias


def chain_backward(dout, x, w1, w2, w3):
    A = x @ w1.T
    B = np.maximum(A, 0)
    dB = dout @ w2
    dA = dB * (A > 0)
    dx = dA @ w1 + dout @ w3
    return dx, dA.T @ x, dout.T @ B, dout.T @ x

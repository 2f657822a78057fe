# MISTAKE in linear_backward: x is laid flat through x.T.reshape(C, N): with maps .T turns ALL axes round (W, H, channels,
# N), so the columns of dweight stand in another order. Right for (N, C).
# TEACHER: x.T of a 4-axis array reverses all axes, so your flat order is W, H, channels; lay x flat first and transpose
# the matrix then.
import numpy as np


def linear_backward(dout, x, weight):
    count = x.shape[0]
    dx = (dout @ weight).reshape(x.shape)
    dweight = (x.T.reshape(-1, count) @ dout).T
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

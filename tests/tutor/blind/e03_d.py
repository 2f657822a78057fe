# MISTAKE in chain_backward: dw1 from db (before ReLU's mask), a stale variable.
# TEACHER: dw1 lacks ReLU's mask (A > 0); dx has it.
import numpy as np


def linear_backward(dout, x, weight):
    N = x.shape[0]
    flat = x.reshape(N, -1)
    dx = (dout @ weight).reshape(x.shape)
    dweight = dout.T @ flat
    dbias = dout.sum(axis=0)
    return dx, dweight, dbias


def chain_backward(dout, x, w1, w2, w3):
    a = x.dot(w1.T)
    b = np.maximum(0, a)
    dw2 = dout.T.dot(b)
    dw3 = dout.T.dot(x)
    db = dout.dot(w2)
    da = db.copy()
    da[a < 0] = 0
    dw1 = db.T.dot(x)
    dx = da.dot(w1) + dout.dot(w3)
    return dx, dw1, dw2, dw3

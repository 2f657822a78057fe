"""E03, as a good student would write it: backward through a layer, and through a chain in which x is used twice."""

import numpy as np


def linear_backward(dout, x, weight):
    # out = x weight^T + bias, backward.
    rows = x.reshape(x.shape[0], -1)  # (N, C): each image is one row
    dx = dout @ weight  # (N, K) times (K, C): a sum over the units that an input feeds
    dweight = dout.T @ rows  # (K, N) times (N, C): a sum over the images, as each of them uses the weight
    dbias = dout.sum(axis=0)  # (K,): each image uses the bias as well
    return dx.reshape(x.shape), dweight, dbias


def chain_backward(dout, x, w1, w2, w3):
    # out = relu(x w1^T) w2^T + x w3^T, backward.
    a = x @ w1.T  # forward once more: (N, M)
    b = np.maximum(a, 0)

    dw3 = dout.T @ x  # the short way
    dx = dout @ w3

    dw2 = dout.T @ b  # the long way, from its end to its beginning
    db = dout @ w2
    da = db * (a > 0)
    dw1 = da.T @ x
    dx = dx + da @ w1  # x is used twice: its gradients add
    return dx, dw1, dw2, dw3

import numpy as np


def numerical_gradient(f, x, h):
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        plus = x.astype(float)
        minus = x.astype(float)
        plus[i] += h
        minus[i] -= h
        dx[i] = (f(plus) - f(minus)) / (2 * h)
    return dx

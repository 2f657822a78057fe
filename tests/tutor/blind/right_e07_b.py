import numpy as np


def lrn(a, n, k, alpha, beta):
    C = a.shape[1]
    s = np.zeros(a.shape)
    for i in range(C):
        lo = max(0, i - n // 2)
        hi = min(C - 1, i + (n - 1) // 2)
        s[:, i] = k + alpha * (a[:, lo:hi + 1] ** 2).sum(axis=1)
    return a / s ** beta


def lrn_backward(dout, a, n, k, alpha, beta):
    C = a.shape[1]
    s = np.zeros(a.shape)
    for i in range(C):
        lo = max(0, i - n // 2)
        hi = min(C - 1, i + (n - 1) // 2)
        s[:, i] = k + alpha * (a[:, lo:hi + 1] ** 2).sum(axis=1)
    t = dout * a * s ** (-beta - 1)
    dx = dout * s ** (-beta)
    for j in range(C):
        lo = max(0, j - n // 2)
        hi = min(C - 1, j + (n - 1) // 2)
        for i in range(lo, hi + 1):
            dx[:, i] -= 2 * alpha * beta * a[:, i] * t[:, j]
    return dx

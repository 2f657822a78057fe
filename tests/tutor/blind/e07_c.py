# MISTAKE in lrn: window for even n is symmetric (i + n//2), one too many above.
# TEACHER: For even n you sum n + 1 channels; above go (n-1)//2.
import numpy as np


def lrn(a, n, k, alpha, beta):
    C = a.shape[1]
    sq = a ** 2
    b = np.zeros(a.shape)
    for i in range(C):
        first = max(0, i - n // 2)
        last = min(C - 1, i + n // 2)
        s = k + alpha * sq[:, first:last + 1].sum(axis=1)
        b[:, i] = a[:, i] / s ** beta
    return b


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

# MISTAKE in lrn_backward: `s ** -beta - 1` for s^(-beta-1).
# TEACHER: The exponent of s in the second term is -beta-1; bracket it; first term right.
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
    dx = np.zeros(a.shape)
    lows = [max(0, i - n // 2) for i in range(C)]
    highs = [min(C - 1, i + (n - 1) // 2) for i in range(C)]
    s = np.stack([k + alpha * np.sum(a[:, lows[i]:highs[i] + 1] ** 2, axis=1) for i in range(C)], axis=1)
    for j in range(C):
        dx[:, j] += dout[:, j] * s[:, j] ** -beta
        ds = dout[:, j] * a[:, j] * -beta * (s[:, j] ** -beta - 1)
        for i in range(lows[j], highs[j] + 1):
            dx[:, i] += ds * alpha * 2 * a[:, i]
    return dx

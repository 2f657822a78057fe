# MISTAKE in lrn_backward: s[i] outside the sum in place of s[j] within.
# TEACHER: Each output j has its own s[j]; it belongs in the sum.
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
    s = np.empty(a.shape)
    for i in range(C):
        s[:, i] = k + alpha * (a[:, max(0, i - n // 2):i + (n - 1) // 2 + 1] ** 2).sum(axis=1)
    dx = dout / s ** beta
    for i in range(C):
        total = 0
        # all channels j whose windows hold i
        for j in range(max(0, i - (n - 1) // 2), min(C - 1, i + n // 2) + 1):
            total = total + dout[:, j] * a[:, j]
        dx[:, i] -= 2 * alpha * beta * a[:, i] * total / s[:, i] ** (beta + 1)
    return dx

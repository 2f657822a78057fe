# MISTAKE in lrn_backward: In the second term s^(-beta - 1) is taken at channel i (of dx) and pulled out of the sum over
# j; it belongs to each j.
# TEACHER: In the sum over j the s is that of output j, s[j]^(-beta - 1); yours is s[i], taken out of the sum.
import numpy as np


def lrn(a, n, k, alpha, beta):
    channels = a.shape[1]
    b = np.zeros(a.shape)
    for i in range(channels):
        low, high = max(0, i - n // 2), min(channels - 1, i + (n - 1) // 2)
        s = k + alpha * (a[:, low:high + 1] ** 2).sum(axis=1)
        b[:, i] = a[:, i] / s**beta
    return b


def lrn_backward(dout, a, n, k, alpha, beta):
    channels = a.shape[1]
    s = np.zeros(a.shape)
    for i in range(channels):
        low, high = max(0, i - n // 2), min(channels - 1, i + (n - 1) // 2)
        s[:, i] = k + alpha * (a[:, low:high + 1] ** 2).sum(axis=1)
    dx = dout * s**-beta
    for i in range(channels):
        low, high = max(0, i - (n - 1) // 2), min(channels - 1, i + n // 2)
        total = (dout[:, low:high + 1] * a[:, low:high + 1]).sum(axis=1)
        dx[:, i] -= 2 * alpha * beta * a[:, i] * s[:, i] ** (-beta - 1) * total
    return dx

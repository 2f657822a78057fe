"""E07: local response normalization, as section 3.3 of the paper describes it."""

import numpy as np


def lrn(a, n, k, alpha, beta):
    out = np.empty_like(a)
    for i, window in enumerate(windows(a.shape[1], n)):
        # The squares of the neighbors that exist, at the same place of the same image.
        s = k + alpha * (a[:, window] ** 2).sum(axis=1)
        out[:, i] = a[:, i] / s**beta
    return out


def lrn_backward(dout, a, n, k, alpha, beta):
    dx = np.zeros_like(a)
    for j, window in enumerate(windows(a.shape[1], n)):
        # One output after the other: b[j] = a[j] s[j]^-beta.
        s = k + alpha * (a[:, window] ** 2).sum(axis=1)
        # a[j] stands above the line of the fraction,
        dx[:, j] += dout[:, j] * s**-beta
        # and every a[i] of the window stands below: db[j] / da[i] = -beta a[j] s[j]^(-beta - 1) times 2 alpha a[i].
        # Going out from j, we need not ask whose windows hold i, and an even n needs no further thought.
        below = dout[:, j] * -beta * a[:, j] * s ** (-beta - 1)
        dx[:, window] += below[:, None] * 2 * alpha * a[:, window]
    return dx


def windows(channels, n):
    # For each channel the slice of its neighbors; a slice may end past the last channel but must not begin below 0.
    return [slice(max(0, i - n // 2), i + (n - 1) // 2 + 1) for i in range(channels)]

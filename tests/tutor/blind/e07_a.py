# MISTAKE in lrn: Windows by running sums, cumsum[high] - cumsum[low] where it must be cumsum[low - 1]: the lowest channel
# of the window is lost, but not where the window begins at channel 0.
# TEACHER: Your running sums lose the lowest channel of each window that does not begin at channel 0: subtract the sum up
# to low - 1.
import numpy as np


def lrn(a, n, k, alpha, beta):
    channels = a.shape[1]
    sums = np.cumsum(a**2, axis=1)
    b = np.zeros(a.shape)
    for i in range(channels):
        low, high = max(0, i - n // 2), min(channels - 1, i + (n - 1) // 2)
        total = sums[:, high] - sums[:, low] if low > 0 else sums[:, high]
        b[:, i] = a[:, i] / (k + alpha * total) ** beta
    return b


def lrn_backward(dout, a, n, k, alpha, beta):
    channels = a.shape[1]
    dx = np.zeros(a.shape)
    for j in range(channels):
        low, high = max(0, j - n // 2), min(channels - 1, j + (n - 1) // 2)
        s = k + alpha * (a[:, low:high + 1] ** 2).sum(axis=1)
        dx[:, j] += dout[:, j] * s**-beta
        for i in range(low, high + 1):
            dx[:, i] -= dout[:, j] * a[:, j] * beta * s ** (-beta - 1) * 2 * alpha * a[:, i]
    return dx

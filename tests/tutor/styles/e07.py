"""E07 in other styles: loops over elements, sums of shifted arrays, cumulative sums, a matrix of windows, views, the engine."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lessons.solutions.e07 import lrn as solution, lrn_backward as solution_backward
from tinyalex.layers.lrn import LocalResponseNorm


def loops(a, n, k, alpha, beta):
    out = np.zeros(a.shape)
    for b, i, y, z in np.ndindex(a.shape):
        s = k
        for j in range(max(0, i - n // 2), min(a.shape[1] - 1, i + (n - 1) // 2) + 1):
            s += alpha * a[b, j, y, z] ** 2
        out[b, i, y, z] = a[b, i, y, z] / s**beta
    return out


def window_sum(a, before, after):
    """The sum over a window by a padded sheet and one slice for each neighbor."""
    sheet = np.pad(a, ((0, 0), (before, after), (0, 0), (0, 0)))
    return sum(sheet[:, shift : shift + a.shape[1]] for shift in range(before + after + 1))


def shifts(a, n, k, alpha, beta):
    return a * (k + alpha * window_sum(a**2, n // 2, (n - 1) // 2)) ** -beta


def cumulative(a, n, k, alpha, beta):
    """Differences of cumulative sums."""
    total = np.concatenate([np.zeros_like(a[:, :1]), np.cumsum(a * a, 1)], 1)
    i = np.arange(a.shape[1])
    upper, lower = np.minimum(i + (n - 1) // 2 + 1, len(i)), np.maximum(i - n // 2, 0)
    return a / np.power(k + alpha * (total[:, upper] - total[:, lower]), beta)


def views(a, n, k, alpha, beta):
    sheet = np.pad(a, ((0, 0), (n // 2, (n - 1) // 2), (0, 0), (0, 0)))
    window = sliding_window_view(sheet, n, 1)
    return a / (k + alpha * np.einsum("nchwj,nchwj->nchw", window, window)) ** beta


def band(c, n):
    """1 where the window of the line holds the channel of the column."""
    return np.tril(np.ones((c, c)), (n - 1) // 2) * np.triu(np.ones((c, c)), -(n // 2))


def matrix(a, n, k, alpha, beta):
    flat = a.transpose(1, 0, 2, 3).reshape(a.shape[1], -1)
    out = flat / (k + alpha * band(len(flat), n) @ flat**2) ** beta
    return out.reshape(a.shape[1], a.shape[0], *a.shape[2:]).transpose(1, 0, 2, 3)


def engine(a, n, k, alpha, beta):
    return LocalResponseNorm(n, k, alpha, beta, dtype=np.float64).forward(a)


def loops_back(dout, a, n, k, alpha, beta):
    """The formula for one element, the outputs whose windows hold it sought by a test."""
    dx, c = np.zeros(a.shape), a.shape[1]
    s = np.zeros(a.shape)
    for i in range(c):
        s[:, i] = k + alpha * np.sum(a[:, max(i - n // 2, 0) : i + (n - 1) // 2 + 1] ** 2, axis=1)
    for i in range(c):
        dx[:, i] = dout[:, i] / s[:, i] ** beta
        for j in range(c):
            if j - n // 2 <= i <= j + (n - 1) // 2:
                dx[:, i] -= 2 * alpha * beta * a[:, i] * dout[:, j] * a[:, j] / s[:, j] ** (beta + 1)
    return dx


def shifts_back(dout, a, n, k, alpha, beta):
    """Windows mirrored for the second term."""
    s = k + alpha * window_sum(a**2, n // 2, (n - 1) // 2)
    direct = dout / s**beta
    return direct - 2 * alpha * beta * a * window_sum(direct * a / s, (n - 1) // 2, n // 2)


def matrix_back(dout, a, n, k, alpha, beta):
    """The whole Jacobian of the channels, times dout."""
    window, eye = band(a.shape[1], n), np.eye(a.shape[1])
    s = k + alpha * np.einsum("ij,njhw->nihw", window, a**2)
    jacobian = np.einsum("ij,nihw->nijhw", eye, s**-beta)  # of b[i] with respect to a[j]
    jacobian -= 2 * alpha * beta * np.einsum("ij,nihw,njhw->nijhw", window, a * s ** (-beta - 1), a)
    return np.einsum("nihw,nijhw->njhw", dout, jacobian)


def cumulative_back(dout, a, n, k, alpha, beta):
    out = cumulative(a, n, k, alpha, beta)
    s = k + alpha * window_sum(a * a, n // 2, (n - 1) // 2)
    total = np.concatenate([np.zeros_like(a[:, :1]), np.cumsum(dout * out / s, 1)], 1)
    i = np.arange(a.shape[1])
    held = total[:, np.minimum(i + n // 2 + 1, len(i))] - total[:, np.maximum(i - (n - 1) // 2, 0)]
    return dout * s**-beta - 2 * alpha * beta * a * held


def engine_back(dout, a, n, k, alpha, beta):
    layer = LocalResponseNorm(n, k, alpha, beta, dtype=np.float64)
    layer.forward(a, train=True)
    return layer.backward(dout)


STYLES = {
    "lrn": [solution, loops, shifts, cumulative, views, matrix, engine],
    "lrn_backward": [solution_backward, loops_back, shifts_back, matrix_back, cumulative_back, engine_back],
}

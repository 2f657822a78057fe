"""E13 in other styles: one step after the other, channels one by one, einsum, a matrix of slopes, and statistics computed again."""

import numpy as np

from lessons.solutions import e13 as solution


def staged(dout, x, mean, s, weight):
    """One node after the other, as a graph of the forward pass gives it."""
    m = x.shape[0] * x.shape[2] * x.shape[3]
    axes, mu, inv = (0, 2, 3), mean.reshape(1, -1, 1, 1), s.reshape(1, -1, 1, 1)
    d = x - mu
    dy = dout * weight.reshape(1, -1, 1, 1)
    dvar = (dy * d).sum(axis=axes, keepdims=True) * -0.5 * inv**3
    dmean = (-dy * inv).sum(axis=axes, keepdims=True) + dvar * (-2 * d).mean(axis=axes, keepdims=True)
    dx = dy * inv + dvar * 2 * d / m + dmean / m
    return dx, (dout * d * inv).sum(axis=axes), dout.sum(axis=axes)


def channels(dout, x, mean, s, weight):
    dx, dweight, dbias = np.empty_like(x), [], []
    for c in range(x.shape[1]):
        g, y = dout[:, c], (x[:, c] - mean[c]) * s[c]
        dweight.append(np.sum(g * y))
        dbias.append(np.sum(g))
        dx[:, c] = s[c] * weight[c] * (g - g.mean() - y * (g * y).mean())
    return dx, np.array(dweight), np.array(dbias)


def einsum(dout, x, mean, s, weight):
    y = np.einsum("nchw,c->nchw", x - mean[None, :, None, None], s)
    dweight, dbias = np.einsum("nchw,nchw->c", dout, y), np.einsum("nchw->c", dout)
    m = y[:, 0].size
    inside = m * dout - dbias[:, None, None] - np.einsum("nchw,c->nchw", y, dweight)
    return np.einsum("nchw,c->nchw", inside, s * weight / m), dweight, dbias


def matrix(dout, x, mean, s, weight):
    """All slopes of a channel as a matrix (m, m), and a product with it."""
    n, c, h, w = x.shape
    rows, g = (a.transpose(1, 0, 2, 3).reshape(c, -1) for a in (x, dout))
    m = rows.shape[1]
    y = (rows - mean[:, None]) * s[:, None]
    dx = np.stack([s[k] * weight[k] * (np.eye(m) - 1 / m - np.outer(y[k], y[k]) / m) @ g[k] for k in range(c)])
    return dx.reshape(c, n, h, w).transpose(1, 0, 2, 3).copy(), (g * y).sum(1), g.sum(1)


def computed_again(dout, x, mean, s, weight):
    """The mean anew, and var + eps from s."""
    v = s**-2.0
    d = x - x.mean((0, 2, 3), keepdims=True)
    y = d / np.sqrt(v)[:, None, None]
    dy = np.moveaxis(np.moveaxis(dout, 1, -1) * weight, -1, 1)
    across = (dy * d).mean((0, 2, 3), keepdims=True) / v[:, None, None]
    dx = (dy - dy.mean((0, 2, 3), keepdims=True) - d * across) / np.sqrt(v)[:, None, None]
    return dx, np.sum(dout * y, axis=(0, 2, 3)), np.add.reduce(dout, axis=(0, 2, 3))


STYLES = {"batch_norm_backward": [solution.batch_norm_backward, staged, channels, einsum, matrix, computed_again]}

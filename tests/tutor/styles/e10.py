"""E10 in other styles: other ways to draw, `where`, indices, loops over images, a scaled mask inside."""

import numpy as np

from lessons.solutions import e10


def binomial(x, p, rng, train):
    keep = 1 - p
    mask = rng.binomial(1, keep, size=x.shape) if train else np.ones_like(x, dtype=int)
    return x * mask / (keep if train else 1), mask


def uniform(x, p, rng, train):
    mask = np.ones(x.shape)
    out = np.array(x)
    if train:
        mask = (rng.uniform(0.0, 1.0, x.shape) < 1 - p).astype(x.dtype)
        out = mask * x
        out /= 1 - p
    return out, mask


def dropped_by_index(x, p, rng, train):
    out, mask = x.copy(), np.full(x.shape, True)
    if train:
        dropped = rng.random(size=x.shape) < p
        out[dropped] = 0
        out[~dropped] *= 1 / (1 - p)
        mask[dropped] = False
    return out, mask


def image_by_image(x, p, rng, train):
    out, mask = np.empty_like(x), np.empty_like(x)
    for n in range(len(x)):
        drawn = rng.random(x[n].shape) > p if train else np.ones(x[n].shape, bool)
        mask[n] = drawn
        out[n] = np.where(drawn, x[n] / (1 - p) if train else x[n], 0.0)
    return out, mask


def scaled_inside(x, p, rng, train):
    if train:
        m = (rng.choice([0, 1], size=x.shape, p=[p, 1 - p])) / (1 - p)
        return x * m, m > 0
    return x * 1.0, np.ones_like(x)


def integers(x, p, rng, train):
    """Draws of whole numbers, as a byte at a time would be."""
    mask = rng.integers(10**6, size=x.shape) >= round(p * 10**6) if train else x == x
    return np.where(mask, x, 0) * (1 / (1 - p) if train else 1), mask


def where(dout, mask, p):
    return np.where(mask, dout / (1 - p), 0)


def by_index(dout, mask, p):
    dx = np.zeros(dout.shape)
    dx[mask] = dout[mask] / (1 - p)
    return dx


def loops(dout, mask, p):
    dx = np.empty_like(dout)
    for at in np.ndindex(dout.shape):
        dx[at] = dout[at] / (1 - p) if mask[at] else 0
    return dx


def in_place(dout, mask, p):
    dx = dout.copy()
    dx *= mask.astype(dout.dtype)
    dx *= 1 / (1 - p)
    return dx


STYLES = {
    "dropout": [e10.dropout, binomial, uniform, dropped_by_index, image_by_image, scaled_inside, integers],
    "dropout_backward": [e10.dropout_backward, where, by_index, loops, in_place],
}

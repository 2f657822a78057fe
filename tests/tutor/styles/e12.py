"""E12 in other styles: slices of an empty array, loops over channels, lists, einsum."""

import numpy as np

from lessons.solutions import e12


def slices(a, b):
    c = a.shape[1]
    ya = np.empty((len(a), c + b.shape[1], *a.shape[2:]), a.dtype)
    ya[:, :c], ya[:, c:] = a, b
    return ya, ya.copy()


def loops(a, b):
    both = [np.stack([*a[n], *b[n]]) for n in range(len(a))]
    return np.array(both), np.array(both)


def stacked(a, b):
    return np.hstack((a, b)), np.hstack([a, b])


def moved(a, b):
    x = np.r_[np.moveaxis(a, 1, 0), np.moveaxis(b, 1, 0)]
    return [np.moveaxis(x, 0, 1)][0], np.swapaxes(x, 0, 1) + 0.0


def loops_back(dya, dyb, channels):
    da, db = np.zeros_like(dya[:, :channels]), np.zeros_like(dya[:, channels:])
    for dy in (dya, dyb):
        for c in range(dy.shape[1]):
            if c < channels:
                da[:, c] += dy[:, c]
            else:
                db[:, c - channels] += dy[:, c]
    return da, db


def split(dya, dyb, channels):
    da, db = np.split(dya + dyb, [channels], axis=1)
    return da, db


def masks(dya, dyb, channels):
    own = np.arange(dya.shape[1]) < channels
    return dya[:, own] + dyb[:, own], dya[:, ~own] + dyb[:, ~own]


def einsum(dya, dyb, channels):
    dy = np.einsum("tnc...->nc...", np.stack([dya, dyb]))
    return dy.take(range(channels), axis=1), dy.take(range(channels, dy.shape[1]), axis=1)


def by_size(a_shape, b_shape, itemsize, backward):
    sizes = [int(np.prod(shape)) * itemsize for shape in (b_shape, a_shape)]
    return tuple(sizes[::-1] if backward else sizes)


def by_arrays(a_shape, b_shape, itemsize, backward):
    a, b = (np.zeros(shape, f"f{itemsize}").nbytes for shape in (a_shape, b_shape))
    return (a, b) if backward else (b, a)


def by_loop(a_shape, b_shape, itemsize, backward):
    to_a = to_b = itemsize
    for a, b in zip(a_shape, b_shape, strict=True):
        to_a, to_b = to_a * (a if backward else b), to_b * (b if backward else a)
    return to_a, to_b


def as_integers_of_numpy(a_shape, b_shape, itemsize, backward):
    a, b = np.int64(np.prod(a_shape)), np.int64(np.prod(b_shape))
    if not backward:
        a, b = b, a
    return itemsize * a, itemsize * b


STYLES = {
    "exchange": [e12.exchange, slices, loops, stacked, moved],
    "exchange_backward": [e12.exchange_backward, loops_back, split, masks, einsum],
    "exchange_bytes": [e12.exchange_bytes, by_size, by_arrays, by_loop, as_integers_of_numpy],
}

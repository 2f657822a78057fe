"""E01 in other styles: copies, one array moved and put back, an enumeration of all moved arrays, matrices of unit vectors."""

import numpy as np

from lessons.solutions import e01 as solution


def moved_and_put_back(f, x, h):
    x = x.astype(np.float64)
    dx = np.empty_like(x)
    it = np.nditer(x, flags=["multi_index"])
    while not it.finished:
        at = it.multi_index
        old = x[at]
        x[at] = old + h
        above = f(x)
        x[at] = old - h
        below = f(x)
        x[at] = old
        dx[at] = (above - below) / (2 * h)
        it.iternext()
    return dx


def in_place_where_it_can(f, x, h):
    """Moves the student's own array where it holds floats, and puts the old bits back."""
    if x.dtype.kind != "f":
        x = x.astype(float)
    dx = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        old = x[at]
        x[at] = old + h
        dx[at] += f(x)
        x[at] = old - h
        dx[at] -= f(x)
        x[at] = old
    return dx / (2.0 * h)


def unit_vectors(f, x, h):
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(f(x + e) - f(x - e)) / (h + h) for e in steps]).reshape(x.shape)


def flat_indices(f, x, h):
    flat = np.array(x, dtype=float).ravel()
    slopes = []
    for i in range(flat.size):
        two = []
        for sign in (1, -1):
            moved = flat.copy()
            moved[i] = flat[i] + sign * h
            two.append(float(f(moved.reshape(x.shape))))
        slopes.append(0.5 * (two[0] - two[1]) / h)
    return np.reshape(slopes, x.shape)


STYLES = {"numerical_gradient": [solution.numerical_gradient, moved_and_put_back, in_place_where_it_can, unit_vectors, flat_indices]}

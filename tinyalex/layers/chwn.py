"""Images that lie innermost in memory, (C, H, W, N), as all did in the 2012 code, and how to pool them.

The shape of such an array is (N, C, H, W) as that of any other: only its strides tell, and every layer takes it. What pooling
compares are then runs as long as the batch, where in other arrays it must pick single numbers from a line.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.geometry import Windows, shifts
from tinyalex.layers.windows import matrix

Index = tuple[slice, ...]


def chwn(x: Array) -> Array:
    """x (N, C, H, W) seen as (C, H, W, N)."""
    return x.transpose(1, 2, 3, 0)


def empty_chwn(device: Device, shape: tuple[int, ...], dtype: Any) -> Array:
    """An uninitialized array of shape (N, C, H, W) whose images lie innermost."""
    n, c, h, w = shape
    return matrix(c, h * w * n, dtype, device.empty).reshape(c, h, w, n).transpose(3, 0, 1, 2)


def is_chwn(x: Array) -> bool:
    """Whether the images of x (N, C, H, W) lie innermost, with nothing between the pixels of a channel."""
    n, _, h, w = x.shape
    of_image, _, of_row, of_pixel = (stride // x.itemsize for stride in x.strides)
    return n > 1 and of_image == 1 and (w == 1 or of_pixel == n) and (h == 1 or of_row == w * n)


@lru_cache(maxsize=64)
def places(windows: Windows, axis: int) -> tuple[tuple[tuple[Index, Index], ...], tuple[Index, ...]]:
    """`shifts` as indices of arrays (C, H, W, N), and the lines of the image that none of the first `stride` reaches."""
    ahead, pairs = (slice(None),) * (1 + axis), shifts(windows, axis)
    reached = {line for _, at in pairs[: windows.stride[axis]] for line in range(windows.size[axis])[at]}
    missed = sorted(set(range(windows.size[axis])) - reached)
    return tuple(((*ahead, to), (*ahead, at)) for to, at in pairs), tuple((*ahead, slice(line, line + 1)) for line in missed)


def max_along(x: Array, windows: Windows, axis: int, place: Array | None, scratch: Scratch) -> Array:
    """The maxima along the height (axis 0) or the width (1) of x (C, H, W, N); place = the first in its window that reaches it."""
    xp, (c, h, w, n), pairs = scratch.xp, x.shape, places(windows, axis)[0]
    best = scratch((c, windows.out[0], w, n) if axis == 0 else (c, h, windows.out[1], n), x.dtype)
    known = 0  # places of a window that `best` has seen
    if len(pairs) > 1 and x[pairs[0][1]].shape == x[pairs[1][1]].shape == best.shape:  # every window has the first two
        first, second, known = x[pairs[0][1]], x[pairs[1][1]], 2
        xp.maximum(first, second, out=best)
        if place is not None:
            xp.greater(second, first, out=place.view(np.bool_))
    for i, (to, at) in enumerate(pairs[known:], known):
        here = x[at]
        if i == 0:
            if here.shape != best.shape:
                best.fill(-np.inf)  # padding, which must never win
            best[to] = here
            if place is not None:
                place.fill(0)
            continue
        if place is not None:
            won = place[to] if i == 1 else scratch(here.shape, np.uint8)
            xp.greater(here, best[to], out=won.view(np.bool_))
            if i > 1:
                won *= i  # 0 where an earlier one keeps the maximum, else i, which is larger than any before
                xp.maximum(place[to], won, out=place[to])
        xp.maximum(best[to], here, out=best[to])
    return best


def spread(dout: Array, windows: Windows, axis: int, place: Array, dx: Array, scratch: Scratch) -> None:
    """The transpose: each of dout goes to the place of its window that won; dx is the sum of what arrives."""
    xp, (pairs, missed) = scratch.xp, places(windows, axis)
    for line in missed:
        dx[line].fill(0)
    part = scratch(dout.shape, dout.dtype)
    for i, (to, at) in enumerate(pairs):
        xp.equal(place[to], i, out=part[to])
        if i < windows.stride[axis]:  # no two of these reach the same line
            xp.multiply(part[to], dout[to], out=dx[at])
        else:
            part[to] *= dout[to]
            for channel, more in zip(dx[at], part[to], strict=True):  # across the gap between channels NumPy would add in a copy
                channel += more

"""Max pooling of images that lie innermost in memory, (C, H, W, N): what is compared are runs as long as the batch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.layout import chwn, empty_chwn, images_first, images_last
from tinyalex.fast.pooling import all_finite, larger, passed_on
from tinyalex.fast.request import Grads, Pooling, Then, apply
from tinyalex.geometry import Windows, shifts

Index = tuple[slice, ...]


@lru_cache(maxsize=64)
def cells(windows: Windows, axis: int) -> tuple[tuple[tuple[Index, Index], ...], tuple[Index, ...]]:
    """`shifts` as indices of arrays (C, H, W, N), and the lines of the image that none of the first `stride` reaches."""
    ahead, pairs = (slice(None),) * (1 + axis), shifts(windows, axis)
    reached = {line for _, at in pairs[: windows.stride[axis]] for line in range(windows.size[axis])[at]}
    missed = sorted(set(range(windows.size[axis])) - reached)
    return tuple(((*ahead, to), (*ahead, at)) for to, at in pairs), tuple((*ahead, slice(line, line + 1)) for line in missed)


def max_along(x: Array, windows: Windows, axis: int, place: Array | None, scratch: Scratch, nan: bool = False) -> Array:
    """The maxima along the height (axis 0) or the width (1) of x (C, H, W, N); place = the first in its window that reaches it."""
    xp, (c, h, w, n), pairs = scratch.xp, x.shape, cells(windows, axis)[0]
    best = scratch((c, windows.out[0], w, n) if axis == 0 else (c, h, windows.out[1], n), x.dtype)
    known = 0  # cells of a window that `best` has seen
    if len(pairs) > 1 and x[pairs[0][1]].shape == x[pairs[1][1]].shape == best.shape:  # every window has the first two
        first, second, known = x[pairs[0][1]], x[pairs[1][1]], 2
        xp.maximum(first, second, out=best)
        if place is not None:
            larger(second, first, nan, place.view(np.bool_), xp)
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
            larger(here, best[to], nan, won.view(np.bool_), xp)
            if i > 1:
                won *= i  # 0 where an earlier one keeps the maximum, else i, which is larger than any before
                xp.maximum(place[to], won, out=place[to])
        xp.maximum(best[to], here, out=best[to])
    return best


def spread(dout: Array, windows: Windows, axis: int, place: Array, dx: Array, finite: bool, scratch: Scratch) -> None:
    """The transpose: each of dout goes to the cell of its window that won; dx is the sum of what arrives."""
    xp, (pairs, missed) = scratch.xp, cells(windows, axis)
    for line in missed:
        dx[line].fill(0)
    part = scratch(dout.shape, dout.dtype)
    for i, (to, at) in enumerate(pairs):
        if i < windows.stride[axis] and finite:  # no two of these reach the same line
            xp.equal(place[to], i, out=part[to])
            xp.multiply(part[to], dout[to], out=dx[at])
            continue
        passed_on(place[to], i, dout[to], finite, part[to], xp)
        if i < windows.stride[axis]:
            dx[at] = part[to]
            continue
        for channel, more in zip(dx[at], part[to], strict=True):  # across the gap between channels NumPy would add in a copy
            channel += more


def forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Any]:
    """Blocks of channels; kept are the rows that won, (C, OH, W, N), and the columns, (C, OH, OW, N)."""
    (n, c, h, w), (oh, ow), windows = x.shape, asked.windows.out, asked.windows
    out, rows, columns = device.empty(asked.out_shape(n), x.dtype), None, None
    if asked.train:
        rows, columns = device.empty((c, oh, w, n), np.uint8), device.empty((c, oh, ow, n), np.uint8)

    def pool(channels: slice, scratch: Scratch, nan: bool) -> Array:
        row, column = (None, None) if rows is None or columns is None else (rows[channels], columns[channels])
        return max_along(max_along(chwn(x)[channels], windows, 0, row, scratch, nan), windows, 1, column, scratch, nan)

    def block(channels: slice, scratch: Scratch) -> None:
        best = pool(channels, scratch, nan=False)
        if rows is not None and np.isnan(best.max()):
            best = pool(channels, scratch, nan=True)
        images_first(best, None, out[:, channels], scratch.xp)
        apply(then, out[:, channels], scratch)

    device.map_blocks(block, c, size=device.few_blocks(c, 3 * h * w * n * x.dtype.itemsize))
    return out, (rows, columns)


def backward(asked: Pooling, kept: Any, dout: Array, device: Device, grads: Grads) -> Array:
    """Blocks of channels; the images of dx lie innermost too."""
    (rows, columns), windows, dtype = kept, asked.windows, dout.dtype
    dx = empty_chwn(device, asked.x_shape(len(dout)), dtype)
    n, c, h, w = dx.shape

    def block(channels: slice, scratch: Scratch) -> None:
        d, dlines = scratch(columns[channels].shape, dtype), scratch(rows[channels].shape, dtype)
        images_last(dout[:, channels], d)
        finite = all_finite(d)
        spread(d, windows, 1, columns[channels], dlines, finite, scratch)
        spread(dlines, windows, 0, rows[channels], chwn(dx)[channels], finite, scratch)

    device.map_blocks(block, c, size=device.few_blocks(c, 3 * h * w * n * dtype.itemsize))
    return dx

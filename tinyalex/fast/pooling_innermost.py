"""Max pooling of images that are CHWN in memory: each comparison processes runs as long as the batch.

i_won and j_won have the same meaning as in `pooling`, but other shapes: (C, OH, W, N) and (C, OH, OW, N). No padding is stored.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.layout import chwn, empty_chwn, images_first, images_last
from tinyalex.fast.pooling import bits, larger, passed_on
from tinyalex.fast.request import Grads, Pooling, Then, apply
from tinyalex.geometry import Windows, shifts

Index = tuple[slice, ...]


@lru_cache(maxsize=64)
def cells(windows: Windows, axis: int) -> tuple[tuple[tuple[Index, Index], ...], tuple[Index, ...]]:
    """`shifts` along an axis as indices of arrays (C, H, W, N), and indices of the lines that none of the first `stride` shifts reaches.

    For axis 0 a line has one position along the height, for axis 1 one position along the width.
    """
    ahead, pairs = (slice(None),) * (1 + axis), shifts(windows, axis)
    reached = {line for _, at in pairs[: windows.stride[axis]] for line in range(windows.size[axis])[at]}
    missed = sorted(set(range(windows.size[axis])) - reached)
    return tuple(((*ahead, to), (*ahead, at)) for to, at in pairs), tuple((*ahead, slice(line, line + 1)) for line in missed)


def max_along(x: Array, windows: Windows, axis: int, won: Array | None, scratch: Scratch, nan: bool = False) -> Array:
    """The maxima of windows along the height (axis 0) or the width (axis 1) of x (C, H, W, N).

    `won`, unless it is None, is filled with the index of the cell that is the first maximum. nan: whether x may hold a NaN.
    """
    xp, (c, h, w, n), pairs = scratch.xp, x.shape, cells(windows, axis)[0]
    best = scratch((c, windows.out[0], w, n) if axis == 0 else (c, h, windows.out[1], n), x.dtype)
    known = 0  # how many cells of each window `best` includes
    if len(pairs) > 1 and x[pairs[0][1]].shape == x[pairs[1][1]].shape == best.shape:  # no window has padding for its first two cells
        first, second, known = x[pairs[0][1]], x[pairs[1][1]], 2
        xp.maximum(first, second, out=best)
        if won is not None:
            larger(second, first, nan, won.view(np.bool_), xp)
    for i, (to, at) in enumerate(pairs[known:], known):
        here = x[at]
        if i == 0:
            if here.shape != best.shape:
                best.fill(-np.inf)  # the padding, which must never win
            best[to] = here
            if won is not None:
                won.fill(0)
            continue
        if won is not None:
            now = won[to] if i == 1 else scratch(here.shape, np.uint8)
            larger(here, best[to], nan, now.view(np.bool_), xp)
            if i > 1:
                now *= i  # i where this cell beats all before it, otherwise 0
                xp.maximum(won[to], now, out=won[to])
        xp.maximum(best[to], here, out=best[to])
    return best


def spread(dout: Array, windows: Windows, axis: int, won: Array, dx: Array, scratch: Scratch) -> None:
    """The gradient of `max_along`: fill dx; each element of dout is added to the cell of its window that won."""
    xp, (pairs, missed) = scratch.xp, cells(windows, axis)
    for line in missed:
        dx[line].fill(0)
    part = scratch(dout.shape, dout.dtype)
    d, spare, given = bits(dout), bits(part), bits(dx)
    for i, (to, at) in enumerate(pairs):
        if i < windows.stride[axis]:  # the first `stride` shifts reach different lines, so nothing is written twice
            passed_on(won[to], i, d[to], spare[to], given[at], xp)
            continue
        passed_on(won[to], i, d[to], spare[to], spare[to], xp)
        for channel, more in zip(dx[at], part[to], strict=True):  # channel by channel, because across their gap NumPy makes a copy
            channel += more


def forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Any]:
    """The maxima in blocks of channels; i_won (C, OH, W, N) and j_won (C, OH, OW, N) are kept."""
    (n, c, h, w), (oh, ow), windows = x.shape, asked.windows.out, asked.windows
    out, i_won, j_won = device.empty(asked.out_shape(n), x.dtype), None, None
    if asked.train:
        i_won, j_won = device.empty((c, oh, w, n), np.uint8), device.empty((c, oh, ow, n), np.uint8)

    def block(channels: slice, scratch: Scratch, nan: bool = False) -> None:
        i, j = (None, None) if i_won is None or j_won is None else (i_won[channels], j_won[channels])
        best = max_along(max_along(chwn(x)[channels], windows, 0, i, scratch, nan), windows, 1, j, scratch, nan)
        images_first(best, None, out[:, channels], scratch.xp)
        apply(then, out[:, channels], scratch)

    size = device.few_blocks(c, 3 * h * w * n * x.dtype.itemsize)
    device.map_blocks(block, c, size=size)
    if asked.train and np.isnan(out.max()):
        device.map_blocks(partial(block, nan=True), c, size=size)
    return out, (i_won, j_won)


def backward(asked: Pooling, kept: Any, dout: Array, device: Device, grads: Grads) -> Array:
    """dx, which is CHWN in memory too, in blocks of channels."""
    (i_won, j_won), windows, dtype = kept, asked.windows, dout.dtype
    dx = empty_chwn(device, asked.x_shape(len(dout)), dtype)
    n, c, h, w = dx.shape

    def block(channels: slice, scratch: Scratch) -> None:
        d, dlines = scratch(j_won[channels].shape, dtype), scratch(i_won[channels].shape, dtype)
        images_last(dout[:, channels], d)
        spread(d, windows, 1, j_won[channels], dlines, scratch)
        spread(dlines, windows, 0, i_won[channels], chwn(dx)[channels], scratch)

    device.map_blocks(block, c, size=device.few_blocks(c, 3 * h * w * n * dtype.itemsize))
    return dx

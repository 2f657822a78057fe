"""Max pooling of images (N, C, H, W), first down the columns of a window, then along its rows: KH + KW comparisons, not KH * KW.

Where the result of a block holds a NaN, or dout an infinity, comparisons and products are made again in the way that keeps both
at their place; ordinary blocks pay a look at their largest and smallest element for that question.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.request import Grads, Keeps, Pooling, Then, apply
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows, shifts

LARGEST_KERNEL = 256  # which row or column of a window won is kept as one byte


def fits(asked: Pooling) -> bool:
    """Whether the index of a row or column of the kernel fits one byte."""
    return max(asked.windows.kernel) <= LARGEST_KERNEL


def pays(asked: Pooling, n: int) -> bool:
    """Wherever it fits."""
    return fits(asked)


def all_finite(a: Array) -> bool:
    """Whether no element is a NaN or an infinity: the largest and the smallest would be one too."""
    return bool(np.isfinite(a.max()) and np.isfinite(a.min()))


def larger(here: Array, before: Array, nan: bool, out: Array, xp: Any) -> Array:
    """out (bool) = whether `here` beats the maximum so far; with `nan` the first NaN of a window beats every number."""
    xp.greater(here, before, out=out)
    if nan:
        out |= xp.isnan(here) & ~xp.isnan(before)
    return out


def passed_on(won: Array, cell: int, dout: Array, finite: bool, out: Array, xp: Any) -> Array:
    """out = dout where `cell` won, else 0. Where dout is not finite, no product with 0 may be made: 0 times infinity is NaN."""
    if not finite:
        out[...] = xp.where(won == cell, dout, 0)
        return out
    xp.equal(won, cell, out=out)
    out *= dout
    return out


def lay_sheet(x: Array, windows: Windows, scratch: Scratch) -> Array:
    """What the windows cover, (B, C, SH, SW): x itself where that is all of it, else a copy.

    Padding holds -inf, not 0, as a padded cell must never win.
    """
    (b, c, h, w), (height, width), (top, left), (seen_h, seen_w) = x.shape, windows.sheet, windows.before, windows.seen
    if (top, left, height, width) == (0, 0, h, w):
        return x
    sheet = scratch((b, c, height, width), x.dtype)
    below, right = top + seen_h, left + seen_w
    sheet[:, :, top:below, left:right] = x[:, :, :seen_h, :seen_w]
    for edge in (sheet[:, :, :top], sheet[:, :, below:], sheet[..., :left], sheet[..., right:]):
        edge.fill(-np.inf)
    return sheet


def neighbors_max(x: Array, k: int, step: int, keep_place: bool, nan: bool, scratch: Scratch) -> tuple[Array, Array | None]:
    """For each position p of the flattened array: the largest of x[p], x[p + step], ..., k of them, and which came first.

    Positions where no window starts are computed too, and at line ends two lines mix; the caller skips those. One long run is
    twice as fast as many short ones.
    """
    xp, n, flat, best = scratch.xp, x.size - (k - 1) * step, x.reshape(-1), scratch(x.shape, x.dtype)
    b, before = best.reshape(-1)[:n], flat[:n]  # before: the maximum so far
    place = scratch(x.shape, np.uint8) if keep_place else None
    if place is not None:
        p, spare = place.reshape(-1)[:n], scratch((n,), np.uint8)
        if k == 1:
            p.fill(0)
    if k == 1:
        b[...] = before
    for i in range(1, k):
        here = flat[i * step : i * step + n]
        if place is not None:
            won = p if i == 1 else spare
            larger(here, before, nan, won.view(np.bool_), xp)
            if i > 1:
                won *= i  # 0 where an earlier one keeps the maximum, else i, which is larger than any before
                xp.maximum(p, won, out=p)
        before = xp.maximum(before, here, out=b)
    return best, place


def every(stride: int, count: int) -> slice:
    """Where `count` windows begin."""
    return slice(0, stride * (count - 1) + 1, stride)


def max_pool(
    x: Array, windows: Windows, out: Array, rows: Array | None, columns: Array | None, nan: bool = False, *, scratch: Scratch
) -> None:
    """out = the maximum of each window, (B, C, OH, OW): of its columns first, then of those.

    rows (B, C, OH, SW) = the first row of each column of windows that reaches the maximum; columns (B, C, OH, OW) = the
    first column of the window that does. Both uint8, or None for outputs alone. nan: whether there may be a NaN.
    """
    (oh, ow), (kh, kw), (sh, sw) = windows.out, windows.kernel, windows.stride
    sheet = lay_sheet(x, windows, scratch)
    best, place = neighbors_max(sheet, kh, windows.sheet[1], rows is not None, nan, scratch)
    lines = scratch((*x.shape[:2], oh, windows.sheet[1]), x.dtype)
    lines[...] = best[:, :, every(sh, oh)]
    if rows is not None and place is not None:
        rows[...] = place[:, :, every(sh, oh)]
    best, place = neighbors_max(lines, kw, 1, columns is not None, nan, scratch)
    out[...] = best[..., every(sw, ow)]
    if columns is not None and place is not None:
        columns[...] = place[..., every(sw, ow)]


def spread_along(dout: Array, windows: Windows, columns: Array, dlines: Array, finite: bool, scratch: Scratch) -> None:
    """To the column that won: dlines (B, C, OH, SW) = the sum of what each of dout (B, C, OH, OW) sends there."""
    xp, begin = scratch.xp, every(windows.stride[1], windows.out[1])
    d, won = scratch(dlines.shape, dout.dtype), scratch(dlines.shape, np.uint8)
    d.fill(0)  # where no window begins; what `won` holds there then does not matter
    d[..., begin], won[..., begin] = dout, columns
    for j in range(windows.kernel[1]):
        n = d.size - j
        part = dlines.reshape(-1) if j == 0 else scratch((n,), d.dtype)
        passed_on(won.reshape(-1)[:n], j, d.reshape(-1)[:n], finite, part, xp)
        if j > 0:
            dlines.reshape(-1)[j:] += part


def spread_down(dlines: Array, windows: Windows, rows: Array, dx: Array, finite: bool, scratch: Scratch) -> None:
    """To the row that won: dx (B, C, H, W) = the sum of what each of dlines (B, C, OH, SW) sends there."""
    xp, left, w, stride = scratch.xp, windows.before[1], windows.seen[1], windows.stride[0]
    down = shifts(windows, 0)
    written = {row for _, at in down[:stride] for row in range(*at.indices(dx.shape[2]))}
    for row in set(range(dx.shape[2])) - written:
        dx[:, :, row].fill(0)
    dx[..., w:].fill(0)
    part = scratch(dlines.shape, dlines.dtype)
    for i, (to, at) in enumerate(down):
        passed_on(rows, i, dlines, finite, part, xp)
        if i < stride:  # no two of these reach the same row
            dx[:, :, at, :w] = part[:, :, to, left : left + w]
        else:
            dx[:, :, at, :w] += part[:, :, to, left : left + w]


def forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Any]:
    """Blocks of images; kept are the rows that won, (N, C, OH, SW), and the columns, (N, C, OH, OW)."""
    (n, c, h, w), windows = x.shape, asked.windows
    out, rows, columns = device.empty(asked.out_shape(n), x.dtype), None, None
    if asked.train:
        rows = device.empty((n, c, windows.out[0], windows.sheet[1]), np.uint8)
        columns = device.empty((n, c, *windows.out), np.uint8)

    def block(images: slice, scratch: Scratch) -> None:
        row, column = (None, None) if rows is None or columns is None else (rows[images], columns[images])
        max_pool(x[images], windows, out[images], row, column, scratch=scratch)
        if rows is not None and np.isnan(out[images].max()):
            max_pool(x[images], windows, out[images], row, column, True, scratch=scratch)
        apply(then, out[images], scratch)

    device.map_blocks(block, n, 2 * c * h * w * x.dtype.itemsize)
    return out, (rows, columns)


def backward(asked: Pooling, kept: Any, dout: Array, device: Device, grads: Grads) -> Array:
    """Blocks of images: from the windows to their columns, from those to the rows."""
    (rows, columns), windows = kept, asked.windows
    dx = device.empty(asked.x_shape(len(dout)), dout.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        dlines, finite = scratch(rows[images].shape, dout.dtype), all_finite(dout[images])
        spread_along(dout[images], windows, columns[images], dlines, finite, scratch)
        spread_down(dlines, windows, rows[images], dx[images], finite, scratch)

    device.map_blocks(block, len(dx), 2 * dx[:1].nbytes)
    return dx


def keeps(asked: Pooling) -> Keeps:
    """A byte for each column of windows, and one for each window."""
    windows = asked.windows
    return Keeps(own=asked.channels * windows.out[0] * (windows.sheet[1] + windows.out[1]))


def scratch_bytes(asked: Pooling, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: the sheet, its lines and the maxima of both, with a byte each for places."""
    windows = asked.windows
    elements = asked.channels * windows.sheet[1] * (windows.sheet[0] + windows.out[0])
    return bytes_of_blocks(elements * 2 * (asked.itemsize + 1), 0, n, workers)

"""Max pooling of NCHW images, first along the height of the windows, then along the width: KH + KW comparisons, not KH * KW.

backward needs for each window the cell (i, j) that won. j is kept for each window as `j_won` (B, C, OH, OW). i is kept as `i_won`
(B, C, OH, SW), because windows that overlap along the width share the maxima along the height.

If the result holds a NaN, it is computed again with slower comparisons, in which NaN wins. backward multiplies the bits of dout, read
as integers, by 0 or 1: so a NaN or an infinity leaves 0 in the cells that did not win, where 0 times infinity would be NaN.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.request import Grads, Keeps, Pooling, Then, apply
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows, shifts

LARGEST_KERNEL = 256  # i and j of the cell that won are kept as one byte each


def fits(asked: Pooling) -> bool:
    """Whether i and j of a cell fit one byte each."""
    return max(asked.windows.kernel) <= LARGEST_KERNEL


def pays(asked: Pooling, n: int) -> bool:
    """Always, if the row fits."""
    return fits(asked)


def larger(here: Array, before: Array, nan: bool, out: Array, xp: Any) -> Array:
    """out (bool) = whether `here` beats `before`, the maximum so far. With `nan`, the first NaN of a window beats every number."""
    xp.greater(here, before, out=out)
    if nan:
        out |= xp.isnan(here) & ~xp.isnan(before)
    return out


def bits(a: Array) -> Array:
    """The elements of an array of float32 or float64, read as unsigned integers of the same size, without a copy."""
    return a.view(np.uint32 if a.itemsize == 4 else np.uint64)


def passed_on(won: Array, cell: int, dout: Array, spare: Array, out: Array, xp: Any) -> None:
    """out = dout where won == cell, otherwise 0. dout, spare and out are `bits`: bits times 0 or 1, for NaN and infinity too.

    spare may be out; it is as fast as an array that lies in memory without gaps.
    """
    xp.equal(won, cell, out=spare)
    xp.multiply(spare, dout, out=out)


def lay_sheet(x: Array, windows: Windows, scratch: Scratch) -> Array:
    """The images with their padding, (B, C, SH, SW): x itself if that is the same array, otherwise a copy.

    The padding is -inf, not 0, because a padded cell must never win.
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


def neighbors_max(x: Array, k: int, step: int, keep_index: bool, nan: bool, scratch: Scratch) -> tuple[Array, Array | None]:
    """For each index p of the flattened array: the largest of x[p], x[p + step], ..., k of them, and which of the k is the first such.

    This is computed even where no window starts, and at the ends of lines, where two lines mix; the caller ignores these results. One
    long run is twice as fast as many short ones.
    """
    xp, n, flat, best = scratch.xp, x.size - (k - 1) * step, x.reshape(-1), scratch(x.shape, x.dtype)
    b, before = best.reshape(-1)[:n], flat[:n]  # before: the maximum so far
    index = scratch(x.shape, np.uint8) if keep_index else None
    if index is not None:
        first, spare = index.reshape(-1)[:n], scratch((n,), np.uint8)
        if k == 1:
            first.fill(0)
    if k == 1:
        b[...] = before
    for i in range(1, k):
        here = flat[i * step : i * step + n]
        if index is not None:
            won = first if i == 1 else spare
            larger(here, before, nan, won.view(np.bool_), xp)
            if i > 1:
                won *= i  # i where this element beats all before it, otherwise 0
                xp.maximum(first, won, out=first)
        before = xp.maximum(before, here, out=b)
    return best, index


def every(stride: int, count: int) -> slice:
    """The indices along an axis at which `count` windows begin."""
    return slice(0, stride * (count - 1) + 1, stride)


def max_pool(
    x: Array, windows: Windows, out: Array, i_won: Array | None, j_won: Array | None, nan: bool = False, *, scratch: Scratch
) -> None:
    """Fill out (B, C, OH, OW) with the maximum of each window, and i_won and j_won, uint8, unless they are None.

    i_won (B, C, OH, SW): for each output line and each position along the sheet's width, which of the KH cells is the first maximum.
    j_won (B, C, OH, OW): for each window, which of the KW maxima along the height is the first maximum.
    nan: whether x may hold a NaN.
    """
    (oh, ow), (kh, kw), (sh, sw) = windows.out, windows.kernel, windows.stride
    sheet = lay_sheet(x, windows, scratch)
    best, index = neighbors_max(sheet, kh, windows.sheet[1], i_won is not None, nan, scratch)
    lines = scratch((*x.shape[:2], oh, windows.sheet[1]), x.dtype)
    lines[...] = best[:, :, every(sh, oh)]
    if i_won is not None and index is not None:
        i_won[...] = index[:, :, every(sh, oh)]
    best, index = neighbors_max(lines, kw, 1, j_won is not None, nan, scratch)
    out[...] = best[..., every(sw, ow)]
    if j_won is not None and index is not None:
        j_won[...] = index[..., every(sw, ow)]


def spread_along(dout: Array, windows: Windows, j_won: Array, dlines: Array, scratch: Scratch) -> None:
    """Fill dlines (B, C, OH, SW): each element of dout (B, C, OH, OW) is added where its window's maximum along the width is."""
    xp, begin = scratch.xp, every(windows.stride[1], windows.out[1])
    d, won = scratch(dlines.shape, dout.dtype), scratch(dlines.shape, np.uint8)
    d.fill(0)  # where no window begins d is 0, so the value of `won` does not matter there
    d[..., begin], won[..., begin] = dout, j_won
    flat, won, d, n = dlines.reshape(-1), won.reshape(-1), bits(d).reshape(-1), d.size
    passed_on(won, 0, d, bits(flat), bits(flat), xp)
    part = scratch((n,), dlines.dtype)
    for j in range(1, windows.kernel[1]):
        passed_on(won[: n - j], j, d[: n - j], bits(part)[: n - j], bits(part)[: n - j], xp)
        flat[j:] += part[: n - j]


def spread_down(dlines: Array, windows: Windows, i_won: Array, dx: Array, scratch: Scratch) -> None:
    """Fill dx (B, C, H, W): each element of dlines (B, C, OH, SW) is added where the maximum along the height is."""
    xp, left, w, stride = scratch.xp, windows.before[1], windows.seen[1], windows.stride[0]
    down = shifts(windows, 0)
    written = {line for _, at in down[:stride] for line in range(*at.indices(dx.shape[2]))}
    for line in set(range(dx.shape[2])) - written:
        dx[:, :, line].fill(0)
    dx[..., w:].fill(0)
    part = scratch(dlines.shape, dlines.dtype)
    for i, (to, at) in enumerate(down):
        passed_on(i_won, i, bits(dlines), bits(part), bits(part), xp)
        if i < stride:  # the first `stride` cells of the windows lie on different lines of dx, so nothing is written twice
            dx[:, :, at, :w] = part[:, :, to, left : left + w]
        else:
            dx[:, :, at, :w] += part[:, :, to, left : left + w]


def forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Any]:
    """The maxima in blocks of images; i_won (N, C, OH, SW) and j_won (N, C, OH, OW) are kept. One image has blocks of channels."""
    (n, c, h, w), windows = x.shape, asked.windows
    out, i_won, j_won = device.empty(asked.out_shape(n), x.dtype), None, None
    whole = out
    if n == 1 and not asked.train:
        (n, c), x, out = (c, 1), x.reshape(c, 1, h, w), out.reshape(c, 1, *windows.out)
    if asked.train:
        i_won = device.empty((n, c, windows.out[0], windows.sheet[1]), np.uint8)
        j_won = device.empty((n, c, *windows.out), np.uint8)

    def block(images: slice, scratch: Scratch, nan: bool = False) -> None:
        i, j = (None, None) if i_won is None or j_won is None else (i_won[images], j_won[images])
        max_pool(x[images], windows, out[images], i, j, nan, scratch=scratch)
        apply(then, out[images], scratch)

    device.map_blocks(block, n, 2 * c * h * w * x.dtype.itemsize)
    if asked.train and np.isnan(out.max()):  # looked for once: threads wait for each other at every call into NumPy
        device.map_blocks(partial(block, nan=True), n, 2 * c * h * w * x.dtype.itemsize)
    return whole, (i_won, j_won)


def backward(asked: Pooling, kept: Any, dout: Array, device: Device, grads: Grads) -> Array:
    """dx in blocks of images: dout is first spread along the width, then along the height."""
    (i_won, j_won), windows = kept, asked.windows
    dx = device.empty(asked.x_shape(len(dout)), dout.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        dlines = scratch(i_won[images].shape, dout.dtype)
        spread_along(dout[images], windows, j_won[images], dlines, scratch)
        spread_down(dlines, windows, i_won[images], dx[images], scratch)

    device.map_blocks(block, len(dx), 2 * dx[:1].nbytes)
    return dx


def keeps(asked: Pooling) -> Keeps:
    """OH * SW bytes of `i_won` and OH * OW bytes of `j_won` for each channel."""
    windows = asked.windows
    return Keeps(own=asked.channels * windows.out[0] * (windows.sheet[1] + windows.out[1]))


def scratch_bytes(asked: Pooling, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: the sheet, the maxima along its height and those along both axes, each with indices of one byte."""
    windows = asked.windows
    elements = asked.channels * windows.sheet[1] * (windows.sheet[0] + windows.out[0])
    return bytes_of_blocks(elements * 2 * (asked.itemsize + 1), 0, n, workers)

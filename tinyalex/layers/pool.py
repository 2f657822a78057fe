"""Pooling (paper 3.4): windows that overlap where the stride is smaller than the kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, pair, require_bool, show, show_pair
from tinyalex.geometry import Windows, check_padding, shifts, windows_of
from tinyalex.layers.base import Layer, Then, apply
from tinyalex.layers.chwn import chwn, empty_chwn, is_chwn, max_along, spread
from tinyalex.layers.windows import images_first, images_last

Places = tuple[Array | None, Array | None]  # of the rows and of the columns that won


class Pool2d(Layer):
    """What both kinds of pooling share: where the windows lie.

    Both work first down the columns, then along the rows: two passes over KH and KW values instead of one over
    KH * KW. `shifts` tells which part of the input the i-th place of every window sees.
    """

    largest: float = math.inf  # what either side of the kernel may be

    def __init__(
        self,
        kernel_size: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        name: str = "pool",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        if max(self.kernel_size) > self.largest:
            raise ShapeError(f"{name}: kernel_size must be at most {self.largest}, got {self.kernel_size}")
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride)
        self.padding, self.ceil_mode = check_padding(name, padding), require_bool(name, "ceil_mode", ceil_mode)
        for side, k, widest in zip(("height", "width"), self.kernel_size, self._widest_padding(), strict=True):
            if widest >= k:
                raise ShapeError(f"{name}: padding must be below {k}, the kernel's {side}, got {widest}")

    def _widest_padding(self) -> tuple[int, int]:
        """The larger of top and bottom, and of left and right; "same" is always narrower than the kernel."""
        if isinstance(self.padding, str):
            return 0, 0
        top, bottom, left, right = self.padding
        return max(top, bottom), max(left, right)

    def windows(self, in_shape: tuple[int, ...]) -> Windows:
        """Where the windows lie on an input of shape (C, H, W)."""
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        return windows_of(self.name, in_shape[1:], self.kernel_size, self.stride, self.padding, self.ceil_mode, inside=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (in_shape[0], *self.windows(in_shape).out)

    def settings(self) -> str:
        text = f"kernel {show_pair(self.kernel_size)}, stride {show_pair(self.stride)}"
        padding = self.padding if isinstance(self.padding, str) or len(set(self.padding)) > 1 else self.padding[0]
        return text + (f", padding {padding}" if padding not in (0, "valid") else "") + (", ceil" if self.ceil_mode else "")


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


def neighbors_max(x: Array, k: int, step: int, keep_place: bool, scratch: Scratch) -> tuple[Array, Array | None]:
    """From every number on, the maximum of k numbers that lie `step` apart in memory; place = the first that reaches it.

    Also where no window begins and over the ends of lines, where it means nothing: work on all numbers in one run takes
    half the time of work on the right ones, line by line.
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
            xp.greater(here, before, out=won.view(np.bool_))
            if i > 1:
                won *= i  # 0 where an earlier one keeps the maximum, else i, which is larger than any before
                xp.maximum(p, won, out=p)
        before = xp.maximum(before, here, out=b)
    return best, place


def every(stride: int, count: int) -> slice:
    """Where `count` windows begin."""
    return slice(0, stride * (count - 1) + 1, stride)


def max_pool(x: Array, windows: Windows, out: Array, rows: Array | None, columns: Array | None, *, scratch: Scratch) -> None:
    """out = the maximum of each window, (B, C, OH, OW): of its columns first, then of those.

    rows (B, C, OH, SW) = the first row of each column of windows that reaches the maximum; columns (B, C, OH, OW) = the
    first column of the window that does. Both uint8, or None for outputs alone.
    """
    (oh, ow), (kh, kw), (sh, sw) = windows.out, windows.kernel, windows.stride
    sheet = lay_sheet(x, windows, scratch)
    best, place = neighbors_max(sheet, kh, windows.sheet[1], rows is not None, scratch)
    lines = scratch((*x.shape[:2], oh, windows.sheet[1]), x.dtype)
    lines[...] = best[:, :, every(sh, oh)]
    if rows is not None and place is not None:
        rows[...] = place[:, :, every(sh, oh)]
    best, place = neighbors_max(lines, kw, 1, columns is not None, scratch)
    out[...] = best[..., every(sw, ow)]
    if columns is not None and place is not None:
        columns[...] = place[..., every(sw, ow)]


def spread_along(dout: Array, windows: Windows, columns: Array, dlines: Array, scratch: Scratch) -> None:
    """To the place along the lines that won: dlines (B, C, OH, SW) = the sum of what each of dout (B, C, OH, OW) sends there."""
    xp, begin = scratch.xp, every(windows.stride[1], windows.out[1])
    d, won = scratch(dlines.shape, dout.dtype), scratch(dlines.shape, np.uint8)
    d.fill(0)  # where no window begins; what `won` holds there then does not matter
    d[..., begin], won[..., begin] = dout, columns
    for j in range(windows.kernel[1]):
        n = d.size - j
        part = dlines.reshape(-1) if j == 0 else scratch((n,), d.dtype)
        xp.equal(won.reshape(-1)[:n], j, out=part)
        part *= d.reshape(-1)[:n]
        if j > 0:
            dlines.reshape(-1)[j:] += part


def spread_down(dlines: Array, windows: Windows, rows: Array, dx: Array, scratch: Scratch) -> None:
    """To the row that won: dx (B, C, H, W) = the sum of what each of dlines (B, C, OH, SW) sends there."""
    xp, left, w, stride = scratch.xp, windows.before[1], windows.seen[1], windows.stride[0]
    down = shifts(windows, 0)
    written = {row for _, at in down[:stride] for row in range(*at.indices(dx.shape[2]))}
    for row in set(range(dx.shape[2])) - written:
        dx[:, :, row].fill(0)
    dx[..., w:].fill(0)
    part = scratch(dlines.shape, dlines.dtype)
    for i, (to, at) in enumerate(down):
        xp.equal(rows, i, out=part)
        part *= dlines
        if i < stride:  # no two of these reach the same row
            dx[:, :, at, :w] = part[:, :, to, left : left + w]
        else:
            dx[:, :, at, :w] += part[:, :, to, left : left + w]


class MaxPool2d(Pool2d):
    """The maximum of each window.

    Paper: section 3.4, kernel_size=3 and stride=2: "overlapping" pooling.

    Parameters
    ----------
    kernel_size, stride: an integer, or (height, width), at least 1; stride defaults to kernel_size, which is at most 256.
    padding: an integer below the kernel's, "same", "valid" or (top, bottom, left, right); a padded cell never wins.
    ceil_mode: count a last window that hangs over the edge, as the 2012 code and Caffe do.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: two uint8 places a window: the row that won in each column, and the column that won.

    Images that lie innermost in memory, as `FirstConv2d` leaves them, are pooled as they lie, and so is their dx.

    Gradient: dout goes to the cell that won. Ties: the leftmost column wins, and in it the topmost row. A
    window that sees nothing but -inf sends its gradient to its first cell: where that is padding, it is lost.

    Example
    -------
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    """

    largest = 256  # a place in a window is kept as one byte

    fuses = True

    def forward(self, x: Array, *, train: bool = False, then: Then | None = None) -> Array:
        self.check_x(x, "N C H W")
        windows, innermost = self.windows(x.shape[1:]), is_chwn(x)
        out = self.device.empty((*x.shape[:2], *windows.out), self.dtype)
        rows, columns = (self._forward_chwn if innermost else self._forward_nchw)(x, windows, out, train, then)
        if train:
            self.keep(out.shape, x.shape, windows, innermost, rows, columns)
        return out

    def backward(self, dout: Array) -> Array:
        shape, windows, innermost, rows, columns = self.take(dout)
        dx = empty_chwn(self.device, shape, self.dtype) if innermost else self.device.empty(shape, self.dtype)
        (self._backward_chwn if innermost else self._backward_nchw)(dout, windows, rows, columns, dx)
        return dx

    def _forward_nchw(self, x: Array, windows: Windows, out: Array, train: bool, then: Then | None) -> Places:
        """Fill `out`; the places returned are (N, C, OH, SW) and (N, C, OH, OW)."""
        (n, c, h, w), (oh, ow) = x.shape, windows.out
        rows = self.device.empty((n, c, oh, windows.sheet[1]), np.uint8) if train else None
        columns = self.device.empty((n, c, oh, ow), np.uint8) if train else None

        def block(images: slice, scratch: Scratch) -> None:
            places = (None, None) if rows is None or columns is None else (rows[images], columns[images])
            max_pool(x[images], windows, out[images], *places, scratch=scratch)
            apply(then, out[images], scratch)

        self.device.map_blocks(block, n, 2 * c * h * w * self.dtype.itemsize)
        return rows, columns

    def _backward_nchw(self, dout: Array, windows: Windows, rows: Array, columns: Array, dx: Array) -> None:
        def block(images: slice, scratch: Scratch) -> None:
            dlines = scratch(rows[images].shape, self.dtype)
            spread_along(dout[images], windows, columns[images], dlines, scratch)
            spread_down(dlines, windows, rows[images], dx[images], scratch)

        self.device.map_blocks(block, len(dx), 2 * dx[:1].nbytes)

    def _forward_chwn(self, x: Array, windows: Windows, out: Array, train: bool, then: Then | None) -> Places:
        """As `_forward_nchw`, in blocks of channels; the places returned are (C, OH, W, N) and (C, OH, OW, N)."""
        (n, c, h, w), (oh, ow) = x.shape, windows.out
        rows = self.device.empty((c, oh, w, n), np.uint8) if train else None
        columns = self.device.empty((c, oh, ow, n), np.uint8) if train else None

        def block(channels: slice, scratch: Scratch) -> None:
            row, column = (None, None) if rows is None or columns is None else (rows[channels], columns[channels])
            lines = max_along(chwn(x)[channels], windows, 0, row, scratch)
            images_first(max_along(lines, windows, 1, column, scratch), None, out[:, channels], scratch.xp)
            apply(then, out[:, channels], scratch)

        self.device.map_blocks(block, c, size=self.device.few_blocks(c, 3 * h * w * n * self.dtype.itemsize))
        return rows, columns

    def _backward_chwn(self, dout: Array, windows: Windows, rows: Array, columns: Array, dx: Array) -> None:
        n, c, h, w = dx.shape

        def block(channels: slice, scratch: Scratch) -> None:
            d, dlines = scratch(columns[channels].shape, self.dtype), scratch(rows[channels].shape, self.dtype)
            images_last(dout[:, channels], d)
            spread(d, windows, 1, columns[channels], dlines, scratch)
            spread(dlines, windows, 0, rows[channels], chwn(dx)[channels], scratch)

        self.device.map_blocks(block, c, size=self.device.few_blocks(c, 3 * h * w * n * self.dtype.itemsize))

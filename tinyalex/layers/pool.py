"""Pooling (paper 3.4): windows that overlap where the stride is smaller than the kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, require_bool, show
from tinyalex.layers.base import Layer, pair, show_pair
from tinyalex.layers.windows import Windows, check_padding, windows_of


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


def shifts(windows: Windows, axis: int) -> list[tuple[slice, slice]]:
    """For each place in a window along `axis` (0 height, 1 width): (windows whose place is inside the image, those places).

    A place in the padding belongs to no pair, so a padded cell can neither win a maximum nor count in an average.
    """
    n, k, s = windows.size[axis], windows.kernel[axis], windows.stride[axis]
    before, count = windows.before[axis], windows.out[axis]
    pairs = []
    for i in range(k):
        first = max(0, -(-(before - i) // s))  # the first window whose place i is not above the image
        last = min(count - 1, (n - 1 + before - i) // s)  # the last whose place i is not below it
        start = first * s + i - before
        inside = (slice(first, last + 1), slice(start, start + (last - first) * s + 1, s))
        pairs.append(inside if first <= last else (slice(0, 0), slice(0, 0)))
    return pairs


def max_down(x: Array, windows: Windows, sheet: Array, place: Array | None, scratch: Scratch) -> None:
    """The maximum of each window's columns; place = the first row that reaches it.

    x (B, C, H, W), sheet and place (B, C, OH, SW): columns of padding hold -inf, not 0, as a padded cell must never win.
    """
    xp, left, w = scratch.xp, windows.before[1], windows.seen[1]
    sheet.fill(-np.inf)
    best = sheet[..., left : left + w]
    if place is not None:
        place.fill(0)
    for i, (to, at) in enumerate(shifts(windows, 0)):
        b, here = best[:, :, to], x[:, :, at, :w]
        if place is not None and i:
            won = xp.greater(here, b, out=scratch(b.shape, np.bool_)).view(np.uint8)
            won *= i  # 0 where an earlier row keeps the maximum, else i, which is larger than any row before
            p = place[:, :, to, left : left + w]
            xp.maximum(p, won, out=p)
        xp.maximum(b, here, out=b)


def max_along(sheet: Array, windows: Windows, out: Array, place: Array | None, scratch: Scratch) -> None:
    """The maximum of each window's row of `sheet` (B, C, OH, SW); place = the first column that reaches it. Both (B, C, OH, OW).

    The maximum is taken over KW neighbors everywhere and then at every stride-th place: contiguous work on twice the
    numbers takes half the time of strided work on the right ones.
    """
    xp, kw, last = scratch.xp, windows.kernel[1], windows.stride[1] * (windows.out[1] - 1) + 1
    flat = sheet.reshape(-1)
    best = scratch(sheet.shape, sheet.dtype)
    best[...] = sheet
    first = scratch(sheet.shape, np.uint8) if place is not None else None
    if first is not None:
        first.fill(0)
    for j in range(1, kw):
        b, here = best.reshape(-1)[:-j], flat[j:]
        if first is not None:
            won = xp.greater(here, b, out=scratch(b.shape, np.bool_)).view(np.uint8)
            won *= j
            f = first.reshape(-1)[:-j]
            xp.maximum(f, won, out=f)
        xp.maximum(b, here, out=b)
    out[...] = best[..., : last : windows.stride[1]]
    if place is not None and first is not None:
        place[...] = first[..., : last : windows.stride[1]]


def spread_along(dout: Array, windows: Windows, place: Array, dsheet: Array, scratch: Scratch) -> None:
    """The transpose of max_along: each of `dout` is added at the column of `dsheet` that won."""
    xp, kw, last = scratch.xp, windows.kernel[1], windows.stride[1] * (windows.out[1] - 1) + 1
    d, won = scratch(dsheet.shape, dout.dtype), scratch(dsheet.shape, np.uint8)
    d.fill(0)
    won.fill(0)
    d[..., : last : windows.stride[1]] = dout
    won[..., : last : windows.stride[1]] = place
    dsheet.fill(0)
    for j in range(kw):
        n = d.size - j
        part = xp.equal(won.reshape(-1)[:n], j, out=scratch((n,), d.dtype))
        part *= d.reshape(-1)[:n]
        dsheet.reshape(-1)[j:] += part


def spread_down(dsheet: Array, windows: Windows, place: Array, dx: Array, scratch: Scratch) -> None:
    """The transpose of max_down: each of `dsheet` is added at the row of `dx` that won."""
    xp, left, w = scratch.xp, windows.before[1], windows.seen[1]
    dx.fill(0)
    for i, (to, at) in enumerate(shifts(windows, 0)):
        d = dsheet[:, :, to, left : left + w]
        part = xp.equal(place[:, :, to, left : left + w], i, out=scratch(d.shape, d.dtype))
        part *= d
        dx[:, :, at, :w] += part


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

    Gradient: dout goes to the cell that won. Ties: the leftmost column wins, and in it the topmost row. A
    window that sees nothing but -inf sends its gradient to its first cell: where that is padding, it is lost.

    Example
    -------
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    """

    largest = 256  # a place in a window is kept as one byte

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        windows, (n, c, h, w) = self.windows(x.shape[1:]), x.shape
        (oh, ow), (_, sw) = windows.out, windows.sheet
        out = self.device.empty((n, c, oh, ow), self.dtype)
        rows = self.device.empty((n, c, oh, sw), np.uint8) if train else None
        columns = self.device.empty((n, c, oh, ow), np.uint8) if train else None

        def block(images: slice, scratch: Scratch) -> None:
            sheet = scratch((len(out[images]), c, oh, sw), self.dtype)
            max_down(x[images], windows, sheet, None if rows is None else rows[images], scratch)
            max_along(sheet, windows, out[images], None if columns is None else columns[images], scratch)

        self.device.map_blocks(block, n, 2 * c * h * w * self.dtype.itemsize)
        if train:
            self.keep(out.shape, x.shape, windows, rows, columns)
        return out

    def backward(self, dout: Array) -> Array:
        shape, windows, rows, columns = self.take(dout)
        dx = self.device.empty(shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            dsheet = scratch(rows[images].shape, self.dtype)
            spread_along(dout[images], windows, columns[images], dsheet, scratch)
            spread_down(dsheet, windows, rows[images], dx[images], scratch)

        self.device.map_blocks(block, len(dx), 2 * dx[:1].nbytes)
        return dx


class AvgPool2d(Pool2d):
    """The mean of what each window sees of the image: padded cells do not count.

    Paper: not in AlexNet; the authors' CIFAR-10 nets pool by averages in their second and third stage.

    Parameters, Raises: as MaxPool2d.

    Cache: the shape of x.

    Gradient: each cell of a window gets its share dout / (cells inside).
    """

    def _shares(self, windows: Windows) -> Array:
        """1 / (cells that each window sees), (OH, OW)."""
        counts = []
        for axis in (0, 1):
            count = np.zeros(windows.out[axis])
            for to, _ in shifts(windows, axis):
                count[to] += 1
            counts.append(count)
        return self.device.asarray((1 / np.outer(*counts)).astype(self.dtype))

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        windows, (n, c, h, w) = self.windows(x.shape[1:]), x.shape
        down, along, shares = shifts(windows, 0), shifts(windows, 1), self._shares(windows)
        out = self.device.empty((n, c, *windows.out), self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            rows = scratch((len(out[images]), c, windows.out[0], w), self.dtype)  # (B, C, OH, W)
            rows.fill(0)
            for to, at in down:
                rows[:, :, to] += x[images][:, :, at]
            total = out[images]
            total.fill(0)
            for to, at in along:
                total[..., to] += rows[..., at]
            total *= shares

        self.device.map_blocks(block, n, 2 * c * h * w * self.dtype.itemsize)
        if train:
            self.keep(out.shape, x.shape, windows, shares)
        return out

    def backward(self, dout: Array) -> Array:
        shape, windows, shares = self.take(dout)
        down, along = shifts(windows, 0), shifts(windows, 1)
        dx = self.device.empty(shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            d = scratch(dout[images].shape, self.dtype)
            scratch.xp.multiply(dout[images], shares, out=d)
            rows = scratch((len(d), shape[1], windows.out[0], shape[3]), self.dtype)  # (B, C, OH, W)
            rows.fill(0)
            for to, at in along:
                rows[..., at] += d[..., to]
            part = dx[images]
            part.fill(0)
            for to, at in down:
                part[:, :, at] += rows[:, :, to]

        self.device.map_blocks(block, len(dx), 2 * dx[:1].nbytes)
        return dx

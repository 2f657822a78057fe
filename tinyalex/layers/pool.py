"""Pooling (paper 3.4): one output for each window. Windows overlap if the stride is smaller than the kernel.

**The maximum.** out = the largest cell of a window. A small change of the largest cell changes out by the same amount, and a small
change of any other cell does not change out. So the gradient of a window goes to the cell that won. A pixel that wins in several
windows gets the sum of their gradients. Ties: of equal cells the leftmost wins, and of several leftmost cells the topmost. Padding
is -inf, not 0, because a padded cell must never win. A NaN beats every number, and of several NaNs the same rule chooses one.

**The mean.** out = (the sum of the cells of a window that lie on the image) / (the number of cells that count). The gradient of each
cell on the image is dout / (the number of cells that count). Those on the image always count. Padded cells, whose value is 0, count with
`count_padding`, but not the cells beyond the padding, which only a last window of `ceil_mode` sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, pair, require_bool, show, show_pair
from tinyalex.fast.layout import is_chwn
from tinyalex.fast.request import Keeps, Pooling, Row, Then
from tinyalex.fast.table import check_algorithm, check_fits, choose
from tinyalex.geometry import Windows, check_padding, kept_windows, padding_of
from tinyalex.layers.base import Layer
from tinyalex.layers.columns import cells, padded, unpadded
from tinyalex.layers.facts import Facts


def max_pool(x: Array, windows: Windows, xp: Any = np) -> tuple[Array, Array]:
    """The maximum of each window, and which cell won: the cell in row i and column j of the window has the number i + KH j.

    x (N, C, H, W); both results (N, C, OH, OW), the second one int32.
    """
    sheet = padded(x, windows, -np.inf, xp)
    out = xp.full((*x.shape[:2], *windows.out), -np.inf, x.dtype)
    winner = xp.zeros(out.shape, np.int32)
    for i, j, at in cells(windows):
        wins = (sheet[at] > out) | (xp.isnan(sheet[at]) & ~xp.isnan(out))
        out = xp.where(wins, sheet[at], out)
        winner = xp.where(wins, np.int32(i + windows.kernel[0] * j), winner)
    return out, winner


def max_pool_backward(dout: Array, winner: Array, windows: Windows, xp: Any = np) -> Array:
    """dx: each element of dout is added to the pixel that won the window. dout, winner (N, C, OH, OW), result (N, C, H, W)."""
    dsheet = xp.zeros((*dout.shape[:2], *windows.sheet), dout.dtype)
    for i, j, at in cells(windows):
        dsheet[at] += xp.where(winner == i + windows.kernel[0] * j, dout, 0)  # not a product: 0 * inf is NaN
    return unpadded(dsheet, windows, xp)


def cells_that_count(windows: Windows, dtype: Any, xp: Any = np) -> Array:
    """How many cells of each window count in its mean: those on the image, and those of the padding if it counts. (OH, OW)."""
    (h, w), (y, x), (top, bottom, left, right) = windows.size, windows.before, windows.counted
    sheet = xp.zeros(windows.sheet, dtype)
    sheet[y - top : y + h + bottom, x - left : x + w + right] = 1
    return sum(sheet[at] for _, _, at in cells(windows))


def avg_pool(x: Array, windows: Windows, xp: Any = np) -> Array:
    """The mean of the cells of each window that count. x (N, C, H, W), result (N, C, OH, OW)."""
    sheet = padded(x, windows, 0, xp)
    return sum(sheet[at] for _, _, at in cells(windows)) / cells_that_count(windows, x.dtype, xp)


def avg_pool_backward(dout: Array, windows: Windows, xp: Any = np) -> Array:
    """dx: each cell on the image gets dout / (the number of cells that count). dout (N, C, OH, OW), result (N, C, H, W)."""
    share = dout / cells_that_count(windows, dout.dtype, xp)
    dsheet = xp.zeros((*dout.shape[:2], *windows.sheet), dout.dtype)
    for _, _, at in cells(windows):
        dsheet[at] += share
    return unpadded(dsheet, windows, xp)


class Pool2d(Layer):
    """What max pooling and average pooling share: the windows, and the row of the table that computes."""

    operation: str
    plain: tuple[Callable[..., Any], Callable[..., Any]]
    remembers: bool  # see `Pooling`
    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"kernel_size", "stride", "padding", "ceil_mode", "algorithm"}

    def __init__(
        self,
        kernel_size: Any,
        *,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        algorithm: str = "auto",
        name: str = "pool",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride)
        self.padding, self.ceil_mode = check_padding(name, padding), require_bool(name, "ceil_mode", ceil_mode)
        for side, k, widest in zip(("height", "width"), self.kernel_size, self._widest_padding(), strict=True):
            if widest >= k:
                raise ShapeError(f"{name}: padding must be below {k}, the kernel's {side}, got {widest}")
        self.algorithm = check_algorithm(name, self.operation, algorithm)
        check_fits(name, self._asked(Windows((1, 1), self.kernel_size, self.stride, (0, 0), (1, 1)), 1), self.algorithm)

    def _widest_padding(self) -> tuple[int, int]:
        """The larger padding along the height and along the width; 0 for "same", which is always smaller than the kernel."""
        if isinstance(self.padding, str):
            return 0, 0
        top, bottom, left, right = self.padding
        return max(top, bottom), max(left, right)

    def forward(self, x: Array, *, train: bool = False, then: Then | None = None) -> Array:
        self.check_x(x, "N C H W")
        asked = self._asked(self.windows(x.shape[1:]), x.shape[1], train, self.device.kind == "cpu" and is_chwn(x))
        row = self.row(asked, len(x))
        out, kept = row.forward(asked, x, self.device, then)
        if train:
            self.keep(out.shape, row, asked, kept)
        return out

    def backward(self, dout: Array) -> Array:
        row, asked, kept = self.take(dout)
        return row.backward(asked, kept, dout, self.device, self.grads)

    def asked(self, in_shape: tuple[int, ...]) -> Pooling:
        """The request to `fast.table` for images of shape (C, H, W) that are NCHW in memory."""
        return self._asked(self.windows(in_shape), in_shape[0])

    def _asked(self, windows: Windows, channels: int, train: bool = True, innermost: bool = False) -> Pooling:
        return Pooling(self.plain, windows, channels, self.dtype.itemsize, self.remembers, train, innermost)

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        asked = self.asked(in_shape)
        compared = math.prod(asked.windows.kernel) * math.prod(asked.out_shape(1)) if self.remembers else 0
        draws = "max" if self.remembers else "mean"
        return Facts(keeps=self.row(asked, n).keeps(asked), windows=asked.windows, draws=draws, comparisons=compared)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        asked = self.asked(in_shape)
        return self.row(asked, n).scratch(asked, n, backward, workers)

    def row(self, asked: Pooling, n: int) -> Row:
        """The row of `fast.table` that serves the request for n images."""
        return choose(asked, n, self.device, self.algorithm)

    def windows(self, in_shape: tuple[int, ...]) -> Windows:
        """The windows of this layer on an input of shape (C, H, W)."""
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        return kept_windows(self.name, tuple(in_shape[1:]), self.kernel_size, self.stride, self.padding, self.ceil_mode, inside=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (in_shape[0], *self.windows(in_shape).out)

    def settings(self) -> str:
        text = f"kernel {show_pair(self.kernel_size)}, stride {show_pair(self.stride)}"
        padding = self.padding if isinstance(self.padding, str) or len(set(self.padding)) > 1 else self.padding[0]
        text += (f", padding {padding}" if padding not in (0, "valid") else "") + (", ceil" if self.ceil_mode else "")
        return text + ("" if self.algorithm == "auto" else f", {self.algorithm}")


class MaxPool2d(Pool2d):
    """The maximum of each window.

    Paper: section 3.4; its "overlapping" pooling has kernel_size=3 and stride=2.

    Parameters
    ----------
    kernel_size, stride: an integer, or (height, width), at least 1; stride defaults to kernel_size.
    padding: an integer below kernel_size, "same", "valid" or (top, bottom, left, right); a padded cell never wins.
    ceil_mode: whether a last window that reaches beyond the edge counts, as in the authors' code of 2012 and in Caffe.
    algorithm: the row of `tinyalex.fast.table` that computes: "plain" calls the functions above; "runs" is faster, and "innermost"
        is faster for images that are CHWN in memory; "auto" takes the faster one for the order of the images in memory.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: which cell won in each window. With "plain" this takes 4 OH OW bytes for each channel of an image, otherwise
    OH (OW + SW) bytes, where SW is the width of the image with its padding.

    Gradient: dout goes to the cell that won. Ties: the leftmost cell wins, and of several leftmost cells the topmost. If all cells
    of a window are -inf, its gradient goes to the first cell, and is lost if that cell is padding.

    Example
    -------
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    """

    operation, plain, remembers = "max pooling", (max_pool, max_pool_backward), True


class AvgPool2d(Pool2d):
    """The mean of the cells of each window that lie on the image.

    Paper: not in AlexNet; the second and the third pooling layer of the authors' CIFAR-10 nets compute means.

    Parameters
    ----------
    count_padding: whether the cells of `padding` count in the mean, as zeros: "count_include_pad" of PyTorch, where it is the default, and
        the rule of Caffe. Cells beyond the padding, which a last window of `ceil_mode` sees, never count.
    The others, Raises: as in MaxPool2d, but `algorithm` is "plain", "matrices" or "auto".

    Cache: nothing.

    Gradient: each cell on the image gets dout / (the number of cells that count in its window).

    Example
    -------
    >>> x = np.ones((1, 1, 2, 2), np.float32)
    >>> AvgPool2d(2, stride=1, padding=(1, 0, 0, 0), count_padding=True).forward(x).ravel().tolist()
    [0.5, 1.0]
    """

    operation, plain, remembers = "average pooling", (avg_pool, avg_pool_backward), False
    fixed: ClassVar[frozenset[str]] = Pool2d.fixed | {"count_padding"}

    def __init__(self, kernel_size: Any, *, count_padding: bool = False, name: str = "pool", **settings: Any) -> None:
        self.count_padding = require_bool(name, "count_padding", count_padding)
        super().__init__(kernel_size, name=name, **settings)

    def windows(self, in_shape: tuple[int, ...]) -> Windows:
        found = super().windows(in_shape)
        if not self.count_padding:
            return found
        return replace(found, counted=padding_of(found.size, self.kernel_size, self.stride, self.padding))

    def settings(self) -> str:
        return super().settings() + (", padding counts" if self.count_padding else "")


class GlobalAvgPool2d(Layer):
    """The mean of each channel over all its places: (N, C, H, W) becomes (N, C).

    Paper: after AlexNet: Lin, Chen and Yan 2013; GoogLeNet, ResNet and DenseNet end with it in the place of fully connected layers.

    Raises
    ------
    ShapeError: an input that is not (N, C, H, W).

    Cache: the shape of x.

    Gradient: out_nc = 1/(H W) * sum over h, w of x_nchw, so each place gets dx_nchw = dout_nc / (H W).

    Example
    -------
    >>> GlobalAvgPool2d().forward(np.array([[[[1.0, 2.0], [3.0, 6.0]]]], np.float32)).tolist()
    [[3.0]]
    """

    def __init__(self, *, name: str = "gap", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name, device, dtype)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        out = self.device.empty(x.shape[:2], self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            out[images] = x[images].mean(axis=(2, 3))

        self.device.map_blocks(block, len(x), x[:1].nbytes)
        if train:
            self.keep(out.shape, x.shape)
        return out

    def backward(self, dout: Array) -> Array:
        (shape,) = self.take(dout)
        dx = self.device.empty(shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            dx[images] = dout[images][:, :, None, None]
            dx[images] /= shape[2] * shape[3]

        self.device.map_blocks(block, len(dx), dx[:1].nbytes)
        return dx

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(), sees_all=True, draws="mean")

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        return 0

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        return in_shape[:1]

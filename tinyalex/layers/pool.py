"""Pooling (paper 3.4): one value for each window. Windows overlap where the stride is smaller than the kernel.

**The maximum.** out = the largest cell of a window, so that a small change of that cell changes out as much, and a small change
of any other cell changes nothing: the gradient of a window goes to the cell that won. A pixel that wins in several overlapping
windows gets the sum of their gradients. Ties: of equal cells the first wins, in the leftmost column the topmost. Padding is
-inf, not 0: a padded cell must never win. A NaN beats every number, and the first NaN of a window wins.

**The mean.** out = the sum of the cells of a window that lie on the image, over their number; each of them gets dout over that
number. Padded cells do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, pair, require_bool, show, show_pair
from tinyalex.fast.layout import is_chwn
from tinyalex.fast.request import Pooling, Row, Then
from tinyalex.fast.table import check_algorithm, check_fits, choose
from tinyalex.geometry import Windows, check_padding, windows_of
from tinyalex.layers.base import Layer
from tinyalex.layers.columns import cells, padded, unpadded
from tinyalex.layers.facts import Facts


def max_pool(x: Array, windows: Windows, xp: Any = np) -> tuple[Array, Array]:
    """The maximum of each window, and which cell it was: i + KH j, the cells (i, j) counted down the columns from the left.

    x (N, C, H, W), both results (N, C, OH, OW), the second of int32.
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
    """dx: each of dout is added to the cell that won its window. dout, winner (N, C, OH, OW), result (N, C, H, W)."""
    dsheet = xp.zeros((*dout.shape[:2], *windows.sheet), dout.dtype)
    for i, j, at in cells(windows):
        dsheet[at] += xp.where(winner == i + windows.kernel[0] * j, dout, 0)  # not a product: 0 times infinity is no number
    return unpadded(dsheet, windows, xp)


def cells_on_image(windows: Windows, dtype: Any, xp: Any = np) -> Array:
    """How many cells of each window lie on the image: (OH, OW)."""
    sheet = padded(xp.ones((1, 1, *windows.size), dtype), windows, 0, xp)
    return sum(sheet[at] for _, _, at in cells(windows))[0, 0]


def avg_pool(x: Array, windows: Windows, xp: Any = np) -> Array:
    """The mean of what each window sees of the image. x (N, C, H, W), result (N, C, OH, OW)."""
    sheet = padded(x, windows, 0, xp)
    return sum(sheet[at] for _, _, at in cells(windows)) / cells_on_image(windows, x.dtype, xp)


def avg_pool_backward(dout: Array, windows: Windows, xp: Any = np) -> Array:
    """dx: each cell of a window gets dout over the number of its cells. dout (N, C, OH, OW), result (N, C, H, W)."""
    share = dout / cells_on_image(windows, dout.dtype, xp)
    dsheet = xp.zeros((*dout.shape[:2], *windows.sheet), dout.dtype)
    for _, _, at in cells(windows):
        dsheet[at] += share
    return unpadded(dsheet, windows, xp)


class Pool2d(Layer):
    """What both kinds of pooling share: where the windows lie, and which row of the table computes."""

    operation: str
    plain: tuple[Callable[..., Any], Callable[..., Any]]
    remembers: bool
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
        """The larger of top and bottom, and of left and right; "same" is always narrower than the kernel."""
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
        """What this layer asks of `fast.table` for images of shape (C, H, W) in the usual order."""
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
        """The row of `fast.table` that computes what is asked for n images."""
        return choose(asked, n, self.device.kind, self.algorithm)

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
        text += (f", padding {padding}" if padding not in (0, "valid") else "") + (", ceil" if self.ceil_mode else "")
        return text + ("" if self.algorithm == "auto" else f", {self.algorithm}")


class MaxPool2d(Pool2d):
    """The maximum of each window.

    Paper: section 3.4, kernel_size=3 and stride=2: "overlapping" pooling.

    Parameters
    ----------
    kernel_size, stride: an integer, or (height, width), at least 1; stride defaults to kernel_size.
    padding: an integer below the kernel's, "same", "valid" or (top, bottom, left, right); a padded cell never wins.
    ceil_mode: count a last window that hangs over the edge, as the 2012 code and Caffe do.
    algorithm: the row of `tinyalex.fast.table`: "plain" for the functions above; "runs" and "innermost" for faster ones, the
        second for images that lie innermost in memory; "auto" takes the one for the order of the images.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: which cell won each window: two bytes, of its row and its column, or with "plain" four.

    Gradient: dout goes to the cell that won. Ties: the leftmost column wins, and in it the topmost row. A
    window that sees nothing but -inf sends its gradient to its first cell: where that is padding, it is lost.

    Example
    -------
    >>> MaxPool2d(3, stride=2).output_shape((96, 55, 55))
    (96, 27, 27)
    """

    operation, plain, remembers = "max pooling", (max_pool, max_pool_backward), True


class AvgPool2d(Pool2d):
    """The mean of what each window sees of the image: padded cells do not count.

    Paper: not in AlexNet; the authors' CIFAR-10 nets pool by averages in their second and third stage.

    Parameters, Raises: as MaxPool2d, with the rows "plain" and "matrices".

    Cache: nothing.

    Gradient: each cell of a window gets its share dout / (cells inside).
    """

    operation, plain, remembers = "average pooling", (avg_pool, avg_pool_backward), False

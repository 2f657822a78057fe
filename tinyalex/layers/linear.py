"""Fully connected layers, and the flattening before the first of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, require_bool, require_int, show
from tinyalex.init import Gaussian, Init, zeros
from tinyalex.layers.base import Layer
from tinyalex.layers.windows import SMALL_PRODUCT

LONG = 256  # rows of a product that runs near the full speed of BLAS
FEW_IMAGES = 8


class Flatten(Layer):
    """(N, C, H, W) to (N, C * H * W), channel by channel. No copy where the input is contiguous.

    Cache: the shape of x.
    """

    def __init__(self, *, name: str = "flatten", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name, device, dtype)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x)
        with self.device.activate():  # the input may lie apart: then this copies
            out = x.reshape(len(x), -1)
        if train:
            self.keep(out.shape, x.shape)
        return out

    def backward(self, dout: Array) -> Array:
        (shape,) = self.take(dout)
        with self.device.activate():
            return dout.reshape(shape)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(in_shape),)


def product(weight: Array, x: Array, out: Array, xp: Any, at_once: int) -> None:
    """out = weight x^T: (F, C) @ (C, N), so many rows of the weight at a time.

    In this order BLAS reads the weight as it lies; x weight^T, the same numbers, takes up to twice as long. `dot`, not
    `matmul`: that one keeps Python's lock while it multiplies by a single image, so that only one worker gets on.
    """
    for first in range(0, len(weight), at_once):
        rows = slice(first, first + at_once)
        xp.dot(weight[rows], x.T, out=out[rows])


class Linear(Layer):
    """out = x weight^T + bias.

    Paper: section 3.5, the fully connected layers fc6, fc7, fc8.

    Parameters
    ----------
    in_features, out_features: at least 1; weight is (out_features, in_features).
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`.
    rng: the generator the weights are drawn from.
    input_gradient: False in a first layer: backward then returns None and saves a third of its work.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x (N, in_features).

    Gradient: out_nk = sum_c x_nc w_kc + b_k, so dx = dout weight, dweight = dout^T x, dbias = sum_n dout_n.
    The products are divided by rows of the result, not by images: every weight is then read once for the whole batch.

    Example
    -------
    >>> fc8 = Linear(4096, 1000, rng=np.random.default_rng(0), name="fc8")
    >>> fc8.params["weight"].shape
    (1000, 4096)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: np.random.Generator,
        weight_init: Init = Gaussian(0.01),  # noqa: B008 - immutable
        bias_init: Init = zeros,
        input_gradient: bool = True,
        name: str = "linear",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.in_features = require_int(name, "in_features", in_features)
        self.out_features = require_int(name, "out_features", out_features)
        self.input_gradient = require_bool(name, "input_gradient", input_gradient)
        self.draw_param("weight", (self.out_features, self.in_features), weight_init, rng)
        self.draw_param("bias", (self.out_features,), bias_init, rng)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N F")
        self.output_shape(x.shape[1:])
        weight, bias = self.params["weight"], self.params["bias"]
        out = self.device.empty((len(x), self.out_features), self.dtype)

        def block(features: slice, scratch: Scratch) -> None:
            part = scratch((features.stop - features.start, len(x)), self.dtype)
            product(weight[features], x, part, scratch.xp, self._rows_at_once(x))
            scratch.xp.add(part.T, bias[features], out=out[:, features])

        self.device.map_blocks(block, self.out_features, size=self._block_size(self.out_features, self.in_features, len(x)))
        if train:
            self.keep(out.shape, x)
        return out

    def backward(self, dout: Array) -> Array | None:
        (x,) = self.take(dout)
        xp, weight, dweight, dbias = self.device.xp, self.params["weight"], self.grads["weight"], self.grads["bias"]

        def weight_block(features: slice, scratch: Scratch) -> None:
            part = scratch((features.stop - features.start, self.in_features), self.dtype)
            dweight[features] += xp.matmul(dout[:, features].T, x, out=part)
            dbias[features] += dout[:, features].sum(axis=0)

        self.device.map_blocks(weight_block, self.out_features, size=self._block_size(self.out_features, self.in_features, len(x)))
        if not self.input_gradient:
            return None
        dx = self.device.empty(x.shape, self.dtype)

        def input_block(features: slice, scratch: Scratch) -> None:
            part = scratch((len(x), features.stop - features.start), self.dtype)
            dx[:, features] = xp.matmul(dout, weight[:, features], out=part)

        self.device.map_blocks(input_block, self.in_features, size=self._block_size(self.in_features, self.out_features, len(x)))
        return dx

    def _block_size(self, rows: int, across: int, n: int) -> int:
        """Rows of a product for n images, with what one of them works with, its weights and its results.

        On a CPU twice as many as fit the cache: a product of `LONG` rows runs at the full speed of BLAS, and reads weights once.
        """
        size = self.device.block_size(rows, (across + n) * self.dtype.itemsize)
        return max(size, min(2 * size, LONG, rows)) if self.device.kind == "cpu" else size

    def _rows_at_once(self, x: Array) -> int:
        """Rows of the weight that are multiplied in one call."""
        few = self.device.kind == "cpu" and 1 < len(x) <= FEW_IMAGES
        return max(1, SMALL_PRODUCT // x.size) if few else self.out_features

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if tuple(in_shape) != (self.in_features,):
            raise ShapeError(f"{self.name}: x must have shape (N, {self.in_features}), got {show(('N', *in_shape))}")
        return (self.out_features,)

    def settings(self) -> str:
        return f"{self.in_features}->{self.out_features}"

"""Locally connected layers: like a convolution, but each window has filters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import ShapeError, pair, require_bool, require_int, show, show_pair
from tinyalex.fast.columns import col2im, im2col
from tinyalex.fast.layout import images_first, images_last
from tinyalex.fast.request import columns_of_image, size_of
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows, check_padding, windows_of
from tinyalex.init import Gaussian, Init, zeros
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts, elements
from tinyalex.parameters import last_given


def local_forward(x: Array, weight: Array, bias: Array, windows: Windows, out: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """out[n, k, y, z] = bias[y, z, k] + sum over c, i, j of weight[y, z, k, c, i, j] * window(y, z)[n, c, i, j].

    There is one product for each of the L = OH * OW windows: (K, C * KH * KW) @ (C * KH * KW, B).
    x (B, C, H, W), weight (OH, OW, K, C, KH, KW), bias (OH, OW, K), out (B, K, OH, OW).
    """
    b, (oh, ow, k) = len(x), bias.shape
    wide = scratch((k, oh, ow, b), x.dtype)
    scratch.xp.matmul(weight.reshape(oh * ow, k, -1), _columns(x, windows, scratch), out=_by_window(wide))  # (L, K, B)
    images_first(wide, bias.transpose(2, 0, 1), out, scratch.xp)


def local_backward_weight(x: Array, dout: Array, windows: Windows, scratch: Scratch = NEW_ARRAYS) -> Array:
    """dweight (L, K, C * KH * KW). In each window out = weight @ col + bias, so dweight = dout @ col^T. dout (B, K, OH, OW)."""
    col = _columns(x, windows, scratch)  # (L, C * KH * KW, B)
    d = _by_window(_images_innermost(dout, scratch))  # (L, K, B)
    dweight = scratch((d.shape[0], d.shape[1], col.shape[1]), x.dtype)
    return scratch.xp.matmul(d, col.swapaxes(1, 2), out=dweight)


def local_backward_input(dout: Array, weight: Array, windows: Windows, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """Fill dx (B, C, H, W). In each window out = weight @ col + bias, so dcol = weight^T @ dout; dx is col2im of dcol."""
    b, k, oh, ow = dout.shape
    d = _by_window(_images_innermost(dout, scratch))  # (L, K, B)
    weight_t = weight.reshape(oh * ow, k, -1).swapaxes(1, 2)  # (L, C * KH * KW, K)
    dcol = scratch((weight_t.shape[1], oh, ow, b), dout.dtype)
    scratch.xp.matmul(weight_t, d, out=_by_window(dcol))
    col2im(dcol, windows, dx, scratch)


def strip(x: Array, windows: Windows, lines: slice) -> tuple[Array, Windows]:
    """For some lines of the output: x from the first line that their windows see, and these windows on this part of x."""
    (h, w), (top, left) = windows.size, windows.before
    start = lines.start * windows.stride[0] - top  # this may lie above the image, or with much padding below it
    first = min(max(start, 0), h)
    out = lines.stop - lines.start, windows.out[1]
    return x[:, :, first:], replace(windows, size=(h - first, w), before=(max(-start, 0), left), out=out)


def _columns(x: Array, windows: Windows, scratch: Scratch) -> Array:
    """A matrix for each window, which holds what the window sees of each image: (L, C * KH * KW, B)."""
    (col,) = im2col(x, windows, 1, scratch)  # (C * KH * KW, OH * OW * B)
    return _by_window(col.reshape(len(col), *windows.out, len(x)))


def _images_innermost(dout: Array, scratch: Scratch) -> Array:
    """A copy of dout (B, K, OH, OW) as (K, OH, OW, B)."""
    b, k, oh, ow = dout.shape
    d = scratch((k, oh, ow, b), dout.dtype)
    images_last(dout, d)
    return d


def _by_window(a: Array) -> Array:
    """(M, OH, OW, B) as (L, M, B), a view: `matmul` can read and write rows that are not adjacent in memory."""
    m, oh, ow, b = a.shape
    return a.reshape(m, oh * ow, b).swapaxes(0, 1)


class LocallyConnected2d(Layer):
    """Like Conv2d, but every window has weights and a bias of its own.

    Paper: not in AlexNet. The authors' CIFAR-10 nets, which section 3.3 mentions with 13% and 11% error, have such layers
    (local3 and local4).

    Parameters
    ----------
    in_channels, out_channels: C and K, at least 1. In `LocallyConnected2d(32, 3)` C and in_size are left out: a Sequential with an
        `in_shape` finds them.
    kernel_size, stride: an integer, or (height, width), at least 1.
    in_size: H and W of the input, an integer or (height, width). It decides how many windows there are.
    padding: zeros around the image: an integer, "same", "valid" or (top, bottom, left, right).
    ceil_mode: whether a last window that reaches beyond the edge counts, as in the authors' code of 2012.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`; weight is (OH, OW, K, C, KH, KW),
        bias is (OH, OW, K).
    rng: the generator that draws the weights; if None, a Sequential draws them from its seed.
    input_gradient: False in a first layer: backward then returns None and saves a third of its work.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x (N, C, H, W).

    Gradient: for one window let w (K, C * KH * KW) be the weights, col (C * KH * KW, N) what the window sees of each image, and
    d (K, N) the gradient of its outputs. Then out = w col + bias, so dw = d col^T, dcol = w^T d, and dbias is the sum of d over
    the images. dx is the sum of dcol over all windows, each added to the pixels that its window sees.

    The work of forward and dw is divided into blocks of lines of the output, not of images: then every weight is read once for the
    whole batch, and dw needs no partial sums. dx is divided into blocks of images, because neighboring windows overlap.

    Example
    -------
    >>> local3 = LocallyConnected2d(64, 32, 3, in_size=6, padding=1, rng=np.random.default_rng(0), name="local3")
    >>> local3.params["weight"].size + local3.params["bias"].size
    664704
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {
        "in_channels", "out_channels", "in_size", "kernel_size", "stride", "padding", "ceil_mode", "input_gradient", "windows"
    }  # fmt: skip

    def __init__(
        self,
        in_channels: int,
        out_channels: Any = None,
        kernel_size: Any = None,
        *,
        in_size: Any = None,
        rng: np.random.Generator | None = None,
        stride: Any = 1,
        padding: Any = 0,
        ceil_mode: bool = False,
        weight_init: Init = Gaussian(0.01),  # noqa: B008 - immutable
        bias_init: Init = zeros,
        input_gradient: bool = True,
        name: str = "local",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        given = last_given(self.name, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size)
        if (given[0] is None) != (in_size is None):
            raise ShapeError(
                f"{name}: in_channels and in_size must both be given or both be left out, got in_channels={show(given[0])} and "
                f"in_size={show(in_size)}; with neither, Sequential([...], in_shape=...) finds them"
            )
        self.in_channels: Any = given[0] if given[0] is None else require_int(name, "in_channels", given[0])
        self.out_channels = require_int(name, "out_channels", given[1])
        self.in_size: Any = None if in_size is None else pair(name, "in_size", in_size)
        self.kernel_size, self.stride = pair(name, "kernel_size", given[2]), pair(name, "stride", stride)
        self.padding, self.ceil_mode = check_padding(name, padding), require_bool(name, "ceil_mode", ceil_mode)
        self.input_gradient = require_bool(name, "input_gradient", input_gradient)
        if self.in_size is not None:
            self.windows = self._windows(self.in_size)
        self.begin(rng, weight=weight_init, bias=bias_init)

    def _windows(self, size: tuple[int, int]) -> Windows:
        return windows_of(self.name, size, self.kernel_size, self.stride, self.padding, self.ceil_mode)

    def param_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        if self.in_channels is None:
            return None
        shape = (*self.windows.out, self.out_channels)  # (OH, OW, K)
        return {"weight": (*shape, self.in_channels, *self.kernel_size), "bias": shape}

    def fit(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        size = in_shape[1], in_shape[2]
        self.settle(in_channels=in_shape[0], in_size=size, windows=self._windows(size))

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        out = self.device.empty((len(x), *self.output_shape(x.shape[1:])), self.dtype)
        weight, bias = self.params["weight"], self.params["bias"]

        def block(lines: slice, scratch: Scratch) -> None:
            part, windows = strip(x, self.windows, lines)
            local_forward(part, weight[lines], bias[lines], windows, out[:, :, lines], scratch)

        self.device.map_blocks(block, self.windows.out[0], self._column_bytes(len(x)))
        if train:
            self.keep(out.shape, x)
        return out

    def backward(self, dout: Array) -> Array | None:
        (x,) = self.take(dout)
        weight, dweight = self.params["weight"], self.grads["weight"]

        def weight_block(lines: slice, scratch: Scratch) -> None:
            part, windows = strip(x, self.windows, lines)
            dweight[lines] += local_backward_weight(part, dout[:, :, lines], windows, scratch).reshape(dweight[lines].shape)

        self.device.map_blocks(weight_block, self.windows.out[0], self._column_bytes(len(x)))
        with self.device.activate():
            self.grads["bias"] += dout.sum(axis=0).transpose(1, 2, 0)  # (K, OH, OW) to (OH, OW, K)
        if not self.input_gradient:
            return None
        dx = self.device.empty(x.shape, self.dtype)

        def input_block(images: slice, scratch: Scratch) -> None:
            local_backward_input(dout[images], weight, self.windows, dx[images], scratch)

        self.device.map_blocks(input_block, len(x), self._column_bytes(1) * self.windows.out[0])
        return dx

    def _column_bytes(self, n: int) -> int:
        """Bytes of the columns for one line of the output of n images."""
        return n * self.windows.out[1] * self.in_channels * self.kernel_size[0] * self.kernel_size[1] * self.dtype.itemsize

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(size_of(self.params["weight"]), windows=self.windows)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        image = columns_of_image(self.windows, self.in_channels) + elements(self.output_shape(in_shape))
        return bytes_of_blocks(image * self.dtype.itemsize, 0, n, workers)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.in_size is None:
            self.require_built()
        expected = (self.in_channels, *self.in_size)
        if tuple(in_shape) != expected:
            raise ShapeError(f"{self.name}: x must have shape {show(('N', *expected))}, got {show(('N', *in_shape))}")
        return (self.out_channels, *self.windows.out)

    def settings(self) -> str:
        size = "?" if self.in_size is None else f"{self.in_size[0]}x{self.in_size[1]}"
        text = f"{self.in_channels or '?'}->{self.out_channels}, input {size}, "
        text += f"kernel {show_pair(self.kernel_size)}, stride {show_pair(self.stride)}"
        padding = self.padding if isinstance(self.padding, str) or len(set(self.padding)) > 1 else self.padding[0]
        return text + (f", padding {padding}" if padding not in (0, "valid") else "") + (", ceil" if self.ceil_mode else "")

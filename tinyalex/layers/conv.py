"""Convolution (paper 3.5): one matrix product per block of images, forward and backward.

The functions here multiply by the columns of `im2col`; those of `winograd.py` give the same in fewer products. The layer chooses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import ShapeError, pair, require_bool, require_choice, require_int, show, show_pair
from tinyalex.geometry import Windows, check_padding, windows_of
from tinyalex.init import Gaussian, Init, zeros
from tinyalex.layers.base import Layer, Then, apply
from tinyalex.layers.mosaic import Mosaic, mosaic_of, winograd_pays
from tinyalex.layers.phases import phase_kernel, whole_kernels
from tinyalex.layers.strips import FEWEST_BLOCKS, Strips, backward_weight_in_strips, forward_few, forward_in_strips, lines_at_once
from tinyalex.layers.tiles import KERNELS
from tinyalex.layers.windows import col2im, im2col, images_first, images_last, matrix
from tinyalex.layers.winograd import transform_weight, winograd_backward, winograd_forward, winograd_forward_few

ALGORITHMS = ("auto", "im2col", "strips", "winograd")


def conv_forward(
    x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int, out: Array, scratch: Scratch = NEW_ARRAYS
) -> None:
    """out[n, k, y, x] = bias[k] + sum over c, i, j of weight[k, c, i, j] * window(y, x)[n, c, i, j].

    With the windows as the columns of a matrix this is one product a group: (K/G, C/G*KH*KW) @ (C/G*KH*KW, OH*OW*B).
    x (B, C, H, W), weight (K, C/G, KH, KW), bias (K,) or None, out (B, K, OH, OW).
    """
    xp, k = scratch.xp, len(weight)
    col = im2col(x, windows, groups, scratch)  # (G, C/G * KH * KW, OH * OW * B)
    wide = matrix(k, col.shape[2], x.dtype, scratch)
    xp.matmul(weight.reshape(groups, k // groups, -1), col, out=wide.reshape(groups, k // groups, -1))  # (G, K/G, OH * OW * B)
    images_first(wide.reshape(k, *windows.out, len(x)), None if bias is None else bias[:, None, None], out, xp)


def conv_backward_weight(x: Array, dout: Array, windows: Windows, groups: int, scratch: Scratch = NEW_ARRAYS) -> tuple[Array, Array]:
    """The gradients of weight, transposed as (G, C/G*KH*KW, K/G), and of bias, as (G, K/G).

    out = weight @ col + bias, so dweight = dout @ col^T; bias reaches every window, so dbias sums dout over them.
    The transpose, col @ dout^T, is the faster product where filters are few: the tall matrix then comes first.
    """
    d = _wide(dout, groups, scratch)  # (G, K/G, OH * OW * B)
    col = im2col(x, windows, groups, scratch)  # (G, C/G * KH * KW, OH * OW * B)
    dweight_t = scratch((groups, col.shape[1], d.shape[1]), x.dtype)
    scratch.xp.matmul(col, d.swapaxes(1, 2), out=dweight_t)
    return dweight_t, d.sum(axis=2)


def conv_backward_input(dout: Array, weight: Array, windows: Windows, groups: int, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """dx, for any stride: out = weight @ col, so dcol = weight^T @ dout, and every column goes back to its window."""
    k = len(weight)
    d = _wide(dout, groups, scratch)  # (G, K/G, OH * OW * B)
    weight_t = weight.reshape(groups, k // groups, -1).swapaxes(1, 2)
    dcol = matrix(groups * weight_t.shape[1], d.shape[2], dout.dtype, scratch).reshape(groups, -1, d.shape[2])
    col2im(scratch.xp.matmul(weight_t, d, out=dcol), windows, dx, scratch)


def turn(weight: Array, groups: int) -> Array:
    """Weights for the input gradient of a stride-1 convolution: rows and columns reversed, in and out exchanged.

    x[c, y] meets weight[k, c, i] in out[k, y - i + before]; so dx[c, y] = sum over k, i of weight[k, c, i] *
    dout[k, y - i + before], which with i' = KH - 1 - i is again a correlation, of dout with turned weights.
    """
    k, c, kh, kw = weight.shape
    turned = weight.reshape(groups, k // groups, c, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)  # (G, C/G, K/G, KH, KW)
    return turned.reshape(groups * c, k // groups, kh, kw)


def _wide(dout: Array, groups: int, scratch: Scratch) -> Array:
    """dout (B, K, OH, OW) as the matrix that the forward product made: (G, K/G, OH * OW * B)."""
    b, k, oh, ow = dout.shape
    d = matrix(k, oh * ow * b, dout.dtype, scratch)
    images_last(dout, d.reshape(k, oh, ow, b))
    return d.reshape(groups, k // groups, oh * ow * b)


class Conv2d(Layer):
    """Correlate images with K filters; the filters of a group see only that group's input channels.

    Paper: section 3.5; groups=2 in conv2, conv4, conv5 is the split over two devices of section 3.2 on one device.

    Parameters
    ----------
    in_channels, out_channels: C and K, at least 1, multiples of `groups`.
    kernel_size, stride: an integer, or (height, width), at least 1.
    padding: zeros around the image: an integer, "same", "valid" or (top, bottom, left, right).
    groups: G; weight is (K, C/G, KH, KW).
    ceil_mode: count a last window that hangs over the edge, as the 2012 code did.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`.
    rng: the generator the weights are drawn from.
    algorithm: "im2col", any shape; "strips", the same for some lines of one image at a time; "winograd", kernels above
        one stride and up to 5, whose float32 results are within 1e-4 of the largest; "auto", whichever was measured faster at the shape.
    input_gradient: False in a first layer: backward then returns None and saves a third of its work.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x (N, C, H, W). Not its columns: conv1 at N=128 would take 562 MB for them, against 79 MB.

    Gradient: see `conv_backward_weight`, `conv_backward_input` and `turn`, or `winograd_backward`.

    Example
    -------
    >>> conv1 = Conv2d(3, 96, 11, stride=4, rng=np.random.default_rng(0), name="conv1")
    >>> conv1.output_shape((3, 227, 227))
    (96, 55, 55)
    """

    fuses = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        *,
        rng: np.random.Generator,
        stride: Any = 1,
        padding: Any = 0,
        groups: int = 1,
        ceil_mode: bool = False,
        weight_init: Init = Gaussian(0.01),  # noqa: B008 - immutable
        bias_init: Init = zeros,
        algorithm: str = "auto",
        input_gradient: bool = True,
        name: str = "conv",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.in_channels = require_int(name, "in_channels", in_channels)
        self.out_channels = require_int(name, "out_channels", out_channels)
        self.groups = require_int(name, "groups", groups)
        for quantity, value in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if value % self.groups:
                raise ShapeError(f"{name}: {quantity} must be a multiple of groups={self.groups}, got {value}")
        self.kernel_size, self.stride = pair(name, "kernel_size", kernel_size), pair(name, "stride", stride)
        self.padding, self.ceil_mode = check_padding(name, padding), require_bool(name, "ceil_mode", ceil_mode)
        self.input_gradient = require_bool(name, "input_gradient", input_gradient)
        self.algorithm = require_choice(name, "algorithm", algorithm, ALGORITHMS)
        if algorithm == "winograd" and not self._winograd_fits():
            got = f"kernel {show_pair(self.kernel_size)}, stride {show_pair(self.stride)}"
            raise ShapeError(f"{name}: algorithm 'winograd' must have a kernel above 1 and up to 5 strides, got {got}; use 'im2col'")
        self.draw_param("weight", (self.out_channels, self.in_channels // self.groups, *self.kernel_size), weight_init, rng)
        self.draw_param("bias", (self.out_channels,), bias_init, rng)

    def forward(self, x: Array, *, train: bool = False, then: Then | None = None) -> Array:
        self.check_x(x, "N C H W")
        windows = self.windows(x.shape[1:])
        weight, bias, by_winograd = self.params["weight"], self.params["bias"], self.chosen(windows, len(x)) == "winograd"
        out = self._forward_by_winograd(x, windows, then) if by_winograd else self._correlate(x, weight, bias, windows, then)
        if train:
            self.keep(out.shape, x, windows)
        return out

    def backward(self, dout: Array) -> Array | None:
        x, windows = self.take(dout)
        by_winograd = self.chosen(windows, len(x)) == "winograd"
        dweight, dbias, dx = (self._backward_by_winograd if by_winograd else self._backward_by_im2col)(x, dout, windows)
        self.add_grad("weight", dweight)
        self.add_grad("bias", dbias)
        return dx

    def _backward_by_im2col(self, x: Array, dout: Array, windows: Windows) -> tuple[Array, Array, Array | None]:
        """The gradients of weight, (G, K/G, C/G * KH * KW), of bias, (G, K/G), and of x."""
        groups = self.groups

        def weight_block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
            return conv_backward_weight(x[images], dout[images], windows, groups, scratch)

        if (lines := self._lines(windows, self.in_channels)) < windows.out[0]:
            dweight_t, dbias = backward_weight_in_strips(Strips(x, windows, groups, lines), dout, self.device)
        else:
            dweight_t, dbias = self.device.map_blocks(weight_block, len(x), windows.column_bytes(self.in_channels, self.dtype.itemsize))
        dx = self._input_gradient(dout, windows) if self.input_gradient else None
        return dweight_t.swapaxes(1, 2), dbias, dx

    def _input_gradient(self, dout: Array, windows: Windows) -> Array:
        """The gradient of x as a correlation where that needs fewer columns, else by col2im."""
        weight = self.params["weight"]
        if self.turns(windows):
            with self.device.activate():
                turned = turn(weight, self.groups)
            return self._correlate(dout, turned, None, windows.turned())
        dx = self.device.empty((len(dout), self.in_channels, *windows.size), self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            conv_backward_input(dout[images], weight, windows, self.groups, dx[images], scratch)

        self.device.map_blocks(block, len(dout), windows.column_bytes(self.in_channels, self.dtype.itemsize))
        return dx

    def _backward_by_winograd(self, x: Array, dout: Array, windows: Windows) -> tuple[Array, Array, Array | None]:
        """The gradients of weight, (K * C/G, KH, KW), of bias, (K,), and of x."""
        mosaic = mosaic_of(windows)
        u = transform_weight(self.params["weight"], self.groups, mosaic, self.device, backward=True)
        dx = self.device.empty(x.shape, self.dtype) if self.input_gradient else None

        def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
            return winograd_backward(x[images], dout[images], u, mosaic, None if dx is None else dx[images], scratch)

        dweight, dbias = self.device.map_blocks(block, len(x), size=mosaic.block_size(len(x), u[0, 0, 0].size))
        return whole_kernels(dweight, self.params["weight"].shape, windows.stride), dbias, dx

    def _correlate(self, x: Array, weight: Array, bias: Array | None, windows: Windows, then: Then | None = None) -> Array:
        """The output by im2col; or dx, with turned weights."""
        out = self.device.empty((len(x), len(weight), *windows.out), self.dtype)
        if (lines := self._lines(windows, x.shape[1])) < windows.out[0]:
            forward_in_strips(Strips(x, windows, self.groups, lines), weight, bias, out, self.device, then)
            return out
        if len(x) < FEWEST_BLOCKS:
            forward_few(x, weight, bias, windows, self.groups, out, self.device, then)
            return out

        def block(images: slice, scratch: Scratch) -> None:
            conv_forward(x[images], weight, bias, windows, self.groups, out[images], scratch)
            apply(then, out[images], scratch)

        self.device.map_blocks(block, len(x), windows.column_bytes(x.shape[1], self.dtype.itemsize))
        return out

    def _lines(self, windows: Windows, channels: int) -> int:
        """Lines of the output that are done at a time, with columns of so many channels: all, if not in strips."""
        oh, lines = windows.out[0], lines_at_once(windows, channels, self.dtype.itemsize)
        if self.algorithm == "strips":
            return min(lines, -(-oh // 2))
        return lines if self.algorithm == "auto" and self._measured() else oh

    def _forward_by_winograd(self, x: Array, windows: Windows, then: Then | None) -> Array:
        mosaic, bias = mosaic_of(windows), self.params["bias"]
        out, u = self.device.empty((len(x), self.out_channels, *windows.out), self.dtype), self._transformed(mosaic)
        if mosaic.few(len(x)):
            winograd_forward_few(x, u, bias, mosaic, out, self.device, then)
            return out

        def block(images: slice, scratch: Scratch) -> None:
            winograd_forward(x[images], u, bias, mosaic, out[images], scratch)
            apply(then, out[images], scratch)

        self.device.map_blocks(block, len(x), size=mosaic.block_size(len(x), u[0, 0, 0].size))
        return out

    def _transformed(self, mosaic: Mosaic) -> Array:
        """The weights as Winograd's products need them; a frozen layer keeps them."""
        if mosaic in self.made:
            return self.made[mosaic]
        u = transform_weight(self.params["weight"], self.groups, mosaic, self.device)
        if self.frozen:
            self.made[mosaic] = u
        return u

    def chosen(self, windows: Windows, n: int) -> str:
        """The algorithm for n images: "im2col", "strips" or "winograd"."""
        if self.algorithm != "auto":
            return self.algorithm
        c, k = self.in_channels // self.groups, self.out_channels // self.groups
        if self._measured() and self._winograd_fits() and winograd_pays(mosaic_of(windows), c, k, n, self.frozen):
            return "winograd"
        return "strips" if self._lines(windows, self.in_channels) < windows.out[0] else "im2col"

    def _measured(self) -> bool:
        """Whether this is a CPU, on which alone algorithms were compared."""
        return self.device.name.partition(":")[0] == "cpu"  # a device to be counted bears the name of one to compute on

    def _winograd_fits(self) -> bool:
        return all(k in KERNELS for k in phase_kernel(self.kernel_size, self.stride))

    def turns(self, windows: Windows) -> bool:
        """Whether dx is taken as a correlation: it needs columns of K channels, where col2im needs columns of C."""
        return self.stride == (1, 1) and min(windows.turned().before) >= 0 and 2 * self.out_channels <= 3 * self.in_channels

    def windows(self, in_shape: tuple[int, ...]) -> Windows:
        """Where this layer's windows lie on an input of shape (C, H, W)."""
        if len(in_shape) != 3 or in_shape[0] != self.in_channels:
            got = show(("N", *in_shape))
            raise ShapeError(f"{self.name}: x must have {self.in_channels} channels on axis 1 of (N, C, H, W), got {got}")
        return windows_of(self.name, in_shape[1:], self.kernel_size, self.stride, self.padding, self.ceil_mode)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.out_channels, *self.windows(in_shape).out)

    def settings(self) -> str:
        text = f"{self.in_channels}->{self.out_channels}, kernel {show_pair(self.kernel_size)}, stride {show_pair(self.stride)}"
        padding = self.padding if isinstance(self.padding, str) or len(set(self.padding)) > 1 else self.padding[0]
        text += f", padding {padding}" if padding not in (0, "valid") else ""
        text += ", ceil" if self.ceil_mode else ""
        text += f", groups {self.groups}" if self.groups > 1 else ""
        return text + ("" if self.algorithm == "auto" else f", {self.algorithm}")

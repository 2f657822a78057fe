"""Convolution (paper 3.5): the product of the filters with a matrix, each of whose columns holds what one window sees.

**Derivation.** Let (y, z) be the index of a window, (i, j) the index of a cell in a window, (sh, sw) the stride, and let `sheet`
be the image with its padding:

    out[n, k, y, z] = bias[k] + sum over c, i, j of weight[k, c, i, j] sheet[n, c, sh y + i, sw z + j].

`im2col` computes col[n, c, i, j, y, z] = sheet[n, c, sh y + i, sw z + j]. Let (c, i, j) be the row and (y, z) the column of a
matrix. Then the formula is one matrix product for each image:

    out = weight col + bias.

Let dout be the gradient of the loss with respect to out. For a product Y = W C the gradients are dW = dY C^T and dC = W^T dY.
The bias is added in every window, and the weights are used for every image, so

    dweight = sum over n of dout col^T,        dbias = sum over n, y, z of dout,        dcol = weight^T dout,

and each column of dcol is added to the pixels of its window: dx = col2im(dcol). With G groups the filters of a group see only the
channels of this group, and the same equations hold in each group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, pair, require_bool, require_int, show, show_pair
from tinyalex.fast.request import Convolution, Row, Then, size_of
from tinyalex.fast.table import check_algorithm, check_fits, choose
from tinyalex.geometry import Windows, check_padding, kept_windows
from tinyalex.init import Gaussian, Init, zeros
from tinyalex.layers.base import Layer
from tinyalex.layers.columns import col2im, im2col
from tinyalex.layers.facts import Facts
from tinyalex.parameters import last_given, multiple_of


def conv2d(x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int = 1, xp: Any = np) -> Array:
    """out = weight col + bias. x (N, C, H, W), weight (K, C/G, KH, KW), bias (K,) or None, result (N, K, OH, OW)."""
    n, k = len(x), len(weight)
    col = im2col(x, windows, xp).reshape(n, groups, weight[0].size, -1)  # (N, G, C/G * KH * KW, OH * OW)
    out = xp.matmul(weight.reshape(groups, k // groups, -1), col)  # (N, G, K/G, OH * OW)
    out = out.reshape(n, k, *windows.out)
    return out if bias is None else out + bias[:, None, None]


def conv2d_backward(
    x: Array, weight: Array, dout: Array, windows: Windows, groups: int = 1, xp: Any = np
) -> tuple[Array, Array, Array]:
    """dx (N, C, H, W), dweight (K, C/G, KH, KW) and dbias (K,), from dout (N, K, OH, OW)."""
    n, k = len(x), len(weight)
    col = im2col(x, windows, xp).reshape(n, groups, weight[0].size, -1)  # (N, G, C/G * KH * KW, OH * OW)
    d = dout.reshape(n, groups, k // groups, -1)  # (N, G, K/G, OH * OW)
    dweight = xp.matmul(d, col.swapaxes(2, 3)).sum(axis=0).reshape(weight.shape)
    dcol = xp.matmul(weight.reshape(groups, k // groups, -1).swapaxes(1, 2), d)  # (N, G, C/G * KH * KW, OH * OW)
    dx = col2im(dcol.reshape(*x.shape[:2], *windows.kernel, *windows.out), windows, xp)
    return dx, dweight, dout.sum(axis=(0, 2, 3))


class Conv2d(Layer):
    """Correlate images with K filters. With several groups, the filters of a group see only the input channels of this group.

    Paper: section 3.5. groups=2 in conv2, conv4 and conv5 computes on one device what section 3.2 splits over two devices.

    Parameters
    ----------
    in_channels, out_channels: C and K, at least 1, multiples of `groups`. C may be left out, as in `Conv2d(96, 11)`: a Sequential
        with an `in_shape` finds it.
    kernel_size, stride: an integer, or (height, width), at least 1.
    padding: zeros around the image: an integer, "same", "valid" or (top, bottom, left, right).
    groups: G, at least 1; weight is (K, C/G, KH, KW).
    bias: False for a convolution without biases, as in front of batch normalization, whose mean would take every bias away.
    ceil_mode: whether a last window that reaches beyond the edge counts, as in the authors' code of 2012.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`.
    rng: the generator that draws the weights; if None, a Sequential draws them from its seed.
    algorithm: the row of `tinyalex.fast.table` that computes: "plain" calls the two functions above; "im2col", "few", "strips",
        "lines", "pointwise" and "winograd" are faster; "auto" takes the one that was measured to be the fastest for the shape and
        the batch, and on a GPU kernels, see `tinyalex.fast.cuda.loader`.
        In float32 "winograd" differs from "plain" by up to 1e-4 of the largest output, the others by up to 1e-5.
    input_gradient: False in a first layer: backward then returns None and saves a third of its work.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x (N, C, H, W), or x with its padding if the row is "lines". The columns of x are not kept: in conv1 at N=128 they take
    562 MB, and x takes 79 MB.

    Gradient: see the derivation above.

    Example
    -------
    >>> conv1 = Conv2d(3, 96, 11, stride=4, rng=np.random.default_rng(0), name="conv1")
    >>> conv1.output_shape((3, 227, 227))
    (96, 55, 55)
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {
        "in_channels", "out_channels", "groups", "kernel_size", "stride", "padding", "ceil_mode", "has_bias", "input_gradient",
        "algorithm",
    }  # fmt: skip
    before_pooling = False  # `fast.fuse` sets this to True if pooling follows directly: the output may then be CHWN in memory

    def __init__(
        self,
        in_channels: int,
        out_channels: int | None = None,
        kernel_size: Any = None,
        *,
        rng: np.random.Generator | None = None,
        stride: Any = 1,
        padding: Any = 0,
        groups: int = 1,
        ceil_mode: bool = False,
        bias: bool = True,
        weight_init: Init = Gaussian(0.01),  # noqa: B008 - immutable
        bias_init: Init = zeros,
        algorithm: str = "auto",
        input_gradient: bool = True,
        name: str = "conv",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        given = last_given(name, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size)
        self.groups = require_int(name, "groups", groups)
        self.in_channels: Any = None if given[0] is None else multiple_of(self.groups, name, "in_channels", given[0])
        self.out_channels = multiple_of(self.groups, name, "out_channels", given[1])
        self.kernel_size, self.stride = pair(name, "kernel_size", given[2]), pair(name, "stride", stride)
        self.padding, self.ceil_mode = check_padding(name, padding), require_bool(name, "ceil_mode", ceil_mode)
        self.has_bias = require_bool(name, "bias", bias)
        self.input_gradient = require_bool(name, "input_gradient", input_gradient)
        self.algorithm = check_algorithm(name, "convolution", algorithm)
        check_fits(name, self._asked(Windows((1, 1), self.kernel_size, self.stride, (0, 0), (1, 1))), self.algorithm)
        self.begin(rng, weight=weight_init, **({"bias": bias_init} if self.has_bias else {}))

    def param_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        if self.in_channels is None:
            return None
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.out_channels, self.in_channels // self.groups, *self.kernel_size)}
        return shapes | ({"bias": (self.out_channels,)} if self.has_bias else {})

    def fit(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        self.settle(in_channels=multiple_of(self.groups, self.name, "in_channels", in_shape[0]))

    def forward(
        self, x: Array, *, train: bool = False, then: Then | None = None, instead: tuple[Array, Array, dict[Any, Any]] | None = None
    ) -> Array:
        self.check_x(x, "N C H W")
        asked = self.asked(x.shape[1:])
        if instead is not None:  # weights into which batch normalization is folded, see `fast.fuse`
            asked = replace(asked, weight=instead[0], bias=instead[1], prepared=instead[2])
        row = self.row(asked, len(x))
        out, kept = row.forward(asked, x, self.device, then)
        if train:
            self.keep(out.shape, row, asked, kept)
        return out

    def backward(self, dout: Array) -> Array | None:
        row, asked, kept = self.take(dout)
        dx: Array | None = row.backward(asked, kept, dout, self.device, self.grads)
        return dx

    def asked(self, in_shape: tuple[int, ...]) -> Convolution:
        """The request to `fast.table` for an input of shape (C, H, W)."""
        return self._asked(self.windows(in_shape))

    def _asked(self, windows: Windows) -> Convolution:
        return Convolution(
            (conv2d, conv2d_backward),
            self.params.get("weight"),
            self.params.get("bias"),
            windows,
            self.groups,
            self.input_gradient,
            self.before_pooling,
            self.prepared if self.frozen else None,
        )

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        asked = self.asked(in_shape)
        macs = size_of(asked.weight) * asked.windows.out[0] * asked.windows.out[1]  # every weight is used in every window
        return Facts(macs, self.row(asked, n).keeps(asked), asked.windows)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        asked = self.asked(in_shape)
        return self.row(asked, n).scratch(asked, n, backward, workers)

    def row(self, asked: Convolution, n: int) -> Row:
        """The row of `fast.table` that serves the request for n images."""
        return choose(asked, n, self.device, self.algorithm)

    def windows(self, in_shape: tuple[int, ...]) -> Windows:
        """The windows of this layer on an input of shape (C, H, W)."""
        if self.in_channels is None:
            self.require_built()
        if len(in_shape) != 3 or in_shape[0] != self.in_channels:
            got = show(("N", *in_shape))
            raise ShapeError(f"{self.name}: x must have {self.in_channels} channels on axis 1 of (N, C, H, W), got {got}")
        return kept_windows(self.name, tuple(in_shape[1:]), self.kernel_size, self.stride, self.padding, self.ceil_mode)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.out_channels, *self.windows(in_shape).out)

    def settings(self) -> str:
        text = f"{self.in_channels or '?'}->{self.out_channels}, kernel {show_pair(self.kernel_size)}, stride {show_pair(self.stride)}"
        padding = self.padding if isinstance(self.padding, str) or len(set(self.padding)) > 1 else self.padding[0]
        text += f", padding {padding}" if padding not in (0, "valid") else ""
        text += ", ceil" if self.ceil_mode else ""
        text += (f", groups {self.groups}" if self.groups > 1 else "") + ("" if self.has_bias else ", no bias")
        return text + ("" if self.algorithm == "auto" else f", {self.algorithm}")

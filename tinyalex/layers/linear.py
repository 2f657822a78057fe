"""Fully connected layers (paper 3.5), and the layer that flattens images before the first of them.

**Derivation.** out_nk = b_k + sum over c of x_nc w_kc, or in matrices out = x W^T + b. Each weight is used for every image, and each
input is used by every output, so the gradients are sums:

    dx_nc = sum over k of dout_nk w_kc,    dw_kc = sum over n of dout_nk x_nc,    db_k = sum over n of dout_nk,

or in matrices dx = dout W and dW = dout^T x. With G groups the outputs of a group see only the inputs of this group, and the same
equations hold in each group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, require_bool, require_int, show
from tinyalex.fast.request import Keeps, Product, Row, size_of
from tinyalex.fast.table import check_algorithm, check_fits, choose
from tinyalex.init import Gaussian, Init, zeros
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts
from tinyalex.parameters import last_given, multiple_of


def linear(x: Array, weight: Array, bias: Array, groups: int = 1, xp: Any = np) -> Array:
    """out = x W^T + b, in each group. x (N, C), weight (K, C/G), bias (K,), result (N, K)."""
    x, weight = groups_first(x, groups), weight.reshape(groups, -1, weight.shape[1])  # (G, N, C/G), (G, K/G, C/G)
    return side_by_side(xp.matmul(x, weight.swapaxes(1, 2))) + bias


def linear_backward(x: Array, weight: Array, dout: Array, groups: int = 1, xp: Any = np) -> tuple[Array, Array, Array]:
    """dx (N, C) = dout W and dweight (K, C/G) = dout^T x, in each group, and dbias (K,) = the sum of dout (N, K) over the images."""
    d, by_group = groups_first(dout, groups), weight.reshape(groups, -1, weight.shape[1])  # (G, N, K/G), (G, K/G, C/G)
    dx = side_by_side(xp.matmul(d, by_group))
    dweight = xp.matmul(d.swapaxes(1, 2), groups_first(x, groups)).reshape(weight.shape)
    return dx, dweight, dout.sum(axis=0)


def groups_first(x: Array, groups: int) -> Array:
    """(N, F) as (G, N, F/G): the features of each group as a matrix."""
    return x.reshape(len(x), groups, -1).swapaxes(0, 1)


def side_by_side(x: Array) -> Array:
    """The transpose of `groups_first`: (G, N, F/G) as (N, F)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


class Flatten(Layer):
    """(N, C, H, W) to (N, C * H * W), channel by channel. A contiguous input is not copied.

    Cache: the shape of x.
    """

    def __init__(self, *, name: str = "flatten", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name, device, dtype)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x)
        with self.device.activate():  # a GPU must be active, because this copies an input that is not contiguous
            out = x.reshape(len(x), -1)
        if train:
            self.keep(out.shape, x.shape)
        return out

    def backward(self, dout: Array) -> Array:
        (shape,) = self.take(dout)
        with self.device.activate():
            return dout.reshape(shape)

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(), view=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(in_shape),)


class Linear(Layer):
    """out = x weight^T + bias, in each group.

    Paper: section 3.5, the fully connected layers fc6, fc7 and fc8. groups=2 computes what two towers without links compute (3.2).

    Parameters
    ----------
    in_features, out_features: at least 1, multiples of `groups`; weight is (out_features, in_features / groups). in_features may be
        left out, as in `Linear(10)`: a Sequential with an `in_shape` finds it.
    groups: G, at least 1; the outputs of a group see only the inputs of this group.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`.
    rng: the generator that draws the weights; if None, a Sequential draws them from its seed.
    input_gradient: False in a first layer: backward then returns None and saves a third of its work.
    algorithm: the row of `tinyalex.fast.table` that computes: "plain" calls the functions above; "blocks" is faster and needs
        groups=1; "auto" takes the fastest row that serves the layer.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x (N, in_features).

    Gradient: see the derivation above.

    Example
    -------
    >>> fc8 = Linear(4096, 1000, rng=np.random.default_rng(0), name="fc8")
    >>> fc8.params["weight"].shape
    (1000, 4096)
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"in_features", "out_features", "groups", "input_gradient", "algorithm"}

    def __init__(
        self,
        in_features: int,
        out_features: int | None = None,
        *,
        rng: np.random.Generator | None = None,
        groups: int = 1,
        weight_init: Init = Gaussian(0.01),  # noqa: B008 - immutable
        bias_init: Init = zeros,
        input_gradient: bool = True,
        algorithm: str = "auto",
        name: str = "linear",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.groups = require_int(name, "groups", groups)
        given = last_given(name, in_features=in_features, out_features=out_features)
        self.in_features: Any = None if given[0] is None else multiple_of(self.groups, name, "in_features", given[0])
        self.out_features = multiple_of(self.groups, name, "out_features", given[1])
        self.input_gradient = require_bool(name, "input_gradient", input_gradient)
        self.algorithm = check_algorithm(name, "product", algorithm)
        check_fits(name, self._asked(), self.algorithm)
        self.begin(rng, weight=weight_init, bias=bias_init)

    def param_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        if self.in_features is None:
            return None
        return {"weight": (self.out_features, self.in_features // self.groups), "bias": (self.out_features,)}

    def fit(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 1:
            raise ShapeError(f"{self.name}: x must have 2 axes (N, F), got {show(('N', *in_shape))}; put Flatten() before it")
        self.settle(in_features=multiple_of(self.groups, self.name, "in_features", in_shape[0]))

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N F")
        asked = self.asked(x.shape[1:])
        row = self.row(asked, len(x))
        out, kept = row.forward(asked, x, self.device)
        if train:
            self.keep(out.shape, row, asked, kept)
        return out

    def backward(self, dout: Array) -> Array | None:
        row, asked, kept = self.take(dout)
        dx: Array | None = row.backward(asked, kept, dout, self.device, self.grads)
        return dx

    def asked(self, in_shape: tuple[int, ...]) -> Product:
        """The request to `fast.table` for an input of shape (in_features,)."""
        self.output_shape(in_shape)
        return self._asked()

    def _asked(self) -> Product:
        plain = linear, linear_backward
        return Product(plain, self.params.get("weight"), self.params.get("bias"), self.groups, self.input_gradient)

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        asked = self.asked(in_shape)
        return Facts(size_of(asked.weight), self.row(asked, n).keeps(asked), sees_all=True)

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        asked = self.asked(in_shape)
        return self.row(asked, n).scratch(asked, n, backward, workers)

    def row(self, asked: Product, n: int) -> Row:
        """The row of `fast.table` that serves the request for n images."""
        return choose(asked, n, self.device, self.algorithm)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.in_features is None:
            self.require_built()
        if tuple(in_shape) != (self.in_features,):
            raise ShapeError(f"{self.name}: x must have shape (N, {self.in_features}), got {show(('N', *in_shape))}")
        return (self.out_features,)

    def settings(self) -> str:
        text = f"{self.in_features or '?'}->{self.out_features}" + (f", groups {self.groups}" if self.groups > 1 else "")
        return text + ("" if self.algorithm == "auto" else f", {self.algorithm}")

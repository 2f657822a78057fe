"""A fully connected layer in groups: what two towers compute that exchange nothing, on one device."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.errors import ShapeError, require_int, show
from tinyalex.init import Gaussian, Init, zeros
from tinyalex.layers.base import Layer


class GroupedLinear(Layer):
    """out = x weight^T + bias in each group, whose outputs see that group's inputs alone.

    Paper: section 3.2, the "columnar" net in which the towers never meet; with fc6 and fc7 linked, as in the paper, it is
    not needed.

    Parameters
    ----------
    in_features, out_features: at least 1, multiples of `groups`; weight is (out_features, in_features / groups).
    groups: at least 1.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`.
    rng: the generator the weights are drawn from.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x (N, in_features).

    Gradient: as in Linear, group by group: dx = dout weight, dweight = dout^T x, dbias = sum_n dout_n.

    Example
    -------
    >>> fc6 = GroupedLinear(9216, 4096, groups=2, rng=np.random.default_rng(0), name="fc6")
    >>> fc6.params["weight"].shape
    (4096, 4608)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        groups: int,
        rng: np.random.Generator,
        weight_init: Init = Gaussian(0.01),  # noqa: B008 - immutable
        bias_init: Init = zeros,
        name: str = "linear",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.groups = require_int(name, "groups", groups)
        self.in_features = require_int(name, "in_features", in_features)
        self.out_features = require_int(name, "out_features", out_features)
        for quantity, value in (("in_features", self.in_features), ("out_features", self.out_features)):
            if value % self.groups:
                raise ShapeError(f"{name}: {quantity} must be a multiple of groups={self.groups}, got {value}")
        self.draw_param("weight", (self.out_features, self.in_features // self.groups), weight_init, rng)
        self.draw_param("bias", (self.out_features,), bias_init, rng)

    def _groups_first(self, x: Array) -> Array:
        """(N, F) as (G, N, F/G), a view."""
        return x.reshape(len(x), self.groups, -1).swapaxes(0, 1)

    @property
    def _weight(self) -> Array:
        return self.params["weight"].reshape(self.groups, -1, self.in_features // self.groups)  # (G, K/G, C/G)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N F")
        self.output_shape(x.shape[1:])
        with self.device.activate():
            out = self.device.empty((len(x), self.out_features), self.dtype)
            self.device.xp.matmul(self._groups_first(x), self._weight.swapaxes(1, 2), out=self._groups_first(out))
            out += self.params["bias"]
        if train:
            self.keep(out.shape, x)
        return out

    def backward(self, dout: Array) -> Array:
        (x,) = self.take(dout)
        xp, d = self.device.xp, self._groups_first(dout)  # (G, N, K/G)
        with self.device.activate():
            self.add_grad("weight", xp.matmul(d.swapaxes(1, 2), self._groups_first(x)))
            self.add_grad("bias", dout.sum(axis=0))
            dx = self.device.empty(x.shape, self.dtype)
            xp.matmul(d, self._weight, out=self._groups_first(dx))
        return dx

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if tuple(in_shape) != (self.in_features,):
            raise ShapeError(f"{self.name}: x must have shape (N, {self.in_features}), got {show(('N', *in_shape))}")
        return (self.out_features,)

    def settings(self) -> str:
        return f"{self.in_features}->{self.out_features}, groups {self.groups}"

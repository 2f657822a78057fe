"""Batch normalization (Ioffe and Szegedy 2015): each channel of a batch gets mean 0 and variance 1, and then a scale and a shift.

**Derivation.** Take one channel. Let i run over its m = N H W values: all places of all images. With

    mean = (1/m) sum_i x_i,    d_i = x_i - mean,    var = (1/m) sum_i d_i^2,    s = (var + eps)^(-1/2),    y_i = d_i s,

    out_i = weight y_i + bias.

weight and bias are used at every place, so their gradients are sums:  dbias = sum_i dout_i,  dweight = sum_i dout_i y_i.

The gradient of the loss at y_i is weight dout_i. A value x_j enters three times: in d_j itself, in the mean that every d_i contains, and
in the variance that every y_i contains. Let D_j be the slope at x_j, so that D_j y_i says how y_i changes with x_j, and let [i = j] be 1
if i is j, and 0 otherwise. From y_i = d_i s:

    D_j y_i = s D_j d_i + d_i D_j s,     D_j d_i = [i = j] - 1/m,
    D_j s = -(1/2) (var + eps)^(-3/2) D_j var = -(1/2) s^3 (2/m) d_j = -(s^2/m) y_j,

where D_j var = (2/m) sum_i d_i ([i = j] - 1/m) = (2/m) d_j, because the d_i sum to 0. So

    D_j y_i = s ([i = j] - 1/m - y_i y_j / m),        and dx_j is the sum of weight dout_i D_j y_i over i:

    dx_j = s weight (dout_j - (1/m) sum_i dout_i - y_j (1/m) sum_i dout_i y_i)
         = s weight (dout_j - dbias/m - y_j dweight/m).

In words: dout loses its mean, and y times the mean of dout_i y_i. If all x grow by one number, no y changes, so the dx_j sum to 0. If all
d_j grow by one factor, no y changes but for eps, so the dx_j y_j sum to 0 if eps is 0. With running statistics, mean and s are
constants, and dx_j = s weight dout_j alone.

Below, a block is B images of the batch with some or all of their channels. Every dx_j needs the sums of all images, so `backward` goes
through the blocks twice: first for dweight and dbias, and then for dx.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import ShapeError, require_choice, require_float, require_int, show
from tinyalex.fast.request import Keeps, Then, apply
from tinyalex.fast.sharing import Maps, map_maps
from tinyalex.init import Constant, Init, ones, zeros
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts
from tinyalex.parameters import last_given

CONVENTIONS = ("pytorch", "tensorflow", "caffe")
STATISTICS = ("batch", "running")


def sums_of(x: Array, xp: Any = np) -> Array:
    """The sum of each map. x (B, C, H, W), result (B, C)."""
    return xp.sum(x, axis=(2, 3))


def products_of(a: Array, b: Array, xp: Any = np) -> Array:
    """The sum of a_i b_i over each map, which is a product of two vectors. a, b (B, C, H, W), result (B, C)."""
    n, c, h, w = a.shape
    return xp.matmul(a.reshape(n, c, 1, h * w), b.reshape(n, c, h * w, 1)).reshape(n, c)


def squares_of(x: Array, mean: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """The sum of (x_i - mean)^2 over each map. x (B, C, H, W), mean (C,), result (B, C)."""
    d = scratch.xp.subtract(x, mean[:, None, None], out=scratch(x.shape, x.dtype))
    return products_of(d, d, scratch.xp)


def batch_norm(x: Array, mean: Array, s: Array, weight: Array, bias: Array, out: Array, xp: Any = np) -> None:
    """Fill out with weight (x_i - mean) s + bias. x, out (B, C, H, W), the others (C,)."""
    xp.subtract(x, mean[:, None, None], out=out)
    out *= (s * weight)[:, None, None]
    out += bias[:, None, None]


def batch_norm_sums(x: Array, mean: Array, s: Array, dout: Array, scratch: Scratch = NEW_ARRAYS) -> tuple[Array, Array]:
    """The sums over each map of dout_i y_i and of dout_i, each (B, C). x, dout (B, C, H, W), mean, s (C,)."""
    d = scratch.xp.subtract(x, mean[:, None, None], out=scratch(x.shape, x.dtype))
    return products_of(d, dout, scratch.xp) * s, sums_of(dout, scratch.xp)


def batch_norm_backward(
    x: Array, mean: Array, s: Array, weight: Array, dout: Array, dweight: Array, dbias: Array, m: int, dx: Array, xp: Any = np
) -> None:
    """Fill dx with s weight (dout_j - dbias/m - y_j dweight/m). x, dout, dx (B, C, H, W), the others (C,), m = N H W of the batch."""
    xp.subtract(x, mean[:, None, None], out=dx)
    dx *= (-s * dweight / m)[:, None, None]  # - y_j dweight/m
    dx += dout
    dx -= (dbias / m)[:, None, None]
    dx *= (s * weight)[:, None, None]


class ChannelNorm(Layer):
    """What batch and group normalization share: a scale and a shift for each channel, drawn when the number of channels is known."""

    channels: Any

    def begin_norm(self, rng: np.random.Generator | None, weight_init: Init, bias_init: Init) -> None:
        """`begin`; parameters that are not drawn, because all are equal, are made as soon as their number is known."""
        self.begin(rng, weight=weight_init, bias=bias_init)
        if isinstance(weight_init, Constant) and isinstance(bias_init, Constant):
            self.build()

    def param_shapes(self) -> Mapping[str, tuple[int, ...]] | None:
        return None if self.channels is None else {"weight": (self.channels,), "bias": (self.channels,)}

    def fit(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        self.settle(channels=self.checked_channels(in_shape[0]))

    def checked_channels(self, channels: Any) -> int:
        """The number of channels, at least 1. Raises ShapeError."""
        return require_int(self.name, "channels", channels)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.channels is None:
            self.require_built()
        if len(in_shape) != 3 or in_shape[0] != self.channels:
            raise ShapeError(f"{self.name}: x must have {self.channels} channels on axis 1 of (N, C, H, W), got {show(('N', *in_shape))}")
        return in_shape


class BatchNorm2d(ChannelNorm):
    """Give each channel of a batch mean 0 and variance 1, then a learned scale and shift.

    Paper: after AlexNet: Ioffe and Szegedy 2015, sections 3 and 3.1. It took the place of response normalization.

    While training, mean and variance are those of the batch, and the running mean and the running variance follow them. Otherwise the
    running ones are used, so the output of an image does not depend on the batch that it is in.

    Parameters
    ----------
    channels: C, at least 1. It may be left out: a Sequential with an `in_shape` finds it.
    momentum: how fast the running statistics follow, in the words of `convention`; None for its default. From 0 to 1.
    eps: is added to the variance, above 0. 1e-5 in PyTorch and in Caffe, 1e-3 in TensorFlow's nets.
    convention: what momentum means, because the same word has three meanings:
        "pytorch": running <- (1 - momentum) running + momentum batch; default 0.1.
        "tensorflow": running <- momentum running + (1 - momentum) batch; default 0.9.
        "caffe": running <- the weighted mean of all batches so far, in which a batch of k steps ago has the weight momentum^k;
            default 0.999. The first batch replaces the 0 and the 1 from which the running statistics start.
        The running variance is that of the batch times m / (m - 1), which estimates the variance of all images without bias, in "pytorch"
        and "caffe"; in "tensorflow" it is that of the batch, as in Keras.
    statistics: "batch" as above, or "running": training uses the running statistics too, and leaves them as they are, as for a part of a
        net below the layers that are trained. May be assigned; a frozen layer always does this.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`; scale 1 and shift 0 by default.

    Raises
    ------
    ShapeError: a setting outside its range, an input of another number of channels, or in training one value a channel: its variance is 0.

    Buffers: running_mean (C,), from 0, running_var (C,), from 1, and batches (C,), for "caffe": the sum of the weights so far.

    Cache: x (N, C, H, W), mean and s (C,). y is computed from them again.

    Gradient: see the derivation above.

    Example
    -------
    >>> BatchNorm2d(2).forward(np.array([[[[1.0, 3.0]], [[5.0, 5.0]]]], np.float32), train=True).round(3).tolist()
    [[[[-1.0, 1.0]], [[0.0, 0.0]]]]
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"channels", "convention"}
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "momentum": lambda who, v: require_float(who, "momentum", v, "a number from 0 to 1", lambda v: 0 <= v <= 1),
        "eps": lambda who, v: require_float(who, "eps", v, "a finite number above 0", lambda v: 0 < v < math.inf),
        "statistics": lambda who, v: require_choice(who, "statistics", v, STATISTICS),
    }

    def __init__(
        self,
        channels: int | None = None,
        *,
        momentum: float | None = None,
        eps: float = 1e-5,
        convention: str = "pytorch",
        statistics: str = "batch",
        weight_init: Init = ones,
        bias_init: Init = zeros,
        rng: np.random.Generator | None = None,
        name: str = "bn",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        (given,) = last_given(name, channels=channels)
        self.channels = None if given is None else self.checked_channels(given)
        self.convention = require_choice(name, "convention", convention, CONVENTIONS)
        default = {"pytorch": 0.1, "tensorflow": 0.9, "caffe": 0.999}[self.convention]
        self.momentum, self.eps, self.statistics = default if momentum is None else momentum, eps, statistics
        self.begin_norm(rng, weight_init, bias_init)

    def build(self, in_shape: tuple[int, ...] | None = None, rng: np.random.Generator | int = 0) -> None:
        """Draw the parameters and make the buffers, if that has not been done."""
        super().build(in_shape, rng)
        if not self.unbuilt and not self.buffers:
            start = {"running_mean": 0, "running_var": 1} | ({"batches": 0} if self.convention == "caffe" else {})
            for key, value in start.items():
                self.add_buffer(key, np.full(self.channels, value))

    def forward(self, x: Array, *, train: bool = False, then: Then | None = None) -> Array:
        self.check_x(x, "N C H W")
        self.output_shape(x.shape[1:])
        measures = train and self.statistics == "batch" and not self.frozen
        mean, var = self._measure(x) if measures else (self.buffers["running_mean"], self.buffers["running_var"])
        with self.device.activate():
            s = 1 / self.device.xp.sqrt(var + self.eps)
            if train and not measures:
                mean = self.device.copy(mean)  # the running mean may move before backward reads it
        out, weight, bias = self.device.empty(x.shape, self.dtype), self.params["weight"], self.params["bias"]

        def block(at: Maps, scratch: Scratch) -> None:
            _, c = at
            batch_norm(x[at], mean[c], s[c], weight[c], bias[c], out[at], scratch.xp)
            apply(then, out[at], scratch)

        map_maps(self.device, block, x.shape, x.dtype.itemsize)
        if train:
            self.keep(out.shape, x, mean, s, measures)
        return out

    def backward(self, dout: Array) -> Array:
        x, mean, s, measures = self.take(dout)
        dx, weight, m = self.device.empty(x.shape, self.dtype), self.params["weight"], x.size // self.channels
        dweights, dbiases = (self.device.empty(x.shape[:2], self.dtype) for _ in range(2))

        def sums(at: Maps, scratch: Scratch) -> None:
            _, c = at
            dweights[at], dbiases[at] = batch_norm_sums(x[at], mean[c], s[c], dout[at], scratch)

        map_maps(self.device, sums, x.shape, x.dtype.itemsize)
        with self.device.activate():
            dweight, dbias = dweights.sum(axis=0), dbiases.sum(axis=0)
            # Running statistics do not depend on x, so nothing comes back through them.
            through = (dweight, dbias) if measures else (0 * dweight, 0 * dbias)
        self.add_grad("weight", dweight)
        self.add_grad("bias", dbias)

        def block(at: Maps, scratch: Scratch) -> None:
            _, c = at
            batch_norm_backward(x[at], mean[c], s[c], weight[c], dout[at], through[0][c], through[1][c], m, dx[at], scratch.xp)

        map_maps(self.device, block, x.shape, x.dtype.itemsize)
        return dx

    def _measure(self, x: Array) -> tuple[Array, Array]:
        """The mean and the variance of each channel of the batch; the running ones follow."""
        m = x.size // self.channels
        if m == 1:
            use = "train on more images at a time, or with statistics='running'"
            raise ShapeError(f"{self.name}: x must have at least 2 values a channel in training, got {show(x)}, whose variance is 0; {use}")
        of_maps = self.device.empty(x.shape[:2], self.dtype)

        def sums(at: Maps, scratch: Scratch) -> None:
            of_maps[at] = sums_of(x[at], scratch.xp)

        def squares(at: Maps, scratch: Scratch) -> None:
            of_maps[at] = squares_of(x[at], mean[at[1]], scratch)

        map_maps(self.device, sums, x.shape, x.dtype.itemsize)
        with self.device.activate():
            mean = of_maps.sum(axis=0) / m
        map_maps(self.device, squares, x.shape, x.dtype.itemsize)
        with self.device.activate():
            total = of_maps.sum(axis=0)
            var = total / m
            self._follow(mean, var if self.convention == "tensorflow" else total / (m - 1))
        return mean, var

    def _follow(self, mean: Array, var: Array) -> None:
        """Move the running statistics towards those of a batch, each (C,)."""
        if self.convention == "caffe":
            batches = self.buffers["batches"]
            batches *= self.momentum
            batches += 1
            share: Any = 1 / batches
        else:
            share = self.momentum if self.convention == "pytorch" else 1 - self.momentum
        for running, of_batch in ((self.buffers["running_mean"], mean), (self.buffers["running_var"], var)):
            running += share * (of_batch - running)

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(x=True))

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        return super().scratch_bytes(in_shape, n, backward, workers) + (6 + 2 * n) * in_shape[0] * self.dtype.itemsize

    def settings(self) -> str:
        text = f"{self.channels or '?'} channels, eps {self.eps:g}, momentum {self.momentum:g} as in {self.convention}"
        return text + ("" if self.statistics == "batch" else ", running statistics")

"""Group normalization (Wu and He 2018): batch normalization within one image, over a group of channels.

**Derivation.** Take one image and one group of C/G channels, and let i run over its m = (C/G) H W values, of which value i belongs to the
channel c(i). As in `batch_norm`, with the mean and the variance of these m values,

    y_i = (x_i - mean) s,    s = (var + eps)^(-1/2),    out_i = weight_c(i) y_i + bias_c(i).

Each channel has its own weight, so the gradient of y_i is g_i = weight_c(i) dout_i. The derivative of y is that of `batch_norm`:

    dx_j = s (g_j - (1/m) sum_i g_i - y_j (1/m) sum_i g_i y_i),        both sums over the group of j,

    dweight_c = the sum of dout y over all places of channel c in all images,    dbias_c = the sum of dout over the same.

No image sees another one. So training and test compute the same, there are no running statistics, and a batch of one is as good as one
of 128. With one group this is layer normalization of an image, with C groups instance normalization.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import require_float, require_int
from tinyalex.fast.request import Keeps
from tinyalex.init import Init, ones, zeros
from tinyalex.layers.batch_norm import ChannelNorm
from tinyalex.layers.facts import Facts
from tinyalex.parameters import last_given, multiple_of


def group_statistics(x: Array, groups: int, eps: float, scratch: Scratch = NEW_ARRAYS) -> tuple[Array, Array]:
    """The mean and s = (var + eps)^(-1/2) of each group of each image, both (B, G, 1). x (B, C, H, W)."""
    xp, of_group = scratch.xp, x.reshape(len(x), groups, -1)  # (B, G, C/G * H * W)
    mean = of_group.mean(axis=2, keepdims=True)
    d = xp.subtract(of_group, mean, out=scratch(of_group.shape, x.dtype))
    d *= d
    return mean, 1 / xp.sqrt(d.mean(axis=2, keepdims=True) + eps)


def normalized(x: Array, mean: Array, s: Array, out: Array, xp: Any = np) -> Array:
    """Fill out with y_i = (x_i - mean) s and return it. x, out (B, C, H, W), C-contiguous out; mean, s (B, G, 1)."""
    y = out.reshape(*mean.shape[:2], -1)
    xp.subtract(x.reshape(y.shape), mean, out=y)
    y *= s
    return out


def group_norm(x: Array, mean: Array, s: Array, weight: Array, bias: Array, out: Array, xp: Any = np) -> None:
    """Fill out with weight_c(i) y_i + bias_c(i). x, out (B, C, H, W), mean, s (B, G, 1), weight, bias (C,)."""
    normalized(x, mean, s, out, xp)
    out *= weight[:, None, None]
    out += bias[:, None, None]


def group_norm_backward(
    x: Array, mean: Array, s: Array, weight: Array, dout: Array, dx: Array, scratch: Scratch = NEW_ARRAYS
) -> tuple[Array, Array]:
    """Fill dx with s (g_j - mean of g - y_j mean of g y), and return dweight and dbias of the block, each (C,).

    x, dout, dx (B, C, H, W), mean, s (B, G, 1), weight (C,).
    """
    xp = scratch.xp
    y = normalized(x, mean, s, scratch(x.shape, x.dtype), xp)
    product = xp.multiply(dout, y, out=scratch(x.shape, x.dtype))
    dweight, dbias = product.sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))
    product *= weight[:, None, None]  # g y
    of_group = (*mean.shape[:2], -1)
    along = product.reshape(of_group).mean(axis=2, keepdims=True)
    g = xp.multiply(dout, weight[:, None, None], out=dx).reshape(of_group)
    g -= g.mean(axis=2, keepdims=True)
    y = y.reshape(of_group)
    y *= along
    g -= y
    g *= s
    return dweight, dbias


class GroupNorm(ChannelNorm):
    """Give each group of channels of each image mean 0 and variance 1, then a learned scale and shift for each channel.

    Paper: after AlexNet: Wu and He 2018, which needs no large batch.

    Parameters
    ----------
    groups: G, at least 1. channels: C, a multiple of G; it may be left out, as in `GroupNorm(8)`: a Sequential with an `in_shape` finds it.
    eps: is added to the variance, above 0.
    weight_init, bias_init: functions (shape, rng) -> array from `tinyalex.init`; scale 1 and shift 0 by default.

    Raises
    ------
    ShapeError: a setting outside its range, channels that G does not divide, an input of another number of channels.

    Cache: x (N, C, H, W), and mean and s of each group, (N, G, 1).

    Gradient: see the derivation above.

    Example
    -------
    >>> GroupNorm(1, 2).forward(np.array([[[[1.0]], [[3.0]]]], np.float32)).round(3).ravel().tolist()
    [-1.0, 1.0]
    """

    fixed: ClassVar[frozenset[str]] = ChannelNorm.fixed | {"groups", "channels"}
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "eps": lambda who, v: require_float(who, "eps", v, "a finite number above 0", lambda v: 0 < v < math.inf),
    }

    def __init__(
        self,
        groups: int,
        channels: int | None = None,
        *,
        eps: float = 1e-5,
        weight_init: Init = ones,
        bias_init: Init = zeros,
        rng: np.random.Generator | None = None,
        name: str = "gn",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.groups = require_int(name, "groups", groups)
        (given,) = last_given(name, channels=channels)
        self.channels = None if given is None else self.checked_channels(given)
        self.eps = eps
        self.begin_norm(rng, weight_init, bias_init)

    def checked_channels(self, channels: Any) -> int:
        """The number of channels, a multiple of the groups. Raises ShapeError."""
        return multiple_of(self.groups, self.name, "channels", channels)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        self.output_shape(x.shape[1:])
        out = self.device.empty(x.shape, self.dtype)
        means, all_s = (self.device.empty((len(x), self.groups, 1), self.dtype) for _ in range(2))

        def block(images: slice, scratch: Scratch) -> None:
            means[images], all_s[images] = mean, s = group_statistics(x[images], self.groups, self.eps, scratch)
            group_norm(x[images], mean, s, self.params["weight"], self.params["bias"], out[images], scratch.xp)

        self.device.map_blocks(block, len(x), 2 * out[:1].nbytes)
        if train:
            self.keep(out.shape, x, means, all_s)
        return out

    def backward(self, dout: Array) -> Array:
        x, means, all_s = self.take(dout)
        dx, weight = self.device.empty(x.shape, self.dtype), self.params["weight"]

        def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
            return group_norm_backward(x[images], means[images], all_s[images], weight, dout[images], dx[images], scratch)

        dweight, dbias = self.device.map_blocks(block, len(x), 4 * dx[:1].nbytes)
        self.add_grad("weight", dweight)
        self.add_grad("bias", dbias)
        return dx

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(x=True, own=2 * self.groups * self.dtype.itemsize))

    def settings(self) -> str:
        return f"{self.groups} groups of {self.channels or '?'} channels, eps {self.eps:g}"

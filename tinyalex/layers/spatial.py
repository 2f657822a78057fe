"""Response normalization within a channel: each activity is divided by a function of its neighbors in the same channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import ShapeError, require_bool, require_float, require_int, show
from tinyalex.fast.request import Keeps
from tinyalex.geometry import Windows
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts, elements
from tinyalex.layers.lrn import power


def band_matrix(size: int, weights: np.ndarray[Any, Any], before: int) -> np.ndarray[Any, Any]:
    """The matrix B (size, size) with (B a)_i = the sum over t of weights_t a_{i - before + t}, where a is 0 outside its range.

    B^T sums over the mirrored window: (B^T a)_j is the sum, with the same weights, of a_i over all i whose window contains j.
    """
    t = np.arange(size) - np.arange(size)[:, None] + before  # (size, size)
    return np.where((t >= 0) & (t < len(weights)), weights[np.clip(t, 0, len(weights) - 1)], 0.0)


def band_sum(down: Array, a: Array, along: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """down @ a @ along^T on the last two axes, (H, W): the weighted sum over a window, first along the height, then along the width.

    Most terms of these products are zeros. On images of up to about 60 x 60 pixels they are still faster than adding shifted arrays.
    """
    xp = scratch.xp
    along_height = xp.matmul(down, a, out=scratch(a.shape, a.dtype))
    return xp.matmul(along_height, along.T, out=scratch(a.shape, a.dtype))


def spatial_scale(x: Array, down: Array, along: Array, k: float, factor: float, out: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """out = k + factor * (the sum of x^2 over the window around each pixel). down (H, H) and along (W, W) are bands of ones."""
    xp = scratch.xp
    square = xp.multiply(x, x, out=scratch(x.shape, x.dtype))
    xp.multiply(band_sum(down, square, along, scratch), factor, out=out)
    out += k
    return out


def spatial_forward(x: Array, scale: Array, beta: float, out: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """out = x / scale^beta."""
    return scratch.xp.divide(x, power(scale, beta, scratch), out=out)


def spatial_backward(
    x: Array, scale: Array, dout: Array, down: Array, along: Array, factor: float, beta: float, dx: Array, scratch: Scratch = NEW_ARRAYS
) -> Array:
    """dx_i = dout_i s_i^-beta - 2 factor beta x_i * (the sum of dout_j out_j / s_j over all j whose window contains i)."""
    xp = scratch.xp
    powered = power(scale, beta, scratch)
    xp.divide(dout, powered, out=dx)
    ratio = xp.multiply(dx, x, out=powered)  # dout out
    ratio /= scale
    cross = band_sum(down.T, ratio, along.T, scratch)  # the transposed bands sum over the mirrored window
    cross *= x
    cross *= 2 * factor * beta
    dx -= cross
    return dx


class SpatialResponseNorm(Layer):
    """Divide each activity by a power of the sum of squares around it, in its own channel.

    Paper: not in its text. The authors' net of 2012 has such a layer after conv2's normalization (n=5, alpha=1e-3). Their
    CIFAR-10 nets call it `rnorm`, and Caffe calls it WITHIN_CHANNEL.

        out_i = x_i / (k + alpha / n^2 * sum_j x_j^2)^beta,   j in the n x n window around pixel i

    Parameters
    ----------
    n: height and width of the window, at least 1. The window begins n // 2 pixels above and left of i, so an even n reaches one pixel
        further up and left than down and right. At an edge of the image the window is cut off, but alpha is still divided by n^2.
    k: above 0, because with 0 a window of zeros would divide by 0. alpha: at least 0. beta: any finite number.
    alpha_over_area: whether alpha is divided by n^2.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: x and scale = k + alpha / n^2 * sum_j x_j^2, both (N, C, H, W).

    Gradient: as in LocalResponseNorm, with pixels in place of channels. Let s_j be the scale and out_j the output at pixel j, and
    f = alpha / n^2. For every j whose window contains i, d out_j / d x_i = [i = j] s_j^-beta - 2 f beta x_i out_j / s_j, so

        dx_i = dout_i s_i^-beta - 2 f beta x_i * sum_j dout_j out_j / s_j.

    These j form the mirrored window, which begins (n - 1) // 2 pixels above and left of i; for odd n both windows are equal.

    Example
    -------
    >>> SpatialResponseNorm(n=3, alpha=9.0, beta=1.0, dtype=np.float64).forward(np.ones((1, 1, 2, 2))).tolist()
    [[[[0.2, 0.2], [0.2, 0.2]]]]
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"n", "alpha_over_area"}
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "k": lambda who, v: require_float(who, "k", v, "a finite number above 0", lambda v: 0 < v < math.inf),
        "alpha": lambda who, v: require_float(who, "alpha", v, "a finite number of at least 0", lambda v: 0 <= v < math.inf),
        "beta": lambda who, v: require_float(who, "beta", v, "a finite number", math.isfinite),
    }

    def __init__(
        self,
        n: int = 3,
        k: float = 1.0,
        alpha: float = 5e-5,
        beta: float = 0.75,
        *,
        alpha_over_area: bool = True,
        name: str = "rnorm",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.n, self.alpha_over_area = require_int(name, "n", n), require_bool(name, "alpha_over_area", alpha_over_area)
        self.k, self.alpha, self.beta = k, alpha, beta

    @property
    def factor(self) -> float:
        """The factor of each square: alpha / n^2, or alpha."""
        return self.alpha / self.n**2 if self.alpha_over_area else self.alpha

    def bands(self, h: int, w: int) -> tuple[Array, Array]:
        """The band matrices of the window, (H, H) and (W, W), on the device."""
        down, along = (band_matrix(size, np.ones(self.n), self.n // 2) for size in (h, w))
        return self.device.asarray(down, self.dtype), self.device.asarray(along, self.dtype)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        down, along = self.bands(*x.shape[2:])
        out = self.device.empty(x.shape, self.dtype)
        scales = self.device.empty(x.shape, self.dtype) if train else None

        def block(images: slice, scratch: Scratch) -> None:
            scale = scratch(out[images].shape, self.dtype) if scales is None else scales[images]
            spatial_scale(x[images], down, along, self.k, self.factor, scale, scratch)
            spatial_forward(x[images], scale, self.beta, out[images], scratch)

        self.device.map_blocks(block, len(x), 6 * out[:1].nbytes)
        if train:
            self.keep(out.shape, x, scales)
        return out

    def backward(self, dout: Array) -> Array:
        x, scales = self.take(dout)
        down, along = self.bands(*x.shape[2:])
        dx = self.device.empty(x.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            spatial_backward(x[images], scales[images], dout[images], down, along, self.factor, self.beta, dx[images], scratch)

        self.device.map_blocks(block, len(x), 6 * dx[:1].nbytes)
        return dx

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        (_, h, w), side = in_shape, (self.n, self.n)
        windows = Windows((h, w), side, (1, 1), (self.n // 2, self.n // 2), (h, w)) if (h, w) != (1, 1) else None
        return Facts(keeps=Keeps(x=True, own=elements(in_shape) * self.dtype.itemsize), windows=windows, divides=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        return in_shape

    def settings(self) -> str:
        return f"n {self.n}, k {self.k:g}, alpha {self.alpha:g}{'/n^2' if self.alpha_over_area else ''}, beta {self.beta:g}"

"""Local contrast normalization (Jarrett et al. 2009): subtract the local mean, divide by the local deviation."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import ShapeError, require_float, require_int, show
from tinyalex.fast.request import Keeps
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts
from tinyalex.layers.spatial import band_matrix, band_sum


def gaussian_band(size: int, kernel_size: int, sigma: float) -> np.ndarray[Any, Any]:
    """G (size, size): (G a)_i is the Gaussian-weighted mean of a_{i-r}..a_{i+r}, r = kernel_size // 2, with zeros outside.

    The kernel_size weights sum to 1. G is symmetric: i counts in the mean around j as much as j in that around i.
    """
    radius = kernel_size // 2
    weights = np.exp(-0.5 * ((np.arange(kernel_size) - radius) / sigma) ** 2)
    return band_matrix(size, weights / weights.sum(), radius)


def local_mean(a: Array, down: Array, along: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """The Gaussian-weighted mean over the window and all channels of a (B, C, H, W): (B, H, W).

    The weight of a place is a product, g_p g_q / C, so this is the mean over the channels between two band matrices,
    down (H, H) and along (W, W).
    """
    (b, _, h, w) = a.shape
    mean = scratch.xp.mean(a, axis=1, out=scratch((b, h, w), a.dtype))
    return band_sum(down, mean, along, scratch)


def _inverse(a: Array, scratch: Scratch) -> Array:
    """1 / a, and 0 where a is 0."""
    xp = scratch.xp
    zero = xp.equal(a, 0, out=scratch(a.shape, a.dtype))  # 1 where a is 0, else 0
    out = xp.add(a, zero, out=scratch(a.shape, a.dtype))
    xp.divide(1, out, out=out)
    return xp.subtract(out, zero, out=out)


def contrast_statistics(x: Array, down: Array, along: Array, v: Array, std: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """v = x - its local mean, (B, C, H, W); std = the square root of the local mean of v^2, (B, H, W)."""
    xp = scratch.xp
    xp.subtract(x, local_mean(x, down, along, scratch)[:, None], out=v)
    square = xp.multiply(v, v, out=scratch(v.shape, v.dtype))
    xp.sqrt(local_mean(square, down, along, scratch), out=std)


def contrast_forward(v: Array, std: Array, out: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """out = v / max(c, std), c being an image's mean of std."""
    xp = scratch.xp
    divisor = xp.maximum(std, std.mean(axis=(1, 2), keepdims=True), out=scratch(std.shape, std.dtype))
    xp.multiply(v, _inverse(divisor, scratch)[:, None], out=out)


def contrast_backward(v: Array, std: Array, dout: Array, down: Array, along: Array, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """dx, step by step back through the derivation in LocalContrastNorm."""
    xp = scratch.xp
    mean = std.mean(axis=(1, 2), keepdims=True)  # c of each image, (B, 1, 1)
    inverse = _inverse(xp.maximum(std, mean, out=scratch(std.shape, std.dtype)), scratch)  # 1 / d, (B, H, W)

    product = xp.multiply(dout, v, out=scratch(v.shape, v.dtype))
    dd = xp.sum(product, axis=1, out=scratch(std.shape, std.dtype))
    dd *= inverse
    dd *= inverse
    dd *= -1  # dd = -sum over channels of dout v / d^2

    dstd = xp.greater(std, mean, out=scratch(std.shape, std.dtype))
    dstd *= dd  # what std itself gets
    dd -= dstd  # what c gets
    dstd += dd.mean(axis=(1, 2), keepdims=True)

    dstd *= _inverse(std, scratch)
    spread = band_sum(down, dstd, along, scratch)
    spread /= v.shape[1]
    xp.multiply(v, spread[:, None], out=dx)
    dx += xp.multiply(dout, inverse[:, None], out=product)  # dx holds dv
    dx -= local_mean(dx, down, along, scratch)[:, None]


class LocalContrastNorm(Layer):
    """Subtract the mean of a place's surroundings in all channels, then divide by their standard deviation.

    Paper: section 3.3 sets it against its own scheme, which subtracts no mean; from Jarrett, Kavukcuoglu, Ranzato, LeCun,
    "What is the best multi-stage architecture for object recognition?", 2009. With weights w that sum to 1 over the
    window and the C channels, zeros around the image, and i, j, k channel, row and column:

        v_ijk = x_ijk - sum_ipq w_pq x_i,j+p,k+q                   subtractive
        s_jk = sqrt(sum_ipq w_pq v_i,j+p,k+q^2)
        out_ijk = v_ijk / max(c, s_jk),  c = mean of s over the image    divisive

    Parameters
    ----------
    kernel_size: rows and columns of the window, odd, 1 or more. The 2009 paper has 9.
    sigma: standard deviation of the Gaussian w in pixels, above 0. None is kernel_size / 4: the 2009 paper gives no
        number, and others' choices for 9 lie between 1.5 and 2.3.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: v (N, C, H, W) and s (N, H, W).

    Gradient: write S a = (1/C) G (sum_i a_i) G for the weighted sum, G the symmetric band matrices of the Gaussian; its
    transpose gives every channel (1/C) G b G. With d = max(c, s), from the output back to the input:

        dd = -sum_i dout_i v_i / d^2
        ds = [s > c] dd + (1/HW) sum over [s <= c] of dd           c is the mean of all s; at a tie c counts as the larger
        dv_i = dout_i / d + v_i (1/C) G (ds / s) G                 since s^2 = S v^2 and ds/d(s^2) = 1 / (2 s)
        dx_i = dv_i - (1/C) G (sum_i dv_i) G                       since v = x - S x

    Where s = 0, all v in the window are 0 and s has a kink, like |v|: its gradient is taken as 0. An image of zeros gives
    zeros and gets no gradient.

    Example
    -------
    >>> LocalContrastNorm(9).forward(np.zeros((1, 3, 4, 4), np.float32)).max().item()
    0.0
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"kernel_size", "sigma"}

    def __init__(
        self,
        kernel_size: int = 9,
        sigma: float | None = None,
        *,
        name: str = "lcn",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.kernel_size = require_int(name, "kernel_size", kernel_size)
        if self.kernel_size % 2 == 0:
            raise ShapeError(f"{name}: kernel_size must be odd, got {kernel_size}; use {kernel_size - 1} or {kernel_size + 1}")
        sigma = self.kernel_size / 4 if sigma is None else sigma
        self.sigma = require_float(name, "sigma", sigma, "a finite number above 0", lambda v: 0 < v < math.inf)

    def bands(self, h: int, w: int) -> tuple[Array, Array]:
        """The band matrices for images of h rows and w columns, on the device."""
        down, along = (gaussian_band(n, self.kernel_size, self.sigma) for n in (h, w))
        return self.device.asarray(down, self.dtype), self.device.asarray(along, self.dtype)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        (n, c, h, w) = x.shape
        with np.errstate(under="ignore"):  # far from its middle the Gaussian is 0
            down, along = self.bands(h, w)
        out = self.device.empty(x.shape, self.dtype)
        vs, stds = (self.device.empty(x.shape, self.dtype), self.device.empty((n, h, w), self.dtype)) if train else (None, None)

        def block(images: slice, scratch: Scratch) -> None:
            b = len(out[images])
            v = scratch((b, c, h, w), self.dtype) if vs is None else vs[images]
            std = scratch((b, h, w), self.dtype) if stds is None else stds[images]
            contrast_statistics(x[images], down, along, v, std, scratch)
            contrast_forward(v, std, out[images], scratch)

        with np.errstate(under="ignore"):  # the square of a small activity is 0, which is near enough
            self.device.map_blocks(block, n, (2 * c + 10) * h * w * self.dtype.itemsize)
        if train:
            self.keep(out.shape, vs, stds)
        return out

    def backward(self, dout: Array) -> Array:
        vs, stds = self.take(dout)
        (n, c, h, w) = vs.shape
        with np.errstate(under="ignore"):
            down, along = self.bands(h, w)
        dx = self.device.empty(vs.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            contrast_backward(vs[images], stds[images], dout[images], down, along, dx[images], scratch)

        with np.errstate(under="ignore"):
            self.device.map_blocks(block, n, (2 * c + 12) * h * w * self.dtype.itemsize)
        return dx

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        c, h, w = in_shape  # every output is divided by at least the mean deviation of the whole image
        return Facts(keeps=Keeps(own=(c + 1) * h * w * self.dtype.itemsize), sees_all=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        return in_shape

    def settings(self) -> str:
        return f"kernel {self.kernel_size}, sigma {self.sigma:g}"

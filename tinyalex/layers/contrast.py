"""Local contrast normalization (Jarrett et al. 2009): subtract the local mean, then divide by the local standard deviation."""

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
    """G (size, size): (G a)_i is the Gaussian-weighted mean of a_{i-r}, ..., a_{i+r}, with r = kernel_size // 2 and zeros outside a.

    The kernel_size weights sum to 1. G is symmetric.
    """
    radius = kernel_size // 2
    weights = np.exp(-0.5 * ((np.arange(kernel_size) - radius) / sigma) ** 2)
    return band_matrix(size, weights / weights.sum(), radius)


def local_mean(a: Array, down: Array, along: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """The Gaussian-weighted mean of a (B, C, H, W) over all channels and the window around each position: (B, H, W).

    The weight of a pixel is the product g_p g_q / C. So the result is down (H, H) @ (the mean of a over the channels) @ along (W, W).
    """
    (b, _, h, w) = a.shape
    mean = scratch.xp.mean(a, axis=1, out=scratch((b, h, w), a.dtype))
    return band_sum(down, mean, along, scratch)


def _inverse(a: Array, scratch: Scratch) -> Array:
    """1 / a where a is not 0, and 0 where a is 0."""
    xp = scratch.xp
    zero = xp.equal(a, 0, out=scratch(a.shape, a.dtype))  # 1 where a is 0, otherwise 0
    out = xp.add(a, zero, out=scratch(a.shape, a.dtype))
    xp.divide(1, out, out=out)
    return xp.subtract(out, zero, out=out)


def contrast_statistics(x: Array, down: Array, along: Array, v: Array, std: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """Fill v (B, C, H, W) = x - local_mean(x), and std (B, H, W) = sqrt(local_mean(v^2))."""
    xp = scratch.xp
    xp.subtract(x, local_mean(x, down, along, scratch)[:, None], out=v)
    square = xp.multiply(v, v, out=scratch(v.shape, v.dtype))
    xp.sqrt(local_mean(square, down, along, scratch), out=std)


def contrast_forward(v: Array, std: Array, out: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """out (B, C, H, W) = v / max(c, std), where c is the mean of std over the image."""
    xp = scratch.xp
    divisor = xp.maximum(std, std.mean(axis=(1, 2), keepdims=True), out=scratch(std.shape, std.dtype))
    xp.multiply(v, _inverse(divisor, scratch)[:, None], out=out)


def contrast_backward(v: Array, std: Array, dout: Array, down: Array, along: Array, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """Fill dx (B, C, H, W), one line after the other of the gradient that LocalContrastNorm derives."""
    xp = scratch.xp
    mean = std.mean(axis=(1, 2), keepdims=True)  # c of each image, (B, 1, 1)
    inverse = _inverse(xp.maximum(std, mean, out=scratch(std.shape, std.dtype)), scratch)  # 1 / d, (B, H, W)

    product = xp.multiply(dout, v, out=scratch(v.shape, v.dtype))
    dd = xp.sum(product, axis=1, out=scratch(std.shape, std.dtype))
    dd *= inverse
    dd *= inverse
    dd *= -1  # dd = -sum over channels of dout v / d^2

    dstd = xp.greater(std, mean, out=scratch(std.shape, std.dtype))
    dstd *= dd  # the gradient of std where std is the divisor
    dd -= dstd  # the gradient of c where c is the divisor
    dstd += dd.mean(axis=(1, 2), keepdims=True)

    dstd *= _inverse(std, scratch)
    spread = band_sum(down, dstd, along, scratch)
    spread /= v.shape[1]
    xp.multiply(v, spread[:, None], out=dx)
    dx += xp.multiply(dout, inverse[:, None], out=product)  # dx holds dv
    dx -= local_mean(dx, down, along, scratch)[:, None]


class LocalContrastNorm(Layer):
    """Subtract from each pixel the mean of its window in all channels, then divide by the standard deviation of that window.

    Paper: section 3.3 compares its own scheme, which subtracts no mean, with this one, which is from Jarrett, Kavukcuoglu,
    Ranzato, LeCun, "What is the best multi-stage architecture for object recognition?", 2009. Let i be a channel, (j, k) a
    position, and w weights that sum to 1 over the window and the C channels. Outside the image x and v are 0.

        v_ijk = x_ijk - sum_ipq w_pq x_i,j+p,k+q
        s_jk = sqrt(sum_ipq w_pq v_i,j+p,k+q^2)
        out_ijk = v_ijk / max(c, s_jk),  c = the mean of s over the image

    Parameters
    ----------
    kernel_size: height and width of the window, odd, at least 1. The paper of 2009 has 9.
    sigma: standard deviation of the Gaussian w in pixels, above 0. None means kernel_size / 4. The paper of 2009 does not give
        sigma; for kernel_size 9 other programs have values from 1.5 to 2.3.

    Raises
    ------
    ShapeError: a setting or an input outside these ranges.

    Cache: v (N, C, H, W) and s (N, H, W).

    Gradient: the weighted sum is S a = (1/C) G (sum_i a_i) G, where G are the symmetric band matrices of the Gaussian. The
    transpose of S maps b to (1/C) G b G in every channel. With d = max(c, s), from the output back to the input:

        dd = -sum_i dout_i v_i / d^2
        ds = [s > c] dd + (1/HW) (the sum of dd where s <= c)      because c is the mean of s; if s = c, d is taken to be c
        dv_i = dout_i / d + v_i (1/C) G (ds / s) G                 because s^2 = S v^2 and ds/d(s^2) = 1 / (2 s)
        dx_i = dv_i - (1/C) G (sum_i dv_i) G                       because v = x - S x

    If s = 0, all v in the window are 0. There s has a kink, as |v| has, and its gradient is taken as 0. The output of an image of
    zeros is 0, and so is its gradient.

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
        """The band matrices of the Gaussian, (H, H) and (W, W), on the device."""
        down, along = (gaussian_band(n, self.kernel_size, self.sigma) for n in (h, w))
        return self.device.asarray(down, self.dtype), self.device.asarray(along, self.dtype)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        (n, c, h, w) = x.shape
        with self.device.activate():
            down, along = self.bands(h, w)
        out = self.device.empty(x.shape, self.dtype)
        vs, stds = (self.device.empty(x.shape, self.dtype), self.device.empty((n, h, w), self.dtype)) if train else (None, None)

        def block(images: slice, scratch: Scratch) -> None:
            b = len(out[images])
            v = scratch((b, c, h, w), self.dtype) if vs is None else vs[images]
            std = scratch((b, h, w), self.dtype) if stds is None else stds[images]
            contrast_statistics(x[images], down, along, v, std, scratch)
            contrast_forward(v, std, out[images], scratch)

        self.device.map_blocks(block, n, (2 * c + 10) * h * w * self.dtype.itemsize)
        if train:
            self.keep(out.shape, vs, stds)
        return out

    def backward(self, dout: Array) -> Array:
        vs, stds = self.take(dout)
        (n, c, h, w) = vs.shape
        with self.device.activate():
            down, along = self.bands(h, w)
        dx = self.device.empty(vs.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            contrast_backward(vs[images], stds[images], dout[images], down, along, dx[images], scratch)

        self.device.map_blocks(block, n, (2 * c + 12) * h * w * self.dtype.itemsize)
        return dx

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        c, h, w = in_shape  # every output sees the whole image through the mean of s
        return Facts(keeps=Keeps(own=(c + 1) * h * w * self.dtype.itemsize), sees_all=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        return in_shape

    def settings(self) -> str:
        return f"kernel {self.kernel_size}, sigma {self.sigma:g}"

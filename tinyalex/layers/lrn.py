"""Local response normalization (paper 3.3): each activity is divided by a function of the channels around its own.

**Derivation.** At one pixel let a_i be the activity of channel i, and let alpha be the factor of each square (the paper's alpha; alpha / n
where `alpha_over_n` is set). With

    s_i = k + alpha * (the sum of a_j^2 over all j in the window of i),        b_i = a_i s_i^-beta,

an activity a_i enters twice: directly into b_i, and through the scale s_j of every channel j whose window contains i. For these j

    ds_j/da_i = 2 alpha a_i,    so    db_j/da_i = [i = j] s_j^-beta - beta a_j s_j^(-beta-1) ds_j/da_i
                                                = [i = j] s_j^-beta - 2 alpha beta a_i b_j / s_j,

and for every other j it is 0. Sum dout_j db_j/da_i over j, since a gradient adds where a value is used more than once:

    dx_i = dout_i s_i^-beta - 2 alpha beta a_i * (the sum of dout_j b_j / s_j over all j whose window contains i).

The second term is the cross term. Its j form the mirrored window: if the window of j reaches from j - before to j + after, then it
contains i for i - after <= j <= i + before. Only for an even n do the two differ.

With n = 3, k = 2, alpha = 1, beta = 1 and a = (1, 2, 0): s = (7, 7, 6) and b = (1/7, 2/7, 0). For dout = (0, 1, 0) the first channel
gets no direct term, and through s_2 it gets dx_1 = -2 * 1 * (2/7) / 7 = -4/49.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import ShapeError, require_bool, require_float, require_int, show
from tinyalex.fast.request import Keeps
from tinyalex.fast.table import function
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts, elements

Window: TypeAlias = tuple[int, int, int]  # channels before and after the own one, and the number of groups


def window_sum(a: Array, before: int, after: int, groups: int, out: Array) -> Array:
    """out_i = the sum of a_j over the channels j with i - before <= j <= i + after in the group of i. a, out: (B, C, H, W)."""
    b, c, h, w = a.shape
    a, total = a.reshape(b, groups, c // groups, h * w), out.reshape(b, groups, c // groups, h * w)
    total[...] = a
    for shift in range(1, before + 1):
        total[:, :, shift:] += a[:, :, :-shift]
    for shift in range(1, after + 1):
        total[:, :, :-shift] += a[:, :, shift:]
    return out


def power(scale: Array, beta: float, scratch: Scratch) -> Array:
    """scale ** beta. For the paper's beta 0.75 two square roots, s^(1/2) s^(1/4), are several times as fast as a power."""
    xp, out = scratch.xp, scratch(scale.shape, scale.dtype)
    if beta != 0.75:
        return xp.power(scale, beta, out=out)
    xp.sqrt(scale, out=out)
    quarter = xp.sqrt(out, out=scratch(scale.shape, scale.dtype))
    return xp.multiply(out, quarter, out=out)


def lrn_scale(a: Array, k: float, alpha: float, window: Window, out: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """Fill out (B, C, H, W) with s_i = k + alpha * sum_j a_j^2 and return it. alpha: the factor of each square."""
    square = scratch.xp.multiply(a, a, out=scratch(a.shape, a.dtype))
    window_sum(square, *window, out)
    out *= alpha
    out += k
    return out


def lrn(a: Array, scale: Array, beta: float, out: Array, scratch: Scratch = NEW_ARRAYS) -> Array:
    """Fill out with b_i = a_i s_i^-beta and return it. a, scale, out: (B, C, H, W)."""
    return scratch.xp.divide(a, power(scale, beta, scratch), out=out)


def lrn_forward(
    a: Array, k: float, alpha: float, beta: float, window: Window, scale: Array, out: Array, scratch: Scratch = NEW_ARRAYS
) -> None:
    """Fill scale with s_i, and out with b_i: `lrn_scale` and `lrn` one after the other. a, scale, out: (B, C, H, W)."""
    lrn(a, lrn_scale(a, k, alpha, window, scale, scratch), beta, out, scratch)


def lrn_backward(
    a: Array, scale: Array, dout: Array, alpha: float, beta: float, window: Window, dx: Array, scratch: Scratch = NEW_ARRAYS
) -> None:
    """Fill dx with dout_i s_i^-beta - 2 alpha beta a_i * sum_j dout_j b_j / s_j. All arrays (B, C, H, W); `dx` may be `scale`."""
    xp, (before, after, groups) = scratch.xp, window
    powered = power(scale, beta, scratch)  # s^beta
    direct = xp.divide(dout, powered, out=scratch(a.shape, a.dtype))  # dout s^-beta
    ratio = xp.multiply(direct, a, out=powered)  # dout b
    ratio /= scale
    cross = window_sum(ratio, after, before, groups, scratch(a.shape, a.dtype))  # over the mirrored window
    cross *= a
    cross *= 2 * alpha * beta
    xp.subtract(direct, cross, out=dx)


class LocalResponseNorm(Layer):
    """Divide each activity by a power of the sum of squares over the channels around it.

    Paper: section 3.3, b_i = a_i / (k + alpha * sum_j a_j^2)^beta, where j runs over the n channels around channel i that exist.

    Parameters
    ----------
    n: how many channels a window has, at least 1. The window of channel i begins at i - n // 2, so for an even n it reaches one
        channel further down than up.
    k: above 0, because with 0 a window of zeros would divide by 0; alpha: at least 0; beta: any finite number. The defaults are those
        of the paper.
    groups: how many groups the channels are divided into, at least 1. A window ends at the edge of its group, as it ends at the edge
        of a device in section 3.2.
    alpha_over_n: whether alpha is divided by n, as in the authors' code, Caffe and PyTorch, but not in the paper's formula.

    Raises
    ------
    ShapeError: a setting outside these ranges, or channels whose number is not a multiple of `groups`.

    Cache: x and scale = k + alpha * sum_j a_j^2, both (N, C, H, W). backward computes b from them again.

    Gradient: see the derivation above.

    Example
    -------
    >>> round(LocalResponseNorm().forward(np.ones((1, 1, 1, 1), np.float32)).item(), 4)
    0.5946
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"n", "groups", "alpha_over_n", "before", "after"}
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "k": lambda who, v: require_float(who, "k", v, "a finite number above 0", lambda v: 0 < v < math.inf),
        "alpha": lambda who, v: require_float(who, "alpha", v, "a finite number of at least 0", lambda v: 0 <= v < math.inf),
        "beta": lambda who, v: require_float(who, "beta", v, "a finite number", math.isfinite),
    }

    def __init__(
        self,
        n: int = 5,
        k: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        *,
        groups: int = 1,
        alpha_over_n: bool = False,
        name: str = "norm",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.n, self.groups = require_int(name, "n", n), require_int(name, "groups", groups)
        self.alpha_over_n = require_bool(name, "alpha_over_n", alpha_over_n)
        self.k, self.alpha, self.beta = k, alpha, beta
        self.before, self.after = self.n // 2, (self.n - 1) // 2

    @property
    def alpha_each(self) -> float:
        """The factor of each square: alpha / n, or alpha."""
        return self.alpha / self.n if self.alpha_over_n else self.alpha

    @property
    def window(self) -> Window:
        """How far a window reaches before and after its channel, and how many groups there are."""
        return self.before, self.after, self.groups

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        self.output_shape(x.shape[1:])
        out = self.device.empty(x.shape, self.dtype)
        scales = self.device.empty(x.shape, self.dtype) if train else None
        forward = function(lrn_forward, self.device, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            a = x[images]
            scale = scratch(a.shape, self.dtype) if scales is None else scales[images]
            forward(a, self.k, self.alpha_each, self.beta, self.window, scale, out[images], scratch)

        self.device.map_blocks(block, len(x), 4 * out[:1].nbytes)
        if train:
            self.keep(out.shape, x, scales)
        return out

    def backward(self, dout: Array) -> Array:
        x, scales = self.take(dout)  # nothing else refers to `scales`, so dx is written over it
        backward = function(lrn_backward, self.device, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            scale = scales[images]
            backward(x[images], scale, dout[images], self.alpha_each, self.beta, self.window, scale, scratch)

        self.device.map_blocks(block, len(x), 6 * scales[:1].nbytes)
        return scales

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        scales = elements(in_shape) * self.dtype.itemsize
        return Facts(keeps=Keeps(x=True, own=scales), dx_in_kept=True, divides=True)

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(in_shape) != 3 or in_shape[0] % self.groups:
            got = show(("N", *in_shape))
            raise ShapeError(f"{self.name}: channels must be a multiple of groups={self.groups} on axis 1 of (N, C, H, W), got {got}")
        return in_shape

    def settings(self) -> str:
        text = f"n {self.n}, k {self.k:g}, alpha {self.alpha:g}{'/n' if self.alpha_over_n else ''}, beta {self.beta:g}"
        return text + (f", groups {self.groups}" if self.groups > 1 else "")

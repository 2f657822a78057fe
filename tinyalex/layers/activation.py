"""Activation functions (paper 3.1), which are applied to each element by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.errors import require_float
from tinyalex.fast.request import Keeps
from tinyalex.fast.table import function
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts


class Activation(Layer):
    """A function f that is applied to each element, and whose derivative can be computed from f(x).

    A subclass defines two methods of plain arrays: `function(x, out, scratch)` fills `out` with f(x), and
    `derivative(kept, dx, scratch)` fills `dx` with f'(x). `kept` is what forward kept: out = f(x), but in AbsTanh x.

    in_place: whether `function` allows `out` to be `x`. The layer before may then apply it to each block of its own output.

    Cache: out, of the shape of x.

    Gradient: dx = dout * f'(x), element by element.
    """

    in_place = False

    def function(self, x: Array, out: Array, scratch: Scratch) -> None:
        raise NotImplementedError

    def derivative(self, kept: Array, dx: Array, scratch: Scratch, /) -> None:
        raise NotImplementedError

    def gradient(self, kept: Array, dout: Array, dx: Array, scratch: Scratch) -> None:
        """Fill `dx` with dout * f'(x)."""
        self.derivative(kept, dx, scratch)
        dx *= dout

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x)
        out = self.device.empty(x.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            self.function(x[images], out[images], scratch)

        self.device.map_blocks(block, len(x), size=self.device.few_blocks(len(x), out[:1].nbytes))
        return self.applied(out, train)

    def applied(self, out: Array, train: bool) -> Array:
        """Keep `out`, which is f(x), for backward if `train`; return it."""
        if train:
            self.keep(out.shape, out)
        return out

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(out=True), in_place=True)

    def backward(self, dout: Array) -> Array:
        (kept,) = self.take(dout)
        dx = self.device.empty(dout.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            self.gradient(kept[images], dout[images], dx[images], scratch)

        self.device.map_blocks(block, len(dout), size=self.device.few_blocks(len(dout), dx[:1].nbytes))
        return dx


def relu_backward(out: Array, dout: Array | int, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """Fill dx with dout where out > 0, and with 0 elsewhere."""
    scratch.xp.greater(out, 0, out=dx)
    dx *= dout


class ReLU(Activation):
    """f(x) = max(0, x). It does not saturate, so a net trains several times as fast as with tanh.

    Paper: section 3.1.

    Gradient: f'(x) = 1 for x > 0 and 0 for x < 0; at the kink x = 0 it is taken as 0.

    Example
    -------
    >>> ReLU().forward(np.array([[-1.0, 2.0]], np.float32)).tolist()
    [[0.0, 2.0]]
    """

    in_place = True

    def __init__(self, *, name: str = "relu", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name, device, dtype)

    def function(self, x: Array, out: Array, scratch: Scratch) -> None:
        scratch.xp.clip(x, 0, math.inf, out=out)  # a third of the time that NumPy's maximum of an array and a number takes

    function.kernel = "relu"  # type: ignore[attr-defined]  # so kernels know it; a subclass with a function of its own has no such mark

    def derivative(self, out: Array, dx: Array, scratch: Scratch) -> None:
        relu_backward(out, 1, dx, scratch)

    def gradient(self, out: Array, dout: Array, dx: Array, scratch: Scratch) -> None:
        if type(self).derivative is ReLU.derivative:
            function(relu_backward, self.device, self.dtype)(out, dout, dx, scratch)
        else:  # a subclass with a derivative of its own
            super().gradient(out, dout, dx, scratch)


class Tanh(Activation):
    """f(x) = a tanh(b x).

    Paper: section 3.1 compares ReLU with this saturating unit; a and b are parameters of the authors' code.

    Parameters
    ----------
    a: f(x) approaches a and -a far from 0. Finite and not 0.
    b: the factor of x inside tanh. Finite and not 0.

    Gradient: f'(x) = a b (1 - tanh(b x)^2) = a b - (b / a) f(x)^2.
    """

    in_place = True
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "a": lambda who, v: require_float(who, "a", v, "finite and not 0", lambda v: math.isfinite(v) and v != 0),
        "b": lambda who, v: require_float(who, "b", v, "finite and not 0", lambda v: math.isfinite(v) and v != 0),
    }

    def __init__(
        self, a: float = 1.0, b: float = 1.0, *, name: str = "tanh", device: str | Device = "cpu", dtype: Any = np.float32
    ) -> None:
        super().__init__(name, device, dtype)
        self.a, self.b = a, b

    def function(self, x: Array, out: Array, scratch: Scratch) -> None:
        scratch.xp.multiply(x, self.b, out=out)
        scratch.xp.tanh(out, out=out)
        out *= self.a

    def derivative(self, out: Array, dx: Array, scratch: Scratch, /) -> None:
        scratch.xp.multiply(out, out, out=dx)
        dx *= -self.b / self.a
        dx += self.a * self.b

    def settings(self) -> str:
        return "" if self.a == self.b == 1 else f"a {self.a:g}, b {self.b:g}"


class AbsTanh(Tanh):
    """f(x) = |a tanh(b x)|, which Jarrett et al. (2009) found to work well with local contrast normalization.

    Paper: section 3.1 mentions it; a and b as in Tanh.

    Cache: x, because the derivative needs the sign, which f(x) no longer has.

    Gradient: f'(x) = sign(a b x) |a b| (1 - tanh(b x)^2); at the kink x = 0 it is taken as 0.
    """

    in_place = False

    def __init__(
        self, a: float = 1.0, b: float = 1.0, *, name: str = "abstanh", device: str | Device = "cpu", dtype: Any = np.float32
    ) -> None:
        super().__init__(a, b, name=name, device=device, dtype=dtype)

    def function(self, x: Array, out: Array, scratch: Scratch) -> None:
        super().function(x, out, scratch)
        scratch.xp.abs(out, out=out)

    def forward(self, x: Array, *, train: bool = False) -> Array:
        out = super().forward(x)
        if train:
            self.keep(out.shape, x)
        return out

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(x=True), in_place=True)

    def derivative(self, x: Array, dx: Array, scratch: Scratch, /) -> None:
        inner = scratch(x.shape, self.dtype)
        super().function(x, inner, scratch)  # a tanh(b x)
        super().derivative(inner, dx, scratch)
        dx *= scratch.xp.sign(inner, out=inner)


class Sigmoid(Activation):
    """f(x) = 1 / (1 + exp(-x)).

    Paper: section 3.1 names it as the other standard saturating unit.

    With e = exp(-|x|), which never overflows, f(x) is 1 / (1 + e) for x >= 0 and e / (1 + e) for x < 0.

    Gradient: f'(x) = f(x) (1 - f(x)).
    """

    def __init__(self, *, name: str = "sigmoid", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name, device, dtype)

    def function(self, x: Array, out: Array, scratch: Scratch) -> None:
        xp, e = scratch.xp, scratch(x.shape, self.dtype)
        xp.exp(xp.negative(xp.abs(x, out=e), out=e), out=e)
        xp.greater_equal(x, 0, out=out)
        xp.maximum(out, e, out=out)  # 1 where x >= 0, otherwise e, which is below 1
        e += 1
        out /= e

    def derivative(self, out: Array, dx: Array, scratch: Scratch) -> None:
        scratch.xp.subtract(1, out, out=dx)
        dx *= out

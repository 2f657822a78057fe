"""The backward pass of E07: the gradient of local response normalization (paper 3.3), and the mistakes in deriving it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Arguments, Mistake, Probe
from tinyalex.tutor.exercises import e07_forward as forward
from tinyalex.tutor.exercises.e07_forward import Way, Window, forward_probes, holds, over, scales


def lrn_backward(dout: Array, a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The gradient of the loss with respect to a, from that with respect to the output of `lrn` (paper 3.3).

    a[i] enters the output b[i] twice, above and below the line of the fraction, and it enters the output b[j] of every other channel j
    whose window holds i. dx[i] is the sum over all these outputs of dout[j] times the derivative of b[j] with respect to a[i].

    Parameters
    ----------
    dout: (N, C, H, W), the gradient of the loss with respect to the output b.
    a: (N, C, H, W), the input of the forward pass.
    n, k, alpha, beta: as in `lrn`; for an even n take care: the channels in the window of i,
        and the channels whose windows hold i, are two different sets.

    Returns
    -------
    dx: (N, C, H, W), a new array. dout and a are left as they are.
    """
    return gradient(dout, a, scales(a, n, k, alpha), holds(a.shape[1], n), alpha, beta)


def gradient(dout: Array, a: Array, s: Array, window: Array, alpha: float, beta: float) -> Array:
    """The gradient for any scales and windows."""
    return dout * s**-beta - 2 * alpha * beta * a * over(window.T, dout * a * s ** (-beta - 1))


class Back(NamedTuple):
    """The arguments of one call of `lrn_backward`, and the two terms of the gradient."""

    dout: Array
    a: Array
    n: int
    k: float
    alpha: float
    beta: float

    @property
    def s(self) -> Array:
        """The right scales."""
        return scales(self.a, self.n, self.k, self.alpha)

    @property
    def direct(self) -> Array:
        """The first term."""
        return self.dout * self.s**-self.beta

    def cross(self, inside: Array, window: Window = holds, outside: Any = None, factor: float | None = None) -> Array:
        """The second term with another product inside of the sum, with other windows, or with other factors in front.

        outside: in the place of a[i]. factor: in the place of alpha beta.
        """
        held = over(window(self.a.shape[1], self.n).T, inside)
        return 2 * (self.alpha * self.beta if factor is None else factor) * (self.a if outside is None else outside) * held

    def of_scale(self, s: Array) -> Array:
        """The gradient with any scales, and the right windows in the second term."""
        return gradient(self.dout, self.a, s, holds(self.a.shape[1], self.n), self.alpha, self.beta)

    def summed(self, of: Array, window: Window = holds) -> Array:
        """The sum over windows of channels."""
        return over(window(self.a.shape[1], self.n), of)

    def product(self, power: float = -1) -> Array:
        """What stands inside of the sum, dout[j] a[j] s[j]^(power - beta)."""
        return self.dout * self.a * self.s ** (power - self.beta)

    def right(self, **changed: Any) -> Array:
        """The right gradient of a call in which some arguments are others."""
        return lrn_backward(*self._replace(**changed))


def _back(make: Callable[[Back], Array]) -> Way:
    """A function of the arguments of `lrn_backward` from one of a call."""
    return lambda dout, a, n, k, alpha, beta: make(Back(dout, a, n, k, alpha, beta))


def _factor(factor: Callable[[Back], float]) -> Way:
    """The second term with another factor in the place of alpha beta."""
    return _back(lambda c: c.direct - c.cross(c.product(), factor=factor(c)))


def _scale(s: Callable[[Back], Array]) -> Way:
    """Another s, and all else right."""
    return _back(lambda c: c.of_scale(s(c)))


def _inside(product: Callable[[Back], Array]) -> Way:
    """Another product inside of the sum."""
    return _back(lambda c: c.direct - c.cross(product(c)))


def _first_term(direct: Callable[[Back], Array]) -> Way:
    """Another first term, and the right second one."""
    return _back(lambda c: direct(c) - c.cross(c.product()))


def _both(window: Window) -> Way:
    """The right derivative of a forward pass with other windows."""

    def derivative(c: Back) -> Array:
        held = window(c.a.shape[1], c.n)
        return gradient(c.dout, c.a, c.k + c.alpha * over(held, c.a**2), held, c.alpha, c.beta)

    return _back(derivative)


def _of_forward(key: str, given: Callable[..., Arguments], source: str = "inferred") -> Mistake:
    """The right derivative of a forward pass with other arguments."""
    return Mistake(key, _back(lambda c: c.right(**given(**c._asdict()))), source, given=given)


def backward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `lrn_backward`."""
    return [
        Probe(probe.key, probe.says, {"dout": rng.standard_normal(probe.arguments["a"].shape)} | dict(probe.arguments))
        for probe in forward_probes(rng, sizes)
    ]


WITHOUT_BRACKETS: dict[str, Callable[[Back], Array]] = {  # of s ** (-beta - 1), and of what is divided by s ** (beta + 1)
    "of the power": lambda c: c.dout * c.a * (c.s**-c.beta - 1),
    "of the product": lambda c: c.dout * c.a * c.s**-c.beta - 1,
    "of the divisor": lambda c: c.dout * c.a / (c.s**c.beta + 1),
    "of the fraction": lambda c: c.dout * c.a / c.s**c.beta + 1,
}
FIRST_TERMS: dict[str, Callable[[Back], Array]] = {
    "no power": lambda c: c.dout / c.s,
    "times the power": lambda c: c.dout * c.s**c.beta,
    "dout alone": lambda c: c.dout,
    "of the second": lambda c: c.dout * c.s ** (-c.beta - 1),
    "without dout": lambda c: c.s**-c.beta,
}
OTHER_WINDOWS: dict[str, Window] = {
    "last missing": forward.LAST_MISSING, "odd n": forward.HALF_EXCLUSIVE, "radius": forward.RADIUS, "filled": forward.FILLED,
    "ring": forward.ROUND, "both sides": forward.BOTH_SIDES, "mirrored": forward.ONE_MORE_ABOVE, "to n above": forward.TO_N_ABOVE,
    **{key: window for key, window in forward.OTHER_WINDOWS.items() if window is not forward.ITSELF},
}  # fmt: skip
SCALES: dict[str, Callable[[Back], Array]] = {
    "no alpha": lambda c: c.k + c.summed(c.a**2),
    "no k": lambda c: c.alpha * c.summed(c.a**2),
    "no square": lambda c: c.k + c.alpha * c.summed(c.a),
    "absolute": lambda c: c.k + c.alpha * c.summed(np.abs(c.a)),
    "square of the sum": lambda c: c.k + c.alpha * c.summed(c.a) ** 2,
    "mean": lambda c: c.k + c.alpha * c.summed(c.a**2) / c.summed(np.ones_like(c.a)),
    "over n and k one": lambda c: 1 + c.alpha / c.n * c.summed(c.a**2),
    "own square": lambda c: c.k + c.alpha * c.a**2,
    "all channels": lambda c: c.k + c.alpha * (c.a**2).sum(1, keepdims=True),
    **{f"windows/{key}": lambda c, window=window: c.k + c.alpha * c.summed(c.a**2, window)  # type: ignore[misc]
       for key, window in OTHER_WINDOWS.items()},
}  # fmt: skip

BACKWARD = (
    Mistake("cross term missing", _back(lambda c: c.direct), "inferred"),
    Mistake("own channel alone", _back(lambda c: c.direct - c.cross(c.product(), forward.ITSELF)), "inferred"),
    Mistake("own channel missing", _back(lambda c: c.direct - c.cross(c.product(), forward.OTHERS)), "inferred"),
    Mistake("beta missing", _factor(lambda c: c.alpha), "xingdi-eric-yuan/conv-net-version-3#5"),
    Mistake("two missing", _factor(lambda c: c.alpha * c.beta / 2), "inferred"),
    Mistake("alpha missing", _factor(lambda c: c.beta), "inferred"),
    Mistake("cross term added", _factor(lambda c: -c.alpha * c.beta), "inferred"),
    Mistake("cross term alone", _back(lambda c: -c.cross(c.product())), "inferred"),
    Mistake("old power", _back(lambda c: c.direct - c.cross(c.product(0))), "inferred"),
    Mistake("power one more", _back(lambda c: c.direct - c.cross(c.product(1))), "inferred"),
    *(Mistake(f"power without brackets/{key}", _inside(product), "inferred") for key, product in WITHOUT_BRACKETS.items()),
    Mistake("power twice", _inside(lambda c: c.product(-1 - c.beta)), "inferred"),
    *(Mistake(f"other first term/{key}", _first_term(direct), "inferred") for key, direct in FIRST_TERMS.items()),
    Mistake("own scale",  # s[i] where s[j] is meant; so below
            _back(lambda c: c.direct - c.cross(c.dout * c.a, outside=c.a * c.s ** (-c.beta - 1))), "inferred"),
    Mistake("own scale/of the last power", _back(lambda c: c.direct - c.cross(c.product(0), outside=c.a / c.s)), "inferred"),
    Mistake("own dout", _back(lambda c: c.direct - c.cross(c.a * c.s ** (-c.beta - 1), outside=c.a * c.dout)), "inferred"),
    Mistake("derivative of own output",  # dout[i] times the derivatives of b[i] with respect to all a[j] in its window
            _back(lambda c: c.direct - 2 * c.alpha * c.beta * c.product() * over(holds(c.a.shape[1], c.n), c.a)), "inferred"),
    Mistake("own activity squared",  # a[i] a[i] where a[i] a[j] is meant
            _back(lambda c: c.direct - c.cross(c.dout * c.s ** (-c.beta - 1), outside=c.a**2)), forward.OWN),
    Mistake("neighbor squared", _back(lambda c: c.direct - c.cross(c.product() * c.a, outside=1)), "inferred"),
    Mistake("activity missing", _back(lambda c: c.direct - c.cross(c.product(), outside=1)), "inferred"),
    Mistake("window not mirrored", _back(lambda c: c.direct - c.cross(c.product(), forward.ONE_MORE_ABOVE)), "inferred"),
    _of_forward("forward over n", lambda alpha, n, **_: {"alpha": alpha / n}, forward.OVER_N),
    _of_forward("forward with k one", lambda **_: {"k": 1.0}, forward.K_ONE),
    _of_forward("back as in some libraries", lambda alpha, n, **_: {"alpha": alpha / n, "k": 1.0}, forward.LIBRARIES),
    Mistake("back over the batch",
            _back(lambda c: c.right(dout=c.dout.swapaxes(0, 1), a=c.a.swapaxes(0, 1)).swapaxes(0, 1)), "inferred"),
    Mistake("back with the edge filled", _both(forward.FILLED), "inferred"),
    Mistake("back with the edge around", _both(forward.ROUND), "inferred"),
    Mistake("back without the last neighbor/any n", _both(forward.LAST_MISSING), "inferred"),
    Mistake("back without the last neighbor/odd n", _both(forward.HALF_EXCLUSIVE), "inferred"),
    Mistake("back without the last channel", _both(forward.without_the_last(holds)), "inferred"),
    Mistake("cross without the last neighbor", _back(lambda c: c.direct - c.cross(c.product(), forward.LAST_MISSING)), "inferred"),
    Mistake("back with n as the radius", _both(forward.RADIUS), "inferred", given=lambda n, **_: {"n": 2 * n + 1}),
    Mistake("back even n on both sides", _both(forward.BOTH_SIDES), "inferred", given=lambda n, **_: {"n": n // 2 * 2 + 1}),
    Mistake("back even n mirrored", _both(forward.ONE_MORE_ABOVE), "inferred"),
    Mistake("scale over n", _scale(lambda c: scales(c.a, c.n, c.k, c.alpha / c.n)), forward.OVER_N),
    *(Mistake(f"other scale/{key}", _scale(s), "inferred") for key, s in SCALES.items()),
    Mistake("factor over n", _factor(lambda c: c.alpha / c.n * c.beta), forward.OVER_N),
    Mistake("fixed beta in a factor/in front", _factor(lambda c: c.alpha * 0.75), "inferred"),
    Mistake("fixed beta in a factor/in the power", _inside(lambda c: c.dout * c.a * c.s**-1.75), "inferred"),
    Mistake("fixed beta in a factor/in the second term", _back(lambda c: c.direct - c.cross(
        c.dout * c.a * c.s**-1.75, factor=c.alpha * 0.75)), "inferred"),
    Mistake("fixed alpha in a factor", _factor(lambda c: 1e-4 * c.beta), "inferred"),
    *(Mistake(f"back with fixed {key}", _back(lambda c, given=given: c.right(**given)), "inferred")  # type: ignore[misc]
      for key, given in forward.FIXED.items()),
    *(Mistake(f"back with other windows/{name}", _both(window), "inferred") for name, window in forward.OTHER_WINDOWS.items()),
)  # fmt: skip

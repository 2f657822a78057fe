"""The numerical check of a gradient: what backward returns is compared with the change of forward when one element changes a little.

**The centered difference.** Taylor's formula at x + h and at x - h gives

    f(x + h) - f(x - h)  =  2 h f'(x) + h^3 f'''(x) / 3 + ...,    so    (f(x + h) - f(x - h)) / 2h  =  f'(x) + h^2 f'''(x) / 6 + ...

The difference is centered because then the even terms cancel: the one-sided difference (f(x + h) - f(x)) / h has the larger error
h f''(x) / 2.

**The step.** A smaller h makes the error h^2 f''' / 6 smaller. But f is computed with a relative rounding error eps, so the
difference has an error of about eps |f| / h too. The sum h^2 + eps / h is smallest near h = eps^(1/3).

**Why float64.** In float64 eps is 2.2e-16, so the best h is near 6e-6 (here it is 1e-5 times the largest magnitude in the tensor),
and there each of the two errors is about eps^(2/3) = 3.7e-11. In float32 eps is 1.2e-7. Even with the best h each error is about
2.4e-5, which would hide small mistakes.

**Why a random cotangent.** A layer has many outputs, but the check needs one number. So it takes f(x) = sum(c * forward(x)), whose
gradient should be backward(c). The factors c stand for the gradient that comes in from above, and are called the cotangent. They are
random, because c = 1 hides mistakes: a backward of tanh that forgets to multiply by dout is right for c = 1, and for no other c.

**Kinks.** At x = 0 a ReLU has no derivative, and a maximum has none where two elements are equal. `kink_free` makes inputs that are
not near such points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError

TOLERANCE = 1e-6

Host = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Check:
    """The result of one check: the analytic gradient a of a tensor compared with the numerical gradient n.

    Parameters
    ----------
    what: "x", or the name of a parameter, such as "weight". "weight twice" compares the gradient after two passes, which must add up.
    error: max|a - n| / max(max|a|, max|n|) over the tensor; infinite if all elements of both are zero, or if one is not finite.
    where: the index of the worst element. analytic, numerical: the elements of a and n there.
    passed: whether error is at most TOLERANCE, 1e-6.
    """

    what: str
    error: float
    where: tuple[int, ...]
    analytic: float
    numerical: float
    passed: bool


def numerical_gradient(f: Callable[[Host], Any], x: Host, step: float, cotangent: Any = 1.0, elements: Host | None = None) -> Host:
    """The gradient of sum(cotangent * f(x)) by centered differences, of the shape of x.

    The outputs are subtracted before they are summed, so outputs that do not depend on the element contribute exactly 0.

    Parameters
    ----------
    f: a function of an array like x; it is called with a copy of x in which one element is changed by `step`.
    x: float64, of any shape. step: the h of the difference, above 0, in the units of x.
    cotangent: a number, or an array of the shape of f(x).
    elements: indices into the flattened x; if they are given, the result is 1-D and has only the gradient of these elements.

    Example
    -------
    >>> numerical_gradient(lambda x: x**3, np.array([1.0, 2.0]), 1e-5).round(6).tolist()
    [3.0, 12.0]
    """
    moved = np.array(x, np.float64)
    flat = moved.reshape(-1)
    chosen = np.arange(flat.size) if elements is None else elements
    gradient = np.empty(len(chosen))
    for position, i in enumerate(chosen):
        value = flat[i]
        flat[i] = value + step
        above = np.array(f(moved))  # a copy, because f may write its next result to the same array
        flat[i] = value - step
        below = np.array(f(moved))
        flat[i] = value
        gradient[position] = np.sum((above - below) * cotangent) / (2 * step)
    return gradient.reshape(moved.shape) if elements is None else gradient


def compare(what: str, analytic: Host, numerical: Host) -> Check:
    """The check of one tensor. It fails if all elements of both gradients are zero, because then their agreement proves nothing."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        difference = np.abs(analytic - numerical)
    worst = int(np.argmax(difference))  # argmax takes a NaN for the largest element
    size = float(np.maximum(np.abs(analytic).max(), np.abs(numerical).max()))  # NaN if either holds one
    error = float(difference.flat[worst]) / size if 0 < size < math.inf else math.inf
    where = index_of(worst, analytic.shape)
    return Check(what, error, where, float(analytic.flat[worst]), float(numerical.flat[worst]), error <= TOLERANCE)


def kink_free(shape: Sequence[int], rng: np.random.Generator) -> Host:
    """An input for a check. Half of the elements are negative; the magnitudes are from 0.1 to 1, 0.9 / size apart, in random order.

    No two elements have the same magnitude, and none is near 0. So no maximum is tied, and no ReLU is near its kink.

    Raises ShapeError for more than 9000 elements, whose distances would be smaller than ten steps of the check.
    """
    size = math.prod(shape)
    if not 1 <= size <= 9000:
        raise ShapeError(f"kink_free: the number of elements must be from 1 to 9000, got {size}")
    magnitude = 0.1 + 0.9 * (np.arange(size) + 0.5) / size
    sign = np.where(np.arange(size) % 2, 1.0, -1.0)
    return rng.permutation(magnitude * sign).reshape(tuple(shape))


def index_of(flat: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of an element of an array of `shape`, from its index in the flattened array."""
    return tuple(int(i) for i in np.unravel_index(flat, shape))

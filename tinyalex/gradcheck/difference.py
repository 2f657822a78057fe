"""The numerical proof of a gradient: what backward returns against what forward does when one number moves a little.

**The centered difference.** Taylor's formula at x + h and at x - h gives

    f(x + h) - f(x - h)  =  2 h f'(x) + h^3 f'''(x) / 3 + ...,    so    (f(x + h) - f(x - h)) / 2h  =  f'(x) + h^2 f'''(x) / 6 + ...

The even terms cancel, which is why it is centered: the one-sided (f(x + h) - f(x)) / h is wrong by h f''(x) / 2.

**The step.** A smaller h makes that error smaller, but f is known to a relative eps only, so the difference carries a rounding
error of about eps |f| / h. The sum h^2 + eps / h is least near h = eps^(1/3).

**Why float64.** There eps is 2.2e-16, so h is near 6e-6 (here: 1e-5 of the largest magnitude in the tensor), and truncation and
rounding each leave about 1e-10. In float32, with eps 1.2e-7, the best h leaves 1e-5: too much noise to tell a small error from none.

**Why a random cotangent.** A layer has many outputs and the check needs one number, so it takes f(x) = sum(c * forward(x)),
whose gradient backward(c) claims to be. With c = 1 whole classes of error are invisible: the outputs of a softmax sum to 1
whatever x is, so its true gradient under ones is zero, and a backward that returns zeros would pass.

**Kinks.** Where a ReLU turns or a maximum changes its winner there is no derivative; `kink_free` makes inputs that stay away.
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
    """One tensor's gradient, analytic against numerical.

    Parameters
    ----------
    what: "x", or the parameter: "weight", "bias". "weight twice" is its gradient after a second round that was added to the first.
    error: max|a - n| / max(max|a|, max|n|) over the tensor; infinite where both are zero throughout or one is not finite.
    where: the index of the worst element, and analytic, numerical: the two values there.
    passed: whether error is at or below TOLERANCE, 1e-6.
    """

    what: str
    error: float
    where: tuple[int, ...]
    analytic: float
    numerical: float
    passed: bool


def numerical_gradient(f: Callable[[Host], Any], x: Host, step: float, cotangent: Any = 1.0, elements: Host | None = None) -> Host:
    """The gradient of sum(cotangent * f(x)) by centered differences, of the shape of x.

    The outputs are subtracted before they are summed: those that x does not reach drop out exactly.

    Parameters
    ----------
    f: a function of an array like x; it is given a copy of x of which one element is moved.
    x: float64, of any shape. step: the h of the difference, above 0, in the units of x.
    cotangent: a number, or an array of the shape of f(x).
    elements: flat indices; given them, the gradient of these elements only, in one row.

    Example
    -------
    >>> numerical_gradient(lambda x: x**3, np.array([1.0, 2.0]), 1e-5).round(6).tolist()
    [3.0, 12.0]
    """
    moved = np.array(x, np.float64)
    flat = moved.reshape(-1)
    chosen = np.arange(flat.size) if elements is None else elements
    gradient = np.empty(len(chosen))
    for place, i in enumerate(chosen):
        value = flat[i]
        flat[i] = value + step
        above = np.array(f(moved))  # a copy: f may return the memory that it writes on next time
        flat[i] = value - step
        below = np.array(f(moved))
        flat[i] = value
        gradient[place] = np.sum((above - below) * cotangent) / (2 * step)
    return gradient.reshape(moved.shape) if elements is None else gradient


def compare(what: str, analytic: Host, numerical: Host) -> Check:
    """The check of one tensor. Two gradients of zeros fail: they agree, and prove nothing."""
    difference = np.abs(analytic - numerical)
    worst = int(np.argmax(difference))  # a NaN counts as the largest
    size = max(float(np.abs(analytic).max()), float(np.abs(numerical).max()))
    error = float(difference.flat[worst]) / size if 0 < size < math.inf else math.inf
    where = index_of(worst, analytic.shape)
    return Check(what, error, where, float(analytic.flat[worst]), float(numerical.flat[worst]), error <= TOLERANCE)


def kink_free(shape: Sequence[int], rng: np.random.Generator) -> Host:
    """Values for a check: half of them negative, magnitudes from 0.1 to 1 in random order, 0.9 / size apart.

    No two are equal, not even in magnitude, and none is near 0: no maximum is tied and no ReLU sits on its kink.

    Raises ShapeError for more than 9000 elements, which would lie nearer together than ten steps of the check.
    """
    size = math.prod(shape)
    if not 1 <= size <= 9000:
        raise ShapeError(f"kink_free: the number of elements must be from 1 to 9000, got {size}")
    magnitude = 0.1 + 0.9 * (np.arange(size) + 0.5) / size
    sign = np.where(np.arange(size) % 2, 1.0, -1.0)
    return rng.permutation(magnitude * sign).reshape(tuple(shape))


def index_of(flat: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The index of an element of an array of `shape`, from its place in the flattened array."""
    return tuple(int(i) for i in np.unravel_index(flat, shape))

"""The rule of the verdicts, which was fixed before any run: does the interval of the mean over the seeds exclude "no effect"?

For each seed the two nets of a claim start with the same weights as far as their shapes are equal, and read the same images in the
same order. So the values v_1, ..., v_n are differences of pairs, one for each seed, and

    interval = mean(v) -+ t * deviation(v) / sqrt(n)

where t is the 97.5th percentile of Student's t distribution with n - 1 degrees of freedom. If the values are independent and normal,
such an interval contains the true mean in 95 of 100 cases. So of twenty claims without any effect one is "seen" or "the other way" by
chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinyalex.errors import ShapeError, require_int

SEEN, NOT_SEEN, OTHER_WAY, TOO_FEW, RUNNING, NOT_RUN = "seen", "not seen", "the other way", "one seed so far", "running", "not run"


@dataclass(frozen=True)
class Interval:
    """The mean of some values, one for each seed, and its 95 % interval. low, high: None if there is a single value."""

    mean: float
    low: float | None
    high: float | None
    n: int


def interval_of(values: Sequence[float]) -> Interval:
    """The mean and the 95 % interval of values, at least one.

    Example
    -------
    >>> interval = interval_of([1.0, 2.0, 3.0])
    >>> round(interval.mean, 3), round(interval.low, 3), round(interval.high, 3)
    (2.0, -0.484, 4.484)
    """
    n = len(values)
    if n == 0 or not all(map(math.isfinite, values)):
        raise ShapeError(f"interval: values must be finite numbers, at least one, got {list(values)}")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = t_quantile(n - 1) * deviation / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def verdict_of(interval: Interval, none: float = 0.0) -> str:
    """The verdict: "seen" if the whole interval is above `none`, the value of no effect; "the other way" if below; else "not seen"."""
    if interval.low is None or interval.high is None:
        return TOO_FEW
    if interval.low > none:
        return SEEN
    return OTHER_WAY if interval.high < none else NOT_SEEN


def t_quantile(freedom: int, share: float = 0.95) -> float:
    """The t for which Student's distribution with `freedom` degrees of freedom has the share `share` of its area between -t and t.

    Example
    -------
    >>> round(t_quantile(2), 3), round(t_quantile(30), 3)
    (4.303, 2.042)
    """
    freedom = require_int("interval", "degrees of freedom", freedom)
    low, high = 0.0, 1.0
    while _area(high, freedom) < share:
        high *= 2
    for _ in range(200):  # bisection, until the two floats are neighbors
        middle = (low + high) / 2
        low, high = (middle, high) if _area(middle, freedom) < share else (low, middle)
    return high


def _area(t: float, freedom: int) -> float:
    """The area of Student's distribution between -t and t, by the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    term, total = 1.0, 1.0 if freedom > 1 else 0.0
    if freedom % 2 == 0:
        for k in range(2, freedom - 1, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        return sine * total
    for k in range(3, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * cosine * total)

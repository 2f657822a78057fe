"""The interval and the rule of the verdicts, on planted values."""

import math

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.errors import ShapeError
from tinyalex.experiments.claims.intervals import Interval, interval_of, t_quantile, verdict_of

TABLE = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 9: 2.2622, 10: 2.2281, 29: 2.0452, 30: 2.0423, 100: 1.9840}


@pytest.mark.parametrize(("freedom", "t"), TABLE.items())
def test_t_is_that_of_the_tables(freedom, t):
    assert t_quantile(freedom) == pytest.approx(t, abs=6e-5)


def test_t_of_another_share():
    assert t_quantile(2, 0.5) == pytest.approx(math.sqrt(2 / 3), abs=1e-9) and t_quantile(1, 0.5) == pytest.approx(1, abs=1e-9)


def test_interval_of_planted_values():
    interval = interval_of([0.4, 1.0, 1.6])
    assert interval.mean == pytest.approx(1.0) and interval.n == 3
    assert interval.high - 1 == pytest.approx(4.3027 * 0.6 / math.sqrt(3), abs=1e-4) == 1 - interval.low


def test_interval_holds_the_true_mean_in_95_of_100_cases():
    draws = rng(1).standard_normal((4000, 3)) + 0.7
    found = [interval_of(list(values)) for values in draws]
    share = np.mean([interval.low <= 0.7 <= interval.high for interval in found])
    assert 0.94 < share < 0.96


def test_one_value_has_no_interval():
    assert interval_of([2.0]) == Interval(2.0, None, None, 1) and verdict_of(interval_of([2.0])) == "one seed so far"


@pytest.mark.parametrize(
    ("values", "none", "verdict"),
    [
        ([1.0, 1.1, 1.2], 0, "seen"),
        ([-1.0, -1.1, -1.2], 0, "the other way"),
        ([1.0, -1.0, 1.2], 0, "not seen"),
        ([0.1, 1.0, 5.0], 0, "not seen"),
        ([1.9, 2.0, 2.1], 1, "seen"),
        ([0.5, 0.6, 0.55], 1, "the other way"),
        ([0.0, 0.0, 0.0], 0, "not seen"),
        ([1.0, 1.0], 1, "not seen"),
    ],
)
def test_verdict_needs_an_interval_that_excludes_no_effect(values, none, verdict):
    assert verdict_of(interval_of(values), none) == verdict


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_values_that_are_not_numbers_are_refused(values):
    with refuses(ShapeError, "interval: values must be finite numbers, at least one, got"):
        interval_of(values)

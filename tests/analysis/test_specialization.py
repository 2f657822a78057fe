"""The number for how blind to color a filter and a tower are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.analysis.specialization import gray_shares, specialization
from tinyalex.errors import ShapeError


def filters(gray, colored, k=24, seed=0):
    """k filters for each tower: each is `gray` or `colored` parts of a gray and of a colored pattern."""
    rng = np.random.default_rng(seed)
    made = []
    for parts in (gray, colored):
        one = np.repeat(rng.standard_normal((k, 1, 5, 5)), 3, axis=1)
        other = rng.standard_normal((k, 3, 5, 5))
        other -= other.mean(axis=1, keepdims=True)
        made.append(parts * one + (1 - parts) * other)
    return np.concatenate(made)


def test_share_is_that_of_the_energy_along_the_gray_axis():
    w = np.random.default_rng(1).standard_normal((6, 3, 4, 5))
    axis = np.ones(3) / np.sqrt(3)
    for share, one in zip(gray_shares(w), w, strict=True):
        along = sum((one[:, i, j] @ axis) ** 2 for i in range(4) for j in range(5))
        assert share == pytest.approx(along / (one**2).sum())


def test_share_has_its_ends_and_its_mean_by_chance():
    gray, colored = np.split(gray_shares(filters(1, 0)), 2)
    assert gray == pytest.approx(1) and colored == pytest.approx(0, abs=1e-12)
    assert gray_shares(np.random.default_rng(0).standard_normal((2000, 3, 5, 5))).mean() == pytest.approx(1 / 3, abs=0.01)


def test_share_depends_on_no_scale_and_zeros_have_none():
    w = np.random.default_rng(2).standard_normal((3, 3, 2, 2))
    for scale in (1e-30, 1e-170, 1e30, -2.0):
        assert gray_shares(w * scale) == pytest.approx(gray_shares(w))
    assert np.isnan(gray_shares(np.zeros((1, 3, 2, 2)))).all()


def test_towers_that_differ_are_seen():
    found = specialization(filters(0.9, 0.1), splits=500)
    assert found.a > 0.9 and found.b < 0.1 and found.difference == pytest.approx(found.a - found.b)
    assert found.seen and found.p == pytest.approx(1 / 501) and found.null < found.difference
    turned = specialization(np.roll(filters(0.9, 0.1), 24, axis=0), splits=500)
    assert turned.seen and turned.difference == pytest.approx(found.difference)


def test_chance_is_not_taken_for_a_difference():
    """With towers drawn alike, p is spread evenly, so about one in twenty is called seen."""
    rng = np.random.default_rng(3)
    seen = [specialization(rng.standard_normal((16, 3, 5, 5)), splits=200, seed=k).seen for k in range(300)]
    assert 0.02 < np.mean(seen) < 0.09


def test_equal_filters_do_not_differ():
    found = specialization(np.ones((8, 3, 2, 2)), splits=50)
    assert found.p == 1 and not found.seen and found.null == 0


def test_null_is_that_of_all_splits_where_they_can_be_counted():
    from itertools import combinations

    w = np.random.default_rng(4).standard_normal((8, 3, 3, 3))
    shares, towers = gray_shares(w), specialization(w, splits=20_000)
    exact = [abs(shares[list(half)].mean() - np.delete(shares, half).mean()) for half in combinations(range(8), 4)]
    assert towers.p == pytest.approx(np.mean([d >= towers.difference - 1e-12 for d in exact]), abs=0.015)


def test_zeros_are_left_out_and_counted():
    w = filters(0.9, 0.1, k=6)
    w[0] = 0
    found = specialization(w, splits=50)
    assert found.skipped == 1 and found.a == pytest.approx(gray_shares(w)[1:6].mean())


@pytest.mark.parametrize(
    ("shape", "text"),
    [((4, 1, 3, 3), "filters must have shape (K, 3, KH, KW)"), ((5, 3, 3, 3), "must be of two towers of one size, got 5")],
)
def test_other_filters_are_refused(shape, text):
    with refuses(ShapeError, text):
        specialization(np.ones(shape))
    with refuses(ShapeError, "got a tower of zeros"):
        specialization(np.zeros((4, 3, 2, 2)))

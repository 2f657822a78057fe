"""The nearest of many vectors, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.analysis.nearest import Nearest, chance, interval, same_class, squared_distances
from tinyalex.errors import ShapeError


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("block", [1, 7, 40])
def test_neighbors_are_those_of_all_pairs(block):
    queries, vectors = rng().standard_normal((5, 9)), rng(1).standard_normal((40, 9))
    nearest = Nearest(queries, 6)
    for start in range(0, 40, block):
        nearest.add(vectors[start : start + block])
    all_pairs = np.array([[((q - v) ** 2).sum() for v in vectors] for q in queries])
    assert nearest.places.tolist() == np.argsort(all_pairs, axis=1)[:, :6].tolist()
    assert nearest.squares == pytest.approx(np.sort(all_pairs, axis=1)[:, :6]) and nearest.seen == 40


def test_equal_ones_come_in_their_order_and_nothing_is_negative():
    nearest = Nearest(np.full((1, 3), 200.0), 4)
    nearest.add(np.full((2, 3), 200.0))
    nearest.add(np.full((3, 3), 200.0))
    assert nearest.places.tolist() == [[0, 1, 2, 3]] and nearest.squares.tolist() == [[0, 0, 0, 0]]
    assert nearest.add(np.full((1, 3), 200.5)) is None and nearest.places.max() == 3


def test_distances_far_from_zero_keep_their_digits():
    a, b = rng().standard_normal((3, 4)) + 1e7, rng(1).standard_normal((6, 4)) + 1e7
    exact = ((a[:, None] - b) ** 2).sum(axis=2)
    assert squared_distances(a, b) == pytest.approx(exact, rel=1e-9)


def test_bytes_do_not_overflow():
    assert squared_distances(np.array([[0]], np.uint8), np.array([[255], [0]], np.uint8)).tolist() == [[65025, 0]]


def test_shares_of_the_class():
    labels, own = np.array([0, 1, 1, 2]), np.array([1, 0])
    assert same_class(np.array([[1, 2], [0, 3]]), labels, own).tolist() == [1, 0.5]
    assert chance(labels, own) == pytest.approx((2 / 4 + 1 / 4) / 2)
    mean, half = interval(np.array([1, 0.5, 0, 0.5]))
    assert (mean, half) == pytest.approx((0.5, 1.96 * np.std([1, 0.5, 0, 0.5], ddof=1) / 2))
    assert interval(np.array([0.5])) == (0.5, np.inf)


def test_wrong_settings_are_refused():
    with refuses(ShapeError, "nearest: queries must have shape (Q, F)"):
        Nearest(np.zeros((2, 3, 4)), 1)
    with refuses(ShapeError, "nearest: most must be an integer of at least 1, got 0"):
        Nearest(np.zeros((2, 3)), 0)

"""Binary codes by an autoencoder, and how they are compared."""

from __future__ import annotations

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.analysis.codes import Autoencoder, among_first, hamming, recall
from tinyalex.analysis.nearest import Nearest
from tinyalex.errors import DivergedError, ShapeError


def rng(seed=0):
    return np.random.default_rng(seed)


def test_hamming_counts_the_bits_that_differ():
    a, b = rng().random((5, 13)) < 0.5, rng(1).random((7, 13)) < 0.5
    assert hamming(a, b).tolist() == [[sum(x != y for x, y in zip(p, q, strict=True)) for q in b] for p in a]


def test_places_are_shared_by_those_that_tie():
    """Compared with the mean over many orders in which ties are broken at random."""
    distances, mixed = rng().integers(0, 4, (3, 12)), rng(1)
    expected = np.zeros(distances.shape)
    for _ in range(4000):
        order = np.argsort(distances + mixed.random(distances.shape) * 0.5, axis=1)[:, :5]
        np.put_along_axis(expected, order, np.take_along_axis(expected, order, 1) + 1, 1)
    chances = among_first(distances, 5)
    assert chances == pytest.approx(expected / 4000, abs=0.04) and chances.sum(axis=1) == pytest.approx(5)


def test_recall_of_the_exact_distances_is_whole_and_of_no_information_is_chance():
    vectors = rng().standard_normal((50, 6))
    exact = Nearest(vectors[:4], 3)
    exact.add(vectors)
    distances = ((vectors[:4, None] - vectors) ** 2).sum(axis=2)
    assert recall(distances, exact.places, 3).tolist() == [1, 1, 1, 1]
    assert recall(np.zeros((4, 50)), exact.places, 10) == pytest.approx(10 / 50)


def clusters(n, seed, far=4.0):
    """Vectors around ten centers, and the centers that they belong to."""
    centers, draw = far * rng(7).standard_normal((10, 20)), rng(seed)
    own = draw.integers(0, 10, n)
    return centers[own] + draw.standard_normal((n, 20)), own


def test_codes_keep_what_is_near_together_and_learning_lowers_the_loss():
    vectors, own = clusters(600, 0)
    queries, asked = clusters(40, 1)
    auto = Autoencoder(vectors, 24)
    losses = auto.train(12)
    assert losses[-1] < 0.5 * losses[0]
    codes = auto.codes(queries), auto.codes(vectors)
    assert codes[0].shape == (40, 24) and codes[0].dtype == bool
    same = (own == asked[:, None]) * among_first(hamming(*codes), 10)
    assert same.sum() / 400 > 0.9  # by chance 0.1


def test_one_seed_gives_one_net_and_the_scale_of_vectors_changes_nothing():
    vectors, _ = clusters(200, 0)
    made = [Autoencoder(v, 8, seed) for v, seed in ((vectors, 1), (1000 * vectors + 5, 1), (vectors, 2))]
    losses = [auto.train(2) for auto in made]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and losses[0] != losses[2]
    assert (made[0].codes(vectors) == made[1].codes(1000 * vectors + 5)).mean() > 0.999


def test_steps_are_counted():
    vectors, calls = clusters(130, 0)[0], []
    Autoencoder(vectors, 4).train(3, lambda: calls.append(1))
    assert len(calls) == Autoencoder.steps_for(130, 3) == 6


def test_a_net_that_diverges_is_said(monkeypatch):
    auto = Autoencoder(clusters(200, 0)[0], 4)
    monkeypatch.setattr(auto, "step", lambda v: float("nan"))
    with refuses(DivergedError, "codes: the loss of the autoencoder must be finite, got nan in epoch 1"):
        auto.train(1)


@pytest.mark.parametrize(
    ("vectors", "bits", "text"),
    [
        (np.ones((3, 4)), 2, "codes: vectors must differ, got equal ones alone"),
        (np.ones((3, 4, 5)), 2, "codes: vectors must have shape (N, F), N and F at least 1"),
        (np.empty((0, 4)), 2, "codes: vectors must have shape (N, F), N and F at least 1"),
        (np.eye(3), 0, "codes: bits must be an integer of at least 1, got 0"),
    ],
)
def test_other_vectors_are_refused(vectors, bits, text):
    with refuses(ShapeError, text):
        Autoencoder(vectors, bits)

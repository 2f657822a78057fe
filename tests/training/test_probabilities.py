"""Credits against all orders of ties, ten views, means of several nets, and the counts of a `Tally`, each against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.contract import refuses, rng
from tinyalex import SoftmaxCrossEntropy
from tinyalex.data import ArraySource, CropAndFlip, Crops, Standardize, SubtractMean, synthetic_dataset
from tinyalex.errors import DataError, ShapeError
from tinyalex.models import build
from tinyalex.training import evaluate, trained_figure1
from tinyalex.training.evaluate import ranks
from tinyalex.training.probabilities import Tally, credit, predictions, probabilities

CROPS = CropAndFlip(Standardize((120, 121, 122), (60, 61, 62)), 24)


def by_all_orders(values, label, k):
    """The share of orders of the classes in which the label is among the first k: the highest first, equal ones in any order."""
    classes = range(len(values))
    orders = [order for order in itertools.permutations(classes) if all(values[a] >= values[b] for a, b in itertools.pairwise(order))]
    return sum(label in order[:k] for order in orders) / len(orders)


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5]), min_size=1, max_size=6), st.data())
def test_credit_is_the_chance_to_be_right_if_ties_are_broken_at_random(values, data):
    label, k = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(1, 5))
    found = credit(np.array([values]), np.array([label]), k)
    assert found == pytest.approx([by_all_orders(values, label, k)])


def test_credit_of_one_is_the_authors_rule():
    values, labels = rng(0).integers(0, 3, (200, 4)) / 4, rng(1).integers(0, 4, 200)
    for row, label, found in zip(values, labels, credit(values, labels), strict=True):
        maxima = [k for k, value in enumerate(row) if value == max(row)]
        assert found == (1 / len(maxima) if label in maxima else 0)


def test_credit_without_ties_is_that_of_ranks():
    values, labels = rng(0).standard_normal((50, 12)), rng(1).integers(0, 12, 50)
    for k in (1, 5):
        assert np.array_equal(credit(values, labels, k), ranks(values, labels) < k)


def test_a_nan_earns_nothing():
    values = np.array([[0.5, np.nan, 0.1], [0.5, 0.4, 0.1]])
    assert credit(values, np.array([0, 0])).tolist() == [0, 1] and credit(values, np.array([0, 0]), 5).tolist() == [0, 1]


def softmax(logits):
    exact = np.exp(logits.astype(np.float64))
    return exact / exact.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("batch_size", [1, 7, 30, 1000])
def test_ten_views_are_the_mean_of_ten_answers(batch_size):
    net, images = build("cifar-alexnet", num_classes=4), rng(2).integers(0, 256, (11, 3, 32, 32), np.uint8)
    expected = []
    for image in images:
        answers = []
        for mirrored in (False, True):
            for top, left in ((0, 0), (0, 8), (4, 4), (8, 0), (8, 8)):
                crop = CROPS.prepare(image[None])[:, :, top : top + 24, left : left + 24]
                answers.append(softmax(net.forward(np.ascontiguousarray(crop[..., ::-1] if mirrored else crop)))[0])
        expected.append(np.mean(answers, axis=0))
    counted = []
    found = probabilities(net, (images, np.zeros(11, int)), CROPS, 10, batch_size, counted.append)
    assert found.dtype == np.float32 and np.allclose(found, expected, rtol=1e-4, atol=1e-6) and sum(counted) == 11
    assert max(counted) == min(11, max(1, batch_size // 10))  # ten inputs an image: the net reads at most batch_size together
    assert np.allclose(found.sum(axis=1), 1)
    one = probabilities(net, (images, np.zeros(11, int)), CROPS, 1, batch_size)
    assert np.allclose(one, softmax(net.forward(CROPS(images))), rtol=1e-4, atol=1e-6) and not np.allclose(one, found, rtol=1e-3)


def test_worker_processes_give_the_same():
    trained, images = trained_figure1(), rng(2).integers(0, 256, (9, 3, 32, 32), np.uint8)
    data = ArraySource(images, np.arange(9) % 10)
    alone, shared = (probabilities(trained.net, data, trained.prepare, batch_size=4, workers=workers) for workers in (0, 2))
    assert np.array_equal(alone, shared)


def test_nets_of_an_ensemble_read_the_same_images_each_in_its_own_way():
    images, labels = rng(2).integers(0, 256, (9, 3, 32, 32), np.uint8), np.arange(9) % 4
    mean = np.full((3, 32, 32), 120, np.float32)
    members = [(build("cifar-alexnet", num_classes=4, seed=1), CROPS), (build("cifar-alexnet", num_classes=4, seed=2), Crops(mean, 24))]
    found = list(predictions(members, ArraySource(images, labels), batch_size=4))
    assert [len(part) for part, _ in found] == [4, 4, 1] and np.array_equal(np.concatenate([part for part, _ in found]), labels)
    for k, (net, prepare) in enumerate(members):
        alone = probabilities(net, (images, labels), prepare)
        assert np.allclose(np.concatenate([given[k] for _, given in found]), alone, atol=1e-6)


def test_errors_agree_with_evaluate():
    trained, data = trained_figure1(), synthetic_dataset(2, 60, seed=1)
    images, labels = data.test_images, data.test_labels
    loss = evaluate(trained.net, SoftmaxCrossEntropy(), (images, labels), trained.prepare)
    tally = Tally(10)
    for part, (found,) in predictions([(trained.net, trained.prepare)], ArraySource(images, labels), batch_size=25):
        tally.add(found, part)
    assert (tally.error, tally.top5_error) == pytest.approx((loss.error, loss.top5_error))
    assert tally.loss / tally.count == pytest.approx(loss.loss, rel=1e-5)


def test_tally_counts_what_loops_count():
    given, labels = rng(0).dirichlet(np.ones(7), 300), rng(1).integers(0, 6, 300)  # class 6 has no images
    tally = Tally(7)
    for start in range(0, 300, 71):
        tally.add(given[start : start + 71], labels[start : start + 71])
    guesses = given.argmax(axis=1)
    assert tally.count == 300 and tally.error == pytest.approx((guesses != labels).mean())
    for k in range(6):
        own = labels == k
        assert tally.images[k] == own.sum() and tally.of_class(k)[0] == pytest.approx((guesses[own] != k).mean())
        counts = {other: ((guesses == other) & own).sum() for other in range(7) if other != k}
        assert tally.mistaken()[k][1] == max(counts.values()) == counts[tally.mistaken()[k][0]]
    assert tally.images[6] == 0 and 6 not in tally.mistaken()
    both = {(a, b): ((labels == a) & (guesses == b)).sum() + ((labels == b) & (guesses == a)).sum() for a in range(7) for b in range(a)}
    worst = tally.worst_pairs(3)
    assert [there + back for _, _, there, back in worst] == sorted(both.values(), reverse=True)[:3]
    for a, b, there, back in worst:
        assert there == ((labels == a) & (guesses == b)).sum() and back == ((labels == b) & (guesses == a)).sum()


def test_parts_of_a_credit_add_up_to_no_negative_error():
    tally = Tally(10)
    tally.add(np.full((10_000, 10), 0.1), np.arange(10_000) % 10)
    assert tally.error == pytest.approx(0.9) and tally.top5_error == pytest.approx(0.5)
    tally = Tally(7)
    tally.add(np.full((7000, 7), 1 / 7), np.arange(7000) % 7)
    tally.top1[:] = np.nextafter(1000, 1001)
    assert tally.error == 0 == tally.of_class(3)[0]


def test_a_probability_of_zero_costs_much_but_not_infinitely_much():
    tally = Tally(2)
    tally.add(np.array([[0.0, 1.0]]), np.array([0]))
    assert 700 < tally.loss < 710


def test_bad_input():
    net, images = build("cifar-alexnet", num_classes=4), np.zeros((2, 3, 32, 32), np.uint8)
    data = (images, np.zeros(2, int))
    with refuses(ShapeError, "probabilities: views must be 1 or 10, got 5"):
        probabilities(net, data, CROPS, 5)
    with refuses(ShapeError, "probabilities: views must be 1 where prepare cuts no crops, got 10; use 1 view"):
        probabilities(net, data, SubtractMean(np.zeros((3, 32, 32))), 10)
    with refuses(ShapeError, "probabilities: images must be 3x24x24 after prepare"):
        probabilities(net, data, SubtractMean(np.zeros((3, 32, 32))))
    with refuses(ShapeError, "probabilities: batch_size must be an integer of at least 1, got 0"):
        probabilities(net, data, CROPS, 1, 0)
    for labels in ([4], [-1]):
        with refuses(DataError, f"evaluate: labels must be from 0 to 3, as the net has outputs, got {labels[0]}"):
            Tally(4).add(np.ones((1, 4)) / 4, np.array(labels))
    net["fc8"].params["bias"][0] = np.inf
    with refuses(DataError, "probabilities: the outputs of the net must be finite, got a NaN or an infinity; its training has diverged"):
        probabilities(net, data, CROPS)

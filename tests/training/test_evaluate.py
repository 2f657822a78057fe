"""Loss and errors against a computation image by image."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tests.training.small_run import make_net, random_data
from tinyalex.data.batches import Batches, SubtractMean
from tinyalex.errors import DataError
from tinyalex.training import evaluate
from tinyalex.training.evaluate import ranks


@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_equals_a_naive_computation(batch_size):
    net, (images, labels) = make_net(), random_data(23)
    prepare = SubtractMean.fit(images)
    found = evaluate(net, ta.SoftmaxCrossEntropy(), (images, labels), prepare, batch_size)
    loss, wrong, wrong5 = 0.0, 0, 0
    for image, label in zip(images, labels, strict=True):
        logits = net.forward(prepare(image[None]))[0].astype(np.float64)
        loss -= np.log(np.exp(logits - logits.max())[label] / np.exp(logits - logits.max()).sum())
        best = np.argsort(-logits)
        wrong += best[0] != label
        wrong5 += label not in best[:5]
    np.testing.assert_allclose(found.loss, loss / 23, rtol=1e-5)
    assert (found.error, found.top5_error, found.images) == (wrong / 23, wrong5 / 23, 23)


def test_batches_already_prepared_give_the_same():
    net, (images, labels) = make_net(), random_data(23)
    prepare, loss = SubtractMean.fit(images), ta.SoftmaxCrossEntropy()
    batches = Batches(images, labels, 5, prepare=prepare, shuffle=False)
    assert evaluate(net, loss, batches.of_epoch(0)) == evaluate(net, loss, (images, labels), prepare, 5)


def test_images_are_counted_after_each_batch():
    net, data, counts = make_net(), random_data(11), []
    evaluate(net, ta.SoftmaxCrossEntropy(), data, SubtractMean.fit(data[0]), 4, counts.append)
    assert counts == [4, 4, 3]


def test_rank_of_equal_logits_is_that_of_argmax():
    logits, labels = np.zeros((4, 6), np.float32), np.array([0, 1, 5, 0])
    logits[3, 2] = 1
    assert ranks(logits, labels).tolist() == [0, 1, 5, 1]


def test_rank_agrees_with_argmax_on_random_logits():
    logits, labels = np.round(values((200, 7)), 0), rng().integers(0, 7, 200)
    assert np.array_equal(ranks(logits, labels) == 0, logits.argmax(axis=1) == labels)


def test_nan_is_always_an_error():
    logits = np.zeros((2, 9), np.float32)
    logits[0, 3] = logits[1, 0] = np.nan
    assert ranks(logits, np.array([0, 0])).tolist() == [9, 9]


def test_five_classes_have_no_top5_error():
    assert (ranks(values((50, 5)), rng().integers(0, 5, 50)) > 4).sum() == 0


def test_missing_prepare_and_missing_images_are_refused():
    net, data, loss = make_net(), random_data(3), ta.SoftmaxCrossEntropy()
    with refuses(DataError, "evaluate: prepare must be given with (images, labels)"):
        evaluate(net, loss, data)
    with refuses(DataError, "evaluate: data must hold at least 1 image"):
        evaluate(net, loss, [])

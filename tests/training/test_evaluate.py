"""Loss and errors against a computation image by image."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tests.training.small_run import head, make_net, on_host, random_data
from tinyalex.data.batches import Batches, SubtractMean
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.errors import DataError, ShapeError
from tinyalex.models.cifar import figure1_net
from tinyalex.training import evaluate
from tinyalex.training.evaluate import ranks
from tinyalex.training.inputs import check_input

on_each_place = pytest.mark.usefixtures("place")


@on_each_place
@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_equals_a_naive_computation(batch_size):
    net, (images, labels) = make_net(), random_data(23)
    prepare = SubtractMean.fit(images)
    found = evaluate(net, head(net), (images, labels), prepare, batch_size)
    loss, wrong, wrong5 = 0.0, 0, 0
    for image, label in zip(images, labels, strict=True):
        logits = on_host(net, net.forward(net.device.asarray(prepare(image[None]))))[0].astype(np.float64)
        loss -= np.log(np.exp(logits - logits.max())[label] / np.exp(logits - logits.max()).sum())
        best = np.argsort(-logits)
        wrong += best[0] != label
        wrong5 += label not in best[:5]
    np.testing.assert_allclose(found.loss, loss / 23, rtol=1e-5)
    assert (found.error, found.top5_error, found.images) == (wrong / 23, wrong5 / 23, 23)


@on_each_place
def test_batches_already_prepared_give_the_same():
    net, (images, labels) = make_net(), random_data(23)
    prepare, loss = SubtractMean.fit(images), head(net)
    batches = Batches(images, labels, 5, prepare=prepare, shuffle=False)
    assert evaluate(net, loss, batches.of_epoch(0)) == evaluate(net, loss, (images, labels), prepare, 5)


@on_each_place
def test_images_are_counted_after_each_batch():
    net, data, counts = make_net(), random_data(11), []
    evaluate(net, head(net), data, SubtractMean.fit(data[0]), 4, counts.append)
    assert counts == [4, 4, 3]


@on_each_place
def test_batch_holds_256_images_unless_one_asks_for_others():
    net, data, counts = make_net(), random_data(300), []
    evaluate(net, head(net), data, SubtractMean.fit(data[0]), after_batch=counts.append)
    assert counts == [256, 44]


def test_input_of_a_net_of_numbers_is_checked():
    net = ta.Sequential([ta.Linear(4, 2, name="fc", rng=rng())], in_shape=(4,))
    check_input("evaluate", net, values((3, 4)))
    with refuses(ShapeError, "evaluate: images must be 4 after prepare, which the net was made for, got 5; crop or resize them"):
        check_input("evaluate", net, values((3, 5)))


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


class Fixed(ta.Flatten):
    """A net whose output is given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, x, *, train=False):
        return self.logits[: len(x)]


def test_sixth_guess_is_a_top5_error_and_the_fifth_is_none():
    logits = np.arange(10, 0, -1, dtype=np.float32) * np.ones((10, 1), np.float32)  # class k is the guess number k + 1
    found = evaluate(Fixed(logits), ta.SoftmaxCrossEntropy(), [(np.zeros((10, 1), np.float32), np.arange(10))])
    assert (found.error, found.top5_error, found.images) == (0.9, 0.5, 10)


@on_each_place
def test_labels_in_a_list_and_a_list_of_two_are_data():
    net, (images, labels) = make_net(), random_data(6)
    prepare, loss = SubtractMean.fit(images), head(net)
    expected = evaluate(net, loss, (images, labels), prepare)
    assert evaluate(net, loss, [images, labels], prepare) == expected
    assert evaluate(net, loss, (images, labels.tolist()), prepare) == expected
    assert evaluate(net, loss, [(prepare(images), labels.tolist())]) == expected
    two = [(prepare(images[:3]), labels[:3]), (prepare(images[3:]), labels[3:])]
    for batches in (two, tuple(two), iter(two)):
        found = evaluate(net, loss, batches)
        assert (found.error, found.images) == (expected.error, 6) and found.loss == pytest.approx(expected.loss)


def test_test_part_of_a_dataset_is_evaluated():
    dataset, loss = synthetic_dataset(train=10, test=20), ta.SoftmaxCrossEntropy()
    net, prepare = figure1_net("relu", "fan-in"), SubtractMean.fit(dataset.train_images)
    assert evaluate(net, loss, dataset, prepare) == evaluate(net, loss, (dataset.test_images, dataset.test_labels), prepare)


X = np.zeros((2, 3, 8, 8), np.float32)


@on_each_place
@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (5, DataError, "data must be (images, labels), a Dataset, a source or an iterable of prepared batches, got 5"),
        ("ab", DataError, "data must be (images, labels), a Dataset, a source or an iterable of prepared batches, got 'ab'"),
        (X, DataError, "data must be (images, labels), a Dataset, a source or an iterable of prepared batches, got float32 array"),
        ([X], DataError, "a batch of data must be (images, labels), got float32 array of shape (2, 3, 8, 8)"),
        (["ab"], DataError, "a batch of data must be (images, labels), got 'ab'"),
        ([(X.astype(np.uint8), [0, 1])], DataError, "prepared images must be an array of floats, got uint8 array"),
        ([([1, 2], [0, 1])], DataError, "prepared images must be an array of floats, got [1, 2]"),
        ([(X[:, :, :7], [0, 1])], ShapeError, "images must be 3x8x8 after prepare, which the net was made for, got 3x7x8; crop or"),
        ([(X * np.array([1, np.nan], np.float32).reshape(2, 1, 1, 1), [0, 1])], DataError, "finite, got a NaN or an infinity in image 1"),
        ([(X, np.ma.array([0, 1]))], DataError, "labels must be a plain array, got a masked one"),
        ([(X, [0, 10])], DataError, "labels must be from 0 to 9, got 10"),
        ([(X, [[0], [1, 2]])], DataError, "labels must be 2 integers in a NumPy array"),
    ],
    ids=str,
)
def test_other_data_is_refused_with_a_sentence(data, error, text):
    net = make_net()
    with refuses(error, text):
        evaluate(net, head(net), data)


def test_forgotten_loss_and_wrong_prepare_are_named():
    net, data = make_net(), random_data(3)
    with refuses(ShapeError, "evaluate: loss must be a loss such as SoftmaxCrossEntropy(), got "):
        evaluate(net, data, SubtractMean.fit(data[0]))
    with refuses(DataError, "evaluate: prepare must be a function of uint8 images, got 3; pass the one that training used"):
        evaluate(net, ta.SoftmaxCrossEntropy(), data, 3)


def test_large_finite_images_whose_sum_is_not_finite_are_taken():
    x = np.full((2, 3, 8, 8), 3e38, np.float32)
    x[1] = -3e38
    check_input("evaluate", make_net(), x)
    check_input("evaluate", make_net(), np.full((2, 3, 8, 8), 1e308))


@on_each_place
def test_evaluation_between_forward_and_backward_leaves_the_gradient():
    net, (images, labels) = make_net(), random_data(6)
    loss, logits = head(net), net.device.asarray(values((2, 10), dtype=np.float32))
    loss.forward(logits, [1, 2], train=True)
    evaluate(net, loss, (images, labels), SubtractMean.fit(images))
    found = on_host(net, loss.backward())
    loss.forward(logits, [1, 2], train=True)
    assert np.array_equal(found, on_host(net, loss.backward()))


@on_each_place
def test_nothing_random_is_asked_of_prepare():
    given = []

    def prepare(images, rng=7):
        given.append(rng)
        return images.astype(np.float32)

    net = make_net()
    evaluate(net, head(net), random_data(6), prepare, 4)
    assert given == [None, None]

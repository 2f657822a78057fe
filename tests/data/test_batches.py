"""Batches: their order, the short last one, going on inside an epoch."""

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.data.batches import Batches
from tinyalex.data.prepare import SubtractMean
from tinyalex.errors import DataError, ShapeError


def pixels(n, shape=(3, 4, 5), seed=0):
    return rng(seed).integers(0, 256, (n, *shape), np.uint8)


def numbered(n, batch_size=4, **settings):
    """Batches whose images and labels both hold the image's number."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 3, 2, 2)).copy()
    return Batches(images, np.arange(n), batch_size, prepare=lambda x, rng=None: x.astype(np.float32), **settings)


def labels_of(batches, epoch, start=0):
    return [labels.tolist() for _, labels in batches.of_epoch(epoch, start)]


def test_every_image_comes_once_in_an_epoch_with_its_label():
    batches = numbered(10)
    for x, labels in batches.of_epoch(3):
        assert np.array_equal(x[:, 0, 0, 0], labels)
    assert sorted(sum(labels_of(batches, 3), [])) == list(range(10))


def test_last_batch_is_short_and_kept():
    assert [len(labels) for labels in labels_of(numbered(10), 0)] == [4, 4, 2]
    assert len(numbered(10)) == 3 and len(numbered(8)) == 2
    batches = Batches(np.zeros((50_000, 1, 1, 1), np.uint8), np.zeros(50_000, int), prepare=SubtractMean(np.zeros((1, 1, 1))))
    sizes = [len(labels) for labels in labels_of(batches, 0)]
    assert len(batches) == len(sizes) == 391 and sizes[:390] == [128] * 390 and sizes[390] == 80


def test_order_is_a_function_of_seed_and_epoch():
    assert labels_of(numbered(50), 1) == labels_of(numbered(50), 1)
    orders = {tuple(numbered(50, seed=seed).order(epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_order_stays_the_same_over_versions():
    assert numbered(8).order(0).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert numbered(8, seed=2**64 - 1).order(5).tolist() == [0, 2, 1, 5, 7, 6, 4, 3]


def test_segments_are_the_authors_order_of_batches():
    batches = Batches(np.zeros((50_000, 1, 1, 1), np.uint8), np.arange(50_000), prepare=SubtractMean(np.zeros((1, 1, 1))), segment=10_000)
    of_epoch = labels_of(batches, 3)
    assert [len(labels) for labels in of_epoch] == ([128] * 78 + [16]) * 5 and len(batches) == 395
    assert sum(of_epoch, []) == list(range(50_000)) and of_epoch == labels_of(batches, 0)
    assert [len(labels) for _, labels in batches.in_order()] == ([128] * 78 + [16]) * 5
    assert labels_of(batches, 0, start=78) == of_epoch[78:]


def test_last_segment_may_be_short():
    assert labels_of(numbered(9, segment=5), 0) == [[0, 1, 2, 3], [4], [5, 6, 7, 8]] and len(numbered(9, segment=5)) == 3
    with refuses(ShapeError, "batches: segment must be an integer of at least 1, got 0"):
        numbered(9, segment=0)


def test_order_without_shuffle_is_that_of_the_arrays():
    assert labels_of(numbered(5, shuffle=False), 7) == [[0, 1, 2, 3], [4]]


@pytest.mark.parametrize("start", range(4))
def test_start_goes_on_inside_the_epoch(start):
    assert labels_of(numbered(10), 2, start) == labels_of(numbered(10), 2)[start:]


def test_augmentation_is_a_function_of_seed_epoch_and_batch():
    def noise(images, rng):
        return rng.standard_normal(images.shape, np.float32)

    def drawn(epoch, start=0, seed=0):
        batches = Batches(pixels(10), np.arange(10), 4, prepare=noise, seed=seed)
        return [x.tobytes() for x, _ in batches.of_epoch(epoch, start)]

    assert drawn(1)[2:] == drawn(1, start=2)
    assert len({*drawn(0), *drawn(1), *drawn(0, seed=1)}) == 9


def test_wrong_data_is_refused():
    images, labels = pixels(4), np.arange(4)
    prepare = SubtractMean.fit(images)
    with refuses(DataError, "batches: images must be a uint8 or float array (N, C, H, W) with N of at least 1, got int64 array"):
        Batches(images.astype(np.int64), labels, prepare=prepare)
    with refuses(DataError, "labels must be 4 integers"):
        Batches(images, labels[:3], prepare=prepare)
    with refuses(DataError, "labels must be 4 integers"):
        Batches(images, labels / 2, prepare=prepare)
    with refuses(ShapeError, "batch_size must be an integer of at least 1"):
        Batches(images, labels, 0, prepare=prepare)
    with refuses(DataError, "seed must be below 2**64"):
        Batches(images, labels, prepare=prepare, seed=2**64)
    with refuses(DataError, "start must be at most 1"):
        Batches(images, labels, prepare=prepare).of_epoch(0, 2)
    with refuses(ShapeError, "epoch must be an integer of at least 0"):
        Batches(images, labels, prepare=prepare).of_epoch(-1)
    with refuses(ShapeError, "batches: prepare must be a function of images and a generator, got None; use Standardize.fit(train_images)"):
        Batches(images, labels, prepare=None)
    with refuses(ShapeError, "batches: shuffle must be True or False, got 1"):
        Batches(images, labels, prepare=prepare, shuffle=1)


def test_labels_may_be_a_list_and_images_floats():
    images = pixels(4).astype(np.float32)
    batches = Batches(images, [3, 1, 2, 0], 3, prepare=SubtractMean(np.zeros((3, 1, 1))), shuffle=False)
    found = list(batches.of_epoch(0))
    assert [labels.tolist() for _, labels in found] == [[3, 1, 2], [0]] and np.array_equal(np.concatenate([x for x, _ in found]), images)


def test_generator_of_the_batch_reaches_prepare():
    seen = []

    def prepare(images, rng=None):
        seen.append(rng.random())
        return images.astype(np.float32)

    list(Batches(pixels(10), np.arange(10), 4, prepare=prepare, seed=3).of_epoch(2))
    streams = [np.random.Philox(key=np.array([3, 2], np.uint64), counter=np.array([0, 0, 0, 1 + k], np.uint64)) for k in range(3)]
    assert seen == [np.random.Generator(stream).random() for stream in streams]  # the order has the stream 0 for itself


def test_generator_of_a_batch_is_not_that_of_the_order():
    first = []
    batches = Batches(pixels(6), np.arange(6), 6, prepare=lambda x, rng: first.append(rng.bit_generator.random_raw(6)) or x, seed=5)
    list(batches.of_epoch(1))
    assert np.argsort(first[0], kind="stable").tolist() != batches.order(1).tolist()

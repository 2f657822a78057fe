"""Batches: their order, the short last one, going on inside an epoch; and the arithmetic on pixels."""

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.data.batches import BLOCK, Batches, Standardize, SubtractMean
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


def test_subtract_mean_is_the_mean_image():
    images = pixels(2 * BLOCK + 7)
    prepare = SubtractMean.fit(images)
    np.testing.assert_allclose(prepare.mean, images.mean(axis=0, dtype=np.float64), rtol=1e-7)
    out = prepare(images[:5])
    assert out.dtype == np.float32 and np.array_equal(out, images[:5].astype(np.float32) - prepare.mean)


def test_standardize_gives_mean_0_and_deviation_1_in_every_channel():
    images = pixels(2 * BLOCK + 7)
    images[:, 1] //= 9
    prepare = Standardize.fit(images)
    np.testing.assert_allclose(prepare.mean.ravel(), images.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(prepare.std.ravel(), images.std(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)
    out = prepare(images)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3), dtype=np.float64), 1, rtol=1e-6)


def test_prepare_leaves_the_bytes_alone():
    images = pixels(6)
    before = images.tobytes()
    SubtractMean.fit(images)(images)
    Standardize.fit(images)(images)
    assert images.tobytes() == before


@pytest.mark.parametrize("shape", [(1, 4, 5), (4, 4, 5), (3, 4, 4), (3, 1, 5), (3, 5, 5)])
def test_mean_image_of_another_size_is_refused(shape):
    prepare = SubtractMean.fit(pixels(6))
    with refuses(DataError, "SubtractMean: images must be (N, C, H, W) with C x H x W of 3 x 4 x 5, got uint8 array of shape (2, "):
        prepare(pixels(2, shape))


@pytest.mark.parametrize("shape", [(1, 4, 5), (4, 4, 5)])
@pytest.mark.parametrize("prepare", [Standardize([0] * 3, [1] * 3), SubtractMean(np.zeros((3, 1, 1)))], ids=["Standardize", "SubtractMean"])
def test_means_of_other_channels_are_refused_and_other_sizes_are_not(prepare, shape):
    text = f"{type(prepare).__name__}: images must be (N, C, H, W) with C x H x W of 3 x any x any, got uint8 array of shape (2, "
    with refuses(DataError, text):
        prepare(pixels(2, shape))
    with refuses(DataError, f"{type(prepare).__name__}: images must be (N, C, H, W)"):
        prepare(pixels(2)[0])
    for size in ((4, 5), (1, 1), (7, 2)):
        images = pixels(2, (3, *size))
        assert np.array_equal(prepare(images), images.astype(np.float32))


def test_wrong_data_is_refused():
    images, labels = pixels(4), np.arange(4)
    prepare = SubtractMean.fit(images)
    with refuses(DataError, "images must be a uint8 array (N, C, H, W)"):
        Batches(images.astype(np.float32), labels, prepare=prepare)
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
    with refuses(DataError, "Standardize: std must be above 0"):
        Standardize.fit(np.full((3, 3, 2, 2), 7, np.uint8))
    with refuses(DataError, "Standardize: mean and std must be one finite number a channel"):
        Standardize([0, 0], [1])
    with refuses(DataError, "SubtractMean: mean must be finite"):
        SubtractMean(np.full((3, 2, 2), np.nan))

"""Random crops and reflections."""

from __future__ import annotations

import numpy as np
import pytest

from tinyalex.data.augment import CropAndFlip
from tinyalex.data.batches import Batches, Standardize
from tinyalex.errors import DataError, ShapeError

N, SIZE, EXTENT = 2000, 3, 5


class AsFloats:
    """Bytes as they are."""

    def __call__(self, images, rng=None):
        return images.astype(np.float32)


def numbered(n=N, extent=EXTENT):
    """Images whose every pixel says its row and column, in two channels."""
    rows, columns = np.mgrid[:extent, :extent].astype(np.uint8)
    return np.broadcast_to(np.stack([rows, columns]), (n, 2, extent, extent))


def crops(seed=0, **settings):
    return CropAndFlip(AsFloats(), SIZE, **settings)(numbered(), np.random.default_rng(seed))


def test_every_crop_is_a_window_of_its_image_or_the_mirror_image_of_one():
    for crop in crops()[:200]:
        rows, columns = crop
        top, left = int(rows.min()), int(columns.min())
        window = numbered(1)[0, :, top : top + SIZE, left : left + SIZE]
        assert np.array_equal(crop, window) or np.array_equal(crop, window[:, :, ::-1])


def test_every_place_is_as_likely_as_the_others_and_half_are_mirrored():
    found = crops()
    counts = np.zeros((3, 3))
    np.add.at(counts, (found[:, 0].min((1, 2)).astype(int), found[:, 1].min((1, 2)).astype(int)), 1)
    assert counts.min() > N / 9 * 0.75 and counts.max() < N / 9 * 1.25
    mirrored = found[:, 1, 0, 0] > found[:, 1, 0, -1]
    assert 0.45 < mirrored.mean() < 0.55


def test_image_keeps_its_content():
    images = np.random.default_rng(1).integers(0, 256, (50, 3, EXTENT, EXTENT), np.uint8)
    whole = Standardize.fit(images)
    for crop, image in zip(CropAndFlip(whole, SIZE)(images, np.random.default_rng(2)), whole(images), strict=True):
        windows = [image[:, y : y + SIZE, x : x + SIZE] for y in range(3) for x in range(3)]
        assert any(np.array_equal(crop, window[:, :, ::way]) for window in windows for way in (1, -1))


def test_same_generator_gives_the_same_crops():
    assert np.array_equal(crops(3), crops(3))
    assert not np.array_equal(crops(3), crops(4))


def test_batches_crop_by_seed_epoch_and_batch():
    images, labels = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), np.uint8), np.arange(40)
    prepare = CropAndFlip(Standardize.fit(images), 24)

    def epoch(number, start=0, seed=0):
        return [x for x, _ in Batches(images, labels, 16, prepare=prepare, seed=seed).of_epoch(number, start)]

    assert all(np.array_equal(a, b) for a, b in zip(epoch(1)[1:], epoch(1, start=1), strict=True))
    assert not np.array_equal(epoch(1)[0], epoch(2)[0]) and not np.array_equal(epoch(1)[0], epoch(1, seed=1)[0])


@pytest.mark.parametrize(("augment", "rng"), [(True, None), (False, np.random.default_rng(0))], ids=["test", "no augmentation"])
def test_center_is_cropped_where_nothing_is_random(augment, rng):
    found = CropAndFlip(AsFloats(), SIZE, augment)(numbered(), rng)
    assert found.flags.c_contiguous and np.array_equal(found, numbered()[:, :, 1:4, 1:4])


def test_crop_of_the_whole_image_is_only_mirrored():
    found = CropAndFlip(AsFloats(), EXTENT)(numbered(50), np.random.default_rng(0))
    assert np.array_equal(found[:, 0], numbered(50)[:, 0]) and np.array_equal(CropAndFlip(AsFloats(), EXTENT)(numbered(50)), numbered(50))


def test_input_is_not_written_on():
    images = numbered(20).copy()
    CropAndFlip(AsFloats(), SIZE)(images, np.random.default_rng(0))
    assert np.array_equal(images, numbered(20))


def test_crop_larger_than_the_images_raises():
    with pytest.raises(DataError, match="CropAndFlip: images must have at least 6x6 pixels, got 5x5"):
        CropAndFlip(AsFloats(), 6)(numbered())


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_size_that_is_no_number_of_pixels_raises(size):
    with pytest.raises(ShapeError, match="CropAndFlip: size must be an integer of at least 1"):
        CropAndFlip(AsFloats(), size)

"""The arithmetic on pixels; random crops and reflections; the settings that tell one from another."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.data.batches import Batches
from tinyalex.data.loader import Loader
from tinyalex.data.prepare import CropAndFlip, Standardize, SubtractMean, prepare_from_state, prepare_state
from tinyalex.data.source import BLOCK
from tinyalex.errors import DataError, ShapeError

N, SIZE, EXTENT = 2000, 3, 5


class AsFloats:
    """Bytes as they are."""

    def __call__(self, images, rng=None):
        return images.astype(np.float32)


def pixels(n, shape=(3, 4, 5), seed=0):
    return rng(seed).integers(0, 256, (n, *shape), np.uint8)


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


def padded(padding=2, n=N, **settings):
    """Random crops of the size of the image, of an image with zeros around it. Pixels are numbered from 1."""
    return CropAndFlip(AsFloats(), EXTENT, padding=padding, **settings), numbered(n) + np.uint8(1)


def test_padded_crop_is_a_window_of_the_image_with_zeros_around_it():
    prepare, images = padded()
    whole = np.zeros((2, EXTENT + 4, EXTENT + 4), np.float32)
    whole[:, 2:-2, 2:-2] = images[0]
    windows = [whole[:, y : y + EXTENT, x : x + EXTENT][:, :, ::way] for y in range(5) for x in range(5) for way in (1, -1)]
    found = prepare(images, np.random.default_rng(0))
    places = np.array([[np.array_equal(crop, window) for window in windows] for crop in found])
    assert found.shape == images.shape and found.dtype == np.float32 and (places.sum(axis=1) == 1).all()
    assert places.sum(axis=0).min() > N / len(windows) * 0.5  # every place, mirrored or not


@pytest.mark.parametrize(("augment", "rng"), [(True, None), (False, np.random.default_rng(0))], ids=["test", "no augmentation"])
def test_padded_image_is_read_whole_where_nothing_is_random(augment, rng):
    prepare, images = padded(n=20, augment=augment)
    assert np.array_equal(prepare(images, rng), images) and prepare(images, rng).flags.c_contiguous


def test_padding_is_zero_after_the_preparation_and_not_a_black_pixel():
    images = np.full((60, 3, 8, 8), 200, np.uint8)
    prepare = CropAndFlip(Standardize([100] * 3, [50] * 3), 8, padding=3)
    assert set(prepare(images, np.random.default_rng(0)).ravel().tolist()) == {0.0, 2.0}


def test_padded_crops_are_a_function_of_seed_epoch_and_batch_in_workers_too():
    images, labels = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), np.uint8), np.arange(40)
    prepare = CropAndFlip(Standardize.fit(images), 32, padding=4)

    def epoch(number, start=0, seed=0, workers=0):
        batches = Batches(images, labels, 16, prepare=prepare, seed=seed)
        with Loader(batches, workers=workers) as loader:
            return [x.copy() for x, _ in loader.of_epoch(number, start)]

    assert all(np.array_equal(a, b) for a, b in zip(epoch(1), epoch(1, workers=2), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(epoch(1)[1:], epoch(1, start=1), strict=True))
    assert not np.array_equal(epoch(1)[0], epoch(2)[0]) and not np.array_equal(epoch(1)[0], epoch(1, seed=1)[0])


@pytest.mark.parametrize("padding", [-1, 2.0, True, None])
def test_padding_that_is_no_number_of_pixels_raises(padding):
    with refuses(ShapeError, "CropAndFlip: padding must be an integer of at least 0, got "):
        CropAndFlip(AsFloats(), 4, padding=padding)


def test_padding_wider_than_a_crop_raises():
    with refuses(ShapeError, "CropAndFlip: padding must be at most 4, got 5"):
        CropAndFlip(AsFloats(), 4, padding=5)


def test_padded_image_that_is_smaller_than_a_crop_raises():
    with refuses(DataError, "CropAndFlip: images must have at least 5x5 pixels, got 4x4"):
        CropAndFlip(AsFloats(), 9, padding=2)(numbered()[:, :, :4, :4])
    assert CropAndFlip(AsFloats(), 9, padding=2)(numbered(3)).shape == (3, 2, 9, 9)


def test_padding_is_kept_where_a_preparation_is_stored():
    images = pixels(4, (3, 6, 6))
    prepare = CropAndFlip(Standardize.fit(images), 6, padding=2)
    again = prepare_from_state(*prepare_state(prepare))
    assert again.settings == prepare.settings and again.settings["padding"] == 2
    assert np.array_equal(again(images, np.random.default_rng(1)), prepare(images, np.random.default_rng(1)))
    state, arrays = prepare_state(CropAndFlip(Standardize.fit(images), 6))
    assert "padding" not in state and prepare_from_state(state, arrays).padding == 0  # as files of the time before have it


def test_ten_views_of_a_padded_image_are_those_of_the_image_with_zeros_around_it():
    prepare, images = padded(n=3)
    whole = np.pad(images.astype(np.float32), ((0, 0), (0, 0), (2, 2), (2, 2)))
    assert np.array_equal(prepare.views(images), CropAndFlip(AsFloats(), EXTENT).views(whole))


def test_input_is_not_written_on():
    images = numbered(20).copy()
    CropAndFlip(AsFloats(), SIZE)(images, np.random.default_rng(0))
    assert np.array_equal(images, numbered(20))


def test_crop_larger_than_the_images_raises():
    with pytest.raises(DataError, match="CropAndFlip: images must have at least 6x6 pixels, got 5x5"):
        CropAndFlip(AsFloats(), 6)(numbered())
    for height, width in ((5, 2), (2, 5)):
        with refuses(DataError, f"CropAndFlip: images must have at least 3x3 pixels, got {height}x{width}"):
            CropAndFlip(AsFloats(), 3)(numbered()[:, :, :height, :width])


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_size_that_is_no_number_of_pixels_raises(size):
    with pytest.raises(ShapeError, match="CropAndFlip: size must be an integer of at least 1"):
        CropAndFlip(AsFloats(), size)


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


@pytest.mark.parametrize("prepare", [Standardize([0], [1]), SubtractMean(np.zeros((1, 1, 1)))], ids=["Standardize", "SubtractMean"])
def test_mean_of_one_channel_is_not_spread_over_three(prepare):
    with refuses(DataError, "images must be (N, C, H, W) with C x H x W of 1 x any x any, got uint8 array of shape (2, 3, 4, 5)"):
        prepare(pixels(2))


def test_impossible_means_and_deviations_are_refused():
    with refuses(DataError, "Standardize: std must be above 0"):
        Standardize.fit(np.full((3, 3, 2, 2), 7, np.uint8))
    with refuses(DataError, "Standardize: mean and std must be one finite number a channel"):
        Standardize([0, 0], [1])
    with refuses(DataError, "SubtractMean: mean must be finite"):
        SubtractMean(np.full((3, 2, 2), np.nan))
    with refuses(DataError, "Standardize: std must be above 0 in every channel, got [1.0, nan]"):
        Standardize([0, 0], [1, np.nan])
    with refuses(DataError, "Standardize: std must be above 0 in every channel, got [1.0, inf]"):
        Standardize([0, 0], [1, np.inf])
    with refuses(DataError, "Standardize: mean and std must be one finite number a channel"):
        Standardize([0, np.inf], [1, 1])


def test_crop_places_of_images_that_are_not_square():
    rows, columns = np.mgrid[:4, :7].astype(np.uint8)
    images = np.broadcast_to(np.stack([rows, columns]), (600, 2, 4, 7))
    found = CropAndFlip(AsFloats(), SIZE)(images, np.random.default_rng(0))
    assert set(found[:, 0].min((1, 2))) == {0, 1} and set(found[:, 1].min((1, 2))) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(("extent", "start"), [(3, 0), (4, 0), (5, 1), (6, 1)])
def test_center_that_falls_between_two_pixels_is_the_upper_left_one(extent, start):
    found = CropAndFlip(AsFloats(), SIZE)(numbered(1, extent))
    assert np.array_equal(found, numbered(1, extent)[:, :, start : start + SIZE, start : start + SIZE])


@pytest.mark.parametrize("augment", [True, False])
def test_crop_hands_the_generator_on(augment):
    seen = []

    def prepare(images, rng=None):
        seen.append(rng)
        return images.astype(np.float32)

    generator = np.random.default_rng(0)
    crop = CropAndFlip(prepare, SIZE, augment)
    crop(numbered(2), generator)
    crop(numbered(2))
    assert seen == [generator, None]


FLOAT_IMAGES = (pixels(BLOCK + 7) / np.float32(255)).astype(np.float32) - np.float32(0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_images_are_prepared_too(dtype):
    images = FLOAT_IMAGES.astype(dtype)
    mean = SubtractMean.fit(images)
    np.testing.assert_allclose(mean.mean, images.mean(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-8)
    out = Standardize.fit(images)(images)
    assert out.dtype == mean(images).dtype == np.float32
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=(0, 2, 3), dtype=np.float64), 1, rtol=1e-5)


CALLS = {
    "SubtractMean": SubtractMean(np.zeros((3, 1, 1))),
    "SubtractMean.fit": SubtractMean.fit,
    "Standardize": Standardize([0] * 3, [1] * 3),
    "Standardize.fit": Standardize.fit,
    "CropAndFlip": CropAndFlip(AsFloats(), 3),
}


@pytest.mark.parametrize("who", CALLS)
@pytest.mark.parametrize(
    ("images", "text"),
    [
        (pixels(1)[0], "uint8 array of shape (3, 4, 5); use images[None] for one image"),
        (pixels(2).tolist(), "a list of 2 elements"),
        (None, "None"),
        (FLOAT_IMAGES[:2].astype(np.int64), "int64 array of shape (2, 3, 4, 5); use images.astype(np.uint8)"),
        (pixels(3)[:, :, 0, 0].view(np.matrix), "uint8 matrix of shape (3, 3)"),
        (np.zeros((0, 3, 4, 5), np.uint8), "uint8 array of shape (0, 3, 4, 5)"),
    ],
    ids=["one image", "list", "None", "int64", "matrix", "empty"],
)
def test_what_is_no_batch_of_images_is_refused_in_a_sentence(who, images, text):
    with refuses(DataError, f"{who}: images must be "):
        CALLS[who](images)
    with refuses(DataError, f", got {text}"):
        CALLS[who](images)


@pytest.mark.parametrize("who", CALLS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_hold_nan_or_inf_are_refused(who, value):
    images = FLOAT_IMAGES.copy()
    images[BLOCK + 2, 1, 3, 4] = value
    with refuses(DataError, f"{who}: images must hold finite numbers only, got NaN or inf in image {BLOCK + 2}"):
        CALLS[who](images)


@pytest.mark.parametrize("who", CALLS)
def test_mask_that_hides_pixels_is_refused_and_one_that_hides_none_is_dropped(who):
    masked = np.ma.masked_array(pixels(5), mask=False)
    CALLS[who](masked)
    masked[0, 0, 0, 0] = np.ma.masked
    with refuses(DataError, f"{who}: images must be without a mask, got a masked array; select what counts"):
        CALLS[who](masked)


def test_settings_are_json_and_tell_what_differs():
    images = pixels(20)
    mean, standard = SubtractMean.fit(images), Standardize.fit(images)
    kinds = [
        mean,
        SubtractMean.fit(images[:19]),
        SubtractMean(np.zeros((3, 1, 1))),
        standard,
        Standardize(standard.mean, standard.std * 2),
        Standardize(standard.mean + 1, standard.std),
        CropAndFlip(mean, 3),
        CropAndFlip(mean, 2),
        CropAndFlip(mean, 3, False),
        CropAndFlip(mean, 3, padding=1),
        CropAndFlip(mean, 3, padding=2),
        CropAndFlip(standard, 3),
    ]
    texts = [json.dumps(kind.settings, allow_nan=False) for kind in kinds]
    assert len(set(texts)) == len(kinds) and all(json.loads(text)["name"] == type(k).__name__ for text, k in zip(texts, kinds, strict=True))
    assert SubtractMean.fit(images).settings == mean.settings and Standardize.fit(images).settings == standard.settings
    digest = hashlib.sha256(b"(3, 4, 5) " + mean.mean.tobytes()).hexdigest()[:16]
    assert mean.settings == {"name": "SubtractMean", "mean_sha256": digest}
    assert CropAndFlip(AsFloats(), 3).settings == {"name": "CropAndFlip", "size": 3, "augment": True, "prepare": {}}


def test_crop_of_nothing_that_can_be_called_raises():
    with refuses(ShapeError, "CropAndFlip: prepare must be a function of images and a generator, got None; use Standardize"):
        CropAndFlip(None, 3)
    with refuses(ShapeError, "CropAndFlip: augment must be True or False, got 'no'"):
        CropAndFlip(AsFloats(), 3, "no")


def test_one_image_alone_is_told_how_to_become_a_batch_and_other_images_are_not():
    prepare = Standardize([0] * 3, [1] * 3)
    with refuses(DataError, "got uint8 array of shape (3, 4, 5); use images[None] for one image"):
        prepare(pixels(1)[0])
    for images in (pixels(3, (1, 4, 5)), pixels(2)[:, 0]):  # three gray images, and images without channels
        with refuses(DataError, "; fit it on such images"):
            prepare(images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1])
def test_last_image_of_any_number_counts(n, dtype):
    images = np.zeros((n, 1, 1, 1), dtype)
    images[-1] = 200
    found = Standardize.fit(images)
    np.testing.assert_allclose([found.mean.item(), found.std.item()], [images.mean(), images.std()], rtol=1e-6)
    np.testing.assert_allclose(SubtractMean.fit(images).mean.item(), images.mean(), rtol=1e-6)

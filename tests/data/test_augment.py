"""The 2012 input: crops by pixel, the center of the mean image, color noise, the division by 1.1, ten views, and what is stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.data import Batches, Crops, TenViews, mean_probabilities
from tinyalex.data.color import IMAGENET_COLORS, ColorNoise, color_axes
from tinyalex.data.prepare import (
    KINDS,
    CropAndFlip,
    Standardize,
    SubtractMean,
    of_epoch,
    prepare_from_state,
    prepare_state,
    stored,
)
from tinyalex.errors import DataError, ShapeError

ZERO = np.zeros((3, 256, 256), np.float32)
SLOPE = np.random.default_rng(5).uniform(90, 140, (3, 256, 256)).astype(np.float32)  # a mean image without symmetry


def numbered(n=1):
    """Images of 256x256 whose every pixel says its row, its column and the image's number."""
    rows, columns = np.mgrid[:256, :256].astype(np.uint8)
    return np.stack([np.stack([rows, columns, np.full_like(rows, k)]) for k in range(n)])


def places(crops):
    """Row, column and reflection of each crop of `numbered`."""
    mirrored = crops[:, 1, 0, 0] > crops[:, 1, 0, -1]
    return crops[:, 0].min((1, 2)).astype(int), crops[:, 1].min((1, 2)).astype(int), mirrored


def test_an_image_has_2178_crops_by_the_code_and_2048_by_the_paper():
    assert (Crops(ZERO).variants, Crops(ZERO, offsets="paper").variants) == (33 * 33 * 2, 32 * 32 * 2) == (2178, 2048)
    assert (Crops(ZERO, flip=False).variants, Crops(ZERO, 256).variants) == (1089, 2)


@pytest.mark.parametrize(("offsets", "last"), [("code", 32), ("paper", 31)])
def test_offsets_are_drawn_from_all_and_only_their_range(offsets, last):
    images, generator = numbered(), np.random.default_rng(0)
    crops = Crops(ZERO, offsets=offsets)
    found = [places(crops(np.broadcast_to(images, (100, 3, 256, 256)), generator)) for _ in range(8)]
    tops, lefts, mirrored = (np.concatenate(part) for part in zip(*found, strict=True))
    assert sorted(set(tops)) == sorted(set(lefts)) == list(range(last + 1))
    assert 0.45 < mirrored.mean() < 0.55
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.15 and abs(np.corrcoef(tops, mirrored)[0, 1]) < 0.15
    assert len(set(zip(tops, lefts, mirrored, strict=True))) > 600  # of 800: each image has its own


def test_crops_are_the_images_pixels_or_their_reflection():
    images = rng(1).integers(0, 256, (40, 3, 256, 256), np.uint8)
    crops, numbers = (Crops(ZERO)(x, np.random.default_rng(3)) for x in (images, numbered(40)))
    tops, lefts, mirrored = places(numbers)
    assert np.array_equal(numbers[:, 2], np.broadcast_to(np.arange(40.0)[:, None, None], (40, 224, 224)))
    for crop, image, top, left, flipped in zip(crops, images, tops, lefts, mirrored, strict=True):
        window = image[:, top : top + 224, left : left + 224]
        assert np.array_equal(crop, window[:, :, ::-1] if flipped else window)
    assert mirrored.any() and not mirrored.all()


def test_central_window_of_the_mean_is_subtracted_wherever_the_crop_lies():
    images = numbered(30)
    with_mean, without = (Crops(mean)(images, np.random.default_rng(4)) for mean in (SLOPE, ZERO))
    assert len(set(places(without)[0])) > 10 and 0 < places(without)[2].sum() < 30
    assert np.array_equal(with_mean, without - SLOPE[:, 16:240, 16:240])


def test_without_a_generator_the_center_is_cut_without_noise_and_division():
    images = rng(2).integers(0, 256, (3, 3, 256, 256), np.uint8)
    found = Crops(SLOPE, color=IMAGENET_COLORS)(images)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert np.array_equal(found, (images - SLOPE)[:, :, 16:240, 16:240])


def test_noise_is_one_color_an_image_then_everything_is_divided_by_1_1():
    images, plain = numbered(6), Crops(SLOPE)
    for shrink in (1.1, 1.0):
        noisy = Crops(SLOPE, color=IMAGENET_COLORS, shrink=shrink)
        generator = np.random.default_rng(7)
        clean = plain(images, generator)  # the noise is drawn after the crops, so both have the same crops
        shift = noisy.shifts(6, generator)
        found = noisy(images, np.random.default_rng(7))
        assert np.array_equal(found, (clean + shift[:, :, None, None]) / np.float32(shrink))
        assert len(np.unique(shift)) == 18
    assert np.array_equal(Crops(SLOPE, color=None)(images, np.random.default_rng(7)), clean)  # no noise, no division


def test_published_colors_are_deviations_and_give_the_known_ones_of_the_channels():
    deviations, directions = IMAGENET_COLORS
    covariance = directions @ np.diag(deviations**2) @ directions.T
    assert np.sqrt(np.diag(covariance)).round().tolist() == [74, 72, 77]
    assert np.sqrt(np.diag(directions @ np.diag(deviations) @ directions.T)).max() < 9  # were they eigenvalues
    assert (directions.T @ directions).round(6).tolist() == np.eye(3).tolist()
    assert (deviations**2 / 255**2).round(5).tolist() == [0.22807, 0.02116, 0.00598]


def test_first_component_moves_the_pixels_by_12_18():
    shifts = Crops(ZERO, color=IMAGENET_COLORS).shifts(200_000, np.random.default_rng(0))
    along = (shifts @ IMAGENET_COLORS[1]).std(axis=0)
    np.testing.assert_allclose(along, [12.18, 3.71, 1.97], rtol=0.01)
    doubled = Crops(ZERO, color=IMAGENET_COLORS, strength=0.2).shifts(200_000, np.random.default_rng(0))
    np.testing.assert_allclose(doubled, 2 * shifts, rtol=1e-6)


def test_noise_may_end_after_some_epochs():
    crops = Crops(ZERO, color=IMAGENET_COLORS, noise_epochs=67)
    assert crops.of_epoch(66) is crops and crops.of_epoch(67).color is None and Crops(ZERO).of_epoch(90).color is None
    images, labels = numbered(4), np.arange(4)
    drawn = {name: Batches(images, labels, 4, prepare=p) for name, p in (("both", Crops(ZERO, color=IMAGENET_COLORS, noise_epochs=1)),
             ("never", Crops(ZERO)), ("always", Crops(ZERO, color=IMAGENET_COLORS)))}  # fmt: skip
    first, second = ({name: next(batches.of_epoch(epoch))[0] for name, batches in drawn.items()} for epoch in (0, 1))
    assert np.array_equal(first["both"], first["always"]) and not np.array_equal(first["both"], first["never"])
    assert np.array_equal(second["both"], second["never"]) and not np.array_equal(second["both"], second["always"])
    standardize = Standardize((0,), (1,))
    assert of_epoch(standardize, 5) is standardize


def test_ten_views_are_four_corners_and_center_then_their_reflections():
    images = numbered(2)
    views = Crops(ZERO, color=IMAGENET_COLORS).views(images)
    assert views.shape == (20, 3, 224, 224)
    corners = [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)]
    for k, view in enumerate(views):
        top, left = corners[k % 5]
        window = images[k // 10, :, top : top + 224, left : left + 224]
        assert np.array_equal(view, window[:, :, ::-1] if k % 10 >= 5 else window)
    assert np.array_equal(Crops(SLOPE).views(images), views - SLOPE[:, 16:240, 16:240])
    assert np.array_equal(TenViews(Crops(SLOPE))(images, np.random.default_rng(0)), Crops(SLOPE).views(images))


def test_probabilities_are_averaged_not_logits():
    logits = rng(3).standard_normal((30, 7)) * 5
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mean_probabilities(logits), soft.reshape(3, 10, 7).mean(axis=1), rtol=1e-12)
    sure = np.array([[30.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # two of three views are for the second class
    assert mean_probabilities(sure, views=3).round(3).tolist() == [[0.513, 0.487]]
    large = mean_probabilities(np.float32([[1000, 0]] * 10))
    assert large.dtype == np.float64 and large.tolist() == [[1, 0]]


def test_out_is_filled_and_gives_the_same_numbers():
    images = numbered(3)
    for make in (Crops(SLOPE, color=IMAGENET_COLORS), TenViews(Crops(SLOPE))):
        fresh = make(images, np.random.default_rng(1))
        out = np.full_like(fresh, np.nan)
        assert make(images, np.random.default_rng(1), out=out) is out and np.array_equal(out, fresh)


def test_images_are_not_written_on_and_any_size_of_image_is_allowed():
    images = rng(4).integers(0, 256, (5, 2, 9, 7), np.uint8)
    before, mean = images.copy(), np.zeros((2, 9, 7))
    crops = Crops(mean, 6, color=([1, 2], np.eye(2)))
    assert crops(images, np.random.default_rng(0)).shape == (5, 2, 6, 6) and crops.variants == 4 * 2 * 2
    assert np.array_equal(images, before) and not crops.mean.any()
    assert np.array_equal(Crops(mean, 6)(images), images[:, :, 1:7, 0:6])
    assert np.array_equal(Crops(mean, 6)(images.astype(np.float64)), images[:, :, 1:7, 0:6])


@pytest.mark.parametrize(
    ("error", "text", "make"),
    [
        (ShapeError, "Crops: mean must be at least 256 pixels high and wide, for crops of 256 with offsets 'code', got 256x200",
         lambda: Crops(ZERO[:, :, :200], 256)),
        (ShapeError, "Crops: mean must be at least 225 pixels high and wide, for crops of 224 with offsets 'paper', got 224x224",
         lambda: Crops(ZERO[:, :224, :224], offsets="paper")),
        (ShapeError, "Crops: offsets must be code or paper, got 'papers'; did you mean paper?", lambda: Crops(ZERO, offsets="papers")),
        (ShapeError, "Crops: size must be an integer of at least 1, got 0", lambda: Crops(ZERO, 0)),
        (ShapeError, "Crops: flip must be True or False, got 1", lambda: Crops(ZERO, flip=1)),
        (ShapeError, "Crops: strength must be a finite number of at least 0, got -1", lambda: Crops(ZERO, strength=-1)),
        (ShapeError, "Crops: shrink must be a finite number above 0, got 0", lambda: Crops(ZERO, shrink=0)),
        (ShapeError, "Crops: noise_epochs must be an integer of at least 0, got -1", lambda: Crops(ZERO, noise_epochs=-1)),
        (DataError, "Crops: mean must be a finite image of shape (C, H, W), got float32 array of shape (3,)", lambda: Crops([1, 2, 3])),
        (DataError, "Crops: mean must be a finite image", lambda: Crops(ZERO + np.nan)),
        (DataError, "Crops: color must have the mean's 3 channels, got 2", lambda: Crops(ZERO, color=([1, 2], np.eye(2)))),
        (DataError, "Crops: directions must be 3 columns of length 1", lambda: Crops(ZERO, color=([1, 2, 3], np.ones((3, 3))))),
        (DataError, "Crops: deviations must be one finite number of at least 0 a channel", lambda: Crops(ZERO, color=([-1], np.eye(1)))),
        (DataError, "Crops: images must be (N, C, H, W) with C x H x W of 3x256x256, the mean image's, got 3x128x256; resize them",
         lambda: Crops(ZERO)(np.zeros((1, 3, 128, 256), np.uint8))),
        (DataError, "Crops: images must be a uint8 or float array (N, C, H, W)", lambda: Crops(ZERO)(ZERO)),
        (ShapeError, "TenViews: crops must be Crops, got 3", lambda: TenViews(3)),
        (ShapeError, "mean_probabilities: logits must be (N * 10, classes), got float64 array of shape (9, 4)",
         lambda: mean_probabilities(np.zeros((9, 4)))),
    ],
    ids=range(17),
)  # fmt: skip
def test_bad_settings_are_refused(error, text, make):
    with refuses(error, text):
        make()


IMAGES = rng(6).integers(0, 256, (8, 3, 12, 12), np.uint8)
MEAN = SubtractMean.fit(IMAGES)
PREPARES = {
    "mean": MEAN,
    "standardize": Standardize.fit(IMAGES),
    "crop": CropAndFlip(Standardize.fit(IMAGES), 9, augment=True),
    "noise": ColorNoise.fit(MEAN, IMAGES, 0.3),
    "nested": CropAndFlip(ColorNoise.fit(MEAN, IMAGES), 9),
    "crops": Crops(MEAN.mean, 9, "paper", False, color_axes(IMAGES), 0.2, 1.5, 3),
    "crops without color": Crops(MEAN.mean, 9),
    "views": TenViews(Crops(MEAN.mean, 9, color=color_axes(IMAGES))),
}


@pytest.mark.parametrize("name", PREPARES)
def test_a_stored_preparation_gives_the_same_bytes(name):
    state, arrays = prepare_state(PREPARES[name])
    assert all(array.dtype in (np.float32, np.float64) for array in arrays.values())  # what a checkpoint can hold
    again = prepare_from_state(json.loads(json.dumps(state)), arrays)
    assert type(again) is type(PREPARES[name]) and again.settings == PREPARES[name].settings
    for seed in (None, 3):
        a, b = (p(IMAGES, None if seed is None else np.random.default_rng(seed)) for p in (PREPARES[name], again))
        assert np.array_equal(a, b)


def test_every_preparation_that_the_package_has_can_be_stored():
    assert set(KINDS) >= {type(p).__name__ for p in PREPARES.values()}
    assert {type(p) for p in PREPARES.values()} == {kind for name, kind in KINDS.items() if kind.__module__.startswith("tinyalex")}


def test_only_known_preparations_are_stored_and_read():
    with refuses(DataError, "prepare: a preparation that is stored must be one of "):
        prepare_state(lambda images, rng=None: images)
    for state in ({"name": "os.system"}, {"name": ["Crops"]}, {}, None, "Crops"):
        with refuses(DataError, "prepare: the stored preparation must be one of "):
            prepare_from_state(state, {})
    with refuses(DataError, "prepare: a stored SubtractMean must have all its values and arrays, got KeyError('mean')"):
        prepare_from_state({"name": "SubtractMean"}, {})
    with refuses(DataError, "prepare: a stored Crops must have all its values and arrays"):
        prepare_from_state({"name": "Crops", "sizes": 3}, {"mean": ZERO})
    deep = {"name": "SubtractMean"}
    for _ in range(5000):
        deep = {"name": "CropAndFlip", "size": 3, "augment": True, "prepare": deep}
    with refuses(DataError, "prepare: a stored CropAndFlip must have all its values and arrays"):
        prepare_from_state(deep, {})


def test_an_own_preparation_can_be_entered(monkeypatch):
    monkeypatch.setattr("tinyalex.data.prepare.KINDS", dict(KINDS))

    @stored
    class Halves:
        def state(self):
            return {"name": "Halves"}, {}

        @classmethod
        def from_state(cls, state, arrays):
            return cls()

        def __call__(self, images, rng=None):
            return images / np.float32(2)

    assert isinstance(prepare_from_state(*prepare_state(Halves())), Halves)

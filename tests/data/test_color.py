"""The axes of colors, and noise along them: the deviation and not the eigenvalue, columns and not rows, one color an image."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.data import Batches, ColorNoise, CropAndFlip, Standardize, SubtractMean, color_axes
from tinyalex.data.source import BLOCK
from tinyalex.errors import DataError, ShapeError

SPREAD = np.array([50.0, 12.0, 3.0])
TURN = np.linalg.qr(rng(4).standard_normal((3, 3)))[0]


def colored(n=40, dtype=np.float64, size=(9, 7)):
    """Images whose colors spread by SPREAD along the columns of TURN, which are neither symmetric nor the channels."""
    colors = rng(5).standard_normal((n, *size, 3)) * SPREAD @ TURN.T + [120, 100, 140]
    return np.ascontiguousarray(colors.transpose(0, 3, 1, 2)).astype(dtype)


class AsTheyAre:
    """Pixels as they come; keeps the generator that it was given."""

    rng = None

    def __call__(self, images, rng=None):
        self.rng = rng
        return images.astype(np.float32)


def test_axes_are_deviations_and_columns_largest_first():
    deviations, directions = color_axes(colored())
    np.testing.assert_allclose(deviations, SPREAD, rtol=0.05)  # not their squares
    np.testing.assert_allclose(np.abs(directions.T @ TURN), np.eye(3), atol=0.05)  # and not directions @ TURN, of the rows
    assert (np.abs(directions).max(axis=0) == directions.max(axis=0)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_axes_give_back_the_covariance_of_more_than_one_block(dtype):
    images = colored(2 * BLOCK + 7, size=(2, 3)).clip(0, 255).astype(dtype)
    deviations, directions = color_axes(images)
    right = np.cov(images.swapaxes(0, 1).reshape(3, -1).astype(float), bias=True)
    np.testing.assert_allclose(directions * deviations**2 @ directions.T, right, rtol=1e-6, atol=1e-6)


def test_noise_has_the_covariance_of_the_colors_times_the_square_of_its_strength():
    images = colored()
    noise = ColorNoise.fit(AsTheyAre(), images, strength=0.3)
    shifts = noise.shifts(200_000, rng(6))
    right = 0.09 * np.cov(images.swapaxes(0, 1).reshape(3, -1), bias=True)
    np.testing.assert_allclose(np.cov(shifts.T), right, rtol=0.03, atol=0.03 * right.max() / 10)
    assert np.abs(shifts.mean(axis=0)).max() < 0.1


def test_all_pixels_of_an_image_get_one_color_and_images_different_ones():
    images = colored()
    change = ColorNoise.fit(AsTheyAre(), images)(images, rng(7)) - images.astype(np.float32)
    assert change.std(axis=(2, 3)).max() < 1e-3
    assert change.mean(axis=(2, 3)).std(axis=0).min() > 0.5
    np.testing.assert_allclose(change[:, :, 0, 0], ColorNoise.fit(AsTheyAre(), images).shifts(len(images), rng(7)), atol=1e-3)


def test_published_axes_of_imagenet_move_pixels_by_twelve_and_not_by_1483():
    deviations, directions = [121.78006099, 37.09388853, 19.72083305], [  # of cuda-convnet2, the largest first
        [-0.56351045, -0.71257945, 0.41795513], [-0.5761844, -0.02354167, -0.81698062], [-0.59200296, 0.70119634, 0.39731118]]  # fmt: skip
    shifts = ColorNoise(AsTheyAre(), deviations, directions).shifts(100_000, rng(8))
    along = shifts @ np.array(directions)
    np.testing.assert_allclose(along.std(axis=0), [12.178, 3.709, 1.972], rtol=0.02)


def test_without_a_generator_nothing_is_added_and_the_generator_is_handed_on():
    images, inner, generator = colored(dtype=np.uint8), AsTheyAre(), rng(9)
    noise = ColorNoise.fit(inner, images)
    before = images.tobytes()
    assert np.array_equal(noise(images), images) and inner.rng is None
    assert noise(images, generator).dtype == np.float32 and inner.rng is generator
    assert images.tobytes() == before


def test_bytes_do_not_wrap():
    white = np.full((20, 3, 2, 2), 255, np.uint8)
    noisy = ColorNoise(AsTheyAre(), SPREAD, TURN, 1)(white, rng(10))
    assert noisy.max() > 260 and noisy.min() > 0


def test_it_stands_in_the_chain_of_batches():
    images = colored(dtype=np.uint8)
    prepare = CropAndFlip(ColorNoise.fit(Standardize.fit(images), images), 5)
    batches = Batches(images, np.arange(40), 16, prepare=prepare)
    first, again = (list(batches.of_epoch(3)) for _ in range(2))
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert first[0][0].shape == (16, 3, 5, 5)


def test_settings_tell_one_noise_from_another():
    images = colored()
    fit = ColorNoise.fit
    made = [fit(AsTheyAre(), images), fit(AsTheyAre(), images, 0.2), fit(AsTheyAre(), images[:20]), fit(SubtractMean.fit(images), images)]
    made += [ColorNoise(AsTheyAre(), SPREAD, TURN.T), ColorNoise(AsTheyAre(), SPREAD, TURN)]
    texts = [json.dumps(noise.settings) for noise in made]
    assert len(set(texts)) == len(texts)
    assert made[0].settings == fit(AsTheyAre(), images).settings
    assert set(made[3].settings) == {"name", "axes_sha256", "strength", "prepare"} and len(made[3].settings["axes_sha256"]) == 16
    assert made[3].settings["prepare"]["name"] == "SubtractMean"


def test_what_is_no_noise_is_refused():
    with refuses(DataError, "ColorNoise: deviations must be one finite number of at least 0 a channel, got [1, -1, 2]"):
        ColorNoise(AsTheyAre(), [1, -1, 2], TURN)
    with refuses(DataError, "ColorNoise: deviations must be one finite number of at least 0 a channel"):
        ColorNoise(AsTheyAre(), [1, np.nan, 2], TURN)
    of_unit_rows = [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    for wrong in (1.001 * TURN, 0.6 * TURN, TURN[:2], np.full((3, 3), np.nan), of_unit_rows):
        with refuses(DataError, "ColorNoise: directions must be 3 columns of length 1"):
            ColorNoise(AsTheyAre(), SPREAD, wrong)
    for strength in (-0.1, np.inf, np.nan):
        with refuses(ShapeError, f"ColorNoise: strength must be a finite number of at least 0, got {strength}"):
            ColorNoise(AsTheyAre(), SPREAD, TURN, strength)
    with refuses(ShapeError, "ColorNoise: prepare must be a function"):
        ColorNoise(None, SPREAD, TURN)
    with refuses(DataError, "ColorNoise: images must have 3 channels, got 1"):
        ColorNoise(AsTheyAre(), SPREAD, TURN)(np.zeros((2, 1, 4, 5), np.uint8))

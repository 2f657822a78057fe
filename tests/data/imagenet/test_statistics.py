"""The mean image and the colors, in exact sums (FACTS 3.2 and 3.4)."""

from fractions import Fraction

import numpy as np
import pytest

from tinyalex.data.color import color_axes
from tinyalex.data.imagenet import statistics
from tinyalex.data.imagenet.statistics import Sums


def images(n, seed=0, extreme=False):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 256, (n, 256, 256, 3), np.uint8)
    return np.where(drawn > 127, np.uint8(255), np.uint8(0)) if extreme else drawn


def sums_of(some):
    sums = Sums()
    for image in some:
        sums.add(image)
    return sums


@pytest.mark.parametrize("extreme", [False, True])
def test_sums_are_those_of_integers(extreme):
    some = images(5, extreme=extreme)
    sums = sums_of(some)
    assert sums.images == 5 and np.array_equal(sums.pixels, some.sum(axis=0, dtype=np.uint64))
    flat = some.reshape(-1, 3).astype(np.int64) - 128
    assert [sums.products[k] for k in range(6)] == [int(flat[:, i] @ flat[:, j]) for i, j in statistics.PAIRS]


@pytest.mark.parametrize("value", [0, 255])
def test_more_images_than_16_bits_hold(value):
    sums = sums_of([np.full((256, 256, 3), value, np.uint8)] * 600)
    assert (sums.pixels == 600 * value).all() and (sums.mean() == value).all()
    assert np.abs(sums.axes()[0]).max() == 0


def test_mean_and_axes_are_those_of_the_pixels():
    some = images(4, seed=1)
    some[..., 1] //= 3
    some[:, :100] //= 2
    sums = sums_of(some)
    stack = some.transpose(0, 3, 1, 2)
    assert sums.mean().dtype == np.float32 and sums.mean().shape == (3, 256, 256)
    np.testing.assert_allclose(sums.mean(), stack.mean(axis=0), rtol=1e-6)
    deviations, directions = sums.axes()
    expected, axes = color_axes(stack)
    np.testing.assert_allclose(deviations, expected, rtol=1e-9)
    np.testing.assert_allclose(directions, axes, atol=1e-9)


def test_order_and_parts_change_nothing():
    some = images(9, seed=2)
    whole = sums_of(some)
    joined = Sums()
    for part in (some[6:], some[:1], some[1:6]):
        joined.join({key: value.copy() for key, value in sums_of(part[::-1]).state().items()})
    for one, other in zip((whole.mean(), *whole.axes()), (joined.mean(), *joined.axes()), strict=True):
        assert one.tobytes() == other.tobytes()


def test_covariance_of_nearly_equal_pixels_keeps_its_digits():
    """Of a million pixels one differs: in float64 the difference of two large sums would have lost it."""
    some = np.full((16, 256, 256, 3), 250, np.uint8)
    some[0, 0, 0] = 251
    n = 16 * 256 * 256
    variance = Fraction(1, n) - Fraction(1, n**2)
    assert sums_of(some).axes()[0][0] == pytest.approx(float(3 * variance) ** 0.5, rel=1e-12)

"""A synthetic data set: color images of 32x32 pixels in ten classes, drawn from a seed, without any file or network.

A seed gives the same bytes on every machine. Only integers, the raw words of a Philox generator (which are the same in every
version of NumPy), and additions, multiplications, divisions and square roots of float32 (which IEEE 754 rounds in one way) are
used.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tinyalex.data.dataset import Dataset
from tinyalex.errors import DataError, require_int, show

CLASSES = ("disk", "ring", "square", "triangle", "cross", "stripes", "checks", "crescent", "star", "corner")
BLOCK = 500  # images drawn together: a multiple of ten, so that each class is equally frequent; few, so that they stay in cache
SIDE = 32
MOST_IMAGES = 2**32  # 13 TB

Floats = npt.NDArray[np.float32]


def synthetic_dataset(train: int = 10_000, test: int = 2_000, seed: int = 0) -> Dataset:
    """A synthetic stand-in for CIFAR-10: shapes and textures drawn by this program, not photographs.

    Each image shows one object of one of ten classes. The object is turned by up to 23 degrees, scaled and moved at random.
    Object and background have random colors; in half of the images the object is the darker of the two. The background has a
    random slope of color and coarse patches. Up to two bars lie over the image, and every pixel has noise. Color and position
    alone do not show the class. The first n images of a seed are the same, however many images are drawn. The test images
    come from another random stream than the training images.

    Parameters
    ----------
    train, test : the number of training and test images, 1 to 2**32.
    seed : 0 to 2**64 - 1.

    Raises
    ------
    ShapeError, DataError : an argument is outside its range.

    Example
    -------
    >>> synthetic_dataset(100, 20).train_images.shape
    (100, 3, 32, 32)
    """
    seed = require_int("synthetic_dataset", "seed", seed, 0)
    if seed >= 2**64:
        raise DataError(f"synthetic_dataset: seed must be below 2**64, got {show(seed)}")
    train, test = (require_int("synthetic_dataset", key, n, most=MOST_IMAGES) for key, n in (("train", train), ("test", test)))
    train_images, train_labels = _draw(train, seed, stream=0)
    test_images, test_labels = _draw(test, seed, stream=1)
    return Dataset(
        "synthetic", train_images, train_labels, test_images, test_labels, CLASSES, f"synthetic shapes, seed {seed}", synthetic=True
    )


def _draw(count: int, seed: int, stream: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    labels = np.empty(count, np.int64)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        block_images, block_labels = _draw_block(_Random(seed, stream << 32 | start // BLOCK))
        images[start:stop], labels[start:stop] = block_images[: stop - start], block_labels[: stop - start]
    return images, labels


class _Random:
    """Random numbers made from Philox's raw 64-bit words by exact arithmetic."""

    def __init__(self, seed: int, stream: int) -> None:
        self._words = np.random.Philox(key=np.array([seed, stream], np.uint64))

    def _raw(self, count: int) -> npt.NDArray[np.uint64]:
        return self._words.random_raw(count).astype("<u8", copy=False)

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """float32 of shape `shape`, uniform in [low, high), one of 2**16 equally distant values."""
        count = math.prod(shape)
        raw = self._raw(-(-count // 4)).view("<u2")[:count].reshape(shape)
        return raw.astype(np.float32) * np.float32((high - low) / 65536) + np.float32(low)

    def order(self, count: int) -> npt.NDArray[np.int64]:
        """The integers 0 to count - 1 in a random order."""
        return np.argsort(self._raw(count), kind="stable").astype(np.int64)

    def noise(self, *shape: int) -> Floats:
        """Nearly normal values of mean 0 and standard deviation 1: each is the sum of four random bytes, shifted and scaled."""
        count = math.prod(shape)
        pairs = self._raw(-(-count // 2)).view("<u4")[:count]
        pairs = (pairs & 0x00FF00FF) + (pairs >> 8 & 0x00FF00FF)
        total = (pairs & 0xFFFF) + (pairs >> 16)  # mean 510, standard deviation 147.8
        return ((total.astype(np.float32) - np.float32(510)) * np.float32(1 / 147.8)).reshape(shape)

    def direction(self, count: int, most: float) -> tuple[Floats, Floats]:
        """Cosine and sine, each (count,), of random angles between -2 atan(most) and 2 atan(most); 1 gives -90 to 90 degrees.

        The sine of a library is not used, because its last bit differs between machines.
        """
        half = self.uniform(-most, most, count)
        scale: Floats = np.float32(1) / (1 + half * half)
        return (1 - half * half) * scale, 2 * half * scale


# Each shape is a function of coordinates u and v in units of the object's radius, both (B, 32, 32). It returns the distance of
# each point from the shape's edge: positive inside, negative outside.


def _disk(u: Floats, v: Floats) -> Floats:
    return np.float32(0.85) - np.sqrt(u * u + v * v)


def _ring(u: Floats, v: Floats) -> Floats:
    return np.float32(0.2) - np.abs(np.sqrt(u * u + v * v) - np.float32(0.72))


def _square(u: Floats, v: Floats) -> Floats:
    return np.float32(0.78) - np.maximum(np.abs(u), np.abs(v))


def _triangle(u: Floats, v: Floats) -> Floats:
    return np.float32(0.55) - np.maximum(v, np.float32(0.866) * np.abs(u) - np.float32(0.5) * v)


def _cross(u: Floats, v: Floats) -> Floats:
    long, short = np.maximum(np.abs(u), np.abs(v)), np.minimum(np.abs(u), np.abs(v))
    return np.minimum(np.float32(0.95) - long, np.float32(0.27) - short)


def _stripes(u: Floats, v: Floats) -> Floats:
    return np.minimum(_square(u, v), _wave(u))


def _checks(u: Floats, v: Floats) -> Floats:
    first, second = _wave(u), _wave(v)
    same = np.minimum(np.abs(first), np.abs(second)) * np.where((first > 0) == (second > 0), np.float32(1), np.float32(-1))
    return np.minimum(_square(u, v), same)


def _crescent(u: Floats, v: Floats) -> Floats:
    bite = u - np.float32(0.45)
    return np.minimum(np.float32(0.9) - np.sqrt(u * u + v * v), np.sqrt(bite * bite + v * v) - np.float32(0.7))


def _star(u: Floats, v: Floats) -> Floats:
    return np.float32(0.5) - np.float32(0.5) * (np.sqrt(np.abs(u)) + np.sqrt(np.abs(v)))


def _corner(u: Floats, v: Floats) -> Floats:
    return np.minimum(_square(u, v), np.maximum(np.float32(-0.2) - u, np.float32(-0.2) - v))


def _wave(t: Floats) -> Floats:
    """A triangle wave of period 0.78, between -0.195 and 0.195."""
    turns = t * np.float32(1 / 0.78)
    return (np.abs(turns - np.floor(turns) - np.float32(0.5)) - np.float32(0.25)) * np.float32(0.78)


SHAPES: tuple[Callable[[Floats, Floats], Floats], ...] = (
    _disk, _ring, _square, _triangle, _cross, _stripes, _checks, _crescent, _star, _corner,
)  # fmt: skip


def _draw_block(random: _Random) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """BLOCK images, uint8 (BLOCK, 3, 32, 32), and their labels; each class has the same number of images."""
    labels = random.order(BLOCK) % len(CLASSES)
    radius = random.uniform(0.65, 0.92, BLOCK)
    u, v = _turned(random, radius, random.uniform(-0.16, 0.16, BLOCK), random.uniform(-0.16, 0.16, BLOCK), 0.2)
    inside = np.empty((BLOCK, SIDE, SIDE), np.float32)
    for label, shape in enumerate(SHAPES):
        rows = np.flatnonzero(labels == label)
        inside[rows] = shape(u[rows], v[rows])
    cover = _coverage(inside, radius)[:, None]  # (B, 1, 32, 32)

    ground = random.uniform(70, 186, BLOCK, 3)  # (B, 3)
    lighter = np.where(random.uniform(-1, 1, BLOCK, 1) < 0, np.float32(-1), np.float32(1))
    contrast = lighter * random.uniform(40, 100, BLOCK, 1) + random.uniform(-40, 40, BLOCK, 3)
    image = _ground(random, ground)  # (B, 3, 32, 32)
    image += cover * contrast[:, :, None, None]
    for _ in range(2):
        _lay_bar(random, image)
    strength = random.uniform(5, 15, BLOCK)
    image += random.noise(*image.shape) * strength[:, None, None, None]
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _turned(random: _Random, radius: Floats, x0: Floats, y0: Floats, most: float) -> tuple[Floats, Floats]:
    """The coordinates u and v, each (B, 32, 32), of every pixel in the turned axes of an object at (x0, y0), in units of its radius."""
    cosine, sine = random.direction(BLOCK, most)
    place = (np.arange(SIDE, dtype=np.float32) - np.float32(15.5)) / np.float32(16)
    x = (place - x0[:, None]) / radius[:, None]  # (B, 32)
    y = (place - y0[:, None]) / radius[:, None]
    u = (x * cosine[:, None])[:, None, :] + (y * sine[:, None])[:, :, None]
    v = (y * cosine[:, None])[:, :, None] - (x * sine[:, None])[:, None, :]
    return u, v


def _coverage(inside: Floats, radius: Floats) -> Floats:
    """The fraction of each pixel that is inside the object, 0 to 1. It changes from 0 to 1 over one pixel, which is 1/16 wide."""
    covered: Floats = np.clip(inside * (radius * np.float32(16))[:, None, None] + np.float32(0.5), 0, 1)
    return covered


def _ground(random: _Random, base: Floats) -> Floats:
    """The background, (B, 3, 32, 32): a slope of color, and coarse patches of 4x4 pixels."""
    place = (np.arange(SIDE, dtype=np.float32) - np.float32(15.5)) / np.float32(16)
    across = random.uniform(-35, 35, BLOCK, 3)[:, :, None] * place  # (B, 3, 32)
    down = random.uniform(-35, 35, BLOCK, 3)[:, :, None] * place
    patches = random.uniform(-1, 1, BLOCK, 3, SIDE // 4, SIDE // 4) * random.uniform(0, 35, BLOCK)[:, None, None, None]
    image = across[:, :, None, :] + down[:, :, :, None] + base[:, :, None, None]
    image += patches.repeat(4, axis=2).repeat(4, axis=3)
    return image


def _lay_bar(random: _Random, image: Floats) -> None:
    """Draw a bar of a random color over half of the images, at a random position and angle."""
    unit = np.ones(BLOCK, np.float32)
    distance, _ = _turned(random, unit, random.uniform(-0.8, 0.8, BLOCK), random.uniform(-0.8, 0.8, BLOCK), 1)
    width = random.uniform(-0.12, 0.12, BLOCK)[:, None, None]  # half of the widths are negative: no bar
    cover = _coverage(width - np.abs(distance), unit)[:, None]
    image += cover * (random.uniform(20, 236, BLOCK, 3)[:, :, None, None] - image)

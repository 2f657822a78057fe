"""A synthetic data set: color images in 2 to 100 classes, drawn from a seed, without any file or network.

With up to ten classes, an image shows one object, and its shape is the class. With more, a small object lies on a large one, and the
pair of their shapes is the class.

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
from tinyalex.errors import DataError, ShapeError, require_int, show

CLASSES = ("disk", "ring", "square", "triangle", "cross", "stripes", "checks", "crescent", "star", "corner")
BLOCK = 500  # images drawn together: a multiple of ten, so that each class is equally frequent; few, so that they stay in cache
LARGE, LARGE_BLOCK = 64, 100  # images of more pixels a side than the first number are drawn in blocks of the second, for the memory
SIDE = 32
CELLS = 8  # coarse patches of the background, along each side
MOST_SIDE = 512
MOST_IMAGES = 2**32  # 13 TB of 32x32 pixels
MOST_CLASSES = len(CLASSES) ** 2

Floats = npt.NDArray[np.float32]


def synthetic_dataset(train: int = 10_000, test: int = 2_000, seed: int = 0, *, classes: int = 10, side: int = SIDE) -> Dataset:
    """A synthetic stand-in for photographs: shapes and textures drawn by this program. The default stands in for CIFAR-10.

    Each image shows one object of one of ten classes. The object is turned by up to 23 degrees, scaled and moved at random.
    Object and background have random colors; in half of the images the object is the darker of the two. The background has a
    random slope of color and coarse patches. Up to two bars lie over the image, and every pixel has noise. Color and position
    alone do not show the class. The first n images of a seed are the same, however many images are drawn. The test images
    come from another random stream than the training images.

    Parameters
    ----------
    train, test : the number of training and test images, 1 to 2**32.
    seed : 0 to 2**64 - 1.
    classes : 2 to 100. Up to 10 they are single shapes; above 10 they are pairs such as "disk-on-ring".
    side : height and width of an image in pixels, a multiple of 8 from 8 to 512; 64 or more if there are pairs, to be recognizable.

    Raises
    ------
    ShapeError, DataError : an argument is outside its range.

    Example
    -------
    >>> synthetic_dataset(100, 20).train_images.shape
    (100, 3, 32, 32)
    >>> pairs = synthetic_dataset(100, 20, classes=100, side=64)
    >>> pairs.train_images.shape, pairs.classes[12]
    ((100, 3, 64, 64), 'ring-on-square')
    """
    classes = require_int("synthetic_dataset", "classes", classes, 2, MOST_CLASSES)
    side = require_int("synthetic_dataset", "side", side, CELLS, MOST_SIDE)
    if side % CELLS:
        raise ShapeError(f"synthetic_dataset: side must be a multiple of {CELLS}, got {side}; use {side // CELLS * CELLS}")
    seed = require_int("synthetic_dataset", "seed", seed, 0)
    if seed >= 2**64:
        raise DataError(f"synthetic_dataset: seed must be below 2**64, got {show(seed)}")
    train, test = (require_int("synthetic_dataset", key, n, most=MOST_IMAGES) for key, n in (("train", train), ("test", test)))
    parts = [_draw(count, seed, stream, classes, side) for stream, count in enumerate((train, test))]
    note = f"synthetic shapes, seed {seed}"
    return Dataset("synthetic", *parts[0], *parts[1], class_names(classes), note, synthetic=True)


def class_names(classes: int) -> tuple[str, ...]:
    """The names of the classes, in the order of their labels."""
    return CLASSES[:classes] if classes <= len(CLASSES) else tuple(f"{a}-on-{b}" for a in CLASSES for b in CLASSES)[:classes]


def _draw(count: int, seed: int, stream: int, classes: int, side: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    images = np.empty((count, 3, side, side), np.uint8)
    labels = np.empty(count, np.int64)
    size = BLOCK if side <= LARGE else LARGE_BLOCK
    for start in range(0, count, size):
        stop = min(start + size, count)
        block_images, block_labels = _draw_block(_Random(seed, stream << 32 | start // size), size, classes, side)
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


# Each shape is a function of coordinates u and v in units of the object's radius, both (B, H, W). It returns the distance of
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


def _draw_block(random: _Random, count: int, classes: int, side: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Images, uint8 (count, 3, side, side), and their labels; the classes have equal numbers of images, or differ by one."""
    labels = random.order(count) % classes
    pairs = classes > len(CLASSES)
    radius = random.uniform(0.65, 0.92, count)
    cover = _object(random, labels % len(CLASSES), radius, 0.16, side)  # (B, 1, H, W)

    ground = random.uniform(70, 186, count, 3)  # (B, 3)
    lighter = np.where(random.uniform(-1, 1, count, 1) < 0, np.float32(-1), np.float32(1))
    contrast = lighter * random.uniform(40, 100, count, 1) + random.uniform(-40, 40, count, 3)
    image = _ground(random, ground, side)  # (B, 3, H, W)
    image += cover * contrast[:, :, None, None]
    if pairs:
        small = _object(random, labels // len(CLASSES), random.uniform(0.36, 0.5, count), 0.3, side)
        # It is as much darker as the large object is lighter, or the reverse, so it is seen on the object and beside it.
        against = -lighter * random.uniform(80, 130, count, 1) + random.uniform(-40, 40, count, 3)
        image += small * against[:, :, None, None]
    for _ in range(2):
        _lay_bar(random, image)
    strength = random.uniform(5, 15, count)
    image += random.noise(*image.shape) * strength[:, None, None, None]
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _object(random: _Random, shapes: npt.NDArray[np.int64], radius: Floats, most: float, side: int) -> Floats:
    """The fraction of each pixel, (B, 1, H, W), that an object covers: one of the ten shapes, at most `most` from the center."""
    count = len(shapes)
    u, v = _turned(random, radius, random.uniform(-most, most, count), random.uniform(-most, most, count), 0.2, side)
    inside = np.empty((count, side, side), np.float32)
    for number, shape in enumerate(SHAPES):
        rows = np.flatnonzero(shapes == number)
        inside[rows] = shape(u[rows], v[rows])
    return _coverage(inside, radius)[:, None]


def _places(side: int) -> Floats:
    """The centers of the pixels along a side, from just above -1 to just below 1."""
    places: Floats = (np.arange(side, dtype=np.float32) - np.float32(side / 2 - 0.5)) / np.float32(side / 2)
    return places


def _turned(random: _Random, radius: Floats, x0: Floats, y0: Floats, most: float, side: int) -> tuple[Floats, Floats]:
    """The coordinates u and v, each (B, H, W), of every pixel in the turned axes of an object at (x0, y0), in units of its radius."""
    cosine, sine = random.direction(len(radius), most)
    x = (_places(side) - x0[:, None]) / radius[:, None]  # (B, W)
    y = (_places(side) - y0[:, None]) / radius[:, None]
    u = (x * cosine[:, None])[:, None, :] + (y * sine[:, None])[:, :, None]
    v = (y * cosine[:, None])[:, :, None] - (x * sine[:, None])[:, None, :]
    return u, v


def _coverage(inside: Floats, radius: Floats) -> Floats:
    """The fraction of each pixel that is inside the object, 0 to 1. It changes from 0 to 1 over one pixel, which is 2 / side wide."""
    half = np.float32(inside.shape[-1] / 2)
    covered: Floats = np.clip(inside * (radius * half)[:, None, None] + np.float32(0.5), 0, 1)
    return covered


def _ground(random: _Random, base: Floats, side: int) -> Floats:
    """The background, (B, 3, H, W): a slope of color, and coarse patches."""
    count = len(base)
    across = random.uniform(-35, 35, count, 3)[:, :, None] * _places(side)  # (B, 3, W)
    down = random.uniform(-35, 35, count, 3)[:, :, None] * _places(side)
    patches = random.uniform(-1, 1, count, 3, CELLS, CELLS) * random.uniform(0, 35, count)[:, None, None, None]
    image = across[:, :, None, :] + down[:, :, :, None] + base[:, :, None, None]
    image += patches.repeat(side // CELLS, axis=2).repeat(side // CELLS, axis=3)
    return image


def _lay_bar(random: _Random, image: Floats) -> None:
    """Draw a bar of a random color over half of the images, at a random position and angle."""
    count, side = len(image), image.shape[-1]
    unit = np.ones(count, np.float32)
    distance, _ = _turned(random, unit, random.uniform(-0.8, 0.8, count), random.uniform(-0.8, 0.8, count), 1, side)
    width = random.uniform(-0.12, 0.12, count)[:, None, None]  # half of the widths are negative: no bar
    cover = _coverage(width - np.abs(distance), unit)[:, None]
    image += cover * (random.uniform(20, 236, count, 3)[:, :, None, None] - image)

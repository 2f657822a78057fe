"""Batches of a data set in an order that each epoch draws anew, and the arithmetic between a byte and a network's input.

Order and augmentation are functions of (seed, epoch, batch): a run that goes on in the middle of an epoch needs to
remember no generator's state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DataError, require_int, show

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
BLOCK = 1000  # images that `fit` looks at together


class Prepare(Protocol):
    """Turns bytes into what a network reads; `rng` is for augmentation, None where nothing may be random."""

    def __call__(self, images: Pixels, rng: np.random.Generator | None = None) -> Floats:
        """float32 of the images' shape, a new array."""


class SubtractMean:
    """Pixels 0 to 255 minus the mean image of the training set.

    Paper: section 2, "subtracting the mean activity over the training set from each pixel".

    Parameters
    ----------
    mean: (C, H, W), one value a pixel; H and W of 1 are one value a channel.

    Raises
    ------
    DataError: a mean of another form, or images of another size.

    Example
    -------
    >>> images = np.array([10, 30], np.uint8).reshape(2, 1, 1, 1)
    >>> SubtractMean.fit(images)(images).ravel()
    array([-10.,  10.], dtype=float32)
    """

    def __init__(self, mean: npt.ArrayLike) -> None:
        self.mean: Floats = np.asarray(mean, np.float32)
        if self.mean.ndim != 3 or not np.all(np.isfinite(self.mean)):
            raise DataError(f"SubtractMean: mean must be finite and of shape (C, H, W), got {show(self.mean)}")

    @classmethod
    def fit(cls, images: Pixels) -> SubtractMean:
        """Take the mean of `images`, uint8 (N, C, H, W)."""
        check_images("SubtractMean.fit", images)
        total = np.zeros(images.shape[1:], np.uint64)
        for start in range(0, len(images), BLOCK):
            total += images[start : start + BLOCK].sum(axis=0, dtype=np.uint32)  # exact: BLOCK * 255 fits
        return cls(total / len(images))

    def __call__(self, images: Pixels, rng: np.random.Generator | None = None) -> Floats:
        """Subtract the mean; draws nothing."""
        _check_fits("SubtractMean", images, self.mean)
        return np.subtract(images, self.mean, dtype=np.float32)  # (N, C, H, W)


class Standardize:
    """Every channel with mean 0 and standard deviation 1 over the training set.

    Parameters
    ----------
    mean, std: (C,), in units of a pixel's 0 to 255; std above 0.

    Raises
    ------
    DataError: numbers of another form, or images of another number of channels.

    Example
    -------
    >>> images = np.array([10, 30], np.uint8).reshape(2, 1, 1, 1)
    >>> Standardize.fit(images)(images).ravel()
    array([-1.,  1.], dtype=float32)
    """

    def __init__(self, mean: npt.ArrayLike, std: npt.ArrayLike) -> None:
        self.mean: Floats = np.asarray(mean, np.float32).reshape(-1, 1, 1)
        self.std: Floats = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if self.mean.shape != self.std.shape or not np.all(np.isfinite(self.mean)):
            raise DataError(f"Standardize: mean and std must be one finite number a channel, got {show(mean)} and {show(std)}")
        if not np.all((self.std > 0) & np.isfinite(self.std)):
            raise DataError(f"Standardize: std must be above 0 in every channel, got {show(self.std.ravel().tolist())}")

    @classmethod
    def fit(cls, images: Pixels) -> Standardize:
        """Take mean and standard deviation of `images`, uint8 (N, C, H, W), exactly: from how often each value occurs."""
        check_images("Standardize.fit", images)
        counts = np.zeros((images.shape[1], 256), np.int64)
        for start in range(0, len(images), BLOCK):
            for channel, count in enumerate(counts):
                count += np.bincount(images[start : start + BLOCK, channel].ravel(), minlength=256)
        values, share = np.arange(256.0), counts / counts.sum(axis=1, keepdims=True)
        mean = share @ values
        return cls(mean, np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1)))

    def __call__(self, images: Pixels, rng: np.random.Generator | None = None) -> Floats:
        """Subtract the mean, divide by the deviation; draws nothing."""
        _check_fits("Standardize", images, self.mean)
        out = np.subtract(images, self.mean, dtype=np.float32)  # (N, C, H, W)
        out /= self.std
        return out


class Batches:
    """A data set cut into batches.

    Parameters
    ----------
    images, labels: uint8 (N, C, H, W) and N integers.
    batch_size: at least 1. The last batch of an epoch holds what is left and is kept: 50,000 = 390 * 128 + 80.
    prepare: called with each batch's bytes and a generator that is a function of (seed, epoch, batch).
    seed: 0 to 2**64 - 1.
    shuffle: False for the order of the arrays.

    Example
    -------
    >>> images, labels = np.zeros((10, 3, 8, 8), np.uint8), np.arange(10)
    >>> batches = Batches(images, labels, 4, prepare=SubtractMean.fit(images))
    >>> [len(y) for x, y in batches.of_epoch(0)]
    [4, 4, 2]
    """

    def __init__(
        self, images: Pixels, labels: npt.NDArray[Any], batch_size: int = 128, *, prepare: Prepare, seed: int = 0, shuffle: bool = True
    ) -> None:
        check_arrays("batches", images, labels)
        self.images, self.labels, self.prepare, self.shuffle = images, labels, prepare, shuffle
        self.batch_size = require_int("batches", "batch_size", batch_size)
        self.seed = require_int("batches", "seed", seed, least=0)
        if self.seed >= 2**64:
            raise DataError(f"batches: seed must be below 2**64, got {seed}")

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.images) // self.batch_size)

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The images' numbers as this epoch takes them, (N,)."""
        if not self.shuffle:
            return np.arange(len(self.images))
        words = self._philox(epoch, 0).random_raw(len(self.images))  # raw words: NumPy promises them for ever
        return np.argsort(words, kind="stable")

    def of_epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
        """The epoch's batches from number `start` on: prepared images (B, C, H, W) and labels (B,)."""
        epoch, start = require_int("batches", "epoch", epoch, least=0), require_int("batches", "start", start, least=0)
        if start > len(self):
            raise DataError(f"batches: start must be at most {len(self)}, the number of batches of an epoch, got {start}")
        return self._from(epoch, start)

    def _from(self, epoch: int, start: int) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
        order = self.order(epoch)
        for batch in range(start, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            rng = np.random.Generator(self._philox(epoch, batch + 1))
            yield self.prepare(self.images[chosen], rng), self.labels[chosen]

    def _philox(self, epoch: int, stream: int) -> np.random.Philox:
        """A generator of its own for each (seed, epoch, stream): the stream is the counter's highest word."""
        return np.random.Philox(key=np.array([self.seed, epoch], np.uint64), counter=np.array([0, 0, 0, stream], np.uint64))


def _check_fits(who: str, images: Pixels, mean: Floats) -> None:
    """Raise unless the mean has the images' channels, and their height and width or 1: anything else would change their shape."""
    shape = images.shape[1:]
    if images.ndim != 4 or shape[0] != len(mean) or any(n not in (1, wide) for n, wide in zip(mean.shape, shape, strict=True)):
        rule = " x ".join([str(len(mean)), *("any" if n == 1 else str(n) for n in mean.shape[1:])])
        raise DataError(f"{who}: images must be (N, C, H, W) with C x H x W of {rule}, got {show(images)}; fit it on such images")


def check_arrays(who: str, images: object, labels: object) -> None:
    """Raise unless these are images and as many labels."""
    check_images(who, images)
    assert isinstance(images, np.ndarray)
    if not isinstance(labels, np.ndarray) or labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise DataError(f"{who}: labels must be {len(images)} integers, one for each image, got {show(labels)}")


def check_images(who: str, images: object) -> None:
    """Raise unless `images` is uint8 (N, C, H, W) with N of at least 1."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise DataError(f"{who}: images must be a uint8 array (N, C, H, W) with N of at least 1, got {show(images)}")

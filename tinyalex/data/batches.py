"""Batches of a data set, in an order that is drawn anew for each epoch.

Order and augmentation are functions of (seed, epoch, batch): a run that goes on in the middle of an epoch needs to
remember no generator's state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.prepare import Floats, Prepare, Standardize, SubtractMean, require_prepare
from tinyalex.data.source import Images, check_arrays
from tinyalex.errors import DataError, require_bool, require_int

__all__ = ["Batches", "Prepare", "Standardize", "SubtractMean", "check_arrays"]  # most importers take the last four from here


class Batches:
    """A data set cut into batches.

    Parameters
    ----------
    images, labels: uint8, float32 or float64 (N, C, H, W), and N integers, an array or a list.
    batch_size: at least 1. The last batch of an epoch holds what is left and is kept: 50,000 = 390 * 128 + 80.
    prepare: called with each batch's images and a generator that is a function of (seed, epoch, batch).
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
        self, images: Images, labels: Any, batch_size: int = 128, *, prepare: Prepare, seed: int = 0, shuffle: bool = True
    ) -> None:
        self.images, self.labels = check_arrays("batches", images, labels)
        self.prepare, self.shuffle = require_prepare("batches", prepare), require_bool("batches", "shuffle", shuffle)
        self.batch_size = require_int("batches", "batch_size", batch_size)
        self.seed = require_int("batches", "seed", seed, least=0)
        if self.seed >= 2**64:
            raise DataError(f"batches: seed must be below 2**64, got {seed}")

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.images) // self.batch_size)

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The images' numbers in the order of this epoch, (N,)."""
        if not self.shuffle:
            return np.arange(len(self.images))
        words = self._philox(epoch, 0).random_raw(len(self.images))  # raw words: NumPy promises not to change them
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
            rng = np.random.Generator(self._philox(epoch, batch + 1))  # stream 0 is the order's
            yield self.prepare(self.images[chosen], rng), self.labels[chosen]

    def _philox(self, epoch: int, stream: int) -> np.random.Philox:
        """A generator of its own for each (seed, epoch, stream): the stream is the counter's highest word."""
        return np.random.Philox(key=np.array([self.seed, epoch], np.uint64), counter=np.array([0, 0, 0, stream], np.uint64))

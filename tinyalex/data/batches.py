"""Batches of a data set, in a new random order in each epoch.

Order and augmentation are functions of (seed, epoch, batch). So a run that continues in the middle of an epoch does not have
to store the state of a random generator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.prepare import Floats, Prepare, Standardize, SubtractMean, of_epoch, require_prepare
from tinyalex.data.source import ArraySource, Images, Source, check_arrays, is_source
from tinyalex.errors import DataError, TinyalexError, require_bool, require_int

__all__ = ["Batches", "Prepare", "Standardize", "SubtractMean", "check_arrays"]  # other modules import the last four from here


class Batches:
    """A data set cut into batches.

    Parameters
    ----------
    images: uint8, float32 or float64 (N, C, H, W), or a `Source`, which has its own labels. labels: N integers, an array or a list.
    batch_size: at least 1. The last batch of an epoch holds the images that are left: 50,000 = 390 * 128 + 80.
    prepare: called with the images of each batch and a generator that is a function of (seed, epoch, batch).
    seed: 0 to 2**64 - 1.
    shuffle: False keeps the order of the arrays in every epoch.
    segment: the order of the authors' CIFAR-10 nets: the arrays are never shuffled, and each `segment` of their images (the authors'
        data batches have 10,000) is cut into batches by itself. So each ends with a smaller batch: 10,000 = 78 * 128 + 16.

    Raises
    ------
    DataError, ShapeError: images, labels or a setting of another form, or outside its range.

    Example
    -------
    >>> images, labels = np.zeros((10, 3, 8, 8), np.uint8), np.arange(10)
    >>> batches = Batches(images, labels, 4, prepare=SubtractMean.fit(images))
    >>> [len(y) for x, y in batches.of_epoch(0)]
    [4, 4, 2]
    """

    def __init__(
        self,
        images: Any,
        labels: Any = None,
        batch_size: int = 128,
        *,
        prepare: Prepare,
        seed: int = 0,
        shuffle: bool = True,
        segment: int | None = None,
    ) -> None:
        self.source: Source = images if labels is None and is_source(images) else ArraySource(images, labels, who="batches")
        self.labels = self.source.labels
        self.prepare, self.shuffle = require_prepare("batches", prepare), require_bool("batches", "shuffle", shuffle)
        self.batch_size = require_int("batches", "batch_size", batch_size)
        self.seed = require_int("batches", "seed", seed, least=0)
        if self.seed >= 2**64:
            raise DataError(f"batches: seed must be below 2**64, got {seed}")
        self.segment = None if segment is None else require_int("batches", "segment", segment)
        self.shuffle = self.shuffle and segment is None
        n, whole = len(self.source), self.segment or max(1, len(self.source))
        self._starts = [k for first in range(0, n, whole) for k in range(first, min(first + whole, n), self.batch_size)] + [n]

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return len(self._starts) - 1

    def part(self, batch: int) -> slice:
        """Where the images of the batch with this index stand in the order of an epoch."""
        return slice(self._starts[batch], self._starts[batch + 1])

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The indices of the images in the order of this epoch, (N,)."""
        if not self.shuffle:
            return np.arange(len(self.source))
        words = self._philox(epoch, 0).random_raw(len(self.source))  # raw words, which are the same in every version of NumPy
        return np.argsort(words, kind="stable")

    def of_epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
        """The batches of an epoch, from the batch with index `start` on: prepared images (B, C, H, W) and labels (B,).

        Raises
        ------
        DataError, ShapeError: `epoch` or `start` is outside its range.
        """
        epoch, start = require_int("batches", "epoch", epoch, least=0), require_int("batches", "start", start, least=0)
        if start > len(self):
            raise DataError(f"batches: start must be at most {len(self)}, the number of batches of an epoch, got {start}")
        return self._from(epoch, start)

    def _from(self, epoch: int, start: int) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
        order = self.order(epoch)
        for batch in range(start, len(self)):
            chosen = order[self.part(batch)]
            yield self.prepared(self.read(chosen), epoch, batch), self.labels[chosen]

    def in_order(self) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
        """All batches in the order of the source, prepared for testing: without a generator."""
        every = np.arange(len(self.source))
        for batch in range(len(self)):
            rows = every[self.part(batch)]
            yield self.prepared(self.read(rows), 0, None), self.labels[rows]

    def read(self, chosen: npt.NDArray[np.int64]) -> Images:
        """The images of the source with these indices, not prepared.

        Raises
        ------
        DataError: one of them cannot be read. Errors of the system, such as a file that is gone, come in a sentence too.
        """
        try:
            return self.source.read(chosen)
        except OSError as error:
            if isinstance(error, TinyalexError):
                raise
            raise DataError(f"batches: every image must be readable, got {type(error).__name__}: {error}") from error

    def prepared(self, images: Images, epoch: int, batch: int | None, out: Floats | None = None) -> Floats:
        """Images as the batch with index `batch` of an epoch; with None they are prepared for testing.

        out: an array for the result, which is used if `prepare` can write into one.
        """
        if batch is None:
            prepare, rng = self.prepare, None
        else:
            prepare, rng = of_epoch(self.prepare, epoch), self.rng(epoch, batch)
        if out is not None and getattr(prepare, "takes_out", False):
            return prepare(images, rng, out=out)  # type: ignore[call-arg]
        return prepare(images, rng)

    def rng(self, epoch: int, batch: int) -> np.random.Generator:
        """The generator that `prepare` gets for one batch of one epoch."""
        return np.random.Generator(self._philox(epoch, batch + 1))  # stream 0 draws the order

    def _philox(self, epoch: int, stream: int) -> np.random.Philox:
        """A separate generator for each (seed, epoch, stream): the stream is the highest word of Philox's counter."""
        return np.random.Philox(key=np.array([self.seed, epoch], np.uint64), counter=np.array([0, 0, 0, stream], np.uint64))

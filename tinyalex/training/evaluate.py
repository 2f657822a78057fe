"""How good a network is on labeled images: its loss, and how often the label is not its first or among its first five."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyalex.data.batches import Batches, Prepare
from tinyalex.errors import DataError
from tinyalex.layers.base import Layer
from tinyalex.loss import SoftmaxCrossEntropy

Arrays: TypeAlias = tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]
Prepared: TypeAlias = Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]


@dataclass(frozen=True)
class Evaluation:
    """Means over `images` images; the errors are fractions in [0, 1]."""

    loss: float
    error: float
    top5_error: float
    images: int


def ranks(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """How many classes each row puts before its label, (N,): 0 where the label is the argmax.

    Of equal logits the first counts as the greater, as in argmax. A row with a NaN puts every class before its label.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before: npt.NDArray[np.int64] = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    before[np.isnan(logits).any(axis=1)] = logits.shape[1]
    return before


def evaluate(
    net: Layer,
    loss: SoftmaxCrossEntropy,
    data: Arrays | Prepared,
    prepare: Prepare | None = None,
    batch_size: int = 256,
    after_batch: Callable[[int], None] | None = None,
) -> Evaluation:
    """Run `net` with train=False over all of `data`.

    Parameters
    ----------
    data: (images, labels), which are prepared without anything random, or an iterable of batches already prepared.
    prepare: what the training used; needed for (images, labels).
    after_batch: called with the number of images of each batch when it is done.

    Raises
    ------
    DataError: no images, or images without `prepare`.
    """
    total, wrong, wrong5, count = 0.0, 0, 0, 0
    for x, labels in _batches(data, prepare, batch_size):
        logits = net.forward(net.device.asarray(x, net.dtype), train=False)
        total += float(loss.forward(logits, labels, train=False)) * len(labels)
        before = ranks(loss.device.to_numpy(logits), labels)
        wrong, wrong5, count = wrong + int((before > 0).sum()), wrong5 + int((before > 4).sum()), count + len(labels)
        if after_batch is not None:
            after_batch(len(labels))
    if count == 0:
        raise DataError("evaluate: data must hold at least 1 image, got none")
    return Evaluation(total / count, wrong / count, wrong5 / count, count)


def _batches(data: Arrays | Prepared, prepare: Prepare | None, batch_size: int) -> Prepared:
    if not isinstance(data, tuple):
        return data
    if prepare is None:
        raise DataError("evaluate: prepare must be given with (images, labels), got None; pass the one that training used")
    return _in_order(Batches(data[0], data[1], batch_size, prepare=prepare, shuffle=False))


def _in_order(batches: Batches) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    for start in range(0, len(batches.images), batches.batch_size):
        rows = slice(start, start + batches.batch_size)
        yield batches.prepare(batches.images[rows], None), batches.labels[rows]

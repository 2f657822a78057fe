"""How good a network is on labeled images: its mean loss, its error and its top-5 error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyalex.data.batches import Batches, Prepare
from tinyalex.data.dataset import Sources
from tinyalex.data.loader import Loader
from tinyalex.data.source import is_source
from tinyalex.errors import DataError, ShapeError, show
from tinyalex.layers.base import Layer
from tinyalex.loss import Loss
from tinyalex.training.inputs import Images, as_labels, check_input, source_of

Prepared: TypeAlias = Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]


@dataclass(frozen=True)
class Evaluation:
    """Means over `images` images.

    error: the fraction, 0 to 1, of images whose label is not the class with the highest logit. top5_error: the fraction of
    images whose label is not among the five classes with the highest logits.
    """

    loss: float
    error: float
    top5_error: float
    images: int


def ranks(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """For each image, how many classes have a higher logit than its label, (N,): 0 if the label is the argmax.

    Of two equal logits the first counts as higher, as in argmax. If a logit is NaN, all classes count as higher.
    Shapes: logits (N, classes), labels (N,).
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    before: npt.NDArray[np.int64] = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    before[np.isnan(logits).any(axis=1)] = logits.shape[1]
    return before


def evaluate(
    net: Layer,
    loss: Loss,
    data: Images | Prepared,
    prepare: Prepare | None = None,
    batch_size: int = 256,
    after_batch: Callable[[int], None] | None = None,
    workers: int = 0,
) -> Evaluation:
    """The loss and errors of `net` on `data`, computed with train=False.

    Parameters
    ----------
    data: (images, labels), images (N, C, H, W) and N integer labels; or a Dataset, of which the test part is used; or a
        source; or an iterable of batches (images, labels) that are already prepared. Labels may be lists.
    prepare: the function that the training used; it is called without a generator, so that nothing is random. It is needed
        unless the batches are already prepared.
    batch_size: images in a batch; it changes time and memory only.
    after_batch: called after each batch with the number of its images.
    workers: how many processes read and prepare images ahead, see `tinyalex.data.Loader`; not for batches that are already prepared.

    Raises
    ------
    DataError: there are no images, `prepare` is missing, batches or labels have another form, or an image holds a NaN.
    ShapeError: the images have another size than the net's `in_shape`, or `loss` is not a loss.
    """
    if not callable(getattr(loss, "forward", None)) or isinstance(loss, Layer):
        raise ShapeError(f"evaluate: loss must be a loss such as SoftmaxCrossEntropy(), got {show(loss)}; call evaluate(net, loss, data)")
    total, wrong, wrong5, count, upload = 0.0, 0, 0, 0, net.device.uploader(*net.reads[1:])
    with np.errstate(under="ignore"):
        for x, labels in _batches(data, prepare, batch_size, workers):
            check_input("evaluate", net, x)
            logits = net.forward(upload(x, net.dtype), train=False)
            total += float(loss.forward(logits, labels, train=False)) * len(labels)
            before = ranks(loss.device.to_numpy(logits), labels)
            wrong, wrong5, count = wrong + int((before > 0).sum()), wrong5 + int((before > 4).sum()), count + len(labels)
            if after_batch is not None:
                after_batch(len(labels))
            del x  # before the next batch comes, so that its memory is free
    if count == 0:
        raise DataError("evaluate: data must hold at least 1 image, got none")
    return Evaluation(total / count, wrong / count, wrong5 / count, count)


def _batches(data: Any, prepare: Prepare | None, batch_size: int, workers: int) -> Prepared:
    is_pair = isinstance(data, (tuple, list)) and len(data) == 2 and not (isinstance(data[0], (tuple, list)) and len(data[0]) == 2)
    if not is_pair and not hasattr(data, "test_images") and not is_source(data) and not isinstance(data, Sources):
        return _checked(data)
    if prepare is None:
        raise DataError("evaluate: prepare must be given with (images, labels), got None; pass the one that training used")
    if not callable(prepare):
        raise DataError(f"evaluate: prepare must be a function of uint8 images, got {show(prepare)}; pass the one that training used")
    batches = Batches(source_of("evaluate: data", data, "test"), None, batch_size, prepare=prepare, shuffle=False)
    return _loaded(Loader(batches, workers=workers))


def _loaded(loader: Loader) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    with loader:
        yield from loader.in_order()


def _checked(data: Any) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """The caller's prepared batches, each checked."""
    if isinstance(data, (str, bytes, dict, np.ndarray)) or not isinstance(data, Iterable):
        rule = "(images, labels), a Dataset, a source or an iterable of prepared batches"
        raise DataError(f"evaluate: data must be {rule}, got {show(data)}")
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise DataError(f"evaluate: a batch of data must be (images, labels), got {show(batch)}")
        yield batch[0], as_labels("evaluate", batch[1])

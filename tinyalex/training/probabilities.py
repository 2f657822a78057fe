"""What networks say of images as probabilities: one view or ten, one net or the mean of several, and how right they are (paper 6).

The error of the paper gives part of the credit where classes tie, as the authors' code does. With the k classes of the highest
probability as the answer, let h be the classes that are higher than an image's label, and e those that equal it, with itself. Then

    credit = 0              if h >= k,
             (k - h) / e    if the e classes do not all fit in the k - h places that are left,
             1              otherwise.

For k = 1 this is 1 / e if the label is a maximum, and 0 if it is not. It is the chance to be right if ties are broken at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.augment import VIEWS, mean_probabilities
from tinyalex.data.batches import Batches
from tinyalex.data.loader import Loader
from tinyalex.data.prepare import Prepare, require_prepare
from tinyalex.data.source import Images, Source
from tinyalex.errors import DataError, ShapeError, require_choice, require_int, show
from tinyalex.layers.base import Layer
from tinyalex.models.saved_net import views_of
from tinyalex.training.inputs import Images as Data, check_input, source_of

Exact = npt.NDArray[np.float64]
Member = tuple[Layer, Prepare]  # a net, and the preparation of its images
TOP = 5


def credit(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any], k: int = 1) -> Exact:
    """How right each answer of the k most probable classes is, 0 to 1, (N,): see the text above for ties.

    probabilities: (N, classes), or logits, which have the same order. labels: (N,). Where a value is NaN, the credit is 0.

    Example
    -------
    >>> credit(np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2]]), np.array([0, 2]))
    array([0.5, 0. ])
    """
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)  # (N, 1)
    higher, equal = (probabilities > own).sum(axis=1), (probabilities == own).sum(axis=1)
    found: Exact = np.clip((k - higher) / np.maximum(equal, 1), 0, 1)
    found[np.isnan(probabilities).any(axis=1)] = 0
    return found


def probabilities(
    net: Layer,
    data: Data,
    prepare: Prepare,
    views: int = 1,
    batch_size: int = 128,
    after_batch: Callable[[int], None] | None = None,
    workers: int = 0,
) -> npt.NDArray[np.float32]:
    """The probability of each class for each image, float32 (N, classes), computed with train=False.

    Paper: section 4.1, "averaging the predictions made by the network's softmax layer on the ten patches".

    Parameters
    ----------
    data, prepare, after_batch, workers: as in `evaluate`. views: 1, or 10 if `prepare` cuts crops.
    batch_size: inputs that the net reads together; an image has as many inputs as views.

    Raises
    ------
    ShapeError, DataError: `prepare` has no ten views, images or net do not fit, or the net's output is not finite.
    """
    source = source_of("probabilities: data", data, "test")
    rows = [given for _, (given,) in predictions([(net, prepare)], source, views, batch_size, after_batch, workers)]
    return np.concatenate(rows).astype(np.float32)


def predictions(
    members: Sequence[Member],
    source: Source,
    views: int = 1,
    batch_size: int = 128,
    after_batch: Callable[[int], None] | None = None,
    workers: int = 0,
) -> Iterator[tuple[npt.NDArray[np.int64], list[Exact]]]:
    """For each batch of a source: its labels, (B,), and the probabilities of each net, each (B, classes).

    Several nets read the same images, so an ensemble reads and decodes its images once. The settings are those of `probabilities`.
    """
    images_at_once = max(1, require_int("probabilities", "batch_size", batch_size) // _views(members, views))
    batches = Batches(source, None, images_at_once, prepare=_unchanged, shuffle=False)
    with Loader(batches, workers=workers) as loader, np.errstate(under="ignore"):
        for images, labels in loader.in_order():
            yield labels, [ask(member, images, views) for member in members]
            if after_batch is not None:
                after_batch(len(labels))
            del images  # so that its memory is free for the next batch


def ask(member: Member, images: Images, views: int = 1) -> Exact:
    """The probabilities that a net gives to images (N, C, H, W), averaged over their views: (N, classes)."""
    net, prepare = member
    made = views_of(prepare) if views == VIEWS else prepare
    assert made is not None
    x = made(images)
    check_input("probabilities", net, x)
    logits = net.gives[0].to_numpy(net.forward(net.device.asarray(x, net.dtype), train=False))
    if not np.isfinite(logits).all():
        raise DataError("probabilities: the outputs of the net must be finite, got a NaN or an infinity; its training has diverged")
    return mean_probabilities(logits, views)


def _views(members: Sequence[Member], views: int) -> int:
    """`views`, if every member can give so many."""
    for _, prepare in members:
        require_prepare("probabilities", prepare)
        if views != 1 and views_of(prepare) is None:
            rule = "probabilities: views must be 1 where prepare cuts no crops"
            raise ShapeError(f"{rule}, got {show(views)}; use 1 view, or train with Crops or CropAndFlip")
    views = int(require_choice("probabilities", "views", views, (1, VIEWS)))
    return views


def _unchanged(images: Images, rng: Any = None) -> Any:
    """A preparation that leaves the pixels as they are: every net of an ensemble prepares them for itself."""
    return images


@dataclass
class Tally:
    """Counts of right and wrong answers, batch by batch.

    Parameters
    ----------
    classes: how many there are.

    Attributes
    ----------
    images: (classes,), how many images of each class. top1, top5: (classes,), the sums of their credits. loss: the sum of minus log of
        the probability of the label. taken: how often an image of one class was taken for another, by (label, most probable class).

    Example
    -------
    >>> tally = Tally(3)
    >>> tally.add(np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]]), np.array([0, 1]))
    >>> tally.error, tally.taken.most_common(1)
    (0.5, [((1, 0), 1)])
    """

    classes: int
    loss: float = 0.0
    images: npt.NDArray[np.int64] = field(init=False)
    top1: Exact = field(init=False)
    top5: Exact = field(init=False)
    taken: Counter[tuple[int, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.images, self.top1, self.top5 = np.zeros(self.classes, np.int64), np.zeros(self.classes), np.zeros(self.classes)

    def add(self, probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        """Count a batch: probabilities (B, classes) and labels (B,). DataError: a label is not that of a class."""
        wrong = np.flatnonzero((labels < 0) | (labels >= self.classes))
        if wrong.size:
            raise DataError(f"evaluate: labels must be from 0 to {self.classes - 1}, as the net has outputs, got {labels[wrong[0]]}")
        for sums, k in ((self.top1, 1), (self.top5, TOP)):
            sums += np.bincount(labels, credit(probabilities, labels, k), self.classes)
        self.images += np.bincount(labels, minlength=self.classes)
        own = np.take_along_axis(probabilities, labels[:, None], axis=1)
        self.loss -= float(np.log(np.maximum(own, np.finfo(np.float64).tiny)).sum())
        guesses = probabilities.argmax(axis=1)
        self.taken.update((int(a), int(b)) for a, b in zip(labels, guesses, strict=True) if a != b)

    @property
    def count(self) -> int:
        """How many images were counted."""
        return int(self.images.sum())

    @property
    def error(self) -> float:
        """The share of images whose label is not the most probable class."""
        return _error(self.top1.sum(), self.count)

    @property
    def top5_error(self) -> float:
        """The share of images whose label is not among the five most probable classes."""
        return _error(self.top5.sum(), self.count)

    def of_class(self, k: int) -> tuple[float, float]:
        """Error and top-5 error of the images of one class. It must have images."""
        return _error(self.top1[k], self.images[k]), _error(self.top5[k], self.images[k])

    def mistaken(self) -> dict[int, tuple[int, int]]:
        """For each class whose images are sometimes wrong: the class that they are most often taken for, and how often."""
        found: dict[int, tuple[int, int]] = {}
        for (label, guess), count in sorted(self.taken.items()):
            if count > found.get(label, (0, 0))[1]:
                found[label] = (guess, count)
        return found

    def worst_pairs(self, most: int) -> list[tuple[int, int, int, int]]:
        """The pairs of classes that are mixed up most often: (a, b, times that a was taken for b, times that b was taken for a)."""
        both: Counter[tuple[int, int]] = Counter()
        for (a, b), count in self.taken.items():
            both[min(a, b), max(a, b)] += count
        ordered = sorted(both, key=lambda pair: (-both[pair], pair))[:most]
        return [(a, b, self.taken[a, b], self.taken[b, a]) for a, b in ordered]


def _error(credits: Any, images: Any) -> float:
    """1 - credits / images, and not below 0, where the sum of many parts of a credit is rounded up."""
    return max(0.0, 1 - float(credits) / int(images))

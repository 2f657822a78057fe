"""A data set of two parts: `Dataset` holds its images in memory, `Sources` reads them where they lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.color import color_axes
from tinyalex.data.prepare import SubtractMean
from tinyalex.data.source import ArraySource, Images, Labels, Source, check_arrays
from tinyalex.errors import DataError, require_float, require_int, show


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labeled images of one size, split into a training and a test part. `Dataset.of` makes one from your own arrays.

    Parameters
    ----------
    name : the name of the data set in figures and logs.
    train_images, test_images : uint8, float32 or float64 (N, C, H, W), finite. The channels of color images are red, green, blue.
    train_labels, test_labels : N integers from 0 to the number of classes minus 1; stored as int64.
    classes : the classes' names, in the order of their labels.
    note : where the images come from; every figure made from them shows it.
    synthetic : True if the images were drawn by a program.

    Raises
    ------
    DataError : an array has another type or shape, a label is outside its range, or a part is empty.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]
    note: str
    synthetic: bool

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = check_arrays(f"{self.name}: {part}", getattr(self, f"{part}_images"), getattr(self, f"{part}_labels"))
            _check_labels(f"{self.name}: {part}", labels, len(self.classes))
            object.__setattr__(self, f"{part}_images", images)
            object.__setattr__(self, f"{part}_labels", labels.astype(np.int64, copy=False))
        if self.test_images.shape[1:] != self.image_shape:
            rule = f"{self.name}: test images must have the training images' shape {self.image_shape}"
            raise DataError(f"{rule}, got {self.test_images.shape[1:]}")

    @classmethod
    def of(
        cls,
        images: Any,
        labels: Any,
        test_images: Any = None,
        test_labels: Any = None,
        *,
        classes: int | Sequence[str] | None = None,
        test_share: float = 0.1,
        seed: int = 0,
        name: str = "own images",
        note: str = "made from arrays",
    ) -> Dataset:
        """A data set from your own arrays.

        Parameters
        ----------
        images, labels : uint8, float32 or float64 (N, C, H, W) of any size, and N integers, an array or a list.
        test_images, test_labels : the test part. If it is not given, some of the images, chosen at random, become the test part.
        classes : the names of the classes, or their number; None is the largest label plus 1.
        test_share : if no test part is given, the fraction of images for it, above 0 and below 1; at least one image.
        seed : of this choice, 0 to 2**64 - 1.
        name, note : the name of the data in figures and logs, and where it comes from.

        Raises
        ------
        DataError, ShapeError : the arrays are not images and labels, or a setting is outside its range.

        Example
        -------
        >>> dataset = Dataset.of(np.zeros((20, 1, 28, 28), np.uint8), [0, 1] * 10, classes=["cat", "dog"])
        >>> dataset
        Dataset('own images', 18 train, 2 test, 2 classes, 'made from arrays')
        """
        images, labels = check_arrays(f"{name}: train", images, labels)
        if (test_images is None) != (test_labels is None):
            missing = "test_images" if test_images is None else "test_labels"
            raise DataError(f"{name}: test_images and test_labels must be given together, got None for {missing}")
        if test_images is None:
            rows = _shuffled(name, len(images), seed)
            held = max(1, round(len(images) * require_float(name, "test_share", test_share, "above 0 and below 1", lambda v: 0 < v < 1)))
            if held == len(images):
                raise DataError(f"{name}: images must leave at least 1 to train on, got {len(images)}; give more, or a test part")
            test_images, test_labels = images[rows[:held]], labels[rows[:held]]
            images, labels = images[rows[held:]], labels[rows[held:]]
        else:
            test_images, test_labels = check_arrays(f"{name}: test", test_images, test_labels)
        if classes is None:
            classes = int(max(labels.max(), test_labels.max())) + 1
        named = not isinstance(classes, str) and isinstance(classes, Sequence)
        names = tuple(map(str, classes if named else range(require_int(name, "classes", classes))))  # type: ignore[arg-type]
        return cls(name, images, labels, test_images, test_labels, names, note, synthetic=False)

    def __repr__(self) -> str:
        train, test, classes = len(self.train_labels), len(self.test_labels), len(self.classes)
        return f"Dataset({self.name!r}, {train} train, {test} test, {classes} classes, {self.note!r})"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        c, h, w = self.train_images.shape[1:]
        return c, h, w

    def subset(self, train: int | None = None, test: int | None = None) -> Dataset:
        """A data set with the first `train` training images and the first `test` test images; None keeps all. The arrays are views.

        Raises
        ------
        DataError : there are fewer images than that.
        """
        keep = take(self.name, "train", train, len(self.train_labels))
        keep_test = take(self.name, "test", test, len(self.test_labels))
        return dataclasses.replace(
            self,
            train_images=self.train_images[:keep],
            train_labels=self.train_labels[:keep],
            test_images=self.test_images[:keep_test],
            test_labels=self.test_labels[:keep_test],
        )

    def sources(self) -> Sources:
        """The same images as `Sources`. The arrays are not copied."""
        return Sources(
            self.name,
            ArraySource(self.train_images, self.train_labels),
            ArraySource(self.test_images, self.test_labels),
            self.classes,
            self.note,
            self.synthetic,
            mean_image=lambda: SubtractMean.fit(self.train_images).mean,
            color=lambda: color_axes(self.train_images),
            val_name="test",
        )


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sources:
    """A data set whose two parts are sources. `Dataset.sources` makes one of images in memory.

    Parameters
    ----------
    name, classes, note, synthetic : as in `Dataset`.
    train, val : the part to train on, and the part on which errors are measured.
    mean_image : makes the mean image of the training part, float32 (C, H, W). color : makes the axes of its colors, as `color_axes` does.
        Both are functions, because computing them may need a pass over all images; a prepared set has them on the disk.
    val_name : "validation", or "test" where no decision of the training may depend on the second part.
    aside : the end of the note, about files that lie beside the pictures. It may differ where a run goes on: a hidden file of the system
        is made by opening a folder.
    folders : the names of the classes' folders, such as "n01440764", where they are not the classes' names.

    Raises
    ------
    DataError : the two parts have images of different shapes, or a label has no class.
    """

    name: str
    train: Source
    val: Source
    classes: tuple[str, ...]
    note: str
    synthetic: bool
    mean_image: Callable[[], npt.NDArray[np.float32]]
    color: Callable[[], tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]
    val_name: str = "validation"
    aside: str = ""
    folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part, source in (("train", self.train), ("val", self.val)):
            _check_labels(f"{self.name}: {part}", source.labels, len(self.classes))
        if self.val.image_shape != self.train.image_shape:
            rule = f"{self.name}: val images must have the training images' shape {self.train.image_shape}"
            raise DataError(f"{rule}, got {self.val.image_shape}")

    def __repr__(self) -> str:
        return f"Sources({self.name!r}, {len(self.train)} train, {len(self.val)} val, {len(self.classes)} classes, {self.note!r})"


def take(who: str, part: str, wanted: int | None, there: int) -> int:
    """How many images of a part to keep: all `there` if `wanted` is None, else `wanted`. DataError: `wanted` is not 1 to `there`."""
    if wanted is None:
        return there
    if isinstance(wanted, bool) or not isinstance(wanted, (int, np.integer)) or not 1 <= wanted <= there:
        raise DataError(f"{who}: number of {part} images must be an integer from 1 to {there}, got {show(wanted)}")
    return int(wanted)


def _check_labels(who: str, labels: npt.NDArray[Any], classes: int) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise DataError(f"{who} labels must be from 0 to {classes - 1}, got {labels[wrong[0]]} for image {wrong[0]}")


def _shuffled(name: str, count: int, seed: int) -> npt.NDArray[np.int64]:
    """The integers 0 to `count` - 1 in a random order that is a function of the seed."""
    seed = require_int(name, "seed", seed, least=0, most=2**64 - 1)
    words = np.random.Philox(key=np.array([seed, 0], np.uint64)).random_raw(count)  # raw words are the same in every version of NumPy
    return np.argsort(words, kind="stable")

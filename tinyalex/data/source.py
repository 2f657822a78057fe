"""What every data set is once it is read."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DataError, show

IMAGE_SHAPE = (3, 32, 32)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Labeled 32x32 color images, split into a training and a test part.

    Parameters
    ----------
    name : what figures and logs call it.
    train_images, test_images : uint8 (N, 3, 32, 32), planes red, green, blue, values 0..255.
    train_labels, test_labels : int64 (N,), 0 up to the number of classes minus one.
    classes : the classes' names, in the order of their labels.
    note : where the bytes come from; it belongs beside every figure made from them.
    synthetic : True if the images were drawn by a program.

    Raises
    ------
    DataError : an array of another type or shape, a label outside its range, an empty part.
    """

    name: str
    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.uint8]
    test_labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    note: str
    synthetic: bool

    def __post_init__(self) -> None:
        for part, images, labels in (
            ("train", self.train_images, self.train_labels),
            ("test", self.test_images, self.test_labels),
        ):
            _check_images(f"{self.name}: {part}_images", images)
            _check_labels(f"{self.name}: {part}_labels", labels, len(images), len(self.classes))

    def __repr__(self) -> str:
        train, test, classes = len(self.train_labels), len(self.test_labels), len(self.classes)
        return f"Dataset({self.name!r}, {train} train, {test} test, {classes} classes, {self.note!r})"

    def subset(self, train: int | None = None, test: int | None = None) -> Dataset:
        """The first `train` training images and the first `test` test images; None keeps all. The arrays are views."""
        keep = take(self.name, "train", train, len(self.train_labels))
        keep_test = take(self.name, "test", test, len(self.test_labels))
        return dataclasses.replace(
            self,
            train_images=self.train_images[:keep],
            train_labels=self.train_labels[:keep],
            test_images=self.test_images[:keep_test],
            test_labels=self.test_labels[:keep_test],
        )


def take(who: str, part: str, wanted: int | None, there: int) -> int:
    """How many images of a part to keep: all of them for None, else `wanted` if the part has so many."""
    if wanted is None:
        return there
    if isinstance(wanted, bool) or not isinstance(wanted, (int, np.integer)) or not 1 <= wanted <= there:
        raise DataError(f"{who}: number of {part} images must be an integer from 1 to {there}, got {show(wanted)}")
    return int(wanted)


def _check_images(who: str, images: object) -> None:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise DataError(f"{who} must be a uint8 array of shape (N, 3, 32, 32), got {show(images)}")
    if len(images) == 0:
        raise DataError(f"{who} must hold at least 1 image, got 0")


def _check_labels(who: str, labels: object, count: int, classes: int) -> None:
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int64 or labels.shape != (count,):
        raise DataError(f"{who} must be an int64 array of shape ({count},), one label an image, got {show(labels)}")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise DataError(f"{who} must be between 0 and {classes - 1}, got {labels[wrong[0]]} for image {wrong[0]}")

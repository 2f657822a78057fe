"""What every data set is once it is read, and the one function that finds it by name or folder."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

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


def default_data_folder() -> Path:
    """Where `tinyalex data cifar10` puts data: `tinyalex` in $XDG_CACHE_HOME, or in ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a relative path there is invalid and to be ignored.
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "tinyalex"


def load_dataset(
    data: str | os.PathLike[str] = "auto",
    *,
    train_images: int | None = None,
    test_images: int | None = None,
    seed: int = 0,
) -> Dataset:
    """The data set that `data` names.

    Parameters
    ----------
    data : "cifar10" looks in the folder $TINYALEX_DATA, then in `default_data_folder()`;
        "synthetic" draws one; "auto" is cifar10 if it is found, else synthetic; anything else is a folder
        that holds `cifar-10-batches-bin` or `cifar-10-batches-py`, or is one of these.
    train_images, test_images : how many images to keep of each part, the first ones; None is all that CIFAR-10 has,
        and 10,000 and 2,000 synthetic ones.
    seed : of the synthetic images.

    Raises
    ------
    DataError : nothing is found, a file is damaged, or more images are wanted than there are.
    """
    # Here, not above: both modules build a Dataset and so import this one.
    from tinyalex.data.cifar10 import read_cifar10
    from tinyalex.data.synthetic import synthetic_dataset

    folder = locate(data)
    if folder is not None:
        return read_cifar10(folder, train_images=train_images, test_images=test_images)
    return synthetic_dataset(10_000 if train_images is None else train_images, 2_000 if test_images is None else test_images, seed)


def locate(data: str | os.PathLike[str]) -> Path | None:
    """The folder with the batches that `data` names, as for `load_dataset`; None for synthetic images. Reads nothing."""
    from tinyalex.data.cifar10 import find_cifar10

    if data in ("auto", "cifar10"):
        folder = next(filter(None, map(find_cifar10, _search_folders())), None)
        if folder is None and data == "cifar10":
            searched = " and ".join(map(str, _search_folders()))
            raise DataError(
                f"load_dataset: CIFAR-10 must be in $TINYALEX_DATA or in the default data folder, got nothing in {searched}; "
                "run `tinyalex data cifar10`, or set TINYALEX_DATA to a folder that holds cifar-10-batches-bin or cifar-10-batches-py"
            )
        return folder
    if data == "synthetic":
        return None
    folder = find_cifar10(Path(data))
    if folder is None:
        raise DataError(
            "load_dataset: data must be auto, cifar10, synthetic, or a folder that holds cifar-10-batches-bin or "
            f"cifar-10-batches-py, got {os.fspath(data)!r}"
        )
    return folder


def _search_folders() -> list[Path]:
    """The folders that "cifar10" looks in, in order."""
    named = os.environ.get("TINYALEX_DATA", "")
    if not named:
        return [default_data_folder()]
    if not os.path.isdir(named):
        raise DataError(f"load_dataset: TINYALEX_DATA must name a folder that exists, got {named!r}; correct it or unset it")
    return [Path(named), default_data_folder()]


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

"""The class of all data sets, and the checks of images and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DataError, require_float, require_int, show

Images = npt.NDArray[Any]  # uint8, float32 or float64, (N, C, H, W)
Labels = npt.NDArray[np.int64]
TYPES = (np.uint8, np.float32, np.float64)
BLOCK = 1000  # images that are checked together


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
            wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
            if wrong.size:
                got = f"{labels[wrong[0]]} for image {wrong[0]}"
                raise DataError(f"{self.name}: {part} labels must be from 0 to {len(self.classes) - 1}, got {got}")
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


def take(who: str, part: str, wanted: int | None, there: int) -> int:
    """How many images of a part to keep: all `there` if `wanted` is None, else `wanted`. DataError: `wanted` is not 1 to `there`."""
    if wanted is None:
        return there
    if isinstance(wanted, bool) or not isinstance(wanted, (int, np.integer)) or not 1 <= wanted <= there:
        raise DataError(f"{who}: number of {part} images must be an integer from 1 to {there}, got {show(wanted)}")
    return int(wanted)


def check_arrays(who: str, images: Any, labels: Any) -> tuple[Images, npt.NDArray[Any]]:
    """Images (N, C, H, W) and N integer labels as plain arrays. A list of labels becomes an array; an empty mask is dropped.

    Raises
    ------
    DataError : the arrays have another form, or a mask hides an element.
    """
    images = check_images(who, images)
    plain = _plain(f"{who}: labels", labels)
    if plain is None or plain.shape != (len(images),) or plain.dtype.kind not in "iu":
        raise DataError(f"{who}: labels must be {len(images)} integers, one for each image, got {show(labels)}")
    return images, plain


def check_images(who: str, images: Any) -> Images:
    """Images as a plain array: uint8, float32 or float64 (N, C, H, W), N at least 1, all elements finite.

    Raises
    ------
    DataError : the array has another form. The message names the call that converts it, if there is one.
    """
    plain = None if isinstance(images, (list, tuple)) else _plain(f"{who}: images", images)
    if plain is None or plain.dtype not in TYPES or plain.ndim != 4 or 0 in plain.shape:
        rule = f"{who}: images must be a uint8 or float array (N, C, H, W) with N of at least 1, got {show(images)}"
        raise DataError(rule, _remedy(images))
    if plain.dtype != np.uint8:
        for start in range(0, len(plain), BLOCK):
            finite = np.isfinite(plain[start : start + BLOCK]).all(axis=(1, 2, 3))
            if not finite.all():
                raise DataError(f"{who}: images must hold finite numbers only, got NaN or inf in image {start + int(np.argmin(finite))}")
    return plain


def _plain(what: str, value: Any) -> npt.NDArray[Any] | None:
    """`value` as a plain array; None if it is not an array. A mask that hides elements is refused, because it would be ignored."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise DataError(f"{what} must be without a mask, got a masked array; select what counts, or fill it with filled()")
    if isinstance(value, (list, tuple)):
        try:
            value = np.array(value)
        except ValueError:  # lists of different lengths
            return None
    return np.asarray(value) if isinstance(value, np.ndarray) else None


def _remedy(images: Any) -> str | None:
    """The call that turns a value of nearly the right form into images; None if there is none."""
    if isinstance(images, (list, tuple)):
        return "use np.stack(images) for a list of images"
    if not isinstance(images, np.ndarray) or 0 in images.shape:
        return None
    if images.ndim == 3:
        return "use images[None] for one image, images[:, None] for images without an axis for channels"
    if images.ndim != 4:
        return None
    return "use images.astype(np.uint8) for pixels of 0 to 255, images.astype(np.float32) for other values"


def _shuffled(name: str, count: int, seed: int) -> npt.NDArray[np.int64]:
    """The integers 0 to `count` - 1 in a random order that is a function of the seed."""
    seed = require_int(name, "seed", seed, least=0, most=2**64 - 1)
    words = np.random.Philox(key=np.array([seed, 0], np.uint64)).random_raw(count)  # raw words are the same in every version of NumPy
    return np.argsort(words, kind="stable")

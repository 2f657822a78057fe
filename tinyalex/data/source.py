"""Where labeled images come from: the protocol of all sources, the source in memory, and the checks of both."""

from __future__ import annotations

import functools
import hashlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DataError, show
from tinyalex.files.tensors import raw_bytes

Images = npt.NDArray[Any]  # uint8, float32 or float64, (N, C, H, W)
Labels = npt.NDArray[np.int64]
TYPES = (np.uint8, np.float32, np.float64)
BLOCK = 1000  # images that are checked together


class Source(Protocol):
    """The labeled images of one part of a data set. They may lie on the disk, and need not fit into memory.

    A source can be pickled, so that other processes can read it too. Every process opens the files for itself.

    Attributes
    ----------
    labels : int64 (N,), one for each image. image_shape : (C, H, W) of every image.
    """

    labels: Labels
    image_shape: tuple[int, int, int]

    def __len__(self) -> int:
        """N, the number of images."""

    def read(self, indices: Any) -> Images:
        """The images with these indices: uint8 (len(indices), C, H, W), a new array.

        Raises
        ------
        DataError : an image cannot be read any more. The message names it.
        """

    def fingerprint(self) -> str:
        """16 hex digits that tell this part from every other. Large sets take them from a list of their files, not from all bytes."""


class ArraySource:
    """Images and labels that are in memory, as a `Source`. Images of floats are read as floats.

    Parameters
    ----------
    images, labels : uint8, float32 or float64 (N, C, H, W), finite, and N integers, an array or a list.

    Raises
    ------
    DataError : the arrays have another form.

    Example
    -------
    >>> source = ArraySource(np.zeros((3, 1, 2, 2), np.uint8), [0, 1, 2])
    >>> source.read([2, 0]).shape, source.fingerprint()
    ((2, 1, 2, 2), 'd9c60970323c58c0')
    """

    def __init__(self, images: Any, labels: Any, *, who: str = "source") -> None:
        self.images, self.labels = check_arrays(who, images, labels)
        c, h, w = self.images.shape[1:]
        self.image_shape: tuple[int, int, int] = (c, h, w)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Any) -> Images:
        """The images with these indices, a new array; of a slice a view."""
        images: Images = self.images[indices]
        return images

    def fingerprint(self) -> str:
        """The first 16 digits of SHA-256 over images and labels, computed once."""
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.images, self.labels)


class Subset:
    """Some images of another source, as a `Source`.

    Parameters
    ----------
    source : where the images are read. indices : which of its images, (M,), each from 0 to len(source) - 1; M at least 1.

    Raises
    ------
    DataError : there are no indices, or one is outside the source.

    Example
    -------
    >>> source = Subset(ArraySource(np.zeros((3, 1, 2, 2), np.uint8), [5, 6, 7]), [2, 0])
    >>> len(source), source.labels.tolist()
    (2, [7, 5])
    """

    def __init__(self, source: Source, indices: Any) -> None:
        plain = np.asarray(indices)
        if plain.ndim != 1 or plain.dtype.kind not in "iu" or not plain.size or plain.min() < 0 or plain.max() >= len(source):
            raise DataError(f"subset: indices must be integers from 0 to {len(source) - 1}, at least one, got {show(indices)}")
        self.source, self.indices = source, plain.astype(np.int64)
        self.labels: Labels = source.labels[self.indices]
        self.image_shape = source.image_shape

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: Any) -> Images:
        """The images with these indices of the subset, a new array."""
        return self.source.read(self.indices[indices])

    def fingerprint(self) -> str:
        """16 hex digits of the source's fingerprint and the indices."""
        digest = hashlib.sha256(self.source.fingerprint().encode())
        digest.update(raw_bytes(self.indices))
        return digest.hexdigest()[:16]


def cut(source: Source, start: int, stop: int) -> Source:
    """The images of a source from index `start` to before `stop`. Images in memory are not copied."""
    if isinstance(source, ArraySource):
        return ArraySource(source.images[start:stop], source.labels[start:stop])
    return source if (start, stop) == (0, len(source)) else Subset(source, np.arange(start, stop))


def fingerprint(images: Images, labels: npt.NDArray[Any]) -> str:
    """The first 16 digits of SHA-256 over images and labels. Equal data have equal fingerprints, whatever their names are.

    Example
    -------
    >>> fingerprint(np.zeros((1, 3, 2, 2), np.uint8), np.array([7]))
    '6f189ff9a565fe23'
    """
    digest = hashlib.sha256(f"{images.shape} ".encode())
    digest.update(raw_bytes(images))
    digest.update(raw_bytes(labels.astype(np.int64)))
    return digest.hexdigest()[:16]


def is_source(value: Any) -> bool:
    """Whether `value` has all that a `Source` has."""
    return all(hasattr(value, name) for name in ("labels", "image_shape", "__len__", "read", "fingerprint")) and not isinstance(value, type)


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

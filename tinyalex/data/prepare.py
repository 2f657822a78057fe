"""How pixels become the input of a network, and the augmentation of the training images (paper 2, 4.1).

An object of each class is called with a batch of images. Its `settings` are JSON values that describe it, so that a run can be
continued only with the same preparation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from tinyalex.data.source import BLOCK, Images, check_images
from tinyalex.errors import DataError, ShapeError, require_bool, require_int, show

Floats = npt.NDArray[np.float32]
T = TypeVar("T")


class Prepare(Protocol):
    """A function that turns pixels into the input of a network. `rng` draws the augmentation; with None nothing is random."""

    def __call__(self, images: Images, rng: np.random.Generator | None = None) -> Floats:
        """The prepared images: float32 (N, C, H, W), a new array."""


def require_prepare(who: str, prepare: Any) -> Prepare:
    """`prepare` if it can be called. ShapeError: it cannot."""
    if not callable(prepare):
        got = show(prepare)
        raise ShapeError(f"{who}: prepare must be a function of images and a generator, got {got}", "use Standardize.fit(train_images)")
    called: Prepare = prepare
    return called


def of_epoch(prepare: Prepare, epoch: int) -> Prepare:
    """The preparation of an epoch, 0 for the first: `prepare.of_epoch(epoch)` where `prepare` has that method, else `prepare`."""
    found: Prepare = prepare.of_epoch(epoch) if hasattr(prepare, "of_epoch") else prepare
    return found


KINDS: dict[str, Any] = {}  # the classes whose objects can be stored, by name


def stored(kind: type[T]) -> type[T]:
    """Enter a class of preparations into the list from which files may name one.

    It has `state() -> (JSON values with its "name", arrays of floats by name)` and `from_state(values, arrays)`. Its objects can then be
    stored in a checkpoint. A file can only name a class of this list, so reading one executes nothing of the file.
    """
    KINDS[kind.__name__] = kind
    return kind


def prepare_state(prepare: Any) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """JSON values and float arrays from which `prepare_from_state` makes the same preparation again.

    Raises
    ------
    DataError: `prepare` is of a class that cannot be stored.
    """
    if type(prepare) not in KINDS.values():
        remedy = "enter its class with the decorator `stored` of tinyalex.data.prepare"
        raise DataError(f"prepare: a preparation that is stored must be one of {', '.join(KINDS)}, got {show(prepare)}", remedy)
    values, arrays = prepare.state()
    return values, arrays


def prepare_from_state(state: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Prepare:
    """The preparation that `prepare_state` described.

    Raises
    ------
    DataError: `state` names no known class, or values or arrays are missing or of another form.

    Example
    -------
    >>> prepare_from_state(*prepare_state(SubtractMean([[[7]]]))).mean
    array([[[7.]]], dtype=float32)
    """
    name = state.get("name") if isinstance(state, dict) else None
    if not isinstance(name, str) or name not in KINDS:
        raise DataError(f"prepare: the stored preparation must be one of {', '.join(KINDS)}, got {show(name)}; the file was altered")
    try:
        made: Prepare = KINDS[name].from_state(state, dict(arrays))
    except (KeyError, TypeError, RecursionError) as error:
        raise DataError(f"prepare: a stored {name} must have all its values and arrays, got {show(error)}; the file was altered") from None
    return made


def inside(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an inner preparation, which an outer one stores under names that begin with "prepare."."""
    return {key.removeprefix("prepare."): array for key, array in arrays.items() if key.startswith("prepare.")}


@stored
class SubtractMean:
    """Subtracts the mean image of the training set from pixels of 0 to 255.

    Paper: section 2, "subtracting the mean activity over the training set from each pixel".

    Parameters
    ----------
    mean: (C, H, W), one value for each pixel; or (C, 1, 1), one value for each channel.

    Raises
    ------
    DataError: the mean has another form, or the images have another size than the mean.

    Example
    -------
    >>> images = np.array([10, 30], np.uint8).reshape(2, 1, 1, 1)
    >>> SubtractMean.fit(images)(images).ravel()
    array([-10.,  10.], dtype=float32)
    """

    def __init__(self, mean: npt.ArrayLike) -> None:
        self.mean: Floats = np.asarray(mean, np.float32)
        if self.mean.ndim != 3 or not np.all(np.isfinite(self.mean)):
            raise DataError(f"SubtractMean: mean must be finite and of shape (C, H, W), got {show(self.mean)}")

    @classmethod
    def fit(cls, images: Images) -> SubtractMean:
        """Use the mean image of `images` (N, C, H, W)."""
        images = check_images("SubtractMean.fit", images)
        exact = np.uint64 if images.dtype == np.uint8 else np.float64
        total = np.zeros(images.shape[1:], exact)
        for start in range(0, len(images), BLOCK):
            total += images[start : start + BLOCK].sum(axis=0, dtype=exact)
        return cls(total / len(images))

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values; the mean image is described by the first 16 digits of its SHA-256."""
        digest = hashlib.sha256(f"{self.mean.shape} ".encode() + self.mean.astype("<f4").tobytes())
        return {"name": "SubtractMean", "mean_sha256": digest.hexdigest()[:16]}

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which `from_state` makes the same object again."""
        return {"name": "SubtractMean"}, {"mean": self.mean}

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> SubtractMean:
        """The object that `state` described."""
        return cls(arrays["mean"])

    def __call__(self, images: Images, rng: np.random.Generator | None = None) -> Floats:
        """Subtract the mean. `rng` is not used."""
        images = _check_fits("SubtractMean", images, self.mean)
        return np.subtract(images, self.mean, dtype=np.float32)  # (N, C, H, W)


@stored
class Standardize:
    """Scales every channel to mean 0 and standard deviation 1 over the training set.

    Parameters
    ----------
    mean, std: (C,), in the units of the images, which are 0 to 255 for uint8; std above 0.

    Raises
    ------
    DataError: mean or std has another form, or the images have another number of channels.

    Example
    -------
    >>> images = np.array([10, 30], np.uint8).reshape(2, 1, 1, 1)
    >>> Standardize.fit(images)(images).ravel()
    array([-1.,  1.], dtype=float32)
    """

    def __init__(self, mean: npt.ArrayLike, std: npt.ArrayLike) -> None:
        self.mean: Floats = np.asarray(mean, np.float32).reshape(-1, 1, 1)
        self.std: Floats = np.asarray(std, np.float32).reshape(-1, 1, 1)
        if self.mean.shape != self.std.shape or not np.all(np.isfinite(self.mean)):
            raise DataError(f"Standardize: mean and std must be one finite number a channel, got {show(mean)} and {show(std)}")
        if not np.all((self.std > 0) & np.isfinite(self.std)):
            raise DataError(f"Standardize: std must be above 0 in every channel, got {show(self.std.ravel().tolist())}")

    @classmethod
    def fit(cls, images: Images) -> Standardize:
        """Use mean and standard deviation of `images` (N, C, H, W). For uint8 they are exact: each value's occurrences are counted."""
        images = check_images("Standardize.fit", images)
        if images.dtype != np.uint8:
            mean = images.mean(axis=(0, 2, 3), dtype=np.float64)  # (C,)
            blocks = (images[start : start + BLOCK] - mean[:, None, None] for start in range(0, len(images), BLOCK))
            squares = sum((block**2).sum(axis=(0, 2, 3)) for block in blocks)
            return cls(mean, np.sqrt(squares / (images.size // len(mean))))
        counts = np.zeros((images.shape[1], 256), np.int64)
        for start in range(0, len(images), BLOCK):
            for channel, count in enumerate(counts):
                count += np.bincount(images[start : start + BLOCK, channel].ravel(), minlength=256)
        values, share = np.arange(256.0), counts / counts.sum(axis=1, keepdims=True)
        mean = share @ values
        return cls(mean, np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1)))

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values: mean and std of each channel."""
        return {"name": "Standardize", "mean": self.mean.ravel().tolist(), "std": self.std.ravel().tolist()}

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which `from_state` makes the same object again."""
        return {"name": "Standardize"}, {"mean": self.mean, "std": self.std}

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Standardize:
        """The object that `state` described."""
        return cls(arrays["mean"], arrays["std"])

    def __call__(self, images: Images, rng: np.random.Generator | None = None) -> Floats:
        """Subtract the mean and divide by the standard deviation. `rng` is not used."""
        images = _check_fits("Standardize", images, self.mean)
        out = np.subtract(images, self.mean, dtype=np.float32)  # (N, C, H, W)
        out /= self.std
        return out


@stored
class CropAndFlip:
    """Cuts a square crop out of each image: in training from a random position, half of them mirrored; else from the center.

    A crop shows the same object as the whole image, so its label stays the same. The random numbers come from the generator
    that `Batches` passes, a function of (seed, epoch, batch). So a continued run crops as it would have without the stop.

    Paper: section 4.1, "extracting random 224x224 patches (and their horizontal reflections) from the 256x256 images". With
    24x24 out of 32x32 there are 81 positions and two reflections. The paper averages the predictions of ten crops at test
    time; here only the center is used.

    With `padding` 4 and `size` 32 this is the augmentation of He et al. 2015, section 4.2, for CIFAR-10: "4 pixels are padded on each
    side, and a 32x32 crop is randomly sampled from the padded image or its horizontal flip". The center is then the whole image.

    Parameters
    ----------
    prepare: turns pixels into floats. It is called with whole images, so that a mean image has the size of whole images.
    size: height and width of a crop in pixels, at most those of the padded images.
    augment: False cuts out the center in training too, and mirrors no image.
    padding: how many zeros stand on each side of the prepared image, where 0 is the mean; at least 0 and at most `size`.

    Raises
    ------
    DataError: the padded images are smaller than a crop, or `images` is not a batch of images.
    ShapeError: a setting outside its range.

    Example
    -------
    >>> prepare = CropAndFlip(Standardize((0, 0, 0), (64, 64, 64)), 24)
    >>> prepare(np.zeros((2, 3, 32, 32), np.uint8), np.random.default_rng(0)).shape
    (2, 3, 24, 24)
    """

    def __init__(self, prepare: Prepare, size: int, augment: bool = True, padding: int = 0) -> None:
        self.prepare, self.size = require_prepare("CropAndFlip", prepare), require_int("CropAndFlip", "size", size)
        self.augment = require_bool("CropAndFlip", "augment", augment)
        self.padding = require_int("CropAndFlip", "padding", padding, least=0, most=self.size)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values, among them the settings of the inner `prepare`."""
        return self._described(getattr(self.prepare, "settings", {}))

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which `from_state` makes the same object again."""
        inner, arrays = prepare_state(self.prepare)
        return self._described(inner), {f"prepare.{key}": array for key, array in arrays.items()}

    def _described(self, inner: Any) -> dict[str, Any]:
        """JSON values; without padding they are those of the time before there was padding, so that old runs go on."""
        padding = {"padding": self.padding} if self.padding else {}
        return {"name": "CropAndFlip", "size": self.size, "augment": self.augment, **padding, "prepare": inner}

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> CropAndFlip:
        """The object that `state` described."""
        return cls(prepare_from_state(state["prepare"], inside(arrays)), state["size"], state["augment"], state.get("padding", 0))

    def __call__(self, images: Images, rng: np.random.Generator | None = None) -> Floats:
        """Prepare and crop: at random if there is a generator and `augment` is True, else the center."""
        images = check_images("CropAndFlip", images)
        padding, least = self.padding, max(1, self.size - 2 * self.padding)
        # the positions at which a crop may start
        tops_there, lefts_there = (extent + 2 * padding - self.size + 1 for extent in images.shape[2:])
        if min(tops_there, lefts_there) < 1:
            got = f"{images.shape[2]}x{images.shape[3]}"
            raise DataError(f"CropAndFlip: images must have at least {least}x{least} pixels, got {got}")
        whole = self._padded(self.prepare(images, rng))
        if rng is None or not self.augment:
            top, left = (tops_there - 1) // 2, (lefts_there - 1) // 2
            return np.ascontiguousarray(whole[:, :, top : top + self.size, left : left + self.size])
        n = len(whole)
        tops, lefts, mirrored = rng.integers(tops_there, size=n), rng.integers(lefts_there, size=n), rng.random(n) < 0.5
        windows = sliding_window_view(whole, (self.size, self.size), axis=(2, 3))  # (N, C, tops, lefts, size, size), a view
        crops: Floats = windows[np.arange(n), :, tops, lefts]  # (N, C, size, size)
        crops[mirrored] = crops[mirrored, :, :, ::-1]
        return crops

    def views(self, images: Images) -> Floats:
        """Ten views of each image, float32 (10 N, C, size, size), in the order of `tinyalex.data.augment.Crops.views`: 10 k to 10 k + 9 are
        of image k, the crop at the top left, top right, center, bottom left, bottom right, then the same five mirrored."""
        whole, size = self._padded(self.prepare(images)), self.size
        bottom, right = (extent - size for extent in whole.shape[2:])
        places = [(0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)]
        crops = np.stack([whole[:, :, top : top + size, left : left + size] for top, left in places], axis=1)  # (N, 5, C, size, size)
        return np.concatenate([crops, crops[..., ::-1]], axis=1).reshape(-1, *crops.shape[2:])

    def _padded(self, whole: Floats) -> Floats:
        """The prepared images (N, C, H, W) with zeros around them."""
        side = (self.padding, self.padding)
        return np.pad(whole, ((0, 0), (0, 0), side, side)) if self.padding else whole


def _check_fits(who: str, images: Any, mean: Floats) -> Images:
    """The images as an array. DataError unless they have the mean's shape; where the mean has height or width 1, any size fits."""
    plain = np.asarray(images) if isinstance(images, np.ndarray) else np.empty(0)
    sizes = zip(mean.shape, plain.shape[1:], strict=False)
    if plain.ndim != 4 or plain.shape[1] != len(mean) or any(n not in (1, extent) for n, extent in sizes):
        rule = " x ".join([str(len(mean)), *("any" if n == 1 else str(n) for n in mean.shape[1:])])
        one = plain.ndim == 3 and plain.shape[0] == len(mean)
        remedy = "use images[None] for one image" if one else "fit it on such images"
        raise DataError(f"{who}: images must be (N, C, H, W) with C x H x W of {rule}, got {show(images)}", remedy)
    return check_images(who, images)

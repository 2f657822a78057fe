"""The input of the 2012 network: random crops, reflections and color noise in training, ten views of an image in testing (paper 4.1).

    training:  x = (crop of the image - center of the mean image + shift) / 1.1      crop and shift are random
    testing:   x =  crop of the image - center of the mean image

The images are cropped while they are bytes, so only the pixels that the network reads become floats.

Three places where the authors' code and the paper differ; each is a setting here:

- *Offsets.* The code draws the crop's row and column from 0 to 32, so a 256x256 image has 33 * 33 * 2 = 2,178 crops of 224x224. The
  paper counts 2,048 = 32 * 32 * 2. The code also draws one crop for 32 images together; here each image has its own.
- *Mean image.* The code subtracts the central 224x224 pixels of the mean image from every crop, wherever the crop lies and whether
  or not it is mirrored. The paper does not say so. It matters little, because the mean of many photographs is smooth.
- *Color.* The paper multiplies by the eigenvalues, the code by their roots (see tinyalex/data/color.py). The code then divides the
  input by 1.1, which is 1 + the strength of the noise, but only in training; the paper does not mention it.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.color import checked_axes, color_shifts
from tinyalex.data.prepare import Floats, stored
from tinyalex.data.source import Images, check_images
from tinyalex.errors import DataError, ShapeError, require_bool, require_choice, require_float, require_int, show

OFFSETS = {"code": 1, "paper": 0}  # one more position a side in the code than in the paper
VIEWS = 10  # of an image: four corners and the center, each also mirrored


@stored
class Crops:
    """Random crops of uint8 images, mirrored half of the time, minus the center of the mean image, with color noise.

    Everything random comes from the generator that `Batches` passes. Without a generator, an image becomes its central crop without
    noise and without the division.

    Paper: section 2 (mean image) and section 4.1 (crops, reflections, color).

    Parameters
    ----------
    mean: (C, H, W), the mean image of the training set; the images have its shape.
    size: height and width of a crop, at most those of the mean image: 224 for images of 256x256.
    offsets: "code" draws a crop's row and column from 0 to H - size, as the authors' code does; "paper" from 0 to H - size - 1, which
        gives the 2,048 crops that the paper counts.
    flip: whether half of the crops are mirrored, left to right.
    color: (deviations, directions) of the training set's colors, as `color_axes` returns them, or `IMAGENET_COLORS`; None adds no noise.
    strength: of the noise, at least 0; 0.1 in the paper.
    shrink: with noise, the input is divided by this number: 1.1 in the authors' code, 1 in the paper.
    noise_epochs: the noise (and its division) is used in so many first epochs only; None uses it in all. The authors switched it off late,
        after epoch 67 of 90.
    augment: False cuts out the center in training too, and mirrors no image.
    own_window: True subtracts from each crop the pixels of the mean image that lie where the crop lies, as Caffe does; False the
        center of the mean image.

    Raises
    ------
    DataError: mean, color or the images have another form, or the images have another shape than the mean.
    ShapeError: a setting is outside its range, or the crop is larger than the mean image.

    Example
    -------
    >>> from tinyalex.data.color import IMAGENET_COLORS
    >>> crops = Crops(np.zeros((3, 256, 256)), color=IMAGENET_COLORS)
    >>> crops.variants
    2178
    >>> crops(np.zeros((2, 3, 256, 256), np.uint8), np.random.default_rng(0)).shape
    (2, 3, 224, 224)
    """

    takes_out = True  # `__call__` can write into an array of the caller

    def __init__(
        self,
        mean: npt.ArrayLike,
        size: int = 224,
        offsets: str = "code",
        flip: bool = True,
        color: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        strength: float = 0.1,
        shrink: float = 1.1,
        noise_epochs: int | None = None,
        augment: bool = True,
        own_window: bool = False,
    ) -> None:
        self.mean: Floats = np.asarray(mean, np.float32)
        if self.mean.ndim != 3 or not np.isfinite(self.mean).all():
            raise DataError(f"Crops: mean must be a finite image of shape (C, H, W), got {show(self.mean)}")
        self.size = require_int("Crops", "size", size)
        self.offsets: str = require_choice("Crops", "offsets", offsets, tuple(OFFSETS))
        self.flip = require_bool("Crops", "flip", flip)
        height, width = self.mean.shape[1:]
        if min(self._positions(height), self._positions(width)) < 1:
            least = f"{self.size + 1 - OFFSETS[self.offsets]} pixels high and wide, for crops of {self.size} with offsets {self.offsets!r}"
            raise ShapeError(f"Crops: mean must be at least {least}, got {height}x{width}; use a smaller size")
        self.color = None if color is None else checked_axes("Crops", *color)
        if self.color is not None and len(self.color[0]) != len(self.mean):
            raise DataError(f"Crops: color must have the mean's {len(self.mean)} channels, got {len(self.color[0])}")
        rule = "a finite number of at least 0"
        self.strength = require_float("Crops", "strength", strength, rule, lambda v: 0 <= v < math.inf)
        self.shrink = require_float("Crops", "shrink", shrink, "a finite number above 0", lambda v: 0 < v < math.inf)
        self.noise_epochs = None if noise_epochs is None else require_int("Crops", "noise_epochs", noise_epochs, least=0)
        self.augment, self.own_window = require_bool("Crops", "augment", augment), require_bool("Crops", "own_window", own_window)

    @property
    def variants(self) -> int:
        """How many different inputs an image has without color noise: positions times reflections."""
        return self._positions(self.mean.shape[1]) * self._positions(self.mean.shape[2]) * (1 + self.flip)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values; mean image and colors are described by the first 16 digits of their SHA-256."""
        axes = None if self.color is None else np.vstack(self.color)
        return {
            "name": "Crops",
            "mean_sha256": _digest(f"{self.mean.shape} ".encode() + self.mean.astype("<f4").tobytes()),
            "axes_sha256": None if axes is None else _digest(axes.astype("<f4").tobytes()),
            **self._options(),
        }

    def _options(self) -> dict[str, Any]:
        options = {key: getattr(self, key) for key in ("size", "offsets", "flip", "strength", "shrink", "noise_epochs")}
        return options | {key: getattr(self, key) for key in ("augment", "own_window")}

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which `from_state` makes the same crops again."""
        arrays: dict[str, npt.NDArray[Any]] = {"mean": self.mean}
        if self.color is not None:
            arrays |= {"deviations": self.color[0], "directions": self.color[1]}
        return {"name": "Crops", **self._options()}, arrays

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Crops:
        """The crops that `state` described."""
        color = (arrays["deviations"], arrays["directions"]) if "deviations" in arrays else None
        return cls(arrays["mean"], color=color, **{key: value for key, value in state.items() if key != "name"})

    def of_epoch(self, epoch: int) -> Crops:
        """The crops of an epoch, 0 for the first: without noise if `noise_epochs` are over."""
        if self.color is None or self.noise_epochs is None or epoch < self.noise_epochs:
            return self
        return Crops(self.mean, self.size, self.offsets, self.flip, augment=self.augment, own_window=self.own_window)

    def __call__(self, images: Images, rng: np.random.Generator | None = None, out: Floats | None = None) -> Floats:
        """Random crops with noise if there is a generator, else the centers: float32 (N, C, size, size), a new array or `out`."""
        images = self._check(images)
        n, (channels, height, width) = len(images), self.mean.shape
        out = np.empty((n, channels, self.size, self.size), np.float32) if out is None else out
        if rng is None or not self.augment:
            shifts = None if rng is None or self.color is None else self.shifts(n, rng)
            return self._cut(images, [self._center(height)] * n, [self._center(width)] * n, [False] * n, out, shifts)
        tops, lefts = rng.integers(self._positions(height), size=n), rng.integers(self._positions(width), size=n)
        mirrored = rng.random(n) < 0.5 if self.flip else np.zeros(n, bool)
        return self._cut(images, tops, lefts, mirrored, out, None if self.color is None else self.shifts(n, rng))

    def shifts(self, n: int, rng: np.random.Generator) -> Floats:
        """The random colors that are added to n images, float32 (n, C)."""
        assert self.color is not None
        return color_shifts(n, *self.color, self.strength, rng).astype(np.float32)

    def views(self, images: Images, out: Floats | None = None) -> Floats:
        """The ten views of each image that the paper averages over, float32 (10 N, C, size, size).

        Rows 10 k to 10 k + 9 are of image k: the crop at the top left, top right, center, bottom left, bottom right, then the same
        five mirrored. For 256x256 and 224 these are the offsets (0, 0), (0, 32), (16, 16), (32, 0), (32, 32). Nothing is random.
        """
        images = self._check(images)
        bottom, right = (extent - self.size for extent in self.mean.shape[1:])
        corners = [(0, 0), (0, right), (self._center(self.mean.shape[1]), self._center(self.mean.shape[2])), (bottom, 0), (bottom, right)]
        tops, lefts = (np.tile(np.array(at), 2 * len(images)) for at in zip(*corners, strict=True))
        mirrored = np.tile(np.repeat([False, True], len(corners)), len(images))
        if out is None:
            out = np.empty((VIEWS * len(images), len(self.mean), self.size, self.size), np.float32)
        return self._cut(images, tops, lefts, mirrored, out)

    def _positions(self, extent: int) -> int:
        """How many rows, or columns, a random crop may begin at."""
        return extent - self.size + OFFSETS[self.offsets]

    def _center(self, extent: int) -> int:
        return (extent - self.size) // 2

    def _cut(self, images: Images, tops: Any, lefts: Any, mirrored: Any, out: Floats, shifts: Floats | None = None) -> Floats:
        """Fill `out`, whose rows are in equal shares of the images: a crop for each of `tops`, minus the center of the mean image."""
        size, share = self.size, len(tops) // len(images)
        top, left = (self._center(extent) for extent in self.mean.shape[1:])
        center = self.mean[:, top : top + size, left : left + size]
        for k, row in enumerate(out):  # one image at a time, so that the three steps find it in cache
            at = np.s_[:, tops[k] : tops[k] + size, lefts[k] : lefts[k] + size]
            crop, mean = images[k // share][at], self.mean[at] if self.own_window else center
            if mirrored[k]:
                crop, mean = crop[:, :, ::-1], mean[:, :, ::-1] if self.own_window else mean
            np.subtract(crop, mean, out=row, dtype=np.float32)
            if shifts is not None:
                row += shifts[k][:, None, None]
                row /= np.float32(self.shrink)
        return out

    def _check(self, images: Images) -> Images:
        images = check_images("Crops", images)
        if images.shape[1:] != self.mean.shape:
            rule = f"Crops: images must be (N, C, H, W) with C x H x W of {_size(self.mean.shape)}, the mean image's"
            raise DataError(f"{rule}, got {_size(images.shape[1:])}; resize them, or use the mean image of such images")
        return images


@stored
class TenViews:
    """A preparation for testing that makes ten views of each image, as `Crops.views` does: N images become 10 N inputs.

    `mean_probabilities` averages what the network says of them.

    Parameters
    ----------
    crops: the preparation of the training.

    Example
    -------
    >>> TenViews(Crops(np.zeros((3, 8, 8)), 6))(np.zeros((2, 3, 8, 8), np.uint8)).shape
    (20, 3, 6, 6)
    """

    takes_out = True

    def __init__(self, crops: Crops) -> None:
        if not isinstance(crops, Crops):
            raise ShapeError(f"TenViews: crops must be Crops, got {show(crops)}")
        self.crops = crops

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values, among them the settings of the crops."""
        return {"name": "TenViews", "prepare": self.crops.settings}

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which `from_state` makes the same object again."""
        inner, arrays = self.crops.state()
        return {"name": "TenViews", "prepare": inner}, arrays

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> TenViews:
        """The object that `state` described."""
        return cls(Crops.from_state(state["prepare"], arrays))

    def __call__(self, images: Images, rng: np.random.Generator | None = None, out: Floats | None = None) -> Floats:
        """The views, float32 (10 N, C, size, size). `rng` is not used."""
        return self.crops.views(images, out)


def mean_probabilities(logits: npt.NDArray[Any], views: int = VIEWS) -> npt.NDArray[np.float64]:
    """The probabilities of each image, averaged over its views, (N, classes).

    Paper: section 4.1, "averaging the predictions made by the network's softmax layer on the ten patches". The probabilities are
    averaged, not the logits: a view of which the network is sure must not outvote the others.

    Parameters
    ----------
    logits: (views * N, classes), the views of an image in neighboring rows, as `Crops.views` orders them.

    Raises
    ------
    ShapeError: `logits` has another form.

    Example
    -------
    >>> mean_probabilities(np.log([[0.9, 0.1], [0.5, 0.5]]), views=2).round(3)
    array([[0.7, 0.3]])
    """
    views, logits = require_int("mean_probabilities", "views", views), np.asarray(logits)
    if logits.ndim != 2 or 0 in logits.shape or len(logits) % views:
        raise ShapeError(f"mean_probabilities: logits must be (N * {views}, classes), got {show(logits)}")
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    averaged: npt.NDArray[np.float64] = powers.reshape(-1, views, logits.shape[1]).mean(axis=1)
    return averaged


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

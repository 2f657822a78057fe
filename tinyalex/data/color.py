"""The colors of a data set as axes, and noise along them (paper 4.1).

Derivation. Let S be the covariance matrix of the pixels' colors, (C, C), as pixels of 0 to 255. It is symmetric, so S = Q diag(l) Q^T:
the columns of Q are eigenvectors of length 1 at right angles, and l are the eigenvalues. Take independent a_i with mean 0 and standard
deviation `strength`, and let shift = Q (sqrt(l) a). Then

    covariance of shift = Q diag(sqrt(l)) strength^2 diag(sqrt(l)) Q^T = strength^2 S

so the shift has the colors' own distribution of directions, only smaller by `strength`.

The trap: the paper writes "alpha_i lambda_i" with lambda_i the eigenvalue, where its code multiplies by the root. An eigenvalue is a
variance. Of ImageNet the largest is 121.8^2 = 14,830 squared gray levels; times 0.1 the pixels would move by 1,483, and they have 255.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.prepare import Floats, inside, prepare_from_state, prepare_state, require_prepare, stored
from tinyalex.data.source import BLOCK, Images, check_images
from tinyalex.errors import DataError, require_float, show

Exact = npt.NDArray[np.float64]

# Deviations and directions of the colors of ImageNet's training images, as the authors published them with their code (cuda-convnet2,
# input_meta), here the largest first. They are the roots of the eigenvalues: as eigenvalues they would mean that the channels deviate
# by 7 to 8 gray levels, and they deviate by 72 to 77.
IMAGENET_COLORS: tuple[Exact, Exact] = (
    np.array([121.78006099, 37.09388853, 19.72083305]),
    np.array(
        [
            [-0.56351045, -0.71257945, 0.41795513],
            [-0.5761844, -0.02354167, -0.81698062],
            [-0.59200296, 0.70119634, 0.39731118],
        ]
    ),
)


def color_axes(images: Images) -> tuple[Exact, Exact]:
    """The principal axes of the colors of all pixels of `images`, those of the largest deviation first.

    Paper: section 4.1, "we perform PCA on the set of RGB pixel values throughout the ImageNet training set".

    Parameters
    ----------
    images: (N, C, H, W), the training set.

    Returns
    -------
    deviations: (C,), in the units of the images: the ROOTS of the eigenvalues of the colors' covariance.
    directions: (C, C). Its COLUMNS are the eigenvectors, of length 1; in each the component of the largest size is positive.

    Raises
    ------
    DataError: `images` is not a batch of images.

    Example
    -------
    >>> gray = np.array([10, 30], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=1)
    >>> color_axes(gray)[0].round(3)
    array([17.321,  0.   ,  0.   ])
    """
    images = check_images("color_axes", images)
    blocks = range(0, len(images), BLOCK)
    pixels = images.size // images.shape[1]
    mean = sum(_pixels(images[start : start + BLOCK]).sum(axis=1) for start in blocks) / pixels  # (C,)
    covariance = np.zeros((len(mean), len(mean)))
    for start in blocks:
        centered = _pixels(images[start : start + BLOCK]) - mean[:, None]
        covariance += centered @ centered.T / pixels
    return axes_of(covariance)


def axes_of(covariance: Exact) -> tuple[Exact, Exact]:
    """The principal axes of a covariance matrix (C, C) of colors: deviations and directions, as `color_axes` returns them."""
    values, vectors = np.linalg.eigh(covariance)  # the smallest first
    vectors = vectors[:, ::-1]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=0)[None], axis=0)
    return np.sqrt(np.maximum(values[::-1], 0)), vectors * np.sign(largest)


def checked_axes(who: str, deviations: npt.ArrayLike, directions: npt.ArrayLike) -> tuple[Exact, Exact]:
    """Deviations (C,) and directions (C, C) as arrays. DataError: they have another form, or a column has another length than 1."""
    values, columns = np.asarray(deviations, np.float64), np.asarray(directions, np.float64)
    if values.ndim != 1 or not (np.isfinite(values) & (values >= 0)).all():
        raise DataError(f"{who}: deviations must be one finite number of at least 0 a channel, got {show(deviations)}")
    square = columns.shape == (len(values), len(values)) and np.isfinite(columns).all()
    if not square or np.abs((columns**2).sum(axis=0) - 1).max() > 1e-3:
        raise DataError(f"{who}: directions must be {len(values)} columns of length 1, got {show(directions)}; use color_axes(images)")
    return values, columns


@stored
class ColorNoise:
    """In training, adds one random color to all pixels of each image: the same object in another light.

    The shift of an image is `directions @ (strength * a * deviations)`, where a holds C normal random numbers, drawn anew for each image
    and each use. Pixels may leave 0 to 255, as in the authors' code, which also divides the noisy image by 1.1; this class does not.

    Paper: section 4.1, where the standard deviation of alpha is 0.1 (`strength`). Its "lambda" must be read as a deviation, the root
    of the eigenvalue: see this file's docstring.

    Parameters
    ----------
    prepare: turns pixels into floats; it is called with the noisy pixels, float32. So the noise has the unit of pixels.
    deviations: (C,), at least 0. directions: (C, C), columns of length 1. `color_axes` gives both.
    strength: at least 0.

    Raises
    ------
    DataError: deviations or directions have another form, or `images` is not a batch of images with C channels.
    ShapeError: strength is outside its range.

    Example
    -------
    >>> from tinyalex.data import SubtractMean
    >>> images = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    >>> prepare = ColorNoise.fit(SubtractMean.fit(images), images)
    >>> prepare(images, np.random.default_rng(0)).shape
    (2, 3, 2, 2)
    """

    def __init__(self, prepare: Any, deviations: npt.ArrayLike, directions: npt.ArrayLike, strength: float = 0.1) -> None:
        self.prepare = require_prepare("ColorNoise", prepare)
        self.deviations, self.directions = checked_axes("ColorNoise", deviations, directions)
        rule = "a finite number of at least 0"
        self.strength = require_float("ColorNoise", "strength", strength, rule, lambda v: 0 <= v < math.inf)

    @classmethod
    def fit(cls, prepare: Any, images: Images, strength: float = 0.1) -> ColorNoise:
        """Use the axes of the colors of `images` (N, C, H, W), the training set."""
        return cls(prepare, *color_axes(images), strength)

    @property
    def settings(self) -> dict[str, Any]:
        """JSON values, among them the settings of the inner `prepare`; the axes are described by the first 16 digits of their SHA-256."""
        digest = hashlib.sha256(np.vstack([self.deviations, self.directions]).astype("<f4").tobytes()).hexdigest()[:16]
        inner = getattr(self.prepare, "settings", {})
        return {"name": "ColorNoise", "axes_sha256": digest, "strength": self.strength, "prepare": inner}

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """JSON values and arrays from which `from_state` makes the same object again."""
        inner, arrays = prepare_state(self.prepare)
        arrays = {f"prepare.{key}": array for key, array in arrays.items()}
        own = {"deviations": self.deviations, "directions": self.directions}
        return {"name": "ColorNoise", "strength": self.strength, "prepare": inner}, own | arrays

    @classmethod
    def from_state(cls, state: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> ColorNoise:
        """The object that `state` described."""
        inner = prepare_from_state(state["prepare"], inside(arrays))
        return cls(inner, arrays["deviations"], arrays["directions"], state["strength"])

    def shifts(self, n: int, rng: np.random.Generator) -> Exact:
        """The colors that are added to n images, (n, C)."""
        return color_shifts(n, self.deviations, self.directions, self.strength, rng)

    def __call__(self, images: Images, rng: np.random.Generator | None = None) -> Floats:
        """Add the noise if there is a generator, and prepare."""
        images = check_images("ColorNoise", images)
        if images.shape[1] != len(self.deviations):
            raise DataError(f"ColorNoise: images must have {len(self.deviations)} channels, got {images.shape[1]}; fit it on such images")
        if rng is None:
            return self.prepare(images)
        noise = self.shifts(len(images), rng).astype(np.float32)
        return self.prepare(np.add(images, noise[:, :, None, None], dtype=np.float32), rng)


def color_shifts(n: int, deviations: Exact, directions: Exact, strength: float, rng: np.random.Generator) -> Exact:
    """The random colors that are added to n images, (n, C): directions @ (strength * a * deviations), a standard normal."""
    alpha = strength * rng.standard_normal((n, len(deviations)))
    return alpha * deviations @ directions.T


def _pixels(images: Images) -> Exact:
    """All pixels of some images, float64 (C, N H W)."""
    return images.swapaxes(0, 1).reshape(images.shape[1], -1).astype(np.float64)

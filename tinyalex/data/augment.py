"""Data augmentation by what leaves the label as it is: random crops and reflections (paper 4.1).

A crop is another view of the same image. The draws come from the generator that `Batches` hands over, which is a function
of (seed, epoch, batch): a run that goes on crops as it would have without the stop.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyalex.data.batches import Floats, Pixels, Prepare
from tinyalex.errors import DataError, require_int

WHO = "CropAndFlip"


class CropAndFlip:
    """Square crops of an image, at random places and half of them mirrored while training, from the center otherwise.

    Paper: section 4.1, "extracting random 224x224 patches (and their horizontal reflections) from the 256x256 images". Here
    24x24 of 32x32: 81 places and two reflections. The paper averages ten views at test time; this takes the center alone.

    Parameters
    ----------
    prepare: what makes floats of bytes. It sees whole images, so that a mean image need not be cropped too.
    size: height and width of a crop in pixels, at most those of the images.
    augment: False crops the center while training too, and mirrors nothing.

    Raises
    ------
    DataError: images smaller than a crop.

    Example
    -------
    >>> from tinyalex.data.batches import Standardize
    >>> prepare = CropAndFlip(Standardize((0, 0, 0), (64, 64, 64)), 24)
    >>> prepare(np.zeros((2, 3, 32, 32), np.uint8), np.random.default_rng(0)).shape
    (2, 3, 24, 24)
    """

    def __init__(self, prepare: Prepare, size: int, augment: bool = True) -> None:
        self.prepare, self.size, self.augment = prepare, require_int(WHO, "size", size), augment

    def __call__(self, images: Pixels, rng: np.random.Generator | None = None) -> Floats:
        """Prepare and crop: random where there is a generator, else the center."""
        rows, columns = (extent - self.size + 1 for extent in images.shape[2:])  # places of a crop
        if min(rows, columns) < 1:
            raise DataError(f"{WHO}: images must have at least {self.size}x{self.size} pixels, got {images.shape[2]}x{images.shape[3]}")
        whole = self.prepare(images, rng)
        if rng is None or not self.augment:
            top, left = (rows - 1) // 2, (columns - 1) // 2
            return np.ascontiguousarray(whole[:, :, top : top + self.size, left : left + self.size])
        n = len(whole)
        tops, lefts, mirrored = rng.integers(rows, size=n), rng.integers(columns, size=n), rng.random(n) < 0.5
        windows = sliding_window_view(whole, (self.size, self.size), axis=(2, 3))  # (N, C, rows, columns, size, size), a view
        crops: Floats = windows[np.arange(n), :, tops, lefts]  # (N, C, size, size)
        crops[mirrored] = crops[mirrored, :, :, ::-1]
        return crops

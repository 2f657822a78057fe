"""The parts of images that excite the units of a layer most."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.receptive import Field
from tinyalex.errors import ShapeError, require_int, show


class Strongest:
    """Keeps for each map of a layer the images with the largest outputs, one place in each image, as batches come by.

    Parameters
    ----------
    most: how many images for each map.

    Attributes
    ----------
    values: (K, most), the outputs, the largest first; of equal ones the earlier image first. Before `most` images have come, fewer.
    images: int64 (K, most), the images, counted over all batches. places: int64 (K, most, 2), the row and the column of the unit.

    Example
    -------
    >>> strongest = Strongest(1)
    >>> strongest.add(np.array([[[[0.0, 3.0]]], [[[5.0, 1.0]]]]))
    >>> strongest.values.tolist(), strongest.images.tolist(), strongest.places.tolist()
    ([[5.0]], [[1]], [[[0, 0]]])
    """

    def __init__(self, most: int) -> None:
        self.most, self.seen = require_int("strongest", "most", most), 0
        self.values: npt.NDArray[Any] = np.empty((0, 0))
        self.images: npt.NDArray[np.int64] = np.empty((0, 0), np.int64)
        self.places: npt.NDArray[np.int64] = np.empty((0, 0, 2), np.int64)

    def add(self, out: Any) -> None:
        """Take the outputs of a layer for a batch, (N, K, H, W)."""
        if out.ndim != 4:
            raise ShapeError(f"strongest: out must have shape (N, K, H, W), got {show(out)}")
        n, k, _, w = out.shape
        flat = out.reshape(n, k, -1)
        at = flat.argmax(axis=2).T  # (K, N)
        values = np.take_along_axis(flat, at.T[..., None], 2)[..., 0].T
        images = np.broadcast_to(np.arange(self.seen, self.seen + n), (k, n))
        places = np.stack([at // w, at % w], axis=-1)
        if self.seen:
            values, images = np.concatenate([self.values, values], 1), np.concatenate([self.images, images], 1)
            places = np.concatenate([self.places, places], 1)
        order = np.argsort(-values, axis=1, kind="stable")[:, : self.most]
        self.values, self.images = np.take_along_axis(values, order, 1), np.take_along_axis(images, order, 1)
        self.places = np.take_along_axis(places, order[..., None], 1)
        self.seen += n


def seen_part(image: npt.NDArray[Any], field: Field, place: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The part of an image (H, W, 3), 0 to 1, that the unit at `place` sees, at most as large as the image: (h, w, 3).

    It is white where the unit sees beyond the edge.
    """
    height, width = image.shape[:2]
    part = np.ones((min(field.size[0], height), min(field.size[1], width), 3))
    rows, columns = field.inside(place, (height, width))
    seen = image[rows, columns]
    y, x = (
        min(inside.start - (start + at * jump), whole - there)
        for inside, start, at, jump, whole, there in zip(
            (rows, columns), field.start, place, field.jump, part.shape[:2], seen.shape[:2], strict=True
        )
    )
    part[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    return part

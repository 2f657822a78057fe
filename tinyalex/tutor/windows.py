"""Mistakes of everything that moves a window over an image, be it a filter or a maximum: where windows end, and where a place is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array


def before_the_edge(out: Array, x: Array, weight: Array, stride: int, padding: int) -> Array:
    """out, zero where a last window ends exactly at the edge: range(0, H + 2 padding - KH, stride) leaves it out."""
    kept = out.copy()
    for axis in (2, 3):
        if (x.shape[axis] + 2 * padding - weight.shape[axis]) % stride == 0:
            np.moveaxis(kept, axis, 0)[-1] = 0
    return kept


def without_a_rest(out: Any, x: Array, weight: Array, stride: int, padding: int) -> Any:
    """out; AssertionError where the stride does not divide what is left of each side beside the kernel."""
    for axis in (2, 3):
        if (x.shape[axis] + 2 * padding - weight.shape[axis]) % stride:
            raise AssertionError("the stride does not divide")
    return out


def out_flat_by_the_height(right: Array) -> Array:
    """The place of a window in a flat output is line * OH + column. Raises IndexError where OH is larger than OW."""
    out = np.zeros((*right.shape[:2], right[0, 0].size))
    for y, z in np.ndindex(right.shape[2:]):
        out[:, :, y * right.shape[2] + z] = right[:, :, y, z]
    return out.reshape(right.shape)


def image_flat_by_the_height(x: Array, windows: Callable[[Array], Array]) -> Array:
    """The place of a pixel in a flat array is line * H + column. Raises IndexError where a window reads past its end."""
    n, c, h, w = x.shape
    lines = np.arange(n * c * h).reshape(n, c, h, 1)
    at = lines // h * h * w + lines % h * h + np.arange(w)
    out = windows(np.append(x, np.full(max(0, int(at.max()) + 1 - x.size), np.nan))[at])
    if np.isnan(out).any():
        raise IndexError(f"index {x.size} is out of bounds for axis 0 with size {x.size}")
    return out

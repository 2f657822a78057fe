"""Arrays that show what a function does with them: framed by NaN, in other layouts, over a heap full of NaN."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def framed(x: Array) -> Array:
    """A copy of `x` inside a larger array of NaN: who reads past an edge reads NaN. Integers stand in the smallest integer."""
    filling = np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min if x.dtype.kind == "i" else 0
    whole = np.full([size + 2 for size in x.shape], filling, x.dtype)
    inside = whole[tuple(slice(1, -1) for _ in x.shape)]
    inside[...] = x
    return inside


def columns_first(x: Array) -> Array:
    """A copy in Fortran's order."""
    return np.asfortranarray(x.copy())


def every_second(x: Array) -> Array:
    """A copy that is every second element of another array along each axis."""
    whole = np.full([2 * size for size in x.shape], np.nan if x.dtype.kind == "f" else 0, x.dtype)
    inside = whole[tuple(slice(None, None, 2) for _ in x.shape)]
    inside[...] = x
    return inside


def backwards(x: Array) -> Array:
    """A copy whose elements lie in memory from the last to the first."""
    turned = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[turned])[turned]


def axes_moved(x: Array) -> Array:
    """A copy whose axes lie in another order in memory, as `transpose` leaves them; of two axes or fewer the same as `columns_first`."""
    order = [*range(1, x.ndim), 0][:: 1 if x.ndim > 2 else -1]
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


LAYOUTS: Mapping[str, Callable[[Array], Array]] = {
    "Fortran order": columns_first,
    "a slice of a larger array": every_second,
    "negative strides": backwards,
    "axes in another order": axes_moved,
}


def laid_out(arguments: Mapping[str, Any], layout: Callable[[Array], Array]) -> dict[str, Any]:
    """The arguments with every array copied in that layout, and everything else copied as it is."""
    return {key: layout(value) if isinstance(value, np.ndarray) else copy.deepcopy(value) for key, value in arguments.items()}


def dirty_heap(shapes: list[tuple[int, ...]]) -> None:
    """Fill memory of the sizes of the outputs with NaN and give it back: `np.empty` then hands out NaN, and not zeros by luck."""
    held = [np.full(shape, np.nan) for shape in shapes for _ in range(8)]
    del held


def close(a: Any, b: Any, rounding: float = 1e-9) -> bool:
    """Whether two outputs have the same shape and agree up to rounding."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
        return False
    a, b = (side.astype(float) if side.dtype.kind in "ub" else side for side in (a, b))  # they cannot be subtracted as they are
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return False
    return a.size == 0 or bool(np.abs(a - b).max() <= rounding * max(np.abs(a).max(), np.abs(b).max(), 1e-300))

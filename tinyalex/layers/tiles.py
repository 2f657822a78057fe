"""Winograd's matrices, and how an axis of an image is cut into the tiles that they transform; see `winograd.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, -0.5, 0.5)  # and infinity, whose "value" is the highest coefficient
ONE = POINTS.index(1.0)  # the value at 1 is the sum of all coefficients
KERNELS = range(2, 6)  # larger ones leave tiles of 8 too few outputs
LARGEST_TILE = len(POINTS) + 1
WHOLE = 16  # numbers of an axis that one matrix cuts into tiles: its zeros take less time than a product for each tile

Pieces = tuple[tuple[slice, slice, Any], ...]  # a part of an axis, rows of transformed tiles, and the matrix between the two


def cook_toom(m: int, r: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """B^T (n, n), G (n, r) and A (n, m) for m outputs and r weights, n = m + r - 1 of at most 8, in float64.

    Row i of V^-T holds the coefficients of the polynomial that is 1 at point i and 0 at the others. Its denominator is
    moved to G, which leaves B^T whole numbers and halves. Infinity's row of V^-T is the polynomial that is 0 at all points.
    """
    n = m + r - 1
    points = np.array(POINTS[: n - 1])
    b_t, g, a = np.zeros((n, n)), np.zeros((n, r)), np.zeros((n, m))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        b_t[i, : n - 1] = np.poly(others)[::-1]
        g[i] = point ** np.arange(r) / np.prod(point - others)
        a[i] = point ** np.arange(m)
    b_t[-1] = np.poly(points)[::-1]
    g[-1, -1] = a[-1, -1] = 1
    return b_t, g, a


@dataclass(frozen=True)
class Tiles:
    """How one axis, height or width, is cut into tiles of m outputs, each seen through n = m + r - 1 inputs.

    Parameters
    ----------
    size, out: inputs and outputs along the axis. before: padding before the first input.
    r: the kernel. m: outputs of a tile. count: tiles; the last may hang over the edge.

    Transformed tiles are rows: the first number of each tile, the second of each, and so on, n * count rows in all.
    """

    size: int
    out: int
    before: int
    r: int
    m: int

    @property
    def n(self) -> int:
        return self.m + self.r - 1

    @property
    def count(self) -> int:
        return -(-self.out // self.m)

    def inputs(self) -> list[tuple[slice, slice]]:
        """What each tile sees: a part of the axis, and of the tile; the rest of the tile is padding."""
        return [_piece(tile * self.m - self.before, self.n, self.size) for tile in range(self.count)]

    def outputs(self) -> list[tuple[slice, slice]]:
        """What each tile gives: no two tiles overlap."""
        return [_piece(tile * self.m, self.m, self.out) for tile in range(self.count)]


def _piece(start: int, length: int, size: int) -> tuple[slice, slice]:
    first = min(max(start, 0), size)
    last = max(min(start + length, size), first)
    return slice(first, last), slice(first - start, last - start)


@lru_cache(maxsize=256)
def pieces(tiles: Tiles, inputs: bool, whole: int, dtype: Any) -> Pieces:
    """The matrices that transform an axis: B^T of its inputs, or A of its outputs; one matrix where it has at most `whole` numbers."""
    b_t, _, a = cook_toom(tiles.m, tiles.r)
    one, size, parts = (b_t, tiles.size, tiles.inputs()) if inputs else (a, tiles.out, tiles.outputs())
    if size > whole:
        return tuple((line, slice(tile, None, tiles.count), one[:, inside].astype(dtype)) for tile, (line, inside) in enumerate(parts))
    matrix_ = np.zeros((tiles.n, tiles.count, size), dtype)
    for tile, (line, inside) in enumerate(parts):
        matrix_[:, tile, line] = one[:, inside]
    return ((slice(None), slice(None), matrix_.reshape(-1, size)),)


@lru_cache(maxsize=64)
def kernel_values(tiles: Tiles, dtype: Any) -> np.ndarray[Any, Any]:
    """G (n, r), which takes a kernel to the values of its polynomial; its transpose takes their gradients to the kernel's."""
    return cook_toom(tiles.m, tiles.r)[1].astype(dtype)

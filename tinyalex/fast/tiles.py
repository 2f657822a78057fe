"""Winograd's matrices, and how an axis of an image is cut into the tiles that the matrices transform; see `winograd.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

POINTS = (
    0.0,
    1.0,
    -1.0,
    2.0,
    -2.0,
    -0.5,
    0.5,
)  # the first point is infinity, where the "value" is the last coefficient; these follow
ONE = 1 + POINTS.index(1.0)  # the index of the point 1, where the value is the sum of all coefficients
KERNELS = range(2, 6)  # a tile of 8 inputs would have too few outputs with a larger kernel
LARGEST_TILE = len(POINTS) + 1
WHOLE = 16  # one matrix transforms an axis of up to this length: its zeros cost less time than a product for each tile

Matrix = np.ndarray[Any, Any]
Pieces = tuple[tuple[slice, slice, Any], ...]  # a part of an axis, the values that it is transformed to, the matrix that does it


def cook_toom(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """B^T (n, n), G (n, r) and A (n, m) for m outputs and r weights, n = m + r - 1, at most 8, in float64.

    Each row belongs to a point; the first point is infinity. The row of V^-T for a finite point holds the coefficients of the
    polynomial that is 1 at this point and 0 at the other finite points. Its denominator is moved to G, so that the elements of B^T
    are multiples of 1/2. The row of V^-T for infinity holds the polynomial that is 0 at all finite points.
    """
    n = m + r - 1
    points = np.array(POINTS[: n - 1])
    b_t, g, a = np.zeros((n, n)), np.zeros((n, r)), np.zeros((n, m))
    b_t[0], g[0, -1], a[0, -1] = np.poly(points)[::-1], 1, 1
    for i, point in enumerate(points, 1):
        others = np.delete(points, i - 1)
        b_t[i, : n - 1] = np.poly(others)[::-1]
        g[i] = point ** np.arange(r) / np.prod(point - others)
        a[i] = point ** np.arange(m)
    return b_t, g, a


def without_last_point(m: int, r: int) -> tuple[Matrix, Matrix]:
    """B^T (n - 1, n - 1) and A (n - 1, m - 1) for a tile with m - 1 outputs that shares G with the tiles of m outputs.

    Such a tile needs one point less. The denominators in G contain the distance to the last point, so B^T is multiplied by it.
    """
    (b_t, _, a), points = cook_toom(m - 1, r), np.array(POINTS[: m + r - 2])
    b_t[1:] *= (points[:-1] - points[-1])[:, None]
    return b_t, a


@dataclass(frozen=True)
class PointRange:
    """Neighboring points of the tiles of an axis, the values of all tiles at these points, and how many tiles have these points."""

    points: slice
    values: slice
    tiles: int

    def has(self, point: int) -> bool:
        """Whether the range contains a point."""
        return self.points.start <= point < self.points.stop


@dataclass(frozen=True)
class Tiles:
    """How one axis, height or width, is cut into tiles of m outputs, each of which depends on n = m + r - 1 inputs.

    Parameters
    ----------
    size, out: how many inputs and outputs the axis has. before: padding before the first input.
    r: size of the kernel. m: outputs of a tile; if m does not divide `out`, the last tile reaches beyond the edge.
    uneven: instead some last tiles have m - 1 outputs and one point less; for example, 13 outputs are 5 + 4 + 4.

    A transformed tile has one value at each of its n points. The values of all tiles are stored point by point: first the value of
    each tile at the first point, then the value of each tile at the second point, and so on.
    """

    size: int
    out: int
    before: int
    r: int
    m: int
    uneven: bool = False

    @cached_property
    def n(self) -> int:
        """Inputs and points of a tile."""
        return self.m + self.r - 1

    @cached_property
    def count(self) -> int:
        """How many tiles there are."""
        return -(-self.out // self.m)

    @cached_property
    def full(self) -> int:
        """How many tiles have m outputs; the others have m - 1."""
        return self.count - (self.count * self.m - self.out) * self.uneven

    @cached_property
    def values(self) -> int:
        """How many values all transformed tiles have."""
        return (self.n - 1) * self.count + self.full

    def part(self, first: int, last: int) -> PointRange:
        """The points from `first` to `last` - 1, at which equally many tiles have a value: short tiles have none at the last point."""
        values = slice(first * self.count, min(last * self.count, self.values))
        return PointRange(slice(first, last), values, (values.stop - values.start) // (last - first))

    @cached_property
    def parts(self) -> list[PointRange]:
        """All points, in as few ranges as possible."""
        return [self.part(0, self.n)] if self.full == self.count else [self.part(0, self.n - 1), self.part(self.n - 1, self.n)]

    def inputs(self) -> list[tuple[slice, slice]]:
        """For each tile: the part of the axis that it sees, and the same part of the tile; the rest of the tile is padding."""
        return [_piece(start - self.before, m + self.r - 1, self.size) for start, m in self._tiles()]

    def outputs(self) -> list[tuple[slice, slice]]:
        """For each tile: the part of the outputs that it computes, and the same part of the tile. These parts never overlap."""
        return [_piece(start, m, self.out) for start, m in self._tiles()]

    def _tiles(self) -> list[tuple[int, int]]:
        """The first output of each tile, and how many it has."""
        return [(tile * self.m - max(0, tile - self.full), self.m - (tile >= self.full)) for tile in range(self.count)]


def _piece(start: int, length: int, size: int) -> tuple[slice, slice]:
    """The part of an axis of `size` that a tile covers which begins at `start` and has `length` elements, and that part of the tile."""
    first = min(max(start, 0), size)
    last = max(min(start + length, size), first)
    return slice(first, last), slice(first - start, last - start)


@lru_cache(maxsize=256)
def pieces(tiles: Tiles, inputs: bool, whole: int, dtype: Any) -> Pieces:
    """The matrices that transform an axis: for its inputs B^T, for its outputs A; one matrix if the axis has at most `whole` elements."""
    (b_t, _, a), size = cook_toom(tiles.m, tiles.r), tiles.size if inputs else tiles.out
    short = (b_t, a) if tiles.full == tiles.count else without_last_point(tiles.m, tiles.r)
    parts = []
    for tile, (line, inside) in enumerate(tiles.inputs() if inputs else tiles.outputs()):
        of_inputs, of_outputs = (b_t, a) if tile < tiles.full else short
        parts.append((line, slice(tile, None, tiles.count), (of_inputs if inputs else of_outputs)[:, inside]))
    if size > whole:
        return tuple((line, values, matrix.astype(dtype)) for line, values, matrix in parts)
    all_tiles = np.zeros((tiles.values, size), dtype)
    for line, values, matrix in parts:
        all_tiles[values, line] = matrix
    return ((slice(None), slice(None), all_tiles),)


@lru_cache(maxsize=64)
def kernel_values(tiles: Tiles, dtype: Any) -> Matrix:
    """G (n, r), which computes the values of a kernel's polynomial. G^T computes the gradient of the kernel from that of the values."""
    return cook_toom(tiles.m, tiles.r)[1].astype(dtype)

"""Winograd's matrices, and how an axis of an image is cut into the tiles that they transform; see `winograd.py`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, -0.5, 0.5)  # after infinity, whose "value" is the highest coefficient
ONE = 1 + POINTS.index(1.0)  # the value at 1 is the sum of all coefficients
KERNELS = range(2, 6)  # larger ones leave tiles of 8 too few outputs
LARGEST_TILE = len(POINTS) + 1
WHOLE = 16  # numbers of an axis that one matrix cuts into tiles: its zeros take less time than a product for each tile

Matrix = np.ndarray[Any, Any]
Pieces = tuple[tuple[slice, slice, Any], ...]  # a part of an axis, rows of transformed tiles, and the matrix between the two


def cook_toom(m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """B^T (n, n), G (n, r) and A (n, m) for m outputs and r weights, n = m + r - 1 of at most 8, in float64.

    A row is a point, infinity first. That of a finite one in V^-T holds the coefficients of the polynomial that is 1 there and
    0 at the others. Its denominator is moved to G, which leaves B^T whole numbers and halves. Infinity's row of V^-T is the
    polynomial that is 0 at all points.
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
    """B^T (n - 1, n - 1) and A (n - 1, m - 1) of a tile that has an output less and shares the G of those with m outputs.

    It needs one point less. G's denominators hold the distance to that point, which B^T here makes up for.
    """
    (b_t, _, a), points = cook_toom(m - 1, r), np.array(POINTS[: m + r - 2])
    b_t[1:] *= (points[:-1] - points[-1])[:, None]
    return b_t, a


@dataclass(frozen=True)
class Part:
    """Some places of the transformed tiles of an axis: the rows that hold them, and how many tiles have them."""

    places: slice
    rows: slice
    tiles: int

    def has(self, place: int) -> bool:
        return self.places.start <= place < self.places.stop


@dataclass(frozen=True)
class Tiles:
    """How one axis, height or width, is cut into tiles of m outputs, each seen through n = m + r - 1 inputs.

    Parameters
    ----------
    size, out: inputs and outputs along the axis. before: padding before the first input.
    r: the kernel. m: outputs of a tile; where that does not divide them all, the last tile hangs over the edge.
    uneven: instead the last tiles have m - 1 outputs, and one place less: 13 are 5 + 4 + 4.

    Transformed tiles are rows: the first number of each tile, the second of each, and so on.
    """

    size: int
    out: int
    before: int
    r: int
    m: int
    uneven: bool = False

    @cached_property
    def n(self) -> int:
        return self.m + self.r - 1

    @cached_property
    def count(self) -> int:
        return -(-self.out // self.m)

    @cached_property
    def full(self) -> int:
        """Tiles that have m outputs; the others have m - 1."""
        return self.count - (self.count * self.m - self.out) * self.uneven

    @cached_property
    def rows(self) -> int:
        """Numbers of all transformed tiles."""
        return (self.n - 1) * self.count + self.full

    def part(self, first: int, last: int) -> Part:
        """The places from `first` to before `last`, which all have as many tiles: the last one has none of the short tiles."""
        rows = slice(first * self.count, min(last * self.count, self.rows))
        return Part(slice(first, last), rows, (rows.stop - rows.start) // (last - first))

    @cached_property
    def parts(self) -> list[Part]:
        """All places, in as few parts as can be."""
        return [self.part(0, self.n)] if self.full == self.count else [self.part(0, self.n - 1), self.part(self.n - 1, self.n)]

    def inputs(self) -> list[tuple[slice, slice]]:
        """What each tile sees: a part of the axis, and of the tile; the rest of the tile is padding."""
        return [_piece(start - self.before, m + self.r - 1, self.size) for start, m in self._tiles()]

    def outputs(self) -> list[tuple[slice, slice]]:
        """What each tile gives: no two tiles overlap."""
        return [_piece(start, m, self.out) for start, m in self._tiles()]

    def _tiles(self) -> list[tuple[int, int]]:
        """The first output of each tile, and how many it has."""
        return [(tile * self.m - max(0, tile - self.full), self.m - (tile >= self.full)) for tile in range(self.count)]


def _piece(start: int, length: int, size: int) -> tuple[slice, slice]:
    first = min(max(start, 0), size)
    last = max(min(start + length, size), first)
    return slice(first, last), slice(first - start, last - start)


@lru_cache(maxsize=256)
def pieces(tiles: Tiles, inputs: bool, whole: int, dtype: Any) -> Pieces:
    """The matrices that transform an axis: B^T of its inputs, or A of its outputs; one matrix where it has at most `whole` numbers."""
    (b_t, _, a), size = cook_toom(tiles.m, tiles.r), tiles.size if inputs else tiles.out
    short = (b_t, a) if tiles.full == tiles.count else without_last_point(tiles.m, tiles.r)
    parts = []
    for tile, (line, inside) in enumerate(tiles.inputs() if inputs else tiles.outputs()):
        of_inputs, of_outputs = (b_t, a) if tile < tiles.full else short
        parts.append((line, slice(tile, None, tiles.count), (of_inputs if inputs else of_outputs)[:, inside]))
    if size > whole:
        return tuple((line, rows, matrix.astype(dtype)) for line, rows, matrix in parts)
    all_tiles = np.zeros((tiles.rows, size), dtype)
    for line, rows, matrix in parts:
        all_tiles[rows, line] = matrix
    return ((slice(None), slice(None), all_tiles),)


@lru_cache(maxsize=64)
def kernel_values(tiles: Tiles, dtype: Any) -> Matrix:
    """G (n, r), which takes a kernel to the values of its polynomial; its transpose takes their gradients to the kernel's."""
    return cook_toom(tiles.m, tiles.r)[1].astype(dtype)

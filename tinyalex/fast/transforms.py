"""The steps of Winograd's algorithm that transform arrays into tiles and tiles into arrays; see `winograd.py`.

P is the number of some of the NW points along the width. VH and VW are the numbers of values that all transformed tiles have along the
height and the width, TH and TW the numbers of tiles; L is B * C or B * K. "Width tiles" are transformed along the width only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyalex.devices import Array, Scratch
from tinyalex.fast.layout import matrix
from tinyalex.fast.mosaic import Mosaic
from tinyalex.fast.phases import inputs_of
from tinyalex.fast.tiles import ONE, WHOLE, PointRange, Tiles, pieces


def on_module(xp: Any, matrix_: Any) -> Any:
    """A small constant NumPy matrix as an array of the module `xp`."""
    return matrix_ if xp is np else xp.asarray(matrix_)


def into_tiles(tiles: Tiles, inputs: bool, lines: Array, out: Array, xp: Any) -> None:
    """Transform an axis into tiles, by B^T if `inputs`, or by A for gradients of outputs: `lines` (..., size, L) to out (..., V, L)."""
    for line, values, transform in pieces(tiles, inputs, WHOLE, out.dtype):
        xp.matmul(on_module(xp, transform), lines[..., line, :], out=out[..., values, :])


def out_of_tiles(tiles: Tiles, inputs: bool, transformed: Array, out: Array, xp: Any) -> None:
    """The transpose of `into_tiles`, by B or A^T: (..., V, L) to out (..., size, L). Tiles of inputs overlap, and are added there."""
    whole = 2 * WHOLE if inputs else WHOLE
    several = len(pieces_ := pieces(tiles, inputs, whole, out.dtype)) > 1
    if inputs and several:
        out.fill(0)
    for line, values, transform in pieces_:
        transposed = on_module(xp, transform).T
        if inputs and several:
            out[..., line, :] += xp.matmul(transposed, transformed[..., values, :])
        else:
            xp.matmul(transposed, transformed[..., values, :], out=out[..., line, :])


def input_width_tiles(x: Array, mosaic: Mosaic, groups: int, scratch: Scratch) -> Array:
    """The width tiles of the images x (B, C, H, W), or of their phases: (VW, H, B * C)."""
    return width_tiles_of(inputs_of(x, mosaic.windows, groups, scratch), mosaic.width, True, scratch)


def width_tiles_of(sheet: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """The width tiles of a sheet (H, W, L): (VW, H, L)."""
    h, _, length = sheet.shape
    width_tiles = matrix(wide.values, h * length, sheet.dtype, scratch).reshape(-1, h, length)
    into_tiles(wide, inputs, sheet, width_tiles.swapaxes(0, 1), scratch.xp)
    return width_tiles


def from_width_tiles(width_tiles: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """The transpose of `width_tiles_of`: a sheet (H, W, L) from width tiles (VW, H, L)."""
    _, h, length = width_tiles.shape
    sheet = matrix(h * (wide.size if inputs else wide.out), length, width_tiles.dtype, scratch).reshape(h, -1, length)
    out_of_tiles(wide, inputs, width_tiles.swapaxes(0, 1), sheet, scratch.xp)
    return sheet


def empty_width_tiles(out: Array, wide: Tiles, scratch: Scratch) -> Array:
    """An uninitialized array for the width tiles of the output: (VW, OH, B * K)."""
    b, k, oh, _ = out.shape
    return matrix(wide.values, oh * b * k, out.dtype, scratch).reshape(wide.values, oh, b * k)


def at_points(width_tiles: Array, part: PointRange) -> Array:
    """A view of width tiles (VW, H, L) at some points along the width: (P, TW, H, L)."""
    return width_tiles[part.values].reshape(-1, part.tiles, *width_tiles.shape[1:])


def tile_buffers(largest: PointRange, tall: Tiles, b: int, channels: tuple[int, int], dtype: Any, scratch: Scratch) -> list[Array]:
    """Two uninitialized arrays for the tiles at some points along the width, (VH * P * TW, B * C), once for C and once for K."""
    values = tall.values * (largest.values.stop - largest.values.start)
    return [scratch((values, b * c), dtype) for c in channels]


def tiles_in(buffer: Array, part: PointRange, tall: Tiles) -> Array:
    """A view of the beginning of a buffer as the tiles at some points along the width: (P, VH, TW, L)."""
    points = part.points.stop - part.points.start
    return buffer[: points * tall.values * part.tiles].reshape(points, tall.values, part.tiles, -1)


def by_group(tiles: Array, of: PointRange, b: int, groups: int) -> Array:
    """A view of tiles (P, VH, TW, B * C), at the points `of` along the height, as matrices (P, points, G, TH * TW * B, C/G)."""
    channels = tiles.shape[3] // b
    return tiles[:, of.values].reshape(len(tiles), of.points.stop - of.points.start, -1, groups, channels // groups).swapaxes(2, 3)


def at_one(tiles: Array, part: PointRange, tall: Tiles, channels: int) -> Array:
    """A view of tiles (P, VH, TW, B * C) at the points (1, 1): (TH * TW * B, C)."""
    return tiles[ONE - part.points.start, tall.part(ONE, ONE + 1).values].reshape(-1, channels)

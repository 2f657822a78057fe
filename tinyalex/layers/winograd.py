"""Winograd's minimal filtering: a convolution with a quarter of the multiplications, or less.

In one dimension, take m outputs of a correlation with r weights, y[t] = sum over k of w[k] x[t + k]. They need
n = m + r - 1 inputs and m * r products. Now let u be any m numbers. Then

    sum over t of u[t] y[t] = sum over t, k of u[t] w[k] x[t + k] = <u * w, x>,

where u * w is the product of two polynomials, with u and w as coefficients. Polynomials may also be multiplied by their
values at n points: u * w = V^-1 ((E_m u) . (E_r w)), where E_m and E_r evaluate m and r coefficients at the points,
V evaluates n, and the dot multiplies value by value. Put that in and read off what stands beside u:

    y = A^T ((G w) . (B^T x))    with A^T = E_m^T, G = E_r, B^T = V^-T.

Only the dot multiplies weights with inputs: n products in place of m * r. In two dimensions both axes are transformed, and
(n / m)^2 products an output replace r^2: 4 in place of 25 for r = 5, m = 4, or 2.0 in place of 9 for r = 3, m = 5. Summed
over channels the dot is a matrix product, one for each of the n * n places in a tile. Backward is the transposed program:
dout goes through A, and from there to the weights by way of B^T x, and through G w and B to the inputs.
A stride above 1 is one of 1 on the phases of the images, see `phases.py`.
A NaN or an infinity spreads over the tiles that see it, and where one matrix cuts an axis (see `tiles.py`) over its image.

Paper: none in it; the authors' code computed its convolutions directly. Points are small, since errors grow with their
powers: in float32 results are within 1e-4 of the largest (direct ones within 1e-6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.layers.phases import inputs_of, kernel_phases, out_of_inputs, out_of_sheet, phases, sheet_of
from tinyalex.layers.tiles import LARGEST_TILE, ONE, WHOLE, Tiles, kernel_values, pieces
from tinyalex.layers.windows import SMALL_PRODUCT, Windows, matrix

LEAST_CHANNELS = 16
LEAST_TILES, LEAST_FROZEN = 32, 9  # tiles of all images that repay the transformation of the weights; that of frozen ones
LEAST_IMAGES = 16  # as well, however small
LEAST_PHASED = 4  # tiles of all images for each number that a weight becomes, where the stride is above 1
AT_ONCE = 2 << 20  # bytes of transformed tiles that a block makes before it uses them
ROWS = 300  # tiles of a block: its products run near the full speed of BLAS, and few blocks have few sums
IMAGES = 8  # of a block, however many tiles they have: each tile along an axis is a call, the same for all images
FEW = 50  # tiles of all images that are not worth several blocks


@dataclass(frozen=True)
class Mosaic:
    """The tiles of one layer on images of one size."""

    height: Tiles
    width: Tiles
    windows: Windows  # the layer's own, whose stride may be above 1: the tiles are then of the phases

    @property
    def tiles(self) -> int:
        """Tiles of an image, for each channel."""
        return self.height.count * self.width.count

    @property
    def places(self) -> int:
        """Numbers of a transformed tile, which is how many matrix products there are."""
        return self.height.n * self.width.n

    def few(self, n: int) -> bool:
        """Whether n images are one block."""
        return n * self.tiles <= FEW

    def block_size(self, n: int, pairs: int) -> int:
        """Images of a block: enough for tall products, and an even number of blocks so that two workers end together.

        pairs: inputs times outputs of a group. Where they are few, products may be kept so small that OpenBLAS does not copy
        their operands first. Many images are an odd number: times a power of two, as channels and tiles often are, rows would
        compete for places in the cache.
        """
        blocks, small = 2, SMALL_PRODUCT // pairs
        most = small // self.tiles if ROWS / 2 <= small < ROWS else 0
        most = most if most > 1 else max(IMAGES, ROWS // self.tiles)
        while (size := -(-n // blocks)) > most:
            blocks += 2
        return size if size <= IMAGES else size | 1

    def parts(self, nbytes: int) -> list[slice]:
        """The width's places in parts, as large as stay in cache: `nbytes` of a block's channels for each number of a tile."""
        at_once = max(1, min(self.width.n, AT_ONCE // (self.height.n * self.tiles * nbytes)))
        return [slice(first, min(first + at_once, self.width.n)) for first in range(0, self.width.n, at_once)]

    def block_bytes(self, images: int, channels: int, filters: int, itemsize: int) -> int:
        """Bytes of scratch for a block, forward or backward."""
        nbytes = images * (channels + filters) * itemsize
        tiles = self.parts(nbytes)[0].stop * self.height.n * self.tiles * nbytes
        lines = self.width.n * self.width.count  # numbers that a line becomes, beside its own
        sheets = channels * self.height.size * (lines + self.width.size) + filters * self.height.out * (lines + self.width.out)
        return tiles + sheets * images * itemsize


@lru_cache(maxsize=64)
def mosaic_of(windows: Windows) -> Mosaic:
    """The tiles that need the fewest products, of at most 8 x 8 numbers."""
    cut = phases(windows)
    height, width = (_tiles_of(*axis) for axis in zip(cut.size, cut.out, cut.before, cut.kernel, strict=True))
    return Mosaic(height, width, windows)


def _tiles_of(size: int, out: int, before: int, r: int) -> Tiles:
    """The tiles of an axis that need the fewest products."""
    choices = (Tiles(size, out, before, r, m) for m in range(2, LARGEST_TILE - r + 2))
    return min(choices, key=lambda tiles: (tiles.count * tiles.n, tiles.n))


def winograd_pays(mosaic: Mosaic, inputs: int, outputs: int, n: int, frozen: bool = False) -> bool:
    """Whether n images of so many channels a group were measured faster this way than by im2col, on CPUs.

    Transforming takes time for each channel, products for each pair of channels: a group must have 16 on both sides, of phases
    where the stride is above 1. The weights are transformed at each call, which few tiles do not repay; in a frozen layer only once.
    """
    (kh, kw), (sh, sw), tiles = mosaic.windows.kernel, mosaic.windows.stride, n * mosaic.tiles
    if sh * sw == 1:
        enough = n >= LEAST_IMAGES or tiles >= (LEAST_FROZEN if frozen else LEAST_TILES)
    else:  # a single image of so many tiles would be one worker's
        enough = n > 1 and tiles >= LEAST_PHASED * mosaic.places * sh * sw / (kh * kw)
    return min(inputs * sh * sw, outputs) >= LEAST_CHANNELS and enough


@lru_cache(maxsize=64)
def _weight_matrix(mosaic: Mosaic, dtype: Any) -> np.ndarray[Any, Any]:
    """(n * n, KH * KW): the values at all pairs of points of a kernel's two-dimensional polynomial, width's points first."""
    high, wide = (kernel_values(tiles, np.float64) for tiles in (mosaic.height, mosaic.width))
    return np.einsum("jq,ip->jipq", wide, high).reshape(mosaic.places, -1).astype(dtype)


def transform_weight(weight: Array, groups: int, mosaic: Mosaic, device: Device, backward: bool = False) -> Array:
    """G w G^T of every kernel, ready for the products: (NW, NH, G, C/G, K/G), or for those of backward (NW, NH, G, K/G, C/G)."""
    with device.activate():
        weight = kernel_phases(weight, mosaic.windows.stride, device.empty)
    k, c, kh, kw = weight.shape
    values = device.asarray(_weight_matrix(mosaic, weight.dtype))
    kernels = weight.reshape(groups, k // groups, c, kh * kw).transpose((3, 0, 1, 2) if backward else (3, 0, 2, 1))
    _, _, rows, columns = kernels.shape  # (KH * KW, G, C/G, K/G)
    out = device.empty((mosaic.places, groups, rows, columns), weight.dtype)

    def block(part: slice, scratch: Scratch) -> None:
        some = scratch((kh * kw, part.stop - part.start, columns), weight.dtype)
        for group in range(groups):
            some[...] = kernels[:, group, part]
            scratch.xp.matmul(values, some.reshape(kh * kw, -1), out=out[:, group, part].reshape(mosaic.places, -1))

    device.map_blocks(block, rows, mosaic.places * groups * columns * weight.dtype.itemsize)
    return out.reshape(mosaic.width.n, mosaic.height.n, groups, rows, columns)


def winograd_forward(x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """out[n, k, y, x] = bias[k] + sum over c, i, j of weight[k, c, i, j] * window(y, x)[n, c, i, j].

    x (B, C, H, W), u the transformed weight (NW, NH, G, C/G, K/G), C counting phases, bias (K,) or None, out (B, K, OH, OW).

    First all lines are cut into tiles along the width; then, for P of the NW places in them at a time, along the height, come
    the products, and the outputs along the height; last the outputs along the width. Images and channels lie innermost
    meanwhile, so that each transform is a small matrix times long rows.
    """
    xp, channels = scratch.xp, (u.shape[2] * u.shape[3], out.shape[1])
    columns, half = _input_columns(x, mosaic, u.shape[2], scratch), _half_of(out, mosaic.width, scratch)
    parts = mosaic.parts(len(x) * sum(channels) * x.dtype.itemsize)
    rooms = _rooms(mosaic, parts[0], len(x), channels, x.dtype, scratch)
    for part in parts:
        _products(columns, u, bias, mosaic, part, half, rooms, xp)
    out_of_sheet(_out_of_columns(half, mosaic.width, False, scratch), out)


def winograd_forward_few(x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, device: Device) -> None:
    """As `winograd_forward`, for all of a few images: the blocks are places of the width instead of images, and u is read once."""
    scratch = Scratch(device.xp)
    with device.activate():
        columns, half = _input_columns(x, mosaic, u.shape[2], scratch), _half_of(out, mosaic.width, scratch)

    def block(part: slice, scratch: Scratch) -> None:
        rooms = _rooms(mosaic, part, len(x), (u.shape[2] * u.shape[3], out.shape[1]), x.dtype, scratch)
        _products(columns, u, bias, mosaic, part, half, rooms, scratch.xp)

    device.map_blocks(block, mosaic.width.n, size=1)
    with device.activate():
        out_of_sheet(_out_of_columns(half, mosaic.width, False, scratch), out)


def _products(columns: Array, u: Array, bias: Array | None, mosaic: Mosaic, part: slice, half: Array, rooms: list[Array], xp: Any) -> None:
    """From some places along the width to their halves of the output: tiles, products and outputs along the height.

    columns (NW, TW, H, B * C), half (NW, TW, OH, B * K). The value at the points (1, 1) adds to every output of a tile, so the
    bias is added there alone.
    """
    tall, groups = mosaic.height, u.shape[2]
    b, k = columns.shape[3] // (groups * u.shape[3]), groups * u.shape[4]
    v, m = (room[: part.stop - part.start] for room in rooms)  # (P, NH * TH, TW, B * C or B * K)
    _into_tiles(tall, True, columns[part], v.swapaxes(1, 2), xp)
    xp.matmul(_by_group(v, tall, b, groups), u[part], out=_by_group(m, tall, b, groups))
    if bias is not None and part.start <= ONE < part.stop:
        m.reshape(len(m), tall.n, -1, k)[ONE - part.start, ONE] += bias
    _out_of_tiles(tall, False, m.swapaxes(1, 2), half[part], xp)


def winograd_backward(
    x: Array, dout: Array, u: Array, mosaic: Mosaic, dx: Array | None, scratch: Scratch = NEW_ARRAYS
) -> tuple[Array, Array]:
    """The gradients of weight, as (KH, KW, K * C/G), and of bias, (K,); dx (B, C, H, W) is filled if it is there.

    u: the transformed weight for backward, (NW, NH, G, K/G, C/G).

    With y = A^T ((G w) . (B^T x)), the gradient of the dot is dM = A dout. That of G w is dM . (B^T x), summed over tiles and
    images: a product of matrices for each place of a tile, which G takes to dweight. That of B^T x is dM . (G w), summed over
    filters, and B takes it to dx, where tiles overlap. At the points (1, 1) A sums a tile of dout: dbias is the sum of those.
    """
    xp, tall, wide, groups = scratch.xp, mosaic.height, mosaic.width, u.shape[2]
    b, c, k = len(x), groups * u.shape[4], dout.shape[1]
    columns = _input_columns(x, mosaic, groups, scratch)  # (NW, TW, H, B * C)
    dout_columns = _columns_of(sheet_of(dout, scratch), wide, False, scratch)  # (NW, TW, OH, B * K)
    parts = mosaic.parts(b * (c + k) * x.dtype.itemsize)
    rooms = _rooms(mosaic, parts[0], b, (c, k), x.dtype, scratch)
    places = scratch((parts[0].stop, tall.n, groups, k // groups, c // groups), x.dtype)
    half, dweight = (scratch((*shape, k * c // groups), x.dtype) for shape in ((wide.n, tall.r), (tall.r, wide.r)))
    for part in parts:
        v, dm, du = (room[: part.stop - part.start] for room in (*rooms, places))  # v and dm (P, NH * TH, TW, B * C or B * K)
        _into_tiles(tall, True, columns[part], v.swapaxes(1, 2), xp)
        _into_tiles(tall, False, dout_columns[part], dm.swapaxes(1, 2), xp)
        of_v, of_dm = _by_group(v, tall, b, groups), _by_group(dm, tall, b, groups)
        xp.matmul(of_dm.swapaxes(3, 4), of_v, out=du)
        xp.matmul(_on(xp, kernel_values(tall, x.dtype)).T, du.reshape(len(du), tall.n, -1), out=half[part])
        if part.start <= ONE < part.stop:
            dbias = dm.reshape(len(dm), tall.n, -1, k)[ONE - part.start, ONE].sum(axis=0)
        if dx is not None:  # in the places of x and its tiles, which are no longer needed
            xp.matmul(of_dm, u[part], out=of_v)
            _out_of_tiles(tall, True, v.swapaxes(1, 2), columns[part], xp)
    if dx is not None:
        out_of_inputs(_out_of_columns(columns, wide, True, scratch), mosaic.windows, groups, dx, scratch)
    xp.matmul(_on(xp, kernel_values(wide, x.dtype)).T, half.swapaxes(0, 1), out=dweight)
    return dweight, dbias


def _on(xp: Any, matrix_: Any) -> Any:
    """A small constant matrix as an array of the module `xp`."""
    return matrix_ if xp is np else xp.asarray(matrix_)


def _into_tiles(tiles: Tiles, inputs: bool, lines: Array, out: Array, xp: Any) -> None:
    """B^T, or A for gradients of outputs: an axis (..., H or OH, L) to tiles along it, (..., N * T, L)."""
    for line, rows, transform in pieces(tiles, inputs, WHOLE, out.dtype):
        xp.matmul(_on(xp, transform), lines[..., line, :], out=out[..., rows, :])


def _out_of_tiles(tiles: Tiles, inputs: bool, transformed: Array, out: Array, xp: Any) -> None:
    """The transposes, A^T or B: tiles (..., N * T, L) to an axis (..., OH or H, L), where tiles of inputs overlap and add up."""
    whole = 2 * WHOLE if inputs else WHOLE
    several = len(pieces_ := pieces(tiles, inputs, whole, out.dtype)) > 1
    if inputs and several:
        out.fill(0)
    for line, rows, transform in pieces_:
        transposed = _on(xp, transform).T
        if inputs and several:
            out[..., line, :] += xp.matmul(transposed, transformed[..., rows, :])
        else:
            xp.matmul(transposed, transformed[..., rows, :], out=out[..., line, :])


def _input_columns(x: Array, mosaic: Mosaic, groups: int, scratch: Scratch) -> Array:
    """Tiles along the width of every line of the images x: (NW, TW, H, B * C)."""
    return _columns_of(inputs_of(x, mosaic.windows, groups, scratch), mosaic.width, True, scratch)


def _columns_of(sheet: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """Tiles along the width of every line of a sheet (H, W, B * C): (N, TW, H, B * C)."""
    h, _, long = sheet.shape
    columns = matrix(wide.n * wide.count, h * long, sheet.dtype, scratch).reshape(-1, h, long)
    _into_tiles(wide, inputs, sheet, columns.swapaxes(0, 1), scratch.xp)
    return columns.reshape(wide.n, wide.count, h, long)


def _out_of_columns(columns: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """The transpose of `_columns_of`."""
    _, _, h, long = columns.shape
    sheet = matrix(h * (wide.size if inputs else wide.out), long, columns.dtype, scratch).reshape(h, -1, long)
    _out_of_tiles(wide, inputs, columns.reshape(-1, h, long).swapaxes(0, 1), sheet, scratch.xp)
    return sheet


def _half_of(out: Array, wide: Tiles, scratch: Scratch) -> Array:
    """Room for outputs along the height of tiles along the width: (N, TW, OH, B * K)."""
    b, k, oh, _ = out.shape
    return matrix(wide.n * wide.count, oh * b * k, out.dtype, scratch).reshape(wide.n, wide.count, oh, b * k)


def _rooms(mosaic: Mosaic, part: slice, b: int, channels: tuple[int, int], dtype: Any, scratch: Scratch) -> list[Array]:
    """Room for some places along the width of all tiles: (P, NH * TH, TW, B * C), and the same for K."""
    high, wide = mosaic.height, mosaic.width
    return [scratch((part.stop - part.start, high.n * high.count, wide.count, b * c), dtype) for c in channels]


def _by_group(tiles: Array, tall: Tiles, b: int, groups: int) -> Array:
    """(P, NH * TH, TW, B * C) as matrices (P, NH, G, TH * TW * B, C/G), a view."""
    places, channels = tiles.shape[0], tiles.shape[3] // b
    return tiles.reshape(places, tall.n, -1, groups, channels // groups).swapaxes(2, 3)

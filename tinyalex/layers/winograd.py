"""Winograd's minimal filtering: a convolution of stride 1 with a quarter of the multiplications, or less.

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
from tinyalex.layers.tiles import LARGEST_TILE, ONE, WHOLE, Tiles, kernel_values, pieces
from tinyalex.layers.windows import SMALL_PRODUCT, Windows, channels_last, matrix

LEAST_CHANNELS = 16
LEAST_TILES, LEAST_FROZEN = 32, 9  # tiles of all images that repay the transformation of the weights; that of frozen ones
LEAST_IMAGES = 16  # as well, however small
AT_ONCE = 2 << 20  # bytes of transformed tiles that a block makes before it uses them
ROWS = 300  # tiles of a block: its products run near the full speed of BLAS, and few blocks have few sums
FEW = 50  # tiles of all images that are not worth several blocks


@dataclass(frozen=True)
class Mosaic:
    """The tiles of one layer on images of one size."""

    height: Tiles
    width: Tiles

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

        pairs: inputs times outputs of a group. Where they are few, products are kept so small that OpenBLAS does not copy
        their operands first. Many images are an odd number: times a power of two, as channels and tiles often are, rows would
        compete for places in the cache.
        """
        blocks, small = 2, SMALL_PRODUCT // pairs
        rows = small if ROWS / 2 <= small < ROWS else ROWS
        while (size := -(-n // blocks)) * self.tiles > rows:
            blocks += 2
        return size if size < 8 else size | 1

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
    """The tiles that need the fewest products, of at most 8 x 8 numbers; the windows' stride is 1."""
    lines = []
    for size, out, before, r in zip(windows.size, windows.out, windows.before, windows.kernel, strict=True):
        choices = (Tiles(size, out, before, r, m) for m in range(2, LARGEST_TILE - r + 2))
        lines.append(min(choices, key=lambda tiles: (tiles.count * tiles.n, tiles.n)))
    return Mosaic(*lines)


def winograd_pays(mosaic: Mosaic, inputs: int, outputs: int, n: int, frozen: bool = False) -> bool:
    """Whether n images of so many channels a group were measured faster this way than by im2col, on CPUs.

    Transforming takes time for each channel, products for each pair of channels: a group must have 16 on both sides.
    The weights are transformed at each call, which few tiles do not repay; in a frozen layer only once.
    """
    enough = n >= LEAST_IMAGES or n * mosaic.tiles >= (LEAST_FROZEN if frozen else LEAST_TILES)
    return min(inputs, outputs) >= LEAST_CHANNELS and enough


@lru_cache(maxsize=64)
def _weight_matrix(mosaic: Mosaic, dtype: Any) -> np.ndarray[Any, Any]:
    """(n * n, KH * KW): the values at all pairs of points of a kernel's two-dimensional polynomial, width's points first."""
    high, wide = (kernel_values(tiles, np.float64) for tiles in (mosaic.height, mosaic.width))
    return np.einsum("jq,ip->jipq", wide, high).reshape(mosaic.places, -1).astype(dtype)


def transform_weight(weight: Array, groups: int, mosaic: Mosaic, device: Device, backward: bool = False) -> Array:
    """G w G^T of every kernel, ready for the products: (NW, NH, G, C/G, K/G), or for those of backward (NW, NH, G, K/G, C/G)."""
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

    x (B, C, H, W), u the transformed weight (NW, NH, G, C/G, K/G), bias (K,) or None, out (B, K, OH, OW).

    First all lines are cut into tiles along the width; then, for P of the NW places in them at a time, along the height, come
    the products, and the outputs along the height; last the outputs along the width. Images and channels lie innermost
    meanwhile, so that each transform is a small matrix times long rows.
    """
    xp, channels = scratch.xp, (x.shape[1], out.shape[1])
    columns, half = _columns_of(x, mosaic.width, True, scratch), _half_of(out, mosaic.width, scratch)
    parts = mosaic.parts(len(x) * sum(channels) * x.dtype.itemsize)
    rooms = _rooms(mosaic, parts[0], len(x), channels, x.dtype, scratch)
    for part in parts:
        _products(columns, u, bias, mosaic, part, half, rooms, xp)
    _out_of_columns(half, mosaic.width, False, out, scratch)


def winograd_forward_few(x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, device: Device) -> None:
    """As `winograd_forward`, for all of a few images: the blocks are places of the width instead of images, and u is read once."""
    scratch = Scratch(device.xp)
    with device.activate():
        columns, half = _columns_of(x, mosaic.width, True, scratch), _half_of(out, mosaic.width, scratch)

    def block(part: slice, scratch: Scratch) -> None:
        rooms = _rooms(mosaic, part, len(x), (x.shape[1], out.shape[1]), x.dtype, scratch)
        _products(columns, u, bias, mosaic, part, half, rooms, scratch.xp)

    device.map_blocks(block, mosaic.width.n, size=1)
    with device.activate():
        _out_of_columns(half, mosaic.width, False, out, scratch)


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
    (b, c), k = x.shape[:2], dout.shape[1]
    columns = _columns_of(x, wide, True, scratch)  # (NW, TW, H, B * C)
    dout_columns = _columns_of(dout, wide, False, scratch)  # (NW, TW, OH, B * K)
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
        _out_of_columns(columns, wide, True, dx, scratch)
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


def _columns_of(x: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """Tiles along the width of every line of x (B, C, H, W): (N, TW, H, B * C)."""
    b, c, h, w = x.shape
    sheet = matrix(h * w, b * c, x.dtype, scratch)
    channels_last(x, sheet.reshape(h, w, b, c), scratch)
    columns = matrix(wide.n * wide.count, h * b * c, x.dtype, scratch).reshape(-1, h, b * c)
    _into_tiles(wide, inputs, sheet.reshape(h, w, b * c), columns.swapaxes(0, 1), scratch.xp)
    return columns.reshape(wide.n, wide.count, h, b * c)


def _half_of(out: Array, wide: Tiles, scratch: Scratch) -> Array:
    """Room for outputs along the height of tiles along the width: (N, TW, OH, B * K)."""
    b, k, oh, _ = out.shape
    return matrix(wide.n * wide.count, oh * b * k, out.dtype, scratch).reshape(wide.n, wide.count, oh, b * k)


def _out_of_columns(columns: Array, wide: Tiles, inputs: bool, out: Array, scratch: Scratch) -> None:
    """The transpose of `_columns_of`; out (B, C or K, H or OH, W or OW)."""
    b, c, h, w = out.shape
    sheet = matrix(h * w, b * c, out.dtype, scratch)
    _out_of_tiles(wide, inputs, columns.reshape(-1, h, b * c).swapaxes(0, 1), sheet.reshape(h, w, b * c), scratch.xp)
    out.transpose(2, 3, 0, 1)[...] = sheet.reshape(h, w, b, c)


def _rooms(mosaic: Mosaic, part: slice, b: int, channels: tuple[int, int], dtype: Any, scratch: Scratch) -> list[Array]:
    """Room for some places along the width of all tiles: (P, NH * TH, TW, B * C), and the same for K."""
    high, wide = mosaic.height, mosaic.width
    return [scratch((part.stop - part.start, high.n * high.count, wide.count, b * c), dtype) for c in channels]


def _by_group(tiles: Array, tall: Tiles, b: int, groups: int) -> Array:
    """(P, NH * TH, TW, B * C) as matrices (P, NH, G, TH * TW * B, C/G), a view."""
    places, channels = tiles.shape[0], tiles.shape[3] // b
    return tiles.reshape(places, tall.n, -1, groups, channels // groups).swapaxes(2, 3)

"""Winograd's minimal filtering: a convolution of stride 1 with a quarter of the multiplications, or less.

In one dimension, take m outputs of a correlation with r weights, y[t] = sum over k of w[k] x[t + k]. They need
n = m + r - 1 inputs and m * r products. Now let u be any m numbers. Then

    sum over t of u[t] y[t] = sum over t, k of u[t] w[k] x[t + k] = <u * w, x>,

where u * w is the product of two polynomials, with u and w as coefficients. Polynomials may also be multiplied by their
values at n points: u * w = V^-1 ((E_m u) . (E_r w)), where E_m and E_r evaluate m and r coefficients at the points,
V evaluates n, and the dot multiplies value by value. Put that in and read off what stands beside u:

    y = A^T ((G w) . (B^T x))    with A^T = E_m^T, G = E_r, B^T = V^-T.

Only the dot multiplies weights with inputs: n products in place of m * r. In two dimensions both axes are transformed, and
(n / m)^2 products an output replace r^2: 3.1 in place of 25 for r = 5, m = 4, or 2.0 in place of 9 for r = 3, m = 5. Summed
over channels the dot is a matrix product, one for each of the n * n places in a tile. Backward is the transposed program.
A NaN or an infinity spreads over the tiles that see it.

Paper: none in it; the authors' code computed its convolutions directly. Points are small, since errors grow with their
powers: in float32 results are within 1e-4 of the largest (direct ones within 1e-6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.layers.windows import Windows, matrix

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, -0.5, 0.5)  # and infinity, whose "value" is the highest coefficient
ONE = POINTS.index(1.0)  # the value at 1 is the sum of all coefficients
KERNELS = range(2, 6)  # larger ones leave tiles of 8 too few outputs
LARGEST_TILE = len(POINTS) + 1
LEAST_CHANNELS = 16
LEAST_TILES = 64
AT_ONCE = 2 << 20  # bytes of transformed tiles that a block makes before it uses them
ROWS = 256  # a product with so many rows runs near the full speed of BLAS

Pieces = list[tuple[slice, slice]]  # for each tile: a part of an image's line, and the part of the tile that it is


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
    size, out: inputs and outputs along the axis. before: padding before the first input, negative if inputs are left out.
    r: the kernel. m: outputs of a tile. count: tiles; the last may hang over the edge.
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

    def inputs(self) -> Pieces:
        """What each tile sees: a part of the axis, and of the tile; the rest of the tile is padding."""
        return [_piece(tile * self.m - self.before, self.n, self.size) for tile in range(self.count)]

    def outputs(self) -> Pieces:
        """What each tile gives: no two tiles overlap."""
        return [_piece(tile * self.m, self.m, self.out) for tile in range(self.count)]


def _piece(start: int, length: int, size: int) -> tuple[slice, slice]:
    first = min(max(start, 0), size)
    last = max(min(start + length, size), first)
    return slice(first, last), slice(first - start, last - start)


@dataclass(frozen=True)
class Mosaic:
    """The tiles of one layer on images of one size, and the matrices of both axes."""

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

    def block_size(self, n: int) -> int:
        """Images of a block: enough for tall products, and four blocks or a multiple so that workers end together."""
        blocks = 4 * max(1, round(n * self.tiles / (4 * ROWS)))
        return -(-n // blocks)

    def parts(self, nbytes: int) -> list[slice]:
        """The width's places in parts, as large as stay in cache: `nbytes` of a block's channels for each number of a tile."""
        at_once = max(1, min(self.width.n, AT_ONCE // (self.height.n * self.tiles * nbytes)))
        return [slice(first, min(first + at_once, self.width.n)) for first in range(0, self.width.n, at_once)]

    def block_bytes(self, images: int, channels: int, filters: int, itemsize: int) -> int:
        """Bytes of scratch for a block, forward or backward."""
        nbytes = images * (channels + filters) * itemsize
        tiles = self.parts(nbytes)[0].stop * self.height.n * self.tiles * nbytes
        return tiles + self.width.n * self.width.count * images * itemsize * (channels * self.height.size + filters * self.height.out)


@lru_cache(maxsize=64)
def mosaic_of(windows: Windows) -> Mosaic:
    """The tiles that need the fewest products, of at most 8 x 8 numbers; the windows' stride is 1."""
    lines = []
    for size, out, before, r in zip(windows.size, windows.out, windows.before, windows.kernel, strict=True):
        choices = (Tiles(size, out, before, r, m) for m in range(2, LARGEST_TILE - r + 2))
        lines.append(min(choices, key=lambda tiles: (tiles.count * tiles.n, tiles.n)))
    return Mosaic(*lines)


def winograd_pays(mosaic: Mosaic, inputs: int, outputs: int, n: int) -> bool:
    """Whether n images of so many channels a group were measured faster this way than by im2col, on CPUs.

    Transforming takes time for each channel, products for each pair of channels: a group must have 16 on both sides.
    The weights are transformed at each call, which fewer than `LEAST_TILES` tiles do not repay.
    """
    return min(inputs, outputs) >= LEAST_CHANNELS and n * mosaic.tiles >= LEAST_TILES


@lru_cache(maxsize=64)
def _matrices(tiles: Tiles, dtype: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    b_t, _, a = cook_toom(tiles.m, tiles.r)
    return b_t.astype(dtype), a.astype(dtype)


@lru_cache(maxsize=64)
def _weight_matrix(mosaic: Mosaic, dtype: Any) -> np.ndarray[Any, Any]:
    """(n * n, KH * KW): the values at all pairs of points of a kernel's two-dimensional polynomial, width's points first."""
    (_, high, _), (_, wide, _) = (cook_toom(tiles.m, tiles.r) for tiles in (mosaic.height, mosaic.width))
    return np.einsum("jq,ip->jipq", wide, high).reshape(mosaic.places, -1).astype(dtype)


def transform_weight(weight: Array, groups: int, mosaic: Mosaic, device: Device) -> Array:
    """G w G^T of every kernel, ready for the products: (NW, NH, G, C/G, K/G)."""
    k, c, kh, kw = weight.shape
    values = device.asarray(_weight_matrix(mosaic, weight.dtype))
    with device.activate():
        kernels = device.empty((groups * c, k // groups, kh * kw), weight.dtype)
        kernels.reshape(groups, c, k // groups, kh * kw)[...] = weight.reshape(groups, k // groups, c, kh * kw).swapaxes(1, 2)
    out = device.empty((mosaic.places, groups * c, k // groups), weight.dtype)

    def block(rows: slice, scratch: Scratch) -> None:
        part = kernels[rows].reshape(-1, kh * kw)
        scratch.xp.matmul(values, part.T, out=out[:, rows].reshape(mosaic.places, -1))

    device.map_blocks(block, groups * c, mosaic.places * k // groups * weight.dtype.itemsize)
    return out.reshape(mosaic.width.n, mosaic.height.n, groups, c, k // groups)


def winograd_forward(
    x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, scratch: Scratch = NEW_ARRAYS
) -> None:
    """out[n, k, y, x] = bias[k] + sum over c, i, j of weight[k, c, i, j] * window(y, x)[n, c, i, j].

    x (B, C, H, W), u the transformed weight (NW, NH, G, C/G, K/G), bias (K,) or None, out (B, K, OH, OW), contiguous.

    First the tiles along the width of all lines; then, for P of their NW places at a time, the tiles along the height, the
    products, and the outputs along the height; last the outputs along the width. The value at the points (1, 1) adds to
    every output of a tile, so the bias is added there alone.
    """
    xp, tall, wide = scratch.xp, mosaic.height, mosaic.width
    (b, k, oh, _), groups, c = out.shape, u.shape[2], x.shape[1]
    (high_b, high_a), (wide_b, wide_a) = (_on(xp, _matrices(tiles, x.dtype)) for tiles in (tall, wide))
    columns = _along_width(x, wide_b, wide.inputs(), scratch)  # (NW, TW, B * C, H)
    half = matrix(wide.n * wide.count, b * k * oh, x.dtype, scratch).reshape(wide.n, wide.count, b * k, oh)
    parts = mosaic.parts(b * (c + k) * x.dtype.itemsize)
    v_room, m_room = (_room(mosaic, parts[0], b * channels, x.dtype, scratch) for channels in (c, k))
    for part in parts:
        v, m = v_room[: part.stop - part.start], m_room[: part.stop - part.start]  # (P, NH, TW, TH, B * C or B * K)
        _along_height(columns[part], high_b, tall.inputs(), v, xp)
        xp.matmul(_by_group(v, b, groups), u[part], out=_by_group(m, b, groups))
        if bias is not None and part.start <= ONE < part.stop:
            m[ONE - part.start, ONE].reshape(-1, k)[...] += bias
        for tile, (line, inside) in enumerate(tall.outputs()):
            xp.matmul(m[:, :, :, tile].transpose(0, 2, 3, 1), high_a[:, inside], out=half[part, :, :, line])
    flat = out.reshape(b * k * oh, wide.out)  # a view
    for tile, (line, inside) in enumerate(wide.outputs()):
        xp.matmul(half[:, tile].reshape(wide.n, -1).T, wide_a[:, inside], out=flat[:, line])


def winograd_backward_weight(x: Array, dout: Array, groups: int, mosaic: Mosaic, scratch: Scratch = NEW_ARRAYS) -> tuple[Array, Array]:
    """The gradients of weight, as (K * C/G, KH * KW), and of bias, (K,).

    With y = A^T ((G w) . (B^T x)), the gradient of G w is (A dout) . (B^T x), summed over tiles and images: a product
    of matrices for each place of a tile. At the points (1, 1) A sums a tile of dout, so dbias is the sum of those.
    """
    xp, tall, wide = scratch.xp, mosaic.height, mosaic.width
    (b, k), c = dout.shape[:2], x.shape[1]
    parts = mosaic.parts(b * (c + k) * x.dtype.itemsize)
    (high_b, high_a), (wide_b, wide_a) = (_on(xp, _matrices(tiles, x.dtype)) for tiles in (tall, wide))
    x_columns = _along_width(x, wide_b, wide.inputs(), scratch)  # (NW, TW, B * C, H)
    dout_columns = _along_width(dout, wide_a, wide.outputs(), scratch)  # (NW, TW, B * K, OH)
    v_room, dm_room = (_room(mosaic, parts[0], b * channels, x.dtype, scratch) for channels in (c, k))
    du = scratch((wide.n, tall.n, groups, k // groups, c // groups), x.dtype)
    for part in parts:
        v, dm = v_room[: part.stop - part.start], dm_room[: part.stop - part.start]  # (P, NH, TW, TH, B * C or B * K)
        _along_height(x_columns[part], high_b, tall.inputs(), v, xp)
        _along_height(dout_columns[part], high_a, tall.outputs(), dm, xp)
        xp.matmul(_by_group(dm, b, groups).swapaxes(3, 4), _by_group(v, b, groups), out=du[part])
        if part.start <= ONE < part.stop:
            dbias = dm[ONE - part.start, ONE].reshape(-1, k).sum(axis=0)
    values = _on(xp, (_weight_matrix(mosaic, x.dtype),))[0]
    dweight = scratch((k * c // groups, values.shape[1]), x.dtype)
    xp.matmul(du.reshape(mosaic.places, -1).T, values, out=dweight)
    return dweight, dbias


def _on(xp: Any, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Small constant matrices as arrays of the module `xp`."""
    return arrays if xp is np else tuple(xp.asarray(array) for array in arrays)


def _along_width(x: Array, transform: Array, pieces: Pieces, scratch: Scratch) -> Array:
    """Tiles along the width of every line of x (B, C, H, W): (N, TW, B * C, H)."""
    b, c, h, w = x.shape
    lines, rows = x.reshape(-1, w), matrix(len(transform) * len(pieces), b * c * h, x.dtype, scratch)
    out = rows.reshape(len(transform), len(pieces), b * c * h)
    for tile, (line, inside) in enumerate(pieces):
        scratch.xp.matmul(transform[:, inside], lines[:, line].T, out=out[:, tile])
    return out.reshape(len(transform), len(pieces), b * c, h)


def _along_height(columns: Array, transform: Array, pieces: Pieces, out: Array, xp: Any) -> None:
    """Tiles along the height: columns (P, TW, B * C, H) to out (P, N, TW, TH, B * C)."""
    columns = columns.swapaxes(2, 3)  # (P, TW, H, B * C)
    for tile, (line, inside) in enumerate(pieces):
        xp.matmul(transform[:, inside], columns[:, :, line], out=out[:, :, :, tile].swapaxes(1, 2))


def _room(mosaic: Mosaic, part: slice, images_channels: int, dtype: Any, scratch: Scratch) -> Array:
    """Room for some places along the width of all tiles: (P, NH, TW, TH, B * C)."""
    high, wide, places = mosaic.height, mosaic.width, part.stop - part.start
    room = matrix(places * high.n, mosaic.tiles * images_channels, dtype, scratch)
    return room.reshape(places, high.n, wide.count, high.count, images_channels)


def _by_group(tiles: Array, b: int, groups: int) -> Array:
    """(P, NH, TW, TH, B * C) as matrices (P, NH, G, TW * TH * B, C/G), a view."""
    (places, high), channels = tiles.shape[:2], tiles.shape[4] // b
    return tiles.reshape(places, high, -1, groups, channels // groups).swapaxes(2, 3)

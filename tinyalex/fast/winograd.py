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

from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.fast.layout import matrix
from tinyalex.fast.mosaic import Mosaic, mosaic_of, winograd_pays
from tinyalex.fast.phases import inputs_of, kernel_phases, out_of_inputs, out_of_sheet, phase_kernel, sheet_of, whole_kernels
from tinyalex.fast.request import Convolution, Grads, Then, add_gradients, apply, size_of
from tinyalex.fast.tiles import KERNELS, ONE, WHOLE, Part, Tiles, kernel_values, pieces


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
    meanwhile, so that each transform is a small matrix times long rows. RW and RH are the rows of all tiles of an axis.
    """
    channels, groups = (u.shape[2] * u.shape[3], out.shape[1]), u.shape[2]
    columns, half = _input_columns(x, mosaic, groups, scratch), _half_of(out, mosaic.width, scratch)
    parts = mosaic.parts(len(x) * sum(channels) * x.dtype.itemsize)
    rooms = _rooms(parts[0], mosaic.height, len(x), channels, x.dtype, scratch)
    for part in parts:
        _products(columns, u, bias, part, mosaic.height, half, rooms, scratch.xp)
    out_of_sheet(_out_of_columns(half, mosaic.width, False, scratch), out)


def winograd_forward_few(
    x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, device: Device, then: Then | None = None
) -> None:
    """As `winograd_forward`, for all of a few images: the blocks are places of the width instead of images, and u is read once."""
    scratch = Scratch(device.xp)
    channels, groups = (u.shape[2] * u.shape[3], out.shape[1]), u.shape[2]
    with device.activate():
        columns, half = _input_columns(x, mosaic, groups, scratch), _half_of(out, mosaic.width, scratch)

    def block(places: slice, scratch: Scratch) -> None:
        part = mosaic.width.part(places.start, places.stop)
        rooms = _rooms(part, mosaic.height, len(x), channels, x.dtype, scratch)
        _products(columns, u, bias, part, mosaic.height, half, rooms, scratch.xp)

    device.map_blocks(block, mosaic.width.n, size=1)
    with device.activate():
        out_of_sheet(_out_of_columns(half, mosaic.width, False, scratch), out)
        apply(then, out, scratch)


def _products(columns: Array, u: Array, bias: Array | None, part: Part, tall: Tiles, half: Array, rooms: list[Array], xp: Any) -> None:
    """From some places along the width to their halves of the output: tiles, products and outputs along the height.

    columns (RW, H, B * C), half (RW, OH, B * K). The value at the points (1, 1) adds to every output of a tile, so the bias is
    added there alone.
    """
    groups, k = u.shape[2], u.shape[2] * u.shape[4]
    b = columns.shape[2] // (groups * u.shape[3])
    v, m = (_tiles_in(room, part, tall) for room in rooms)  # (P, RH, TW, B * C or B * K)
    _into_tiles(tall, True, _lines_of(columns, part), v.swapaxes(1, 2), xp)
    for of in tall.parts:
        xp.matmul(_by_group(v, of, b, groups), u[part.places, of.places], out=_by_group(m, of, b, groups))
    if bias is not None and part.has(ONE):
        _at_one(m, part, tall, k)[...] += bias
    _out_of_tiles(tall, False, m.swapaxes(1, 2), _lines_of(half, part), xp)


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
    columns = _input_columns(x, mosaic, groups, scratch)  # (RW, H, B * C)
    dout_columns = _columns_of(sheet_of(dout, scratch), wide, False, scratch)  # (RW, OH, B * K)
    parts = mosaic.parts(b * (c + k) * x.dtype.itemsize)
    rooms = _rooms(parts[0], tall, b, (c, k), x.dtype, scratch)
    places = scratch((parts[0].places.stop, tall.n, groups, k // groups, c // groups), x.dtype)
    half, dweight = (scratch((*shape, k * c // groups), x.dtype) for shape in ((wide.n, tall.r), (tall.r, wide.r)))
    for part in parts:
        (v, dm), du = (_tiles_in(room, part, tall) for room in rooms), places[: part.places.stop - part.places.start]
        _into_tiles(tall, True, _lines_of(columns, part), v.swapaxes(1, 2), xp)  # v and dm (P, RH, TW, B * C or B * K)
        _into_tiles(tall, False, _lines_of(dout_columns, part), dm.swapaxes(1, 2), xp)
        if part.has(ONE):
            dbias = _at_one(dm, part, tall, k).sum(axis=0)
        for of in tall.parts:
            of_v, of_dm = _by_group(v, of, b, groups), _by_group(dm, of, b, groups)
            xp.matmul(of_dm.swapaxes(3, 4), of_v, out=du[:, of.places])
            if dx is not None:  # in the places of x and its tiles, which are no longer needed
                xp.matmul(of_dm, u[part.places, of.places], out=of_v)
        xp.matmul(_on(xp, kernel_values(tall, x.dtype)).T, du.reshape(len(du), tall.n, -1), out=half[part.places])
        if dx is not None:
            _out_of_tiles(tall, True, v.swapaxes(1, 2), _lines_of(columns, part), xp)
    if dx is not None:
        out_of_inputs(_out_of_columns(columns, wide, True, scratch), mosaic.windows, groups, dx, scratch)
    xp.matmul(_on(xp, kernel_values(wide, x.dtype)).T, half.swapaxes(0, 1), out=dweight)
    return dweight, dbias


def _on(xp: Any, matrix_: Any) -> Any:
    """A small constant matrix as an array of the module `xp`."""
    return matrix_ if xp is np else xp.asarray(matrix_)


def _into_tiles(tiles: Tiles, inputs: bool, lines: Array, out: Array, xp: Any) -> None:
    """B^T, or A for gradients of outputs: an axis (..., H or OH, L) to tiles along it, (..., R, L)."""
    for line, rows, transform in pieces(tiles, inputs, WHOLE, out.dtype):
        xp.matmul(_on(xp, transform), lines[..., line, :], out=out[..., rows, :])


def _out_of_tiles(tiles: Tiles, inputs: bool, transformed: Array, out: Array, xp: Any) -> None:
    """The transposes, A^T or B: tiles (..., R, L) to an axis (..., OH or H, L), where tiles of inputs overlap and add up."""
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
    """Tiles along the width of every line of the images x: (RW, H, B * C)."""
    return _columns_of(inputs_of(x, mosaic.windows, groups, scratch), mosaic.width, True, scratch)


def _columns_of(sheet: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """Tiles along the width of every line of a sheet (H, W, B * C): (RW, H, B * C)."""
    h, _, long = sheet.shape
    columns = matrix(wide.rows, h * long, sheet.dtype, scratch).reshape(-1, h, long)
    _into_tiles(wide, inputs, sheet, columns.swapaxes(0, 1), scratch.xp)
    return columns


def _out_of_columns(columns: Array, wide: Tiles, inputs: bool, scratch: Scratch) -> Array:
    """The transpose of `_columns_of`."""
    _, h, long = columns.shape
    sheet = matrix(h * (wide.size if inputs else wide.out), long, columns.dtype, scratch).reshape(h, -1, long)
    _out_of_tiles(wide, inputs, columns.swapaxes(0, 1), sheet, scratch.xp)
    return sheet


def _half_of(out: Array, wide: Tiles, scratch: Scratch) -> Array:
    """Room for outputs along the height of tiles along the width: (RW, OH, B * K)."""
    b, k, oh, _ = out.shape
    return matrix(wide.rows, oh * b * k, out.dtype, scratch).reshape(wide.rows, oh, b * k)


def _lines_of(columns: Array, part: Part) -> Array:
    """Some places of columns (RW, H, L), a view: (P, TW, H, L)."""
    return columns[part.rows].reshape(-1, part.tiles, *columns.shape[1:])


def _rooms(largest: Part, tall: Tiles, b: int, channels: tuple[int, int], dtype: Any, scratch: Scratch) -> list[Array]:
    """Room for tiles of some places along the width, (RH * P * TW, B * C), and the same for K."""
    rows = tall.rows * (largest.rows.stop - largest.rows.start)
    return [scratch((rows, b * c), dtype) for c in channels]


def _tiles_in(room: Array, part: Part, tall: Tiles) -> Array:
    """The beginning of a room as tiles of some places: (P, RH, TW, L)."""
    places = part.places.stop - part.places.start
    return room[: places * tall.rows * part.tiles].reshape(places, tall.rows, part.tiles, -1)


def _by_group(tiles: Array, of: Part, b: int, groups: int) -> Array:
    """Some places along the height of tiles (P, RH, TW, B * C) as matrices (P, PH, G, TH * TW * B, C/G), a view."""
    channels = tiles.shape[3] // b
    return tiles[:, of.rows].reshape(len(tiles), of.places.stop - of.places.start, -1, groups, channels // groups).swapaxes(2, 3)


def _at_one(tiles: Array, part: Part, tall: Tiles, channels: int) -> Array:
    """What tiles (P, RH, TW, B * C) hold at the points (1, 1), a view: (TH * TW * B, C)."""
    return tiles[ONE - part.places.start, tall.part(ONE, ONE + 1).rows].reshape(-1, channels)


# The row "winograd".


def fits(asked: Convolution) -> bool:
    """Whether the kernel is above one stride and up to five."""
    return all(k in KERNELS for k in phase_kernel(asked.windows.kernel, asked.windows.stride))


def pays(asked: Convolution, n: int) -> bool:
    """See `winograd_pays`."""
    inputs, outputs = asked.weight.shape[1], asked.filters // asked.groups
    return fits(asked) and winograd_pays(mosaic_of(asked.windows), inputs, outputs, n, asked.kept is not None)


def forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """Blocks of images, or of places where images are few."""
    mosaic = mosaic_of(asked.windows)
    u, out = _transformed(asked, mosaic, device), device.empty(asked.out_shape(len(x)), x.dtype)
    if mosaic.few(len(x)):
        winograd_forward_few(x, u, asked.bias, mosaic, out, device, then)
        return out, x

    def block(images: slice, scratch: Scratch) -> None:
        winograd_forward(x[images], u, asked.bias, mosaic, out[images], scratch)
        apply(then, out[images], scratch)

    device.map_blocks(block, len(x), size=mosaic.block_size(len(x), u[0, 0, 0].size))
    return out, x


def _transformed(asked: Convolution, mosaic: Mosaic, device: Device) -> Array:
    """The weights as the products need them. A frozen layer keeps them, once for each size of tiles, whatever the images' sizes."""
    if asked.kept is None:
        return transform_weight(asked.weight, asked.groups, mosaic, device)
    key = "winograd", mosaic.height.m, mosaic.width.m
    if key not in asked.kept:
        asked.kept[key] = transform_weight(asked.weight, asked.groups, mosaic, device)
    return asked.kept[key]


def backward(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
    """dx, and the gradients of weight and bias added."""
    mosaic = mosaic_of(asked.windows)
    u = transform_weight(asked.weight, asked.groups, mosaic, device, backward=True)
    dx = device.empty(x.shape, x.dtype) if asked.input_gradient else None

    def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
        return winograd_backward(x[images], dout[images], u, mosaic, None if dx is None else dx[images], scratch)

    dweight, dbias = device.map_blocks(block, len(x), size=mosaic.block_size(len(x), u[0, 0, 0].size))
    add_gradients(grads, whole_kernels(dweight, asked.weight.shape, asked.windows.stride), dbias, device)
    return dx


def scratch_bytes(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: the blocks, the transformed weights and, backward, their gradients."""
    mosaic, item, weight = mosaic_of(asked.windows), asked.weight.dtype.itemsize, size_of(asked.weight)
    channels, filters = asked.channels * asked.windows.stride[0] * asked.windows.stride[1], asked.filters  # channels of phases
    images = mosaic.block_size(n, channels * filters // asked.groups**2)
    block = mosaic.block_bytes(images, channels, filters, item)
    transformed = mosaic.places * channels * filters // asked.groups * item
    blocks = min(workers or 1, -(-n // images))
    if not backward:
        return blocks * block + transformed + weight * item
    return blocks * (block + transformed + weight * item) + weight * item

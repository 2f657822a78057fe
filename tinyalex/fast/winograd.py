"""Winograd's minimal filtering: a convolution with a quarter of the multiplications, or fewer.

**One dimension.** m outputs of a correlation with r weights, y[t] = sum over k of w[k] x[t + k], depend on n = m + r - 1 inputs and
need m * r products. Let a be any m numbers. Then

    sum over t of a[t] y[t] = sum over t, k of a[t] w[k] x[t + k] = <a * w, x>,

where a * w are the coefficients of the product of two polynomials, whose coefficients are a and w. Two polynomials can also be
multiplied through their values at n points: a * w = V^-1 ((E_m a) . (E_r w)). Here E_m, E_r and V compute the values at the n points
from m, r and n coefficients, and the dot multiplies value by value. Insert this above and read off the factor of a:

    y = A^T ((G w) . (B^T x))    with A^T = E_m^T, G = E_r, B^T = V^-T.

Only the dot multiplies weights by inputs: n products in place of m * r.

**Two dimensions.** Both axes are transformed, so an output needs (n / m)^2 products in place of r^2: 4 in place of 25 for r = 5,
m = 4, and 2.0 in place of 9 for r = 3, m = 5. A tile has n * n points. The sum of the dots over the channels is one matrix product
for each point. backward applies the transposed matrices: A transforms dout; the gradient of the weights is computed from A dout and
B^T x, the gradient of the inputs from A dout and G w. A convolution with a stride above 1 is first turned into one with stride 1, see
`phases.py`.

**Accuracy.** The points are small, because errors grow with their powers. In float32 results differ from the exact ones by up to 1e-4
of the largest result (by 1e-6 without Winograd). A NaN or an infinity spreads over the tiles that see it, and where one matrix
transforms a whole axis (see `tiles.py`), over the image.

Paper: not in the paper; the authors' code computed its convolutions directly.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.fast.machine import FEW_TILES
from tinyalex.fast.mosaic import Mosaic, mosaic_of, winograd_pays
from tinyalex.fast.phases import kernel_phases, out_of_inputs, out_of_sheet, phase_kernel, sheet_of, whole_kernels
from tinyalex.fast.request import Convolution, Grads, Then, add_gradients, apply, size_of
from tinyalex.fast.tiles import KERNELS, ONE, PointRange, Tiles, kernel_values
from tinyalex.fast.transforms import (
    at_one,
    at_points,
    by_group,
    empty_width_tiles,
    from_width_tiles,
    input_width_tiles,
    into_tiles,
    on_module,
    out_of_tiles,
    tile_buffers,
    tiles_in,
    width_tiles_of,
)


@lru_cache(maxsize=64)
def _weight_matrix(mosaic: Mosaic, dtype: Any) -> np.ndarray[Any, Any]:
    """The matrix (NW * NH, KH * KW) that computes a kernel's values at all pairs of points, in the order (point of the width, height)."""
    high, wide = (kernel_values(tiles, np.float64) for tiles in (mosaic.height, mosaic.width))
    return np.einsum("jq,ip->jipq", wide, high).reshape(mosaic.points, -1).astype(dtype)


def transform_weight(weight: Array, groups: int, mosaic: Mosaic, device: Device, backward: bool = False) -> Array:
    """The transformed weights, G w G^T of each kernel: (NW, NH, G, C/G, K/G), or for backward (NW, NH, G, K/G, C/G).

    NW and NH are the numbers of points along the width and the height. If the stride is above 1, C counts phases.
    """
    with device.activate():
        weight = kernel_phases(weight, mosaic.windows.stride, device.empty)
    k, c, kh, kw = weight.shape
    values = device.asarray(_weight_matrix(mosaic, weight.dtype))
    kernels = weight.reshape(groups, k // groups, c, kh * kw).transpose((3, 0, 1, 2) if backward else (3, 0, 2, 1))
    _, _, rows, columns = kernels.shape  # (KH * KW, G, C/G, K/G)
    out = device.empty((mosaic.points, groups, rows, columns), weight.dtype)

    def block(part: slice, scratch: Scratch) -> None:
        some = scratch((kh * kw, part.stop - part.start, columns), weight.dtype)
        for group in range(groups):
            some[...] = kernels[:, group, part]
            scratch.xp.matmul(values, some.reshape(kh * kw, -1), out=out[:, group, part].reshape(mosaic.points, -1))

    device.map_blocks(block, rows, mosaic.points * groups * columns * weight.dtype.itemsize)
    return out.reshape(mosaic.width.n, mosaic.height.n, groups, rows, columns)


def winograd_forward(x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """`conv2d` of a block. x (B, C, H, W), u the transformed weights, bias (K,) or None, out (B, K, OH, OW).

    1. Transform every line along the width. 2. For P of the NW points at a time: transform along the height, multiply by the weights
    (one matrix product for each point), transform back along the height. 3. Transform back along the width.
    Images and channels lie innermost in the meantime, so each transform is the product of a small matrix with long rows.
    """
    channels, groups = (u.shape[2] * u.shape[3], out.shape[1]), u.shape[2]
    width_tiles, out_width_tiles = input_width_tiles(x, mosaic, groups, scratch), empty_width_tiles(out, mosaic.width, scratch)
    parts = mosaic.parts(len(x) * sum(channels) * x.dtype.itemsize)
    buffers = tile_buffers(parts[0], mosaic.height, len(x), channels, x.dtype, scratch)
    for part in parts:
        _products(width_tiles, u, bias, part, mosaic.height, out_width_tiles, buffers, scratch.xp)
    out_of_sheet(from_width_tiles(out_width_tiles, mosaic.width, False, scratch), out)


def winograd_forward_few(
    x: Array, u: Array, bias: Array | None, mosaic: Mosaic, out: Array, device: Device, then: Then | None = None
) -> None:
    """`winograd_forward` for a few images, in blocks of points along the width instead of images, so that u is read only once."""
    scratch = Scratch(device.xp)
    channels, groups = (u.shape[2] * u.shape[3], out.shape[1]), u.shape[2]
    with device.activate():
        width_tiles, out_width_tiles = input_width_tiles(x, mosaic, groups, scratch), empty_width_tiles(out, mosaic.width, scratch)

    def block(points: slice, scratch: Scratch) -> None:
        part = mosaic.width.part(points.start, points.stop)
        buffers = tile_buffers(part, mosaic.height, len(x), channels, x.dtype, scratch)
        _products(width_tiles, u, bias, part, mosaic.height, out_width_tiles, buffers, scratch.xp)

    device.map_blocks(block, mosaic.width.n, size=1)
    with device.activate():
        out_of_sheet(from_width_tiles(out_width_tiles, mosaic.width, False, scratch), out)
        apply(then, out, scratch)


def _products(
    width_tiles: Array, u: Array, bias: Array | None, part: PointRange, tall: Tiles, out_width_tiles: Array, buffers: list[Array], xp: Any
) -> None:
    """Step 2 of `winograd_forward` for the points `part` along the width: width_tiles (VW, H, B * C) to out_width_tiles (VW, OH, B * K).

    A^T adds the value at the points (1, 1) to every output of a tile, so it is enough to add the bias there.
    """
    groups, k = u.shape[2], u.shape[2] * u.shape[4]
    b = width_tiles.shape[2] // (groups * u.shape[3])
    v, m = (tiles_in(buffer, part, tall) for buffer in buffers)  # (P, VH, TW, B * C or B * K)
    into_tiles(tall, True, at_points(width_tiles, part), v.swapaxes(1, 2), xp)
    for of in tall.parts:
        xp.matmul(by_group(v, of, b, groups), u[part.points, of.points], out=by_group(m, of, b, groups))
    if bias is not None and part.has(ONE):
        at_one(m, part, tall, k)[...] += bias
    out_of_tiles(tall, False, m.swapaxes(1, 2), at_points(out_width_tiles, part), xp)


def winograd_backward(
    x: Array, dout: Array, u: Array, mosaic: Mosaic, dx: Array | None, scratch: Scratch = NEW_ARRAYS
) -> tuple[Array, Array]:
    """The gradients of weight, as (KH, KW, K * C/G), and of bias, (K,), of a block; fills dx (B, C, H, W) unless it is None.

    u: the transformed weights for backward, (NW, NH, G, K/G, C/G).

    Let y = A^T ((G w) . (B^T x)). The gradient of the dot is dM = A dout. The gradient of G w is dM . (B^T x), summed over tiles and
    images, which is a matrix product for each point; G^T transforms it into dweight. The gradient of B^T x is dM . (G w), summed over
    filters; B transforms it into dx, where tiles overlap and are added. At the points (1, 1) dM is the sum of a tile of dout, so dbias
    is the sum of dM there.
    """
    xp, tall, wide, groups = scratch.xp, mosaic.height, mosaic.width, u.shape[2]
    b, c, k = len(x), groups * u.shape[4], dout.shape[1]
    width_tiles = input_width_tiles(x, mosaic, groups, scratch)  # (VW, H, B * C)
    dout_width_tiles = width_tiles_of(sheet_of(dout, scratch), wide, False, scratch)  # (VW, OH, B * K)
    parts = mosaic.parts(b * (c + k) * x.dtype.itemsize)
    buffers = tile_buffers(parts[0], tall, b, (c, k), x.dtype, scratch)
    dweight_at = scratch((parts[0].points.stop, tall.n, groups, k // groups, c // groups), x.dtype)
    dweight_half, dweight = (scratch((*shape, k * c // groups), x.dtype) for shape in ((wide.n, tall.r), (tall.r, wide.r)))
    for part in parts:
        (v, dm), du = (tiles_in(buffer, part, tall) for buffer in buffers), dweight_at[: part.points.stop - part.points.start]
        into_tiles(tall, True, at_points(width_tiles, part), v.swapaxes(1, 2), xp)  # v and dm (P, VH, TW, B * C or B * K)
        into_tiles(tall, False, at_points(dout_width_tiles, part), dm.swapaxes(1, 2), xp)
        if part.has(ONE):
            dbias = at_one(dm, part, tall, k).sum(axis=0)
        for of in tall.parts:
            of_v, of_dm = by_group(v, of, b, groups), by_group(dm, of, b, groups)
            xp.matmul(of_dm.swapaxes(3, 4), of_v, out=du[:, of.points])
            if dx is not None:  # the gradients of the tiles are written over the tiles, which are no longer needed
                xp.matmul(of_dm, u[part.points, of.points], out=of_v)
        xp.matmul(on_module(xp, kernel_values(tall, x.dtype)).T, du.reshape(len(du), tall.n, -1), out=dweight_half[part.points])
        if dx is not None:
            out_of_tiles(tall, True, v.swapaxes(1, 2), at_points(width_tiles, part), xp)
    if dx is not None:
        out_of_inputs(from_width_tiles(width_tiles, wide, True, scratch), mosaic.windows, groups, dx, scratch)
    xp.matmul(on_module(xp, kernel_values(wide, x.dtype)).T, dweight_half.swapaxes(0, 1), out=dweight)
    return dweight, dbias


# The row "winograd" of the table.


def fits(asked: Convolution) -> bool:
    """Whether the kernel is larger than the stride and at most 5 times as large, along both axes."""
    return all(k in KERNELS for k in phase_kernel(asked.windows.kernel, asked.windows.stride))


def pays(asked: Convolution, n: int) -> bool:
    """See `mosaic.winograd_pays`."""
    inputs, outputs = asked.weight.shape[1], asked.filters // asked.groups
    return fits(asked) and winograd_pays(mosaic_of(asked.windows), inputs, outputs, n, asked.prepared is not None)


def forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """The output in blocks of images; of one image, in bands of its lines; if there are few tiles, in blocks of points along the width."""
    mosaic = mosaic_of(asked.windows)
    u, out = _transformed(asked, mosaic, device), device.empty(asked.out_shape(len(x)), x.dtype)
    if mosaic.few(len(x)):
        winograd_forward_few(x, u, asked.bias, mosaic, out, device, then)
        return out, x
    if len(x) == 1 and asked.windows.stride == (1, 1):
        bands = mosaic.bands(2 * max(1, mosaic.tiles // (2 * FEW_TILES)))

        def band(blocks: slice, scratch: Scratch) -> None:
            seen, made, tiles = bands[blocks.start]
            winograd_forward(x[:, :, seen], u, asked.bias, tiles, out[:, :, made], scratch)
            apply(then, out[:, :, made], scratch)

        device.map_blocks(band, len(bands), size=1)
        return out, x

    def block(images: slice, scratch: Scratch) -> None:
        winograd_forward(x[images], u, asked.bias, mosaic, out[images], scratch)
        apply(then, out[images], scratch)

    device.map_blocks(block, len(x), size=mosaic.block_size(len(x), u[0, 0, 0].size))
    return out, x


def _transformed(asked: Convolution, mosaic: Mosaic, device: Device) -> Array:
    """The transformed weights. A frozen layer stores them once for each size of tiles."""
    if asked.prepared is None:
        return transform_weight(asked.weight, asked.groups, mosaic, device)
    key = "winograd", mosaic.height.m, mosaic.width.m
    if key not in asked.prepared:
        asked.prepared[key] = transform_weight(asked.weight, asked.groups, mosaic, device)
    return asked.prepared[key]


def backward(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
    """Return dx, and add the gradients of weight and bias, in blocks of images."""
    mosaic = mosaic_of(asked.windows)
    u = transform_weight(asked.weight, asked.groups, mosaic, device, backward=True)
    dx = device.empty(x.shape, x.dtype) if asked.input_gradient else None

    def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
        return winograd_backward(x[images], dout[images], u, mosaic, None if dx is None else dx[images], scratch)

    dweight, dbias = device.map_blocks(block, len(x), size=mosaic.block_size(len(x), u[0, 0, 0].size))
    add_gradients(grads, whole_kernels(dweight, asked.weight.shape, asked.windows.stride), dbias, device)
    return dx


def scratch_bytes(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: the blocks, the transformed weights, and in backward their gradients."""
    mosaic, item, weight = mosaic_of(asked.windows), asked.weight.dtype.itemsize, size_of(asked.weight)
    channels, filters = asked.channels * asked.windows.stride[0] * asked.windows.stride[1], asked.filters  # channels of the phases
    images = mosaic.block_size(n, channels * filters // asked.groups**2)
    block = mosaic.block_bytes(images, channels, filters, item)
    transformed = mosaic.points * channels * filters // asked.groups * item
    blocks = min(workers or 1, -(-n // images))
    if not backward:
        return blocks * block + transformed + weight * item
    return blocks * (block + transformed + weight * item) + weight * item

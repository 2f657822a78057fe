"""Convolution by columns where few images make many of them: some lines of the output are a block, or some channels.

In strips, the product writes where the output stays and finds dout where it lies, with no copy in between. A row of ones
stands under the columns, so that the bias is one more weight.
"""

from __future__ import annotations

import math

from tinyalex.devices import Array, Device, Scratch
from tinyalex.geometry import Windows
from tinyalex.layers.base import Then, apply
from tinyalex.layers.windows import GAP, copy_windows, im2col, images_first, lay_sheet, matrix

STRIP = 3 << 20  # bytes of columns that are made at a time; they stay in cache
FEWEST_BLOCKS = 4  # of fewer images channels and filters are shared out, so that several workers find work


def lines_at_once(windows: Windows, channels: int, itemsize: int) -> int:
    """Lines of the output in a strip: all, or an equal part of them whose columns are no larger than `STRIP`."""
    strips = max(1, -(-windows.column_bytes(channels, itemsize) // STRIP))
    return -(-windows.out[0] // strips)


def columns_of(sheet: Array, windows: Windows, groups: int, lines: slice, scratch: Scratch) -> Array:
    """The windows of some lines of the output as columns, and under them a row of ones: (G, C/G * KH * KW + 1, lines * OW * N).

    sheet (C, SH, SW, N): what the windows see of N images.
    """
    c, _, width, n = sheet.shape
    ow, (kh, kw), sh, count = windows.out[1], windows.kernel, windows.stride[0], lines.stop - lines.start
    col = scratch((groups, c // groups * kh * kw + 1, count * ow * n + GAP), sheet.dtype)[..., : count * ow * n]
    col[:, -1].fill(1)
    seen = sheet.reshape(groups, c // groups, -1, width, n)[:, :, lines.start * sh : (lines.stop - 1) * sh + kh]
    copy_windows(seen, windows, col[:, :-1].reshape(groups, c // groups, kh, kw, count, ow, n), scratch)  # into a view
    return col


def weight_and_bias(weight: Array, bias: Array | None, groups: int, device: Device) -> Array:
    """Both as the rows that multiply such columns: (G, K/G, C/G * KH * KW + 1)."""
    k = len(weight) // groups
    with device.activate():
        both = device.empty((groups, k, math.prod(weight.shape[1:]) + 1), weight.dtype)
        both[..., :-1] = weight.reshape(groups, k, -1)
        both[..., -1] = 0 if bias is None else bias.reshape(groups, k)
    return both


class Strips:
    """The blocks of a batch: strips of `lines` lines of the output, image by image."""

    def __init__(self, x: Array, windows: Windows, groups: int, lines: int) -> None:
        self.x, self.windows, self.groups, self.lines = x, windows, groups, lines
        self.of_image = -(-windows.out[0] // lines)
        self.count = len(x) * self.of_image

    def columns(self, block: int, scratch: Scratch) -> tuple[Array, int, slice]:
        """The columns of a block, which image they are of, and which of its OH * OW places."""
        (image, strip), (oh, ow), (height, width) = divmod(block, self.of_image), self.windows.out, self.windows.sheet
        one, lines = self.x[image : image + 1], slice(strip * self.lines, min((strip + 1) * self.lines, oh))
        if self.windows.before == (0, 0) and self.windows.seen == self.windows.sheet:
            sheet = one[0, :, :height, :width, None]  # a view
        else:
            sheet = lay_sheet(one, self.windows, scratch((one.shape[1], height, width, 1), one.dtype))
        return columns_of(sheet, self.windows, self.groups, lines, scratch), image, slice(lines.start * ow, lines.stop * ow)


def forward_in_strips(
    strips: Strips, weight: Array, bias: Array | None, out: Array, device: Device, then: Then | None = None
) -> None:
    """As `conv_forward`, for all images; out (N, K, OH, OW), contiguous. `then` is applied to it."""
    weights, by_group = weight_and_bias(weight, bias, strips.groups, device), (strips.groups, len(weight) // strips.groups, -1)

    def block(blocks: slice, scratch: Scratch) -> None:
        columns, image, places = strips.columns(blocks.start, scratch)
        part = out[image].reshape(by_group)[..., places]  # a view
        scratch.xp.matmul(weights, columns, out=part)
        apply(then, part, scratch)

    device.map_blocks(block, strips.count, size=1)


def backward_weight_in_strips(strips: Strips, dout: Array, device: Device) -> tuple[Array, Array]:
    """The gradients of weight, transposed as (G, C/G*KH*KW, K/G), and of bias, as (G, K/G); see `conv_backward_weight`."""
    by_group = (strips.groups, dout.shape[1] // strips.groups, -1)

    def block(blocks: slice, scratch: Scratch) -> tuple[Array]:
        columns, image, places = strips.columns(blocks.start, scratch)
        dweight_t = scratch((strips.groups, columns.shape[1], by_group[1]), dout.dtype)
        scratch.xp.matmul(columns, dout[image].reshape(by_group)[..., places].swapaxes(1, 2), out=dweight_t)
        return (dweight_t,)

    (dweight_t,) = device.map_blocks(block, strips.count, size=1)
    return dweight_t[:, :-1], dweight_t[:, -1]


def forward_few(
    x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int, out: Array, device: Device, then: Then | None = None
) -> None:
    """As `conv_forward`, for all of a few images: blocks of channels become columns, then blocks of filters are multiplied."""
    of_channel, of_group = math.prod(windows.kernel), len(weight) // groups
    columns = matrix(x.shape[1] * of_channel, len(x) * math.prod(windows.out), x.dtype, device.empty)
    by_group = columns.reshape(groups, -1, columns.shape[1])
    parts = min(of_group, max(1, FEWEST_BLOCKS // groups))  # of a group's filters

    def lay_out(channels: slice, scratch: Scratch) -> None:
        im2col(x[:, channels], windows, 1, scratch, columns[channels.start * of_channel : channels.stop * of_channel])

    def multiply(blocks: slice, scratch: Scratch) -> None:
        for group, part in (divmod(block, parts) for block in range(blocks.start, blocks.stop)):
            filters = slice(group * of_group + part * of_group // parts, group * of_group + (part + 1) * of_group // parts)
            wide = matrix(filters.stop - filters.start, columns.shape[1], x.dtype, scratch)
            scratch.xp.matmul(weight[filters].reshape(len(wide), -1), by_group[group], out=wide)
            shift = None if bias is None else bias[filters, None, None]
            images_first(wide.reshape(len(wide), *windows.out, len(x)), shift, out[:, filters], scratch.xp)
            apply(then, out[:, filters], scratch)

    device.map_blocks(lay_out, x.shape[1], of_channel * columns.shape[1] * x.dtype.itemsize)
    device.map_blocks(multiply, groups * parts, size=1)

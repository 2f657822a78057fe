"""Convolution by columns for large images: a block is a strip, which is some lines of the output of one image.

The columns of a strip fit the cache. The product writes directly to the output and reads dout directly, without a copy. The matrix
of columns has one more row, of ones, so that the bias is one more weight.
"""

from __future__ import annotations

import math

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast import columns
from tinyalex.fast.columns import copy_windows
from tinyalex.fast.layout import lay_sheet
from tinyalex.fast.machine import GAP, STRIP
from tinyalex.fast.request import Convolution, Grads, Then, add_gradients, apply, columns_of_image, size_of
from tinyalex.geometry import Windows


def lines_at_once(windows: Windows, channels: int, itemsize: int) -> int:
    """How many lines of the output a strip has: all of them, or an equal part whose columns have at most about `STRIP` bytes."""
    strips = max(1, -(-windows.column_bytes(channels, itemsize) // STRIP))
    return -(-windows.out[0] // strips)


def outgrow_the_cache(asked: Convolution, n: int) -> bool:
    """Whether the output of one image has several strips."""
    return lines_at_once(asked.windows, asked.channels, asked.weight.dtype.itemsize) < asked.windows.out[0]


def columns_of(sheet: Array, windows: Windows, groups: int, lines: slice, scratch: Scratch) -> Array:
    """The columns for some lines of the output, with a last row of ones: (G, C/G * KH * KW + 1, lines * OW * N).

    sheet (C, SH, SW, N): N images with their padding.
    """
    c, _, width, n = sheet.shape
    ow, (kh, kw), sh, count = windows.out[1], windows.kernel, windows.stride[0], lines.stop - lines.start
    col = scratch((groups, c // groups * kh * kw + 1, count * ow * n + GAP), sheet.dtype)[..., : count * ow * n]
    col[:, -1].fill(1)
    seen = sheet.reshape(groups, c // groups, -1, width, n)[:, :, lines.start * sh : (lines.stop - 1) * sh + kh]
    copy_windows(seen, windows, col[:, :-1].reshape(groups, c // groups, kh, kw, count, ow, n), scratch)  # into a view
    return col


def weight_and_bias(weight: Array, bias: Array | None, groups: int, device: Device) -> Array:
    """The matrix (G, K/G, C/G * KH * KW + 1) that multiplies such columns: the weights, and the bias as the last weight."""
    k = len(weight) // groups
    with device.activate():
        both = device.empty((groups, k, math.prod(weight.shape[1:]) + 1), weight.dtype)
        both[..., :-1] = weight.reshape(groups, k, -1)
        both[..., -1] = 0 if bias is None else bias.reshape(groups, k)
    return both


class Strips:
    """All strips of a batch, image by image. An image has at least two strips, unless its output has only one line.

    lines: how many lines a strip has. of_image: how many strips an image has. count: how many strips the batch has.
    """

    def __init__(self, asked: Convolution, x: Array) -> None:
        self.x, self.windows, self.groups, oh = x, asked.windows, asked.groups, asked.windows.out[0]
        self.lines = min(lines_at_once(asked.windows, asked.channels, x.dtype.itemsize), -(-oh // 2))
        self.of_image = -(-oh // self.lines)
        self.count = len(x) * self.of_image

    def columns(self, block: int, scratch: Scratch) -> tuple[Array, int, slice]:
        """The columns of a strip, the index of its image, and which of the OH * OW positions of the output the strip has."""
        (image, strip), (oh, ow), (height, width) = divmod(block, self.of_image), self.windows.out, self.windows.sheet
        one, lines = self.x[image : image + 1], slice(strip * self.lines, min((strip + 1) * self.lines, oh))
        if self.windows.before == (0, 0) and self.windows.seen == self.windows.sheet:
            sheet = one[0, :, :height, :width, None]  # a view; nothing is copied
        else:
            sheet = lay_sheet(one, self.windows, scratch((one.shape[1], height, width, 1), one.dtype))
        return columns_of(sheet, self.windows, self.groups, lines, scratch), image, slice(lines.start * ow, lines.stop * ow)


def forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """The columns and the product of each strip."""
    strips, out = Strips(asked, x), device.empty(asked.out_shape(len(x)), x.dtype)
    weights, by_group = weight_and_bias(asked.weight, asked.bias, asked.groups, device), (asked.groups, asked.filters // asked.groups, -1)

    def block(blocks: slice, scratch: Scratch) -> None:
        col, image, positions = strips.columns(blocks.start, scratch)
        part = out[image].reshape(by_group)[..., positions]  # a view
        scratch.xp.matmul(weights, col, out=part)
        apply(then, part, scratch)

    device.map_blocks(block, strips.count, size=1)
    return out, x


def backward_weight(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> None:
    """Add the gradients of weight and bias: col @ dout^T. Its last row, from the row of ones, is the gradient of the bias."""
    strips, by_group = Strips(asked, x), (asked.groups, asked.filters // asked.groups, -1)

    def block(blocks: slice, scratch: Scratch) -> tuple[Array]:
        col, image, positions = strips.columns(blocks.start, scratch)
        dweight_t = scratch((strips.groups, col.shape[1], by_group[1]), dout.dtype)
        scratch.xp.matmul(col, dout[image].reshape(by_group)[..., positions].swapaxes(1, 2), out=dweight_t)
        return (dweight_t,)

    (dweight_t,) = device.map_blocks(block, strips.count, size=1)
    add_gradients(grads, dweight_t[:, :-1].swapaxes(1, 2), dweight_t[:, -1], device)


def scratch_bytes(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`. If dx is computed, it needs the most memory, because it is computed for whole images."""
    if backward and asked.input_gradient:
        return columns.scratch_bytes(asked, n, backward, workers)
    item, oh = asked.weight.dtype.itemsize, asked.windows.out[0]
    lines, sums = lines_at_once(asked.windows, asked.channels, item), (size_of(asked.weight) + asked.filters) * item
    blocks = min(workers or 1, n * -(-oh // lines))
    return blocks * (columns_of_image(asked.windows, asked.channels) * item * lines // oh + sums) + sums

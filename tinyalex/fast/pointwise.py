"""Convolution by kernels of 1x1: a product of matrices for each image, which reads the image and writes the output in place.

With one cell in each window, the columns of an image are the image itself, as a matrix (C, H * W), or some of its pixels if the stride
is above 1. So nothing is copied at stride 1.
"""

from __future__ import annotations

import math

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.machine import FEWEST_BLOCKS, FILTERS
from tinyalex.fast.request import Convolution, Then, apply
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows


def fits(asked: Convolution) -> bool:
    """Whether each window is one pixel of the image."""
    return asked.windows.kernel == (1, 1) and asked.windows.before == (0, 0) and asked.windows.seen == asked.windows.sheet


def pays(asked: Convolution, n: int) -> bool:
    """Always, if the row fits."""
    return fits(asked)


def pixels(image: Array, windows: Windows, scratch: Scratch) -> Array:
    """The pixels of an image (C, H, W) that windows see, as a matrix (C, OH * OW)."""
    (h, w), (sh, sw) = windows.seen, windows.stride
    if (h, w) == windows.out:
        return image[:, :h, :w].reshape(len(image), -1)  # a view of a whole image
    seen = scratch((len(image), *windows.out), image.dtype)
    seen[...] = image[:, :h:sh, :w:sw]
    return seen.reshape(len(image), -1)


def forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """(K/G, C/G) @ (C/G, OH * OW) for each image and group. A block is an image, or for few images some filters of an image."""
    out, groups, positions = device.empty(asked.out_shape(len(x)), x.dtype), asked.groups, math.prod(asked.windows.out)
    weight = asked.weight.reshape(groups, asked.filters // groups, -1)
    bias = None if asked.bias is None else asked.bias.reshape(groups, -1, 1)
    of_group = weight.shape[1]
    parts = min(-(-FEWEST_BLOCKS // len(x)), max(2, of_group // FILTERS), of_group)

    def block(blocks: slice, scratch: Scratch) -> None:
        image, part = divmod(blocks.start, parts)
        filters = slice(part * of_group // parts, (part + 1) * of_group // parts)
        seen = pixels(x[image], asked.windows, scratch).reshape(groups, -1, positions)
        made = out[image].reshape(groups, of_group, positions)[:, filters]  # a view
        scratch.xp.matmul(weight[:, filters], seen, out=made)
        if bias is not None:
            made += bias[:, filters]
        apply(then, made, scratch)

    device.map_blocks(block, len(x) * parts, size=1)
    return out, x


def scratch_bytes(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    return bytes_of_blocks(asked.channels * math.prod(asked.windows.out) * asked.weight.dtype.itemsize, 0, n, workers)

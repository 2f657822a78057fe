"""How maps are shared out in blocks, and an estimate of the working memory that the blocks of a layer need together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from tinyalex.devices import Device, Scratch
from tinyalex.devices.cpu import CACHE, SHARES
from tinyalex.fast.machine import MAPS

Maps: TypeAlias = tuple[slice, slice]  # some images and some channels


def map_maps(device: Device, block: Callable[[Maps, Scratch], None], shape: tuple[int, ...], itemsize: int) -> None:
    """Call `block((images, channels), scratch)` for blocks that together cover arrays of `shape` (N, C, ...).

    On a CPU, a block has about `MAPS` bytes of one array, so that what one step of the block has written is in the cache at the next:
    some images, or some channels of one large image.
    """
    (n, c), image = shape[:2], math.prod(shape[1:]) * itemsize
    size, ranges = device.block_size(n, 3 * image), 1
    if device.kind == "cpu":
        size, ranges = max(1, min(size, MAPS // image)), max(1, min(c, image // MAPS))
    if ranges == 1:
        device.map_blocks(lambda images, scratch: block((images, slice(0, c)), scratch), n, size=size)
        return

    def part(blocks: slice, scratch: Scratch) -> None:
        i, j = divmod(blocks.start, ranges)
        block((slice(i, i + 1), slice(j * c // ranges, (j + 1) * c // ranges)), scratch)

    device.map_blocks(part, n * ranges, size=1)


def bytes_of_blocks(image: int, sums: int, n: int, workers: int | None) -> int:
    """Bytes of scratch for n images, if the batch is cut into blocks as a `CpuDevice` does it.

    image: bytes that one image of a block needs. sums: bytes of the partial sums that each block returns.
    workers: how many threads compute blocks at the same time; None for a GPU, where one block of one image is counted.
    """
    if workers is None:
        return image + 2 * sums
    images = max(1, min(CACHE // image if image else n, -(-n // SHARES)))
    blocks = min(workers, -(-n // images))
    return blocks * (images * image + sums) + sums

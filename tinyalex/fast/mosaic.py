"""The tiles of an image in both directions, how many images are transformed at a time, and where that is worth it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from tinyalex.fast.machine import (
    AT_ONCE,
    FEW,
    IMAGES,
    LEAST_CHANNELS,
    LEAST_FROZEN,
    LEAST_IMAGES,
    LEAST_PHASED,
    LEAST_TILES,
    ROWS,
    SMALL_PRODUCT,
    UNEVEN,
)
from tinyalex.fast.phases import phases
from tinyalex.fast.tiles import LARGEST_TILE, Part, Tiles
from tinyalex.geometry import Windows


@dataclass(frozen=True)
class Mosaic:
    """The tiles of one layer on images of one size."""

    height: Tiles
    width: Tiles
    windows: Windows  # the layer's own, whose stride may be above 1: the tiles are then of the phases

    @cached_property
    def tiles(self) -> int:
        """Tiles of an image, for each channel."""
        return self.height.count * self.width.count

    @property
    def places(self) -> int:
        """Numbers of a transformed tile, which is how many matrix products there are."""
        return self.height.n * self.width.n

    @property
    def products(self) -> int:
        """Numbers of all transformed tiles of an image, for each channel."""
        return self.height.rows * self.width.rows

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

    def parts(self, nbytes: int) -> list[Part]:
        """The width's places in parts, as large as stay in cache: `nbytes` of a block's channels for each number of a tile."""
        at_once = max(1, AT_ONCE // (self.height.rows * self.width.count * nbytes))
        parts = []
        for whole in self.width.parts:
            start, stop = whole.places.start, whole.places.stop
            parts += [self.width.part(first, min(first + at_once, stop)) for first in range(start, stop, at_once)]
        return parts

    def block_bytes(self, images: int, channels: int, filters: int, itemsize: int) -> int:
        """Bytes of scratch for a block, forward or backward."""
        nbytes = images * (channels + filters) * itemsize
        tiles = self.parts(nbytes)[0].rows.stop * self.height.rows * nbytes
        lines = self.width.rows  # numbers that a line becomes, beside its own
        sheets = channels * self.height.size * (lines + self.width.size) + filters * self.height.out * (lines + self.width.out)
        return tiles + sheets * images * itemsize


@lru_cache(maxsize=64)
def mosaic_of(windows: Windows) -> Mosaic:
    """The tiles that need the fewest products, of at most 8 x 8 numbers."""
    cut = phases(windows)
    height, width = (_tiles_of(*axis) for axis in zip(cut.size, cut.out, cut.before, cut.kernel, strict=True))
    return Mosaic(height, width, windows)


def _tiles_of(size: int, out: int, before: int, r: int) -> Tiles:
    """The tiles of an axis that need the fewest products, uneven ones where that saves a good part of them."""
    choices = [Tiles(size, out, before, r, m) for m in range(2, LARGEST_TILE - r + 2)]
    even = min(choices, key=lambda tiles: (tiles.rows, tiles.n))
    # short tiles keep the point 1, at which a tile's bias is added, and there is a full one
    uneven = [replace(tiles, uneven=True) for tiles in choices if tiles.m >= 3 and 0 < tiles.count * tiles.m - out < tiles.count]
    return min((tiles for tiles in uneven if tiles.rows <= UNEVEN * even.rows), key=lambda tiles: (tiles.rows, tiles.n), default=even)


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

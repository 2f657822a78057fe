"""The tiles of an image along both axes, how many images a block transforms, and when Winograd's algorithm pays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from tinyalex.fast.machine import (
    AT_ONCE,
    BLOCK_IMAGES,
    BLOCK_TILES,
    FEW_TILES,
    LEAST_CHANNELS,
    LEAST_FROZEN,
    LEAST_IMAGES,
    LEAST_PHASED,
    LEAST_TILES,
    SMALL_PRODUCT,
    UNEVEN,
)
from tinyalex.fast.phases import phases
from tinyalex.fast.tiles import LARGEST_TILE, PointRange, Tiles
from tinyalex.geometry import Windows


@dataclass(frozen=True)
class Mosaic:
    """The tiles of one layer on images of one size."""

    height: Tiles
    width: Tiles
    windows: Windows  # those of the layer; if their stride is above 1, the tiles are tiles of the phases

    @cached_property
    def tiles(self) -> int:
        """How many tiles an image has for each channel."""
        return self.height.count * self.width.count

    @property
    def points(self) -> int:
        """How many values a transformed tile has, one at each pair of points. There is one matrix product for each of them."""
        return self.height.n * self.width.n

    @property
    def products(self) -> int:
        """How many values all transformed tiles of an image have for each channel."""
        return self.height.values * self.width.values

    def few(self, n: int) -> bool:
        """Whether n images are so few that they are one block."""
        return n * self.tiles <= FEW_TILES

    def block_size(self, n: int, pairs: int) -> int:
        """How many images a block has: enough for fast products, and such that the number of blocks is even, for two workers.

        pairs: inputs times outputs of a group. If there are few pairs, the products are kept so small that OpenBLAS does not copy
        their operands. A size above `BLOCK_IMAGES` is odd, because channels and tiles are often powers of two, and with an even size
        the rows of the matrices would compete for the same lines of the cache.
        """
        blocks, small = 2, SMALL_PRODUCT // pairs
        most = small // self.tiles if BLOCK_TILES / 2 <= small < BLOCK_TILES else 0
        most = most if most > 1 else max(BLOCK_IMAGES, BLOCK_TILES // self.tiles)
        while (size := -(-n // blocks)) > most:
            blocks += 2
        return size if size <= BLOCK_IMAGES else size | 1

    def bands(self, count: int) -> list[tuple[slice, slice, Mosaic]]:
        """The image in `count` bands of whole tiles: the lines of each band in the image and in the output, and the tiles of the band.

        Neighboring bands share the lines of the image that both see. The stride must be 1. The image stays whole if some band would
        see padding alone.
        """
        tall, windows, bands = self.height, self.windows, []
        for i in range(count := min(count, tall.count)):
            first, last = (min(j * tall.count // count * tall.m, tall.out) for j in (i, i + 1))  # lines of the output
            top, bottom = max(0, first - tall.before), min(tall.size, last - tall.before + tall.r - 1)  # lines of the image
            if top >= bottom:
                return [(slice(None), slice(None), self)]
            before, size, out = max(0, tall.before - first), bottom - top, last - first
            seen = replace(windows, size=(size, windows.size[1]), before=(before, windows.before[1]), out=(out, windows.out[1]))
            band = Mosaic(Tiles(size, out, before, tall.r, tall.m), self.width, seen)
            bands.append((slice(top, bottom), slice(first, last), band))
        return bands

    def parts(self, nbytes: int) -> list[PointRange]:
        """The points along the width in ranges whose transformed tiles fit the cache.

        nbytes: bytes of all images, channels and filters of a block for one value of a tile.
        """
        at_once = max(1, AT_ONCE // (self.height.values * self.width.count * nbytes))
        parts = []
        for whole in self.width.parts:
            start, stop = whole.points.start, whole.points.stop
            parts += [self.width.part(first, min(first + at_once, stop)) for first in range(start, stop, at_once)]
        return parts

    def block_bytes(self, images: int, channels: int, filters: int, itemsize: int) -> int:
        """Bytes of scratch that a block needs, in forward or backward."""
        nbytes = images * (channels + filters) * itemsize
        tiles = self.parts(nbytes)[0].values.stop * self.height.values * nbytes
        lines = self.width.values  # the values of a line's tiles, which are stored beside its pixels
        sheets = channels * self.height.size * (lines + self.width.size) + filters * self.height.out * (lines + self.width.out)
        return tiles + sheets * images * itemsize


@lru_cache(maxsize=64)
def mosaic_of(windows: Windows) -> Mosaic:
    """The tiles of at most 8 x 8 inputs that need the fewest products."""
    cut = phases(windows)
    height, width = (_tiles_of(*axis) for axis in zip(cut.size, cut.out, cut.before, cut.kernel, strict=True))
    return Mosaic(height, width, windows)


def _tiles_of(size: int, out: int, before: int, r: int) -> Tiles:
    """The tiles of an axis that need the fewest products; uneven ones only if they need at most `UNEVEN` times as many as even ones."""
    choices = [Tiles(size, out, before, r, m) for m in range(2, LARGEST_TILE - r + 2)]
    even = min(choices, key=lambda tiles: (tiles.values, tiles.n))
    # Uneven tiles need m >= 3, so that short tiles have the point 1, where the bias is added; and at least one tile must be full.
    uneven = [replace(tiles, uneven=True) for tiles in choices if tiles.m >= 3 and 0 < tiles.count * tiles.m - out < tiles.count]
    return min((tiles for tiles in uneven if tiles.values <= UNEVEN * even.values), key=lambda tiles: (tiles.values, tiles.n), default=even)


def winograd_pays(mosaic: Mosaic, inputs: int, outputs: int, n: int, frozen: bool = False) -> bool:
    """Whether Winograd's algorithm was measured faster than im2col on CPUs, for n images and groups of `inputs` and `outputs`.

    The transforms take time for each channel, and the products for each pair of channels. So a group must have at least
    `LEAST_CHANNELS` inputs, counting phases, and as many outputs. There must be enough tiles to repay the transform of the weights,
    which takes place at each call, or in a frozen layer once.
    """
    (kh, kw), (sh, sw), tiles = mosaic.windows.kernel, mosaic.windows.stride, n * mosaic.tiles
    if sh * sw == 1:
        enough = n >= LEAST_IMAGES or tiles >= (LEAST_FROZEN if frozen else LEAST_TILES)
    else:  # a single image would be one block, which only one worker computes
        enough = n > 1 and tiles >= LEAST_PHASED * mosaic.points * sh * sw / (kh * kw)
    return min(inputs * sh * sw, outputs) >= LEAST_CHANNELS and enough

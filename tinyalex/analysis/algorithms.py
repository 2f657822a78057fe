"""By which algorithm each convolution of a network is computed, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass

from tinyalex.analysis.walk import input_shape, visit
from tinyalex.layers import Conv2d, Layer
from tinyalex.layers.mosaic import mosaic_of


@dataclass(frozen=True)
class Choice:
    """The algorithm of one convolution for batches of one size.

    algorithm: "im2col", "strips" or "winograd". input_gradient: "winograd", "turned weights" (a correlation by columns),
    "col2im" or "none" in a first layer. tile: outputs of a tile as (height, width), None but for winograd; uneven: whether some
    have one less. tiles: of an image.
    direct, products: multiplications of an image in forward, by the definition and as computed; transforms not counted.
    """

    layer: str
    algorithm: str
    input_gradient: str
    tile: tuple[int, int] | None
    uneven: bool
    tiles: int
    direct: int
    products: int


def algorithms(net: Layer, batch: int) -> list[Choice]:
    """What every `Conv2d` of a network does with `batch` images."""
    return [_choice(at.layer, at.in_shape, batch) for at in visit(net, input_shape(net)) if isinstance(at.layer, Conv2d)]


def _choice(layer: Conv2d, in_shape: tuple[int, ...], batch: int) -> Choice:
    windows, pairs = layer.windows(in_shape), layer.out_channels * layer.in_channels // layer.groups
    (kh, kw), (oh, ow) = layer.kernel_size, windows.out
    algorithm, direct = layer.chosen(windows, batch), pairs * kh * kw * oh * ow
    if not layer.input_gradient:
        input_gradient = "none"
    elif algorithm == "winograd":
        input_gradient = algorithm
    else:
        input_gradient = "turned weights" if layer.turns(windows) else "col2im"
    if algorithm != "winograd":
        return Choice(layer.name, algorithm, input_gradient, None, False, 0, direct, direct)
    mosaic = mosaic_of(windows)
    tile, phases = (mosaic.height.m, mosaic.width.m), layer.stride[0] * layer.stride[1]
    uneven, products = mosaic.height.uneven or mosaic.width.uneven, pairs * phases * mosaic.products
    return Choice(layer.name, algorithm, input_gradient, tile, uneven, mosaic.tiles, direct, products)


def lines_of(choices: list[Choice], batch: int) -> list[str]:
    """The choices as a table."""
    images = f"{batch} image{'s' * (batch > 1)}"
    lines = [
        f"algorithms for {images}; multiplications of an image in forward, by the definition and as computed:",
        f"  {'layer':<10} {'forward, dweight':<17} {'dx':<15} {'tiles':<12} {'direct':>13} {'computed':>13} {'saved':>6}",
    ]
    for c in choices:
        tiles = f"{c.tiles} {'up to' if c.uneven else 'of'} {c.tile[0]}x{c.tile[1]}" if c.tile else "-"
        saved = f"{c.direct / c.products:.1f}x"
        lines.append(f"  {c.layer:<10} {c.algorithm:<17} {c.input_gradient:<15} {tiles:<12} {c.direct:>13,} {c.products:>13,} {saved:>6}")
    return lines

"""Which row of `fast.table` computes each layer of a network, and how many multiplications that saves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.fast.columns import turns
from tinyalex.fast.mosaic import mosaic_of
from tinyalex.fast.request import Convolution, Pooling
from tinyalex.fast.table import LINES, operation_of
from tinyalex.layers import Layer
from tinyalex.layers.facts import elements


@dataclass(frozen=True)
class Choice:
    """The row of the table that computes one layer for a batch of one size.

    operation: "convolution", "max pooling", "average pooling" or "product". algorithm: the name of the row.
    input_gradient: what computes dx of a convolution: the name of the row, "turned weights" (a correlation by columns), "col2im",
        or "none" for a first layer. For other operations it is the name of the row or "none".
    tile: height and width of the outputs of one Winograd tile; None for other rows. uneven: whether some tiles have one output
        less. tiles: the number of tiles in one image.
    direct, products: multiplications in forward for one image, by the definition and as the row computes it. Winograd's
        transforms are not counted.
    """

    layer: str
    operation: str
    algorithm: str
    input_gradient: str
    tile: tuple[int, int] | None
    uneven: bool
    tiles: int
    direct: int
    products: int


def algorithms(net: Layer, batch: int) -> list[Choice]:
    """The choice of every layer that is computed by a row of the table, for `batch` images."""
    choices: list[Choice] = []
    for at in visit(net, input_shape(net)):
        if hasattr(at.layer, "asked"):
            innermost = bool(choices) and choices[-1].algorithm == LINES.name  # the row `lines` returns images in the order C, H, W, N
            choices.append(_choice(at, batch, innermost))
    return choices


def _choice(at: Visit, batch: int, innermost: bool) -> Choice:
    layer: Any = at.layer
    asked = layer.asked(at.in_shape)
    if isinstance(asked, Pooling):
        asked = replace(asked, innermost=innermost)
    name, direct, dx = layer.row(asked, batch).name, layer.facts(at.in_shape, batch).macs, layer.gives_dx
    if not isinstance(asked, Convolution):
        dx_by = name if dx else "none"
        return Choice(at.layer.name, operation_of(asked), name, dx_by, None, False, 0, direct, direct)
    by_columns = name not in ("winograd", "plain")
    input_gradient = "none" if not dx else ("turned weights" if turns(asked) else "col2im") if by_columns else name
    if name != "winograd":
        return Choice(at.layer.name, "convolution", name, input_gradient, None, False, 0, direct, direct)
    mosaic = mosaic_of(asked.windows)
    pairs = elements(asked.weight.shape[:2]) * math.prod(asked.windows.stride)  # pairs of channels; a stride of s makes s phases
    tile, uneven = (mosaic.height.m, mosaic.width.m), mosaic.height.uneven or mosaic.width.uneven
    return Choice(at.layer.name, "convolution", name, input_gradient, tile, uneven, mosaic.tiles, direct, pairs * mosaic.products)


def lines_of(choices: list[Choice], batch: int) -> list[str]:
    """The choices as the lines of a text table."""
    images = f"{batch} image{'s' * (batch > 1)}"
    lines = [
        f"algorithms for {images}; multiplications of an image in forward, by the definition and as computed:",
        f"  {'layer':<10} {'forward, dweight':<17} {'dx':<15} {'tiles':<12} {'direct':>13} {'computed':>13} {'saved':>6}",
    ]
    for c in choices:
        tiles = f"{c.tiles} {'up to' if c.uneven else 'of'} {c.tile[0]}x{c.tile[1]}" if c.tile else "-"
        counts = f"{c.direct:>13,} {c.products:>13,} {c.direct / c.products:>5.1f}x" if c.products else f"{'-':>13} {'-':>13} {'-':>6}"
        lines.append(f"  {c.layer:<10} {c.algorithm:<17} {c.input_gradient:<15} {tiles:<12} {counts}")
    return lines

"""Receptive fields: the part of the image on which a unit of a layer depends.

The units of a layer form a grid. In each direction, unit 0 sees the pixels from start to start + size - 1, and unit i sees
the pixels that are `i * jump` further. Of these, only those inside the image exist. If a stride leaves out pixels of the
image, no unit sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.errors import ShapeError
from tinyalex.geometry import Pair
from tinyalex.layers import Both, Branches, Layer, Product, Sequential


@dataclass(frozen=True)
class Field:
    """The receptive fields of the units of a layer. Each pair is (height, width), in pixels except for `grid`.

    start: the first pixel that unit (0, 0) sees; it is negative if the field begins in the padding.
    size: how many pixels a unit sees, with padding.
    jump: the distance between the fields of two neighboring units: the product of all strides so far.
    grid: the number of units. It is (1, 1) if all units of the layer see the same pixels, as in fc6.
    """

    start: Pair
    size: Pair
    jump: Pair
    grid: Pair

    def inside(self, unit: Pair, image: Pair) -> tuple[slice, slice]:
        """The part of an image of size `image` that `unit` sees: a slice of its height and one of its width."""
        rows, columns = (
            slice(max(0, start + at * jump), max(0, min(n, start + at * jump + size)))
            for start, size, jump, at, n in zip(self.start, self.size, self.jump, unit, image, strict=True)
        )
        return rows, columns


def receptive_fields(net: Layer, in_shape: tuple[int, ...] | None = None) -> dict[str, Field]:
    """The receptive fields of each layer, by its name. `in_shape` is (C, H, W), needed if the net was built without it.

    A layer has windows of k units with stride s, and the first window begins p units before the grid (the padding). Then

        size becomes size + (k - 1) jump,     start becomes start - p jump,     jump becomes s jump.

    A fully connected layer is a window over the whole grid. Where paths meet, a unit sees what it sees through any of them; the gate of a
    `Product`, which sees the whole image, is left out.

    Raises
    ------
    ShapeError: `in_shape` is not known, or is not the shape of an image.
    """
    shape = input_shape(net, in_shape)
    if len(shape) != 3:
        raise ShapeError(f"{net.name}: in_shape must be (C, H, W) for receptive fields, got {shape}")
    image = Field((0, 0), (1, 1), (1, 1), (shape[1], shape[2]))
    seen: dict[str, Field] = {}
    _follow(net, shape, {0: image, 1: image}, seen)
    return seen


def _follow(net: Layer, shape: tuple[Any, ...], now: dict[int, Field], seen: dict[str, Field]) -> dict[int, Field]:
    """Add the fields of all layers of `net` to `seen`. `now` are those of its input, by tower; those of its output are returned."""
    if isinstance(net, Sequential):
        for layer in net.layers:
            now = _follow(layer, shape, now, seen)
            shape = layer.output_shape(shape)
        return now
    if isinstance(net, Branches):
        ends = [now if path is None else _follow(path, shape, now, seen) for path in net.paths]
        seen[net.merge.name] = field = _union([end[0] for end in ends[: 1 if isinstance(net.merge, (Both, Product)) else None]])
        return {0: field, 1: field}
    for at in visit(net, shape):
        field = _through(at, now[at.tower or 0])
        seen[at.layer.name] = field
        now = {0: field, 1: field} if at.tower is None else now | {at.tower: field}
    return now


def _union(fields: Sequence[Field]) -> Field:
    """What a unit sees through any of these paths; all have one grid."""
    start = _each(min, [field.start for field in fields])
    end = _each(max, [_each(sum, [field.start, field.size]) for field in fields])
    return replace(fields[0], start=start, size=(end[0] - start[0], end[1] - start[1]))


def _each(function: Callable[[Any], Any], pairs: Sequence[Pair]) -> Pair:
    return function([a for a, _ in pairs]), function([b for _, b in pairs])


def _through(at: Visit, field: Field) -> Field:
    facts = at.layer.facts(at.in_shape)
    if facts.sees_all:
        return _window(field, field.grid, (1, 1), (0, 0), (1, 1))
    windows = facts.windows
    if windows is None or (field.grid == (1, 1) and windows.size != (1, 1)):  # every unit already sees all pixels
        return field
    return _window(field, windows.kernel, windows.stride, windows.before, windows.out)


def _window(field: Field, kernel: Pair, stride: Pair, before: Pair, grid: Pair) -> Field:
    (sy, sx), (ny, nx), (jy, jx) = field.start, field.size, field.jump
    return replace(
        field,
        start=(sy - before[0] * jy, sx - before[1] * jx),
        size=(ny + (kernel[0] - 1) * jy, nx + (kernel[1] - 1) * jx),
        jump=(jy * stride[0], jx * stride[1]),
        grid=grid,
    )

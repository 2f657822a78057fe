"""Receptive fields: which part of the image a unit of each layer sees.

Units of a layer stand in a grid. Unit 0 sees the pixels start to start + size - 1, unit i those `i * jump` further on.
At the edges a unit sees of these only what is image; where a stride leaves rows of the image out, they are seen by none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.errors import ShapeError
from tinyalex.geometry import Pair
from tinyalex.layers import Layer


@dataclass(frozen=True)
class Field:
    """What the units of a layer see of the image. Each pair is (height, width), in pixels.

    start: the first pixel that unit (0, 0) sees; negative where it begins in the padding.
    size: how many pixels a unit sees, padding included.
    jump: how much further the next unit's field begins: the product of the strides so far.
    grid: how many units there are each way. (1, 1) once every unit of the layer sees the same, as in fc6.
    """

    start: Pair
    size: Pair
    jump: Pair
    grid: Pair

    def inside(self, unit: Pair, image: Pair) -> tuple[slice, slice]:
        """The rows and columns of the image that `unit` sees."""
        rows, columns = (
            slice(max(0, start + at * jump), max(0, min(n, start + at * jump + size)))
            for start, size, jump, at, n in zip(self.start, self.size, self.jump, unit, image, strict=True)
        )
        return rows, columns


def receptive_fields(net: Layer, in_shape: tuple[int, ...] | None = None) -> dict[str, Field]:
    """The field of each layer of a network of images, by the layer's name; `in_shape` (C, H, W) where the net has none.

    A window of k units with stride s, the first of which begins p units above the grid, sees

        size + (k - 1) jump     starting at     start - p jump     and     jump becomes s jump.

    A fully connected layer is a window over the whole grid.
    """
    shape = input_shape(net, in_shape)
    if len(shape) != 3:
        raise ShapeError(f"{net.name}: in_shape must be (C, H, W) for receptive fields, got {shape}")
    image = Field((0, 0), (1, 1), (1, 1), (shape[1], shape[2]))
    seen, now = {}, {0: image, 1: image}  # by tower
    for at in visit(net, shape):
        field = _through(at, now[at.tower or 0])
        seen[at.layer.name] = field
        now = {0: field, 1: field} if at.tower is None else now | {at.tower: field}
    return seen


def _through(at: Visit, field: Field) -> Field:
    facts = at.layer.facts(at.in_shape)
    if facts.sees_all:
        return _window(field, field.grid, (1, 1), (0, 0), (1, 1))
    windows = facts.windows
    if windows is None or (field.grid == (1, 1) and windows.size != (1, 1)):  # a layer before saw everything
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

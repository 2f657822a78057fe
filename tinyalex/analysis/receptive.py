"""Receptive fields: the part of the image on which a unit of a layer depends.

The units of a layer form a grid. In each direction, unit 0 sees the pixels from start to start + size - 1, and unit i sees
the pixels that are `i * jump` further. Of these, only those inside the image exist. If a stride leaves out pixels of the
image, no unit sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.errors import ShapeError
from tinyalex.geometry import Pair
from tinyalex.layers import Layer


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

    A fully connected layer is a window over the whole grid.

    Raises
    ------
    ShapeError: `in_shape` is not known, or is not the shape of an image.
    """
    shape = input_shape(net, in_shape)
    if len(shape) != 3:
        raise ShapeError(f"{net.name}: in_shape must be (C, H, W) for receptive fields, got {shape}")
    image = Field((0, 0), (1, 1), (1, 1), (shape[1], shape[2]))
    seen, now = {}, {0: image, 1: image}  # `now` is by tower
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

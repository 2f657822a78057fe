"""The shape that a layer gives, asked of the layer itself, so that a file is held to the rules of the engine before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError, show
from tinyalex.layers import Layer, Sequential
from tinyalex.models.later.rows import KINDS, MERGES
from tinyalex.models.rows import Row, Shape

DRY = DryDevice("cpu")
OF_INPUT: Mapping[str, Mapping[str, Any]] = {"conv": {"in_channels": None}, "linear": {"in_features": None}}


def layer_of(row: Row, in_shape: Shape) -> Layer:
    """The layer of a row without memory for its arrays, for inputs of `in_shape`. ShapeError: it does not fit."""
    drawn = {key: value for key, value in row.settings.items() if key not in ("weight_init", "bias_init")}
    layer: Layer = KINDS[row.kind](**drawn, **OF_INPUT.get(row.kind, {}), name=row.name, device=DRY)
    Sequential([layer], in_shape, seed=0)
    return layer


def shape_of(row: Row, in_shapes: tuple[Shape, ...]) -> Shape:
    """The shape that a layer or a join gives for one image. ShapeError: it does not fit, or there is no such kind."""
    if row.kind in MERGES:
        return tuple(MERGES[row.kind](name=row.name).output_shape(in_shapes))
    if row.kind not in KINDS:
        raise ShapeError(f"{row.name}: kind must be one of {', '.join(KINDS)}, got {show(row.kind)}")
    return layer_of(row, in_shapes[0]).output_shape(in_shapes[0])

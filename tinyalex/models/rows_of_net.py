"""The rows of a network that is built already, such as one of `Sequential([...])`: what a file of another program is written from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinyalex.errors import ShapeError
from tinyalex.layers import Branches, Layer, Sequential
from tinyalex.models.later.rows import KINDS, MERGES
from tinyalex.models.rows import Row, Rows
from tinyalex.models.rows_json import settings_of
from tinyalex.shown import layer_of

FITTED = {("bn", "channels"), ("gn", "channels")}  # the layer finds it out
NOT_KEPT = ("weight_init", "bias_init", "seed", "part", "algorithm", "input_gradient")  # they change no output of a trained net


def rows_of_net(net: Sequential) -> Rows:
    """The layers of a net as rows, without the distributions of initial values. With its arrays they are the whole net.

    Raises
    ------
    ShapeError: the net has two towers, which are to be loaded as one, or a layer of which no row tells.

    Example
    -------
    >>> from tinyalex.layers import Conv2d, ReLU
    >>> rows = rows_of_net(Sequential([Conv2d(3, 8, 5, padding=2, name="conv1"), ReLU()], in_shape=(3, 8, 8)))
    >>> [(row.kind, row.name) for row in rows], rows[0]["padding"]
    ([('conv', 'conv1'), ('relu', 'relu')], (2, 2, 2, 2))
    """
    return tuple(_rows(net))


def _rows(net: Sequential) -> Iterator[Row]:
    kinds = {kind: name for name, kind in KINDS.items()}
    merges: dict[type, str] = {kind: name for name, kind in MERGES.items()}
    for layer in net:
        if type(layer) is Branches and type(layer.merge) in merges:
            paths = tuple(() if path is None else tuple(_rows(path)) for path in layer.paths)
            yield Row("branches", layer.name, {"merge": merges[type(layer.merge)], "paths": paths})
        elif isinstance(layer, Sequential):
            yield from _rows(layer)
        elif type(layer) in kinds:
            kind = kinds[type(layer)]
            yield Row(kind, layer.name, {key: value for key in _kept(kind) if (value := _setting(layer, key)) is not None})
        else:
            two = len(layer.runs_on) > 1 or layer_of(layer.name) != layer.name
            remedy = "load it with one tower" if two else f"use layers of the kinds {', '.join(KINDS)}"
            raise ShapeError(f"{net.name}: layers of a net that is written must be those of one tower, got {layer!r}", remedy)


def _kept(kind: str) -> list[str]:
    return sorted(key for key in settings_of(kind).difference(NOT_KEPT) if (kind, key) not in FITTED)


def _setting(layer: Layer, key: str) -> Any:
    """The value of a setting; None where it is not set."""
    if key == "bias":
        return "bias" in layer.params
    return getattr(layer, key)

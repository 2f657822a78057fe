"""Visits the layers of a network in order, with the shapes of their inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tinyalex.errors import ShapeError, show
from tinyalex.layers import Branches, Layer, Sequential
from tinyalex.layers.sequential import require_shape
from tinyalex.towers import Pair


@dataclass(frozen=True)
class Visit:
    """One layer of a network, with its shapes.

    in_shape, out_shape: without the batch axis. On the split side of `Split`, `Exchange` and `Gather` it is a pair of shapes, and what
        the merge of `Branches` takes is a tuple of the shapes that the paths give.
    tower: 0 or 1 for a layer inside a `Pair`, else None.
    path: for a layer inside of `Branches`, the number of its path, from 1; of `Branches` inside of others all numbers, outermost first.
    """

    layer: Layer
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    tower: int | None = None
    path: tuple[int, ...] = ()


def visit(net: Layer, in_shape: tuple[Any, ...], tower: int | None = None, path: tuple[int, ...] = ()) -> Iterator[Visit]:
    """The layers of a network in order. Those of two towers alternate: conv1a, conv1b, relu1a, relu1b, ...; paths follow each other."""
    if isinstance(net, Sequential):
        for layer in net.layers:
            yield from visit(layer, in_shape, tower, path)
            in_shape = layer.output_shape(in_shape)
    elif isinstance(net, Pair):
        for both in zip_longest(visit(net.left, in_shape[0], 0), visit(net.right, in_shape[1], 1)):
            yield from (one for one in both if one is not None)
    elif isinstance(net, Branches):
        for number, inner in enumerate(net.paths, 1):
            if inner is not None:
                yield from visit(inner, in_shape, tower, (*path, number))
        yield from visit(net.merge, net.shapes_of(in_shape), tower, path)
    else:
        yield Visit(net, in_shape, net.output_shape(in_shape), tower, path)


def input_shape(net: Layer, given: tuple[Any, ...] | None = None) -> tuple[Any, ...]:
    """The shape of one image: `given`, or if that is None, the `in_shape` of the net. ShapeError if both are None."""
    if not isinstance(net, Layer):
        raise ShapeError(f"net: what is to be counted must be a layer or a network, got {show(net)}; see tinyalex.models.build")
    if given is not None:
        return require_shape(net.name, given)
    shape = getattr(net, "in_shape", None)
    if shape is None:
        raise ShapeError(f"{net.name}: in_shape must be given to a network that is to be counted, got None")
    return tuple(shape)

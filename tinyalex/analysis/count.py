"""Counts of a network, layer by layer: parameters, operations, memory, bytes between devices. Nothing is computed.

All bytes are for one image; those of a batch of N are N times as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.layers import Layer
from tinyalex.layers.facts import elements

BATCH = 128  # the paper's: which row of `fast.table` computes, and so what is kept, may depend on the batch


@dataclass(frozen=True)
class Row:
    """One layer.

    in_shape, out_shape: without the batch axis; a pair of shapes where two towers meet or part.
    weights, biases: numbers of them.
    macs: multiplications with a weight, each followed by an addition; places in the padding count.
    connections: as the paper's section 3.5 counts them, F0^2 (K^2 Kc + 1) Fc: inputs and bias of every unit.
    neurons: units of a layer with weights.
    activation_bytes: the output, 0 where it is the input seen otherwise.
    cache_bytes: what backward needs of forward, see `fast.request.Keeps`; layers next to each other may hold the same array.
    forward_bytes, backward_bytes: sent to the other device.
    comparisons: elements that max pooling looks at, window by window; cells beyond the edge count.
    in_place, convolves, copies: whether the output may lie where the input does; whether it is a convolution with shared weights;
        whether it only copies between two towers.
    """

    name: str
    kind: str
    device: str
    tower: int | None
    in_shape: tuple[Any, ...]
    out_shape: tuple[Any, ...]
    weights: int
    biases: int
    macs: int
    neurons: int
    activation_bytes: int
    cache_bytes: int
    forward_bytes: int
    backward_bytes: int
    comparisons: int
    in_place: bool
    convolves: bool
    copies: bool

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases

    @property
    def connections(self) -> int:
        """F0^2 (K^2 Kc + 1) Fc of the paper: a multiplication each, and the bias of each unit."""
        return self.macs + self.neurons


@dataclass(frozen=True)
class Totals:
    """Sums over the rows of a network."""

    weights: int
    biases: int
    parameters: int
    macs: int
    connections: int
    neurons: int
    activation_bytes: int
    cache_bytes: int
    forward_bytes: int
    backward_bytes: int


def count(net: Layer, in_shape: tuple[int, ...] | None = None) -> list[Row]:
    """A row for each layer; `in_shape` where the net was built without one.

    Raises
    ------
    ShapeError: no shape of the input.

    Example
    -------
    >>> from tinyalex.models import figure1_net
    >>> totals(count(figure1_net())).macs
    12298240
    """
    return [_row(at) for at in visit(net, input_shape(net, in_shape))]


def totals(rows: Iterable[Row]) -> Totals:
    """The sums of all columns that may be summed."""
    rows = list(rows)
    return Totals(**{name: sum(getattr(row, name) for row in rows) for name in Totals.__dataclass_fields__})


def _row(at: Visit) -> Row:
    layer, facts = at.layer, at.layer.facts(at.in_shape, BATCH)
    weights, biases = (math.prod(layer.params[key].shape) if key in layer.params else 0 for key in ("weight", "bias"))
    sent = sent_bytes(layer, at.in_shape)
    return Row(
        name=layer.name,
        kind=type(layer).__name__,
        device=" + ".join(device.name for device in layer.runs_on),
        tower=at.tower,
        in_shape=at.in_shape,
        out_shape=at.out_shape,
        weights=weights,
        biases=biases,
        macs=facts.macs,
        neurons=elements(at.out_shape) if weights else 0,
        activation_bytes=0 if facts.view else nbytes(layer, at.out_shape),
        cache_bytes=cache_bytes(at),
        forward_bytes=sent,
        backward_bytes=sent,
        comparisons=facts.comparisons,
        in_place=facts.in_place,
        convolves=bool(weights) and facts.windows is not None and facts.macs > weights,
        copies=hasattr(layer, "sent_bytes") and not facts.view,
    )


def nbytes(layer: Layer, shape: tuple[Any, ...]) -> int:
    """Bytes of an array of that shape, or of a pair, in the layer's type."""
    return elements(shape) * layer.dtype.itemsize


def sent_bytes(layer: Layer, in_shape: tuple[Any, ...]) -> int:
    """Bytes that go over to the other device in forward; as many come back in backward."""
    return layer.sent_bytes(in_shape) if hasattr(layer, "sent_bytes") else 0


def cache_bytes(at: Visit) -> int:
    """Bytes of all arrays in the layer's cache."""
    kept = at.layer.facts(at.in_shape, BATCH).keeps
    return kept.own + kept.x * nbytes(at.layer, at.in_shape) + kept.out * nbytes(at.layer, at.out_shape)

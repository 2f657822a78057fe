"""Counts of a network, layer by layer: parameters, operations, memory, bytes between devices. The network is not run.

All bytes are for one image; a batch of N images needs N times as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.layers import Layer
from tinyalex.layers.facts import elements

BATCH = 128  # the paper's. The row of `fast.table` that computes a layer, and so what it keeps, may depend on the batch


@dataclass(frozen=True)
class Row:
    """The counts of one layer, for one image.

    name, kind, device: the layer's name, class and device. tower: 0 or 1 in a net with two towers, else None.
    in_shape, out_shape: without the batch axis; a pair of shapes on the split side of a link between two towers.
    weights, biases: how many there are.
    macs: multiplications with a weight, each with an addition; those with padding count.
    connections: as in section 3.5 of the paper, F0^2 (K^2 Kc + 1) Fc: all inputs and the bias of every unit.
    neurons: the outputs of a layer with weights.
    activation_bytes: bytes of the output; 0 if the output is a view of the input.
    cache_bytes: bytes that forward keeps for backward, see `fast.request.Keeps`. Two neighbors may keep the same array.
    forward_bytes, backward_bytes: bytes that are sent to the other device.
    comparisons: elements that max pooling compares, added over all windows; cells beyond the edge count.
    in_place: whether the output may overwrite the input. convolves: whether it is a convolution with shared weights.
    copies: whether the layer only copies between two towers. path: see `Visit`.
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
    path: tuple[int, ...] = ()

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases

    @property
    def connections(self) -> int:
        """The connections as the paper counts them, F0^2 (K^2 Kc + 1) Fc: one for each multiplication and one for each bias."""
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
    """The counts of each layer, in order. `in_shape` is (C, H, W), needed if the net was built without it.

    Raises
    ------
    ShapeError: the shape of the input is not known, or does not fit the net.

    Example
    -------
    >>> from tinyalex.models import figure1_net
    >>> totals(count(figure1_net())).macs
    12298240
    """
    return [_row(at) for at in visit(net, input_shape(net, in_shape))]


def totals(rows: Iterable[Row]) -> Totals:
    """The sums over the rows of all counts that can be added."""
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
        path=at.path,
    )


def nbytes(layer: Layer, shape: tuple[Any, ...]) -> int:
    """Bytes of an array of this shape, or of a pair of arrays, in the layer's dtype."""
    return elements(shape) * layer.dtype.itemsize


def sent_bytes(layer: Layer, in_shape: tuple[Any, ...]) -> int:
    """Bytes that the layer sends to the other device in forward; backward sends as many."""
    return layer.sent_bytes(in_shape) if hasattr(layer, "sent_bytes") else 0


def cache_bytes(at: Visit) -> int:
    """Bytes of all arrays that the layer keeps from forward for backward."""
    kept = at.layer.facts(at.in_shape, BATCH).keeps
    return kept.own + kept.x * nbytes(at.layer, at.in_shape) + kept.out * nbytes(at.layer, at.out_shape)

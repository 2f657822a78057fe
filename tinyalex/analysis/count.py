"""Counts of a network, layer by layer: parameters, operations, memory, bytes between devices. Nothing is computed.

All bytes are for one image; those of a batch of N are N times as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.errors import ShapeError
from tinyalex.layers import (
    AbsTanh,
    AvgPool2d,
    Conv2d,
    Dropout,
    Exchange,
    FirstConv2d,
    Flatten,
    Gather,
    GroupedLinear,
    Layer,
    Linear,
    LocalContrastNorm,
    LocallyConnected2d,
    LocalResponseNorm,
    MaxPool2d,
    SpatialResponseNorm,
    Split,
)
from tinyalex.layers.activation import Activation
from tinyalex.layers.towers import Crossing


@dataclass(frozen=True)
class Keeps:
    """What a layer's cache holds between forward and backward, for one image.

    x, out: whether it is the input or the output itself: an array that another layer may keep too.
    own: bytes of arrays that only this layer has.
    """

    x: bool = False
    out: bool = False
    own: int = 0


@dataclass(frozen=True)
class Row:
    """One layer.

    in_shape, out_shape: without the batch axis; a pair of shapes where two towers meet or part.
    weights, biases: numbers of them.
    macs: multiplications with a weight, each followed by an addition; places in the padding count.
    connections: as the paper's section 3.5 counts them, F0^2 (K^2 Kc + 1) Fc: inputs and bias of every unit.
    neurons: units of a layer with weights.
    activation_bytes: the output, 0 where it is the input seen otherwise.
    cache_bytes: what backward needs of forward, see `Keeps`; layers next to each other may hold the same array.
    forward_bytes, backward_bytes: sent to the other device.
    comparisons: numbers that max pooling looks at, window by window; places beyond the edge count.
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
    ShapeError: no shape of the input, or a layer that is not of this library.

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
    layer = at.layer
    crossing = isinstance(layer, Crossing)
    sent = sent_bytes(layer, at.in_shape)
    weights, biases = (math.prod(layer.params[key].shape) if key in layer.params else 0 for key in ("weight", "bias"))
    return Row(
        layer.name,
        type(layer).__name__,
        " + ".join(dict.fromkeys(device.name for device in layer.devices)) if isinstance(layer, Crossing) else layer.device.name,
        at.tower,
        at.in_shape,
        at.out_shape,
        weights,
        biases,
        _macs(layer, weights, at.out_shape),
        elements(at.out_shape) if weights else 0,
        0 if isinstance(layer, (Flatten, Split)) else nbytes(layer, at.out_shape),
        0 if crossing else cache_bytes(at),
        sent,
        sent,
        math.prod(layer.kernel_size) * elements(at.out_shape) if isinstance(layer, MaxPool2d) else 0,
    )


def _macs(layer: Layer, weights: int, out_shape: tuple[Any, ...]) -> int:
    if isinstance(layer, Conv2d):
        return weights * out_shape[1] * out_shape[2]  # every weight is used at every place
    return weights


def elements(shape: tuple[Any, ...]) -> int:
    """Numbers in an array of that shape, or in a pair of them."""
    return sum(map(elements, shape)) if shape and isinstance(shape[0], tuple) else math.prod(shape)


def nbytes(layer: Layer, shape: tuple[Any, ...]) -> int:
    """Bytes of an array of that shape, or of a pair, in the layer's type."""
    return elements(shape) * layer.dtype.itemsize


def sent_bytes(layer: Layer, in_shape: tuple[Any, ...]) -> int:
    """Bytes that go over to the other device in forward; as many come back in backward."""
    if not isinstance(layer, (Exchange, Gather)) or layer.devices[0] is layer.devices[1]:
        return 0
    a, b = in_shape
    return nbytes(layer, b) if isinstance(layer, Gather) else nbytes(layer, a) + nbytes(layer, b)


def keeps(at: Visit) -> Keeps:
    """What the layer's cache holds, as its docstring says under "Cache"."""
    layer, item = at.layer, at.layer.dtype.itemsize
    match layer:
        case FirstConv2d():
            return Keeps(own=layer.in_channels * math.prod(layer.windows(at.in_shape).sheet) * item)  # x with its padding
        case Conv2d() | Linear() | GroupedLinear() | LocallyConnected2d() | AbsTanh():
            return Keeps(x=True)
        case Activation():
            return Keeps(out=True)
        case LocalResponseNorm() | SpatialResponseNorm():
            return Keeps(x=True, own=elements(at.in_shape) * item)  # the scale of each element
        case LocalContrastNorm():
            c, h, w = at.in_shape
            return Keeps(own=(c + 1) * h * w * item)
        case MaxPool2d():
            windows = layer.windows(at.in_shape)
            return Keeps(own=at.in_shape[0] * windows.out[0] * (windows.sheet[1] + windows.out[1]))  # uint8 places
        case Dropout():
            return Keeps(own=elements(at.in_shape))  # a byte a unit
        case AvgPool2d() | Flatten() | Crossing():
            return Keeps()
    raise ShapeError(f"{layer.name}: the layer must be one whose cache is known, got {type(layer).__name__}")


def cache_bytes(at: Visit) -> int:
    """Bytes of all arrays in the layer's cache."""
    kept = keeps(at)
    return kept.own + kept.x * nbytes(at.layer, at.in_shape) + kept.out * nbytes(at.layer, at.out_shape)

"""What the functions that turn layers into nodes share: the nodes so far, the values between them, and which blobs the rows need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.formats.caffe.message import CaffeLayer, Message
from tinyalex.formats.free_names import FreeNames
from tinyalex.formats.graph import Node
from tinyalex.models.later.rows import KINDS
from tinyalex.models.rows import Row, Shape

Array = npt.NDArray[Any]
LARGEST = 2**24  # of a setting, such as a number of filters or a stride
PAD = "/pad"  # ends the name of a convolution that only adds rows of zeros, as `tinyalex.formats.caffe.rows` writes it
ZEROS = {"/zeros-behind": "behind", "/zeros-around": "around"}  # end that of one that only adds channels of zeros: where these are
SCALE_ALONE = {"eps": 1e-30, "statistics": "running"}  # a batch normalization that only scales and shifts: mean 0, variance 1


@dataclass
class Value:
    """What a blob holds at one point of the net. shape: (C, H, W) or (F,), () if it holds no images. readers: how many layers read it."""

    name: str
    shape: Shape
    readers: int = 0


@dataclass
class Slot:
    """Which blobs of which layer hold the parameters of a row.

    kind: "conv", "linear", "turned" (a linear layer whose weight is the transpose), "bn" or "scale"; of a convolution whose weights are
        fixed, "pad", "behind" or "around", see `fixed_weight`. layer: that has the weights.
    statistics: the BatchNorm layer of "bn". shape: of the weight.
    """

    kind: str
    layer: str
    row: str
    shape: Shape
    bias: bool = True
    statistics: str = ""


@dataclass
class Graph:
    """The nodes that were made so far."""

    nodes: list[Node] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)  # by the name of a value: the index of the node that gives it
    slots: list[Slot] = field(default_factory=list)
    multipliers: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    slices: dict[str, tuple[Value, int, int, Row | None]] = field(default_factory=dict)  # source, index, count, the LRN of the slice
    names: FreeNames = field(default_factory=FreeNames)
    fixed: list[Slot] = field(default_factory=list)  # of convolutions that only add zeros
    same_as: dict[str, Value] = field(default_factory=dict)  # by the name of a value: the one that it equals

    def same(self, x: Value, out: Value) -> None:
        """Let the value `out` be x, for a layer that changes nothing."""
        out.shape, self.same_as[out.name] = x.shape, x
        x.readers += out.readers - 1

    def real(self, value: Value) -> Value:
        """The value that this one equals."""
        return self.same_as.get(value.name, value)

    def name(self, wanted: str) -> str:
        """A name for a row that no other row has. Caffe's layers need no name of their own, and no name at all."""
        return self.names.free(wanted or "layer")

    def add(self, layer: CaffeLayer, row: Row, inputs: tuple[Value, ...], out: Value, shape: Shape) -> None:
        """Append a node that gives the value `out`. ShapeError: the layer's class refuses a setting."""
        check(row)
        out.shape = shape
        self.made[out.name] = len(self.nodes)
        self.nodes.append(Node(row, tuple(value.name for value in inputs), out.name, layer.place))

    def behind(self, value: Value, kind: str) -> Node | None:
        """The node that gives this value, if it is of this kind and nothing else reads the value."""
        index = self.made.get(value.name)
        node = None if index is None else self.nodes[index]
        return node if node is not None and node.row.kind == kind and value.readers == 1 else None

    def change(self, value: Value, out: Value, row: Row) -> None:
        """Replace the row of the node that gives `value`, and let the node give `out`. ShapeError: as `add`."""
        check(row)
        index = self.made.pop(value.name)
        node = self.nodes[index]
        self.nodes[index] = Node(row, node.inputs, out.name, node.where)
        self.made[out.name], out.shape = index, value.shape

    def learns(self, layer: CaffeLayer, row: str, bias: bool = True) -> None:
        """Note the factors of the rate and the decay of a layer's weight and bias, where they are not 1."""
        for key, param in zip(("weight", "bias") if bias else ("weight",), layer.params, strict=False):
            if (param.lr, param.decay) != (1, 1):
                self.multipliers[f"{row}.{key}"] = (param.lr, param.decay)


def fixed_weight(kind: str, shape: Shape) -> Array:
    """The weight of a convolution that copies its input and only adds zeros to it.

    "pad": rows below and columns to the right, by the last cell of a window alone. "behind", "around": channels, as in `ZeroShortcut`.
    """
    weight = np.zeros(shape, np.float32)
    if kind == "pad":
        weight[:, :, -1, -1] = 1
    else:
        own = np.arange(shape[1])
        weight[own + ((shape[0] - shape[1]) // 2 if kind == "around" else 0), own] = 1
    return weight


def check(row: Row) -> None:
    """Make the layer of a row, without parameters, so that its class refuses what is outside of its range."""
    if row.kind in KINDS:
        unknown = {"conv": {"in_channels": None}, "linear": {"in_features": None}}.get(row.kind, {})
        KINDS[row.kind](**{**row.settings, **unknown}, name=row.name)


def count(layer: CaffeLayer, message: Message, name: str, default: int | None, least: int = 1) -> int:
    """A whole number of a layer's parameters, from `least` on."""
    value = message.one(name, default)
    if value is None or not least <= value <= LARGEST:
        at = message.line_of(name)
        got = "none" if value is None else value
        raise layer.error(name, f"a whole number from {least} to {LARGEST:,}", got, at=at)
    return int(value)


def sides(layer: CaffeLayer, message: Message, name: str, high: str, wide: str, default: int | None, least: int = 1) -> tuple[int, int]:
    """A setting of the height and the width, which Caffe writes as one number, as two, or in two fields."""
    if message.has(high) or message.has(wide):
        return count(layer, message, high, default, least), count(layer, message, wide, default, least)
    values = message.all(name) or ([] if default is None else [default])
    if len(values) not in (1, 2) or not all(least <= value <= LARGEST for value in values):
        got = values or "none"
        raise layer.error(name, f"one or two whole numbers from {least} to {LARGEST:,}", got, at=message.line_of(name))
    return values[0], values[-1]


def plain(pair: tuple[int, int]) -> Any:
    """One number in the place of two equal ones."""
    return pair[0] if pair[0] == pair[1] else pair


def padding(pair: tuple[int, int]) -> Any:
    """The padding of four sides, or one number."""
    return pair[0] if pair[0] == pair[1] else (pair[0], pair[0], pair[1], pair[1])


def require(layer: CaffeLayer, message: Message, name: str, wanted: Any, default: Any, remedy: str | None = None) -> None:
    """Raise DataError unless each value of the field is the one that the engine can do."""
    for value in message.all(name) or [default]:
        if value != wanted:
            raise layer.error(name, str(wanted), value, remedy, at=message.line_of(name))


def images(layer: CaffeLayer, value: Value) -> tuple[int, int, int]:
    """The shape of a value that must be (C, H, W)."""
    if len(value.shape) != 3:
        raise layer.error("the input", "images (C, H, W)", f"a vector of {value.shape[0]:,}")
    return value.shape[0], value.shape[1], value.shape[2]


def require_whole(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...]) -> None:
    """Raise DataError if a value is a slice of another one."""
    for value in bottoms:
        if value.name in graph.slices:
            rule = "a whole value"
            raise layer.error("the input", rule, "a slice", "slices are read only where each goes through LRN and all are joined again")

"""One layer of Caffe as nodes of the engine's graph, for each type that the engine has.

What is special in Caffe: LRN divides alpha by the size of its window, and k is 1 where none is given. Pooling rounds up, but its last
window starts inside the image or its padding; a mean counts padded cells. Dropout scales while training. A batch normalization has its
scale and shift in the layer behind it. Averaging all of an image leaves two axes of length 1, which the engine does not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyalex.errors import DataError, ShapeError
from tinyalex.formats.caffe.fillers import init_of
from tinyalex.formats.caffe.message import CaffeLayer, Message, Param
from tinyalex.formats.graph import Node
from tinyalex.geometry import windows_of
from tinyalex.init import zeros
from tinyalex.models.rows import Row, Shape

LARGEST = 2**24  # of a setting, such as a number of filters or a stride
PAD = "/pad"  # ends the name of a convolution that only adds rows of zeros, as `tinyalex.formats.caffe.rows` writes it
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

    kind: "conv", "linear", "turned" (a linear layer whose weight is the transpose), "bn" or "scale". layer: that has the weights.
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
    taken: set[str] = field(default_factory=set)
    pads: list[Slot] = field(default_factory=list)  # of convolutions that only add rows of zeros
    same_as: dict[str, Value] = field(default_factory=dict)  # by the name of a value: the one that it equals

    def same(self, x: Value, out: Value) -> None:
        """Let the value `out` be x, for a layer that changes nothing."""
        out.shape, self.same_as[out.name] = x.shape, x
        x.readers += out.readers - 1

    def real(self, value: Value) -> Value:
        """The value that this one equals."""
        return self.same_as.get(value.name, value)

    def name(self, wanted: str) -> str:
        """A name for a row that no other row has."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}.{number}"
        self.taken.add(name)
        return name

    def add(self, layer: CaffeLayer, row: Row, inputs: tuple[Value, ...], out: Value, shape: Shape) -> None:
        """Append a node that gives the value `out`."""
        out.shape = shape
        self.made[out.name] = len(self.nodes)
        self.nodes.append(Node(row, tuple(value.name for value in inputs), out.name, layer.place))

    def behind(self, value: Value, kind: str) -> Node | None:
        """The node that gives this value, if it is of this kind and nothing else reads the value."""
        index = self.made.get(value.name)
        node = None if index is None else self.nodes[index]
        return node if node is not None and node.row.kind == kind and value.readers == 1 else None

    def change(self, value: Value, out: Value, row: Row) -> None:
        """Replace the row of the node that gives `value`, and let the node give `out`."""
        index = self.made.pop(value.name)
        node = self.nodes[index]
        self.nodes[index] = Node(row, node.inputs, out.name, node.where)
        self.made[out.name], out.shape = index, value.shape

    def learns(self, layer: CaffeLayer, row: str, bias: bool = True) -> None:
        """Note the factors of the rate and the decay of a layer's weight and bias, where they are not 1."""
        for key, param in zip(("weight", "bias") if bias else ("weight",), layer.params, strict=False):
            if (param.lr, param.decay) != (1, 1):
                self.multipliers[f"{row}.{key}"] = (param.lr, param.decay)


Convert = Callable[[Graph, CaffeLayer, tuple[Value, ...], tuple[Value, ...]], None]


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


def inits(graph: Graph, layer: CaffeLayer, message: Message, shape: Shape) -> dict[str, Any]:
    """The distributions of the initial weights and biases."""
    found: dict[str, Any] = {}
    for setting, name, of in (("weight_init", "weight_filler", shape), ("bias_init", "bias_filler", shape[:1])):
        init, missing = init_of(message.part(name, "Filler"), of)
        if init is None:
            graph.notes.append(f"{layer.name} has {missing}, so its initial values are the engine's own")
        else:
            found[setting] = init
    return found


def convolution(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Convolution; one of 1x1 on the output of a global mean is a fully connected layer."""
    (x,), (out,) = bottoms, tops
    p = layer.part("convolution_param", "Convolution")
    require(layer, p, "dilation", 1, 1)
    require(layer, p, "axis", 1, 1)
    filters, groups = count(layer, p, "num_output", None), count(layer, p, "group", 1)
    kernel, stride = sides(layer, p, "kernel_size", "kernel_h", "kernel_w", None), sides(layer, p, "stride", "stride_h", "stride_w", 1)
    pad, bias = sides(layer, p, "pad", "pad_h", "pad_w", 0, 0), p.one("bias_term", True)
    name = graph.name(layer.name)
    if len(x.shape) == 1 and kernel == (1, 1) and pad == (0, 0) and groups == 1:
        linear(graph, layer, x, out, name, filters, bias, p)
        return
    c, *size = images(layer, x)
    if c % groups or filters % groups:
        raise layer.error("group", f"a divisor of {c} channels and {filters} filters", groups, at=p.line_of("group"))
    shape = (filters, c // groups, *kernel)
    settings = {
        "out_channels": filters,
        "kernel_size": plain(kernel),
        "stride": plain(stride),
        "padding": padding(pad),
        "groups": groups,
        **({} if bias else {"bias": False}),
        **inits(graph, layer, p, shape),
    }
    if not bias:
        settings.pop("bias_init", None)
    more = padding_in_front(graph, x)
    if more is not None:
        size = [size[0] - more[0], size[1] - more[1]]
        settings["padding"] = (pad[0], pad[0] + more[0], pad[1], pad[1] + more[1])
    windows = windows_of(layer.name, (size[0], size[1]), kernel, stride, settings["padding"])
    graph.slots.append(Slot("conv", layer.name, name, shape, bias))
    graph.learns(layer, name, bias)
    if more is None:
        graph.add(layer, Row("conv", name, settings), (x,), out, (filters, *windows.out))
    else:
        graph.change(x, out, Row("conv", name, settings))
        out.shape = (filters, *windows.out)


def padding_in_front(graph: Graph, x: Value) -> tuple[int, int] | None:
    """How many rows and columns of zeros the convolution that gives x adds, if it does nothing else by its name and settings.

    Its weights are then checked, and are no weights of the net.
    """
    node = graph.behind(x, "conv")
    if node is None or not node.row.name.endswith(PAD):
        return None
    kernel = node.row["kernel_size"] if isinstance(node.row["kernel_size"], tuple) else (node.row["kernel_size"],) * 2
    more = (kernel[0] - 1, kernel[1] - 1)
    one = {"out_channels": x.shape[0], "groups": x.shape[0], "stride": 1, "padding": padding(more), "bias": False}
    name = f"{node.row.name}.weight"
    if any(node.row.settings.get(key) != value for key, value in one.items()) or graph.multipliers.get(name) != (0, 0):
        return None
    del graph.multipliers[name]
    (slot,) = (slot for slot in graph.slots if slot.row == node.row.name)
    graph.slots.remove(slot)
    graph.pads.append(slot)
    return more


def linear(
    graph: Graph, layer: CaffeLayer, x: Value, out: Value, name: str, units: int, bias: bool, p: Message, kind: str = "linear"
) -> None:
    """A fully connected layer on a vector."""
    shape = (units, x.shape[0])
    settings = {"out_features": units, **inits(graph, layer, p, shape)}
    graph.learns(layer, name, bias)
    if not bias:
        settings["bias_init"] = zeros
        graph.multipliers[f"{name}.bias"] = (0.0, 0.0)
    graph.slots.append(Slot(kind, layer.name, name, shape, bias))
    graph.add(layer, Row("linear", name, settings), (x,), out, (units,))


def inner_product(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """InnerProduct, which flattens images by itself."""
    (x,), (out,) = bottoms, tops
    p = layer.part("inner_product_param", "InnerProduct")
    require(layer, p, "axis", 1, 1)
    units, name = count(layer, p, "num_output", None), graph.name(layer.name)
    if len(x.shape) == 3:
        x = flattened(graph, layer, x, Value(f"{out.name} flattened", (), 1))
    linear(graph, layer, x, out, name, units, p.one("bias_term", True), p, "turned" if p.one("transpose", False) else "linear")


def flattened(graph: Graph, layer: CaffeLayer, x: Value, out: Value, name: str | None = None) -> Value:
    """A node that makes a vector of images."""
    c, h, w = images(layer, x)
    graph.add(layer, Row("flatten", graph.name(name or f"{layer.name}.flatten")), (x,), out, (c * h * w,))
    return out


def pooling(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Pooling: the maximum or the mean."""
    (x,), (out, *others) = bottoms, tops
    p = layer.part("pooling_param", "Pooling")
    method = p.one("pool", "MAX")
    if method == "STOCHASTIC" or others:
        raise layer.error("pool", "MAX or AVE with one output", method if not others else "a second output", at=p.line_of("pool"))
    c, *size = images(layer, x)
    name = graph.name(layer.name)
    if p.one("global_pooling", False) and method == "AVE":
        graph.add(layer, Row("global_pool", name), (x,), out, (c,))
        return
    if p.one("global_pooling", False):
        kernel, stride, pad = (size[0], size[1]), (1, 1), (0, 0)
    else:
        kernel, stride = sides(layer, p, "kernel_size", "kernel_h", "kernel_w", None), sides(layer, p, "stride", "stride_h", "stride_w", 1)
        pad = sides(layer, p, "pad", "pad_h", "pad_w", 0, 0)
    ceil = p.one("round_mode", "CEIL") == "CEIL"
    settings = {"kernel_size": plain(kernel), "stride": plain(stride), "padding": padding(pad), "ceil_mode": ceil}
    for n, k, s, one in zip(size, kernel, stride, pad, strict=True):
        if ceil and pad == (0, 0) and k <= n and -(-(n - k) // s) * s >= n + one:
            raise layer.error("stride", f"so small that no window of {k} lies outside of the image of {n}", s, at=p.line_of("stride"))
    windows = windows_of(layer.name, (size[0], size[1]), kernel, stride, settings["padding"], ceil, inside=True)
    kind = "pool" if method == "MAX" else "mean_pool"
    if kind == "mean_pool":
        settings["count_padding"] = True
    graph.add(layer, Row(kind, name, settings), (x,), out, (c, *windows.out))


def lrn(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """LRN across channels or within each channel; also that of a slice, see `join_slices`."""
    (x,), (out,) = bottoms, tops
    p = layer.part("lrn_param", "LRN")
    n = count(layer, p, "local_size", 5)
    if n % 2 == 0:
        raise layer.error("local_size", "odd", n, at=p.line_of("local_size"))
    numbers: dict[str, Any] = {"n": n, "k": p.one("k", 1.0), "alpha": p.one("alpha", 1.0), "beta": p.one("beta", 0.75)}
    within = p.one("norm_region", "ACROSS_CHANNELS") == "WITHIN_CHANNEL"
    if within:
        if numbers["k"] != 1:
            graph.notes.append(f"{layer.name}: k {numbers['k']:g} counts as 1, because Caffe reads none within a channel")
        row = Row("rnorm", layer.name, {**numbers, "k": 1.0, "alpha_over_area": True})
    else:
        row = Row("norm", layer.name, {**numbers, "alpha_over_n": True})
    if x.name in graph.slices and not within:
        source, index, pieces, _ = graph.slices.pop(x.name)
        graph.slices[out.name] = (source, index, pieces, row)
        out.shape = x.shape
        return
    images(layer, x)
    graph.add(layer, Row(row.kind, graph.name(layer.name), row.settings), (x,), out, x.shape)


def slices(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Slice into equal parts, of which each is normalized and which are then joined: normalization in groups."""
    (x,) = bottoms
    p = layer.part("slice_param", "Slice")
    require(layer, p, "axis", 1, 1)
    c, h, w = images(layer, x)
    pieces = len(tops)
    points = p.all("slice_point") or [c // pieces * i for i in range(1, pieces)]
    if c % pieces or points != [c // pieces * i for i in range(1, pieces)]:
        raise layer.error("slice_point", f"{pieces} equal parts of {c} channels", points, at=p.line_of("slice_point"))
    for index, top in enumerate(tops):
        top.shape = (c // pieces, h, w)
        graph.slices[top.name] = (x, index, pieces, None)


def join_slices(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], out: Value) -> bool:
    """Whether the inputs are the normalized slices of one value, in order; then they become one normalization with groups."""
    found = [graph.slices.get(value.name) for value in bottoms]
    if not any(found):
        return False
    rows = [each[3] for each in found if each is not None]
    sources = {each[0].name for each in found if each is not None}
    order = [each[1] for each in found if each is not None]
    alike = rows and all(row is not None and row.settings == rows[0].settings for row in rows if rows[0] is not None)
    if len(sources) != 1 or order != list(range(len(bottoms))) or not alike or rows[0] is None or found[0] is None:
        return False
    if found[0][2] != len(order):
        return False
    source = found[0][0]
    for value in bottoms:
        del graph.slices[value.name]
    row = Row("norm", graph.name(layer.name), {**rows[0].settings, "groups": len(bottoms)})
    graph.add(layer, row, (source,), out, source.shape)
    return True


def concat(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Concat along the channels."""
    (out,) = tops
    p = layer.part("concat_param", "Concat")
    require(layer, p, "axis", 1, 1)
    require(layer, p, "concat_dim", 1, 1)
    if join_slices(graph, layer, bottoms, out):
        return
    require_whole(graph, layer, bottoms)
    if len({value.shape[1:] for value in bottoms}) != 1:
        raise layer.error("the inputs", "of one height and width", " and ".join(str(value.shape) for value in bottoms))
    shape = (sum(value.shape[0] for value in bottoms), *bottoms[0].shape[1:])
    if len(bottoms) == 1:
        graph.same(bottoms[0], out)
        return
    graph.add(layer, Row("concat", graph.name(layer.name)), bottoms, out, shape)


def eltwise(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Eltwise: a sum, each input times a number."""
    (out,) = tops
    p = layer.part("eltwise_param", "Eltwise")
    require(layer, p, "operation", "SUM", "SUM", "only a product of images with one number a channel is there, as in Scale and Axpy")
    if len({value.shape for value in bottoms}) != 1 or len(bottoms) < 2:
        raise layer.error("the inputs", "at least 2 of one shape", " and ".join(str(value.shape) for value in bottoms))
    factors = p.all("coeff") or [1.0] * len(bottoms)
    if len(factors) != len(bottoms) or 0 in factors:
        raise layer.error("coeff", "one number other than 0 for each input", factors, at=p.line_of("coeff"))
    terms = []
    for number, (value, factor) in enumerate(zip(bottoms, factors, strict=True), 1):
        if factor != 1:
            term = Value(f"{out.name} term {number}", (), 1)
            graph.add(layer, Row("scale", graph.name(f"{layer.name}.{number}"), {"factor": float(factor)}), (value,), term, value.shape)
            value = term
        terms.append(value)
    graph.add(layer, Row("sum", graph.name(layer.name)), tuple(terms), out, bottoms[0].shape)


def product(graph: Graph, layer: CaffeLayer, image: Value, gate: Value, out: Value, name: str) -> None:
    """Images times a gate, one number a channel."""
    c, _, _ = images(layer, image)
    if gate.shape == (c, 1, 1):
        gate = flattened(graph, layer, gate, Value(f"{out.name} gate", (), 1), f"{name}.flatten")
    if gate.shape != (c,):
        raise layer.error("the gate", f"one number for each of {c} channels", str(gate.shape))
    graph.add(layer, Row("product", graph.name(name)), (image, gate), out, image.shape)


def axpy(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Axpy of SENet's authors: the first input, a gate, times the second one, plus the third one."""
    (gate, image, other), (out,) = bottoms, tops
    scaled = Value(f"{out.name} scaled", (), 1)
    product(graph, layer, image, gate, scaled, f"{layer.name}.product")
    if other.shape != image.shape:
        raise layer.error("the third input", f"of the shape {image.shape}", str(other.shape))
    graph.add(layer, Row("sum", graph.name(layer.name)), (scaled, other), out, image.shape)


def batch_norm(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """BatchNorm, whose scale and shift a Scale behind it may bring."""
    (x,), (out,) = bottoms, tops
    p = layer.part("batch_norm_param", "BatchNorm")
    c, _, _ = images(layer, x)
    name = graph.name(layer.name)
    settings: dict[str, Any] = {"convention": "caffe", "momentum": p.one("moving_average_fraction", 0.999), "eps": p.one("eps", 1e-5)}
    if p.one("use_global_stats", False):
        settings["statistics"] = "running"
    graph.multipliers |= {f"{name}.weight": (0.0, 0.0), f"{name}.bias": (0.0, 0.0)}
    graph.slots.append(Slot("bn", "", name, (c,), False, layer.name))
    graph.add(layer, Row("bn", name, settings), (x,), out, x.shape)


def scale(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Scale: that of a batch normalization, one alone, or, with two inputs, a product with a gate."""
    (x, *gates), (out,) = bottoms, tops
    p = layer.part("scale_param", "Scale")
    if gates:
        require(layer, p, "bias_term", False, False)
        require(layer, p, "axis", 0, 1)
        product(graph, layer, x, gates[0], out, layer.name)
        return
    require(layer, p, "axis", 1, 1)
    require(layer, p, "num_axes", 1, 1)
    c, _, _ = images(layer, x)
    bias, node = p.one("bias_term", False), graph.behind(x, "bn")
    slot = next((slot for slot in graph.slots if node is not None and slot.row == node.row.name and not slot.layer), None)
    fillers: dict[str, Any] = {}
    for setting, name in (("weight_init", "filler"), ("bias_init", "bias_filler")):
        init, _ = init_of(p.part(name, "Filler"), (c,)) if p.has(name) else (None, "")
        fillers |= {} if init is None else {setting: init}
    if node is None or slot is None:
        name = graph.name(layer.name)
        slot = Slot("scale", layer.name, name, (c,), bias)
        graph.slots.append(slot)
        graph.add(layer, Row("bn", name, {**SCALE_ALONE, **fillers}), (x,), out, x.shape)
    else:
        slot.layer, slot.bias = layer.name, bias
        graph.change(x, out, Row("bn", node.row.name, {**node.row.settings, **fillers}))
        for key in ("weight", "bias") if bias else ("weight",):
            del graph.multipliers[f"{slot.row}.{key}"]
    graph.learns(layer, slot.row, bias)
    if not bias:
        graph.multipliers[f"{slot.row}.bias"] = (0.0, 0.0)


def power(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Power: a factor. Behind a dropout of p, the factor 1 - p makes it the paper's, which scales while testing."""
    (x,), (out,) = bottoms, tops
    p = layer.part("power_param", "Power")
    require(layer, p, "power", 1, 1.0)
    require(layer, p, "shift", 0, 0.0)
    factor = p.one("scale", 1.0)
    node = graph.behind(x, "dropout")
    if node is not None and node.row["scale"] == "train" and factor == 1 - node.row["p"]:
        graph.change(x, out, node.row.having(scale="test"))
        return
    if factor == 1:
        graph.same(x, out)
        return
    if factor == 0:
        raise layer.error("scale", "a number other than 0", factor, at=p.line_of("scale"))
    graph.add(layer, Row("scale", graph.name(layer.name), {"factor": float(factor)}), (x,), out, x.shape)


def dropout(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Dropout, which scales while training."""
    (x,), (out,) = bottoms, tops
    p = layer.part("dropout_param", "Dropout")
    ratio = p.one("dropout_ratio", 0.5)
    if not 0 <= ratio < 1:
        raise layer.error("dropout_ratio", "at least 0 and below 1", ratio, at=p.line_of("dropout_ratio"))
    graph.add(layer, Row("dropout", graph.name(layer.name), {"p": float(ratio), "scale": "train"}), (x,), out, x.shape)


def abs_val(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """AbsVal, which the engine has behind tanh alone."""
    (x,), (out,) = bottoms, tops
    node = graph.behind(x, "tanh")
    if node is None:
        raise layer.error("the layer in front", "a TanH that nothing else reads", "another one")
    graph.change(x, out, Row("abstanh", node.row.name))


def flatten(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Flatten and Reshape into a vector."""
    (x,), (out,) = bottoms, tops
    if layer.type == "Flatten":
        p = layer.part("flatten_param", "Flatten")
        require(layer, p, "axis", 1, 1)
        if p.one("end_axis", -1) not in (-1, 3):
            raise layer.error("end_axis", "-1", p.one("end_axis"), at=p.line_of("end_axis"))
    else:
        p = layer.part("reshape_param", "Reshape")
        require(layer, p, "axis", 0, 0)
        require(layer, p, "num_axes", -1, -1)
        dims = p.part("shape", "Shape").all("dim")
        size = 1
        for side in x.shape:
            size *= side
        channels = (0,) if x.shape[0] == size else ()  # 0 keeps the number of channels
        if len(dims) < 2 or dims[0] not in (0, 1, -1) or dims[1] not in (-1, size, *channels) or any(dim != 1 for dim in dims[2:]):
            raise layer.error("shape", f"0 and -1, which makes a vector of {size:,}", dims, at=p.line_of("shape"))
    if len(x.shape) == 1:
        graph.same(x, out)
    else:
        flattened(graph, layer, x, out, layer.name)


def split(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Split, which Caffe inserts where a value is read several times."""
    for out in tops:
        graph.same(bottoms[0], out)
    bottoms[0].readers += len(tops) - 1


def activation(kind: str) -> Convert:
    """A layer without settings of this kind."""

    def convert(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
        (x,), (out,) = bottoms, tops
        if kind == "relu":
            require(layer, layer.part("relu_param", "ReLU"), "negative_slope", 0, 0.0)
        graph.add(layer, Row(kind, graph.name(layer.name)), (x,), out, x.shape)

    return convert


def require_whole(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...]) -> None:
    """Raise DataError if a value is a slice of another one."""
    for value in bottoms:
        if value.name in graph.slices:
            rule = "a whole value"
            raise layer.error("the input", rule, "a slice", "slices are read only where each goes through LRN and all are joined again")


TYPES: Mapping[str, tuple[Convert, int, int]] = {  # the function, the fewest and the most inputs
    "Convolution": (convolution, 1, 1),
    "InnerProduct": (inner_product, 1, 1),
    "Pooling": (pooling, 1, 1),
    "LRN": (lrn, 1, 1),
    "Slice": (slices, 1, 1),
    "Concat": (concat, 1, 4096),
    "Eltwise": (eltwise, 1, 4096),
    "Axpy": (axpy, 3, 3),
    "BatchNorm": (batch_norm, 1, 1),
    "Scale": (scale, 1, 2),
    "Power": (power, 1, 1),
    "Dropout": (dropout, 1, 1),
    "AbsVal": (abs_val, 1, 1),
    "Flatten": (flatten, 1, 1),
    "Reshape": (flatten, 1, 1),
    "Split": (split, 1, 1),
    "ReLU": (activation("relu"), 1, 1),
    "Sigmoid": (activation("sigmoid"), 1, 1),
    "TanH": (activation("tanh"), 1, 1),
}


def convert(graph: Graph, layer: CaffeLayer, bottoms: tuple[Value, ...], tops: tuple[Value, ...]) -> None:
    """Append the nodes of one layer. DataError: the engine cannot do what it does; the message names the line."""
    if layer.type not in TYPES:
        raise layer.error("the type", f"one that the engine has, {', '.join(TYPES)}", layer.type)
    function, fewest, most = TYPES[layer.type]
    if not fewest <= len(bottoms) <= most or not tops or (len(tops) > 1 and layer.type not in ("Slice", "Split", "Pooling")):
        rule = f"from {fewest} to {most} and 1" if most > fewest else f"{fewest} and 1"
        raise layer.error("the numbers of bottoms and tops", rule, f"{len(bottoms)} and {len(tops)}")
    if layer.type not in ("LRN", "Concat"):
        require_whole(graph, layer, bottoms)
    try:
        function(graph, layer, bottoms, tops)
    except ShapeError as error:
        raise DataError(f"{layer.where}: layer {layer.name!r}: {error}") from None


__all__ = ["Graph", "Param", "Slot", "Value", "convert"]

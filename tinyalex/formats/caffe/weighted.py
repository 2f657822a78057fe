"""The layers of Caffe that have weights, as nodes: convolutions, fully connected layers, batch normalization and scales."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinyalex.formats.caffe.fillers import init_of
from tinyalex.formats.caffe.message import CaffeLayer, Message
from tinyalex.formats.caffe.slots import PAD, SCALE_ALONE, ZEROS, Graph, Slot, Value, count, images, padding, plain, require, sides
from tinyalex.geometry import windows_of
from tinyalex.init import zeros
from tinyalex.models.rows import Row, Shape


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


def flattened(graph: Graph, layer: CaffeLayer, x: Value, out: Value, name: str | None = None) -> Value:
    """A node that makes a vector of images."""
    c, h, w = images(layer, x)
    graph.add(layer, Row("flatten", graph.name(name or f"{layer.name}.flatten")), (x,), out, (c * h * w,))
    return out


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
    where = next((where for end, where in ZEROS.items() if layer.name.endswith(end)), None)
    fixed = not bias and [(param.lr, param.decay) for param in layer.params] == [(0, 0)] and pad == (0, 0) and groups == 1
    if where is not None and fixed and kernel == (1, 1) and stride[0] == stride[1] and filters >= c:
        graph.fixed.append(Slot(where, layer.name, name, shape, False))
        row = Row("shortcut", graph.name(layer.name.rpartition("/")[0]), {"channels": filters, "stride": stride[0], "zeros": where})
        graph.add(layer, row, (x,), out, (filters, *(-(-side // stride[0]) for side in size)))
        return
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
    graph.fixed.append(replace(slot, kind="pad"))
    return more


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
    slot = next((slot for slot in reversed(graph.slots) if node is not None and slot.row == node.row.name and not slot.layer), None)
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


def product(graph: Graph, layer: CaffeLayer, image: Value, gate: Value, out: Value, name: str) -> None:
    """Images times a gate, one number a channel."""
    c, _, _ = images(layer, image)
    if gate.shape == (c, 1, 1):
        gate = flattened(graph, layer, gate, Value(f"{out.name} gate", (), 1), f"{name}.flatten")
    if gate.shape != (c,):
        raise layer.error("the gate", f"one number for each of {c} channels", str(gate.shape))
    graph.add(layer, Row("product", graph.name(name)), (image, gate), out, image.shape)

"""Writing a network as an ONNX file, for the runtimes and the viewers of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex import __version__
from tinyalex.errors import ShapeError, show
from tinyalex.files.atomic import require_path, write_bytes
from tinyalex.formats.graph import Node, unfold
from tinyalex.formats.imported import Arrays, Imported
from tinyalex.formats.onnx.graph_out import Out
from tinyalex.formats.onnx.layers_out import LAYERS, OPSETS
from tinyalex.formats.onnx.preparation import HEADS, text_of
from tinyalex.formats.onnx.shapes import layer_of, shape_of
from tinyalex.layers import Layer
from tinyalex.models.later.rows import MERGES, build_net
from tinyalex.models.rows import Shape
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import arrays_of, check_tensors, match_state

LOWEST = 9  # the opset in which batch normalization, Dropout and broadcasting are as they are today
SOURCE = "images"


def write_onnx(path: Path | str, net: Imported, text: Mapping[str, str] | None = None, about: SavedNet | None = None) -> None:
    """Write a network atomically as an ONNX file, with the shape of every value, for batches of any size.

    The file computes what the net computes in use. Auxiliary heads, which work in training alone, are further outputs. Settings of the
    training that ONNX does not have stand in the `doc_string` of their node, so that `read_onnx` gives the same net again.

    Parameters
    ----------
    net: with arrays of one tower or of two; layers without arrays get initial values. float64 becomes float32.
    text: further entries of the file's `metadata_props`. about: how images are prepared and what classes are called, which becomes an
        entry too, see `tinyalex.formats.onnx.preparation`.

    Raises
    ------
    ShapeError: a layer that ONNX does not have, or arrays of 2 GiB and more. CheckpointError: the arrays are those of another net, or the
        file cannot be written.
    """
    path = require_path(path)
    entries = {**(text or {}), **({} if about is None else text_of(about)), **({HEADS: json.dumps(net.heads)} if net.heads else {})}
    write_bytes(path, onnx_model(str(path), net, entries).SerializeToString(deterministic=True))


def onnx_model(who: str, net: Imported, text: Mapping[str, str]) -> Any:
    """The ModelProto of a network. who: the file, for messages."""
    if net.in_shape is None or not net.rows:
        raise ShapeError(f"{who}: the network must have rows and the shape of an image, got {'no shape' if net.rows else 'no rows'}")
    source, taken = SOURCE, _names(net)
    while source in taken:
        source += "_"
    nodes, sink = unfold(net.rows, source)
    shapes, layers = _shapes(who, nodes, source, net.in_shape)
    out = Out(who, max([LOWEST, *(OPSETS.get(node.row.kind, 0) for node in nodes)]), _arrays(who, net, layers), [source, *shapes])
    same: dict[str, str] = {}  # values that are another one under a second name
    heads: list[str] = []
    for node in nodes:
        inputs = [same.get(value, value) for value in node.inputs]
        given = [shapes[value] for value in node.inputs]
        if node.row.kind == "both":  # the head works in training alone
            same[node.output] = inputs[0]
            heads.insert(0, inputs[1])
        elif node.row.kind in MERGES:
            _join(out, node, inputs, given, shapes[node.output])
        else:
            LAYERS[node.row.kind](out, node.row, layers[node.row.name], inputs[0], given[0])
    last = same.get(sink, sink)
    if net.ends == "probabilities":
        if len(shapes[sink]) != 1:
            raise ShapeError(f"{who}: a network with a softmax must end with a vector, got {show(shapes[sink])}")
        last = out.step("Softmax", [last], "softmax", shapes[sink], axis=1)
    doc = "\n".join(net.notes)
    model = out.model(net.name, (source, net.in_shape), [last, *heads], doc, text)
    model.producer_name, model.producer_version = "tinyalex", __version__
    return model


def _names(net: Imported) -> set[str]:
    """The names of all rows."""
    return {node.output for node in unfold(net.rows, "\n")[0]}


def _shapes(who: str, nodes: list[Node], source: str, in_shape: Shape) -> tuple[dict[str, Shape], dict[str, Layer]]:
    """The shape of every value for one image, and the layers without memory for their arrays."""
    shapes, layers = {source: tuple(in_shape)}, {}
    for node in nodes:
        given = tuple(shapes[value] for value in node.inputs)
        if node.row.kind == "both":
            shapes[node.output] = given[0]
        elif node.row.kind in MERGES:
            shapes[node.output] = shape_of(node.row, given)
        elif node.row.kind in LAYERS:
            layers[node.row.name] = layer_of(node.row, given[0])
            shapes[node.output] = layers[node.row.name].output_shape(given[0])
        else:
            raise ShapeError(f"{who}: the kind of {node.row.name} must be one of {', '.join(LAYERS)} for ONNX, got {show(node.row.kind)}")
    return shapes, layers


def _arrays(who: str, net: Imported, layers: Mapping[str, Layer]) -> Arrays:
    """The arrays by the names of a net with one tower, each with the shape that its layer needs."""
    wanted = {f"{name}.{key}": array for name, layer in layers.items() for key, array in (*layer.params.items(), *layer.buffers.items())}
    found = match_state({name: np.asarray(array) for name, array in net.arrays.items()}, wanted)
    if not wanted.keys() <= found.keys():
        assert net.in_shape is not None
        found = {name: np.asarray(array) for name, array in arrays_of(build_net(net.rows, net.in_shape, net.name)).items()} | found
    check_tensors(f"{who}: array", wanted, found, exact=False)
    return found


def _join(out: Out, node: Node, inputs: list[str], given: list[Shape], shape: Shape) -> None:
    if node.row.kind == "concat":
        out.node("Concat", inputs, node.output, shape, axis=1)
    elif node.row.kind == "sum":
        out.node("Add" if len(inputs) == 2 else "Sum", inputs, node.output, shape)
    else:
        gate = out.with_axes("Unsqueeze", inputs[1], out.free(f"{node.output}.gate"), (*given[1], 1, 1), (2, 3))
        out.node("Mul", [inputs[0], gate], node.output, shape)

"""Writes a net as a prototxt, to deploy it or to train it on, and its weights as a caffemodel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, require_choice, require_int
from tinyalex.files.atomic import require_path, write_atomically, write_bytes
from tinyalex.formats.caffe.blobs import turned_colors
from tinyalex.formats.caffe.maker import Maker, layer
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.net import CaffeNet
from tinyalex.formats.caffe.rows import made
from tinyalex.formats.caffe.text import write_text
from tinyalex.formats.caffe.wire import write_wire
from tinyalex.formats.graph import unfold
from tinyalex.formats.imported import Imported
from tinyalex.loss import HEAD
from tinyalex.models.later.rows import flat
from tinyalex.models.rows import Row, Rows

WHO = "caffe"


def write_prototxt(path: Path | str, net: Imported, *, phase: str = "deploy", batch_size: int = 1) -> None:
    """Write the layers of a net as a prototxt.

    Pooling that rounds down, where rounding up would give another size, gets `round_mode: FLOOR`; OpenCV does not know it.

    Parameters
    ----------
    net: with rows and `in_shape`. The factors of learning rates and the weights of heads are written if it is a `CaffeNet`.
    phase: "deploy" for a net that ends with its outputs, or with probabilities if `net.ends` says so; "train_val" for one that reads
        labeled images from the folders train_lmdb and val_lmdb, and ends with the losses.
    batch_size: images in a batch.

    Raises
    ------
    CheckpointError: Caffe has no layer that computes what a row does. DiskFull: there is no room for the file.
    """
    require_choice(WHO, "phase", phase, ("deploy", "train_val"))
    message = message_of(net, Maker(_multipliers(net)), phase, require_int(WHO, "batch_size", batch_size))
    write_bytes(require_path(path), write_text(message).encode())


def write_caffemodel(path: Path | str, net: Imported, *, bgr: bool = False) -> None:
    """Write the weights of a net and its layers, auxiliary heads included, as a caffemodel.

    bgr: whether the first convolution, which reads red, green, blue, is turned to read blue, green, red, as Caffe's images are.

    Raises
    ------
    CheckpointError: a row has no arrays, or Caffe has no layer that computes what it does. DiskFull: there is no room for the file.
    """
    arrays = turned_colors(net.rows, net.in_shape or (), net.arrays) if bgr else net.arrays
    pieces = list(write_wire(message_of(net, Maker(_multipliers(net), arrays), "all", 1)))
    write_atomically(require_path(path), pieces, sum(len(piece) for piece in pieces))


def _multipliers(net: Imported) -> Mapping[str, tuple[float, float]]:
    return net.multipliers if isinstance(net, CaffeNet) else {}


def message_of(net: Imported, maker: Maker, phase: str, batch_size: int) -> Message:
    """The message of a net. phase: "deploy", "train_val", or "all" for the layers of "train_val" without data and losses."""
    if net.in_shape is None or not net.rows:
        raise CheckpointError(f"{WHO}: the net must have rows and the shape of an image, got arrays alone; name its network")
    rows = without_heads(net.rows) if phase == "deploy" else net.rows
    maker.names.taken |= {row.name for row in flat(rows)}
    source, label = maker.free("data"), maker.free("label")
    nodes, sink = unfold(rows, source)
    maker.names.taken |= {node.output for node in nodes}
    found = Message("Net")
    found.add("name", net.name)
    maker.shapes[source] = tuple(net.in_shape)
    for data in _data(net, source, label, batch_size) if phase == "train_val" else [_input(net, source, batch_size)]:
        found.add("layer", data)
    heads: list[str] = []
    same: dict[str, str] = {}  # a join of a head gives the main value
    for node in nodes:
        inputs = tuple(same.get(value, value) for value in node.inputs)
        if node.row.kind == "both":
            same[node.output] = inputs[0]
            heads += inputs[1:]
            continue
        for each in made(maker, node.row, inputs):
            found.add("layer", each)
    sink = same.get(sink, sink)
    if phase == "train_val":
        weights = net.heads if len(net.heads) == len(heads) else (HEAD,) * len(heads)
        for each in _losses(maker, sink, label, list(zip(heads, weights, strict=True))):
            found.add("layer", each)
    elif phase == "deploy" and net.ends == "probabilities":
        found.add("layer", layer("Softmax", maker.free("prob"), (sink,)))
    return found


def without_heads(rows: Rows) -> Rows:
    """The rows without auxiliary heads."""
    kept: list[Row] = []
    for row in rows:
        if row.kind == "branches" and row["merge"] == "both":
            kept += without_heads(row["paths"][0])
        elif row.kind == "branches":
            kept.append(row.having(paths=tuple(without_heads(path) for path in row["paths"])))
        else:
            kept.append(row)
    return tuple(kept)


def _input(net: Imported, source: str, batch_size: int) -> Message:
    shape = Message("Shape")
    for side in (batch_size, *(net.in_shape or ())):
        shape.add("dim", side)
    return layer("Input", source, (), input_param=[("shape", shape)])


def _data(net: Imported, source: str, label: str, batch_size: int) -> Iterator[Message]:
    """The layers that read images for training and for testing."""
    data: Mapping[str, Any] = net.data if isinstance(net, CaffeNet) else {}
    channels, *size = net.in_shape or (0, 0, 0)
    for phase, folder in (("TRAIN", "train_lmdb"), ("TEST", "val_lmdb")):
        transform: list[tuple[str, Any]] = [("mirror", phase == "TRAIN"), ("crop_size", size[0])]
        transform += [(key, data[key]) for key in ("mean_file", "scale") if key in data]
        transform += [("mean_value", value) for value in data.get("mean_value", ())]
        transform += [("force_gray", True)] if channels == 1 else []
        settings = [("source", folder), ("batch_size", batch_size), ("backend", "LMDB")]
        found = layer("Data", source, (), (source, label), data_param=settings, transform_param=transform)
        rule = Message("Rule")
        rule.add("phase", phase)
        found.add("include", rule)
        yield found


def _losses(maker: Maker, sink: str, label: str, heads: list[tuple[str, float]]) -> Iterator[Message]:
    """The loss of the main output and of each head, and how many images are named rightly."""
    for number, (value, weight) in enumerate(heads, 1):
        found = layer("SoftmaxWithLoss", maker.free(f"loss.head{number}"), (value, label))
        found.add("loss_weight", weight)
        yield found
    yield layer("SoftmaxWithLoss", maker.free("loss"), (sink, label))
    found = layer("Accuracy", maker.free("accuracy"), (sink, label))
    rule = Message("Rule")
    rule.add("phase", "TEST")
    found.add("include", rule)
    yield found

"""Reads a net of Caffe: a prototxt, a caffemodel, or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyalex.errors import DataError
from tinyalex.files.atomic import require_path
from tinyalex.formats.caffe.blobs import arrays_of, blobs_of, turned_colors
from tinyalex.formats.caffe.message import Message, layers_of
from tinyalex.formats.caffe.net import CaffeNet, NoSizeError, Wanted, name_of, net_of, trained_phase
from tinyalex.formats.caffe.slots import Graph
from tinyalex.formats.caffe.text import read_text
from tinyalex.formats.caffe.wire import read_wire


def read_prototxt(path: Path | str, weights: Path | str | None = None, *, rgb: bool = False, **wanted: Any) -> CaffeNet:
    """The net that a prototxt describes, with the weights of a caffemodel.

    Parameters
    ----------
    weights: a caffemodel, whose layers are found by their names; None for a net with initial values.
    rgb: whether the first layer with weights is turned to read red, green, blue, as the engine's data are, instead of blue, green, red.
    phase, level, stages: which layers are read where the file has rules of include and exclude; "TEST" or "TRAIN", 0, ().
    in_shape: (C, H, W) of one image; None for that of the file. open_shape: the same, where the file does not say it.
    output: the top that the net gives; None for the input of the main loss, or the only top that nothing reads.
    heads: whether auxiliary heads are kept, with whose losses the net is then trained.

    Raises
    ------
    DataError: the prototxt cannot be read, or the engine cannot do what it says; the message names the line.
    CheckpointError: the caffemodel cannot be read, or is of another net.
    """
    path = require_path(path)
    net, graph = net_of(read_text(path, "Net"), str(path), Wanted(**wanted))
    if weights is None:
        return net
    file = require_path(weights)
    return filled(net, graph, read_wire(file, "Net"), str(file), rgb)


def read_caffemodel(path: Path | str, *, rgb: bool = False, **wanted: Any) -> CaffeNet:
    """The net and the weights of a caffemodel, which holds the description of the net that was trained as well.

    The parameters are those of `read_prototxt`; phase is the one in which the net was trained, if the file says it. Where the file does
    not say how large an image is and `in_shape` is not given, or has no net but blobs, there are no rows, and `arrays` has the blobs of
    each layer by their numbers, such as "conv1.0".

    Raises
    ------
    CheckpointError: the file cannot be read. DataError: the engine cannot do what it says.
    """
    path = require_path(path)
    message = read_wire(path, "Net")
    return whole(message, str(path), Wanted(**{"phase": trained_phase(message, str(path)), **wanted}), rgb)


def whole(message: Message, source: str, wanted: Wanted, rgb: bool) -> CaffeNet:
    """The net and the weights in the message of a caffemodel."""
    try:
        net, graph = net_of(message, source, wanted)
    except DataError as error:
        described = any(layer.bottoms and layer.tops for layer in layers_of(message, source))
        if wanted.in_shape is not None or (described and not isinstance(error, NoSizeError)):
            raise
        arrays = {f"{layer}.{number}": array for layer, own in blobs_of(message, source).items() for number, array in enumerate(own)}
        why = error.sentence if described else f"{source}: no layer says what it reads and gives"
        return CaffeNet(name_of(message), source, (), None, arrays, notes=(why,))
    return filled(net, graph, message, source, rgb)


def filled(net: CaffeNet, graph: Graph, message: Message, source: str, rgb: bool) -> CaffeNet:
    """The net with the arrays of a caffemodel."""
    arrays, notes = arrays_of(graph.slots, graph.fixed, blobs_of(message, source), source)
    if rgb:
        arrays = turned_colors(net.rows, net.in_shape or (), arrays)
        notes.append("the first layer was turned from BGR to RGB")
    return replace(net, source=f"{net.source} and {source}" if net.source != source else source, arrays=arrays, notes=(*net.notes, *notes))

"""Nets of cuda-convnet: the file of layers, and that of their parameters, as rows.

Two towers are written as two columns there, conv1a on gpu 0 and conv1b on gpu 1. Each pair becomes one row of twice the width. Where a
half reads only its own half below, the row has two groups; where it reads both, one. So the net computes what two devices compute, and
`alexnet(towers=2)` shows how they share the work. A pooling or convolution counts a last window that reaches over the edge (ceil).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tinyalex.errors import DataError, require_int, said, show
from tinyalex.formats.cfg.rows_of_layer import HALVED, WEIGHTED, Source, rows_of_layer
from tinyalex.formats.cfg.sections import Section, integer, number, positive, read_sections
from tinyalex.formats.graph import Node, fold
from tinyalex.formats.imported import Imported
from tinyalex.models.later.rows import flat
from tinyalex.models.rows import Row

JOINS = {"eltsum": "sum", "concat": "concat"}
TYPES = ("neuron", *WEIGHTED, *HALVED, *JOINS)
LARGE, SMALL = 224, 32  # pixels of an image where the file does not say: ImageNet's crops, and CIFAR-10's images
MANY = 100  # outputs from which a net is taken for one of ImageNet


@dataclass(frozen=True)
class Layer:
    """A layer, or both halves of one. sections: one, or those of the halves. inputs: the names of the layers that it reads, in order."""

    name: str
    sections: tuple[Section, ...]
    inputs: tuple[tuple[str, ...], ...]

    @property
    def first(self) -> Section:
        """The section that stands for the layer."""
        return self.sections[0]

    @property
    def type(self) -> str:
        """The type of the layer in the file."""
        return self.first.text("type")


def read_cfg(path: Path | str, params: Path | str | None = None, size: int | None = None) -> Imported:
    """The net that a file of cuda-convnet describes.

    Parameters
    ----------
    path: the file of layers. params: that of their parameters, which normalization needs; rates of training are read by `read_rates`.
    size: height and width of an image, which no file says; None for 224 or, for nets of fewer than 100 outputs, 32.

    Raises
    ------
    DataError: a file cannot be read, is malformed, or has a layer that the engine does not have; the message names the line.
    ShapeError: the layers are not made of paths that leave from one value and meet again.
    """
    layers, own = read_layers(path), read_sections(params) if params is not None else {}
    who = str(path)
    owner = _owner(layers)
    source, sink = _source(who, layers), _sink(who, layers)
    needed = _needed(layers, owner, sink)
    nodes: list[Node] = []
    notes: list[str] = []
    image = {source: True}
    for layer in layers.values():
        if layer.name in needed and layer.name != source:
            for node, is_image in _nodes(layer, owner, image, own, notes):
                nodes.append(node)
                image[node.output] = is_image
    rows = fold(who, nodes, source, image_of(layers[sink]))
    side = require_int(who, "size", size) if size is not None else _side(rows)
    if size is None:
        notes.insert(0, f"the file does not say how large images are; {side}x{side} is a guess from its number of outputs")
    channels = next((each for layer in layers.values() if (each := _channels(layer, source))), 3)
    ends = "probabilities" if any(layer.type == "softmax" for layer in layers.values()) else "logits"
    return Imported(Path(path).stem, who, rows, (channels, side, side), ends=ends, notes=tuple(dict.fromkeys(notes)))


def _channels(layer: Layer, source: str) -> int:
    """The channels of an image, if the layer reads images and says so; else 0."""
    reads = any(source in inputs for inputs in layer.inputs)
    return layer.first.one("channels", positive) if reads and "channels" in layer.first.values else 0


def _side(rows: tuple[Row, ...]) -> int:
    last = [row for row in flat(rows) if row.weighted][-1:]
    return LARGE if last and last[0].width >= MANY else SMALL


Owner = Mapping[str, tuple[Layer, int]]  # for each section the layer to which it belongs, and which half of it is


def _owner(layers: Mapping[str, Layer]) -> Owner:
    return {section.name: (layer, i) for layer in layers.values() for i, section in enumerate(layer.sections)}


def image_of(layer: Layer) -> str:
    """The value that a layer gives, behind its neurons."""
    return f"{layer.name}_neuron" if _neuron(layer.first) else layer.name


def _neuron(section: Section) -> bool:
    return section.text("type") not in ("neuron", "data") and section.text("neuron", "ident") not in ("ident", "")


def read_layers(path: Path | str) -> dict[str, Layer]:
    """The layers of a file by name, in order; the halves of a layer are one. Raises DataError."""
    sections = read_sections(path)
    halves = dict(_halves(sections))
    layers: dict[str, Layer] = {}
    for name in sections:
        whole = halves.get(name, name)
        if whole not in layers:
            own = tuple(sections[each] for each in ((f"{whole}a", f"{whole}b") if name in halves else (name,)))
            layers[whole] = Layer(whole, own, tuple(_inputs(each, sections) for each in own))
    return layers


def _inputs(section: Section, sections: Mapping[str, Section]) -> tuple[str, ...]:
    """The names of the sections that a section reads, each of which stands before it."""
    if section.text("type") == "data":
        return ()
    found = tuple(section.list("inputs"))
    for name in found:
        if name not in sections or sections[name].line >= section.line:
            section.fail("inputs must be layers that stand before it", show(name), "inputs")
    return found


def _halves(sections: Mapping[str, Section]) -> Iterator[tuple[str, str]]:
    """The name of each section that is half of a layer, and the name of the layer: conv1a and conv1b are on different devices."""
    gpu: dict[str, str] = {}
    for name, section in sections.items():
        below = section.list("inputs", "")[0]
        gpu[name] = section.text("gpu", gpu.get(below, "0"))
    pairs = {}
    for name, section in sections.items():
        whole, other = name[:-1], sections.get(f"{name[:-1]}b")
        if name.endswith("a") and whole and other and gpu[name] != gpu[other.name] and _alike(section, other):
            pairs[whole] = (name, other.name)
    halves = {half for pair in pairs.values() for half in pair}
    for whole, pair in pairs.items():
        if whole not in sections or whole in halves:  # fc2048ba and fc2048bb are a layer fc2048b, though a half of another is called so too
            yield from ((half, whole) for half in pair)


def _alike(one: Section, two: Section) -> bool:
    """Whether two sections are of one kind: all their values are equal but those that name other layers, devices and functions."""
    mine, theirs = ({key: value for key, (value, _) in each.values.items() if key not in OF_A_HALF} for each in (one, two))
    return mine == theirs


OF_A_HALF = ("inputs", "gpu", "initwfunc", "initbfunc", "weightsource")


def _source(who: str, layers: Mapping[str, Layer]) -> str:
    """The layer that gives the images: the data with the index 0."""
    found = [name for name, layer in layers.items() if layer.type == "data" and layer.first.one("dataidx", integer, "0") == 0]
    if len(found) != 1:
        raise DataError(f"{who}: data with dataIdx=0 must be one layer, got {len(found)}; the engine's nets read images alone")
    return found[0]


def _sink(who: str, layers: Mapping[str, Layer]) -> str:
    """The layer in front of the softmax of the cost; without one, the last layer."""
    costs = [layer for layer in layers.values() if layer.type == "cost.logreg"]
    ends = {layer.inputs[0][-1] for layer in costs} or {name for name, layer in layers.items() if layer.type == "softmax"}
    if len(ends) > 1:
        raise DataError(f"{who}: the softmax must be one layer, got {said(', '.join(sorted(ends)))}; take the others out of the file")
    last = ends.pop() if ends else list(layers)[-1]
    layer = layers.get(last)
    if layer is None:
        raise DataError(f"{who}: the layer in front of the cost must be whole, got {show(last)}, a half")
    return layer.inputs[0][0] if layer.type == "softmax" else last


def _needed(layers: Mapping[str, Layer], owner: Owner, sink: str) -> set[str]:
    """The names of the layers that the sink needs."""
    todo, found = [sink], set()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [owner[each][0].name for inputs in layers[name].inputs for each in inputs]
    return found


def _sources(layer: Layer, owner: Owner) -> list[Source]:
    """What a layer reads: each layer below once, and whether every half reads its own half of it."""
    read: list[dict[str, set[int]]] = []
    for inputs in layer.inputs:
        mine: dict[str, set[int]] = {}
        for name in inputs:
            whole, half = owner[name]
            if half in mine.setdefault(whole.name, set()):
                layer.first.fail("inputs must be different layers", show(name), "inputs")
            mine[whole.name].add(half)
        read.append(mine)
    if any(set(mine) != set(read[0]) for mine in read):
        layer.first.fail("the halves must read the same layers", f"other ones for {layer.sections[1].name}", "inputs")
    found = []
    places: dict[str, tuple[int, Layer]] = {}
    for i, each in enumerate(layer.inputs[0]):
        places.setdefault(owner[each][0].name, (i, owner[each][0]))
    for name, (place, below) in places.items():
        halves = len(below.sections)
        every = all(len(mine[name]) == halves for mine in read)
        own = halves == 2 and len(read) == 2 and [mine[name] for mine in read] == [{0}, {1}]
        if not every and not own:
            layer.first.fail("a layer must read both halves of one below, or each half its own", f"a half of {name}", "inputs")
        found.append(Source(tuple(each.name for each in below.sections), image_of(below), own, None if len(read[0]) == 1 else place))
    return found


def _nodes(
    layer: Layer, owner: Owner, image: Mapping[str, bool], params: Mapping[str, Section], notes: list[str]
) -> Iterator[tuple[Node, bool]]:
    """The nodes of a layer and of its neurons, each with whether it gives an image."""
    section, where = layer.first, f"line {layer.first.line}"
    if layer.type not in TYPES:
        section.fail(f"type must be one of {', '.join(TYPES)}", layer.type, "type", "the engine has no other layer of the authors' program")
    sources = _sources(layer, owner)
    value, is_image = layer.name, True
    if layer.type in JOINS:
        in_order = [each for source in sources for each in source.sections]
        if len(layer.sections) > 1 or list(layer.inputs[0]) != in_order or (layer.type == "eltsum" and len(in_order) > len(sources)):
            section.fail(f"{layer.type} must read whole layers, or both halves in order", show(", ".join(layer.inputs[0])), "inputs")
        if set(section.list("coeffs", "1")) - {"1", "1.0"}:
            section.fail("coeffs must be 1", section.text("coeffs"), "coeffs")
        is_image = image[sources[0].value]
        yield Node(Row(JOINS[layer.type], layer.name), tuple(source.value for source in sources), value, where), is_image
    else:
        if len(sources) > 1 and layer.type not in WEIGHTED:
            section.fail(f"{layer.type} must have one input", f"{len(sources)}", "inputs")
        if layer.type not in WEIGHTED and (sources[0].own, len(layer.sections)) != (
            len(sources[0].sections) == 2,
            len(sources[0].sections),
        ):
            section.fail("each half must read its own half", sources[0].value, "inputs")
        made = []
        for i, source in enumerate(sources):
            name = layer.name if len(sources) == 1 else f"{layer.name}.{i + 1}"
            at = source.value
            is_image = image[at] and layer.type != "fc"
            if layer.type == "fc" and image[at]:
                at = f"{name}_flat"
                yield Node(Row("flatten", at), (source.value,), at, where), False
            own = [params[each.name] for each in layer.sections if each.name in params]
            rows = (
                iter((neuron(section, name),))
                if layer.type == "neuron"
                else rows_of_layer(layer.sections, own, name, source, i == 0, notes)
            )
            for row in rows:
                yield Node(row, (at,), row.name, where), is_image
                at = row.name
            made.append(at)
        if len(made) > 1:
            yield Node(Row("sum", layer.name), tuple(made), value, where), is_image
        elif made[0] != value:  # a layer that does nothing here
            yield Node(Row("sum", layer.name), (made[0],), value, where), is_image
    if _neuron(section):
        yield Node(neuron(section, f"{layer.name}_neuron"), (value,), f"{layer.name}_neuron", where), is_image


NEURON = re.compile(r"(\w+)(?:\[([^\[\]]*)\])?")
NEURONS = {"relu": "relu", "logistic": "sigmoid", "tanh": "tanh", "abstanh": "abstanh"}


def neuron(section: Section, name: str) -> Row:
    """The row of the function that a section applies to each of its outputs."""
    text = section.text("neuron")
    if text == "ident":
        return Row("scale", name, {"factor": 1.0})
    found = NEURON.fullmatch(text.replace(" ", ""))
    if not found or found[1] not in NEURONS:
        known = "relu, logistic, tanh[a,b], abstanh[a,b] or ident"
        section.fail(f"neuron must be {known}", show(text), "neuron", "the engine has no other function of the authors' program")
    factors = found[2].split(",") if found[2] else []
    if len(factors) not in ((0, 2) if "tanh" in found[1] else (0,)):
        section.fail("neuron must be a name, or tanh or abstanh with two factors", show(text), "neuron")
    settings = {key: number(section, "neuron", factor) for key, factor in zip("ab", factors, strict=False)}
    return Row(NEURONS[found[1]], name, settings)

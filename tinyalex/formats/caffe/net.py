"""A net of Caffe as rows: which layers a phase has, what flows between them, where the net ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tinyalex.errors import DataError, did_you_mean, require_bool, require_choice, require_int, show
from tinyalex.formats.caffe.convert import convert
from tinyalex.formats.caffe.message import CaffeLayer, Message, layers_of
from tinyalex.formats.caffe.slots import LARGEST, Graph, Value
from tinyalex.formats.graph import fold
from tinyalex.formats.imported import Imported
from tinyalex.models.later.rows import flat, head_ends
from tinyalex.models.rows import Shape
from tinyalex.models.saved_net import printable

DATA = {  # the layers that give images, and the field that holds their settings
    "Input": "input_param", "Data": "data_param", "ImageData": "image_data_param", "MemoryData": "memory_data_param",
    "HDF5Data": "hdf5_data_param", "DummyData": "dummy_data_param", "WindowData": "window_data_param",
}  # fmt: skip
LEFT_OUT = ("Accuracy", "Silence", "ArgMax", "HDF5Output")  # they change nothing of what the net computes
LOSS = "SoftmaxWithLoss"


class NoSizeError(DataError):
    """The file does not say how large an image is."""


@dataclass(frozen=True, eq=False)
class CaffeNet(Imported):
    """What a file of Caffe says beyond the net.

    multipliers: of `SGD`, from lr_mult and decay_mult, where they are not 1. data: of the layer that reads the images: batch_size,
        crop_size, mirror, scale, mean_value (in the order of the channels, BGR) and mean_file, as far as it gives them.
    """

    multipliers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which net of a file is read; see `tinyalex.formats.caffe.read_prototxt`."""

    phase: str = "TEST"
    level: int = 0
    stages: tuple[str, ...] = ()
    in_shape: Shape | None = None
    open_shape: Shape | None = None
    output: str | None = None
    heads: bool = False

    def __post_init__(self) -> None:
        require_choice("caffe", "phase", self.phase, ("TRAIN", "TEST"))
        require_bool("caffe", "heads", self.heads)
        require_int("caffe", "level", self.level, least=-LARGEST)
        if not isinstance(self.stages, (tuple, list)) or not all(isinstance(stage, str) for stage in self.stages):
            raise DataError(f"caffe: stages must be a tuple of names, got {show(self.stages)}")
        if self.in_shape is not None:
            if not isinstance(self.in_shape, (tuple, list)) or len(self.in_shape) != 3:
                raise DataError(f"caffe: in_shape must be (C, H, W), got {show(self.in_shape)}")
            for side in self.in_shape:
                require_int("caffe", "a size of in_shape", side)

    def has(self, layer: CaffeLayer) -> bool:
        """Whether a layer is in the net of this phase, by Caffe's rules."""
        included, excluded = layer.message.all("include"), layer.message.all("exclude")
        if included and excluded:
            raise layer.error("its rules", "include or exclude", "both")
        if included:
            return any(self._meets(rule) for rule in included)
        return not any(self._meets(rule) for rule in excluded)

    def _meets(self, rule: Message) -> bool:
        stages = set(self.stages)
        return (
            rule.one("phase", self.phase) == self.phase
            and rule.one("min_level", self.level) <= self.level <= rule.one("max_level", self.level)
            and stages >= set(rule.all("stage"))
            and not stages & set(rule.all("not_stage"))
        )


@dataclass
class Wired:
    """The layers of one phase, each with the values that it reads and gives."""

    layers: list[tuple[CaffeLayer, tuple[Value, ...], tuple[Value, ...]]] = field(default_factory=list)
    inputs: dict[str, tuple[Value, Shape | None, CaffeLayer | None]] = field(default_factory=dict)  # by the name of the blob
    losses: list[tuple[CaffeLayer, Value]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def net_of(message: Message, source: str, wanted: Wanted) -> tuple[CaffeNet, Graph]:
    """The net in a message, without arrays, and the graph that says which blobs its rows need. DataError: the engine cannot do it."""
    every = list(layers_of(message, source))
    layers = [layer for layer in every if wanted.has(layer)]
    if not layers:
        raise DataError(f"{source}: the net must have a layer in the phase {wanted.phase}, got none")
    shared: dict[str, str] = {}
    for layer in layers:
        for param in layer.params:
            if param.name and shared.setdefault(param.name, layer.name) != layer.name:
                raise layer.error("the name of a param", "its own, because the engine shares no weights", param.name)
    other = replace(wanted, phase="TRAIN" if wanted.phase == "TEST" else "TEST")
    elsewhere = {top for layer in every if other.has(layer) for top in layer.tops} - {top for layer in layers for top in layer.tops}
    wired = _wired(message, layers, (wanted.phase, other.phase), elsewhere)
    image, shape, reader = _image(wired, source, wanted)
    graph, ends = Graph(), dict[str, Value]()
    image.shape = shape
    for layer, bottoms, tops in wired.layers:
        bottoms = tuple(graph.real(value) for value in bottoms)
        if layer.type == "Softmax":
            if len(bottoms) != 1 or len(tops) != 1:
                raise layer.error("the numbers of bottoms and tops", "1 and 1", f"{len(bottoms)} and {len(tops)}")
            if layer.part("softmax_param", "Axis").one("axis", 1) != 1 or tops[0].readers:
                raise layer.error("the softmax", "the last layer, over the channels", "another place or axis")
            ends[tops[0].name] = bottoms[0]
            continue
        for value in bottoms:
            if not value.shape:
                raise layer.error("an input", "images or what a layer of the net gives", "labels or another input")
        convert(graph, layer, bottoms, tops)
    main, heads = _outputs(wired, graph, ends, source, wanted)
    notes = [*graph.notes, *([f"left out: {', '.join(wired.left_out)}"] if wired.left_out else [])]
    rows = fold(source, graph.nodes, image.name, main.name, tuple(heads))
    kept = {row.name for row in flat(rows)}
    weights = {graph.nodes[graph.made[head]].row.name: weight for head, weight in heads.items() if head in graph.made}
    order = head_ends(rows)
    if not weights.keys() >= set(order):
        rule = f"{source}: the loss of an auxiliary head must read a layer that the rest of the net does not read"
        raise DataError(f"{rule}, got one that it reads; read the net without its heads")
    graph.slots = [slot for slot in graph.slots if slot.row in kept]
    multipliers = {name: pair for name, pair in graph.multipliers.items() if name.rpartition(".")[0] in kept}
    net = CaffeNet(
        name_of(message),
        source,
        rows,
        shape,
        ends="probabilities" if ends and not wired.losses else "logits",
        notes=tuple(notes),
        multipliers=multipliers,
        heads=tuple(weights[name] for name in order),
        data={} if reader is None else data_of(reader),
    )
    return net, graph


def trained_phase(message: Message, source: str) -> str:
    """The phase of the net in a caffemodel: TRAIN if images are read in that alone, because Caffe writes the net that it trained."""
    rules = [rule.one("phase") for layer in layers_of(message, source) if layer.type in DATA for rule in layer.message.all("include")]
    return "TRAIN" if set(rules) - {None} == {"TRAIN"} else "TEST"


def name_of(message: Message) -> str:
    """The name of a net; characters that cannot be printed are replaced."""
    return printable([message.one("name") or "caffe"])[0]


def _wired(message: Message, layers: Sequence[CaffeLayer], phases: tuple[str, str], elsewhere: set[str]) -> Wired:
    """Give every value a name of its own, also where a layer works in place, and count its readers.

    phases: that of the layers, and the other one. elsewhere: the tops that only the other phase has, for messages.
    """
    wired, now = Wired(), dict[str, Value]()
    counts: dict[str, int] = {}

    def new(blob: str) -> Value:
        counts[blob] = counts.get(blob, 0) + 1
        now[blob] = Value(blob if counts[blob] == 1 else f"{blob}#{counts[blob]}", ())
        return now[blob]

    dims, shapes = message.all("input_dim"), message.all("input_shape")
    for number, blob in enumerate(message.all("input")):
        sides = dims[4 * number : 4 * number + 4] or (shapes[number].all("dim") if number < len(shapes) else [])
        wired.inputs[blob] = (new(blob), tuple(sides[1:]) if len(sides) == 4 else None, None)
    for layer in layers:
        if layer.type in DATA:
            for number, blob in enumerate(layer.tops):
                if blob in now:
                    raise layer.error("the top", "a new name", blob)
                wired.inputs[blob] = (new(blob), _data_shape(layer, number), layer)
            continue
        for blob in layer.bottoms:
            if blob not in now:
                rule, remedy = "a top of a layer in front of it", did_you_mean(blob, now)
                if blob in elsewhere:
                    rule, remedy = f"a top in phase {phases[0]}", f"it is a top only in phase {phases[1]}"
                raise layer.error("the bottom", rule, blob, remedy, at=layer.message.line_of("bottom"))
        bottoms = tuple(now[blob] for blob in layer.bottoms)
        if layer.type in LEFT_OUT:
            wired.left_out.append(layer.name or layer.type)
            continue
        if layer.type == LOSS:
            if len(bottoms) != 2:
                raise layer.error("the bottoms", "2, the outputs and the labels", len(bottoms))
            weight = layer.message.one("loss_weight", 1.0)
            if not 0 <= weight < float("inf"):
                raise layer.error("loss_weight", "a finite number of at least 0", weight, at=layer.message.line_of("loss_weight"))
            wired.losses.append((layer, bottoms[0]))
            continue
        if not layer.tops:
            raise layer.error("the tops", "at least 1", "none")
        for value in bottoms:
            value.readers += 1
        for blob in layer.tops:
            if blob in now and blob not in layer.bottoms:
                raise layer.error("the top", "a new name, or a bottom of the same layer", blob, at=layer.message.line_of("top"))
        if len(set(layer.tops)) < len(layer.tops):
            raise layer.error("the tops", "different", layer.tops)
        wired.layers.append((layer, bottoms, tuple(new(blob) for blob in layer.tops)))
    return wired


def _data_shape(layer: CaffeLayer, number: int) -> Shape | None:
    """(C, H, W) of a top of a layer that gives images, if it says so."""
    p = layer.part(DATA[layer.type], {"Input": "Input"}.get(layer.type, layer.type))
    shapes = p.all("shape") if layer.type in ("Input", "DummyData") else []
    if shapes:
        dims = (shapes[number] if number < len(shapes) else shapes[-1]).all("dim")
        return tuple(dims[1:]) if len(dims) == 4 else None
    if layer.type in ("MemoryData", "DummyData") and number == 0 and p.has("channels"):
        return tuple(p.all(side)[0] if p.has(side) else 0 for side in ("channels", "height", "width"))
    crop = data_of(layer).get("crop_size")
    gray = layer.part("transform_param", "Transform").one("force_gray", False) or not p.one("is_color", True)
    return (1 if gray else 3, crop, crop) if crop and number == 0 else None


def data_of(layer: CaffeLayer) -> dict[str, Any]:
    """What a layer that gives images says about them: see `CaffeNet`."""
    found: dict[str, Any] = {}
    for part in (layer.part(DATA[layer.type], layer.type), layer.part("transform_param", "Transform")):
        for key in ("batch_size", "crop_size", "mirror", "scale", "mean_file", "source"):
            if isinstance(part.one(key), (int, float, str)):
                found[key] = part.one(key)
        if part.has("mean_value"):
            found["mean_value"] = tuple(part.all("mean_value"))
    return found


def _image(wired: Wired, source: str, wanted: Wanted) -> tuple[Value, Shape, CaffeLayer | None]:
    """The one input that the layers read, its shape, and the layer that gives it."""
    read = {blob: each for blob, each in wired.inputs.items() if each[0].readers}
    if len(read) != 1:
        got = ", ".join(map(show, list(read)[:5])) or "none"
        raise DataError(f"{source}: the inputs that layers read must be one, the images, got {got}")
    ((blob, (value, shape, layer)),) = read.items()
    shape = tuple(wanted.in_shape) if wanted.in_shape is not None else wanted.open_shape if shape is None else shape
    where = source if layer is None else layer.where
    if shape is None:
        rule = f"{where}: the input {show(blob)} must have a shape (C, H, W)"
        raise NoSizeError(f"{rule}, got none in the file", "give in_shape=(3, 32, 32), or convert with --in-shape 3,32,32")
    if len(shape) != 3 or not all(0 < side <= LARGEST for side in shape):
        raise DataError(f"{where}: the shape of the input {show(blob)} must be three sizes from 1 to {LARGEST:,}, got {show(shape)}")
    return value, shape, layer


def _outputs(
    wired: Wired, graph: Graph, ends: Mapping[str, Value], source: str, wanted: Wanted
) -> tuple[Value, dict[str, float]]:
    """The value that the net gives, and the weights of the losses of auxiliary heads by the values of these, if they are wanted."""
    if wired.losses and wanted.output is None:
        weighted = [(layer.message.one("loss_weight", 1.0), graph.real(value)) for layer, value in wired.losses]
        at = max(range(len(weighted)), key=lambda i: (weighted[i][0], i))
        most, main = weighted[at]
        heads = {value.name: float(weight / (most or 1)) for weight, value in weighted if value is not main}
        if heads and not wanted.heads:
            names = ", ".join(printable([name.partition("#")[0] for name in heads]))
            graph.notes.append(f"left out: what ends with {names}, auxiliary heads that only training needs")
        return main, heads if wanted.heads else {}
    values = {graph.real(value).name: graph.real(value) for _, _, tops in wired.layers for value in tops if not value.readers}
    values = {name: value for name, value in values.items() if name not in ends} | dict(ends)
    if wanted.output is not None:
        last = {value.name.partition("#")[0]: graph.real(value) for _, _, tops in wired.layers for value in tops} | dict(ends)
        if wanted.output not in last:
            remedy = did_you_mean(wanted.output, last) or f"the last ones are {', '.join(map(show, list(last)[-5:]))}"
            raise DataError(f"{source}: output must be a top of a layer, got {show(wanted.output)}", remedy)
        return last[wanted.output], {}
    if len(values) != 1:
        got = ", ".join(map(show, list(values)[:5])) or "none"
        raise DataError(f"{source}: the outputs of the net must be one, got {got}; choose one with output=, --output of `tinyalex convert`")
    (main,) = values.values()
    return main, {}

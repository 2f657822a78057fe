"""Reading an ONNX file as rows and arrays: constants are folded, operators become layers, and the graph of layers folds into rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.errors import DataError, ShapeError, show
from tinyalex.formats.graph import Node, fold
from tinyalex.formats.imported import Imported
from tinyalex.formats.onnx import own
from tinyalex.formats.onnx.constants import FOLDED
from tinyalex.formats.onnx.flow import Flow
from tinyalex.formats.onnx.model import FLOATING, MOST_AXES, Model, load_model, nodes_of
from tinyalex.formats.onnx.operator import Op
from tinyalex.formats.onnx.operators import OPERATORS, own_layer
from tinyalex.formats.onnx.preparation import HEADS, KEY, described, heads_of
from tinyalex.formats.onnx.reader import MOST_VALUES, Reader
from tinyalex.models.rows import Row, Shape
from tinyalex.models.saved_net import printable

ANY_BATCH = 1_000_003  # stands for a batch of any size: a prime, so that no size of the file is a multiple of it
MOST_NODES = 20_000
STEPS, MOST_STEPS = ("Add", "Cast", "Div", "Identity", "Mul", "Pad", "Sub"), 8  # what may stand before the axes of the images are turned


def read_onnx(path: Path | str, *, in_shape: Sequence[int] | None = None, output: str | None = None) -> Imported:
    """The network of an ONNX file, from opset 3 on. Nothing of the file is executed, and no other file is opened.

    Parameters
    ----------
    in_shape: (C, H, W) of one image, where the file leaves the height or the width open. output: the name of the output that the network
        gives, where the file has several; None for the first one. A softmax at the end is left out, see `Imported.ends`.

    Raises
    ------
    CheckpointError: the file cannot be read. DataError: it is damaged, has its arrays in another file, or has an operator that the engine
        does not have, which the message names with its node.
    """
    model = load_model(path)
    reader, source = _begin(model, in_shape)
    names = [value.name for value in model.graph.output]
    sinks = [output] if output is not None else names
    if output is not None and output not in names:
        raise DataError(f"{model.path}: output must be one of {', '.join(printable(names))[:200]}, got {show(output)}")
    heads = sinks[1:] if model.ours else []  # of a net of ours: auxiliary heads
    if len(sinks) > 1 + len(heads):
        reader.notes[f"The file has {len(sinks)} outputs; the net gives the first, {printable(sinks)[0]!r}."] = None
    for op in _needed(model, reader, [*sinks[:1], *heads]):
        try:
            with np.errstate(all="ignore"):  # infinite weights stay what they are
                _read(reader, op)
        except MemoryError:
            op.refuse("the operator", "one for which there is memory", "too little of it")
    ends = [_end(reader, name) for name in (*sinks[:1], *heads)]
    probabilities = ends[0].softmax
    values = [_classes(reader, end).value for end in ends]
    drafts = reader.drafts.values()
    nodes = [
        Node(Row(draft.kind, draft.name, draft.settings), tuple(flow.value for flow in draft.inputs), draft.output, draft.where)
        for draft in drafts
    ]
    try:
        rows = fold(str(model.path), nodes, source.value, values[0], values[1:])
    except ShapeError as error:
        raise DataError(error.sentence, error.remedy) from None
    if not rows:
        rows = (Row("scale", "identity", {"factor": 1.0}),)  # a graph that passes its input on, or ends with a softmax of it
    arrays = {f"{draft.name}.{key}": array for draft in drafts for key, array in draft.arrays.items()}
    name = printable([model.graph.name])[0].strip()[:120] or model.path.stem
    kind = "probabilities" if probabilities else "logits"
    losses = heads_of([value for key, value in model.properties if key == HEADS], len(values) - 1)
    net = Imported(name, str(model.path), rows, source.shape, arrays, kind, tuple(reader.notes), heads=losses)
    return described(net, [value for key, value in model.properties if key == KEY])


def _begin(model: Model, in_shape: Sequence[int] | None) -> tuple[Reader, Flow]:
    """A reader that knows the initializers and the one input."""
    graph = model.graph
    count = sum(1 for _ in nodes_of(graph))
    if count > MOST_NODES:
        raise DataError(f"{model.path}: the graph must have at most {MOST_NODES:,} nodes, got {count:,}")
    if len(graph.sparse_initializer):
        raise DataError(f"{model.path}: initializers must be dense arrays, got {len(graph.sparse_initializer)} sparse ones")
    stored = Counter(tensor.name for tensor in graph.initializer)
    twice = next((name for name, count in stored.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{model.path}: initializers must have names of their own, got {show(twice)} twice")
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or not graph.output:
        got = f"{len(inputs)} inputs ({', '.join(printable([value.name for value in inputs]))[:100]}) and {len(graph.output)} outputs"
        raise DataError(f"{model.path}: the graph must have one input, the images, and an output, got {got}")
    last = _channels_last(model, inputs[0].name)
    if last and in_shape is not None and len(in_shape) == 3:
        in_shape = (*in_shape[1:], in_shape[0])
    batch, seen = _input_shape(model, inputs[0], in_shape)
    reader = Reader(model, batch, Counter())
    source = Flow(inputs[0].name, seen, seen)
    if last and len(seen) == 3:
        source = Flow(inputs[0].name, (seen[2], *seen[:2]), seen, order=(1, 2, 0))
        reader.notes["The file takes images (N, H, W, C); the net takes them as (N, C, H, W)."] = None
    reader.values[source.value] = source
    for tensor in graph.initializer:
        reader.values[tensor.name] = model.tensor(tensor, show(tensor.name))
    return reader, source


def _channels_last(model: Model, value: str) -> bool:
    """Whether the graph begins with images (N, H, W, C), and turns them into (N, C, H, W) after at most a few steps."""
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for _ in range(MOST_STEPS):
        if len(readers.get(value, ())) != 1:
            return False
        (node,) = readers[value]
        if node.op_type == "Transpose":
            return any(tuple(attribute.ints) == (0, 3, 1, 2) for attribute in node.attribute)
        if node.op_type not in STEPS or not node.output:
            return False
        value = node.output[0]
    return False


def _input_shape(model: Model, value: Any, in_shape: Sequence[int] | None) -> tuple[int, Shape]:
    """The batch that a file declares, and the shape of one image."""
    path, kind = model.path, value.type.tensor_type
    if kind.elem_type not in (*FLOATING, 2):
        raise DataError(f"{path}: the input {show(value.name)} must hold floats, got type {kind.elem_type} of ONNX")
    declared = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
    batch, sizes = (declared[0] if declared and declared[0] > 0 else ANY_BATCH), tuple(declared[1:])
    if in_shape is not None:
        sizes = tuple(given if size <= 0 else size for given, size in zip(in_shape, sizes, strict=False)) if len(sizes) else tuple(in_shape)
        if sizes != tuple(in_shape):
            raise DataError(f"{path}: in_shape must be {sizes}, as the file has it, got {show(tuple(in_shape))}")
    if not 1 <= len(sizes) <= MOST_AXES or min(sizes) < 1 or math.prod(sizes) > MOST_VALUES:
        rule = f"{path}: the input {show(value.name)} must have a batch and other axes of known sizes"
        remedy = "give in_shape=(C, H, W), or convert with --in-shape C,H,W"
        raise DataError(f"{rule}, got {show(tuple(declared))}, with 0 for what is open", remedy)
    return batch, sizes


def _needed(model: Model, reader: Reader, outputs: Sequence[str]) -> list[Op]:
    """The nodes that lead to the outputs, in the order of the file; every value has to be given once."""
    given: dict[str, int] = {}
    for number, node in enumerate(model.graph.node):
        for name in node.output:
            if name and (name in given or name in reader.values):
                rule = f"{model.path}: node {number} {show(node.name)} must give a new value"
                raise DataError(f"{rule}, got {show(name)}, which is there already")
            given[name] = number
    wanted = list(outputs)
    found: set[int] = set()
    reader.uses.update(wanted)
    while wanted:
        giver = given.get(wanted.pop())
        if giver is not None and giver not in found:
            found.add(giver)
            inputs = [name for name in model.graph.node[giver].input if name]
            for attribute in model.graph.node[giver].attribute:
                if attribute.HasField("g"):
                    inputs += [name for node in nodes_of(attribute.g) for name in node.input if name]
            reader.uses.update(inputs)
            wanted += inputs
    return [Op(model, model.graph.node[number], number, reader.budget) for number in sorted(found)]


def _read(reader: Reader, op: Op) -> None:
    """Compute a node's constants, or make layers of it."""
    if op.domain not in ("", "ai.onnx", own.DOMAIN):
        op.refuse("the operator", "one of ONNX itself", f"{op.kind} of {printable([op.domain])[0]}")
    inputs = [reader.value(op, i) for i in range(len(op.inputs))]
    result: Any
    if op.domain == own.DOMAIN:
        result = own_layer(reader, op)
    elif op.kind in FOLDED and not any(isinstance(value, Flow) for value in inputs):
        result = _constant(op, inputs)
    elif op.kind == "If":
        result = _branch(reader, op)
    elif op.kind in OPERATORS:
        result = OPERATORS[op.kind](reader, op)
    else:
        op.refuse("the operator", "one that tinyalex has", op.kind)
    results = result if isinstance(result, tuple) else (result,)
    for name, value in zip(op.outputs, results, strict=False):
        reader.values[name] = value


def _branch(reader: Reader, op: Op) -> tuple[Any, ...]:
    """What an If gives whose condition is a constant, as PyTorch writes for shapes that it does not know: the nodes of one branch."""
    condition = reader.constant(op, 0, "the condition")
    if condition.size != 1:
        op.refuse("the condition", "one value", condition)
    graph = op.graph("then_branch" if condition.reshape(-1)[0] else "else_branch")
    for node in graph.node:
        if any(name in reader.values for name in node.output):
            op.refuse("the values inside of it", "new ones", printable([*node.output])[0])
        _read(reader, Op(reader.model, node, op.number, reader.budget))
    names = [value.name for value in graph.output]
    if any(name not in reader.values for name in names):
        op.refuse("its outputs", "given by nodes inside of it", printable(names)[0])
    return tuple(reader.values[name] for name in names)


def _constant(op: Op, inputs: Sequence[Any]) -> Any:
    """The value of a node whose inputs are all constants."""
    try:
        result = FOLDED[op.kind](op, inputs)
    except DataError:
        raise
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        op.refuse("its constants", "ones that fit together", f"{type(error).__name__}: {error}")
    return result


def _end(reader: Reader, name: str) -> Flow:
    value = reader.values.get(name)
    if not isinstance(value, Flow):
        raise DataError(f"{reader.model.path}: the output {show(name)} must be computed of the input, got a constant or nothing")
    if any(value.padding) or value.part is not None or value.squares is not None:
        raise DataError(f"{reader.model.path}: the output {show(name)} must be given by a layer, got Pad, Split or x^2")
    if value.features is not None or (value.order is not None and math.prod(value.seen) != max(value.seen)):
        rule = f"{reader.model.path}: the output {show(name)} must have its channels first, as the layers have them"
        raise DataError(f"{rule}, got another order of axes")
    return value


def _classes(reader: Reader, flow: Flow) -> Flow:
    """The last value; classes that are images of one pixel become a vector."""
    if flow.is_vector or math.prod(flow.shape[1:]) != 1 or flow.value not in reader.drafts:
        return flow
    return reader.flattened(flow)

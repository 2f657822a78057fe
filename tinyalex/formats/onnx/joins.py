"""Operators with several values that the network computes: concatenation, sums, gates; and the parts that a value is split into."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from tinyalex.formats.onnx.constants import axis_of, whole_numbers
from tinyalex.formats.onnx.flow import Flow, Part
from tinyalex.formats.onnx.operator import Op
from tinyalex.formats.onnx.reader import Reader

Tensor = npt.NDArray[Any]


def concat(reader: Reader, op: Op) -> Flow:
    """Values side by side along their channels."""
    values = [reader.value(op, i) for i in range(len(op.inputs))]
    parts = [value.part for value in values if isinstance(value, Flow) and value.part is not None]
    if parts and len(parts) == len(values):
        return _joined(reader, op, parts)
    flows = [reader.flow(op, i) for i in range(len(values))]
    axis = axis_of(op, op.whole("axis", 1), len(flows[0].seen) + 1)
    if axis == 0 or any(flow.axes is None or len(flow.seen) < axis or flow.axes[axis - 1] != 0 for flow in flows):
        op.refuse("axis", f"that of the channels of {reader.shown(flows[0])}", axis)
    if len({(flow.order, len(flow.seen)) for flow in flows}) != 1 or any(flow.features is not None for flow in flows):
        op.refuse("its inputs", "in one order of axes", "several")
    if len({len(flow.shape) for flow in flows}) != 1:
        flows = [reader.vector(op, flow) for flow in flows]
    first = flows[0]
    made = reader.add(op, "concat", reader.name(op), tuple(flows), {})
    seen = tuple(sum(flow.seen[i] for flow in flows) if i == axis - 1 else size for i, size in enumerate(first.seen))
    return replace(made, seen=seen, order=first.order)


def _joined(reader: Reader, op: Op, parts: list[Part]) -> Flow:
    """The parts of a response normalization in groups."""
    first = parts[0]
    whole = all(part.whole.value == first.whole.value and part.norm == first.norm for part in parts)
    if not whole or not first.norm or [part.index for part in parts] != list(range(first.count)):
        op.refuse("its inputs", "all parts of one array in their order, each behind the same LRN", f"{len(parts)} parts")
    return reader.add(op, "norm", reader.name(op), (first.whole,), {**first.norm, "groups": first.count})


def split(reader: Reader, op: Op) -> tuple[Flow, ...]:
    """Equal parts of the channels, which only a response normalization in groups may read."""
    flow, count = reader.image(op), len(op.outputs)
    given = op.wholes("split", ())
    if op.opset >= 13 and reader.value(op, 1) is not None:
        given = whole_numbers(op, "split", reader.constant(op, 1, "split"))
    equal = (flow.shape[0] // count,) * count
    if axis_of(op, op.whole("axis", 0), 4) != 1 or flow.shape[0] % count or (given and given != equal):
        op.refuse("its parts", f"{count} equal ones of the {flow.shape[0]} channels", given or f"axis {op.whole('axis', 0)}")
    return tuple(
        replace(flow, value=name, shape=(equal[0], *flow.shape[1:]), seen=(equal[0], *flow.shape[1:]), part=Part(flow, i, count))
        for i, name in enumerate(op.outputs)
    )


def summed(reader: Reader, op: Op) -> Flow:
    """A sum of values that the network computes."""
    flows = [reader.flow(op, i) for i in range(len(op.inputs))]
    first = flows[0]
    for flow in flows[1:]:
        if flow.seen != first.seen or flow.order != first.order:
            op.refuse("its inputs", f"of one shape, {reader.shown(first)}", reader.shown(flow))
    features = {None if flow.features is None else flow.features.tobytes() for flow in flows}
    if len(features) != 1:
        op.refuse("its inputs", "in one order of axes", "several")
    if len({flow.shape for flow in flows}) != 1:
        flows = [reader.vector(op, flow) for flow in flows]
    made = reader.add(op, "sum", reader.name(op), tuple(flows), {})
    return replace(flows[0], value=made.value, alone=True)


def gated(reader: Reader, op: Op) -> Flow:
    """Images times a gate with one number a channel."""
    images, gate = reader.flow(op, 0), reader.flow(op, 1)
    if math.prod(images.seen) < math.prod(gate.seen) or images.is_vector:
        images, gate = gate, images
    axes = images.axes
    fits = axes is not None and gate.axes is not None and len(gate.seen) == len(images.seen)
    if not fits or any(size != (images.shape[0] if axis == 0 else 1) for size, axis in zip(gate.seen, axes or (), strict=False)):
        op.refuse("its inputs", "images, and a gate of one number a channel", f"{reader.shown(images)} and {reader.shown(gate)}")
    if images.is_vector or (not gate.is_vector and math.prod(gate.seen) == math.prod(images.seen)):
        op.refuse("its inputs", "images, and a gate of one number a channel", f"{reader.shown(images)} and {reader.shown(gate)}")
    made = reader.add(op, "product", reader.name(op), (images, reader.vector(op, gate)), {})
    return replace(images, value=made.value, alone=True)

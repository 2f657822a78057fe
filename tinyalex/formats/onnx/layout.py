"""Operators that change how a value is seen, and not what it holds: shapes, orders of axes, padding that the next layer adds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import show
from tinyalex.formats.onnx.constants import (
    axes_given,
    axes_in_order,
    axes_of,
    axis_of,
    new_shape,
    slices,
    squeezed,
    unsqueezed,
    whole_numbers,
)
from tinyalex.formats.onnx.flow import Flow
from tinyalex.formats.onnx.operator import Op
from tinyalex.formats.onnx.reader import Reader
from tinyalex.formats.onnx.squares import zeros_around
from tinyalex.models.rows import Shape

Tensor = npt.NDArray[Any]
FLOATS = (1, 10, 11, 16)  # the types of ONNX for float32, float16, float64 and bfloat16


def reshape(reader: Reader, op: Op) -> Flow:
    """Another shape for the same elements; the batch has to stay the first axis."""
    flow = reader.flow(op, last=True, squares=True)
    target = whole_numbers(op, "shape", reader.constant(op, 1, "shape")) if op.opset >= 5 else op.wholes("shape", ())
    batch = reader.batch
    if target[:1] == (-1,):  # the size that is left has to be that of the batch
        target = (batch, *target[1:])
    seen = new_shape(op, target, (batch, *flow.seen))
    if seen[:1] != (batch,):
        op.refuse("shape", "one that leaves each image by itself", target)
    return seen_as(reader, op, flow, seen[1:])


def seen_as(reader: Reader, op: Op, flow: Flow, seen: Shape) -> Flow:
    """The flow in another shape of the file: as it is, or flattened."""
    if flow.squares is not None:
        return flow.with_seen(seen)
    if flow.is_vector or seen == flow.shape:
        plain = flow.is_vector or flow.order is None
        if plain:
            return flow.with_seen(seen)
    long = [size for size in seen if size != 1]
    if len(long) <= 1 and seen:
        return reader.vector(op, flow).with_seen(seen)
    if flow.order is not None:
        op.refuse("shape", "a vector, as its channels are not the first axis", seen)
    return flow.with_seen(seen)  # what reads it must be another reshape


def flatten(reader: Reader, op: Op) -> Flow:
    """One vector for each image."""
    flow = reader.flow(op, last=True, squares=True)
    if axis_of(op, op.whole("axis", 1), len(flow.seen) + 1) != 1:
        op.refuse("axis", "1, so that each image stays by itself", op.whole("axis", 1))
    return seen_as(reader, op, flow, (math.prod(flow.seen),))


def squeeze(reader: Reader, op: Op) -> Flow:
    """The shape without axes of size 1."""
    flow = reader.flow(op, last=True, squares=True)
    axes = axes_given(op, _constants(reader, op))
    if axes is None:
        axes = tuple(i for i, size in enumerate(flow.seen, 1) if size == 1)
    if 0 in axes_of(op, len(flow.seen) + 1, axes):
        op.refuse("axes", "others than that of the batch", axes)
    return seen_as(reader, op, flow, squeezed(op, (reader.batch, *flow.seen), axes)[1:])


def unsqueeze(reader: Reader, op: Op) -> Flow:
    """The shape with new axes of size 1."""
    flow = reader.flow(op, last=True, squares=True)
    axes = axes_given(op, _constants(reader, op)) or ()
    if 0 in axes_of(op, len(flow.seen) + 1 + len(axes), axes):
        op.refuse("axes", "behind that of the batch", axes)
    return seen_as(reader, op, flow, unsqueezed(op, (reader.batch, *flow.seen), axes)[1:])


def _constants(reader: Reader, op: Op) -> list[Any]:
    return [None, *(reader.constant(op, i, "axes") for i in range(1, len(op.inputs)) if op.inputs[i])]


def transpose(reader: Reader, op: Op) -> Flow:
    """Axes in another order, which is kept in mind until the axes are back or the array is flattened."""
    flow = reader.flow(op, padded=True)
    rank = len(flow.seen) + 1
    permutation = axes_in_order(op, op.wholes("perm", tuple(reversed(range(rank)))), rank)
    turned = None if permutation[0] != 0 else flow.transposed(tuple(i - 1 for i in permutation[1:]))
    if turned is None:
        op.refuse("its axes", "the batch and those of images, which tinyalex can keep in mind", f"{permutation} of {reader.shown(flow)}")
    return turned


def pad(reader: Reader, op: Op) -> Flow:
    """Pixels around images, which the next layer adds, or new channels of zeros."""
    flow = reader.flow(op, padded=True, squares=True)
    mode, rank = op.text("mode", "constant"), len(flow.seen) + 1
    if op.opset < 11:
        pads, value = op.wholes("pads" if op.opset >= 2 else "paddings", ()), op.attribute("value") if op.has("value") else 0.0
        if not isinstance(value, float):
            op.refuse("value", "a number", value)
    else:
        pads = whole_numbers(op, "pads", reader.constant(op, 1, "pads"))
        given = None if reader.value(op, 2) is None else reader.constant(op, 2, "the value")
        value = 0.0 if given is None or not given.size else float(given.flat[0])
        if reader.value(op, 3) is not None:
            pads = _all_axes(op, pads, whole_numbers(op, "axes", reader.constant(op, 3, "axes")), rank)
    if mode == "edge":
        value = -math.inf  # a window of a max pooling that sees a copy of the edge sees the edge too, so the copy never wins
    if mode not in ("constant", "edge") or len(pads) != 2 * rank or min(pads) < 0 or pads[0] or pads[rank]:
        op.refuse("its padding", "constant or the edge, on the sides of each image, of at least 0", f"{show(mode)} with {pads}")
    if not any(pads):
        return flow
    if flow.squares is not None:
        return zeros_around(reader, op, flow, pads, value)
    axes = flow.axes
    if axes is None or flow.is_vector:
        op.refuse("its input", "images", reader.shown(flow))
    sides = {axis: (pads[i], pads[rank + i]) for i, axis in enumerate(axes, 1)}
    if any(sides[0]):
        return _new_channels(reader, op, flow, sides, value)
    if any(flow.padding) and flow.pad_value != value:
        op.refuse("the value", f"{flow.pad_value:g}, that of the padding in front of it", value)
    before = flow.padding
    padding = (before[0] + sides[1][0], before[1] + sides[1][1], before[2] + sides[2][0], before[3] + sides[2][1])
    seen = tuple(size + pads[i] + pads[rank + i] for i, size in enumerate(flow.seen, 1))
    return replace(flow, padding=padding, pad_value=float(value), seen=seen)


def _all_axes(op: Op, pads: tuple[int, ...], axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The padding of all axes, where a node names only some."""
    if len(pads) != 2 * len(axes):
        op.refuse("pads", "two numbers an axis", pads)
    places = [axis_of(op, axis, rank, "axes") for axis in axes]
    if len(set(places)) != len(places):
        op.refuse("axes", "different", axes)
    every = [0] * (2 * rank)
    for i, place in enumerate(places):
        every[place], every[rank + place] = pads[i], pads[len(axes) + i]
    return tuple(every)


def _new_channels(reader: Reader, op: Op, flow: Flow, sides: Mapping[int, tuple[int, int]], value: float) -> Flow:
    """The shortcut of a residual net without parameters; a pooling of 1x1 in front of it becomes its stride."""
    front, more = sides[0][0], sum(sides[0])
    where = "behind" if front == 0 else "around"
    if value != 0 or any(sides[1]) or any(sides[2]) or any(flow.padding) or not flow.is_image or (front and front != more // 2):
        op.refuse("its padding", "zeros, for the new channels alone, behind the others or half before them", f"{sides[0]} with {value:g}")
    stride, step = 1, reader.draft_of(flow, "pool")
    if step is not None and step.settings["kernel_size"] == 1 and isinstance(step.settings["stride"], int) and not step.settings["padding"]:
        stride = step.settings["stride"]
        del reader.drafts[flow.value]
        flow = step.inputs[0]
    settings = {"channels": flow.shape[0] + more, "stride": stride, "zeros": where}
    return reader.add(op, "shortcut", reader.name(op), (flow,), settings)


def slice_(reader: Reader, op: Op) -> Flow:
    """Every s-th pixel of each line and column, as a pooling of 1x1."""
    flow = reader.flow(op)
    rank = len(flow.seen) + 1
    inputs = [None, *(reader.constant(op, i, "its bounds") if op.inputs[i] else None for i in range(1, len(op.inputs)))]
    taken = slices(op, inputs if len(op.inputs) > 1 else inputs[:1], rank)
    sizes = (reader.batch, *flow.seen)
    steps = tuple(piece.step or 1 for piece in taken)
    whole = all(piece.indices(size)[:2] == (0, size) for piece, size in zip(taken, sizes, strict=True))
    if not whole or (steps != (1,) * rank and (not flow.is_image or steps[:2] != (1, 1))):
        op.refuse("its bounds", "whole axes, with steps along height and width alone", [(p.start, p.stop, p.step) for p in taken])
    if steps == (1,) * rank:
        return flow
    stride = steps[2] if steps[2] == steps[3] else steps[2:]
    settings = {"kernel_size": 1, "stride": stride, "padding": 0, "ceil_mode": False}
    return reader.add(op, "pool", reader.name(op), (flow,), settings)


def shape(reader: Reader, op: Op) -> Tensor:
    """The shape of a value, of which constants may be computed."""
    flow = reader.flow(op, padded=True, squares=True)
    if flow.squares is not None and any(flow.squares.around) and not flow.squares.n:
        op.refuse("its input", "a value without channels of zeros around it", "one with them")
    sizes = (reader.batch, *flow.seen)
    return np.array(sizes[op.whole("start", 0) : op.whole("end", len(sizes))], np.int64)


def cast(reader: Reader, op: Op) -> Flow:
    """Another type of floats, which the engine does not follow."""
    flow = reader.flow(op, padded=True, last=True)
    if op.opset >= 6 and op.whole("to", 0) not in FLOATS:
        op.refuse("to", "a type of floats", op.whole("to", 0))
    return flow


def passed_on(reader: Reader, op: Op) -> Flow:
    """The value as it is."""
    return reader.flow(op, padded=True, last=True)

"""Convolution and pooling of ONNX: their windows in the words of the engine."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError, show
from tinyalex.formats.onnx.flow import Flow, Sides
from tinyalex.formats.onnx.operator import Op
from tinyalex.formats.onnx.reader import Reader
from tinyalex.formats.onnx.squares import mean_of_channels
from tinyalex.geometry import Pair, windows_of
from tinyalex.models.later.rows import HE
from tinyalex.models.rows import Shape


def conv(reader: Reader, op: Op) -> Flow:
    """A convolution; on one pixel, which is a vector for the engine, a fully connected layer."""
    weight = reader.weights(op, 1, "the weights")
    if weight.ndim != 4:
        op.refuse("the weights", "(K, C/G, KH, KW)", weight)
    groups, kernel = op.whole("group", 1), (weight.shape[2], weight.shape[3])
    if op.wholes("kernel_shape", kernel) != kernel:
        op.refuse("kernel_shape", f"{kernel}, as the weights have it", op.wholes("kernel_shape", kernel))
    arrays = {"weight": weight}
    if reader.value(op, 2) is not None:
        arrays["bias"] = reader.weights(op, 2, "the biases", (len(weight),))
    flow = reader.flow(op, padded=True)
    if flow.is_vector and kernel == (1, 1) and not any(_pads(op)) and flow.axes is not None and flow.seen[0] == flow.shape[0]:
        return _on_one_pixel(reader, op, flow, groups, arrays)
    flow = reader.image(op, padded=True)
    if groups < 1 or weight.shape[1] * groups != flow.shape[0] or len(weight) % groups:
        op.refuse("the weights", f"for {flow.shape[0]} channels in {groups} groups", weight)
    if flow.pad_value != 0:
        op.refuse("the padding in front of it", "zeros", "the edge or -inf" if flow.pad_value == -math.inf else f"{flow.pad_value:g}")
    stride, sides = _stride(op, kernel), _sides(reader, op, flow, kernel)
    sides = _plus(sides, flow.padding)
    padding, ceil = settled(op, (flow.shape[1], flow.shape[2]), kernel, stride, sides, False, False)
    settings = {
        "out_channels": len(weight), "kernel_size": _one(kernel), "stride": _one(stride), "padding": padding, "groups": groups,
        "ceil_mode": ceil, "bias": "bias" in arrays, "weight_init": HE,
    }  # fmt: skip
    return reader.add(op, "conv", reader.name(op), (flow,), settings, arrays)


def _on_one_pixel(reader: Reader, op: Op, flow: Flow, groups: int, arrays: dict[str, Any]) -> Flow:
    weight = arrays["weight"]
    if groups < 1 or weight.shape[1] * groups != flow.shape[0] or len(weight) % groups:
        op.refuse("the weights", f"for {flow.shape[0]} channels in {groups} groups", weight)
    op.take(4 * len(weight))
    arrays = {"weight": weight.reshape(weight.shape[:2]), "bias": arrays.get("bias", np.zeros(len(weight), np.float32))}
    made = reader.add(op, "linear", reader.name(op), (flow,), {"out_features": len(weight), "groups": groups, "weight_init": HE}, arrays)
    return replace(made, seen=(len(weight), 1, 1))


def pool(reader: Reader, op: Op) -> Flow:
    """Max pooling, or average pooling."""
    value, largest = reader.value(op, 0), op.kind == "MaxPool"
    if isinstance(value, Flow) and value.squares is not None and not largest:
        return mean_of_channels(reader, op, value)
    flow, kernel = reader.image(op, padded=True), op.wholes("kernel_shape", ())
    if len(kernel) != 2 or min(kernel) < 1:
        op.refuse("kernel_shape", "two sizes of at least 1", kernel)
    if len([name for name in op.outputs if name]) > 1 and reader.uses[op.outputs[1]]:
        op.refuse("its outputs", "one, the maxima", "two, with their places")
    stride, sides = _stride(op, kernel), _sides(reader, op, flow, kernel)
    size, ceil = (flow.shape[1], flow.shape[2]), op.whole("ceil_mode", 0) == 1
    counts = not largest and op.whole("count_include_pad", 0) == 1 and any(sides)
    if any(flow.padding):
        more = _plus(sides, flow.padding)
        if not _reaches(size, kernel, stride, more, more, ceil):
            op.refuse("the padding in front of it", "smaller than its windows, of which each sees a pixel", flow.padding)
        if not largest and any(sides) and not counts and not ceil and _reaches(size, kernel, stride, more, flow.padding, True):
            sides, ceil = (0, 0, 0, 0), True  # what is beyond the zeros lies in the last windows alone, and does not count
        sides, counts = _with_padding(reader, op, flow, sides, counts)
    padding, ceil = settled(op, size, kernel, stride, sides, ceil, True, counts)
    settings = {"kernel_size": _one(kernel), "stride": _one(stride), "padding": padding, "ceil_mode": ceil}
    if counts:
        settings["count_padding"] = True
    return reader.add(op, "pool" if largest else "mean_pool", reader.name(op), (flow,), settings)


def _with_padding(reader: Reader, op: Op, flow: Flow, sides: Sides, counts: bool) -> tuple[Sides, bool]:
    """The padding of a pooling with a Pad in front of it, and whether it counts in means."""
    if op.kind == "AveragePool":
        if any(sides) and not counts:
            op.refuse("pads", "0 behind a Pad", sides)
        if flow.pad_value != 0:
            op.refuse("the padding in front of it", "zeros", "the edge or -inf" if flow.pad_value == -math.inf else f"{flow.pad_value:g}")
        return _plus(sides, flow.padding), True
    draft = reader.drafts.get(flow.value)
    never_wins = flow.pad_value == -math.inf or (flow.pad_value == 0 and draft is not None and draft.kind in ("relu", "sigmoid"))
    if not never_wins:
        op.refuse("the padding in front of it", "-inf, the edge, or 0 behind a ReLU", f"{flow.pad_value:g}")
    return _plus(sides, flow.padding), counts


def _reaches(size: Pair, kernel: Shape, stride: Pair, sides: Sides, zeros: Sides, ceil: bool) -> bool:
    """Whether the windows on a padding of `sides`, none of which lies beside the image, are those of a pooling with padding `zeros`."""
    try:
        wanted = windows_of("", size, kernel, stride, sides, ceil and sides == zeros, False)
        return windows_of("", size, kernel, stride, zeros, ceil, True) == wanted
    except ShapeError:
        return False


def largest_of_all(reader: Reader, op: Op) -> Flow:
    """The largest value of each channel: a pooling with one window."""
    flow = reader.image(op)
    kernel = (flow.shape[1], flow.shape[2])
    settings = {"kernel_size": _one(kernel), "stride": _one(kernel), "padding": 0, "ceil_mode": False}
    return reader.add(op, "pool", reader.name(op), (flow,), settings)


def mean_of_all(reader: Reader, op: Op) -> Flow:
    """The mean of each channel."""
    flow = reader.flow(op)
    if flow.is_vector and flow.axes is not None:
        return flow  # of one pixel
    flow = reader.image(op)
    made = reader.add(op, "global_pool", reader.name(op), (flow,), {})
    return replace(made, seen=(flow.shape[0], 1, 1))


def settled(
    op: Op, size: Pair, kernel: Shape, stride: Pair, sides: Sides, ceil: bool, inside: bool, counts: bool = False
) -> tuple[Any, bool]:
    """The padding and the ceil mode of a row with these windows.

    Padding that is larger at the bottom or on the right, so that the last window fits, is what other programs write for ceil mode.
    """
    (top, bottom, left, right) = sides
    equal = (top, top, left, left)
    if not counts and not ceil and sides != equal and bottom >= top and right >= left:
        try:
            wanted = windows_of("", size, kernel, stride, sides, False, inside).out
            for mode in (False, True):
                if windows_of("", size, kernel, stride, equal, mode, inside).out == wanted:
                    return _one(equal), mode
        except ShapeError:
            pass  # the row itself is refused below, or its padding is needed as it is
    return _one(sides), ceil


def _stride(op: Op, kernel: Shape) -> Pair:
    stride, dilation = op.wholes("strides", (1, 1)), op.wholes("dilations", (1, 1))
    if len(stride) != 2 or min(stride) < 1:
        op.refuse("strides", "two steps of at least 1", stride)
    if any(step != 1 for step, k in zip(dilation, kernel, strict=False) if k > 1) or len(dilation) != 2:
        op.refuse("dilations", "1, as tinyalex has none", dilation)
    return stride[0], stride[1]


def _pads(op: Op) -> tuple[int, ...]:
    pads = op.wholes("pads", (0, 0, 0, 0))
    if len(pads) != 4 or min(pads) < 0:
        op.refuse("pads", "four numbers of at least 0", pads)
    return pads


def _sides(reader: Reader, op: Op, flow: Flow, kernel: Shape) -> Sides:
    """The padding that a node names, or that its auto_pad computes."""
    auto = op.text("auto_pad", "NOTSET")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", ""):
        op.refuse("auto_pad", "NOTSET, VALID, SAME_UPPER or SAME_LOWER", show(auto))
    if auto in ("NOTSET", ""):
        top, left, bottom, right = _pads(op)
        return top, bottom, left, right
    if auto == "VALID":
        return 0, 0, 0, 0
    sides = []
    for n, k, s in zip(flow.padded[1:], kernel, _stride(op, kernel), strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        less, more = total // 2, total - total // 2
        sides += [less, more] if auto == "SAME_UPPER" else [more, less]
    return sides[0], sides[1], sides[2], sides[3]


def _plus(a: Sides, b: Sides) -> Sides:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def _one(numbers: Shape) -> Any:
    """One number where all are equal."""
    return numbers[0] if len(set(numbers)) == 1 else tuple(numbers)

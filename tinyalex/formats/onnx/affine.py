"""Constants that are multiplied or added: to the weights of the layer in front where that is possible, else as a layer of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.formats.onnx.flow import Flow
from tinyalex.formats.onnx.operator import Op, exact
from tinyalex.formats.onnx.reader import Reader
from tinyalex.formats.onnx.squares import stepped

Tensor = npt.NDArray[Any]
WEIGHTED = ("conv", "linear", "bn")


def times(reader: Reader, op: Op, flow: Flow, constant: Tensor) -> Flow:
    """The flow times a constant: one number, or one number a channel."""
    factor = _by_channel(reader, op, flow, constant)
    if flow.squares is not None:
        return stepped(reader, op, flow, "alpha", factor)
    if not isinstance(factor, float):
        return _times_channels(reader, op, flow, factor)
    if factor == 1:
        return flow
    dropout, tanh = reader.draft_of(flow, "dropout"), reader.draft_of(flow, "tanh")
    if dropout is not None and dropout.settings["scale"] == "train" and np.float32(1 - dropout.settings["p"]) == np.float32(factor):
        dropout.settings["scale"] = "test"  # as in the paper: all units compute, and each counts with the share of steps that kept it
        return flow
    if tanh is not None and tanh.settings["a"] == 1:
        tanh.settings["a"] = factor
        return flow
    return reader.elementwise(op, "scale", flow, factor=factor)


def plus(reader: Reader, op: Op, flow: Flow, constant: Tensor) -> Flow:
    """The flow plus a constant: one number, or one number a channel."""
    shift = _by_channel(reader, op, flow, constant)
    if flow.squares is not None:
        return stepped(reader, op, flow, "k", shift)
    if isinstance(shift, float):
        if shift == 0:
            return flow
        op.take(4 * flow.shape[0])
        shift = np.full(flow.shape[0], shift, np.float32)
    draft = reader.draft_of(flow, *WEIGHTED)
    if draft is None:
        return _of_its_own(reader, op, flow, np.ones_like(shift), shift)
    draft.arrays["bias"] = draft.arrays["bias"] + shift if "bias" in draft.arrays else shift
    if draft.kind == "conv":
        draft.settings["bias"] = True
    return flow


def _times_channels(reader: Reader, op: Op, flow: Flow, factor: Tensor) -> Flow:
    draft = reader.draft_of(flow, *WEIGHTED)
    if draft is None:
        return _of_its_own(reader, op, flow, factor, np.zeros_like(factor))
    weight = draft.arrays["weight"]
    op.take(weight.nbytes)
    draft.arrays["weight"] = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
    if "bias" in draft.arrays:
        draft.arrays["bias"] = draft.arrays["bias"] * factor
    return flow


def _of_its_own(reader: Reader, op: Op, flow: Flow, factor: Tensor, shift: Tensor) -> Flow:
    """Batch normalization whose statistics stay 0 and 1, so that only its scale and its shift are left."""
    if len(flow.shape) != 3 or any(flow.padding):
        op.refuse("the constant", "one number, or for images, or behind a layer with weights", f"{len(factor)} numbers")
    op.take(4 * factor.nbytes)
    eps = 1e-5
    arrays = {
        "weight": factor, "bias": shift, "running_mean": np.zeros_like(factor), "running_var": np.full_like(factor, 1 - eps),
    }  # fmt: skip
    made = reader.add(op, "bn", reader.name(op), (flow,), {"eps": eps, "statistics": "running"}, arrays)
    return replace(flow, value=made.value, alone=True)


def _by_channel(reader: Reader, op: Op, flow: Flow, constant: Tensor) -> Tensor | float:
    """A constant as one number, or as float32 with one number for each channel of ours."""
    if constant.dtype.kind != "f":
        op.refuse("the constant", "floats", constant)
    sizes = constant.shape
    if op.opset < 7 and op.whole("broadcast", 0) and op.has("axis"):  # old files say where the axes of the constant lie
        axis = op.whole("axis", 0)
        sizes += (1,) * max(0, len(flow.seen) + 1 - len(sizes) - (axis if axis >= 0 else axis + len(flow.seen) + 1))
    if constant.size == 1:
        if len(sizes) > len(flow.seen) + 1:
            op.refuse("the constant", f"of at most {len(flow.seen) + 1} axes", constant)
        return exact(float(reader.as_float32(op, constant).reshape(())))
    rank = len(flow.seen)
    if len(sizes) > rank + 1 or (len(sizes) == rank + 1 and sizes[0] != 1):
        op.refuse("the constant", f"of a shape that fits {reader.shown(flow)}", constant)
    sizes = (1,) * (rank - len(sizes)) + sizes[-rank:] if rank else ()
    axes = flow.axes
    long = [i for i, size in enumerate(sizes) if size != 1]
    if axes is None or any(sizes[i] != flow.seen[i] or axes[i] != 0 for i in long):
        op.refuse("the constant", f"one number a channel of {reader.shown(flow)}", constant)
    values = reader.as_float32(op, constant).reshape(-1)
    if flow.features is not None:
        op.take(values.nbytes)
        ours = np.empty_like(values)
        ours[flow.features] = values
        return ours
    return values

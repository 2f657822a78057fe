"""Normalization: local response normalization, also in groups, batch and group normalization."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.formats.onnx.affine import plus, times
from tinyalex.formats.onnx.flow import Flow
from tinyalex.formats.onnx.operator import Op, exact
from tinyalex.formats.onnx.reader import Reader
from tinyalex.models.rows import Shape

Tensor = npt.NDArray[Any]


def local_response_norm(reader: Reader, op: Op) -> Flow:
    """Local response normalization; alpha is divided by the size, as in the authors' program."""
    value = reader.value(op, 0)
    n = op.whole("size", 0)
    if n < 1 or n % 2 == 0:
        op.refuse("size", "odd, because the windows of ONNX and tinyalex differ for even ones", n)
    settings = {"n": n, "k": op.real("bias", 1.0), "alpha": op.real("alpha", 1e-4), "beta": op.real("beta", 0.75), "alpha_over_n": True}
    alpha = _told(op, "alpha_per_square")
    if isinstance(alpha, float) and np.float32(alpha * n) == np.float32(settings["alpha"]):
        settings |= {"alpha": alpha, "alpha_over_n": False}
    if isinstance(value, Flow) and value.part is not None and not value.part.norm:
        return replace(value, part=replace(value.part, norm=settings), value=op.outputs[0])
    return reader.add(op, "norm", reader.name(op), (reader.image(op),), {**settings, "groups": 1})


def _told(op: Op, what: str) -> Any:
    """What the writer of tinyalex noted about a setting that ONNX does not have; None if there is no such note."""
    return op.told().get(what)


def batch_norm(reader: Reader, op: Op) -> Flow:
    """Batch normalization with running statistics, as in use."""
    flow = reader.flow(op)
    if op.whole("spatial", 1) != 1:
        op.refuse("spatial", "1", op.whole("spatial", 1))
    if op.whole("training_mode", 0) or any(reader.uses[name] for name in op.outputs[1:]):
        op.refuse("training_mode", "0, the net in use", 1)
    shape = flow.shape[:1]
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: reader.weights(op, i, f"its {name}", shape) for i, name in enumerate(names, 1)}
    eps, momentum = op.real("epsilon", 1e-5), op.real("momentum", 0.9)
    if flow.is_vector:
        factor = arrays["weight"] / np.sqrt(arrays["running_var"] + np.float32(eps))
        reader.notes["Batch normalization behind a fully connected layer became part of its weights."] = None
        flow = times(reader, op, flow, factor.reshape(_along_channels(flow)))
        return plus(reader, op, flow, (arrays["bias"] - arrays["running_mean"] * factor).reshape(_along_channels(flow)))
    convention, statistics = _told(op, "convention"), _told(op, "statistics")
    settings: dict[str, Any] = {"eps": eps, "convention": "tensorflow", "momentum": momentum}
    if convention == "pytorch":
        settings |= {"convention": "pytorch", "momentum": exact(1 - momentum)}
    if convention == "caffe":
        settings["convention"] = "caffe"
        batches = _told(op, "batches")
        arrays["batches"] = np.full(shape, batches if isinstance(batches, float) and math.isfinite(batches) else 0, np.float32)
    if statistics == "running":
        settings["statistics"] = "running"
    made = reader.add(op, "bn", reader.name(op), (reader.image(op),), settings, arrays)
    return made


def _along_channels(flow: Flow) -> Shape:
    """The shape of an array with one number a channel that fits the axes which the file sees."""
    axes = flow.axes or (0,)
    return tuple(flow.shape[0] if axis == 0 else 1 for axis in axes)


def group_norm(reader: Reader, op: Op) -> Flow:
    """Group normalization with a scale and a shift for each channel."""
    if op.opset < 21:
        op.refuse("the opset", "at least 21, where its scale has one number a channel", op.opset)
    flow = reader.image(op)
    arrays = {name: reader.weights(op, i, f"its {name}", flow.shape[:1]) for i, name in enumerate(("weight", "bias"), 1)}
    settings = {"groups": op.whole("num_groups", 0), "eps": op.real("epsilon", 1e-5)}
    return reader.add(op, "gn", reader.name(op), (flow,), settings, arrays)

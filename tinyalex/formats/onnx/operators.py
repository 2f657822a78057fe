"""The operators of ONNX that the engine has, each as the layers that compute it. Every other operator is refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.formats.onnx.affine import plus, times
from tinyalex.formats.onnx.constants import axes_given, axes_of, axis_of
from tinyalex.formats.onnx.flow import Flow
from tinyalex.formats.onnx.joins import concat, gated, split, summed
from tinyalex.formats.onnx.layout import cast, flatten, pad, passed_on, reshape, shape, slice_, squeeze, transpose, unsqueeze
from tinyalex.formats.onnx.norms import batch_norm, group_norm, local_response_norm
from tinyalex.formats.onnx.operator import Op, exact
from tinyalex.formats.onnx.own import settings_of
from tinyalex.formats.onnx.reader import Reader
from tinyalex.formats.onnx.squares import normalized, power, squared
from tinyalex.formats.onnx.windows import conv, largest_of_all, mean_of_all, pool
from tinyalex.models.later.rows import HE

Tensor = npt.NDArray[Any]


def relu(reader: Reader, op: Op) -> Flow:
    """A rectified linear unit."""
    return reader.elementwise(op, "relu", reader.flow(op))


def sigmoid(reader: Reader, op: Op) -> Flow:
    """A sigmoid."""
    return reader.elementwise(op, "sigmoid", reader.flow(op))


def tanh(reader: Reader, op: Op) -> Flow:
    """A tanh; a factor in front of it becomes its setting b."""
    flow = reader.flow(op)
    scale = reader.draft_of(flow, "scale")
    if scale is None:
        return reader.elementwise(op, "tanh", flow, a=1.0, b=1.0)
    del reader.drafts[flow.value]
    made = reader.elementwise(op, "tanh", scale.inputs[0], a=1.0, b=scale.settings["factor"])
    return replace(flow, value=made.value, alone=True)  # its axes may have changed places behind the factor


def absolute(reader: Reader, op: Op) -> Flow:
    """The absolute value, which the engine has behind a tanh."""
    flow = reader.flow(op)
    draft = reader.draft_of(flow, "tanh")
    if draft is None:
        op.refuse("its input", "the output of Tanh, which nothing else reads", "another")
    draft.kind = "abstanh"
    return flow


def gemm(reader: Reader, op: Op) -> Flow:
    """A fully connected layer: alpha x B + beta C."""
    weight = reader.weights(op, 1, "the weights")
    if weight.ndim != 2 or op.whole("transA", 0):
        op.refuse("its input", "(N, F), not transposed, and the weights a matrix", weight)
    alpha, beta = op.real("alpha", 1.0), op.real("beta", 1.0)
    weight = weight if op.whole("transB", 0) else weight.T
    if alpha != 1:
        op.take(weight.nbytes)
        weight = weight * np.float32(alpha)
    op.take(8 * len(weight))
    bias = np.zeros(len(weight), np.float32)
    if reader.value(op, 2) is not None:
        given = reader.weights(op, 2, "the biases")
        if given.size not in (1, len(weight)) or given.shape[-1:] not in ((), (1,), (len(weight),)):
            op.refuse("the biases", f"{len(weight)} numbers", given)
        bias = np.broadcast_to(given.reshape(-1), bias.shape) * (np.float32(beta) if beta != 1 else np.float32(1))
    return fully_connected(reader, op, weight, bias)


def matmul(reader: Reader, op: Op) -> Flow:
    """A fully connected layer; an Add behind it becomes its biases."""
    weight = reader.weights(op, 1, "the weights")
    if weight.ndim != 2:
        op.refuse("the weights", "a matrix", weight)
    op.take(4 * weight.shape[1])
    return fully_connected(reader, op, weight.T, np.zeros(weight.shape[1], np.float32))


def fully_connected(reader: Reader, op: Op, weight: Tensor, bias: Tensor) -> Flow:
    """A fully connected layer with weight (K, F)."""
    flow = reader.flow(op)
    if len(flow.seen) != 1 or flow.seen != flow.shape:
        op.refuse("its input", "(N, F)", reader.shown(flow))
    if weight.shape[1] != flow.shape[0]:
        op.refuse("the weights", f"for {flow.shape[0]:,} features", f"for {weight.shape[1]:,}")
    if flow.features is not None:  # the file flattens its images in another order of axes
        op.take(weight.nbytes)
        ours = np.empty(weight.shape, np.float32)
        ours[:, flow.features] = weight
        weight = ours
    settings = {"out_features": len(weight), "groups": 1, "weight_init": HE}
    return reader.add(op, "linear", reader.name(op), (flow,), settings, {"weight": weight, "bias": bias})


def dropout(reader: Reader, op: Op) -> Flow:
    """Dropout, which does nothing in use; a new file has the ratio and whether it trains as inputs."""
    flow = reader.flow(op)
    ratio, trains = op.real("ratio", 0.5), False
    if op.opset >= 12:
        given = [None if reader.value(op, i) is None else reader.constant(op, i, what) for i, what in ((1, "ratio"), (2, "training_mode"))]
        ratio = 0.5 if given[0] is None else exact(float(given[0].reshape(-1)[0])) if given[0].size == 1 else math.nan
        trains = given[1] is not None and (given[1].size != 1 or bool(given[1].reshape(())))
    if trains or any(reader.uses[name] for name in op.outputs[1:]):
        op.refuse("training_mode", "False, the net in use, with one output", "one that trains or gives its mask")
    return flow if ratio == 0 else reader.elementwise(op, "dropout", flow, p=ratio, scale="train")


def softmax(reader: Reader, op: Op) -> Flow:
    """The softmax at the end, which the engine has in its loss."""
    flow = reader.flow(op)
    axis = axis_of(op, op.whole("axis", -1 if op.opset >= 13 else 1), len(flow.seen) + 1)
    wanted = [math.prod(flow.seen)] if op.opset < 13 else [flow.seen[axis - 1]] if axis else []
    if axis == 0 or (op.opset < 13 and axis != 1) or wanted != [max(flow.seen)] or math.prod(flow.seen) != max(flow.seen):
        op.refuse("its axis", "that of the classes, the only one beside the batch", f"{axis} of {reader.shown(flow)}")
    if op.kind == "LogSoftmax":
        reader.notes["The file ends with the logarithms of the probabilities."] = None
    return replace(flow, softmax=True)


def total(reader: Reader, op: Op) -> Flow:
    """A sum of values of one shape, or of a value and a constant."""
    constants = [i for i in range(len(op.inputs)) if isinstance(reader.value(op, i), np.ndarray)]
    if len(op.inputs) < 2:
        return reader.flow(op)
    if constants:
        if len(constants) != len(op.inputs) - 1:
            op.refuse("its inputs", "values that the network computes, or one and constants", f"{len(constants)} constants")
        (place,) = set(range(len(op.inputs))) - set(constants)
        flow = reader.flow(op, place, squares=True)
        for i in constants:
            flow = plus(reader, op, flow, reader.constant(op, i, "the constant"))
        return flow
    return summed(reader, op)


def difference(reader: Reader, op: Op) -> Flow:
    """A value minus a constant."""
    subtracted = reader.weights(op, 1, "what is subtracted")
    op.take(subtracted.nbytes)
    return plus(reader, op, reader.flow(op), -subtracted)


def quotient(reader: Reader, op: Op) -> Flow:
    """A value divided by a constant, or the last step of a response normalization."""
    below = reader.value(op, 1)
    if isinstance(below, Flow) and below.squares is not None:
        return normalized(reader, op, reader.flow(op), below)
    divisor = reader.weights(op, 1, "what it is divided by")
    if not divisor.all():
        op.refuse("what it is divided by", "other than 0", 0)
    op.take(divisor.nbytes)
    return times(reader, op, reader.flow(op), 1 / divisor)


def product(reader: Reader, op: Op) -> Flow:
    """A value times a constant, or images times a gate."""
    for i in range(2):
        if not isinstance(reader.value(op, 1 - i), Flow):
            return times(reader, op, reader.flow(op, i, squares=True), reader.constant(op, 1 - i, "the factor"))
    return squared(reader, op) or gated(reader, op)


def mean(reader: Reader, op: Op) -> Flow:
    """The mean over height and width."""
    flow = reader.flow(op)
    rank = len(flow.seen) + 1
    given = axes_given(op, [None, *(reader.constant(op, i, "axes") for i in range(1, len(op.inputs)) if op.inputs[i])])
    axes = axes_of(op, rank, tuple(range(rank)) if given is None else given)
    ours = flow.axes
    over = {None if i == 0 or ours is None else ours[i - 1] for i in axes}
    if 0 in axes or ours is None or (over != {1, 2} if not flow.is_vector else 0 in over):
        op.refuse("axes", f"the height and the width of {reader.shown(flow)}", axes)
    kept = tuple(1 if i in axes else size for i, size in enumerate(flow.seen, 1))
    if not op.whole("keepdims", 1):
        kept = tuple(size for i, size in enumerate(flow.seen, 1) if i not in axes)
    made = flow if flow.is_vector else reader.add(op, "global_pool", reader.name(op), (flow,), {})
    return made.with_seen(kept)


def own_layer(reader: Reader, op: Op) -> Flow:
    """A layer that only tinyalex has, which its writer put into the file as a function with this very body."""
    flow = reader.image(op)
    kind, settings = settings_of(op, flow.shape)
    return reader.add(op, kind, reader.name(op), (flow,), settings)


OPERATORS: Mapping[str, Callable[[Reader, Op], Flow | Tensor | tuple[Flow, ...]]] = {
    "Abs": absolute,
    "Add": total,
    "AveragePool": pool,
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Concat": concat,
    "Conv": conv,
    "Div": quotient,
    "Dropout": dropout,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": mean_of_all,
    "GlobalMaxPool": largest_of_all,
    "GroupNormalization": group_norm,
    "Identity": passed_on,
    "LRN": local_response_norm,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "MaxPool": pool,
    "Mul": product,
    "Pad": pad,
    "Pow": power,
    "ReduceMean": mean,
    "Relu": relu,
    "Reshape": reshape,
    "Shape": shape,
    "Sigmoid": sigmoid,
    "Slice": slice_,
    "Softmax": softmax,
    "Split": split,
    "Squeeze": squeeze,
    "Sub": difference,
    "Sum": total,
    "Tanh": tanh,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}

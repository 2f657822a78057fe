"""Each kind of row as the operators of ONNX that compute the same, with the engine's rule where the two differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError
from tinyalex.formats.onnx.flow import Sides
from tinyalex.formats.onnx.graph_out import Out
from tinyalex.geometry import Windows, padding_of, windows_of
from tinyalex.models.rows import Row, Shape


def conv(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """A convolution; windows that reach over the edge of the image become padding."""
    windows = layer.windows(shape)
    inputs = [value, out.parameter(layer, "weight")] + ([out.parameter(layer, "bias")] if layer.has_bias else [])
    declared = padding_of(windows.size, layer.kernel_size, layer.stride, layer.padding)
    settings = _windows(windows, _sides(windows, declared, False)) | {"group": layer.groups}
    out.node("Conv", inputs, layer.name, (layer.out_channels, *windows.out), **settings)


def linear(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """A fully connected layer; in groups, a convolution of one pixel."""
    k, given = layer.out_features, (layer.out_features,)
    if layer.groups == 1:
        inputs = [value, out.parameter(layer, "weight"), out.parameter(layer, "bias")]
        out.node("Gemm", inputs, layer.name, given, transB=1)
        return
    pixel = out.with_axes("Unsqueeze", value, out.free(f"{layer.name}.pixel"), (*shape, 1, 1), (2, 3))
    weight = out.parameter(layer, "weight", (k, shape[0] // layer.groups, 1, 1))
    mapped = out.free(f"{layer.name}.conv")
    inputs = [pixel, weight, out.parameter(layer, "bias")]
    out.node("Conv", inputs, mapped, (k, 1, 1), name=layer.name, group=layer.groups, kernel_shape=[1, 1])
    out.node("Flatten", [mapped], layer.name, given, name=f"{layer.name}.flatten", axis=1)


def max_pool(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Max pooling; a last window that reaches over the edge becomes padding, which cannot win."""
    windows = layer.windows(shape)
    sides = _sides(windows, padding_of(windows.size, layer.kernel_size, layer.stride, layer.padding), True)
    out.node("MaxPool", [value], layer.name, (shape[0], *windows.out), **_windows(windows, sides))


def mean_pool(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Average pooling. Padding that counts is made of zeros first where the last windows reach beyond it."""
    windows = layer.windows(shape)
    declared = padding_of(windows.size, layer.kernel_size, layer.stride, layer.padding)
    sides, counts = _sides(windows, declared, True), int(layer.count_padding and any(declared))
    if counts and sides != declared:
        (c, h, w), (top, bottom, left, right) = shape, declared
        pads = [0, 0, top, left, 0, 0, bottom, right]
        padded = (c, h + top + bottom, w + left + right)
        value = _padded(out, value, f"{layer.name}.pad", padded, pads)
        sides, counts = (0, max(0, sides[1] - bottom), 0, max(0, sides[3] - right)), 0
    settings = _windows(windows, sides) | ({"count_include_pad": 1} if counts else {})
    out.node("AveragePool", [value], layer.name, (shape[0], *windows.out), **settings)


def _padded(out: Out, value: str, name: str, shape: Shape, pads: list[int]) -> str:
    if out.opset < 11:
        return out.step("Pad", [value], name, shape, mode="constant", pads=pads, value=0.0)
    return out.step("Pad", [value, out.constant(f"{name}.pads", np.array(pads, np.int64))], name, shape, mode="constant")


def _sides(windows: Windows, declared: Sides, inside: bool) -> Sides:
    """The padding with which rounding down gives these windows: the layer's own, or one that ends where the last window ends."""
    if windows_of("", windows.size, windows.kernel, windows.stride, declared, False, inside).out == windows.out:
        return declared
    (top, left), (high, wide), (h, w) = windows.before, windows.sheet, windows.size
    return top, max(0, high - h - top), left, max(0, wide - w - left)


def _windows(windows: Windows, sides: Sides) -> dict[str, Any]:
    top, bottom, left, right = sides
    pads = {"pads": [top, left, bottom, right]} if any(sides) else {}
    return {"kernel_shape": list(windows.kernel), "strides": list(windows.stride)} | pads


def global_pool(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """The mean of each channel, as a vector."""
    mean = out.free(f"{layer.name}.mean")
    out.node("GlobalAveragePool", [value], mean, (shape[0], 1, 1), name=layer.name)
    out.node("Flatten", [mean], layer.name, shape[:1], name=f"{layer.name}.flatten", axis=1)


def norm(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Response normalization, whose alpha ONNX divides by the size; groups are split and joined again."""
    if layer.n % 2 == 0:
        raise ShapeError(f"{out.who}: n of {layer.name} must be odd for ONNX, whose windows of even size lie elsewhere, got {layer.n}")
    note = "" if layer.alpha_over_n else json.dumps({"alpha_per_square": layer.alpha})
    settings = {"size": layer.n, "alpha": layer.alpha_each * layer.n, "beta": layer.beta, "bias": layer.k}
    if layer.groups == 1:
        out.node("LRN", [value], layer.name, shape, note=note, **settings)
        return
    size = shape[0] // layer.groups
    part = (size, *shape[1:])
    parts = [out.free(f"{layer.name}.part{i}") for i in range(layer.groups)]
    axis: dict[str, Any] = {"split": [size] * layer.groups} if out.opset < 13 else {}
    inputs = [value] if axis else [value, out.constant(f"{layer.name}.split", np.full(layer.groups, size, np.int64))]
    out.nodes.append(out.helper.make_node("Split", inputs, parts, f"{layer.name}.split", axis=1, **axis))
    out.shapes |= dict.fromkeys(parts, part)
    normed = [out.step("LRN", [each], f"{layer.name}.norm{i}", part, note=note, **settings) for i, each in enumerate(parts)]
    out.node("Concat", normed, layer.name, shape, axis=1)


def batch_norm(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Batch normalization in use; what ONNX cannot say about its training is a note for ours."""
    inputs = [value, *(out.parameter(layer, key) for key in ("weight", "bias", "running_mean", "running_var"))]
    told: dict[str, Any] = {} if layer.convention == "tensorflow" else {"convention": layer.convention}
    if layer.convention == "caffe":
        told["batches"] = float(out.arrays[f"{layer.name}.batches"][0])
    if layer.statistics != "batch":
        told["statistics"] = layer.statistics
    momentum = 1 - layer.momentum if layer.convention == "pytorch" else layer.momentum
    note = json.dumps(told) if told else ""
    out.node("BatchNormalization", inputs, layer.name, shape, note=note, epsilon=float(layer.eps), momentum=float(momentum))


def group_norm(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Group normalization."""
    inputs = [value, out.parameter(layer, "weight"), out.parameter(layer, "bias")]
    out.node("GroupNormalization", inputs, layer.name, shape, epsilon=float(layer.eps), num_groups=layer.groups)


def dropout(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Dropout, which does nothing in use; the paper's factor at test time is a product of its own."""
    after = layer.name if layer.test_factor == 1 else out.free(f"{layer.name}.kept")
    if out.opset < 12:
        out.node("Dropout", [value], after, shape, name=layer.name, ratio=float(layer.p))
    else:
        out.node("Dropout", [value, out.constant(f"{layer.name}.ratio", np.float32(layer.p))], after, shape, name=layer.name)
    if after != layer.name:
        _times(out, after, layer.name, shape, layer.test_factor, f"{layer.name}.factor")


def scale(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """A fixed factor."""
    _times(out, value, layer.name, shape, layer.factor, layer.name)


def _times(out: Out, value: str, output: str, shape: Shape, factor: float, name: str) -> str:
    constant = out.constant(f"{output}.factor", np.float32(factor))
    return out.node("Mul", [value, constant], output, shape, name=name)


def tanh(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """a tanh(b x), and its absolute value."""
    kinds = ["Tanh"] + ([layer.a] if layer.a != 1 else []) + (["Abs"] if row.kind == "abstanh" else [])
    if layer.b != 1:
        value = _times(out, value, out.free(f"{layer.name}.inside"), shape, layer.b, f"{layer.name}.b")
    for i, kind in enumerate(kinds):
        output = layer.name if i == len(kinds) - 1 else out.free(f"{layer.name}.step{i}")
        if isinstance(kind, str):
            value = out.node(kind, [value], output, shape, name=layer.name if i == 0 else f"{layer.name}.abs")
        else:
            value = _times(out, value, output, shape, kind, f"{layer.name}.a")


def shortcut(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """Every s-th pixel, by a pooling of one pixel, and channels of zeros."""
    (c, h, w), s = shape, layer.stride
    picked = (c, -(-h // s), -(-w // s))
    more = layer.channels - c
    if s > 1 or not more:
        output = out.free(f"{layer.name}.pixels") if more else layer.name
        value = out.node("MaxPool", [value], output, picked, kernel_shape=[1, 1], strides=[s, s])
    if more:
        front = more // 2 if layer.zeros == "around" else 0
        made = _padded(out, value, f"{layer.name}.channels", (layer.channels, *picked[1:]), [0, front, 0, 0, 0, more - front, 0, 0])
        out.nodes[-1].output[0], out.nodes[-1].name = layer.name, layer.name
        out.shapes[layer.name] = out.shapes.pop(made)


def flatten(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """One vector for each image."""
    out.node("Flatten", [value], layer.name, layer.output_shape(shape), axis=1)


def _same(kind: str) -> Callable[..., None]:
    """A function of each element that ONNX has too."""

    def write(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
        out.node(kind, [value], layer.name, shape)

    return write


def of_function(out: Out, row: Row, layer: Any, value: str, shape: Shape) -> None:
    """A layer that only tinyalex has."""
    out.function(row, layer, value, shape)


LAYERS: Mapping[str, Callable[[Out, Row, Any, str, Shape], None]] = {
    "abstanh": tanh,
    "bn": batch_norm,
    "contrast": of_function,
    "conv": conv,
    "dropout": dropout,
    "flatten": flatten,
    "global_pool": global_pool,
    "gn": group_norm,
    "linear": linear,
    "mean_pool": mean_pool,
    "norm": norm,
    "pool": max_pool,
    "relu": _same("Relu"),
    "rnorm": of_function,
    "scale": scale,
    "shortcut": shortcut,
    "sigmoid": _same("Sigmoid"),
    "tanh": tanh,
}
OPSETS = {"rnorm": 13, "contrast": 13, "gn": 21}  # the others need 9

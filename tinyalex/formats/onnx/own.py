"""Layers that ONNX has no operator for, as functions of the file, whose body is made of operators that every runtime has.

A reader of ONNX replaces the node by the body. Ours reads the layer from the node's attributes, but only where the body in the file is the
very one that these attributes give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinyalex.errors import TinyalexError
from tinyalex.formats.onnx.model import onnx_package
from tinyalex.formats.onnx.operator import Op
from tinyalex.formats.onnx.shapes import layer_of
from tinyalex.layers import LocalContrastNorm, SpatialResponseNorm
from tinyalex.layers.contrast import gaussian_band
from tinyalex.models.rows import Row, Shape

DOMAIN = "tinyalex"
OPSET = 13  # the operators of the bodies; functions came later than that
NAMES = {"rnorm": "SpatialResponseNorm", "contrast": "LocalContrastNorm"}
LEAST = 1e-38  # an image of one color is divided by this instead of by 0, and gives 0


def settings_of_row(row: Row, in_shape: Shape) -> dict[str, Any]:
    """The settings of a layer as attributes of its node, all of them."""
    layer = layer_of(row, in_shape)
    if isinstance(layer, SpatialResponseNorm):
        return {"n": layer.n, "k": layer.k, "alpha": layer.alpha, "beta": layer.beta, "alpha_over_area": int(layer.alpha_over_area)}
    assert isinstance(layer, LocalContrastNorm)
    return {"kernel_size": layer.kernel_size, "sigma": layer.sigma}


def function_of(kind: str, settings: Mapping[str, Any], in_shape: Shape, name: str) -> Any:
    """The FunctionProto called `name` of a layer of this kind. in_shape: (C, H, W) of its input."""
    helper = onnx_package(name).helper
    nodes = list(_spatial(settings) if kind == "rnorm" else _contrast(settings, in_shape))
    return helper.make_function(DOMAIN, name, ["x"], ["y"], nodes, [helper.make_opsetid("", OPSET)], list(settings))


def settings_of(op: Op, in_shape: Shape) -> tuple[str, dict[str, Any]]:
    """The kind and the settings of a node of ours. DataError: its function in the file is another than they give."""
    found, known = op.model.functions.get((op.domain, op.kind)), {name: kind for kind, name in NAMES.items()}
    kind = known.get(op.kind.partition(":")[0])
    if found is None or kind is None:
        op.refuse("the function", f"one of {', '.join(NAMES.values())}, in the file", op.kind)
    wanted = {"rnorm": ("n", "k", "alpha", "beta", "alpha_over_area"), "contrast": ("kernel_size", "sigma")}[kind]
    settings: dict[str, Any] = {}
    for name in wanted:
        whole = name in ("n", "kernel_size", "alpha_over_area")
        settings[name] = op.whole(name, 0) if whole else op.real(name, 0.0)
    if not 1 <= settings.get("n", settings.get("kernel_size", 1)) <= max(512, *in_shape[1:]):
        op.refuse("its window", "at least 1 and no larger than images are", settings)
    if kind == "contrast":
        op.take(4 * in_shape[0] * settings["kernel_size"] ** 2 * 4)  # the body holds the weights of its window
    row = Row(kind, op.name, dict(settings) | ({"alpha_over_area": bool(settings["alpha_over_area"])} if kind == "rnorm" else {}))
    try:
        layer_of(row, in_shape)
        body = function_of(kind, settings, in_shape, op.kind)
    except TinyalexError as error:
        op.refuse("its settings", "those of a layer", f"others ({error.sentence})")
    if body.SerializeToString(deterministic=True) != found.SerializeToString(deterministic=True):
        op.refuse("its function", "the one that its settings give", "another")
    return kind, dict(row.settings)


def _constant(name: str, value: Any) -> Any:
    onnx = onnx_package(name)
    tensor = onnx.numpy_helper.from_array(np.asarray(value, np.float32), name)
    return onnx.helper.make_node("Constant", [], [name], value=tensor)


def _spatial(settings: Mapping[str, Any]) -> Iterator[Any]:
    """y = x / (k + alpha * mean of x^2)^beta; the mean is over n x n places, also those outside of the image."""
    node, n = onnx_package("").helper.make_node, settings["n"]
    before, after = n // 2, (n - 1) // 2
    factor = settings["alpha"] if settings["alpha_over_area"] else settings["alpha"] * n * n
    yield node("Mul", ["x", "x"], ["square"])
    pads = [before, before, after, after]
    yield node("AveragePool", ["square"], ["mean"], kernel_shape=[n, n], strides=[1, 1], pads=pads, count_include_pad=1)
    yield _constant("factor", factor)
    yield node("Mul", ["mean", "factor"], ["term"])
    yield _constant("k", settings["k"])
    yield node("Add", ["term", "k"], ["scale"])
    yield _constant("beta", settings["beta"])
    yield node("Pow", ["scale", "beta"], ["power"])
    yield node("Div", ["x", "power"], ["y"])


def _contrast(settings: Mapping[str, Any], in_shape: Shape) -> Iterator[Any]:
    """v = x - S x, s = sqrt(S v^2), y = v / max(the mean of s, s), where S is a Gaussian mean over all channels."""
    node, n = onnx_package("").helper.make_node, settings["kernel_size"]
    line = gaussian_band(2 * n + 1, n, settings["sigma"])[n, n - n // 2 : n + n // 2 + 1]  # the weights along one axis
    pads = [n // 2] * 4
    yield _constant("gaussian", np.broadcast_to(np.outer(line, line) / in_shape[0], (1, in_shape[0], n, n)))
    yield node("Conv", ["x", "gaussian"], ["local"], kernel_shape=[n, n], pads=pads)
    yield node("Sub", ["x", "local"], ["v"])
    yield node("Mul", ["v", "v"], ["square"])
    yield node("Conv", ["square", "gaussian"], ["variance"], kernel_shape=[n, n], pads=pads)
    yield node("Sqrt", ["variance"], ["s"])
    yield node("ReduceMean", ["s"], ["c"], axes=[2, 3], keepdims=1)
    yield _constant("least", LEAST)
    yield node("Max", ["s", "c", "least"], ["divisor"])
    yield node("Div", ["v", "divisor"], ["y"])

"""Small ONNX graphs, and how a network that was read is run beside ONNX Runtime."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinyalex.formats.imported import Imported
from tinyalex.init import zeros
from tinyalex.layers import Sequential
from tinyalex.models.later import LATER
from tinyalex.models.later.rows import build_net, narrow
from tinyalex.models.options import as_built
from tinyalex.models.registry import SMALL
from tinyalex.models.rows import Rows
from tinyalex.models.weights import arrays_of, copy_state, state

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed: install the extra 'test'")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
FLOAT = onnx.TensorProto.FLOAT


def node(kind, inputs, outputs, **attributes):
    """A node, whose inputs and outputs are words in one text."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def model_of(nodes, in_shape, opset=13, inits=None, outputs=("y",), ir=8, functions=()):
    """A model with the input x, (N, *in_shape), and the output y."""
    x = helper.make_tensor_value_info("x", FLOAT, ["N", *in_shape])
    ys = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(array, name) for name, array in (inits or {}).items()]
    graph = helper.make_graph(list(nodes), "small", [x], ys, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    model.functions.extend(functions)
    return model


def saved(model, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def built(net: Imported, dtype: Any = np.float32) -> Sequential:
    """The network with the arrays of the file; every array has its place, and every parameter its array."""
    made = build_net(undrawn(net.rows), net.in_shape, net.name, dtype=dtype)
    assert {name for name, *_ in state(made)} == set(net.arrays)
    copy_state(made, net.arrays)
    return made


def undrawn(rows):
    """The rows without initial weights, whose drawing takes longer than all else."""
    if isinstance(rows, tuple):
        return tuple(undrawn(row) for row in rows)
    if rows.kind == "branches":
        return rows.having(paths=tuple(undrawn(path) for path in rows["paths"]))
    return rows.having(**{key: zeros for key in ("weight_init", "bias_init") if key in rows.settings})


def run(net: Imported, x: np.ndarray) -> np.ndarray:
    """What the engine computes, with the softmax that it has in its loss where the file has one."""
    y = built(net).forward(np.ascontiguousarray(x, np.float32))
    if net.ends == "probabilities":
        y = np.exp(y - y.max(axis=1, keepdims=True))
        y /= y.sum(axis=1, keepdims=True)
    return y


def by_runtime(model, x: np.ndarray, name: str = "x", outputs=None) -> list[np.ndarray]:
    """What ONNX Runtime computes. model: a message, or the path of a file."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: install the extra 'test' to compare")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    given = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = runtime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    return session.run(outputs, {name: x})


def agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float = 1e-4) -> None:
    """Equal within a share of the largest output; shapes may differ in axes of size 1."""
    assert ours.size == theirs.size and np.isfinite(theirs).all()
    difference = np.abs(ours.reshape(-1) - theirs.reshape(-1).astype(np.float64)).max()
    assert difference <= tolerance * np.abs(theirs).max(), f"{difference} of {np.abs(theirs).max()}"


def node_cases(*modules):
    """The test cases of the package onnx for single operators, which the import of these modules computes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases are computed by NumPy, and some of all overflow
        from onnx.backend.test.case import node as made

        for name in modules:
            importlib.import_module(f"{made.__name__}.{name}")
    return [case for case in made._NodeTestCases if len(case.model.graph.node) == 1]  # all others take half a minute to make


def small_rows(name: str) -> tuple[Rows, tuple[int, int, int]]:
    """The rows of a network of the registry with a sixteenth of its width, and the shape of a small image."""
    if name in LATER:
        net = LATER[name]
        size = {299: 107, 224: 64}.get(net.size, net.size)
        if net.heads:  # which need larger maps in the middle
            size = 299 if net.size == 299 else 144
        return narrow(net.rows(7), 1 / 16), (net.channels, size, size)
    if name.startswith("alexnet"):
        made = as_built(name.partition("-")[2] or "paper", width=1 / 16, num_classes=7)
        return made.rows, (3, made.input_size, made.input_size)
    return SMALL[name], (3, 32, 32)


def with_values(name: str, rows: Rows, in_shape: tuple[int, ...], seed: int = 0) -> Imported:
    """A network with random arrays, also where training begins with 0 and 1."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for key, array in arrays_of(build_net(undrawn(rows), in_shape, name)).items():
        drawn = rng.standard_normal(array.shape, np.float32)
        if array.ndim > 1:
            drawn *= np.float32((2 / np.prod(array.shape[1:])) ** 0.5)
        elif key.endswith((".weight", "running_var")):
            drawn = 1 + drawn / 8
        else:
            drawn /= 8
        arrays[key] = np.full_like(array, 3.5) if key.endswith("batches") else np.asarray(drawn)
    return Imported(name, "a test", rows, in_shape, arrays)

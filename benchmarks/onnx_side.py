"""Functions that all workloads in ONNX Runtime use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

OPSET, IR_VERSION = 17, 8  # versions of 2021, which every later runtime reads


class Graph:
    """An ONNX graph that is built node by node, from images "x" to "logits".

    shape: (N, C, H, W) of the images. constants: arrays by name, which nodes may read.
    """

    def __init__(self, shape: tuple[int, ...], constants: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self.shape, self.constants = shape, dict(constants)
        self._nodes: list[Any] = []

    def add(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node that reads `inputs`, values or constants, and gives the value `name`; return the name."""
        from onnx import helper

        self._nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def model(self, name: str, classes: int) -> bytes:
        """The model, whose output "logits" has one number for each class. Constants that no node reads are left out."""
        from onnx import TensorProto, helper, numpy_helper

        read = {each for node in self._nodes for each in node.input}
        values = [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in self.constants.items() if key in read]
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [self.shape[0], classes])
        graph = helper.make_graph(self._nodes, name, [image], [logits], values)
        model: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION).SerializeToString()
        return model


def session(model: bytes, threads: int) -> Any:
    """A session of ONNX Runtime with `threads` threads and all optimizations of the graph."""
    import onnxruntime  # type: ignore[import-untyped]  # it has no stubs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

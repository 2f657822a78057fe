"""The paper's AlexNet as an ONNX graph that is built node by node, and the session of ONNX Runtime that runs it."""

from __future__ import annotations

from typing import Any

from benchmarks.alexnet_torch import GROUPS
from benchmarks.workload import Arrays

OPSET, IR_VERSION = 17, 8  # versions of 2021, which every later runtime reads


def alexnet_onnx(weights: Arrays, shape: tuple[int, ...]) -> bytes:
    """The model for inference. Its input is "x", images of `shape` (N, C, H, W); its output is "logits". It has no dropout."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants = {name: value for name, value in weights.items() if name.endswith((".weight", ".bias"))}
    at, channels, size = "x", 3, shape[2]

    def add(kind: str, name: str, *constant: str, **attributes: Any) -> None:
        nonlocal at
        nodes.append(helper.make_node(kind, [at, *constant], [name], name, **attributes))
        at = name

    def reshape(name: str, *to: int) -> None:
        constants[f"{name}.shape"] = np.array(to, np.int64)
        add("Reshape", name, f"{name}.shape")

    for stage, (stride, padding) in enumerate(((4, 0), (1, 2), (1, 1), (1, 1), (1, 1)), 1):
        filters, seen, kernel, _ = weights[f"conv{stage}.weight"].shape
        how = {"strides": [stride] * 2, "pads": [padding] * 4, "group": channels // seen}
        add("Conv", f"conv{stage}", f"conv{stage}.weight", f"conv{stage}.bias", **how)
        add("Relu", f"relu{stage}")
        channels, size = filters, (size + 2 * padding - kernel) // stride + 1
        if stage < 3:
            reshape(f"halves{stage}", GROUPS * shape[0], channels // GROUPS, size, size)
            add("LRN", f"norm{stage}", size=5, alpha=5e-4, beta=0.75, bias=2.0)  # ONNX divides alpha by n, the paper does not
            reshape(f"whole{stage}", shape[0], channels, size, size)
        if stage in (1, 2, 5):
            add("MaxPool", f"pool{stage}", kernel_shape=[3, 3], strides=[2, 2])
            size = (size - 3) // 2 + 1
    add("Flatten", "flatten5")
    for layer in ("fc6", "fc7", "fc8"):
        add("Gemm", "logits" if layer == "fc8" else layer, f"{layer}.weight", f"{layer}.bias", transB=1)
        if layer != "fc8":
            add("Relu", f"relu_{layer}")
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], weights["fc8.bias"].size])
    values = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "alexnet", [image], [logits], values)
    model: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION).SerializeToString()
    return model


def session(model: bytes, threads: int) -> Any:
    """A session of ONNX Runtime with `threads` threads and all optimizations of the graph."""
    import onnxruntime  # type: ignore[import-untyped]  # it has no stubs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

"""The paper's AlexNet as an ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.alexnet_torch import GROUPS
from benchmarks.onnx_side import Graph
from benchmarks.workload import Arrays


def alexnet_onnx(weights: Arrays, shape: tuple[int, ...]) -> bytes:
    """The model for inference. Its input is "x", images of `shape` (N, C, H, W); its output is "logits". It has no dropout."""
    graph, at, channels, size = Graph(shape, weights), "x", 3, shape[2]

    def add(kind: str, name: str, *constants: str, **attributes: Any) -> None:
        nonlocal at
        at = graph.add(kind, name, at, *constants, **attributes)

    def reshape(name: str, *to: int) -> None:
        graph.constants[f"{name}.shape"] = np.array(to, np.int64)
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
    return graph.model("alexnet", weights["fc8.bias"].size)

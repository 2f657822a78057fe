"""The rows of a network after AlexNet as an ONNX graph."""

from __future__ import annotations

from benchmarks.onnx_side import Graph
from benchmarks.workload import Arrays
from tinyalex.models.rows import Row, Rows


def later_onnx(rows: Rows, weights: Arrays, shape: tuple[int, ...]) -> bytes:
    """The model for inference: images "x" of `shape` (N, C, H, W) to "logits". Dropout is left out."""
    graph = Graph(shape, weights)

    def window(row: Row) -> dict[str, list[int]]:
        settings = row.settings
        return {
            "kernel_shape": [settings["kernel_size"]] * 2,
            "strides": [settings.get("stride", 1)] * 2,
            "pads": [settings.get("padding", 0)] * 4,
        }

    def node(row: Row, at: str) -> str:
        name = row.name
        if row.kind == "conv":
            return graph.add("Conv", name, at, f"{name}.weight", f"{name}.bias", **window(row))
        if row.kind == "linear":
            return graph.add("Gemm", "logits" if row is rows[-1] else name, at, f"{name}.weight", f"{name}.bias", transB=1)
        if row.kind == "branches":
            assert row["merge"] == "sum"
            return graph.add("Add", name, *(net(path, at) for path in row["paths"]))
        if row.kind == "global_pool":
            return graph.add("Flatten", name, graph.add("GlobalAveragePool", f"{name}.mean", at))
        if row.kind == "pool":
            return graph.add("MaxPool", name, at, **window(row))
        if row.kind == "dropout":
            return at
        return graph.add({"relu": "Relu", "flatten": "Flatten"}[row.kind], name, at)

    def net(rows: Rows, at: str) -> str:
        for row in rows:
            at = node(row, at)
        return at

    net(rows, "x")
    return graph.model("later", len(weights[f"{rows[-1].name}.weight"]))

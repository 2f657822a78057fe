"""The ONNX graph that grows while a network is written: nodes, arrays, and the shape of every value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError
from tinyalex.formats.free_names import FreeNames
from tinyalex.formats.onnx import own
from tinyalex.formats.onnx.model import onnx_package
from tinyalex.layers import Layer
from tinyalex.models.rows import Row, Shape

Tensor = npt.NDArray[Any]
IR = 4  # of the format: from 4 on, arrays need not be inputs too
IR_OF_FUNCTIONS = 8
BATCH = "N"
LARGEST = 2**31 - 2**20  # bytes: a protobuf message has at most 2 GiB


class Out:
    """A graph.

    who: the file, for messages. opset: the version of the operators, as low as the layers allow. arrays: those of the network, by name.
    taken: names of values that the layers will give.
    """

    def __init__(self, who: str, opset: int, arrays: Mapping[str, Tensor], taken: Sequence[str]) -> None:
        self.who, self.opset, self.arrays = who, opset, arrays
        self.helper, self.onnx = onnx_package(who).helper, onnx_package(who)
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.functions: dict[str, Any] = {}
        self.shapes: dict[str, Shape] = {}
        self.nbytes = 0
        self._names = FreeNames(taken, "_")

    def free(self, name: str) -> str:
        """`name`, or that name and a number if something has it, which is then taken."""
        return self._names.free(name)

    def node(self, kind: str, inputs: Sequence[str], output: str, shape: Shape, name: str = "", note: str = "", **attributes: Any) -> str:
        """Add a node that gives `output`, of this shape for one image; the output's name is returned."""
        domain = attributes.pop("domain", None)
        self.nodes.append(self.helper.make_node(kind, list(inputs), [output], name or output, note or None, domain, **attributes))
        self.shapes[output] = shape
        return output

    def step(self, kind: str, inputs: Sequence[str], after: str, shape: Shape, **attributes: Any) -> str:
        """Add a node in the middle of a layer, whose value is named after it."""
        return self.node(kind, inputs, self.free(after), shape, **attributes)

    def parameter(self, layer: Layer, key: str, shape: Shape | None = None) -> str:
        """Add an array of the network, such as "conv1.weight", in another shape if one is given."""
        array = self.arrays[f"{layer.name}.{key}"]
        return self.constant(f"{layer.name}.{key}", np.asarray(array, "<f4") if shape is None else np.asarray(array, "<f4").reshape(shape))

    def constant(self, name: str, value: Any) -> str:
        """Add an array of float32 or int64."""
        array = np.asarray(value)
        self.nbytes += array.nbytes
        if self.nbytes > LARGEST:
            raise ShapeError(f"{self.who}: the arrays of an ONNX file must have at most {LARGEST:,} bytes together, got more")
        kind = {"f": self.onnx.TensorProto.FLOAT, "i": self.onnx.TensorProto.INT64}[array.dtype.kind]
        tensor = self.onnx.TensorProto(name=self.free(name), data_type=kind, dims=array.shape, raw_data=array.tobytes())
        self.tensors.append(tensor)
        return str(tensor.name)

    def with_axes(self, kind: str, value: str, output: str, shape: Shape, axes: Sequence[int]) -> str:
        """Add a node whose axes are an attribute before opset 13, and an input from then on."""
        if self.opset < 13:
            return self.node(kind, [value], output, shape, axes=list(axes))
        return self.node(kind, [value, self.constant(f"{output}.axes", np.array(axes, np.int64))], output, shape)

    def function(self, row: Row, layer: Layer, value: str, shape: Shape) -> str:
        """Add a layer that ONNX has no operator for, and the function that says what it computes."""
        settings = own.settings_of_row(row, shape)
        number = 1
        while True:
            name = own.NAMES[row.kind] + (f":{number}" if number > 1 else "")
            made = own.function_of(row.kind, settings, shape, name)
            if self.functions.setdefault(name, made) == made:
                return self.node(name, [value], layer.name, shape, domain=own.DOMAIN, **settings)
            number += 1

    def model(self, name: str, source: tuple[str, Shape], outputs: Sequence[str], doc: str, text: Mapping[str, str]) -> Any:
        """The file as a message. source: the name and the shape of the images."""
        helper, kind = self.helper, self.onnx.TensorProto.FLOAT

        def info(value: str, shape: Shape) -> Any:
            return helper.make_tensor_value_info(value, kind, [BATCH, *shape])

        inner = [info(value, shape) for value, shape in self.shapes.items() if value not in outputs]
        graph = helper.make_graph(
            self.nodes, name, [info(*source)], [info(value, self.shapes[value]) for value in outputs], self.tensors, doc, inner
        )
        versions = [helper.make_opsetid("", self.opset)] + ([helper.make_opsetid(own.DOMAIN, 1)] if self.functions else [])
        version = IR_OF_FUNCTIONS if self.functions or self.opset > own.OPSET else IR
        model = helper.make_model(graph, opset_imports=versions, ir_version=version, functions=list(self.functions.values()))
        helper.set_model_props(model, dict(text))
        return model

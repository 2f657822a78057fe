"""The graph of an ONNX file on its way to becoming nodes of ours: the values so far, and the layers that were made of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError
from tinyalex.formats.free_names import FreeNames
from tinyalex.formats.onnx.flow import Draft, Flow
from tinyalex.formats.onnx.model import Model
from tinyalex.formats.onnx.operator import Budget, Op
from tinyalex.formats.onnx.shapes import shape_of
from tinyalex.models.rows import Row, Shape
from tinyalex.models.saved_net import printable

Tensor = npt.NDArray[Any]
Value = Flow | Tensor
MOST_VALUES = 2**28  # of one image, in one layer: a GiB as float32
LONGEST_NAME = 120
ENDINGS = (".weight", "_weight", "_w_0", "_w")  # of the names that programs give to the weights of a layer


@dataclass
class Reader:
    """What is known while the nodes are read in order.

    Parameters
    ----------
    model: the file. batch: how many images it declares; a large prime number where it leaves that open.
    values: what each name stands for. uses: how many nodes read it. drafts: the layers so far, by the value that they give.
    notes: sentences for the user.
    """

    model: Model
    batch: int
    uses: Counter[str]
    values: dict[str, Value] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    names: FreeNames = field(default_factory=lambda: FreeNames(between="_"))
    notes: dict[str, None] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def value(self, op: Op, i: int) -> Value | None:
        """Input i of a node; None if it is left out."""
        if i >= len(op.inputs) or not op.inputs[i]:
            return None
        name = op.inputs[i]
        if name not in self.values:
            rule = "one that the graph has, an initializer or a node before this one gives"
            op.refuse(f"input {i}", rule, f"{printable([name])[0][:80]!r}; the graph has a cycle or is in the wrong order")
        value = self.values[name]
        if isinstance(value, Flow) and self.uses[name] != 1:
            return replace(value, alone=False)
        return value

    def flow(self, op: Op, i: int = 0, *, padded: bool = False, last: bool = False, squares: bool = False) -> Flow:
        """Input i as an array that the network computes.

        padded: whether the operator can add a padding that still has to be added. last: whether it may stand behind the softmax.
        squares: whether it may be a step of a response normalization.
        """
        value = self.value(op, i)
        if not isinstance(value, Flow):
            op.refuse(f"input {i}", "an array that the network computes", "a constant" if value is not None else "none")
        if value.softmax and not last:
            op.refuse("the operator", "in front of the softmax, which tinyalex has in its loss", f"{op.kind} behind it")
        if any(value.padding) and not padded:
            op.refuse("the operator", "a convolution or a pooling, which can add the padding in front of it", op.kind)
        if value.squares is not None and not squares:
            op.refuse("the operator", "a step of response normalization, as its input is x^2", op.kind)
        if value.part is not None:
            op.refuse("the operator", "LRN, as the input is one part of the channels", op.kind)
        return value

    def constant(self, op: Op, i: int, what: str) -> Tensor:
        """Input i as a constant."""
        value = self.value(op, i)
        if value is None or isinstance(value, Flow):
            op.refuse(what, "a constant of the file", "an array that the network computes" if value is not None else "none")
        return value

    def weights(self, op: Op, i: int, what: str, shape: Shape | None = None) -> Tensor:
        """Input i as weights, float32; a view of the file where that has float32."""
        array = self.constant(op, i, what)
        if array.dtype.kind != "f":
            op.refuse(what, "floats", array)
        if shape is not None and array.shape != shape:
            op.refuse(what, f"of shape {shape}", array)
        if 0 in array.strides:  # one number for many, which has no memory of its own until the layer is built
            op.take(array.size * 4)
        return self.as_float32(op, array)

    def as_float32(self, op: Op, array: Tensor) -> Tensor:
        """The array as float32, in its own memory where it is float32."""
        if array.dtype == np.float32:
            return array
        op.take(array.size * 4)
        self.notes[f"The file has numbers of {array.dtype}; they became float32."] = None
        return array.astype(np.float32)

    def image(self, op: Op, i: int = 0, *, padded: bool = False) -> Flow:
        """Input i as images (C, H, W) in the order of axes that the layers have."""
        flow = self.flow(op, i, padded=padded)
        if not flow.is_image:
            op.refuse("its input", "images (N, C, H, W)", self.shown(flow))
        return flow

    def shown(self, flow: Flow) -> str:
        """The shape of a flow for a message."""
        sizes = ", ".join(map(str, ("N", *flow.seen)))
        return f"({sizes})" + ("" if flow.order is None else " with its channels elsewhere")

    def draft_of(self, flow: Flow, *kinds: str) -> Draft | None:
        """The layer that gives a flow which nothing else reads, if it is of one of these kinds."""
        draft = self.drafts.get(flow.value)
        return draft if draft is not None and flow.alone and draft.kind in kinds else None

    def name(self, op: Op, suffix: str = "") -> str:
        """A name for the layer of a node: that of its weights without ".weight", or its own."""
        wanted = op.name or op.outputs[0]
        for i in op.inputs[1:2]:
            ending = next((ending for ending in ENDINGS if i.endswith(ending) and i != ending), None)
            if ending is not None:
                wanted = i.removesuffix(ending)
        wanted = (printable([wanted])[0].strip()[:LONGEST_NAME] or op.kind.lower()) + suffix
        return self.names.free(wanted)

    def add(
        self,
        op: Op,
        kind: str,
        name: str,
        flows: tuple[Flow, ...],
        settings: Mapping[str, Any],
        arrays: Mapping[str, Tensor] | None = None,
        value: str | None = None,
    ) -> Flow:
        """A new layer or join, and the flow that it gives. value: the name of that flow, the node's own output if it is None."""
        value = op.outputs[0] if value is None else value
        where = op.where if op.name else f"{op.where} of {op.kind}"
        draft = Draft(kind, name, flows, value, where, dict(settings), dict(arrays or {}))
        shape = self.shape(op, draft, tuple(flow.shape for flow in flows))
        self.drafts[value] = draft
        return Flow(value, shape, shape)

    def shape(self, op: Op, draft: Draft, in_shapes: tuple[Shape, ...]) -> Shape:
        """What the engine says about the layer. DataError: it refuses it."""
        try:
            shape = shape_of(Row(draft.kind, draft.name, draft.settings), in_shapes)
        except ShapeError as error:
            op.refuse("the layer", "one that tinyalex can build", f"one that it refuses ({error.sentence})")
        count = 1
        for size in shape:
            count *= size
        if count > MOST_VALUES:
            op.refuse("its output", f"at most {MOST_VALUES:,} numbers an image", f"{count:,}")
        return shape

    def elementwise(self, op: Op, kind: str, flow: Flow, **settings: Any) -> Flow:
        """A layer that computes each element by itself, so that shapes and the order of axes stay."""
        made = self.add(op, kind, self.name(op), (flow,), settings)
        return replace(flow, value=made.value, alone=True)

    def flattened(self, flow: Flow) -> Flow:
        """Images of one pixel at the end of the net as a vector."""
        value = f"{flow.value} as a vector"
        self.drafts[value] = Draft("flatten", self.names.free("flatten"), (flow,), value, "the output")
        return Flow(value, (math.prod(flow.shape),), flow.seen)

    def vector(self, op: Op, flow: Flow) -> Flow:
        """The flow as a vector for the layers: flattened, unless it is one already."""
        if flow.is_vector:
            return flow
        if flow.order is not None:
            op.take(16 * math.prod(flow.shape))
        value, features = f"{flow.value} as a vector for {op.outputs[0]}", flow.features_in_order()
        if value in self.drafts:  # the node reads it twice
            return replace(flow, value=value, shape=(math.prod(flow.shape),), order=None, features=features)
        name = self.name(op, "" if op.kind in ("Flatten", "Reshape") else ".flatten")
        made = self.add(op, "flatten", name, (flow,), {}, value=value)
        return replace(made, seen=flow.seen, features=features)

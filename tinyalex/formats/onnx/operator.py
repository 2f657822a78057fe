"""One node of an ONNX graph: its attributes, and the sentence with which it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DataError, show
from tinyalex.formats.onnx.model import Model

LONGEST_NOTE = 1000  # characters
MOST_BYTES = 2**30  # of constants that are computed while reading, such as the 575 MB of VGG-19; views of the file do not count
FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS = 1, 2, 3, 4, 5, 6, 7  # the types of attributes
FIELDS = {FLOAT: "f", INT: "i", STRING: "s", FLOATS: "floats", INTS: "ints"}


def exact(value: float) -> float:
    """A float32 of the file as the number that was meant: 0.1, where the float32 is 0.10000000149011612."""
    return float(str(np.float32(value)))


@dataclass
class Budget:
    """The bytes of constants that may still be computed."""

    left: int = MOST_BYTES


class Op:
    """A node.

    kind: its operator, such as "Conv". where: its place in the file, such as "node 5 'conv1'". opset: the version of the operators.
    """

    def __init__(self, model: Model, node: Any, number: int, budget: Budget) -> None:
        self.model, self.node, self.opset, self.budget = model, node, model.opset, budget
        self.domain, self.name, self.number = node.domain, node.name, number
        self.kind = node.op_type if node.op_type.isprintable() and 0 < len(node.op_type) < 60 else show(node.op_type)
        named = node.name or (node.output[0] if node.output else "")
        self.where = f"node {number} {show(named)}"
        self.inputs, self.outputs = tuple(node.input), tuple(node.output)
        self._attributes: dict[str, Any] = {attribute.name: attribute for attribute in node.attribute}

    def refuse(self, quantity: str, rule: str, got: Any, remedy: str | None = None) -> NoReturn:
        """Raise DataError: the network would be another one. quantity: what of the node."""
        shown = got if isinstance(got, str) and got else show(got)
        raise DataError(f"{self.model.path}: {self.where} ({self.kind}): {quantity} must be {rule}, got {shown}", remedy)

    def told(self) -> Mapping[str, Any]:
        """What the writer of tinyalex noted of settings that ONNX does not have; nothing where another program wrote the node."""
        try:
            found = json.loads(self.node.doc_string[:LONGEST_NOTE]) if self.node.doc_string.startswith("{") else {}
        except (ValueError, RecursionError):
            found = {}
        return found if isinstance(found, dict) else {}

    def take(self, nbytes: int) -> None:
        """Count bytes that a constant will have. DataError: all constants together would have too many."""
        self.budget.left -= nbytes
        if self.budget.left < 0:
            self.refuse("the constants of the graph", f"at most {MOST_BYTES:,} bytes", "more")

    def has(self, name: str) -> bool:
        """Whether the node has an attribute of this name."""
        return name in self._attributes

    def attribute(self, name: str) -> Any:
        """The value of an attribute: a float, an int, a text, or a tuple of floats or ints."""
        found: Any = self._attributes[name]
        if found.ref_attr_name or found.type not in FIELDS:
            self.refuse(name, "a number, numbers or a text", f"type {found.type} of ONNX")
        value: Any = getattr(found, FIELDS[found.type])
        if found.type == FLOAT:
            return exact(value)
        if found.type == STRING:
            return value.decode("utf-8", "replace")
        return tuple(value) if found.type in (FLOATS, INTS) else value

    def _of(self, name: str, default: Any, kind: Any, rule: str) -> Any:
        if name not in self._attributes:
            return default
        value = self.attribute(name)
        if not isinstance(value, kind) or (kind is tuple and not all(isinstance(each, int) for each in value)):
            self.refuse(name, rule, show(value))
        return value

    def whole(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        found: int = self._of(name, default, int, "a whole number")
        return found

    def real(self, name: str, default: float) -> float:
        """An attribute that is a finite number."""
        found: float = self._of(name, default, float, "a number")
        if not np.isfinite(found):
            self.refuse(name, "a finite number", found)
        return found

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        found: str = self._of(name, default, str, "a text")
        return found

    def wholes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute that is a row of whole numbers."""
        found: tuple[int, ...] = self._of(name, default, tuple, "whole numbers")
        return found

    def graph(self, name: str) -> Any:
        """An attribute that is a graph, of nodes alone."""
        if name not in self._attributes or self._attributes[name].type != GRAPH:
            self.refuse(name, "a graph", "none")
        found = self._attributes[name].g
        if len(found.input) or len(found.initializer) or len(found.sparse_initializer):
            self.refuse(name, "a graph of nodes alone", "one with inputs or initializers")
        return found

    def tensor(self, name: str) -> npt.NDArray[Any]:
        """An attribute that is an array."""
        found = self._attributes[name]
        if found.type != TENSOR:
            self.refuse(name, "an array", f"type {found.type} of ONNX")
        return self.model.tensor(found.t, f"{self.where}'s {name}")

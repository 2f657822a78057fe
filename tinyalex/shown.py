"""A network as a table of text, which is what `print(net)` shows, and the names in it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinyalex.layers.base import Layer

Line = tuple[str, str, str, str]


def layer_of(name: str) -> str:
    """`name` without the suffix of a tower, which is an a or b after a digit: the layer of fc6a and of fc6b is fc6."""
    return re.sub(r"(?<=\d)[ab]$", "", name)


def table_of(net: Layer, in_shape: Any) -> str:
    """The layers of a network, one a line: name, kind and settings, output shape, parameters. in_shape: None where it is not known."""
    where = " and ".join(dict.fromkeys(device.name for leaf in net.leaves() for device in (*leaf.takes, *leaf.gives)))
    given = getattr(net, "in_shape", None)
    lines = [("layer", "kind and settings", "output", "parameters"), *lines_of(net, in_shape)]
    a, b, c, d = (max(len(line[column]) for line in lines) for column in range(4))
    table = [f"  {name:<{a}}  {kind:<{b}}  {out:<{c}}  {params:>{d}}".rstrip() for name, kind, out, params in lines]
    end = "parameters to be drawn when in_shape is known" if net.unbuilt else f"{count_of(net):,} parameters"
    title = f"{type(net).__name__} {net.name!r} on {where}" + (f", input {show_shape(given)}" if given else "")
    return "\n".join([title, *table, f"  {end}"])


def lines_of(layer: Layer, in_shape: Any, depth: int = 0) -> list[Line]:
    """A line for each layer inside `layer`; what is inside that one follows it, indented."""
    lines: list[Line] = []
    for part, takes in layer.inside(in_shape):
        out, deeper = "" if takes is None else show_shape(part.output_shape(takes)), lines_of(part, takes, depth + 1)
        count = 0 if deeper else count_of(part)
        kind = type(part).__name__ + (f" {part.settings()}" if part.settings() and not deeper else "")
        lines += [("  " * depth + part.name, kind, out, f"{count:,}" if count else ""), *deeper]
    return lines


def count_of(layer: Layer) -> int:
    """How many parameters a layer has, with all that is inside it."""
    return sum(math.prod(array.shape) for leaf in layer.leaves() for array in leaf.params.values())


def show_shape(shape: tuple[Any, ...]) -> str:
    """A shape as text: `96x55x55`, or for the two halves of towers `2 x 48x55x55`, with ` | ` between them where they differ."""
    if isinstance(shape[0], tuple):
        return f"2 x {show_shape(shape[0])}" if shape[0] == shape[1] else " | ".join(map(show_shape, shape))
    return "x".join(map(str, shape))

"""A network as the graph that Caffe and ONNX write, nodes between named values, and the rows of branches that it folds into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyalex.models.rows import Row, Rows


@dataclass(frozen=True)
class Node:
    """One layer of a graph.

    Parameters
    ----------
    row: the layer as a row; its name is unique. A node that joins values has a row of the kind "concat", "sum" or "product" without settings.
    inputs: the values that it reads, in order; one for each layer, two or more for a join.
    output: the value that it gives. Every value is given by one node, so a layer that works in place gets a name of its own for it.
    where: the place in the file, for messages, such as "line 12" or "node 5".
    """

    row: Row
    inputs: tuple[str, ...]
    output: str
    where: str = ""


def fold(who: str, nodes: Sequence[Node], source: str, sink: str) -> Rows:
    """The rows of the net that leads from the value `source` to the value `sink`.

    Raises
    ------
    ShapeError: the graph has a cycle, or is not made of series and of paths that leave from one value and meet again.
    """
    raise NotImplementedError


def unfold(rows: Rows, source: str) -> tuple[list[Node], str]:
    """The nodes of a net, in the order in which they compute, and the value that the last one gives."""
    raise NotImplementedError

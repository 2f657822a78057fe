"""A network as the graph that Caffe and ONNX write, nodes between named values, and the rows of branches that it folds into.

**How a graph folds.** The value d dominates the value v if every way from the source to v passes d; the nearest such d is the parent of v.
A layer's parent is its input, and the parent of a join is the value where the paths to its inputs part. What stands between a parent and
its child is one row: the layer, or `branches` whose paths are again rows from parent to child. So the rows of the net are those on the way
from the source to the sink. A value that lies on two such ways would be computed twice: that graph has no rows, and is refused.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tinyalex.errors import ShapeError, show
from tinyalex.formats.free_names import FreeNames
from tinyalex.models.later.rows import MERGES
from tinyalex.models.rows import Row, Rows

DEEPEST = 64  # paths inside of paths: GoogLeNet has one level, and a program that goes through rows calls itself once a level
ASSOCIATIVE = ("concat", "sum")  # of their inputs, some may be joined first
PARTED = "the engine needs paths that leave from one value and meet again in one layer"


@dataclass(frozen=True)
class Node:
    """One layer of a graph.

    Parameters
    ----------
    row: the layer as a row; its name is unique. A node that joins values has a row of the kind "concat", "sum", "product" or "both" without
        settings.
    inputs: the values that it reads, in order; one for each layer, two or more for a join. A join of one value passes it on. A product
        reads the images first and the gate second.
    output: the value that it gives. Every value is given by one node, so a layer that works in place gets a name of its own for it.
    where: the place in the file, for messages, such as "line 12" or "node 5".
    """

    row: Row
    inputs: tuple[str, ...]
    output: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.row.name} ({self.where})" if self.where else self.row.name


def fold(who: str, nodes: Sequence[Node], source: str, sink: str, heads: Sequence[str] = ()) -> Rows:
    """The rows of the net that leads from the value `source` to the value `sink`. Nodes that lead to neither sink nor heads are left out.

    Parameters
    ----------
    who: the file, for messages. nodes: in any order.
    heads: the values that auxiliary heads give; each becomes the second path of a row of branches with the merge "both".

    Returns
    -------
    Rows. Inputs of one concat or sum that share a beginning are joined behind it first, in a row of branches called such as "cat.paths1".
    A concat that begins with all inputs of an earlier one reads the earlier one's output.

    Raises
    ------
    ShapeError: two nodes have one name or give one value, nobody gives a value that is read, the graph has a cycle, or it is not made of
        paths that leave from one value and meet again, or has more than 64 levels of them. The message names the node and its place.

    Example
    -------
    >>> block = [Node(Row("relu", "r"), ("x",), "y"), Node(Row("sum", "add"), ("x", "y"), "z")]
    >>> fold("net", block, "x", "z")[0].settings
    {'merge': 'sum', 'paths': ((), (Row(kind='relu', name='r', settings={}),))}
    """
    given = _given(who, nodes, source)
    for value in (sink, *heads):
        if value != source and value not in given:
            raise ShapeError(f"{who}: the value {show(value)} must be given by a layer, got none that gives it")
    folding = _Folding(who, _ordered(who, given, source, (sink, *heads)), source, FreeNames(node.row.name for node in nodes))
    return folding.rows(sink, heads)


def unfold(rows: Rows, source: str) -> tuple[list[Node], str]:
    """The nodes of a net, in the order in which they compute, and the value that the last one gives. A value has the name of its row.

    Raises
    ------
    ShapeError: two rows have one name, or one has the name of the source.

    Example
    -------
    >>> nodes, sink = unfold((Row("branches", "add", {"merge": "sum", "paths": ((), (Row("relu", "r"),))}),), "x")
    >>> [(node.row.kind, node.inputs) for node in nodes], sink
    ([('relu', ('x',)), ('sum', ('x', 'r'))], 'add')
    """
    nodes = list(_unfolded(rows, source))
    taken = {source}
    for node in nodes:
        if node.output in taken:
            raise ShapeError(f"unfold: names of rows must be unique and other than the source's, got {show(node.output)} twice")
        taken.add(node.output)
    return nodes, rows[-1].name if rows else source


def _unfolded(rows: Rows, value: str) -> Iterator[Node]:
    for row in rows:
        if row.kind == "branches":
            for path in row["paths"]:
                yield from _unfolded(path, value)
            ends = tuple(path[-1].name if path else value for path in row["paths"])
            yield Node(Row(row["merge"], row.name), ends, row.name)
        else:
            yield Node(row, (value,), row.name)
        value = row.name


def _given(who: str, nodes: Sequence[Node], source: str) -> dict[str, Node]:
    """The node that gives each value."""
    given: dict[str, Node] = {}
    called: dict[str, Node] = {}
    for node in nodes:
        if node.output == source or node.output in given:
            other = f"of {given[node.output]}" if node.output in given else "of the net"
            what = "output" if node.output in given else "input"
            raise ShapeError(f"{who}: {node} must give a value of its own, got {show(node.output)}, the {what} {other}")
        if node.row.name in called:
            raise ShapeError(f"{who}: {node} must have a name of its own, got that of {called[node.row.name]}")
        if not node.inputs or (len(node.inputs) > 1 and node.row.kind not in MERGES):
            rule = "at least one value" if node.row.kind in MERGES else "one value"
            raise ShapeError(f"{who}: {node} must read {rule}, got {len(node.inputs)}")
        given[node.output] = called[node.row.name] = node
    return given


def _ordered(who: str, given: dict[str, Node], source: str, wanted: Iterable[str]) -> list[Node]:
    """The nodes that lead to the values `wanted`, each behind those whose values it reads."""
    needed: dict[str, int] = {}  # by value: how many different values its node still waits for
    readers: defaultdict[str, list[str]] = defaultdict(list)
    waiting = [value for value in dict.fromkeys(wanted) if value != source]
    found = set(waiting)
    while waiting:
        value = waiting.pop()
        node = given[value]
        inputs = set(node.inputs)
        needed[value] = len(inputs)
        for read in inputs:
            readers[read].append(value)
            if read == source or read in found:
                continue
            if read not in given:
                raise ShapeError(f"{who}: {node} must read values that a layer gives, got {show(read)}, which none gives")
            found.add(read)
            waiting.append(read)
    ordered: list[Node] = []
    ready = [source]
    while ready:
        for value in readers[ready.pop()]:
            needed[value] -= 1
            if not needed[value]:
                ordered.append(given[value])
                ready.append(value)
    if len(ordered) < len(needed):
        stuck = next(given[value] for value in given if needed.get(value))
        raise ShapeError(f"{who}: the graph must have no cycle, got one that leads to {stuck}")
    return ordered


@dataclass
class _Path:
    """Rows of one path, the last one first, and which inputs of the join lie on it, in the order in which they are joined."""

    inputs: list[int]
    backwards: list[Row] = field(default_factory=list)
    deep: int = 0


@dataclass
class _Folding:
    """The values by number, in an order in which each comes behind its parent; the source is 0."""

    who: str
    nodes: list[Node]
    source: str
    names: FreeNames

    def rows(self, sink: str, heads: Sequence[str]) -> Rows:
        self.number = {self.source: 0}
        self.parent, self.row, self.deep = [0], [Row("source", self.source)], [0]
        self.giver: list[Node | str] = [self.source]
        self.on: list[Node | str | None] = [None]  # whose way the value lies on
        self.concats: dict[tuple[int, int], int] = {}  # a tree of the inputs of concats: (place, next input) -> place
        self.ends: dict[int, int] = {}  # place -> the value of the concat that ends there
        for node in self.nodes:
            self._add(node)
        end = self.number[sink]
        for _, i in sorted((-self._meet(end, self.number[head]), i) for i, head in enumerate(heads)):  # the deepest first: heads nest
            name = self.names.free(f"head{i + 1}")
            end = self._join(name, Node(Row("both", name), (sink, heads[i]), name), [end, self.number[heads[i]]])
        backwards: list[Row] = []
        while end:
            self._take(end, "the output")
            backwards.append(self.row[end])
            end = self.parent[end]
        return tuple(backwards[::-1])

    def _add(self, node: Node) -> None:
        inputs = [self.number[value] for value in node.inputs]
        if node.row.kind not in MERGES:
            self.number[node.output] = self._new(node, inputs[0], node.row, 0)
            return
        place = -1
        if node.row.kind == "concat":
            inputs, place = self._shortened(inputs)
        value = inputs[0] if len(inputs) == 1 else self._join(node.row.name, node, inputs)
        self.number[node.output] = value
        if place >= 0:
            self.ends.setdefault(place, value)

    def _shortened(self, inputs: list[int]) -> tuple[list[int], int]:
        """The inputs of a concat, of which the longest beginning that is an earlier concat is replaced by its value; its place in the tree.

        Where all of them are the value at which the earlier concat's paths part, nothing is computed twice, and they stay.
        """
        place, length, whole = 0, 0, 0
        for i, value in enumerate(inputs, 1):
            place = self.concats.setdefault((place, value), len(self.concats) + 1)
            earlier = self.ends.get(place)
            if earlier is not None and any(each != self.parent[earlier] for each in inputs[:i]):
                length, whole = i, earlier
        return [whole, *inputs[length:]] if length else inputs, place

    def _new(self, node: Node, parent: int, row: Row, deep: int) -> int:
        self.parent.append(parent)
        self.row.append(row)
        self.deep.append(deep)
        self.giver.append(node)
        self.on.append(None)
        return len(self.parent) - 1

    def _take(self, value: int, by: Node | str) -> None:
        """Let a value lie on the way to `by`; raise if it already lies on another way."""
        if self.on[value] is not None:
            rule = f"{self.who}: {self.giver[value]} must lie on one path"
            raise ShapeError(f"{rule}, got one to {self.on[value]} and one to {by}; {PARTED}")
        self.on[value] = by

    def _meet(self, a: int, b: int) -> int:
        """The nearest value that both pass."""
        while a != b:
            a, b = min(a, b), self.parent[max(a, b)]
        return a

    def _join(self, name: str, node: Node, inputs: list[int]) -> int:
        """A new value: rows of branches from where the ways to the inputs part."""
        merge = node.row.kind
        paths: defaultdict[int, list[_Path]] = defaultdict(list)
        for i, value in enumerate(inputs):
            paths[value].append(_Path([i]))
        frontier = [-value for value in paths]
        heapq.heapify(frontier)
        groups = 0
        while len(frontier) > 1:
            value = -heapq.heappop(frontier)
            self._take(value, node)
            below = paths.pop(value)
            path = below[0]
            if len(below) > 1:
                if merge not in ASSOCIATIVE:
                    raise ShapeError(f"{self.who}: {node} must join paths that part at one value, got two that share {self.giver[value]}")
                groups += 1
                row, path = self._branches(self.names.free(f"{name}.paths{groups}"), node, below)
                path.backwards.append(row)
            path.backwards.append(self.row[value])
            path.deep = max(path.deep, self.deep[value])
            parent = self.parent[value]
            if parent not in paths:
                heapq.heappush(frontier, -parent)
            paths[parent].append(path)
        ((parent, below),) = paths.items()
        row, path = self._branches(name, node, below)
        if merge != "sum" and path.inputs != list(range(len(inputs))):
            shared = "inputs that share a beginning beside each other"
            raise ShapeError(f"{self.who}: {node} must read {shared}, got another value between them; {PARTED}")
        return self._new(node, parent, row, path.deep)

    def _branches(self, name: str, node: Node, paths: list[_Path]) -> tuple[Row, _Path]:
        """A row of these paths, and the path on which the row itself will lie."""
        paths = sorted(paths, key=lambda path: path.inputs[0])
        row = Row("branches", name, {"merge": node.row.kind, "paths": tuple(tuple(reversed(path.backwards)) for path in paths)})
        deep = 1 + max(path.deep for path in paths)
        if deep > DEEPEST:
            raise ShapeError(f"{self.who}: {node} must have at most {DEEPEST} levels of paths inside of paths, got more")
        return row, _Path([i for path in paths for i in path.inputs], [], deep)

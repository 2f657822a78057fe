"""All small changes of a Python source, one at a time: what a slip of the hand would have written.

Nothing is changed inside docstrings, f-strings, annotations and decorators: no test of behaviour can see most of that.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
DROPPED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete, ast.Break, ast.Continue)


@dataclass(frozen=True)
class Change:
    """One change of one source: the bytes from `start` to `stop`, in UTF-8, become `after`.

    line: the first is 1. text: what the line reads, without its indentation. kind: which sort of change. number: how many
    equal changes of equal lines come before; with it the `key` tells changes apart and stays when other lines move.
    """

    line: int
    text: str
    kind: str
    before: str
    after: str
    start: int
    stop: int
    number: int = 0

    @property
    def key(self) -> str:
        """What names the change in results and verdicts, together with the file."""
        code = self.text.partition("  # ")[0]  # a comment that is put in other words renames no change
        return f"{code} | {self.kind}: {self.before} -> {self.after} | {self.number}"

    def apply(self, source: str) -> str:
        """The changed source."""
        data = source.encode()
        return (data[: self.start] + self.after.encode() + data[self.stop :]).decode()


def changes(source: str) -> list[Change]:
    """All changes of a source that still compile, in the order of its lines."""
    tree, data = ast.parse(source), source.encode()
    lines = data.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found, counts = [], Counter[str]()
    for node, kind, after in sorted(_of(tree), key=lambda change: (change[0].lineno, change[0].col_offset, change[1])):
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        before = " ".join(data[start:stop].decode().split())
        change = Change(node.lineno, lines[node.lineno - 1].decode().strip(), kind, before, after, start, stop)
        change = Change(**{**vars(change), "number": counts[change.key]})
        counts[Change(**{**vars(change), "number": 0}).key] += 1
        at = next(node for node in reversed(tree.body) if node.lineno <= change.line)
        begin, end = starts[at.lineno - 1], starts[at.end_lineno or 0]  # compiling this statement alone takes a tenth of the time
        if _compiles(data[begin:start] + after.encode() + data[stop:end]):
            found.append(change)
    return found


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "a changed source", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


Found = Iterator[tuple[ast.expr | ast.stmt, str, str]]  # the node, the kind of change, the new text of the node


def _of(tree: ast.AST) -> Found:
    """All changes below a node."""
    for child in _children(tree):
        yield from _at(child)
        yield from _of(child)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr) and not _is_text(child) and not _for_types(child):
                yield child


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _at(node: ast.AST) -> Found:
    """The changes of one node itself."""
    match node:
        case ast.Compare():
            for i, operator in enumerate(node.ops):
                operators = [*node.ops[:i], COMPARISONS[type(operator)](), *node.ops[i + 1 :]]
                yield node, "comparison", _text(ast.Compare(node.left, operators, node.comparators))
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield node, "arithmetic", _text(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, "and or", _text(ast.BoolOp(other, node.values))
        case ast.UnaryOp(op=ast.Not()):
            yield node, "not", _text(node.operand)
        case ast.UnaryOp(op=ast.USub()):
            yield node, "sign", _text(node.operand)
        case ast.Constant(value=bool()):
            yield node, "truth", str(not node.value)
        case ast.Constant(value=int() | float()):
            yield node, "constant", str(node.value + 1)
        case ast.Return(value=ast.expr()) if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield node, "return", "return None"
        case ast.Slice():
            for bound in (node.lower, node.upper):
                if bound is not None:
                    yield bound, "slice", f"{_text(bound)} + 1"
        case ast.AugAssign() if type(node.op) in ARITHMETIC:
            statement = ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
            yield node, "arithmetic", ast.unparse(ast.fix_missing_locations(statement))
        case _:
            pass
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, ast.Constant):
        yield node.test, "condition", f"(not {_text(node.test)})"
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield test, "condition", f"(not {_text(test)})"
    if isinstance(node, ast.Call) and not any(isinstance(arg, ast.Starred) for arg in node.args):
        if isinstance(node.func, ast.Name) and node.func.id == "range":
            stop = node.args[min(1, len(node.args) - 1)]
            yield stop, "range", f"{_text(stop)} - 1"
        for i in range(len(node.args) - 1):
            swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
            if not _symmetric(node) and ast.dump(node.args[i]) != ast.dump(node.args[i + 1]):
                yield node, "arguments", ast.unparse(ast.Call(node.func, swapped, node.keywords))
    assigned = isinstance(node, ast.Assign) and all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
    if isinstance(node, DROPPED) or assigned:
        assert isinstance(node, ast.stmt)
        yield node, "dropped", "pass"


def _symmetric(call: ast.Call) -> bool:
    """Whether the order of the arguments does not matter, or where it does everything breaks."""
    return isinstance(call.func, ast.Name) and call.func.id in ("max", "min", "isinstance")


def _text(node: ast.expr) -> str:
    """An expression in brackets, so that what stands around it does not tear it apart."""
    return f"({ast.unparse(ast.fix_missing_locations(node))})"

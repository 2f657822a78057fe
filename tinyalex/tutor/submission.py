"""A student's file: from a `.py` or a notebook, the functions of the exercises.

Reading never runs anything. `load` does, and belongs into a process of its own. A `.py` is imported whole. Of a notebook are taken:
the functions that an exercise asks for, and what they use of the notebook's imports, plain constants and other functions, in order.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import re
import sys
import types
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from tinyalex.errors import did_you_mean
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import TimeUp, call, time_limit
from tinyalex.tutor.source import KINDS, SubmissionError, cells_of, parsed, python_of, read_bytes, text_of

UNDEFINED = re.compile(r"NameError: name '(\w+)' is not defined")


@dataclass(frozen=True)
class Statement:
    """A statement of a file's outermost level.

    where: "line 7" or "cell 3, line 2". piece: the file name of its code: "mine.py" or "mine.ipynb, cell 3".
    names: what it defines. taken: whether it is an import, a plain constant or a function.
    """

    node: ast.stmt
    where: str
    piece: str
    names: frozenset[str]
    taken: bool


@dataclass(frozen=True)
class Submission:
    """A file that has been read and is sound Python, as far as can be seen without running it.

    name: what messages call it. source: its text where it is a `.py`, which is imported whole. statements: in order.
    """

    path: Path
    name: str
    source: str | None
    statements: tuple[Statement, ...] = field(repr=False)

    def begun(self, function: str) -> bool:
        """Whether the file defines this function, and as more than a stub that raises NotImplementedError."""
        found = [one for one in self.statements if function in one.names or "*" in one.names]
        return bool(found) and not is_stub(found[-1].node)


@dataclass(frozen=True)
class Loaded:
    """What a file's code left: its names, and for each statement of a notebook that failed the names that are missing, with the error."""

    submission: Submission
    names: dict[str, Any]
    failed: Mapping[str, tuple[str, str]]

    def function(self, name: str) -> Any:
        """The function of that name, None where there is none.

        Raises
        ------
        SubmissionError: the statement that defines it failed.
        """
        if name in self.failed and name not in self.names:
            error, where = self.failed[name]
            raise SubmissionError("import", file=self.submission.name, error=error, where=where)
        return self.names.get(name)

    def explained(self, finding: Finding) -> Finding:
        """A finding about a name that is not defined, as one that says why it is not; any other as it is."""
        match = UNDEFINED.match(str(finding.numbers.get("error", ""))) if finding.key == "contract.raises" else None
        if match is None:
            return finding
        name, of = match[1], self.submission
        numbers = {"file": of.name, "name": name, "function": finding.function, "where": finding.numbers["line"]}
        other = next((one for one in of.statements if name in one.names and not one.taken), None)
        if name in self.failed:
            error = SubmissionError("helper_failed", **numbers, error=self.failed[name][0], made=self.failed[name][1])
        elif other is not None and of.source is None:
            error = SubmissionError("helper_not_taken", **numbers, made=other.where)
        elif near := did_you_mean(name, sorted(frozenset[str]().union(*(one.names for one in of.statements)))):
            error = SubmissionError("helper_near", **numbers, near=near.removeprefix("did you mean ").removesuffix("?"))
        else:
            error = SubmissionError("helper", **numbers)
        return error.finding(finding.exercise, finding.function)


def read(path: Path, wanted: Collection[str], name: str | None = None) -> Submission:
    """Read a file without running it.

    Parameters
    ----------
    path: a `.py` or an `.ipynb`. wanted: the names of the functions of the exercises.
    name: what messages call the file; without it the name of the file.

    Raises
    ------
    SubmissionError: no such file, another kind, too large, no text, broken JSON, no Python, in a notebook two definitions of one of
        the wanted functions, or none of them.
    """
    name = path.name if name is None else name
    if path.suffix not in KINDS:
        raise SubmissionError("kind", file=name, got=path.suffix or "none")
    data = read_bytes(path, name)
    source = None
    if path.suffix == ".py":
        source, pieces = text_of(data, name), [("", text_of(data, name))]
    else:
        pieces = [(f"cell {number}", python_of(cell)) for number, cell in enumerate(cells_of(data, name), 1) if cell is not None]
    found = tuple(statement for cell, text in pieces for statement in _statements(name, cell, text))
    for function in wanted if source is None else ():
        first, *others = [one.where for one in found if function in one.names and one.taken] or [""]
        if others:
            raise SubmissionError("two", file=name, function=function, first=first, second=others[0])
    defined = frozenset[str]().union(*(one.names for one in found))
    if not defined.intersection((*wanted, "*")):
        raise SubmissionError("nothing", file=name, wanted=next(iter(wanted), "max_pool"))
    return Submission(path, name, source, found)


def load(submission: Submission, wanted: Collection[str], limit_s: float | None = None) -> Loaded:
    """Run the file's code as far as the functions `wanted` need it. It belongs into a process of its own.

    Raises
    ------
    SubmissionError: a `.py` that does not import, or does not come to an end.
    """
    module = types.ModuleType(submission.path.stem)
    module.__file__ = str(submission.path)
    vars(module)["__builtins__"] = builtins  # NumPy's C code looks for it here when it imports
    sys.modules.setdefault(module.__name__, module)  # dataclasses look for the module of their class
    if submission.source is not None:
        error = _run(submission.source, submission.name, module, limit_s)
        if error is not None:
            key = "import" if error[0] else "import_endless"
            limit = f"{limit_s or time_limit():g}"
            raise SubmissionError(key, file=submission.name, error=error[0], where=error[1], limit=limit)
        return Loaded(submission, vars(module), {})
    failed: dict[str, tuple[str, str]] = {}
    for statement in _needed(submission, wanted):
        error = _run(ast.Module([statement.node], []), statement.piece, module, limit_s)
        if error is not None:
            failed |= dict.fromkeys(statement.names, (error[0] or "no end", statement.where))
    return Loaded(submission, vars(module), failed)


def _run(code: str | ast.Module, piece: str, module: types.ModuleType, limit_s: float | None) -> tuple[str, str] | None:
    """Run code in a module: None, or the error (empty where the time was up) and where it came up.

    A statement of a notebook is compiled alone, so that its annotations are not looked at: what they name may not be taken.
    """
    flags = 0 if isinstance(code, str) else __future__.annotations.compiler_flag
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(code, piece, "exec", flags, dont_inherit=True)
    except SyntaxError as error:  # such as a `return` outside of functions
        return error.msg, f"line {error.lineno}"
    function = types.FunctionType(cast(types.CodeType, code), vars(module))  # a function of the student's file, so that its lines are found
    outcome = call(function, {}, limit_s)
    if outcome.error is None:
        return None
    return "" if isinstance(outcome.error, TimeUp) else outcome.says, outcome.where


def _needed(submission: Submission, wanted: Collection[str]) -> list[Statement]:
    """The statements of a notebook that the wanted functions need, in order."""
    names, needed = set(wanted), set[int]()
    while True:
        more = {at for at, one in enumerate(submission.statements) if one.taken and one.names.intersection((*names, "*"))} - needed
        if not more:
            return [submission.statements[at] for at in sorted(needed)]
        needed |= more
        names |= {node.id for at in more for node in ast.walk(submission.statements[at].node) if isinstance(node, ast.Name)}


def is_stub(node: ast.stmt) -> bool:
    """Whether a statement is a function that says only that it is not written yet."""
    if not isinstance(node, ast.FunctionDef):
        return False
    last = node.body[-1]
    error = last.exc.func if isinstance(last, ast.Raise) and isinstance(last.exc, ast.Call) else getattr(last, "exc", None)
    texts = all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in node.body[:-1])
    return texts and isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _statements(name: str, cell: str, text: str) -> Iterator[Statement]:
    """The statements of a file or of a cell."""
    piece, ahead = (f"{name}, {cell}", f"{cell}, ") if cell else (name, "")
    for node in parsed(name, ahead, text, bool(cell)).body:
        yield Statement(node, f"{ahead}line {node.lineno}", piece, frozenset(_names(node)), _is_taken(node))


def _names(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of the outermost level defines; "*" where they cannot be told."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    for inner in ast.walk(node):
        if isinstance(inner, ast.alias):
            yield inner.asname or inner.name.partition(".")[0]
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id
        elif isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
            yield inner.name


def _is_taken(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        plain = all(isinstance(inner, (ast.Name, ast.Tuple, ast.Store)) for target in targets for inner in ast.walk(target))
        return plain and node.value is not None and (isinstance(node.value, ast.Lambda) or _is_constant(node.value))
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef)) and getattr(node, "module", "") != "__future__"


CONSTANT = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator, ast.Load,
            ast.Attribute, ast.Name)  # fmt: skip


def _is_constant(node: ast.expr) -> bool:
    """Whether an expression is made of numbers, texts, names, arithmetic and lists alone: it calls nothing."""
    return all(isinstance(inner, CONSTANT) for inner in ast.walk(node))

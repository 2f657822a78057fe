"""The student's lines: what the page shows of a function, and which functions of the file it calls."""

from __future__ import annotations

import ast
from collections.abc import Collection

from tinyalex.tutor.capstone.calls import FUNCTIONS
from tinyalex.tutor.submission import Submission

MOST_CODE = 20_000  # characters of one function that are shown


def code_of(submission: Submission, name: str) -> str:
    """A function of the student's file without its page, and after it the functions of the file that it uses."""
    nodes = _nodes(submission)
    names = [known for known in (name, *used_by(submission, name, FUNCTIONS)) if known in nodes]
    return "\n\n\n".join(_text(submission, nodes[known]) for known in names)[:MOST_CODE]


def used_by(submission: Submission, name: str, but: Collection[str] = ()) -> tuple[str, ...]:
    """The functions of the file that one of them calls, and those that these call. but: what is not looked into."""
    nodes, wanted = _nodes(submission), [name]
    for known in wanted:
        node = nodes.get(known)
        used = () if node is None else (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
        wanted += [other for other in dict.fromkeys(used) if other in nodes and other not in wanted and other not in but]
    return tuple(wanted[1:])


def _nodes(submission: Submission) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """The functions and classes of the file by name."""
    nodes = {known: one.node for one in submission.statements for known in one.names}
    return {name: node for name, node in nodes.items() if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def _text(submission: Submission, node: ast.FunctionDef | ast.ClassDef) -> str:
    """The lines of a function without its docstring; of a notebook without comments too, as its cells are not kept."""
    docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None and len(node.body) > 1 else None
    if submission.source is None:
        body = node.body[1:] if docstring else node.body
        return ast.unparse(ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), "body": body}), node))
    lines = submission.source.splitlines()
    taken = range(node.lineno - 1, node.end_lineno or node.lineno)
    left = range(docstring.lineno - 1, docstring.end_lineno or docstring.lineno) if docstring else range(0)
    return "\n".join(lines[at] for at in taken if at not in left)

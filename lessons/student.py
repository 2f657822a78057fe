"""The student's edition: the lessons without solutions, and predictions whose answers are hashes.

What is a solution: the cells with the tag "solution", and `lessons/solutions/`. Every statement of them that says something is removed
from the whole edition, also where a later lesson repeats it. A function that holds one becomes a stub with its docstring.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lessons.extra import NOTEBOOKS, LessonError, progress, require_extra
from lessons.notebooks import convert, written
from tinyalex.files.atomic import make_folder, write_bytes
from tinyalex.tutor.questions import PREDICTIONS
from tinyalex.tutor.syllabus import FOLDER, Lesson, chosen

LEAST_NODES = 8  # of a statement's tree: smaller ones, such as `return dx`, stand in every function and say nothing
FENCE = re.compile(r"(```[^\n]*\n)(.*?)(```)", re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
REMOVED = "# A line of the solution stood here."
CHECKER = '''\
"""Compare a guess with the answer of a prediction, which this edition holds as a hash only: python predictions.py 04-a 38"""

import hashlib
import json
import sys
from pathlib import Path

document = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
if len(sys.argv) != 3 or sys.argv[1] not in document["answers"]:
    sys.exit(f"predictions: give a name and a number; names: {', '.join(document['answers'])}")
guess = hashlib.sha256(f"{document['salt']}{sys.argv[1]}{float(sys.argv[2]):.1e}".encode()).hexdigest()
print("right, to two digits" if guess == document["answers"][sys.argv[1]] else "not this number, to two digits")
'''
README = """\
# Lessons, without solutions

Open the notebooks in their order in Jupyter. tinyalex must be installed. A function that raises NotImplementedError is yours to write;
`tutor.check("E06", your_function)` then says which mistake it makes. Cells that need your functions fail until you have written them.

`python predictions.py 04-a 38` says whether a guess is right to two digits. The answers are only there as hashes.
"""


def write_edition(folder: Path, out: Path, numbers: list[str], seed: int) -> int:
    """Write the edition of the lessons in `folder` into the new folder `out`, and return how many lessons it has.

    numbers: which lessons; all where it is empty. seed: of the salt. Raises LessonError where `out` is not empty.
    """
    require_extra("lessons", NOTEBOOKS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LessonError(f"lessons: --out must be a new or an empty folder, got {out}; name another one")
    every = chosen("lessons", [], folder)
    secrets = solution_statements(every, folder)
    make_folder(out)
    wanted = chosen("lessons", numbers, folder)
    with progress(len(wanted), "student") as bar:
        for lesson in wanted:
            notebook = without_solutions(lesson, secrets)
            write_bytes(out / lesson.notebook.name, written(notebook))
            bar.update()
    mine = folder / "mine.py" if (folder / "mine.py").is_file() else FOLDER / "mine.py"
    write_bytes(out / "mine.py", mine.read_bytes())
    for name, text in (("predictions.json", hashed(seed)), ("predictions.py", CHECKER), ("README.md", README)):
        write_bytes(out / name, text.encode())
    return len(wanted)


def hashed(seed: int) -> str:
    """The predictions' answers as salted hashes of two digits, in JSON."""
    salt = hashlib.sha256(str(seed).encode()).hexdigest()[:16]
    answers = {
        name: hashlib.sha256(f"{salt}{name}{prediction.answer():.1e}".encode()).hexdigest() for name, prediction in PREDICTIONS.items()
    }
    return json.dumps({"salt": salt, "answers": answers}, indent=1) + "\n"


def solution_statements(lessons: list[Lesson], folder: Path) -> set[str]:
    """All statements of solutions, each as the text of its tree."""
    found: set[str] = set()
    for lesson in lessons:
        for cell in convert(lesson).cells:
            if "solution" in cell.metadata.get("tags", []):
                found |= set(statements(_tree(lesson.name, cell.source)))
    for path in sorted((folder / "solutions").glob("*.py")):
        found |= set(statements(_tree(path.name, path.read_text("utf-8"))))
    return found


def statements(tree: ast.AST) -> Iterator[str]:
    """Each statement of a tree that says something, without comments and layout; of a loop or a condition its first line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and (line := key_of(node)) is not None:
            yield line


def key_of(node: ast.stmt) -> str | None:
    """A statement without comments and layout, without what is inside it. None for one that says nothing about a solution."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return None  # the name and the arguments are what the exercise asks for
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return None  # a docstring
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        return None  # n, c, h, w = x.shape
    parts = [node] if not hasattr(node, "body") else _head(node)
    size = sum(not isinstance(part, ast.expr_context) for one in parts for part in ast.walk(one))
    return _line(node) if size >= LEAST_NODES else None


def _line(node: ast.stmt) -> str:
    text = ast.unparse(node)
    return text.splitlines()[0] if hasattr(node, "body") else text


def _head(node: ast.stmt) -> list[ast.AST]:
    """What stands in the first line of a loop, a condition or a `with`."""
    inside = ("body", "orelse", "handlers", "finalbody", "cases")
    values = [value for name, value in ast.iter_fields(node) if name not in inside]
    return [part for value in values for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST)]


def without_solutions(lesson: Lesson, secrets: set[str]) -> Any:
    """The notebook of a lesson without outputs and without the statements of `secrets`."""
    notebook = convert(lesson)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = _cleaned(lesson.name, cell.source, secrets, "solution" in cell.metadata.get("tags", []))
            tags = [tag for tag in cell.metadata.get("tags", []) if tag != "solution"]
            cell.metadata = {"tags": tags} if tags else {}
        elif cell.cell_type == "markdown":
            text = FENCE.sub(lambda found: found[1] + _fenced(found[2], secrets) + found[3], cell.source)
            cell.source = INLINE.sub(lambda found: found[0] if _fenced(found[1], secrets) == found[1] else "`...`", text)
    notebook.metadata.pop("tinyalex")
    return notebook


def _fenced(code: str, secrets: set[str]) -> str:
    try:
        ast.parse(code)
    except SyntaxError:  # not Python: no statement of a solution can be in it
        return code
    return code if not secrets & set(statements(ast.parse(code))) else _cleaned("Markdown", code, secrets, False) + "\n"


def _cleaned(who: str, source: str, secrets: set[str], solution: bool) -> str:
    """The source of a cell with stubs for its solutions."""
    tree = _tree(who, source)
    lines = source.splitlines()
    made: list[str] = []
    at = 0  # lines that are done
    for node in tree.body:
        first = min([node.lineno, *(mark.lineno for mark in getattr(node, "decorator_list", ()))]) - 1
        made += [] if solution else lines[at:first]
        at = max(at, node.end_lineno or node.lineno)
        secret = solution or bool(secrets & set(statements(node)))
        if isinstance(node, (ast.Import, ast.ImportFrom)) or not secret:
            made += lines[first:at]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made += ["", "", *_stub(node)] if solution and made else _stub(node)
        elif made[-1:] != [REMOVED]:
            made.append(REMOVED)
    made += [] if solution else lines[at:]
    return "\n".join(made).strip("\n")


def _stub(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    """A function with its arguments and its docstring alone; of a class its methods so."""
    if isinstance(node, ast.ClassDef):
        methods = [line for part in node.body if isinstance(part, ast.FunctionDef) for line in ["", *_stub(part)]]
        bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
        return [f"class {node.name}{bases}:", *(f"    {line}" if line else "" for line in methods or ["pass"])]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    docstring = ast.get_docstring(node)
    text = ['    """' + docstring.replace("\n", "\n    ") + '"""'] if docstring else []
    return [
        f"def {node.name}({ast.unparse(node.args)}){returns}:",
        *text,
        f'    raise NotImplementedError("{node.name} is yours to write")',
    ]


def _tree(who: str, source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise LessonError(f"{who}: code must be plain Python, got {error.msg} in {source[:40]!r}; use no notebook commands") from None

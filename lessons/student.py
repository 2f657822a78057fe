"""The student's edition: the lessons without solutions, and predictions whose answers are hashes.

What is a solution: the cells with the tag "solution", and `lessons/solutions/`. Every statement of them that says something is removed
from the whole edition, also where a later lesson repeats it, or gives its value another name. A function that holds one becomes a stub
with its docstring. What the edition cannot hide: the package holds the engine, `tutor.solution` and the answers of the predictions.
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
from tinyalex.errors import ShapeError
from tinyalex.files.atomic import make_folder, write_bytes
from tinyalex.tutor.answers import ANSWERS
from tinyalex.tutor.syllabus import FOLDER, Lesson, chosen

LEAST_NODES = 8  # of a statement's tree: smaller ones, such as `return dx`, stand in every function and say nothing
LEAST_VALUE = 7  # of the tree of a value: smaller ones, such as `x.sum(axis=0)`, are only a solution under their name
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
try:
    name, number = sys.argv[1], float(sys.argv[2])
    answer = document["answers"][name]
except (IndexError, KeyError, ValueError):
    sys.exit(f"predictions: give a name and a number, such as 04-a 38; names: {', '.join(document['answers'])}")
guess = hashlib.sha256(f"{document['salt']}{name}{number:.1e}".encode()).hexdigest()
print("right, to two digits" if guess == answer else "not this number, to two digits")
'''
README = """\
# Lessons, without solutions

Open the notebooks in their order in Jupyter. tinyalex must be installed. A function that raises NotImplementedError is yours to write;
`tutor.check("E06", your_function)` then says which mistake it makes. Cells that need your functions fail until you have written them.
Where a lesson needs a function of an earlier one, put yours there again.

`python predictions.py 04-a 38` says whether a guess is right to two digits. Its file holds the answers as hashes. A lesson itself tells
the answer, after you have guessed.

For teachers: the solutions are in none of these files. They are in tinyalex, which is free software: `tutor.solution` prints them.
"""


def write_edition(folder: Path, out: Path, numbers: list[str], seed: int) -> int:
    """Write the edition of the lessons in `folder` into the new folder `out`, and return how many lessons it has.

    numbers: which lessons; all where it is empty. seed: of the salt. Raises ShapeError where `out` is not empty.
    """
    require_extra("lessons", NOTEBOOKS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ShapeError(f"lessons: --out must be a new or an empty folder, got {out}; name another one")
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
    answers = {name: hashlib.sha256(f"{salt}{name}{answer():.1e}".encode()).hexdigest() for name, answer in ANSWERS.items()}
    return json.dumps({"salt": salt, "answers": answers}, indent=1) + "\n"


def solution_statements(lessons: list[Lesson], folder: Path) -> set[str]:
    """All statements of solutions, each as the text of its tree; and "def name" for each function that they define."""
    trees = [
        _tree(lesson.name, cell.source)
        for lesson in lessons
        for cell in convert(lesson).cells
        if "solution" in cell.metadata.get("tags", [])
    ]
    trees += [_tree(path.name, path.read_text("utf-8")) for path in sorted((folder / "solutions").glob("*.py"))]
    names = {f"def {node.name}" for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return names.union(*map(statements, trees))


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
    return _line(node) if _size(parts) >= LEAST_NODES else None


def _line(node: ast.stmt) -> str:
    """What two statements share that do the same: of an assignment and a `return` the value, whatever name it gets."""
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)) else None
    if value is not None and _size([value]) >= LEAST_VALUE:
        return ast.unparse(value)
    text = ast.unparse(node)
    return text.splitlines()[0] if hasattr(node, "body") else text


def _size(trees: list[ast.AST]) -> int:
    return sum(not isinstance(part, ast.expr_context) for one in trees for part in ast.walk(one))


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
            made += ["", "", *_stub(node, secrets)] if solution and made else _stub(node, secrets)
        elif made[-1:] != [REMOVED]:
            made.append(REMOVED)
    made += [] if solution else lines[at:]
    return "\n".join(made).strip("\n")


def _stub(node: ast.FunctionDef | ast.ClassDef, secrets: set[str]) -> list[str]:
    """A function with its arguments and its docstring alone; of a class its methods so."""
    if isinstance(node, ast.ClassDef):
        methods = [line for part in node.body if isinstance(part, ast.FunctionDef) for line in ["", *_stub(part, secrets)]]
        bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
        return [f"class {node.name}{bases}:", *(f"    {line}" if line else "" for line in methods or ["pass"])]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    docstring = ast.get_docstring(node)
    text = ['    """' + docstring.replace("\n", "\n    ") + '"""'] if docstring else []
    own = f"def {node.name}" in secrets
    why = "is yours to write" if own else "repeats a line of a solution, so this edition leaves it to you"
    return [
        f"def {node.name}({ast.unparse(node.args)}){returns}:",
        *text,
        f'    raise NotImplementedError("{node.name} {why}")',
    ]


def _tree(who: str, source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise LessonError(f"{who}: code must be plain Python, got {error.msg} in {source[:40]!r}; use no notebook commands") from None

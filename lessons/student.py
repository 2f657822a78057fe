"""The student's edition: the lessons without solutions, and predictions whose answers are hashes.

What is a solution: the cells with the tag "solution", and `lessons/solutions/`. The functions that an exercise asks for become stubs
with their docstrings. Every statement of a solution that says something is removed from the rest of the edition, also where a later
lesson repeats it, or gives its value another name. Later cells need many of these: a function of an earlier lesson, a helper of the
solution, a mistake that is shown. They are packed: `packed.py` holds them in a form that nobody reads in passing, and they run.

A cell with the tag "seeded" draws random inputs whose numbers the text does not say, so a seed may change them: each class gets other
inputs. The inputs of all other cells stay, because sentences and pictures speak of what they give.

A cell with the tag "given" stays as it is: the lesson shows it before the exercise, so that its lines are known. It may define no
function that an exercise asks for. What the edition cannot hide: who unpacks `packed.py` reads what is packed, and the package holds
the engine, `tutor.solution` and the answers of the predictions.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from secrets import randbits
from typing import Any

from lessons.extra import NOTEBOOKS, LessonError, progress, require_extra
from lessons.notebooks import convert, written
from tinyalex.errors import ShapeError
from tinyalex.files.atomic import make_folder, write_bytes
from tinyalex.tutor.answers import ANSWERS
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.syllabus import FOLDER, Lesson, chosen

LEAST_NODES = 8  # of a statement's tree: smaller ones, such as `return dx`, stand in every function and say nothing
LEAST_VALUE = 7  # of the tree of a value: smaller ones, such as `x.sum(axis=0)`, are only a solution under their name
SEED = re.compile(r"\bdefault_rng\((\d+)\)")
LEAST_PART = 9  # of the tree of a part of an expression
FENCE = re.compile(r"(```[^\n]*\n)(.*?)(```)", re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
REMOVED = "# A line of the solution stood here."
PACKED = "# {what}: it has lines of a solution, so packed.py holds it. Run the line below as it is."
HELPER = "# {what}: you may write it yourself, in place of the lines up to exec.\n# If you do not, run them: packed.py holds a right one."
HERE = "    # Write it here, in place of the next line. This edition does not hold the answer."
UNPACKER = '''\
"""Pieces of lessons that repeat lines of solutions, packed so that nobody reads them in passing: unpacked("01-20-0") is one of them."""

import base64
import zlib

PIECES = {pieces}


def unpacked(name):
    """The code of a piece, for `exec`."""
    return compile(zlib.decompress(base64.b64decode(PIECES[name])), f"packed {{name}}", "exec")
'''
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

Open the notebooks in their order in Jupyter, and keep all files of this folder together. tinyalex must be installed. A function that
raises NotImplementedError is yours to write, in place of the line that raises. (Where a text says "before you open the next cell", the
next cell is the one in which you write.) `tutor.check("E06", your_function)` then says which mistake your function makes. Cells that need
your functions fail until you have written them. A line such as `exec(unpacked("01-20-0"))` runs something that repeats lines of a
solution: a function of an earlier lesson, a helper, or a mistake that the lesson shows. In its place you may put a function of your own.

`python predictions.py 04-a 38` says whether a guess is right to two digits. Its file holds the answers as hashes. A lesson itself tells
the answer, after you have guessed.

For teachers: no line of a solution can be read in these files. `packed.py` holds some in packed form, so that the lessons run. Who wants
to read solutions finds all of them in tinyalex, which is free software: `tutor.solution` prints them.
"""


def write_edition(folder: Path, out: Path, numbers: list[str], seed: int | None = None) -> int:
    """Write the edition of the lessons in `folder` into the new folder `out`, and return how many lessons it has.

    numbers: which lessons; all where it is empty. seed: at least 0, of the salt and of the inputs of cells with the tag "seeded"; None
    for a new salt, and the inputs that the lessons have. Raises ShapeError where `out` is not empty, or the seed is negative.
    """
    if seed is not None and seed < 0:
        raise ShapeError(f"lessons: --seed must be an integer of at least 0, got {seed}; leave it out for the lessons' inputs")
    require_extra("lessons", NOTEBOOKS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ShapeError(f"lessons: --out must be a new or an empty folder, got {out}; name another one")
    every = chosen("lessons", [], folder)
    secrets = solution_statements(every, folder)
    make_folder(out)
    pieces: dict[str, str] = {}
    wanted = chosen("lessons", numbers, folder)
    with progress(len(wanted), "student") as bar:
        for lesson in wanted:
            notebook = without_solutions(lesson, secrets, pieces, seed)
            write_bytes(out / lesson.notebook.name, written(notebook))
            bar.update()
    mine = folder / "mine.py" if (folder / "mine.py").is_file() else FOLDER / "mine.py"
    write_bytes(out / "mine.py", mine.read_bytes())
    answers = hashed(randbits(64) if seed is None else seed)
    texts = {"predictions.json": answers, "predictions.py": CHECKER, "packed.py": unpacker(pieces), "README.md": README}
    for name, text in texts.items():
        write_bytes(out / name, text.encode())
    return len(wanted)


def hashed(seed: int) -> str:
    """The predictions' answers as salted hashes of two digits, in JSON."""
    salt = hashlib.sha256(str(seed).encode()).hexdigest()[:16]
    answers = {name: hashlib.sha256(f"{salt}{name}{answer():.1e}".encode()).hexdigest() for name, answer in ANSWERS.items()}
    return json.dumps({"salt": salt, "answers": answers}, indent=1) + "\n"


def unpacker(pieces: dict[str, str]) -> str:
    """The file `packed.py`."""
    return UNPACKER.format(pieces=json.dumps(pieces, indent=4))


def solution_statements(lessons: list[Lesson], folder: Path) -> set[str]:
    """All statements of solutions, each as the text of its tree."""
    trees = [
        _tree(lesson.name, cell.source)
        for lesson in lessons
        for cell in convert(lesson).cells
        if "solution" in cell.metadata.get("tags", [])
    ]
    trees += [_tree(path.name, path.read_text("utf-8")) for path in sorted((folder / "solutions").glob("*.py"))]
    return set().union(*map(statements, trees))


def statements(tree: ast.AST) -> Iterator[str]:
    """Each statement of a tree that says something, without comments and layout; of a loop or a condition its first line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and (line := key_of(node)) is not None:
            yield line


def told_by(tree: ast.AST) -> set[str]:
    """All that a tree may tell of a solution: its statements, and the parts of its expressions, where a value may stand as well."""
    parts = (node for node in ast.walk(tree) if isinstance(node, ast.expr) and _size([node]) >= LEAST_PART)
    return {*statements(tree), *map(ast.unparse, parts)}


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


def without_solutions(lesson: Lesson, secrets: set[str], pieces: dict[str, str], seed: int | None = None) -> Any:
    """The notebook of a lesson without outputs and without the statements of `secrets`. What is packed is entered in `pieces`."""
    notebook = convert(lesson)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            tags = cell.metadata.get("tags", [])
            if "given" in tags:
                _check_given(lesson.name, cell.source)
            else:
                cell.source = _Cell(lesson.name, cell.id, secrets, _asked(tags), pieces).cleaned(cell.source)
            if "seeded" in tags and seed is not None:
                cell.source = SEED.sub(rf"default_rng((\1, {seed}))", cell.source)
            tags = [tag for tag in tags if tag not in ("solution", "given", "seeded")]
            cell.metadata = {"tags": tags} if tags else {}
        elif cell.cell_type == "markdown":
            text = FENCE.sub(lambda found: found[1] + _fenced(found[2], secrets) + found[3], cell.source)
            cell.source = INLINE.sub(lambda found: found[0] if _fenced(found[1], secrets) == found[1] else "`...`", text)
    notebook.metadata.pop("tinyalex")
    return notebook


def _asked(tags: list[str]) -> set[str] | None:
    """The functions that the exercises of a solution cell ask for. None for a cell that is no solution; empty where none is named."""
    keys = [tag.removeprefix("exercise:") for tag in tags if tag.startswith("exercise:")]
    return {function.name for key in keys for function in EXERCISES[key].functions} if "solution" in tags else None


def _check_given(who: str, source: str) -> None:
    """Raise LessonError where a cell with the tag "given" answers an exercise."""
    answers = {function.name for exercise in EXERCISES.values() for function in exercise.functions}
    defined = [node.name for node in ast.walk(_tree(who, source)) if isinstance(node, ast.FunctionDef)]
    if found := answers.intersection(defined):
        raise LessonError(f'{who}: a cell with the tag "given" must answer no exercise, got {min(found)}; leave the tag out')


def _fenced(code: str, secrets: set[str]) -> str:
    try:
        ast.parse(code)
    except SyntaxError:  # not Python: no statement of a solution can be in it
        return code
    return code if not secrets & told_by(ast.parse(code)) else _Cell("Markdown", "", secrets, None, None).cleaned(code) + "\n"


class _Cell:
    """How a cell becomes one without solutions.

    secrets: statements that may not be read. asked: see `_asked`. pieces: where that is entered which is packed; None for code in a text,
    which nobody runs.
    """

    def __init__(self, who: str, name: str, secrets: set[str], asked: set[str] | None, pieces: dict[str, str] | None) -> None:
        self.who, self.name, self.secrets, self.asked, self.pieces = who, name, secrets, asked, pieces

    def cleaned(self, source: str) -> str:
        """The source with stubs for what an exercise asks for; the other secrets are packed."""
        lines, solution = source.splitlines(), self.asked is not None
        made: list[str] = []
        hidden: list[ast.stmt] = []  # statements in a row that are packed together
        at = 0  # lines that are done
        for node in [*_tree(self.who, source).body, None]:
            if hidden and not (node is not None and self._is_hidden(node)):
                made += self._packed(hidden, lines)
                hidden = []
            if node is None:
                break
            first = min([node.lineno, *(mark.lineno for mark in getattr(node, "decorator_list", ()))]) - 1
            made += [] if solution or hidden else lines[at:first]
            at = max(at, node.end_lineno or node.lineno)
            if self._is_hidden(node):
                hidden.append(node)
            elif solution and isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                made += ["", "", *_stub(node)] if made else _stub(node)
            else:
                made += lines[first:at]
        made += [] if solution else lines[at:]
        return "\n".join(made).strip("\n")

    def _is_hidden(self, node: ast.stmt) -> bool:
        """Whether a statement is packed: one that repeats a line of a solution, or one of a solution that its exercise does not ask for."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return False
        if self.asked is None:
            return bool(self.secrets & told_by(node))
        return not (isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (node.name in self.asked or not self.asked))

    def _packed(self, nodes: list[ast.stmt], lines: list[str]) -> list[str]:
        """The line that runs the statements, below a comment; in a text a remark alone."""
        if self.pieces is None:
            return [REMOVED]
        name = f"{self.name}-{sum(one.startswith(f'{self.name}-') for one in self.pieces)}"
        code = "\n".join("\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in nodes)
        self.pieces[name] = base64.b64encode(zlib.compress(code.encode())).decode()
        defined = [_called(node) for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        remark = (HELPER if self.asked and defined else PACKED).format(what="; ".join(defined) or "The code of this place")
        return [remark, "from packed import unpacked", "", f'exec(unpacked("{name}"))']


def _called(node: ast.FunctionDef | ast.ClassDef) -> str:
    """What a reader needs to call a function: "pad(x, padding)"; of a class the name."""
    return node.name if isinstance(node, ast.ClassDef) else f"{node.name}({ast.unparse(node.args)})"


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
        f"def {_called(node)}{returns}:",
        *text,
        HERE,
        f'    raise NotImplementedError("{node.name} is yours to write")',
    ]


def _tree(who: str, source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise LessonError(f"{who}: code must be plain Python, got {error.msg} in {source[:40]!r}; use no notebook commands") from None

"""The student's edition holds no line of a solution, whatever its layout, and answers only as hashes."""

import ast
import hashlib
import json
import re
import subprocess
import sys

import nbformat
import pytest

from lessons.__main__ import main
from lessons.extra import LessonError
from lessons.student import CHECKER, solution_statements, without_solutions, write_edition
from tests.contract import refuses
from tinyalex.errors import ShapeError
from tinyalex.tutor.answers import ANSWERS
from tinyalex.tutor.syllabus import FOLDER, lessons_in

LEAKS = {
    "the whole function": "def positive(x):\n    kept = np.where(x > 0, x, np.zeros_like(x))\n    return kept",
    "other layout, with a comment": "def other(x):\n    kept = np.where( x>0,\n        x, np.zeros_like(x) )  # here\n    return kept",
    "outside of a function": "x = np.ones(3)\nkept = np.where(x > 0, x, np.zeros_like(x))",
    "inside of a condition": "if True:\n    kept = np.where(x > 0, x, np.zeros_like(x))",
    "under another name": "y = np.where(x > 0, x, np.zeros_like(x))",
    "returned at once": "def other(x):\n    return np.where(x > 0, x, np.zeros_like(x))",
    "in a method": "class Layer:\n    def forward(self, x):\n        kept = np.where(x > 0, x, np.zeros_like(x))\n        return kept",
}


def statements(code):
    """The simple statements of a text that is Python, as trees without positions, those of at least eight nodes; and of assignments and
    returns the values alone, those of at least seven."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return set()
    simple = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not hasattr(node, "body")]
    simple = [node for node in simple if not isinstance(node, (ast.Import, ast.ImportFrom))]
    simple = [node for node in simple if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]  # docstrings
    simple = [node for node in simple if not (isinstance(node, ast.Assign) and ast.unparse(node.value).endswith(".shape"))]
    values = [node.value for node in simple if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)) and node.value]
    return {ast.dump(node) for node in simple if nodes(node) >= 8} | {ast.dump(value) for value in values if nodes(value) >= 7}


def nodes(tree):
    return sum(not isinstance(part, ast.expr_context) for part in ast.walk(tree))


def solutions_of(folder):
    """All that is a solution, read from the sources as text: cells after `# %% tags=["solution"]`, and the folder of solutions."""
    found = set()
    for path in folder.glob("[0-9][0-9]_*.py"):
        for cell in re.split(r"^# %%", path.read_text("utf-8"), flags=re.MULTILINE):
            head, _, body = cell.partition("\n")
            found |= statements(body) if '"solution"' in head else set()
    for path in (folder / "solutions").glob("*.py"):
        found |= statements(path.read_text("utf-8"))
    return found


def left_in(edition):
    """All statements of an edition: cells, outputs, pieces of code in Markdown, and files."""
    texts = [path.read_text("utf-8") for path in edition.glob("*.py")]
    for path in edition.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs")
            texts.append(cell.source)
            texts += re.findall(r"```[^\n]*\n(.*?)```", cell.source, re.DOTALL) + re.findall(r"`([^`\n]+)`", cell.source)
    return set().union(*map(statements, texts))


@pytest.mark.parametrize("which", ["the small lessons", "the repository's"])
def test_no_line_of_a_solution_is_left(built, tmp_path, which):
    source = built if which == "the small lessons" else FOLDER
    if not lessons_in(source):
        with refuses(Exception, "lessons: lessons must lie in the folder"):
            write_edition(source, tmp_path / "edition", [], 1)
        return
    write_edition(source, tmp_path / "edition", [], 1)
    secrets = solutions_of(source)
    assert secrets and not secrets & left_in(tmp_path / "edition")
    assert {path.stem for path in (tmp_path / "edition").glob("*.ipynb")} == {lesson.name for lesson in lessons_in(source)}


def test_the_proof_can_fail(folder, tmp_path):
    write_edition(folder, tmp_path / "edition", [], 1)
    path = tmp_path / "edition" / "01_next.ipynb"
    text = path.read_text("utf-8")
    for leak in LEAKS.values():
        notebook = nbformat.reads(text, as_version=4)
        notebook.cells[-1].source += "\n" + leak
        nbformat.write(notebook, path)
        assert solutions_of(folder) & left_in(tmp_path / "edition"), leak


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_solution_that_another_cell_repeats_is_removed_too(folder, leak):
    first, second = lessons_in(folder)
    second.path.write_text(second.path.read_text("utf-8") + f"\n# %%\nbefore = 1\n{leak}\nafter = 2\n", "utf-8")
    secrets = solution_statements([first, second], folder)
    [*_, cell] = without_solutions(second, secrets).cells
    assert "zeros_like" not in cell.source and cell.source.startswith("before = 1") and cell.source.endswith("after = 2")
    ast.parse(cell.source)


def test_solution_in_the_text_is_removed_too(folder):
    first, second = lessons_in(folder)
    fence = (
        "# ```python\n# kept = np.where(x > 0, x, np.zeros_like(x))\n# ```\n# or `kept = np.where(x > 0, x, np.zeros_like(x))`, `kept`\n"
    )
    second.path.write_text(second.path.read_text("utf-8") + f"\n# %% [markdown]\n{fence}", "utf-8")
    [*_, cell] = without_solutions(second, solution_statements([first, second], folder)).cells
    assert cell.source == "```python\n# A line of the solution stood here.\n```\nor `...`, `kept`"


def test_stubs_keep_names_arguments_and_docstrings(folder):
    first, second = lessons_in(folder)
    cells = without_solutions(first, solution_statements([first, second], folder)).cells
    [stub] = [cell for cell in cells if "def positive" in cell.source]
    wanted = 'def positive(x):\n    """Keep what is larger than 0."""\n    raise NotImplementedError("positive is yours to write")'
    assert stub.source == wanted and not stub.metadata
    assert "tags" in next(cell for cell in cells if "predict(" in cell.source).metadata


def test_function_of_another_name_is_not_asked_for(folder):
    """A lesson may plant a mistake in a function that repeats a line of the solution; nobody is to write that."""
    first, second = lessons_in(folder)
    second.path.write_text(second.path.read_text("utf-8") + f"\n# %%\n{LEAKS['other layout, with a comment']}\n", "utf-8")
    cells = without_solutions(second, solution_statements([first, second], folder)).cells
    message = "repeats a line of a solution, so this edition leaves it to you"
    assert cells[-1].source == f'def other(x):\n    raise NotImplementedError("other {message}")'
    assert any('"positive is yours to write"' in cell.source for cell in cells)


def test_predictions_are_salted_hashes(folder, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert main(["build", "01", "--student", "--seed", str(seed), "--from", str(folder), "--out", str(tmp_path / name)]) == 0
    a, b, c = (json.loads((tmp_path / name / "predictions.json").read_text()) for name in "abc")
    assert a == b and a["salt"] != c["salt"] and not set(a["answers"].values()) & set(c["answers"].values())
    assert a["answers"].keys() == ANSWERS.keys()
    assert a["answers"]["02-a"] == hashlib.sha256(f"{a['salt']}02-a6.0e+00".encode()).hexdigest()
    assert {path.name for path in (tmp_path / "a").iterdir()} == {
        "01_next.ipynb", "README.md", "mine.py", "predictions.json", "predictions.py",
    }  # fmt: skip

    def ask(*words):
        return subprocess.run([sys.executable, tmp_path / "a" / "predictions.py", *words], capture_output=True, text=True)

    assert ask("02-a", "6").stdout == "right, to two digits\n" and ask("02-a", "5").stdout == "not this number, to two digits\n"
    for words in (("02-z", "5"), ("02-a", "six"), ("02-a",), ()):
        assert ask(*words).returncode == 1 and ask(*words).stderr.startswith("predictions: give a name and a number, such as ")
    assert (tmp_path / "a" / "predictions.py").read_text() == CHECKER


def test_edition_goes_into_a_new_folder(folder, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").write_text("")
    with refuses(ShapeError, f"lessons: --out must be a new or an empty folder, got {tmp_path / 'old'}; name another one"):
        write_edition(folder, tmp_path / "old", [], 1)
    assert main(["build", "--student", "--from", str(folder), "--out", str(tmp_path / "old")]) == 2


def test_code_that_is_no_python_is_refused(folder):
    path = lessons_in(folder)[0].path
    path.write_text(path.read_text("utf-8") + "\n# %%\nx = = 1\n", "utf-8")
    with refuses(LessonError, "00_small: code must be plain Python, got invalid syntax in 'x = = 1'; use no notebook commands"):
        without_solutions(lessons_in(folder)[0], set())

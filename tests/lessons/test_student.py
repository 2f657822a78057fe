"""The student's edition holds no line of a solution, whatever its layout, and answers only as hashes."""

import ast
import hashlib
import json
import re
import subprocess
import sys

import matplotlib
import nbformat
import numpy as np
import pytest
import threadpoolctl

from lessons import student
from lessons.__main__ import SEED, main
from lessons.extra import LessonError
from lessons.notebooks import convert
from lessons.student import CHECKER, solution_statements, unpacker, without_solutions, write_edition
from tests.contract import refuses
from tinyalex.errors import ShapeError
from tinyalex.tutor import predictions
from tinyalex.tutor.answers import ANSWERS
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.syllabus import FOLDER, lessons_in

LEAKS = {
    "the whole function": "def positive(x):\n    kept = np.where(x > 0, x, np.zeros_like(x))\n    return kept",
    "other layout, with a comment": "def other(x):\n    kept = np.where( x>0,\n        x, np.zeros_like(x) )  # here\n    return kept",
    "outside of a function": "x = np.ones(3)\nkept = np.where(x > 0, x, np.zeros_like(x))",
    "inside of a condition": "if True:\n    kept = np.where(x > 0, x, np.zeros_like(x))",
    "under another name": "y = np.where(x > 0, x, np.zeros_like(x))",
    "returned at once": "def other(x):\n    return np.where(x > 0, x, np.zeros_like(x))",
    "as a part of a list": "wrong = [('half of it', np.where(x > 0, x, np.zeros_like(x)) / 2)]",
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


def tagged(folder, tag):
    """All statements of the cells with a tag, read from the sources as text: cells after `# %% tags=["solution"]`."""
    found = set()
    for path in folder.glob("[0-9][0-9]_*.py"):
        for cell in re.split(r"^# %%", path.read_text("utf-8"), flags=re.MULTILINE):
            head, _, body = cell.partition("\n")
            found |= statements(body) if f'"{tag}"' in head else set()
    return found


def solutions_of(folder):
    """All that is a solution: cells with the tag, and the folder of solutions; without what a lesson gives to read, see `given` there."""
    written = [statements(path.read_text("utf-8")) for path in (folder / "solutions").glob("*.py")]
    return tagged(folder, "solution").union(*written) - tagged(folder, "given")


def run(edition, name, paste):
    """Run the code cells of a lesson of an edition. `paste` is called after each cell. Returns the first exception; None without one."""
    names = {"__name__": name}
    for cell in nbformat.read(edition / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            try:
                exec(compile(cell.source, f"{name} {cell.id}", "exec"), names)
            except Exception as error:
                return error
            paste(cell, names)
    return None


def left_in(edition):
    """All statements of an edition: cells, outputs, pieces of code in Markdown, and files."""
    texts = [path.read_text("utf-8") for path in edition.glob("*.py")]
    for path in edition.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs")
            texts.append(cell.source)
            texts += re.findall(r"```[^\n]*\n(.*?)```", cell.source, re.DOTALL) + re.findall(r"`([^`\n]+)`", cell.source)
    return set().union(*map(statements, texts), *map(parts, texts))


def parts(code):
    """The parts of the expressions of a text that is Python, those of at least nine nodes."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return set()
    return {ast.dump(node) for node in ast.walk(tree) if isinstance(node, ast.expr) and nodes(node) >= 9}


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


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    """The edition of the repository's lessons."""
    out = tmp_path_factory.mktemp("edition") / "lessons"
    write_edition(FOLDER, out, [], 1)
    return out


@pytest.fixture
def at_home(edition, monkeypatch):
    """As in a notebook of the edition: its files can be imported; fast, and on one core."""
    matplotlib.use("agg")
    monkeypatch.syspath_prepend(edition)
    monkeypatch.delitem(sys.modules, "packed", raising=False)
    monkeypatch.setenv("TINYALEX_FAST", "1")
    monkeypatch.setattr(predictions, "_guesses", {})
    with threadpoolctl.threadpool_limits(1):
        yield edition


def own_solutions(lesson):
    """The solution cells of a lesson that belong to no exercise, by their id."""
    cells = [(cell, cell.metadata.get("tags", [])) for cell in convert(lesson).cells]
    return {cell.id: cell.source for cell, tags in cells if "solution" in tags and not any(tag.startswith("exercise:") for tag in tags)}


@pytest.mark.parametrize("lesson", lessons_in(FOLDER), ids=lambda lesson: lesson.name)
def test_lesson_runs_up_to_the_first_cell_that_needs_the_student(at_home, lesson):
    error = run(at_home, lesson.name, lambda cell, names: None)
    asked = [function.name for key in lesson.exercises for function in EXERCISES[key].functions]
    asked += [node.name for cell in own_solutions(lesson).values() for node in ast.parse(cell).body if isinstance(node, ast.FunctionDef)]
    assert isinstance(error, NotImplementedError) and str(error) in [f"{name} is yours to write" for name in asked], repr(error)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", lessons_in(FOLDER), ids=lambda lesson: lesson.name)
def test_lesson_runs_to_its_end_with_the_solutions(at_home, lesson):
    """The solutions are other ones than the lesson's own: right answers of another kind must do as well. Where a cell belongs to no
    exercise, they are the lesson's own.
    """
    own = own_solutions(lesson)

    def paste(cell, names):
        if cell.id in own and "is yours to write" in cell.source:
            exec(own[cell.id], names)
        for tag in cell.metadata.get("tags", []) if "is yours to write" in cell.source else []:
            exec((FOLDER / "solutions" / f"{tag.removeprefix('exercise:').lower()}.py").read_text("utf-8"), names)

    error = run(at_home, lesson.name, paste)
    assert error is None, repr(error)


def test_of_each_function_most_is_missing(edition):
    """What the lessons give to read may hold lines of a solution, but never most of one."""
    left = left_in(edition)
    for path in (FOLDER / "solutions").glob("*.py"):
        for function in ast.parse(path.read_text("utf-8")).body:
            if isinstance(function, ast.FunctionDef):
                lines = statements(ast.unparse(function))
                assert len(lines & left) < len(lines) / 2, function.name


def test_given_cell_stays_and_answers_no_exercise(folder):
    first, second = lessons_in(folder)
    secrets = solution_statements([first, second], folder)
    text = second.path.read_text("utf-8")
    shown = "def other(x):\n    return np.where(x > 0, x, np.zeros_like(x))"
    second.path.write_text(f'{text}\n# %% tags=["given"]\n{shown}\n', "utf-8")
    [*_, cell] = without_solutions(second, secrets, {}).cells
    assert cell.source == shown and not cell.metadata
    second.path.write_text(f'{text}\n# %% tags=["given"]\ndef max_pool(x, kernel, stride):\n    return x\n', "utf-8")
    with refuses(LessonError, '01_next: a cell with the tag "given" must answer no exercise, got max_pool; leave the tag out'):
        without_solutions(second, secrets, {})


SEEDED = {lesson.number: lesson for lesson in lessons_in(FOLDER) if '"seeded"' in lesson.path.read_text("utf-8")}


@pytest.mark.slow
@pytest.mark.parametrize("number", SEEDED)
def test_seeded_lesson_runs_to_its_end_with_other_inputs(at_home, number):
    notebook = convert(SEEDED[number])
    for seed in (1, 2):
        names = {"__name__": number}
        for cell in notebook.cells:
            if cell.cell_type == "code":
                seeded = "seeded" in cell.metadata.get("tags", [])
                source = student.SEED.sub(rf"default_rng((\1, {seed}))", cell.source) if seeded else cell.source
                assert (source != cell.source) == seeded
                exec(compile(source, f"{number} {cell.id}", "exec"), names)


def test_a_seed_changes_the_inputs_of_seeded_cells_alone(folder):
    first, _ = lessons_in(folder)
    text = first.path.read_text("utf-8")
    cell = "rng = np.random.default_rng(4)\nx = rng.random(3)\n"
    first.path.write_text(f'{text}\n# %% tags=["seeded"]\n{cell}\n# %%\n{cell}', "utf-8")
    [*before, seeded, other] = without_solutions(first, set(), {}, 7).cells
    assert seeded.source == cell.strip().replace("(4)", "((4, 7))") and not seeded.metadata and other.source == cell.strip()
    [*same, unseeded, _] = without_solutions(first, set(), {}).cells
    assert unseeded.source == cell.strip() and [one.source for one in same] == [one.source for one in before]


def test_help_names_the_lessons_that_a_seed_changes(folder, tmp_path, capsys):
    numbers = re.findall(r"\b\d\d\b", SEED)
    assert numbers == list(SEEDED)
    assert main(["build", "--student", "--seed", "-1", "--from", str(folder), "--out", str(tmp_path / "new")]) == 2
    wanted = "error: lessons: --seed must be an integer of at least 0, got -1; leave it out for the lessons' inputs\n"
    assert capsys.readouterr().err == wanted and not (tmp_path / "new").exists()


def test_helper_of_a_solution_is_packed(folder):
    """The exercise asks for conv_backward; a later cell may need the helper, whatever the student's function uses.

    The text of a lesson may ask for the helper too, so the cell says that the student may write it.
    """
    first, second = lessons_in(folder)
    code = "def helper(x):\n    return x.sum(axis=0)\n\n\ndef conv_backward(dout):\n    return helper(dout)"
    text = f'{second.path.read_text("utf-8")}\n# %% tags=["solution", "exercise:E05"]\n{code}\n'
    second.path.write_text(text, "utf-8")
    pieces = {}
    [*_, cell] = without_solutions(second, solution_statements([first, second], folder), pieces).cells
    assert "return helper" not in cell.source and "def helper" not in cell.source and cell.metadata["tags"] == ["exercise:E05"]
    names = {}
    exec(unpacker(pieces), names)
    line = next(line for line in cell.source.splitlines() if line.startswith("exec("))
    exec(line, names)
    assert names["helper"].__code__.co_names == ("sum",)
    assert cell.source.startswith("# helper(x): you may write it yourself, in place of the lines up to exec.")


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_solution_that_another_cell_repeats_is_removed_too(folder, leak):
    first, second = lessons_in(folder)
    second.path.write_text(second.path.read_text("utf-8") + f"\n# %%\nbefore = 1\n{leak}\nafter = 2\n", "utf-8")
    secrets = solution_statements([first, second], folder)
    [*_, cell] = without_solutions(second, secrets, {}).cells
    assert "zeros_like" not in cell.source and cell.source.startswith("before = 1") and cell.source.endswith("after = 2")
    ast.parse(cell.source)


def test_solution_in_the_text_is_removed_too(folder):
    first, second = lessons_in(folder)
    fence = (
        "# ```python\n# kept = np.where(x > 0, x, np.zeros_like(x))\n# ```\n# or `kept = np.where(x > 0, x, np.zeros_like(x))`, `kept`\n"
    )
    second.path.write_text(second.path.read_text("utf-8") + f"\n# %% [markdown]\n{fence}", "utf-8")
    [*_, cell] = without_solutions(second, solution_statements([first, second], folder), {}).cells
    assert cell.source == "```python\n# A line of the solution stood here.\n```\nor `...`, `kept`"


def test_stubs_keep_names_arguments_and_docstrings(folder):
    first, second = lessons_in(folder)
    cells = without_solutions(first, solution_statements([first, second], folder), {}).cells
    [stub] = [cell for cell in cells if "def positive" in cell.source]
    head, error = 'def positive(x):\n    """Keep what is larger than 0."""\n', 'NotImplementedError("positive is yours to write")'
    remark = "    # Write it here, in place of the next line. This edition does not hold the answer.\n"
    assert stub.source == f"{head}{remark}    raise {error}" and not stub.metadata
    assert "tags" in next(cell for cell in cells if "predict(" in cell.source).metadata


def test_what_repeats_a_solution_is_packed_and_runs(folder):
    """A lesson may plant a mistake in a function that repeats a line of the solution; nobody is to write that, and cells call it."""
    first, second = lessons_in(folder)
    second.path.write_text(second.path.read_text("utf-8") + f"\n# %%\n{LEAKS['other layout, with a comment']}\n", "utf-8")
    pieces = {}
    [*before, last] = without_solutions(second, solution_statements([first, second], folder), pieces).cells
    what = "# {}(x): it has lines of a solution, so packed.py holds it. Run the line below as it is."
    assert last.source == f'{what.format("other")}\nfrom packed import unpacked\n\nexec(unpacked("{last.id}-0"))'
    assert any(what.format("positive") in cell.source for cell in before) and len(pieces) == 2
    assert "where" not in unpacker(pieces)
    names = {"np": np}
    exec(unpacker(pieces), names)
    exec(last.source.splitlines()[-1], names)
    assert names["other"](np.array([-1.0, 2.0])).tolist() == [0, 2]


def test_predictions_are_salted_hashes(folder, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert main(["build", "01", "--student", "--seed", str(seed), "--from", str(folder), "--out", str(tmp_path / name)]) == 0
    a, b, c = (json.loads((tmp_path / name / "predictions.json").read_text()) for name in "abc")
    assert a == b and a["salt"] != c["salt"] and not set(a["answers"].values()) & set(c["answers"].values())
    assert a["answers"].keys() == ANSWERS.keys()
    assert a["answers"]["02-a"] == hashlib.sha256(f"{a['salt']}02-a6.0e+00".encode()).hexdigest()
    assert {path.name for path in (tmp_path / "a").iterdir()} == {
        "01_next.ipynb", "README.md", "mine.py", "packed.py", "predictions.json", "predictions.py",
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
        without_solutions(lessons_in(folder)[0], set(), {})

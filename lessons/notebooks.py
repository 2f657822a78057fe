"""Notebooks from sources: read the percent format, run every cell in a fresh kernel, strip what changes from run to run, write.

`NN_name.py` is the source, and `NN_name.ipynb` beside it the product; nobody edits the product. Both are committed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tinyalex
from lessons.extra import INSTALL, NOTEBOOKS, LessonError, progress, require_extra
from tinyalex.files.atomic import write_atomically
from tinyalex.tutor.lesson import LEAST_ALT
from tinyalex.tutor.syllabus import FOLDER, Lesson

PACKAGE = Path(tinyalex.__file__).parent
MOST_BYTES = 500_000  # a code host often shows nothing for larger notebooks
README_PICTURE = ("04", 1, FOLDER.parent / "docs" / "lesson-04.png")  # the lesson, which of its pictures from 0 on, the file
CELL_S = 180  # seconds until a cell is given up: the longest is meant to take 20 on one core, and a busy machine has less
# Where a lesson's own line, or the package, causes a warning, the cell fails. Warnings of the notebook's machinery are not the lesson's.
START = "import warnings; warnings.filterwarnings('error', module=r'__main__|tinyalex')"
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
ARROW = re.compile(r"^-+> *\d+ (.*)$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def digests(lesson: Lesson) -> dict[str, str]:
    """Short hashes of the source and of the package. They stand in the notebook, and say whether it must be built again."""
    package = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        package.update(path.relative_to(PACKAGE).as_posix().encode() + _text(path))
    return {"package": package.hexdigest()[:16], "source": hashlib.sha256(_text(lesson.path)).hexdigest()[:16]}


def _text(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n")  # a clone on Windows has other line ends


def convert(lesson: Lesson) -> Any:
    """The notebook of a source without outputs. The ids of its cells are the lesson's number and the cell's position."""
    require_extra("lessons", NOTEBOOKS)
    import jupytext

    notebook = jupytext.reads(lesson.path.read_text("utf-8"), fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell.id = f"{lesson.number}-{position:03}"
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": sorted(tags)} if tags else {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "tinyalex": digests(lesson),
    }
    return notebook


def execute(lesson: Lesson, on_cell: Callable[[], Any] = lambda: None) -> Any:
    """The notebook with its outputs, run in a new kernel of this interpreter and in an empty folder.

    The kernel gets no TINYALEX_DATA, so that committed outputs come from the synthetic set wherever they are made. Raises LessonError
    where a cell fails, or shows what may not be shown (see `faults`).
    """
    notebook = convert(lesson)
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    from lessons.kernel import client_of

    with tempfile.TemporaryDirectory(prefix="tinyalex-lesson-") as folder:
        client = client_of(notebook, folder, START, CELL_S, on_cell)
        try:
            client.execute(env=_environment(folder), cwd=folder)
        except (CellExecutionError, DeadKernelError, asyncio.CancelledError) as error:
            if client.interrupted:
                raise KeyboardInterrupt from None
            if not isinstance(error, CellExecutionError):
                rule = f"{lesson.name}: the kernel must live until the last cell, got a dead one"
                raise LessonError(f"{rule}; run the source as a script") from None
            raise LessonError(_failed(lesson, error.ename, error.evalue, error.traceback)) from None
        except CellTimeoutError:
            raise LessonError(f"{lesson.name}: each cell must end within {CELL_S} seconds, got one that does not; compute less") from None
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata["language_info"] = {"name": "python"}
    if found := list(faults(lesson, notebook)):
        raise LessonError(found[0])
    return notebook


def _environment(folder: str) -> dict[str, str]:
    """The variables of the kernel: this package first on its path, no settings and no history of the user, no real data."""
    changed = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])),
        "IPYTHONDIR": os.path.join(folder, "ipython"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "TINYALEX_LANG": "en",
    }
    kept = {key: value for key, value in os.environ.items() if key not in ("TINYALEX_DATA", "MPLBACKEND")}
    return kept | changed


def _failed(lesson: Lesson, name: str, value: str, traceback: str) -> str:
    """What a cell raised, in one sentence, with the cell's line."""
    if name == "ModuleNotFoundError" and "tinyalex" in value:
        return f"{lesson.name}: tinyalex must be importable in the kernel, got {value}; {INSTALL}"
    line = ARROW.search(ANSI.sub("", traceback or ""))  # the first one is the cell's; those of functions follow
    where = f" at the line {line[1].strip()!r}" if line else ""
    return f"{lesson.name}: every cell must run, got {name}: {value}{where}; mend the source and build again"


def faults(lesson: Lesson, notebook: Any) -> Iterator[str]:
    """What is wrong with the outputs of a notebook, each in a sentence."""
    for cell, output in [(one, output) for one in notebook.cells for output in one.get("outputs", ())]:
        who = f"{lesson.name}: cell {cell.id}"
        text = "".join(output.get("text", "")) + "".join(output.get("data", {}).get("text/plain", ""))
        if output.output_type == "stream" and output.name == "stderr":
            yield f"{who} must write nothing to stderr, got {text[:60]!r}; warnings and progress bars differ from run to run"
        if address := ADDRESS.search(text):
            yield f"{who} must show no address in memory, got {address[0]!r}; end the cell with show(fig, alt=...) or print(...)"
        if any(f"{folder}{os.sep}" in text for folder in (PACKAGE.parent, Path.home())):
            yield f"{who} must show no path of this machine, got {text[:60]!r}; print the file's name alone"
        for kind in output.get("data", {}):
            if kind.startswith("image/") and not well_described(output):
                yield f"{who} must give each picture an alt text of at least {LEAST_ALT} characters, got none; call show(fig, alt=...)"
    if not any(_pictures(notebook)):
        yield f"{lesson.name}: lesson must show at least one picture with an alt text, got none; call show(fig, alt=...)"
    if (size := len(written(notebook))) > MOST_BYTES:
        yield f"{lesson.name}: notebook must have at most {MOST_BYTES:,} bytes, got {size:,}; draw smaller pictures, or fewer"


def well_described(output: Any) -> bool:
    """Whether the picture of an output has an alt text."""
    return len(output.get("metadata", {}).get("image/png", {}).get("alt", "")) >= LEAST_ALT


def _pictures(notebook: Any) -> Iterator[Any]:
    return (output for cell in notebook.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {}))


def out_of_step(lesson: Lesson, fresh: Any) -> str | None:
    """How the product differs from `fresh`, a notebook from the source, in a sentence; None where it does not.

    Sources of cells and tags are compared, and kinds of outputs where `fresh` was run. Bytes of outputs are not: another processor or
    another matplotlib gives other ones.
    """
    remedy = f"python -m lessons build {lesson.number}"
    if not lesson.notebook.is_file():
        return f"{lesson.name}: notebook must be built from the source, got no {lesson.notebook.name}; {remedy}"
    product = read(lesson)
    ran = any(cell.get("execution_count") for cell in fresh.cells)
    for position in range(max(len(product.cells), len(fresh.cells))):
        old, new = (cells[position] if position < len(cells) else None for cells in (product.cells, fresh.cells))
        if old is None or new is None or _source(old) != _source(new):
            return f"{lesson.name}: notebook must be in step with its source, got another cell {lesson.number}-{position:03}; {remedy}"
        if ran and kinds(old) != kinds(new):
            rule = f"{lesson.name}: outputs of cell {old.id} must be of the kinds {kinds(new)}, as in a fresh run"
            return f"{rule}, got {kinds(old)}; {remedy}"
    return None


def _source(cell: Any) -> tuple[str, str, list[str]]:
    return cell.cell_type, cell.source, cell.metadata.get("tags", [])


def kinds(cell: Any) -> list[str]:
    """The kinds of a cell's outputs, each once, such as ["image/png", "stdout"]."""
    outputs = cell.get("outputs", ())
    data = {kind for output in outputs for kind in output.get("data", {})}
    return sorted(data | {output.name for output in outputs if output.output_type == "stream"})


def counts(notebook: Any) -> list[int | None]:
    """The number that each code cell ran as; None for one that did not run."""
    return [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]


def read(lesson: Lesson) -> Any:
    """The product of a lesson. Raises LessonError where it is no notebook."""
    import nbformat

    try:
        return nbformat.read(lesson.notebook, as_version=4)
    except Exception as error:  # nbformat raises many kinds
        rule = f"{lesson.name}: {lesson.notebook.name} must be a notebook"
        raise LessonError(f"{rule}, got {type(error).__name__}; python -m lessons build {lesson.number}") from None


def written(notebook: Any) -> bytes:
    """The bytes of a notebook's file."""
    import nbformat

    return (nbformat.writes(notebook).rstrip("\n") + "\n").encode()


def is_fresh(lesson: Lesson) -> bool:
    """Whether the product was made of this source by this package. A damaged one was not: building is how it is mended."""
    try:
        return lesson.notebook.is_file() and read(lesson).metadata.get("tinyalex") == digests(lesson)
    except LessonError:
        return False


def run(lesson: Lesson) -> Any:
    """`execute` with a progress bar."""
    steps = sum(cell.cell_type == "code" for cell in convert(lesson).cells)
    with progress(steps, lesson.name) as bar:
        return execute(lesson, bar.update)


def build(lesson: Lesson) -> None:
    """Run a lesson and write its notebook beside it; an older one stays where the run fails. README's picture is written too."""
    notebook = run(lesson)
    content = written(notebook)
    write_atomically(lesson.notebook, [content], len(content))
    number, position, path = README_PICTURE
    if (lesson.number, lesson.path.parent) == (number, FOLDER):
        found = pictures(notebook)
        if len(found) <= position:
            raise LessonError(f"{lesson.name}: pictures must be more than {position}, as README shows number {position}, got {len(found)}")
        write_atomically(path, [found[position]], len(found[position]))


def pictures(notebook: Any) -> list[bytes]:
    """The bytes of a notebook's pictures, each a PNG file, in their order."""
    return [base64.b64decode(output.data["image/png"]) for output in _pictures(notebook)]

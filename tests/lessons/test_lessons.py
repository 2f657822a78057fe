"""Every lesson of the repository runs afresh, in fast mode, and its notebook is in step with it."""

import os
import re
import subprocess
import sys

import pytest

from lessons import notebooks
from lessons.extra import REMEDY
from lessons.overview import overview
from tinyalex.tutor.syllabus import FOLDER, lessons_in

LESSONS = lessons_in(FOLDER)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_lesson_runs_and_its_notebook_is_in_step(lesson, monkeypatch):
    """No exception, no missing notebook, no other cells or kinds of output, no picture without an alt text; the same cells run."""
    fault = notebooks.out_of_step(lesson, notebooks.convert(lesson))
    assert fault is None, fault
    product = notebooks.read(lesson)
    faults = list(notebooks.faults(lesson, product))
    assert not faults, faults[0]
    monkeypatch.setenv("TINYALEX_FAST", "1")
    fresh = notebooks.execute(lesson)
    fault = notebooks.out_of_step(lesson, fresh)
    assert fault is None, fault
    assert notebooks.counts(fresh) == notebooks.counts(product) == list(range(1, len(notebooks.counts(fresh)) + 1))


def test_no_notebook_without_a_source():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} <= {lesson.name for lesson in LESSONS}


def test_picture_in_readme_is_the_one_of_its_lesson():
    number, position, path = notebooks.README_PICTURE
    (lesson,) = (one for one in LESSONS if one.number == number)
    assert path.read_bytes() == notebooks.pictures(notebooks.read(lesson))[position]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_kernel_without_tinyalex_is_told_what_to_do(lesson):
    """The line stands above the first import of tinyalex, where a traceback shows it: see tests/lessons/test_notebooks.py."""
    lines = lesson.path.read_text("utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if re.match(r"\s*(from|import) tinyalex\b", line))
    assert lines[first - 1] == REMEDY


def test_all_lessons_are_there():
    assert [lesson.number for lesson in LESSONS] == [f"{number:02}" for number in range(17)]


def test_the_page_of_the_lessons_says_what_they_say():
    assert (FOLDER / "README.md").read_text("utf-8") == overview(LESSONS)


@pytest.mark.slow
def test_lesson_with_kernels_runs_without_their_compiler(tmp_path):
    """The extra `kernels` is optional: each cell that needs it says what is missing, and the rest runs."""
    (lesson,) = (one for one in LESSONS if one.number == "14")
    code = f"import runpy, tinyalex.sim.nvrtc as n; n.LIBRARIES = (); runpy.run_path({str(lesson.path)!r})"
    command = [sys.executable, "-W", "error", "-c", f"import matplotlib; matplotlib.use('agg'); {code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(FOLDER.parent)})
    assert done.returncode == 0, done.stderr
    blocks = lesson.path.read_text("utf-8").count("with needs_compiler():")
    assert done.stdout.count("left out: the compiler of kernels is not installed") == blocks > 5

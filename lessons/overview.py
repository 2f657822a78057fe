"""`lessons/README.md`: the list of the lessons, made of what each says in its first cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tinyalex.files.atomic import write_atomically
from tinyalex.tutor.syllabus import Lesson
from tinyalex.units import time_in_words

HEAD = """\
# From the chain rule to AlexNet, and what came of it

Each lesson derives a backward pass by hand, proves it numerically, and compares it with the engine. You need Python, NumPy and school
calculus. The notebooks show their outputs, so you can read them here. The code of a lesson computes its pictures and numbers, from
synthetic images and random numbers; nothing is downloaded.

| | lesson | minutes | needs | exercise | the paper's section |
|---|---|--:|---|---|---|
"""
FOOT = """
All together: {time} with the exercises. Lesson 06 needs only the first three, so 06 to 08 may come before 03; 11 to 16 may come
in any order after 10. Each lesson has the same nine parts: the paper's sentence, predict, the equation, the derivation, twenty lines of
your own, prove it, the same as the engine, an experiment, what people get wrong.

    .venv/bin/pip install -e ".[lessons]" jupyterlab   # on Windows: .venv\\Scripts\\pip
    .venv/bin/tinyalex lessons 03                      # opens lesson 03
    .venv/bin/python -m lessons book                   # the book: pages that need no network, in build/book
    .venv/bin/python -m lessons build                  # runs what changed, and writes the notebooks
    .venv/bin/python -m lessons build --student --out build/student   # an edition without solutions
    .venv/bin/python -m lessons sheet                  # a net to compute on paper, and its answers, in build/sheet
    .venv/bin/tinyalex capstone mine.py                # in the end: your functions as one AlexNet beside the engine's, and a page
    .venv/bin/python -m lessons lite                   # a site that runs the lessons in the browser, in build/lite

`NN_name.py` is the source of a lesson and `NN_name.ipynb` is built from it. `mine.py` is the file for the exercises, `solutions/` holds
the answers, and [MISCONCEPTIONS.md](MISCONCEPTIONS.md) the mistakes that the tutor knows. [NUMBERS.md](NUMBERS.md) is a table of every
number of the paper with ours beside it; `python -m lessons numbers --check` computes them again. [CURVES.md](CURVES.md) is a quiz of twelve
training curves, each with a planted bug. [TEACHING.md](TEACHING.md) is for teachers. `python -m lessons build` writes this page.
"""


def overview(lessons: Sequence[Lesson]) -> str:
    """The text of the page."""
    rows = [
        f"| {one.number} | [{one.title}]({one.notebook.name}) | {one.minutes} | {', '.join(one.needs)} | {', '.join(one.exercises)} "
        f"| {one.section.removeprefix('sections ').removeprefix('section ')} |\n"
        for one in lessons
    ]
    return HEAD + "".join(rows) + FOOT.format(time=time_in_words(60 * sum(one.minutes for one in lessons)))


def write_overview(lessons: Sequence[Lesson], folder: Path) -> None:
    """Write the page into a folder of lessons."""
    content = overview(lessons).encode()
    write_atomically(folder / "README.md", [content], len(content))

"""`tinyalex lessons`: which lessons there are, how long they take, what they need; and one of them, opened."""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import webbrowser
from importlib.util import find_spec
from pathlib import Path

from tinyalex.errors import ShapeError
from tinyalex.tutor.syllabus import FOLDER, Lesson, chosen
from tinyalex.units import time_in_words

HELP = "list the lessons, and open one: a notebook, or a page of the book"
EXAMPLE = "tinyalex lessons 03"
BOOK = FOLDER.parent / "build" / "book"  # where `python -m lessons book` writes
JUPYTER = ("jupyterlab", "notebook")
MORE = """\
With a number it opens that lesson in Jupyter where it is installed, else its page of the book where `python -m lessons book` has
written it. Where neither is there it prints where the lesson lies, and what to install. The lessons are in a clone of the repository;
an installed wheel has none.

exit codes: 0 done; 2 there is no such lesson, or no folder of lessons.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("lesson", nargs="?", metavar="NN", help="the lesson to open (default: list all of them)")
    parser.add_argument("--json", action="store_true", help="print the list as one JSON document; with NN only this lesson, unopened")
    parser.epilog = f"{parser.epilog}\n\n{MORE}"


def run(args: argparse.Namespace) -> int:
    """List the lessons, or open one; return the exit code."""
    if args.lesson is not None and not args.lesson.strip().isdecimal():
        raise ShapeError(f"lessons: NN must be the number of a lesson, got {args.lesson!r}; tinyalex lessons lists them")
    lessons = chosen("lessons", [] if args.lesson is None else [args.lesson.strip()], FOLDER)
    if args.json:
        print(json.dumps({"format": 1, "lessons": [_document(lesson) for lesson in lessons]}, indent=1))
    elif args.lesson is None:
        _list(lessons)
    else:
        _open(lessons[0])
    return 0


def _list(lessons: list[Lesson]) -> None:
    lines = [("", "lesson", "minutes", "needs", "exercises", "paper")]
    for lesson in lessons:
        section = lesson.section.partition(" ")[2]
        facts = (str(lesson.minutes), ", ".join(lesson.needs), ", ".join(lesson.exercises), section)
        lines.append((lesson.number, lesson.title, *facts))
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    for line in lines:
        number, title, minutes, *others = line
        rest = "  ".join(f"{text:<{width}}" for text, width in zip(others, widths[3:], strict=True))
        print(f"{number:<2}  {title:<{widths[1]}}  {minutes:>{widths[2]}}  {rest}".rstrip())
    count = f"{len(lessons)} lesson{'s' * (len(lessons) != 1)}"
    print(f"\n{count}, {time_in_words(60 * sum(lesson.minutes for lesson in lessons))} with their exercises. Open one: {EXAMPLE}")


def _open(lesson: Lesson) -> None:
    """Open a lesson by the best means that is there."""
    jupyter = next((name for name in JUPYTER if find_spec(name) is not None), None)
    page = BOOK / f"{lesson.name}.html"
    if jupyter and lesson.notebook.is_file():
        print(f"{lesson.notebook}: opened in Jupyter; Ctrl-C twice ends it", flush=True)
        _wait(subprocess.Popen([sys.executable, "-m", jupyter, str(lesson.notebook)]))
    elif page.is_file():
        print(f"{page}: the page of the book{_newer(lesson, page)}")
        webbrowser.open(page.resolve().as_uri())
    else:
        has = lesson.notebook if lesson.notebook.is_file() else lesson.path
        print(f"{has}\nTo open it as a notebook: pip install jupyterlab")
        print('To read it as a page: pip install -e ".[lessons]" in the folder of the repository, then python -m lessons book')


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for Jupyter. A Ctrl-C reaches it too: it asks whether to end, and saves and ends its kernels, so it must not be killed."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
            return


def _newer(lesson: Lesson, page: Path) -> str:
    changed = lesson.path.stat().st_mtime > page.stat().st_mtime
    return "; the lesson has changed since: python -m lessons book" if changed else ""


def _document(lesson: Lesson) -> dict[str, object]:
    return {
        "number": lesson.number,
        "title": lesson.title,
        "section": lesson.section,
        "minutes": lesson.minutes,
        "needs": list(lesson.needs),
        "exercises": list(lesson.exercises),
        "goal": lesson.goal,
        "source": str(lesson.path),
        "notebook": str(lesson.notebook) if lesson.notebook.is_file() else None,
    }

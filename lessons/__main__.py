"""`python -m lessons`: notebooks, book, student's edition, the paper's numbers, sheet for paper, wall of wrong curves, browser site."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lessons.extra import NOTEBOOKS, require_extra
from lessons.overview import write_overview
from tinyalex.commands.lessons import BOOK
from tinyalex.errors import ShapeError, TinyalexError
from tinyalex.tutor.syllabus import FOLDER, Lesson, chosen, lessons_in

SHEETS, SITE = BOOK.parent / "sheet", BOOK.parent / "lite"
SEED = """with --student: other random inputs for the proofs of lessons 00, 03, 06, 09, 10, 14 and 16, and the salt of the predictions'
hashes. The other inputs stay, because the lessons say what comes of them (default: the lessons' inputs and a new salt)"""
EPILOG = """\
examples:
  python -m lessons build             notebooks of all lessons whose source, or the package, changed
  python -m lessons build 03 --check  run lesson 03 and compare with its notebook; write nothing
  python -m lessons book              the book, in build/book
  python -m lessons build --student --out build/student
  python -m lessons numbers --check   whether every number of the paper is still what the page says; a few seconds
  python -m lessons wall              train the runs with planted bugs and draw their curves; half a minute
  python -m lessons sheet --seed 7    AlexNet on paper: a sheet to print, and its answers, in build/sheet
  python -m lessons lite              a site with the lessons, which runs them in the browser, in build/lite; half a minute

exit codes: 0 done, 1 a lesson or a number fails or is out of step, 2 bad input, 130 interrupted.
"""


LITE = """\
Build a site of static files in which the lessons run: JupyterLite, with Python in the page (Pyodide, which is WebAssembly). A reader
needs a browser alone. The site holds the notebooks and this version of tinyalex."""
LITE_EPILOG = """\
Without --runtime the site takes about 25 MB, and a page loads Python, NumPy and matplotlib from Pyodide's network. With --runtime they
are in the site too, and a page asks for nothing outside of the site. FOLDER is an unpacked pyodide-VERSION.tar.bz2 of Pyodide's releases
(jupyterlite_pyodide_kernel.constants.PYODIDE_VERSION is the version), with a wheel of each package that its list lacks, such as comm:
pip download --no-deps -d FOLDER comm

A browser starts no threads, so one core does all the work, and a training takes longer than in an installed Python.

exit codes: 0 done, 1 a notebook is out of step or a part cannot be built, 2 bad input, 130 interrupted.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        "python -m lessons", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="build | book | numbers | sheet | wall | lite")
    build = commands.add_parser("build", help="run lessons and write their notebooks beside them", allow_abbrev=False)
    build.add_argument("numbers", nargs="*", metavar="NN", help="such as 03 (default: all)")
    build.add_argument("--check", action="store_true", help="run and compare with the notebooks that are there; write nothing")
    build.add_argument("--force", action="store_true", help="also build what did not change")
    build.add_argument("--student", action="store_true", help="write an edition without solutions to --out instead")
    build.add_argument("--seed", type=int, metavar="S", help=SEED)
    book = commands.add_parser("book", help="write the book: static pages that need no network", allow_abbrev=False)
    build.add_argument("--out", metavar="DIR", type=Path, help="the folder of --student")
    book.add_argument("--out", metavar="DIR", type=Path, default=BOOK, help="the book's folder (default: build/book)")
    numbers = commands.add_parser("numbers", help="compute every number of the paper, and write lessons/NUMBERS.md", allow_abbrev=False)
    numbers.add_argument("--check", action="store_true", help="compute and compare with the page that is there; write nothing")
    commands.add_parser("wall", help="train runs with planted bugs, and write lessons/CURVES.md with their curves", allow_abbrev=False)
    sheet = commands.add_parser("sheet", help="write a net of two towers to compute on paper, and its answers", allow_abbrev=False)
    sheet.add_argument("--seed", type=int, default=0, metavar="S", help="other numbers for each class (default: 0)")
    sheet.add_argument("--out", metavar="DIR", type=Path, default=SHEETS, help="the folder (default: build/sheet)")
    lite = commands.add_parser(
        "lite", help="build a site that runs the lessons in the browser", description=LITE, epilog=LITE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    lite.add_argument("--out", metavar="DIR", type=Path, default=SITE, help="a new folder, or an older site (default: build/lite)")
    lite.add_argument("--runtime", metavar="FOLDER", type=Path, help="a folder with a whole release of Pyodide, to be copied into the site")
    for one in (build, book, lite):
        one.add_argument("--from", metavar="DIR", type=Path, default=FOLDER, dest="folder", help=argparse.SUPPRESS)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code."""
    args = parser().parse_args(argv)
    try:
        return run(args)
    except KeyboardInterrupt:
        print("lessons: interrupted; what was built is kept, go on with the same command", file=sys.stderr)
        return 130
    except TinyalexError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def run(args: argparse.Namespace) -> int:
    """Do what the arguments ask for."""
    from lessons import notebooks  # here, where an old NumPy becomes one sentence
    from tinyalex.tutor.lesson import FAST, in_fast_mode

    if args.command == "book":
        from lessons.book.pages import write_book

        count = write_book(args.folder, args.out)
        print(f"{count} pages; open {args.out / 'index.html'}")
        return 0
    if args.command == "numbers":
        from lessons.paper_numbers.page import write

        print(write(args.check))
        return 0
    if args.command == "wall":
        from lessons.wall.page import write as write_wall

        print(write_wall())
        return 0
    if args.command == "sheet":
        from lessons.sheet.page import write_sheet

        for path in write_sheet(args.seed, args.out):
            print(f"wrote {path}")
        return 0
    if args.command == "lite":
        return _lite(args)
    if args.student:
        return _student(args)
    if args.out is not None or args.seed is not None:
        raise ShapeError("lessons: --out and --seed must be given with --student, got none; notebooks are written beside their sources")
    require_extra("lessons", NOTEBOOKS)
    lessons = chosen("lessons", args.numbers, args.folder)
    if not args.check and in_fast_mode():
        raise ShapeError(f"lessons: {FAST} must not be set while notebooks are built, got {os.environ[FAST]!r}; unset it")
    wrong = 0
    for lesson in lessons:
        if not args.check and not args.force and notebooks.is_fresh(lesson):
            print(f"{lesson.name}: unchanged")
            continue
        start = time.perf_counter()
        try:
            fault = _check(lesson) if args.check else notebooks.build(lesson)
        except notebooks.LessonError as error:
            fault = str(error)
        wrong += fault is not None
        print(fault or f"{lesson.name}: {'in step' if args.check else 'built'} in {time.perf_counter() - start:.0f} s", flush=True)
    if not args.check:
        from lessons.teacher.page import write_teaching

        write_overview(lessons_in(args.folder), args.folder)
        write_teaching(lessons_in(args.folder), args.folder)
    return 1 if wrong else 0


def _check(lesson: Lesson) -> str | None:
    from lessons import notebooks

    return notebooks.out_of_step(lesson, notebooks.run(lesson))


def _lite(args: argparse.Namespace) -> int:
    from lessons.lite import write_site

    start = time.perf_counter()
    names = write_site(args.folder, args.out, args.runtime)
    print(f"{len(names)} lessons in {args.out}, built in {time.perf_counter() - start:.0f} s; go on with")
    print(f"  python -m http.server --directory {shlex.quote(str(args.out))} 8000")
    print(f"and open http://localhost:8000/lab/index.html?path={names[0]}")
    return 0


def _student(args: argparse.Namespace) -> int:
    from lessons.student import write_edition

    if args.out is None:
        raise ShapeError("lessons: --student must be given with --out DIR, got no folder; name a new one")
    if args.check or args.force:
        raise ShapeError("lessons: --student must be given without --check and --force, got one of them; leave it out")
    count = write_edition(args.folder, args.out, args.numbers, args.seed)
    print(f"{count} lesson{'s' * (count != 1)} without solutions in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

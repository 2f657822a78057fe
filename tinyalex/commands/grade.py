"""`tinyalex grade`: marks for one student's file, or for a folder of them."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tinyalex.commands.shared import path, tell
from tinyalex.devices.workers import processors
from tinyalex.errors import Interrupted, ShapeError, require_choice, require_float, require_int
from tinyalex.files.atomic import make_folder, write_json
from tinyalex.tutor.class_report import class_text, draw, one_text, write_csv, write_gradescope
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import catalogue, language_of
from tinyalex.tutor.grading import NO_SANDBOX, RESULTS, Graded, Handed, Told, Way, document_of, grade, handed_in, load_known, save
from tinyalex.tutor.guard import LIMIT_S
from tinyalex.tutor.processes import Limits
from tinyalex.tutor.source import SubmissionError

HELP = "grade one student's file or a folder of them: marks, findings, a report on the class"
EXAMPLE = "tinyalex grade handed-in --csv marks.csv --png findings.png"
SEED = 1  # `tinyalex check` has 0
MORE = f"""\
Each exercise of each submission runs in a process of its own: in a new session, a temporary folder, with limits of time and memory,
killed with all that it started. {NO_SANDBOX}
The limit of time is one of computing where the system counts it, and six times as much by the clock, so a busy machine fails nobody.
Grade the files of strangers in a container or on a machine that holds nothing of value.

The calls are those of `tinyalex check` with other numbers and other sizes, so that the findings are the same and a function that
knows the sizes of `check` by heart does not pass. A message names the seed and the sizes with which its call can be repeated.
Of a folder the marks are kept in {RESULTS} there (or in --out): the same command goes on where it was stopped, and
runs again only what was changed.

exit codes: 0 all is right; 1 something is not; 2 the file, or every file of the folder, cannot be used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("place", metavar="FILE-or-FOLDER", help="a .py or .ipynb; or a folder of them, or of folders with one each")
    add("--exercises", nargs="+", metavar="E05", help="only these exercises (default: all)")
    add("--json", nargs="?", const="-", metavar="FILE", help="write everything as JSON; without FILE print it instead of the report")
    add("--csv", metavar="FILE", help="write a table with one row a submission")
    add("--gradescope", metavar="FILE", help="write the results.json of Gradescope, for one file")
    add("--png", metavar="FILE", help="draw which finding came how often")
    add("--out", metavar="FOLDER", help=f"keep {RESULTS} in this folder (default: the folder of the submissions)")
    add("--seed", type=int, default=SEED, metavar="S", help=f"of the numbers and the sizes in the calls (default: {SEED})")
    add("--jobs", type=int, metavar="N", help="how many processes at a time (default: all cores)")
    add("--limit", type=float, default=60.0, metavar="S", help="seconds of computing of an exercise; a call has half of "
        "them, or ten (default: 60)")
    add("--lang", metavar="LANG", help="of messages, reports, the chart and the CSV: en or zh (default: TINYALEX_LANG, or en)")
    parser.epilog = f"{parser.epilog}\n\n{MORE}"


def run(args: argparse.Namespace) -> int:
    """Grade, write what was asked for, print the report and return the exit code."""
    place, way = path(args.place), _way(args)
    workers = processors() if args.jobs is None else require_int("grade", "--jobs", args.jobs, most=1024)
    try:
        handed = handed_in(place)
    except SubmissionError as error:
        raise error.said_in(way.language) from None
    if args.gradescope and place.is_dir():
        raise ShapeError(f"grade: --gradescope must be given with one file, got the folder {place}; grade each file alone")
    kept = _kept(args.out, place)
    graded = _graded(handed, way, kept, workers)
    _write(args, graded, way)
    problems = [one.problem for one in graded if one.problem]
    if len(problems) == len(graded):
        print(f"tinyalex: error: {problems[0]}", *problems[1:], sep="\n", file=sys.stderr)
        return 2
    if args.json != "-":
        print(class_text(graded, way.language) if place.is_dir() else one_text(graded[0], way.language))
    return 0 if all(one.passed for one in graded) else 1


def _way(args: argparse.Namespace) -> Way:
    names = [require_choice("grade", "--exercises", name.upper(), tuple(EXERCISES)) for name in args.exercises or EXERCISES]
    chosen = tuple(exercise for key, exercise in EXERCISES.items() if key in names)
    limit = require_float("grade", "--limit", args.limit, "a number of seconds from 1 to 3600", lambda value: 1 <= value <= 3600)
    seed = require_int("grade", "--seed", args.seed, least=0, most=2**63)
    return Way(chosen, seed, Limits(min(LIMIT_S, limit / 2), limit), language_of(args.lang))


def _kept(out: str | None, place: Path) -> Path | None:
    """The file in which the marks are kept, None where they are not."""
    if out is not None:
        make_folder(path(out))
        return path(out) / RESULTS
    return place / RESULTS if place.is_dir() else None


def _graded(handed: list[Handed], way: Way, kept: Path | None, workers: int) -> list[Graded]:
    """All marks, by name; they are kept after each submission."""
    known = {} if kept is None else load_known(kept)
    found: list[Graded] = []
    try:
        with _progress(len(handed), way.language) as told, closing(grade(handed, way, known, workers, told)) as marks:
            for one in marks:
                found.append(one)
                if kept is not None and known.get(one.name) != one:
                    save(kept, found + [known[other.name] for other in handed if other.name in known and _missing(other, found)], way)
    except KeyboardInterrupt:
        how = "the same command goes on with the others" if kept is not None else "start it again"
        raise Interrupted(f"grade: stopped after {len(found)} of {len(handed)} submissions; {how}") from None
    return sorted(found, key=lambda one: one.name)


def _missing(handed: Handed, found: Collection[Graded]) -> bool:
    return all(one.name != handed.name for one in found)


@contextmanager
def _progress(submissions: int, language: str) -> Iterator[Told]:
    """A bar with the time left; where no terminal shows it, a line a submission."""
    from tqdm import tqdm

    words = catalogue(language)
    hidden, done, start = not sys.stderr.isatty(), 0, time.perf_counter()
    with tqdm(disable=hidden, leave=False, unit=f" {words['grade.exercises']}", dynamic_ncols=True) as bar:

        def told(name: str, last: bool, of: int) -> None:
            nonlocal done
            done += 1
            bar.total = of
            bar.update()
            if last and hidden and submissions > 1:
                left = (time.perf_counter() - start) / done * (of - done)
                tell(words["grade.progress"].format(done=done, of=of, seconds=math.ceil(left), name=name))

        yield told


def _write(args: argparse.Namespace, graded: list[Graded], way: Way) -> None:
    if args.json:
        document: dict[str, Any] = document_of(graded, way)
        if args.json == "-":
            print(json.dumps(document, indent=1))
        else:
            write_json(path(args.json), document)
    if args.csv:
        write_csv(path(args.csv), graded, way.language)
    if args.gradescope:
        write_gradescope(path(args.gradescope), graded[0], way.language)
    if args.png and not draw(path(args.png), graded, way.language):
        tell(catalogue(way.language)["grade.no_font"])

"""`tinyalex check`: what the tutor says about the functions in a student's file."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Collection
from pathlib import Path

from tinyalex.commands.shared import path
from tinyalex.devices.workers import processors
from tinyalex.errors import ShapeError, require_choice, require_int
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import catalogue, language_of
from tinyalex.tutor.processes import Limits, Processes, Task
from tinyalex.tutor.result import Result, not_written, problem_of, repeated
from tinyalex.tutor.runner import names_of_all
from tinyalex.tutor.session import LEVELS, hint_of
from tinyalex.tutor.source import SubmissionError
from tinyalex.tutor.submission import Submission, read

HELP = "check your functions of the lessons' exercises: which mistake it is, and where to look"
EXAMPLE = "tinyalex check E06 --file mine.py --watch"
PLACES = ("lessons/mine.py", "mine.py")
LOOK_S = 0.5
MORE = """\
Without names of exercises it checks those of which a function is written: a stub that raises NotImplementedError is not. Each
exercise runs in a process of its own, ended after a minute of computing; one call ends after ten seconds of it. Your file is run, so
check only files that you trust: this is no security sandbox.

Of each exercise the first function that is not right yet is told, with the first thing to look at. A hint is --hint 1, 2 or 3 away.
Messages come from calls that can be made again: the line that begins with "Repeat the call" can be pasted into Python, there
`again = tutor.replay(...)` holds again.arguments, again.yours and again.right, and an error shows its whole traceback.

exit codes: 0 all that is written, or named, is right; 1 there is a finding, or nothing is written; 2 the file cannot be used.
With --watch, Ctrl-C ends with 0.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("exercises", nargs="*", metavar="E05", help="only these exercises (default: those of which a function is written)")
    add("--file", metavar="FILE", help=f"a .py or a notebook (default: {PLACES[0]}, or {PLACES[1]} where that is not there)")
    add("--hint", type=int, metavar="N", help="with one exercise: also print hint N of the function to look at; 1 asks, 2 gives the "
        "equation with its indices, 3 the shape of the loop")  # fmt: skip
    add("--watch", action="store_true", help="check again whenever the file changes, until Ctrl-C")
    add("--lang", metavar="LANG", help="en or zh (default: TINYALEX_LANG, or en)")
    add("--json", action="store_true", help="print one JSON document instead of the messages")
    parser.epilog = f"{parser.epilog}\n\n{MORE}"


def run(args: argparse.Namespace, limits: Limits | None = None) -> int:
    """Check once or, with --watch, again and again; return the exit code."""
    names = [require_choice("check", "exercises", name.upper(), tuple(EXERCISES)) for name in args.exercises]
    file, language = _file(args.file), language_of(args.lang)
    if args.hint is not None:
        require_int("check", "--hint", args.hint, 1, most=len(LEVELS))
        if len(names) != 1 or args.watch or args.json:
            raise ShapeError("check: --hint must be given with one exercise and without --watch and --json, got others",
                             f"tinyalex check E05 --hint {args.hint}")  # fmt: skip
    if not args.watch:
        return _check(file, names, language, args.json, limits, args.hint)
    if args.json:
        raise ShapeError("check: --json must be given without --watch, got both; leave one of them out")
    try:
        _watch(file, names, language, limits)
    except KeyboardInterrupt:
        print()
    return 0


def _file(given: str | None) -> Path:
    if given is not None:
        return path(given)
    return next((place for place in map(Path, PLACES) if place.is_file()), Path(PLACES[0]))


def _watch(file: Path, names: list[str], language: str, limits: Limits | None) -> None:
    """Check the file, and again whenever its time or its size is another."""
    print(catalogue(language)["check.watching"].format(file=file), flush=True)
    last: object = ()
    while True:
        try:
            stat = file.stat()
            now: object = (stat.st_mtime_ns, stat.st_size)
        except OSError:  # an editor may remove a file for a moment while it saves it
            now = last if last else None
        if now != last:
            last = now
            print(f"\n{time.strftime('%H:%M:%S')}", flush=True)
            try:
                _check(file, names, language, False, limits)
            except SubmissionError as error:
                print(error, flush=True)
        time.sleep(LOOK_S)


def _check(file: Path, names: list[str], language: str, as_json: bool, limits: Limits | None, level: int | None = None) -> int:
    submission = _read(file, language)
    results = _results(submission, names, limits)
    if problem := problem_of(results):
        raise SubmissionError(problem.key.removeprefix("submission."), language, **problem.numbers)
    shown = [result for result in results if names or result.status != "todo"]
    passed = bool(shown) and all(result.status == "right" or (result.status == "begun" and not names) for result in shown)
    if as_json:
        document = {"format": 1, "file": str(file), "passed": passed, "exercises": [result.document() for result in results]}
        print(json.dumps(document, indent=1))
    else:
        _tell(file, results, shown, language, level, {name for name in EXERCISES if _begun(submission, name)})
    return 0 if passed else 1


def _read(file: Path, language: str) -> Submission:
    try:
        return read(file, names_of_all(), str(file))
    except SubmissionError as error:
        raise error.said_in(language) from None


def _results(submission: Submission, names: list[str], limits: Limits | None) -> list[Result]:
    """The result of every exercise, or of the named ones, in order. What is not written is not run."""
    chosen = [EXERCISES[name] for name in names or EXERCISES]
    with Processes(processors(), limits) as processes:
        started = {
            exercise.key: processes.start(Task(exercise, submission.path, submission.name, helpers=True))
            for exercise in chosen
            if _begun(submission, exercise.key)
        }
        return [started[exercise.key].result() if exercise.key in started else not_written(exercise) for exercise in chosen]


def _begun(submission: Submission, exercise: str) -> bool:
    """Whether a function of the exercise is written."""
    return any(submission.begun(function.name) for function in EXERCISES[exercise].functions)


def _tell(file: Path, results: list[Result], shown: list[Result], language: str, level: int | None, begun: Collection[str]) -> None:
    words = catalogue(language)
    following = _following(results, shown, begun, words["check.next_all"])
    alone = len(shown) == 1
    for result in shown:
        hint = f"--hint {1 if level is None else min(level + 1, len(LEVELS))}"
        print(result.text(language, following if alone else "", f"tinyalex check {result.exercise} {hint}{_option(file)}"))
        if result.finding is not None and result.finding.probe:
            print(repeated(words, str(file), result.finding))
        if level is not None:
            print(hint_of(result.exercise, _to_look_at(result), level, language, result.finding.key if result.finding else ""))
        print(flush=True)
    if not shown:
        print(words["check.nothing"].format(file=file))
        return
    states = [result.status for result in results]
    right, findings = states.count("right"), states.count("finding")
    said = words["check.summary"].format(file=file, right=right, findings=findings, todo=len(states) - right - findings)
    if right == len(EXERCISES):
        said = words["check.summary_all"].format(file=file)
    elif following and not alone and not findings:
        said += words["check.next"].format(following=following)
    print(said, flush=True)


def _following(results: list[Result], shown: list[Result], begun: Collection[str], all_of_them: str) -> str:
    """What comes behind the last exercise that is shown; empty where all are right.

    An exercise that is written and was not looked at may be right: then `all_of_them` is said.
    """
    states = {result.exercise: result.status for result in results}
    last = shown[-1].exercise if shown else ""
    left = [key for key in EXERCISES if (states[key] != "right" if key in states else key not in begun)]
    if left:
        return next((key for key in left if key > last), left[0])
    return all_of_them if len(states) < len(EXERCISES) else ""


def _option(file: Path) -> str:
    """How the command line names the file, nothing where it is the one that is taken without a name."""
    return "" if file == _file(None) else f" --file {shlex.quote(str(file))}"


def _to_look_at(result: Result) -> str:
    """The function of the finding, else the first one that is not right, else the first."""
    names = list(result.states)
    if result.finding is not None and result.finding.function in names:
        return result.finding.function
    return next((name for name in names if result.states[name] != "right"), names[0])


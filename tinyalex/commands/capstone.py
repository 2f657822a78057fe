"""`tinyalex capstone`: your functions of the lessons' exercises as one small AlexNet, beside the engine's."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinyalex.commands.check import PLACES
from tinyalex.commands.saved import require_place
from tinyalex.commands.shared import path, tell, tell_expected
from tinyalex.devices.workers import processors
from tinyalex.errors import Interrupted, ShapeError
from tinyalex.files.atomic import write_bytes
from tinyalex.tutor.capstone.calls import FUNCTIONS
from tinyalex.tutor.capstone.net import STEPS
from tinyalex.tutor.capstone.page import page_of
from tinyalex.tutor.capstone.student_code import used_by
from tinyalex.tutor.capstone.verdict import Verdict
from tinyalex.tutor.finding import Finding, catalogue, filled, language_of
from tinyalex.tutor.kept import kept_beside
from tinyalex.tutor.processes import Limits, Processes, Task
from tinyalex.tutor.runner import names_of_all
from tinyalex.tutor.source import SubmissionError
from tinyalex.tutor.submission import Submission, read

HELP = "your functions of the exercises as one small AlexNet, trained beside the engine's: where the two part, and a page"
EXAMPLE = "tinyalex capstone lessons/mine.py"
LIMITS = Limits(exercise_s=300.0)
MORE = """\
The net has two towers, as section 3.2 of the paper: convolutions, ReLU, LRN, overlapping pooling, dropout, softmax, SGD. It calls your
functions of E02 to E10 and E12. No layer needs those of E01 and E11, which measure and plan, and of E13, which the paper's net does
not have. The images are synthetic. Both nets start from the same weights and have the same masks. Where they part, the message names
the step, the layer and your function, and shows what `tinyalex check` finds in it. Where no number differs, it then checks all these
functions with other sizes and numbers too. The page needs no network. Your file is run, so use only files that you trust: this is no
security sandbox.

exit codes: 0 both agree to 1e-10, and your functions are right; 1 they part, or a function is wrong; 2 the file cannot be used, or
functions are not written; 130 interrupted.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    where = f"a .py or a notebook (default: {PLACES[0]}, or {PLACES[1]} where that is not there)"
    add("file", nargs="?", metavar="FILE", help=where)
    add("--with-engine", action="store_true", help="let the engine's functions stand in for those that you have not written yet")
    add("--out", type=path, default=Path("capstone.html"), metavar="PAGE", help="the page that is written (default: capstone.html)")
    add("--lang", metavar="LANG", help="en or zh (default: TINYALEX_LANG, or en)")
    add("--json", action="store_true", help="print one JSON document instead of the message")
    parser.epilog = f"{parser.epilog}\n\n{MORE}"


def run(args: argparse.Namespace, limits: Limits = LIMITS) -> int:
    """Train both, write the page, say where they part, and return the exit code."""
    usual = next((place for place in map(Path, PLACES) if place.is_file()), Path(PLACES[0]))
    file, language = usual if args.file is None else path(args.file), language_of(args.lang)
    words = catalogue(language)
    require_place("capstone", args.out, "--out")
    if args.out.exists() and file.exists() and args.out.samefile(file):
        raise ShapeError(f"capstone: --out must name another file than {file}, got the same", "leave it out for capstone.html")
    try:
        submission = read(file, names_of_all(), str(file))
        tell_expected(filled(words, "capstone.expected", {"file": file, "steps": STEPS}))
        option = "" if file == usual else f" --file {shlex.quote(str(file))}"
        verdict = _verdict(submission, option, args.with_engine, limits, words)
        guesses = kept_beside(file)
    except SubmissionError as error:
        raise error.said_in(language) from None
    except KeyboardInterrupt:
        raise Interrupted("capstone: stopped; no page was written; start it again") from None
    if isinstance(guesses, SubmissionError):
        tell(f"tinyalex: {guesses.said_in(language)}")
        guesses = {}
    write_bytes(args.out, page_of(verdict, submission, guesses, language))
    if args.json:
        print(json.dumps(verdict.document() | {"page": str(args.out)}, indent=1, allow_nan=False))
        return 0 if verdict.right else 1
    print(*verdict.lines(language, "tinyalex"), sep="\n")
    print(filled(words, "capstone.wrote", {"page": args.out}))
    following = "next_parts" if verdict.found["wrong"] or verdict.refused else "next_filled" if verdict.exercise else "next_agree"
    print(filled(words, f"capstone.{following}", {"exercise": verdict.exercise, "option": option}), flush=True)
    return 0 if verdict.right else 1


def _verdict(submission: Submission, option: str, fill: bool, limits: Limits, words: Mapping[str, str]) -> Verdict:
    """Both nets in a process of its own; then the tutor, in others, on the exercises of the functions that are wrong.

    Where no number of the net differs, the tutor tries all functions of the student, as the net does not try everything.
    """
    file = submission.path
    with Processes(processors(), limits) as processes:
        with _progress(words["capstone.unit"]) as told:
            answer = processes.ask("tinyalex.tutor.capstone.runner", file, str(file), {"fill": fill}, True, told)
        numbers: dict[str, Any] = {"file": str(file), "limit": f"{limits.exercise_s:g}", "steps": STEPS, "code": answer.how}
        if answer.document is None:
            raise SubmissionError("capstone_too_long" if answer.late else "capstone_ended", **numbers)
        found: dict[str, Any] = answer.document
        if "problem" in found:
            raise SubmissionError(found["problem"], **found["numbers"])
        if "missing" in found:
            raise SubmissionError("not_written", file=str(file), names=", ".join(found["missing"]))
        wrong = [one["function"] for one in found["wrong"]]
        own = [name for name in FUNCTIONS if name not in found["filled"]]
        asked = [*wrong, *(name for name in own if found["first"] is None and name not in wrong)]
        if len(asked) > len(wrong):
            tell(words["capstone.checking"])
        tasks = {FUNCTIONS[name][0].key: FUNCTIONS[name][0] for name in asked}
        started = {key: processes.start(Task(exercise, file, str(file), helpers=True, every=True)) for key, exercise in tasks.items()}
        findings: dict[str, Finding] = {}
        for name in asked:
            said = [one for one in started[FUNCTIONS[name][0].key].result().findings if one.function in (name, "")]
            findings |= {name: said[0]} if said else {}
    refused = {name: findings.pop(name) for name in asked if name not in wrong and name in findings}
    return Verdict(str(file), found, findings, limits.call_s, refused, {name: used_by(submission, name) for name in own}, option)


@contextlib.contextmanager
def _progress(unit: str) -> Iterator[Callable[[Any], None]]:
    """A bar of the steps; where no terminal shows it, nothing."""
    from tqdm import tqdm

    with tqdm(total=STEPS + 1, disable=not sys.stderr.isatty(), leave=False, unit=f" {unit}", dynamic_ncols=True) as bar:

        def told(step: Any) -> None:
            bar.update(1)

        yield told

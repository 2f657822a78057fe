"""Computes all rows, and raises where one is no longer true."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lessons.extra import LessonError
from lessons.paper_numbers.number import Number, Values, amounts, half_a_unit, said, shown
from tinyalex.tutor.syllabus import FOLDER, Lesson, lessons_in

VERDICTS = ("agrees", "slip", "differs", "not run here")
WRITTEN = re.compile(r"# ##\s+(.+)")


@dataclass(frozen=True)
class Answer:
    """A row with our value, as it is shown; "" where there is none. part: the heading above the lesson's cell, such as "8. Experiment"."""

    number: Number
    ours: str
    part: str = ""


def answers(numbers: Iterable[Number], folder: Path = FOLDER) -> list[Answer]:
    """All rows with our values. folder: of the lessons.

    Raises
    ------
    LessonError: a row is no longer true, or a lesson no longer gives its number; the first one is named, the others are counted.
    """
    found: list[Answer] = []
    faults: list[str] = []
    for number in numbers:
        try:
            found.append(answer(number, folder))
        except LessonError as error:
            faults.append(str(error))
    if faults:
        more = f" ({len(faults) - 1} more rows are wrong)" if len(faults) > 1 else ""
        raise LessonError(faults[0] + more)
    return found


def answer(number: Number, folder: Path = FOLDER) -> Answer:
    """One row with our value. Raises LessonError where the row is no longer true."""
    try:
        return _answer(number, folder)
    except LessonError:
        raise
    except Exception as error:  # whatever the engine raises, the row has no value
        raise said(number, "our value", number.ours or number.printed, f"{type(error).__name__}: {error}") from error


def _answer(number: Number, folder: Path) -> Answer:
    part, stated = _cell(number, folder)
    values = _computed(number, stated)
    _check_verdict(number, values)
    for also in number.also:
        got = also.call.values()
        if not _rounds(got, also.words):
            raise said(number, "the sentence", f"{also.words!r} with what {also.call.text} gives", shown(got, ""))
    run = values and number.verdict != "not run here"
    own = number.ours or (shown(values, number.printed) if run else "")
    return Answer(number, own, part)


def _computed(number: Number, stated: Values) -> Values:
    """Our value: what the call gives; where there is none, what the lesson's cell says. Both agree where both are there."""
    if number.by is None:
        return stated
    values = number.by.values()
    if number.cell is not None and not _rounds(values, number.cell.sentence):
        raise said(number, "our value", f"what lesson {number.cell.lesson} says, {number.cell.sentence!r}", shown(values, number.printed))
    return values


def _check_verdict(number: Number, values: Values) -> None:
    got = shown(values, number.printed) or "none"
    if number.verdict == "agrees" and not number.holds(values):
        relation = "" if number.relation == "equal" else f"{number.relation} "
        raise said(number, "our value", f"{relation}{number.printed}, as the paper prints it", got)
    if number.verdict == "not run here":
        if not number.why:
            raise said(number, "the reason", "given where a number is not run here", "none")
        if values and not number.holds(values):
            raise said(number, "what other published numbers give", f"{number.printed} when it is rounded", got)
    if number.verdict in ("slip", "differs"):
        if number.holds(values) or not values:
            raise said(number, "our value", f"another one than {number.printed}, as the verdict is {number.verdict!r}", got)
        if not _rounds(values, number.ours):
            raise said(number, "our value", number.ours, got)
    if number.arithmetic is not None and not number.holds(made := number.arithmetic.values()):
        raise said(number, "the arithmetic of the slip", number.printed, shown(made, number.printed))


def _rounds(values: Values, words: str) -> bool:
    """Whether the first number of the words is the value, rounded as it is printed there."""
    stated = amounts(words)[:1]
    return len(values) == len(stated) == 1 and abs(values[0] - stated[0]) <= half_a_unit(words) + 1e-9


def _cell(number: Number, folder: Path) -> tuple[str, Values]:
    """The heading above the cell of a row, and the number that its sentence says; nothing where a row names no cell."""
    cell = number.cell
    if cell is None:
        return "", ()
    lesson = next((one for one in lessons_in(folder) if one.number == cell.lesson), None)
    if lesson is None:
        raise said(number, "the lesson", f"among those of {folder.name}", cell.lesson)
    headings = _sentences(lesson.path)
    if cell.sentence not in headings:
        raise said(number, "the sentence", f"said by lesson {cell.lesson}", f"no say({cell.sentence!r}, ...)")
    if cell.sentence not in _printed(lesson):
        raise said(number, "the sentence", f"printed in {lesson.notebook.name}", f"no {cell.sentence!r} there")
    return headings[cell.sentence], amounts(cell.sentence)[:1]


@cache
def _sentences(path: Path) -> dict[str, str]:
    """Each sentence that a lesson says with `say`, with the heading above it."""
    source = path.read_text("utf-8")
    headings = [(line, found[1]) for line, text in enumerate(source.splitlines(), 1) if (found := WRITTEN.fullmatch(text.rstrip()))]
    made = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
            words = node.args[0]
            if isinstance(words, ast.Constant) and isinstance(words.value, str):
                made[words.value] = next((text for line, text in reversed(headings) if line < node.lineno), "")
    return made


@cache
def _printed(lesson: Lesson) -> frozenset[str]:
    """All lines that the cells of a lesson's notebook have printed."""
    try:
        cells = json.loads(lesson.notebook.read_text("utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", ()) if output["output_type"] == "stream"]
        return frozenset("".join("".join(output["text"]) + "\n" for output in outputs).splitlines())
    except (OSError, ValueError, LookupError, TypeError) as error:
        rule = f"numbers: {lesson.notebook.name} must be the notebook of lesson {lesson.number}"
        raise LessonError(f"{rule}, got {type(error).__name__}; python -m lessons build {lesson.number}") from None


def sums(found: Sequence[Answer]) -> dict[str, int]:
    """How many rows have each verdict."""
    return {verdict: sum(one.number.verdict == verdict for one in found) for verdict in VERDICTS}

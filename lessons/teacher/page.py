"""Makes `lessons/TEACHING.md`: what the lessons and the exercises say about themselves, and what `lessons.toml` says for teachers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from lessons.book.markup import toml
from lessons.extra import LessonError
from lessons.sheet.page import of_the_image, to_fill
from tinyalex.files.atomic import write_bytes
from tinyalex.tutor.exercise import Function
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.result import POINTS
from tinyalex.tutor.syllabus import Lesson
from tinyalex.units import time_in_words

HERE = Path(__file__).parent
NAME = "TEACHING.md"
LIKELY = 3  # mistakes that the page names where nobody counted: the first ones of the exercise's list, which has the likeliest first
MOST_SEEN = 4  # counted mistakes that the page names of a lesson; all of them are in MISCONCEPTIONS.md
WRITTEN, SHEET = 2, 10  # points of a written question, and of the by-hand sheet
EXPERIMENT = "8. Experiment"
QUESTIONS = re.compile(r"Two questions to write about.*?\n\s*\n1\.\s(.*?)\n2\.\s(.*)", re.DOTALL)
OPTIONAL = re.compile(r"^# ### Optional\b.*?(?=^# ###? )", re.DOTALL | re.MULTILINE)  # a section, up to the next heading
INPUT = re.compile(r"(input changed|alias) (\w+)")


def data_of(folder: Path) -> Path:
    """What a folder of lessons says for teachers; a folder without this file has no page."""
    return folder / "teacher" / "lessons.toml"


def write_teaching(lessons: Sequence[Lesson], folder: Path) -> None:
    """Write the page into a folder of lessons that has what it needs."""
    if data_of(folder).is_file():
        write_bytes(folder / NAME, teaching(lessons, folder).encode())


def exit_questions(folder: Path) -> dict[str, tuple[str, str]]:
    """By lesson, the question of its last minutes and the answer; empty for a folder without a file for teachers."""
    if not data_of(folder).is_file():
        return {}
    return {number: (entry["exit"], entry["answer"]) for number, entry in toml(data_of(folder))["lesson"].items()}


def teaching(lessons: Sequence[Lesson], folder: Path) -> str:
    """The text of the page.

    Raises LessonError where `lessons.toml` has no entry for a lesson or one for a lesson that is not there, speaks of other questions
    than the lesson asks, or has a route that leaves out what a lesson of it needs without saying what stands in its place.
    """
    document = toml(data_of(folder))
    entries = document["lesson"]
    for number in {one.number for one in lessons} ^ set(entries):
        raise LessonError(f"{NAME}: lessons.toml must have one entry for each lesson, got a difference in lesson {number}; mend the file")
    plans = {one.number: _Plan(one, entries[one.number]) for one in lessons}
    sessions = [plan.minutes[0] + plan.minutes[2] for plan in plans.values()]
    exercises = POINTS * sum(len(one.exercises) for one in lessons)
    written = 2 * WRITTEN * len(lessons)
    return Template((HERE / "page.md").read_text("utf-8")).substitute(
        syllabus="\n".join(plan.row() for plan in plans.values()),
        total=_row("all", *(sum(plan.minutes[at] for plan in plans.values()) for at in range(3)), "", "", str(exercises)),
        details="\n\n".join(plan.details() for plan in plans.values()),
        routes="\n\n".join(_route(one, plans) for one in document["route"]),
        first=_link(lessons[0]), least=min(sessions), most=max(sessions), cells=to_fill(), image=of_the_image(), lessons=len(lessons),
        points=POINTS, exercises=exercises,
        written=written, sheet=SHEET, all=exercises + written + len(lessons) + SHEET, each=WRITTEN,
    )  # fmt: skip


class _Plan:
    """A lesson and what `lessons.toml` says about it. minutes: reading, doing, experiment."""

    def __init__(self, lesson: Lesson, entry: dict[str, Any]) -> None:
        self.lesson, self.entry = lesson, entry
        doing = sum(EXERCISES[key].minutes for key in lesson.exercises)
        experiment = 5 * round((lesson.minutes - doing) * share_of_experiment(lesson) / 5)
        self.minutes = lesson.minutes - doing - experiment, doing, experiment
        self.questions = questions_of(lesson)
        for question, rubric in zip(self.questions, entry["written"], strict=True):
            if rubric["about"] not in question:
                got = f"{rubric['about']!r}, which is not in {question[:60]!r}"
                raise LessonError(f"{NAME}: a rubric of lesson {lesson.number} must quote its question, got {got}; write a rubric for it")

    def row(self) -> str:
        """The line of the table."""
        lesson = self.lesson
        return _row(_link(lesson), *self.minutes, ", ".join(lesson.needs), ", ".join(lesson.exercises), str(POINTS * len(lesson.exercises)))

    def details(self) -> str:
        """What follows the table."""
        lesson, entry = self.lesson, self.entry
        lines = [
            f"### {lesson.number} {lesson.title}",
            f"**Before:** {entry['before']} **{lesson.goal.partition(' can ')[0]} can** {lesson.goal.partition(' can ')[2]}",
            f"**Seen in public solutions:** {_seen(lesson)}",
            f"**Exit question:** {entry['exit']} *Answer:* {entry['answer']}",
        ]
        for number, (question, rubric) in enumerate(zip(self.questions, entry["written"], strict=True), 1):
            lines.append(f"**Written {number}:** {question} *{WRITTEN} points:* {rubric['full']} *1 point:* {rubric['half']}")
        return "\n\n".join(lines)


def share_of_experiment(lesson: Lesson) -> float:
    """Which part of a lesson's text and code its experiment is, from 0 to 1. What is optional is not in the lesson's minutes, nor here."""
    parts = re.split(r"^# ## ", OPTIONAL.sub("", lesson.path.read_text("utf-8")), flags=re.MULTILINE)
    return sum(len(part) for part in parts if part.startswith(EXPERIMENT)) / sum(map(len, parts))


def questions_of(lesson: Lesson) -> tuple[str, str]:
    """The two questions to write about at the end of a lesson. Raises LessonError where it has no two."""
    lines = (line.removeprefix("#").removeprefix(" ") for line in lesson.path.read_text("utf-8").splitlines())
    found = QUESTIONS.search("\n".join(lines))
    if found is None:
        rule = 'a paragraph "Two questions to write about" and the questions 1 and 2 below it'
        raise LessonError(f"{lesson.name}: the last cell must hold {rule}, got none; write them")
    return " ".join(found[1].split()), " ".join(found[2].split("\n\n")[0].split())


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _link(lesson: Lesson) -> str:
    return f"[{lesson.number} {lesson.title}]({lesson.notebook.name})"


def _seen(lesson: Lesson) -> str:
    """The commonest mistakes of the lesson's exercises that were counted, with their counts."""
    if not lesson.exercises:
        return "this lesson has no exercise."
    counts: dict[tuple[str, tuple[int, int]], str] = {}  # ways to one mistake have one count
    known = 0
    for function in (function for key in lesson.exercises for function in EXERCISES[key].functions):
        known += len({mistake.key.partition("/")[0] for mistake in function.mistakes})
        found = [*function.seen.items(), *((one.key.partition("/")[0], one.seen) for one in function.mistakes if one.seen)]
        for key, seen in found:
            counts.setdefault((function.name, seen), _in_words(key))
    most = sorted(counts.items(), key=lambda pair: -pair[0][1][0] / pair[0][1][1])[:MOST_SEEN]
    text = "; ".join(f"`{name}`: {words}, {count} of {every}" for (name, (count, every)), words in most)
    if not most:
        functions = [EXERCISES[key].functions[0] for key in lesson.exercises]
        text = "; ".join(["not counted", *(f"likely `{one.name}`: {_likely(one)}" for one in functions)])
    return f"{text}. The tutor knows {known} mistakes here."


def _likely(function: Function) -> str:
    return ", ".join(list(dict.fromkeys(one.key.partition("/")[0] for one in function.mistakes))[:LIKELY])


def _in_words(key: str) -> str:
    return INPUT.sub(lambda found: {"input changed": f"writes into {found[2]}", "alias": f"returns {found[2]} itself"}[found[1]], key)


def _route(route: dict[str, Any], plans: dict[str, _Plan]) -> str:
    """A route: its parts with their lessons and minutes, and what stands in the place of lessons that it leaves out."""
    taken = [number for part in route["part"] for number in part["lessons"]]
    lines = [f"### {route['name']}", route["about"], "| | lessons | minutes | also |\n|---|---|--:|---|"]
    for part in route["part"]:
        minutes = sum(plans[number].lesson.minutes for number in part["lessons"])
        lines[-1] += "\n" + _row(part["name"], ", ".join(part["lessons"]), minutes, part.get("also", ""))
    lines.append(f"Together {time_in_words(60 * sum(plans[number].lesson.minutes for number in taken))}.")
    for at, number in enumerate(taken):
        if late := [need for need in plans[number].lesson.needs if need in taken[at:]]:
            raise LessonError(f"{NAME}: route {route['name']} must have lesson {late[0]} before {number}, got it after; change the order")
    missing = sorted({need for number in taken for need in plans[number].lesson.needs} - set(taken))
    for number in missing:
        if "instead" not in plans[number].entry:
            raise LessonError(f"{NAME}: lesson {number}, which route {route['name']} leaves out, must have `instead`, got none; write it")
    lines += [f"Left out, and what you say in its place: **{number}** {plans[number].entry['instead']}" for number in missing]
    return "\n\n".join(lines)

"""What came of one exercise of one student."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tinyalex.tutor.exercise import Exercise
from tinyalex.tutor.finding import Finding, catalogue, language_of

POINTS = 5  # of each exercise; its functions share them equally


@dataclass(frozen=True)
class Result:
    """What came of one exercise.

    Parameters
    ----------
    states: by function "right", "finding", "todo" (missing, or a stub), or "not looked at".
    calls: how many calls the functions were tried with. finding: the first one, None where there is none.
    seconds: how long it took.
    """

    exercise: str
    states: Mapping[str, str]
    calls: int = 0
    finding: Finding | None = None
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """ "finding"; "right" where all functions are, "begun" where some are, "todo" where none is written."""
        if self.finding is not None:
            return "finding"
        right = [state == "right" for state in self.states.values()]
        return "right" if all(right) else "begun" if any(right) else "todo"

    @property
    def points(self) -> float:
        """From 0 to POINTS."""
        return round(POINTS * sum(state == "right" for state in self.states.values()) / len(self.states), 2)

    def text(self, language: str | None = None, following: str = "") -> str:
        """What the student is told. following: what comes next where the exercise is right."""
        if self.finding is not None:
            return text_of_finding(self.finding, language)
        words = catalogue(language_of(language))
        if self.status == "todo":
            return words["check.todo"].format(exercise=self.exercise)
        right = [name for name, state in self.states.items() if state == "right"]
        left = [name for name, state in self.states.items() if state != "right"]
        return words["passed"].format(
            exercise=self.exercise, functions=", ".join(right), calls=self.calls, following=", ".join(left) or following
        )

    def document(self) -> dict[str, Any]:
        """The result as JSON has it, with its message in English."""
        finding = None if self.finding is None else asdict(self.finding) | {"numbers": plain(self.finding.numbers)}
        return {
            "exercise": self.exercise,
            "status": self.status,
            "passed": self.status == "right",
            "points": self.points,
            "max": POINTS,
            "functions": dict(self.states),
            "finding": finding,
            "message": self.text("en"),
            "calls": self.calls,
            "seconds": self.seconds,
        }


def not_written(exercise: Exercise) -> Result:
    """The result of an exercise of which nothing is written."""
    return Result(exercise.key, {function.name: "todo" for function in exercise.functions})


def result_of(document: Mapping[str, Any]) -> Result:
    """A result from what `document` made of it."""
    finding = document["finding"]
    if finding is not None:
        pairs = {key: None if finding[key] is None else tuple(finding[key]) for key in ("seen", "agree")}
        finding = Finding(**finding | pairs)
    return Result(document["exercise"], document["functions"], document["calls"], finding, document["seconds"])


def text_of_finding(finding: Finding, language: str | None = None) -> str:
    """The message of a finding; one about the file or the process has no hint and no call to repeat."""
    if finding.layer != "file":
        return finding.text(language)
    return catalogue(language_of(language))[finding.key].format(**finding.numbers)


def plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What a sentence names, as JSON can hold it."""
    return {key: value if isinstance(value, (int, float, str)) else str(value) for key, value in numbers.items()}

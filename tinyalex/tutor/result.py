"""What came of one exercise of one student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyalex.tutor.exercise import Exercise
from tinyalex.tutor.finding import Finding, catalogue, filled, language_of, passed

POINTS = 5  # of each exercise; its functions share them equally


@dataclass(frozen=True)
class Result:
    """What came of one exercise.

    Parameters
    ----------
    states: by function "right", "finding", "todo" (missing, or a stub), or "not looked at".
    calls: how many calls the right functions were tried with. findings: at most one a function, in order.
    seconds: how long it took.
    """

    exercise: str
    states: Mapping[str, str]
    calls: int = 0
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    @property
    def finding(self) -> Finding | None:
        """The first one, None where there is none."""
        return self.findings[0] if self.findings else None

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

    def text(self, language: str | None = None, following: str = "", command: str = "") -> str:
        """What the student is told. following: what comes next where the exercise is right. command: see `Finding.text`."""
        if self.finding is not None:
            return text_of_finding(self.finding, language, command)
        if self.status == "todo":
            return catalogue(language_of(language))["check.todo"].format(exercise=self.exercise)
        right = [name for name, state in self.states.items() if state == "right"]
        left = [name for name, state in self.states.items() if state != "right"]
        return passed(language, self.exercise, right, self.calls, ", ".join(left) or following)

    def document(self, language: str | None = "en") -> dict[str, Any]:
        """The result as JSON has it, with its message in that language."""
        return {
            "exercise": self.exercise,
            "status": self.status,
            "passed": self.status == "right",
            "points": self.points,
            "max": POINTS,
            "functions": dict(self.states),
            "findings": [asdict(finding) | {"numbers": plain(finding.numbers)} for finding in self.findings],
            "message": self.text(language),
            "calls": self.calls,
            "seconds": self.seconds,
        }


def not_written(exercise: Exercise) -> Result:
    """The result of an exercise of which nothing is written."""
    return Result(exercise.key, {function.name: "todo" for function in exercise.functions})


def result_of(document: Mapping[str, Any]) -> Result:
    """A result from what `document` made of it."""
    findings = tuple(Finding(**(_tuples(one) | {"numbers": one["numbers"]})) for one in document["findings"])
    return Result(document["exercise"], document["functions"], document["calls"], findings, document["seconds"])


def _tuples(value: Any) -> Any:
    """What JSON made a list of, as a tuple again."""
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def problem_of(results: Sequence[Result]) -> Finding | None:
    """What is wrong with the file as a whole, as nothing of it could be run; None where something could."""
    first = [result.finding for result in results if result.status != "todo"]
    whole = [finding for finding in first if finding is not None and finding.layer == "file" and not finding.function]
    return whole[0] if whole and len(whole) == len(first) and whole[0].key in ("submission.import", "submission.import_endless") else None


def text_of_finding(finding: Finding, language: str | None = None, command: str = "") -> str:
    """The message of a finding; one about the file or the process has no hint and no call to repeat."""
    if finding.layer != "file":
        return finding.text(language, command)
    return filled(catalogue(language_of(language)), finding.key, finding.numbers)


def repeated(words: Mapping[str, str], file: str, finding: Finding) -> str:
    """The line of Python that makes the call of a finding again. file: the student's."""
    name = Path(file)
    if name.suffix != ".py" or not name.stem.isidentifier():
        return words["check.replay_notebook"].format(replay=finding.replayed(finding.function))
    return words["check.replay"].format(module=name.stem, replay=finding.replayed(f"{name.stem}.{finding.function}"))


def plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What a sentence names, as JSON can hold it."""
    return {key: value if isinstance(value, (int, float, str)) else str(value) for key, value in numbers.items()}

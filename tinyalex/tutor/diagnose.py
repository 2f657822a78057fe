"""The second and third layer: whose numbers are these? If nobody's, where does the difference live?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import close
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe, after_call, slug
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import call
from tinyalex.tutor.transforms import TRANSFORMS

Outputs = tuple[Any, ...]


class Diagnosis:
    """The student's answers to all calls beside the right ones.

    Parameters
    ----------
    probes: at least two independent draws of every call, so that a match by chance is out of the question.
    answers: what the student's function returned for each of them.
    """

    def __init__(
        self, exercise: Exercise, function: Function, student: Callable[..., Any], probes: Sequence[Probe], answers: Sequence[Outputs]
    ) -> None:
        self.exercise, self.function, self.student = exercise, function, student
        self.probes, self.answers = probes, answers
        self.right = [compute(function, function.right, probe) for probe in probes]

    def finding(self, otherwise: Finding | None = None) -> Finding | None:
        """What is wrong with the first output that is; None where all agree.

        otherwise: what to say in place of a symptom where no mistake has these numbers.
        """
        for number, output in enumerate((*self.function.returns, *self.function.changes)):
            agree = [self._agrees(at, number) for at in range(len(self.probes))]
            if not all(agree):
                return self._named(number, output, agree) or otherwise or self._symptom(number, output, agree)
        return otherwise

    def _agrees(self, at: int, number: int) -> bool:
        right = self.right[at]
        assert right is not None
        return close(self.answers[at][number], right[number])

    def _named(self, number: int, output: str, agree: list[bool]) -> Finding | None:
        """The mistake whose numbers the student's are, alone or after a transform, in all calls."""
        if len(self.function.returns) > 1:  # a mistake that explains all outputs comes before one that explains this one alone
            for known in filter(self._explains_all, self.function.mistakes):
                return self._found(f"{self.exercise.key}.{slug(known.key)}", "mistake", number, output, agree, known.seen)
        for mistake, transform, outputs in self._candidates():
            within = mistake.within if mistake else 1e-9
            made = (self._transformed(transform, outputs[at], number, at) for at in range(len(outputs)))
            if all(matches(self.answers[at][number], value, within) for at, value in enumerate(made)):
                shows = mistake is not None and not (transform and self._agree_there(outputs, number, agree.index(False)))
                key = f"{self.exercise.key}.{slug(mistake.key)}" if mistake and shows else f"transform.{slug(transform)}"
                return self._found(key, "mistake", number, output, agree, mistake.seen if mistake and shows else None)
        return None

    def _agree_there(self, outputs: list[Outputs | None], number: int, at: int) -> bool:
        """Whether a mistake does not show in that call: then it is the transform that shows."""
        return matches(pick(outputs[at], number), pick(self.right[at], number))

    def _explains_all(self, mistake: Mistake) -> bool:
        """Whether all outputs of all calls are those of this mistake."""
        for probe, answer in zip(self.probes, self.answers, strict=True):
            made = compute(self.function, mistake.compute, probe)
            if made is None or len(made) != len(answer) or not all(map(matches, answer, made, [mistake.within] * len(made))):
                return False
        return True

    def _candidates(self) -> Iterator[tuple[Mistake | None, str, list[Outputs | None]]]:
        """Every mistake, every transform of the right answer, every transform of a mistake: with what each leaves in every call."""
        made = [(mistake, [compute(self.function, mistake.compute, probe) for probe in self.probes]) for mistake in self.function.mistakes]
        yield from ((mistake, "", outputs) for mistake, outputs in made)
        yield from ((None, name, self.right) for name in TRANSFORMS)
        yield from ((mistake, name, outputs) for mistake, outputs in made for name in TRANSFORMS)

    def _transformed(self, transform: str, outputs: Outputs | None, number: int, at: int) -> Any:
        value = pick(outputs, number)
        if value is None or not transform:
            return value
        if np.ndim(value) == 0 and outputs is not self.right[at] and transform not in ("times N", "over N", "sign"):
            return None  # half of a wrong number is too little to know a mistake by
        first = next((a for a in self.probes[at].arguments.values() if isinstance(a, np.ndarray)), np.zeros(1))
        try:
            return TRANSFORMS[transform](np.asarray(value), len(first))
        except ValueError:  # no such axis
            return None

    def _symptom(self, number: int, output: str, agree: list[bool]) -> Finding:
        """What can be said where no known mistake gives these numbers."""
        at = agree.index(False)
        yours, right = np.asarray(self.answers[at][number]), np.asarray(pick(self.right[at], number))
        key, numbers = symptom_of(yours, right, any(agree))
        if right.ndim == 0 and not any(agree):
            ratios = [np.asarray(answer[number]) / pick(mine, number) for answer, mine in zip(self.answers, self.right, strict=True)]
            if np.ptp(ratios) <= 1e-7 * abs(ratios[0]):
                key, numbers = "factor", {"factor": digits(float(ratios[0]))}
        if key == "elsewhere" and not self._linear(at, number):
            key = "not linear"
        return self._found(f"symptom.{slug(key)}", "symptom", number, output, agree, None, **numbers)

    def _linear(self, at: int, number: int) -> bool:
        """Whether the output doubles where the parameters in which the function is linear double."""
        if not self.function.linear:
            return True
        arguments = copy.deepcopy(dict(self.probes[at].arguments))
        for key in self.function.linear:
            arguments[key] = 2 * arguments[key]
        outcome = call(self.student, arguments)
        left = after_call(self.function, outcome.value, arguments)
        return outcome.error is None and close(pick(left, number), 2 * np.asarray(self.answers[at][number]))

    def _found(self, key: str, layer: str, number: int, output: str, agree: list[bool], seen: Any, **numbers: Any) -> Finding:
        at = agree.index(False)
        yours, right = np.asarray(self.answers[at][number]), np.asarray(pick(self.right[at], number))
        shown: dict[str, Any] = {"output": output, "probe": self.probes[at].says}
        if yours.shape == right.shape:
            off = np.abs(yours - right) if right.dtype.kind == "f" else (yours != right)
            where = tuple(map(int, np.unravel_index(int(np.nanargmax(np.where(np.isnan(off), np.inf, off))), right.shape)))
            shown |= {"at": f"{output}[{', '.join(map(str, where))}]" if where else output,
                      "yours": digits(float(yours[where])), "right": digits(float(right[where]))}  # fmt: skip
        else:
            shown |= {"at": output, "yours": f"shape {yours.shape}", "right": f"shape {right.shape}"}
        return Finding(
            key, self.exercise.key, self.function.name, layer, self.probes[at].key, shown | numbers, seen, (sum(agree), len(agree))
        )


def compute(function: Function, way: Callable[..., Any], probe: Probe) -> Outputs | None:
    """What our own way leaves behind after a call; None where a mistake cannot be made there, as its arrays would not fit."""
    arguments = copy.deepcopy(dict(probe.arguments))
    try:
        with np.errstate(all="ignore"):
            return after_call(function, way(**arguments), arguments)
    except (ValueError, IndexError, TypeError, ZeroDivisionError):
        return None


def matches(yours: Any, value: Any, within: float = 1e-9) -> bool:
    """Whether these are the same numbers up to rounding, NaN and infinity included."""
    if value is None or np.shape(yours) != np.shape(value):
        return False
    yours, value = np.asarray(yours), np.asarray(value)
    finite = np.isfinite(value)
    if finite.all():
        return close(yours, value, within)
    special = np.array_equal(np.isnan(yours), np.isnan(value)) and np.array_equal(yours[np.isinf(yours)], value[np.isinf(value)])
    return special and close(yours[finite], value[finite], within)


def digits(value: float) -> str:
    """A number as a message shows it: six digits, or all of an integer."""
    return f"{value:.0f}" if value.is_integer() and 1e6 <= abs(value) < 1e15 else f"{value:.6g}"


def pick(outputs: Outputs | None, number: int) -> Any:
    """One of the outputs, None where there are none."""
    return None if outputs is None or number >= len(outputs) else outputs[number]


def symptom_of(yours: Any, right: Any, sometimes: bool) -> tuple[str, Mapping[str, Any]]:
    """Where two arrays of one shape differ, as the key of a sentence and its numbers."""
    off = ~np.isclose(yours, right, rtol=1e-9, atol=1e-12 * max(1e-300, float(np.abs(right).max())))
    if right.size == 1:
        return ("one number sometimes" if sometimes else "one number"), {}
    share = float(off.mean())
    numbers = {"share": f"{100 * share:.3g} %"}
    nonzero = np.abs(right) > 0
    ratios = yours[nonzero] / right[nonzero]
    if ratios.size and np.allclose(ratios, ratios.flat[0], rtol=1e-7) and not yours[~nonzero].any():
        return "factor", {**numbers, "factor": f"{float(ratios.flat[0]):.6g}"}
    for axis, name in ((0, "image"), (1, "channel"), (yours.ndim - 2, "line"), (yours.ndim - 1, "column")):
        if 0 <= axis < yours.ndim and yours.shape[axis] > 1:
            lines = np.moveaxis(off, axis, 0).reshape(yours.shape[axis], -1).any(1)
            if lines.sum() == 1:
                return "one of an axis", {**numbers, "axis": name, "which": int(np.flatnonzero(lines)[0]), "of": yours.shape[axis]}
    if yours.ndim >= 4 and not off[..., 1:-1, 1:-1].any():
        return "edges", numbers
    if np.isclose(yours.sum(), right.sum(), rtol=1e-9):
        return "sum kept", numbers
    return ("sometimes" if sometimes else "elsewhere"), numbers

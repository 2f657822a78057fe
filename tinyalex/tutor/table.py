"""The student's answers to all calls beside the right ones, and beside those of any known mistake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import close
from tinyalex.tutor.contract import alike
from tinyalex.tutor.exercise import Function, Mistake, Probe
from tinyalex.tutor.outputs import Outputs, compute, matches, pick
from tinyalex.tutor.transforms import TRANSFORMS


class Table:
    """The answers of one function.

    Parameters
    ----------
    probes: at least two independent draws of every call, so that a match by chance is out of the question.
    answers: what the student's function left behind in each of them, the error in place of each output where it raised.
    """

    def __init__(self, function: Function, probes: Sequence[Probe], answers: Sequence[Outputs]) -> None:
        self.function, self.probes, self.answers = function, probes, answers
        self.outputs = (*function.returns, *function.changes)
        self.right = [compute(function, function.right, probe) for probe in probes]
        self._mistaken: dict[tuple[str, int], Outputs | Exception] = {}

    @cached_property
    def agree(self) -> list[list[bool]]:
        """For each output, whether it is right in each call."""
        return [[close(answer[number], pick(right, number)) for answer, right in zip(self.answers, self.right, strict=True)]
                for number in range(len(self.outputs))]  # fmt: skip

    @cached_property
    def stopped(self) -> list[int]:
        """The calls that ended in an error."""
        return [at for at, answer in enumerate(self.answers) if answer and isinstance(answer[0], Exception)]

    def differ(self, number: int) -> list[int]:
        """The calls in which an output is not right."""
        return [at for at, agrees in enumerate(self.agree[number]) if not agrees]

    def order(self, number: int) -> list[int]:
        """The calls, those first that rule a mistake out the soonest."""
        return sorted(range(len(self.probes)), key=lambda at: (self.agree[number][at], np.size(pick(self.right[at], number))))

    def made(self, mistake: Mistake | None, at: int) -> Outputs | Exception:
        """What a mistake leaves in a call, the right answer without one. Computed when it is first asked for."""
        if mistake is None:
            return self.right[at]
        if (mistake.key, at) not in self._mistaken:
            self._mistaken[mistake.key, at] = compute(self.function, mistake.compute, self.probes[at])
        return self._mistaken[mistake.key, at]

    def hits(self, mistake: Mistake | None, transform: str, number: int, at: int) -> bool:
        """Whether the student's output in a call is that of a mistake after a transform; both may have failed there."""
        if mistake is not None and mistake.shows not in ("", self.outputs[number]):
            return False
        made = self._transformed(transform, self.made(mistake, at), number, at)
        return matches(self.answers[at][number], made, mistake.within if mistake else 1e-9)

    def explains(self, mistake: Mistake | None, transform: str, number: int) -> bool:
        """Whether an output is that of a mistake after a transform in all calls."""
        return all(self.hits(mistake, transform, number, at) for at in self.order(number))

    def explains_all(self, mistake: Mistake) -> bool:
        """Whether all outputs of all calls are those of this mistake."""
        for at, answer in enumerate(self.answers):
            made = self.made(mistake, at)
            made = (made,) * len(answer) if isinstance(made, Exception) else made
            if len(made) != len(answer) or not all(map(matches, answer, made, [mistake.within] * len(made))):
                return False
        return True

    def beyond(self, mistake: Mistake | None) -> tuple[str, ...]:
        """The outputs that are not right in a call in which this mistake leaves them right: something else is the matter with them."""
        return tuple(
            name for number, name in enumerate(self.outputs)
            if any(at not in self.stopped and matches(pick(self.made(mistake, at), number), pick(self.right[at], number))
                   for at in self.differ(number))
        )  # fmt: skip

    def stops_alike(self, mistake: Mistake, at: int) -> bool:
        """Whether a mistake ends a call with the error that ended the student's."""
        ended, made = self.answers[at][0], self.made(mistake, at)
        return isinstance(ended, Exception) and isinstance(made, Exception) and alike(ended, made)

    def right_where(self, mistake: Mistake, calls: Iterator[int] | Sequence[int]) -> bool:
        """Whether a mistake does not show in these calls."""
        outputs = range(len(self.outputs))
        return all(matches(pick(self.made(mistake, at), number), pick(self.right[at], number)) for at in calls for number in outputs)

    def _transformed(self, transform: str, outputs: Outputs | Exception, number: int, at: int) -> Any:
        value = pick(outputs, number)
        if value is None or isinstance(value, Exception) or not transform:
            return value
        if np.ndim(value) == 0 and outputs is not self.right[at] and transform not in ("times N", "over N", "sign"):
            return None  # half of a wrong number is too little to know a mistake by
        first = next((a for a in self.probes[at].arguments.values() if isinstance(a, np.ndarray)), np.zeros(1))
        try:
            with np.errstate(all="ignore"):  # a mistake may have left infinity
                return TRANSFORMS[transform](np.asarray(value), len(first))
        except ValueError:  # no such axis, or nothing along it
            return None
        except IndexError as error:
            return error

    def candidates(self) -> Iterator[tuple[Mistake | None, str]]:
        """Every mistake, every transform of the right answer."""
        yield from ((mistake, "") for mistake in self.function.mistakes)
        yield from ((None, name) for name in TRANSFORMS)

    def transformed_mistakes(self) -> Iterator[tuple[Mistake | None, str]]:
        """Every transform of every mistake."""
        yield from ((mistake, name) for mistake in self.function.mistakes for name in TRANSFORMS)

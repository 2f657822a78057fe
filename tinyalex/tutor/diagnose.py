"""The second and third layer: whose numbers are these? If nobody's, where does the difference live?"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import close
from tinyalex.tutor.contract import same_error, without_front_axes
from tinyalex.tutor.exercise import Arguments, Exercise, Function, Mistake, Probe, after_call, slug
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import call
from tinyalex.tutor.other_arguments import first_that_explains
from tinyalex.tutor.outputs import Outputs, compute, matches, pick
from tinyalex.tutor.own_forward import follows
from tinyalex.tutor.symptoms import LISTED, digits, element, symptom_of, two_apart
from tinyalex.tutor.transforms import TRANSFORMS

OWN_FORWARD = 4  # calls in which a backward pass is held beside the student's own forward pass: each takes some 20 calls of that


class Diagnosis:
    """The student's answers to all calls beside the right ones.

    Parameters
    ----------
    probes: at least two independent draws of every call, so that a match by chance is out of the question.
    answers: what the student's function returned for each of them.
    forward: the student's own forward pass, where the function is a backward pass and there is one.
    """

    def __init__(
        self, exercise: Exercise, function: Function, student: Callable[..., Any], probes: Sequence[Probe], answers: Sequence[Outputs],
        forward: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.forward = forward
        self.exercise, self.function, self.student = exercise, function, student
        self.probes, self.answers = probes, answers
        self.right = [compute(function, function.right, probe) for probe in probes]
        self._mistaken: dict[tuple[str, int], Outputs | Exception] = {}

    def finding(self, otherwise: Finding | None = None) -> Finding | None:
        """What is wrong with the first output that is; None where all agree.

        otherwise: what to say in place of a symptom where no mistake has these numbers.
        """
        for number, output in enumerate((*self.function.returns, *self.function.changes)):
            agree = [self._agrees(at, number) for at in range(len(self.probes))]
            if not all(agree):
                return (
                    self._of_own_forward(number, output, agree) or self._named(number, output, agree) or self._of_errors(otherwise)
                    or self._symptom(number, output, agree)
                )  # fmt: skip
        return otherwise

    def _of_own_forward(self, number: int, output: str, agree: list[bool]) -> Finding | None:
        """A wrong gradient that is the derivative of the student's own forward pass: then that one is not right."""
        link = self.function.forward
        if link is None or self.forward is None or output not in link.of:
            return None
        differ = [probe for probe, agrees in zip(self.probes, agree, strict=True) if not agrees][:OWN_FORWARD]
        if not follows(self.function, self.student, self.forward, differ):
            return None
        key = "symptom.own_forward"
        return self._found(key, "symptom", number, output, agree, None, forward=link.function, other=link.exercise)

    def _of_errors(self, otherwise: Finding | None) -> Finding | None:
        """Where an error has led to a mistake, the one that makes the same errors in all calls: in a single call others may do so too."""
        if otherwise is None or otherwise.layer != "mistake":
            return otherwise
        for mistake in self.function.mistakes:
            if all(self._same_end(mistake, at) for at in range(len(self.probes))):
                numbers = {**otherwise.numbers, **mistake.words}
                return replace(otherwise, key=f"{self.exercise.key}.{slug(mistake.key)}", seen=mistake.seen, numbers=numbers)
        return otherwise

    def _same_end(self, mistake: Mistake, at: int) -> bool:
        """Whether a mistake ends a call as the student's function did, with the same error or with none."""
        ended = self.answers[at][0]
        if isinstance(ended, Exception):
            return same_error(ended, mistake.compute, self.probes[at], without_front_axes)
        return not isinstance(self._made(mistake, at), Exception)

    def _agrees(self, at: int, number: int) -> bool:
        right = self.right[at]
        assert isinstance(right, tuple)
        return close(self.answers[at][number], right[number])

    def _named(self, number: int, output: str, agree: list[bool]) -> Finding | None:
        """The mistake whose numbers the student's are: in all calls, or, where there are two mistakes, in those that show one alone."""
        if all(isinstance(answer[number], Exception) for answer in self.answers):
            return None
        if len(self.function.returns) > 1:  # a mistake that explains all outputs comes before one that explains this one alone
            for known in filter(self._explains_all, self.function.mistakes):
                return self._called(known, "", number, output, agree, agree.index(False))
        order = sorted(range(len(agree)), key=lambda at: (agree[at], np.size(pick(self.right[at], number))))  # the soonest to rule out
        for mistake, transform in self._candidates():
            if all(self._hits(mistake, transform, number, at) for at in order):
                return self._called(mistake, transform, number, output, agree, agree.index(False))
        if found := self._of_other_arguments(number, output, agree, order):
            return found
        for mistake, transform in self._transformed_mistakes():
            if all(self._hits(mistake, transform, number, at) for at in order):
                return self._called(mistake, transform, number, output, agree, agree.index(False))
        return (
            self._together(number, output, agree, order) or self._in_some_calls(number, output, agree)
            or self._in_turn(number, output, agree)
        )  # fmt: skip

    def _of_other_arguments(self, number: int, output: str, agree: list[bool], order: list[int]) -> Finding | None:
        """The right answer to a call in which one argument is another."""

        def agrees(at: int, arguments: Arguments) -> bool:
            made = pick(compute(self.function, self.function.right, replace(self.probes[at], arguments=arguments)), number)
            return matches(self.answers[at][number], made)

        found = first_that_explains(self.function, self.probes, order, agrees)
        if found is None:
            return None
        argument, taken_for = found
        if taken_for in TRANSFORMS:
            return self._found("argument.changed", "mistake", number, output, agree, None, argument=argument, how=slug(taken_for))
        return self._found("argument.other", "mistake", number, output, agree, None, argument=argument, taken_for=taken_for)

    def _together(self, number: int, output: str, agree: list[bool], order: list[int]) -> Finding | None:
        """Of two mistakes at once, one of which comes down to other arguments, the likelier."""
        mistakes = self.function.mistakes
        for one, other in ((one, other) for one in mistakes if one.given for other in mistakes if other is not one):

            def hits(at: int, one: Mistake = one, other: Mistake = other) -> bool:
                assert one.given is not None
                probe = self.probes[at]
                changed = replace(probe, arguments={**probe.arguments, **one.given(**copy.deepcopy(dict(probe.arguments)))})
                return matches(self.answers[at][number], pick(compute(self.function, other.compute, changed), number), other.within)

            if all(hits(at) for at in order) and not all(self._hits(other, "", number, at) for at in order):
                likelier = min(one, other, key=mistakes.index)
                return replace(self._called(likelier, "", number, output, agree, agree.index(False)), beside="second")
        return None

    def _in_some_calls(self, number: int, output: str, agree: list[bool]) -> Finding | None:
        """Of two mistakes at once the one that shows alone in most calls, where these are at least two of different kinds.

        Where all other calls that differ end in an error, one kind of call is enough for a known mistake.
        """
        calls: dict[str, list[int]] = {}  # the wrong ones, by the key of their probe
        for at, probe in enumerate(self.probes):
            if not agree[at] and not isinstance(self.answers[at][number], Exception):
                calls.setdefault(probe.key, []).append(at)
        most: tuple[int, Mistake | None, str, int] | None = None
        known = len(calls) == 1 and any(isinstance(answer[number], Exception) for answer in self.answers)  # no other call speaks against it
        for mistake, transform in (*self._candidates(), *self._transformed_mistakes()):
            shows = [ats for ats in calls.values() if all(self._hits(mistake, transform, number, at) for at in ats)]
            if len(shows) > (most[0] if most else 0 if known and mistake is not None and not transform else 1):
                most = len(shows), mistake, transform, shows[0][0]
        return replace(self._called(most[1], most[2], number, output, agree, most[3]), beside="others") if most else None

    def _in_turn(self, number: int, output: str, agree: list[bool]) -> Finding | None:
        """Two mistakes of which some make a call fail: where one alone shows, the answer is its own; where both do, it is not right.

        Where calls fail no numbers can tell two mistakes from one; but each call that one of them alone explains speaks for it.
        """
        failed = np.array([isinstance(answer[number], Exception) for answer in self.answers])
        if not failed.any():
            return None
        calls, right = range(len(agree)), np.array(agree)
        shows = []  # of each mistake: where it is right, where the student's answer is its own, where it fails
        for mistake in self.function.mistakes:
            made = [pick(self._made(mistake, at), number) for at in calls]
            fits = np.array([matches(made[at], pick(self.right[at], number)) for at in calls])
            shows.append((mistake, fits, np.array([matches(self.answers[at][number], made[at], mistake.within) for at in calls]),
                          np.array([isinstance(value, Exception) for value in made])))  # fmt: skip
        for (a, fits_a, hits_a, fails_a), (b, fits_b, hits_b, fails_b) in itertools.combinations(shows, 2):
            a_alone, b_alone, both = ~fits_a & fits_b, fits_a & ~fits_b, ~fits_a & ~fits_b
            by_both = both & ((fails_a | fails_b) == failed) & ~right
            explained = (fits_a & fits_b & right) | (a_alone & hits_a) | (b_alone & hits_b) | by_both
            if explained.all() and a_alone.any() and b_alone.any():
                at = agree.index(False)
                first = b if b_alone[at] else a
                return replace(self._called(first, "", number, output, agree, at), beside="second")
        return None

    def _hits(self, mistake: Mistake | None, transform: str, number: int, at: int) -> bool:
        """Whether the student's output in a call is that of a mistake after a transform; both may have failed there."""
        made = self._transformed(transform, self._made(mistake, at), number, at)
        return matches(self.answers[at][number], made, mistake.within if mistake else 1e-9)

    def _called(self, mistake: Mistake | None, transform: str, number: int, output: str, agree: list[bool], at: int) -> Finding:
        """The finding of a mistake, or of a transform where that alone makes the difference in the call."""
        alone = transform and matches(pick(self._made(mistake, at), number), pick(self.right[at], number))
        if mistake is None or alone:
            return self._found(f"transform.{slug(transform)}", "mistake", number, output, agree, None)
        return self._found(f"{self.exercise.key}.{slug(mistake.key)}", "mistake", number, output, agree, mistake.seen, at, **mistake.words)

    def _explains_all(self, mistake: Mistake) -> bool:
        """Whether all outputs of all calls are those of this mistake."""
        for at, answer in enumerate(self.answers):
            made = self._made(mistake, at)
            made = (made,) * len(answer) if isinstance(made, Exception) else made
            if len(made) != len(answer) or not all(map(matches, answer, made, [mistake.within] * len(made))):
                return False
        return True

    def _candidates(self) -> Iterator[tuple[Mistake | None, str]]:
        """Every mistake, every transform of the right answer."""
        yield from ((mistake, "") for mistake in self.function.mistakes)
        yield from ((None, name) for name in TRANSFORMS)

    def _transformed_mistakes(self) -> Iterator[tuple[Mistake | None, str]]:
        """Every transform of every mistake."""
        yield from ((mistake, name) for mistake in self.function.mistakes for name in TRANSFORMS)

    def _made(self, mistake: Mistake | None, at: int) -> Outputs | Exception:
        """What a mistake leaves in a call, the right answer without one. Computed when it is first asked for."""
        if mistake is None:
            return self.right[at]
        if (mistake.key, at) not in self._mistaken:
            self._mistaken[mistake.key, at] = compute(self.function, mistake.compute, self.probes[at])
        return self._mistaken[mistake.key, at]

    def _transformed(self, transform: str, outputs: Outputs | Exception, number: int, at: int) -> Any:
        value = pick(outputs, number)
        if value is None or isinstance(value, Exception) or not transform:
            return value
        if np.ndim(value) == 0 and outputs is not self.right[at] and transform not in ("times N", "over N", "sign"):
            return None  # half of a wrong number is too little to know a mistake by
        first = next((a for a in self.probes[at].arguments.values() if isinstance(a, np.ndarray)), np.zeros(1))
        try:
            return TRANSFORMS[transform](np.asarray(value), len(first))
        except ValueError:  # no such axis, or nothing along it
            return None
        except IndexError as error:
            return error

    def _symptom(self, number: int, output: str, agree: list[bool]) -> Finding:
        """What can be said where no known mistake gives these numbers."""
        at = agree.index(False)
        yours, right = np.asarray(self.answers[at][number]), np.asarray(pick(self.right[at], number))
        is_list = not isinstance(pick(self.right[at], number), np.ndarray)
        key, numbers = symptom_of(yours, right, 2 * sum(agree) > len(agree), output, is_list)
        if right.ndim == 0 and not any(agree):
            ratios = [np.asarray(answer[number]) / pick(mine, number) for answer, mine in zip(self.answers, self.right, strict=True)]
            if np.ptp(ratios) <= 1e-7 * abs(ratios[0]):
                key, numbers = "factor", {"factor": digits(float(ratios[0]))}
        if key == "elsewhere" and (scaled := self._where_douts_double(at, number)) is not None:
            if close(scaled, self.answers[at][number]):
                key = "unused"
            elif not close(scaled, 2 * np.asarray(self.answers[at][number])):
                key = "not linear"
        found = self._found(f"symptom.{slug(key)}", "symptom", number, output, agree, None, **numbers)
        return replace(found, others=self._others(number), right_calls=self._right_calls(agree))

    def _others(self, number: int) -> tuple[str, ...]:
        """The outputs that are right in all calls."""
        names = (*self.function.returns, *self.function.changes)
        return tuple(
            name for other, name in enumerate(names) if other != number and all(self._agrees(at, other) for at in range(len(self.probes)))
        )

    def _right_calls(self, agree: list[bool]) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
        """The calls that are right in every draw, where these are few and less than half: key, description and call."""
        wrong = {probe.key for probe, agrees in zip(self.probes, agree, strict=True) if not agrees}
        right = {probe.key: probe for probe in self.probes if probe.key not in wrong}
        few = 0 < len(right) <= min(LISTED, len(wrong))
        return tuple((probe.key, probe.described, probe.call) for probe in right.values()) if few else ()

    def _where_douts_double(self, at: int, number: int) -> Any:
        """The student's output where the parameters in which the function is linear double; None where there are none."""
        if not self.function.linear:
            return None
        arguments = copy.deepcopy(dict(self.probes[at].arguments))
        for key in self.function.linear:
            arguments[key] = 2 * arguments[key]
        outcome = call(self.student, arguments)
        left = after_call(self.function, outcome.value, arguments)
        return np.nan if outcome.error is not None else pick(left, number)

    def _found(
        self, key: str, layer: str, number: int, output: str, agree: list[bool], seen: Any, at: int | None = None, **numbers: Any
    ) -> Finding:
        differ = [other for other in range(len(agree)) if not agree[other]]
        if at is None or isinstance(self.answers[at][number], Exception):
            at = next((other for other in differ if not isinstance(self.answers[other][number], Exception)), differ[0])
        answer = self.answers[at][number]
        yours, right = np.asarray(answer), np.asarray(pick(self.right[at], number))
        shown: dict[str, Any] = {"output": output, "probe": self.probes[at].described}
        if isinstance(answer, Exception):
            shown |= {"at": f"{output}.shape", "yours": f"<{type(answer).__name__}: {answer}>"[:200], "right": str(right.shape)}
        elif yours.shape == right.shape:
            off = np.abs(yours - right) if right.dtype.kind == "f" else (yours != right)
            where = tuple(map(int, np.unravel_index(int(np.nanargmax(np.where(np.isnan(off), np.inf, off))), right.shape)))
            shown |= {"at": element(output, where, not isinstance(pick(self.right[at], number), np.ndarray)),
                      **dict(zip(("yours", "right"), two_apart(float(yours[where]), float(right[where])), strict=True))}  # fmt: skip
        else:
            shown |= {"at": f"{output}.shape", "yours": str(yours.shape), "right": str(right.shape)}
        outputs = range(len(self.function.returns) + len(self.function.changes))
        whole = sum(all(self._agrees(call, one) for one in outputs) for call in range(len(agree)))  # a call is right if all outputs are
        return Finding(
            key, self.exercise.key, self.function.name, layer, self.probes[at].key, shown | numbers, seen, (whole, len(agree)),
            call=self.probes[at].call,
        )  # fmt: skip

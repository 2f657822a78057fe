"""The second and third layer: whose numbers are these? If nobody's, where does the difference live?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import close
from tinyalex.tutor.exercise import Arguments, Exercise, Function, Probe, after_call, slug
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import call
from tinyalex.tutor.other_arguments import first_that_explains
from tinyalex.tutor.outputs import Outputs, compute, matches, pick
from tinyalex.tutor.own_forward import follows, right_behind
from tinyalex.tutor.sizes import constant_ratio, expression, sizes_of
from tinyalex.tutor.symptoms import LISTED, Seen, element, symptom_of, two_apart
from tinyalex.tutor.table import Table
from tinyalex.tutor.transforms import TRANSFORMS
from tinyalex.tutor.two_mistakes import Named, by_errors, in_some_calls, in_turn, together

OWN_FORWARD = 4  # calls in which a backward pass is held beside the student's own forward pass: each takes some 20 calls of that
SAYS_LITTLE = ("elsewhere", "sometimes", "one number", "one number sometimes", "sum kept")  # another output may show more


class Diagnosis:
    """What is wrong with the answers of a student's function.

    Parameters
    ----------
    probes, answers: see `Table`.
    kinds: what the contract says of each call, None where nothing.
    forward: the student's own forward pass, where the function is a backward pass and there is one.
    """

    def __init__(
        self, exercise: Exercise, function: Function, student: Callable[..., Any], probes: Sequence[Probe], answers: Sequence[Outputs],
        kinds: Sequence[Finding | None], forward: Callable[..., Any] | None = None,
    ) -> None:  # fmt: skip
        self.exercise, self.function, self.student, self.forward = exercise, function, student, forward
        self.kinds, self.table = kinds, Table(function, probes, answers)
        self.probes, self.answers, self.right, self.agree = probes, answers, self.table.right, self.table.agree

    def finding(self, kind: Finding | None = None) -> Finding | None:
        """The first thing to say: a mistake by its name, else what the contract says, `kind`, else a symptom; None where all agree."""
        wrong = [number for number in range(len(self.table.outputs)) if not all(self.agree[number])]
        if not wrong:
            return kind
        return (
            self._of_own_forward(wrong[0]) or self._named(wrong[0]) or self.of_errors() or self._of_kind(kind)
            or next(filter(None, map(self._named_alone, wrong[1:])), None) or self._symptom(wrong)
        )  # fmt: skip

    def _of_own_forward(self, number: int) -> Finding | None:
        """A wrong gradient that is the derivative of the student's own forward pass: then that one is not right.

        Unless the same call is right behind the forward pass: then it reads what that one has left somewhere.
        """
        link, output = self.function.forward, self.table.outputs[number]
        if link is None or self.forward is None or output not in link.of:
            return None
        differ = [self.probes[at] for at in self.table.differ(number)][:OWN_FORWARD]
        if not follows(self.function, self.student, self.forward, differ):
            return None
        at = self._shown(number)
        if right_behind(self.function, self.student, self.forward, self.probes[at], self.right[at]):
            return self._found("symptom.left_by_forward", "symptom", number, forward=link.function)
        return self._found("symptom.own_forward", "symptom", number, forward=link.function, other=link.exercise)

    def _order_of_outputs(self) -> Finding | None:
        """Outputs that are right, and of which some stand at the place of others."""
        names, outputs = self.function.returns, range(len(self.function.returns))
        if len(names) < 2 or self.table.stopped or any(len(answer) < len(names) for answer in self.answers):
            return None

        def is_one(place: int, number: int) -> bool:
            return all(close(answer[place], pick(right, number)) for answer, right in zip(self.answers, self.right, strict=True))

        found = {place: [number for number in outputs if is_one(place, number)] for place in outputs}
        if sum(bool(numbers) and place not in numbers for place, numbers in found.items()) < 2:
            return None
        place = next(place for place, numbers in found.items() if numbers and place not in numbers)
        return self._found("contract.order", "contract", place, taken=names[found[place][0]], wanted=", ".join(names))

    def of_errors(self) -> Finding | None:
        """The known mistake that ends the same calls with the same errors."""
        known = by_errors(self.table)
        return self._called(known, 0) if known else None

    def _of_kind(self, kind: Finding | None) -> Finding | None:
        """What the contract says, with the calls that are right where it is about one that has gone wrong."""
        if kind is None or not ("error" in kind.numbers or kind.key == "contract.shape"):
            return kind
        return replace(kind, right_calls=self._right_calls(), agree=self._whole())

    def _named(self, number: int) -> Finding | None:
        """The mistake whose numbers the student's are: in all calls, or, where there are two mistakes, in those that show one alone."""
        table = self.table
        if len(table.stopped) == len(self.answers):
            return None
        if set(table.differ(number)) <= set(table.stopped):  # no numbers speak for a mistake, only errors do
            return None
        if len(self.function.returns) > 1:  # a mistake that explains all outputs comes before one that explains this one alone
            for known in filter(table.explains_all, self.function.mistakes):
                number = table.outputs.index(known.shows) if known.shows else number
                return self._called(Named(known, "", self._shown(number)), number)
        if found := self._named_alone(number):
            return found
        if found := self._order_of_outputs():
            return found
        if self._is_factor_of_sizes(number):  # that explains all calls, where half or twice would explain some
            return None
        two = together(table, number) or in_some_calls(table, number) or in_turn(table, number)
        return self._called(two, number) if two else None

    def _is_factor_of_sizes(self, number: int) -> bool:
        """Whether an output is the right one times an expression of sizes, in all calls."""
        differ = self.table.differ(number)
        if set(differ) & set(self.table.stopped):
            return False
        ratios = [constant_ratio(self.answers[at][number], pick(self.right[at], number)) for at in differ]
        known = [ratio for ratio in ratios if ratio is not None]
        return len(known) == len(ratios) and bool(expression(known, [sizes_of(self.probes[at].arguments) for at in differ]))

    def _named_alone(self, number: int) -> Finding | None:
        """One mistake, or other arguments, that explain an output in all calls."""
        table = self.table
        if set(table.differ(number)) <= set(table.stopped):
            return None
        first = self._shown(number)
        for mistake, transform in table.candidates():
            if table.explains(mistake, transform, number):
                return self._called(Named(mistake, transform, first), number)
        if found := self._of_other_arguments(number):
            return found
        for mistake, transform in table.transformed_mistakes():
            if table.explains(mistake, transform, number):
                return self._called(Named(mistake, transform, first), number)
        return None

    def _of_other_arguments(self, number: int) -> Finding | None:
        """The right answer to a call in which one argument is another."""

        def agrees(at: int, arguments: Arguments) -> bool:
            made = pick(compute(self.function, self.function.right, replace(self.probes[at], arguments=arguments)), number)
            return matches(self.answers[at][number], made)

        found = first_that_explains(self.function, self.probes, self.table.order(number), agrees)
        if found is None:
            return None
        argument, taken_for = found
        if taken_for in TRANSFORMS:
            return self._found("argument.changed", "mistake", number, argument=argument, how=slug(taken_for))
        return self._found("argument.other", "mistake", number, argument=argument, taken_for=taken_for)

    def _called(self, named: Named, number: int) -> Finding:
        """The finding of a mistake, or of a transform where that alone makes the difference in the call."""
        mistake, transform, at, beside = named
        alone = transform and matches(pick(self.table.made(mistake, at), number), pick(self.right[at], number))
        if mistake is None or alone:
            found = self._found(f"transform.{slug(transform)}", "mistake", number, at)
            mistake = None
        else:
            found = self._found(f"{self.exercise.key}.{slug(mistake.key)}", "mistake", number, at, **mistake.words)
            found = replace(found, seen=mistake.seen)
        beyond = () if beside else self.table.beyond(mistake)
        right = self._right_calls() if "error" in found.numbers else ()  # an error shows nothing of the calls that do not stop
        return replace(found, beside=beside, right_calls=right, beyond=tuple(name for name in beyond if name != self.table.outputs[number]))

    def _symptom(self, wrong: Sequence[int]) -> Finding:
        """What can be said where no known mistake gives these numbers: of the first output of which there is something to say."""
        said = [self._seen(number) for number in wrong]
        number, (key, numbers) = next((one for one in zip(wrong, said, strict=True) if one[1][0] not in SAYS_LITTLE), (wrong[0], said[0]))
        found = self._found(f"symptom.{slug(key)}", "symptom", number, self._shown(number), **numbers)
        return replace(found, right_calls=self._right_calls())

    def _seen(self, number: int) -> tuple[str, Mapping[str, Any]]:
        """The symptom of one output, as the key of a sentence and its numbers."""
        at, output = self._shown(number), self.table.outputs[number]
        calls = [Seen(self.answers[other][number], pick(self.right[other], number), self.probes[other].arguments)
                 for other in (at, *self.table.differ(number)) if other not in self.table.stopped]  # fmt: skip
        mostly_right = 2 * sum(self.agree[number]) > len(self.answers)
        key, numbers = symptom_of(calls, mostly_right, output, not isinstance(calls[0].right, np.ndarray))
        if key == "elsewhere" and (scaled := self._where_douts_double(at, number)) is not None:
            if close(scaled, self.answers[at][number]):
                return "unused", {}
            if not close(scaled, 2 * np.asarray(self.answers[at][number])):
                return "not linear", {}
        return key, numbers

    def _right_calls(self) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
        """The calls that are right in every draw, where these are few and less than half: key, description and call."""
        wrong = {probe.key for at, probe in enumerate(self.probes) if not all(agree[at] for agree in self.agree)}
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

    def _shown(self, number: int) -> int:
        """The call that is shown of an output: the first that differs and ended without an error, where there is one."""
        differ = self.table.differ(number)
        return next((at for at in differ if at not in self.table.stopped), differ[0])

    def _whole(self) -> tuple[int, int]:
        """How many calls are right in all outputs, and how many there are."""
        return sum(all(agree[at] for agree in self.agree) for at in range(len(self.answers))), len(self.answers)

    def _found(self, key: str, layer: str, number: int, at: int | None = None, **numbers: Any) -> Finding:
        """A finding about an output in a call, with the outputs that are right in all calls."""
        at = self._shown(number) if at is None else at
        output, answer = self.table.outputs[number], self.answers[at][number]
        yours, right = np.asarray(answer), np.asarray(pick(self.right[at], number))
        shown: dict[str, Any] = {"output": output, "probe": self.probes[at].described}
        kind = self.kinds[at]
        if isinstance(answer, Exception):
            shown |= {"at": output, "yours": "", "right": str(right.shape), "error": f"{type(answer).__name__}: {answer}"[:200].strip()}
            shown |= {"line": "" if kind is None else kind.numbers.get("line", "")}
        elif yours.shape == right.shape:
            off = np.abs(yours - right) if right.dtype.kind == "f" else (yours != right)
            where = tuple(map(int, np.unravel_index(int(np.nanargmax(np.where(np.isnan(off), np.inf, off))), right.shape)))
            shown |= {"at": element(output, where, not isinstance(pick(self.right[at], number), np.ndarray)),
                      **dict(zip(("yours", "right"), two_apart(float(yours[where]), float(right[where])), strict=True))}  # fmt: skip
        else:
            shown |= {"at": f"{output}.shape", "yours": str(yours.shape), "right": str(right.shape)}
        others = tuple(name for name, agree in zip(self.table.outputs, self.agree, strict=True) if all(agree))
        return Finding(
            key, self.exercise.key, self.function.name, layer, self.probes[at].key, shown | numbers, None, self._whole(),
            call=self.probes[at].call, others=others,
        )  # fmt: skip

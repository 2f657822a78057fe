"""The calls of both nets: each one of a student's function is held against the engine's for the same arguments.

That says which function is wrong by itself, also where another one was wrong before it.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.capstone import net
from tinyalex.tutor.capstone.engine import ENGINE, with_mask
from tinyalex.tutor.capstone.net import Place
from tinyalex.tutor.exercise import Exercise, Function
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.guard import TimeUp, call

TOLERANCE = 1e-10  # relative to the largest element where that is above 1
ROUNDING = 1e-14  # relative as well: another order of adding leaves at most 1.2e-15 in a function of this net, a constant of 1e-12 3e-12
SHARED = ("alias", "outputs_share_memory")  # harmless in this net, so whatever else is wrong comes before them
REPLACED = ("raised", "endless", "returned", "shape", "kind", "not_finite", "mask")  # after these the engine's function is called
LARGE = 1e8  # a net that goes astray may reach larger numbers; there rounding may decide, and no function is judged
LOSS = "softmax_cross_entropy"
TEST = net.STEPS  # the number of the forward pass after the last step
SIGMAS = 5  # how far the share of kept units may be from 1 - p
FUNCTIONS: Mapping[str, tuple[Exercise, Function]] = {
    function.name: (exercise, function) for exercise in EXERCISES.values() for function in exercise.functions if function.name in ENGINE
}


@dataclass(frozen=True)
class Wrong:
    """A function that is wrong by itself, and where that is first seen.

    step: from 0; TEST is the forward pass after training. at: the number of the call in its step.
    kind: "differs", "changed", "share", "again", "one_mask", or one of SHARED or REPLACED.
    difference: how far its output is from the engine's for the same arguments; 0 where there is nothing to compare.
    """

    function: str
    exercise: str
    step: int
    at: int
    layer: str
    tower: str
    direction: str
    kind: str
    output: str = ""
    difference: float = 0.0
    numbers: Mapping[str, Any] = field(default_factory=dict)


def difference(yours: Any, right: Any, only: Array | None = None, scale: float = 1.0) -> tuple[float, bool]:
    """The largest difference, and whether it is above the tolerance. What neither of the two has as a number is equal.

    scale: the tolerance is relative to the largest element of `right`, or to this where that is smaller.
    """
    a, b = np.asarray(yours, float), np.asarray(right, float)
    if a.shape != b.shape:
        return math.inf, True
    with np.errstate(all="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    off = np.where(np.isnan(off), np.inf, off)
    if only is not None:
        off, b = np.where(only, off, 0.0), np.where(only, b, 0.0)
    finite = np.abs(b[np.isfinite(b)])
    most = float(off.max(initial=0.0))
    return most, most > TOLERANCE * max(scale, float(finite.max(initial=0.0)))


@dataclass(frozen=True)
class Note:
    """What was noted at a place."""

    place: Place
    function: str
    outputs: tuple[Any, ...]
    only: Array | None = None


def notes_of(place: Place, function: str, outputs: tuple[Any, ...], only: Array | None) -> list[Note]:
    """One note; of the loss a second one: the gradient that comes with it is where the backward pass begins."""
    if function != LOSS:
        return [Note(place, function, outputs, only)]
    return [Note(place, function, outputs[:1]), Note(place._replace(direction=net.BACKWARD), function, outputs[1:])]


class EngineCalls:
    """The engine's own functions. masks: those that the student's dropout has drawn, by tower."""

    def __init__(self, masks: Mapping[str, Array]) -> None:
        self.notes: list[Note] = []
        self._masks = masks

    def call(self, place: Place, function: str, *arguments: Any, only: Array | None = None) -> tuple[Any, ...]:
        """What the engine gives; of dropout in training, with the student's mask."""
        if function == "dropout" and arguments[3]:
            mask = self._masks[place.tower]
            outputs: tuple[Any, ...] = with_mask(arguments[0], mask, arguments[1]), mask
        else:
            outputs = ENGINE[function](*arguments)
        self.notes += notes_of(place, function, outputs, only)
        return outputs

    def given(self, place: Place, *outputs: Array) -> None:
        """See `Calls`."""
        self.notes.append(Note(place, "", outputs))


class StudentCalls:
    """The student's functions, called as the tutor calls them; where one has failed, the engine's from then on.

    Parameters
    ----------
    functions: by name. Those that are not there are the engine's.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self.functions = dict(functions)
        self.notes: list[Note] = []
        self.masks: dict[str, Array] = {}
        self.wrong: dict[str, Wrong] = {}
        self.unwritten: list[str] = []  # those that raise NotImplementedError when they are called
        self.counts: dict[str, int] = dict.fromkeys(self.functions, 0)
        self.drawn: list[Array] = []  # the masks of all steps
        self.rounding: dict[str, float] = {}  # how far a function that is right is from the engine's, relative to the largest element
        self.step = 0

    def begin(self, step: int) -> None:
        """Forget the notes of the step before."""
        self.step, self.notes, self.masks = step, [], {}

    def call(self, place: Place, function: str, *arguments: Any, only: Array | None = None) -> tuple[Any, ...]:
        """What the student's function gives, held against what the engine's gives for the same arguments."""
        right = ENGINE[function](*copy.deepcopy(arguments))
        outputs = self._outputs(place, function, arguments, right, only) if function in self.functions else right
        if function == "dropout" and arguments[3]:
            self.masks[place.tower] = np.asarray(outputs[1]) != 0
        self.notes += notes_of(place, function, outputs, only)
        return outputs

    def given(self, place: Place, *outputs: Array) -> None:
        """See `Calls`."""
        self.notes.append(Note(place, "", outputs))

    def _outputs(
        self, place: Place, function: str, arguments: tuple[Any, ...], right: tuple[Any, ...], only: Array | None
    ) -> tuple[Any, ...]:
        """What the student's function gives, or the engine's outputs where that cannot be used."""
        asked = FUNCTIONS[function][1]
        largest = max((float(np.abs(one).max(initial=0.0)) for one in arguments if isinstance(one, np.ndarray)), default=0.0)
        calm, scale = largest < LARGE, max(1.0, largest**2 / 100)  # sums of large products are rounded more
        given = dict(zip(inspect.signature(asked.right).parameters, copy.deepcopy(arguments), strict=True))
        outcome = call(self.functions[function], given)
        self.counts[function] += 1
        if isinstance(outcome.error, NotImplementedError):
            self.unwritten.append(function)
            del self.functions[function]
            return right
        if outcome.error is not None:
            kind = "endless" if isinstance(outcome.error, TimeUp) else "raised"
            return self._failed(place, function, kind, right, error=outcome.says, line=outcome.where)
        names = (*asked.returns, *asked.changes)
        left = outcome.value if isinstance(outcome.value, tuple) else (outcome.value,)
        if len(left) != len(asked.returns) or any(one is None for one in left):
            got = "None" if outcome.value is None else f"{len(left)}"
            return self._failed(place, function, "returned", right, got=got, wanted=", ".join(asked.returns))
        left += tuple(given[key] for key in asked.changes)
        outputs = []
        for name, yours, wanted in zip(names, left, right, strict=True):
            try:
                array = np.array(yours, float)
            except (TypeError, ValueError):
                return self._failed(place, function, "kind", right, output=name, got=type(yours).__name__)
            if array.shape != np.shape(wanted):
                return self._failed(place, function, "shape", right, output=name, got=str(array.shape), wanted=str(np.shape(wanted)))
            if calm and not np.isfinite(array).all():
                return self._failed(place, function, "not_finite", right, output=name)
            outputs.append(array)
        if sharing := _shared(asked, left, given):
            self._note(place, function, sharing.pop("kind"), **sharing)
        for key, before in zip(given, arguments, strict=True):
            if isinstance(before, np.ndarray) and key not in asked.changes and not np.array_equal(before, given[key], equal_nan=True):
                self._note(place, function, "changed", argument=key)
        if function == "dropout" and arguments[3]:
            x, p = arguments[:2]
            if not np.isin(outputs[1], (0, 1)).all():
                return self._failed(place, function, "mask", right)
            self.drawn.append(outputs[1] != 0)
            right = with_mask(x, outputs[1] != 0, p), outputs[1]
        for name, array, wanted in zip(names, outputs, right, strict=True):
            apart, is_wrong = difference(array, wanted, only, scale)
            if only is not None and function == "max_pool_backward":  # wherever the gradients of ties go, their sum is that of dout
                of_all, sums_differ = difference(array.sum(), np.sum(wanted), scale=scale)
                apart, is_wrong = (apart, is_wrong) if is_wrong else (of_all, sums_differ)
            if is_wrong and calm:
                counted: dict[str, Any] = {"yours": f"{array:g}", "right": f"{wanted:g}"} if function == "exchange_bytes" else {}
                self._note(place, function, "differs", output=name, difference=apart, **counted)
            elif calm:
                part = apart / max(scale, float(np.abs(wanted).max(initial=0.0)))
                self.rounding[function] = max(self.rounding.get(function, 0.0), part)
        return tuple(outputs)

    def _failed(self, place: Place, function: str, kind: str, right: tuple[Any, ...], output: str = "", **numbers: Any) -> tuple[Any, ...]:
        self._note(place, function, kind, output=output, **numbers)
        del self.functions[function]
        return right

    def _note(self, place: Place, function: str, kind: str, output: str = "", difference: float = 0.0, **numbers: Any) -> None:
        known, at = self.wrong.get(function), len(self.notes)
        if function == LOSS and output == FUNCTIONS[LOSS][1].returns[1]:
            place, at = place._replace(direction=net.BACKWARD), at + 1
        if known is None or (known.kind in SHARED and kind not in SHARED):
            key = FUNCTIONS[function][0].key
            self.wrong[function] = Wrong(function, key, self.step, at, *place, kind, output, difference, numbers)

    def judge_masks(self) -> None:
        """After the last step: whether the masks of dropout are drawn anew, for each image, and keep a share of 1 - p up to chance."""
        if not self.drawn or "dropout" in self.wrong:
            return
        place, self.step, self.notes = Place("drop6", "a", net.FORWARD), 0, []
        drawn = np.concatenate([mask.ravel() for mask in self.drawn])
        share, wanted = float(drawn.mean()), 1 - net.DROPPED
        if abs(share - wanted) > SIGMAS * math.sqrt(wanted * (1 - wanted) / drawn.size):
            self._note(place, "dropout", "share", output="mask", got=f"{share:.3g}", wanted=f"{wanted:g}")
        elif all((mask == mask[:1]).all() for mask in self.drawn):
            self._note(place, "dropout", "one_mask", output="mask")
        elif len({mask.tobytes() for mask in self.drawn}) < len(self.drawn):  # 56 bits or more: no two are equal by chance
            self._note(place, "dropout", "again", output="mask")


def _shared(asked: Function, outputs: tuple[Any, ...], given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether two outputs share their memory, or an output with an argument; and the names of both."""
    arrays = [(name, one) for name, one in zip(asked.returns, outputs, strict=False) if isinstance(one, np.ndarray)]
    for (name, one), (other, two) in itertools.combinations(arrays, 2):
        if np.shares_memory(one, two):
            return {"kind": "outputs_share_memory", "output": name, "other": other}
    for name, one in arrays:
        for key, argument in given.items():
            if isinstance(argument, np.ndarray) and np.shares_memory(one, argument):
                return {"kind": "alias", "output": name, "argument": key}
    return None

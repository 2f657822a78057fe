"""Both nets side by side: every output of a student's function against the engine's, in two ways.

`apart` is how far both nets are apart at a place: what came before is in it. `alone` is how far the student's function is from the
engine's for the same arguments: that says which function is wrong by itself, also where another one was wrong before it.
"""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
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
LARGE = 1e8  # a net that goes astray may reach larger numbers; there rounding may decide, and no function is judged
TEST = net.STEPS  # the number of the forward pass after the last step
SIGMAS = 5  # how far the share of kept units may be from 1 - p
FUNCTIONS: Mapping[str, tuple[Exercise, Function]] = {
    function.name: (exercise, function) for exercise in EXERCISES.values() for function in exercise.functions if function.name in ENGINE
}


@dataclass(frozen=True)
class Wrong:
    """A function that is wrong by itself, and where that is first seen.

    step: from 0; TEST is the forward pass after training. at: the number of the call in its step.
    kind: "differs", "raised", "endless", "returned", "shape", "kind", "not_finite", "changed", "mask", "share",
        "again" or "one_mask".
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
        self.notes.append(Note(place, function, outputs, only))
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
        self.notes.append(Note(place, function, outputs, only))
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
                self._note(place, function, "differs", output=name, difference=apart)
        return tuple(outputs)

    def _failed(self, place: Place, function: str, kind: str, right: tuple[Any, ...], output: str = "", **numbers: Any) -> tuple[Any, ...]:
        self._note(place, function, kind, output=output, **numbers)
        del self.functions[function]
        return right

    def _note(self, place: Place, function: str, kind: str, output: str = "", difference: float = 0.0, **numbers: Any) -> None:
        if function not in self.wrong:
            key = FUNCTIONS[function][0].key
            self.wrong[function] = Wrong(function, key, self.step, len(self.notes), *place, kind, output, difference, numbers)

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


def run(
    functions: Mapping[str, Callable[..., Any]],
    fill: bool = True,
    told: Callable[[int], None] = lambda step: None,
    steps: int = net.STEPS,
) -> dict[str, Any]:
    """Train both nets from the same weights, with the same masks, and return what is to be said, as JSON values.

    functions: the student's, by name; the engine's stand in for those that are missing, or that turn out not to be written.
    fill: if False, a function that turns out not to be written ends the run after the first step. told: called after each step.
    steps: of training, at most net.STEPS.
    """
    yours, engine = net.weights(), net.weights()
    velocity, other_velocity = ({name: np.zeros_like(one) for name, one in net.weights().items()} for _ in range(2))
    student = StudentCalls(functions)
    losses: dict[str, list[float]] = {"yours": [], "engine": []}
    rows: dict[tuple[str, str], list[float | None]] = {}
    first: dict[str, Any] | None = None
    apart_at, places = set[tuple[str, str, str]](), set[tuple[str, str, str]]()
    for number, step in enumerate((*range(steps), TEST)):
        x, labels = net.batch(step)
        student.begin(step)
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # a net that goes astray overflows
            warnings.simplefilter("ignore")
            losses["yours"].append(_one(student, yours, velocity, x, labels, step))
            beside = EngineCalls(student.masks)
            losses["engine"].append(_one(beside, engine, other_velocity, x, labels, step))
        for at, (mine, its) in enumerate(zip(student.notes, beside.notes, strict=True)):
            if mine.function == "exchange_bytes":  # no layer reads what it says
                continue
            most, parts = _apart(mine, its)
            column = rows.setdefault((mine.place.layer, mine.place.direction), [None] * (steps + 1))
            column[number] = max(column[number] or 0.0, most)
            places.add(mine.place)
            if parts:
                apart_at.add(mine.place)
                first = first or {**mine.place._asdict(), "step": step, "at": at, "function": mine.function, "difference": most}
        told(step)
        if student.unwritten and not fill:
            break
    student.judge_masks()
    wrong = sorted(student.wrong.values(), key=lambda one: (one.step, one.at))
    return {
        "losses": losses,
        "rows": [{"layer": layer, "direction": direction, "differences": values} for (layer, direction), values in rows.items()],
        "first": first,
        "places": len(places),
        "apart": len(apart_at),
        "wrong": [asdict(one) for one in wrong],
        "unwritten": student.unwritten,
        "calls": student.counts,
        "largest": max(value for values in rows.values() for value in values if value is not None),
        "filters": {"yours": _filters(yours), "engine": _filters(engine)},
    }


def _one(calls: EngineCalls | StudentCalls, w: dict[str, Array], velocity: dict[str, Array], x: Array, labels: Array, step: int) -> float:
    """A training step, or at the end a forward pass alone; its loss."""
    train = step < net.STEPS
    logits, kept = net.forward(calls, w, x, train, step)
    loss, dlogits = calls.call(Place("loss", "", net.FORWARD), "softmax_cross_entropy", logits, labels)
    if train:
        net.update(calls, w, velocity, net.backward(calls, w, dlogits, kept))
    return float(loss)


def _apart(mine: Note, its: Note) -> tuple[float, bool]:
    only = None if mine.only is None or its.only is None else mine.only & its.only
    found = [difference(a, b, only) for a, b in zip(mine.outputs, its.outputs, strict=True)]
    return max(most for most, _ in found), any(parts for _, parts in found)


def _filters(w: Mapping[str, Array]) -> list[Any]:
    return [w[f"conv1{t}.weight"].tolist() for t in net.TOWERS]

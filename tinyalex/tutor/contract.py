"""The first layer: is what came back of the right kind, and were the inputs left alone? It asks nothing about the mathematics."""

from __future__ import annotations

import copy
import inspect
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.errors import show
from tinyalex.tutor.arrays import LAYOUTS, Array, close, dirty_heap, framed, laid_out
from tinyalex.tutor.exercise import Exercise, Function, Probe, after_call, as_outputs, slug
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import Outcome, TimeUp, call, time_limit

FLOAT_SIZE = re.compile(  # what Python and NumPy say of a float where a size or an index is wanted
    r"float\d*' object cannot be interpreted|not '?(numpy\.)?float|slice indices must be integers|only integers, slices"
    r"|a single integer, got|arrays used as indices must be of integer"
)
WORDS = (  # what an error is about, by its words; the first that fits, the last for a ValueError or IndexError alone
    (re.compile("truth value of an array"), "truth value"),
    (re.compile("setting an array element with a sequence|only (0-dimensional|length-1|size-1) arrays"), "sequence"),
    (re.compile(r"zero-size array|\((?:\d+, ?)*0(?:, ?\d+)*,?\)"), "empty window"),
    (re.compile("unexpected keyword argument"), "no keyword"),
    (re.compile("values to unpack"), "unpacked"),
    (re.compile("resize only works|cannot resize"), "resized"),
    (re.compile("out of bounds for axis|index out of range"), "out of bounds"),
    (re.compile("shape|broadcast|dimension|mismatch|aligned|size|ax[ie]s|out of bounds|index|concat|reshape|split"), "does not fit"),
)
SHAPE = re.compile(r"\((?:\d+,\s*)+\d*\)")


class Contract:
    """The checks of one function, in the order in which a student would want to hear of them. Each returns a finding or None."""

    def __init__(self, exercise: Exercise, function: Function, student: Callable[..., Any]) -> None:
        self.exercise, self.function, self.student = exercise, function, student

    def signature(self) -> Finding | None:
        """Whether it can be called with the exercise's arguments."""
        if not callable(self.student):
            return self._found("not callable", got=show(self.student))
        wanted = list(inspect.signature(self.function.right).parameters)
        try:
            inspect.signature(self.student).bind(*wanted)
        except TypeError:
            return self._found("signature", wanted=", ".join(wanted), got=str(inspect.signature(self.student)))
        except ValueError:  # a function of C has no signature to look at
            return None
        return None

    def one_call(self, probe: Probe) -> tuple[tuple[Any, ...], Finding | None]:
        """Call it once, framed by NaN and over a dirty heap; what the call left behind, and what is wrong with its kind.

        Where it raised, the error stands in the place of each output.
        """
        right = as_outputs(self.function.right(**copy.deepcopy(dict(probe.arguments))))
        given = laid_out(probe.arguments, framed)
        before = {key: picture_of(value) for key, value in given.items()}
        dirty_heap([np.shape(output) for output in right])
        outcome = call(self.student, given)
        if finding := self._raised(probe, outcome):
            return (outcome.error,) * (len(right) + len(self.function.changes)), finding
        finding = self._kind(probe, outcome.value, right)
        if finding is None:
            finding = self._inputs(probe, given, before) or self._alias(probe, outcome.value, given)
        return after_call(self.function, outcome.value, given), finding

    def again(self, probe: Probe, left: tuple[Any, ...]) -> Finding | None:
        """Whether the same call gives the same answer again. Asked early: what stays from one call spoils all that follow."""
        _, equal = self._repeated(probe, left, framed)
        return None if equal else self._found("another answer the second time", probe)

    def layouts(self, probes: Sequence[Probe], answers: Sequence[tuple[Any, ...]]) -> Finding | None:
        """Whether arrays that lie in memory in other ways give the same answer: in the first call, and in one with the most axes.

        An array with one axis has one order; of two or three axes in another order even `reshape` has to make a copy.
        """
        axes = [max((np.ndim(value) for value in probe.arguments.values()), default=0) for probe in probes]
        for at in dict.fromkeys((0, axes.index(max(axes)))):
            for layout, function in LAYOUTS.items():
                outcome, equal = self._repeated(probes[at], answers[at], function)
                if not equal:
                    return replace(self._found("layout", probes[at], layout=layout, got=_name(outcome)), layout=layout)
        return None

    def of_layout(self, probes: Sequence[Probe]) -> Finding | None:
        """For calls that went wrong with arrays inside of larger ones: is it this layout alone, as all are right with plain arrays?"""
        for probe in probes:
            given = laid_out(probe.arguments, np.array)
            outcome = call(self.student, given)
            arguments = copy.deepcopy(dict(probe.arguments))
            right = after_call(self.function, self.function.right(**arguments), arguments)
            if outcome.error is not None or not same(after_call(self.function, outcome.value, given), right):
                return None
        return self._found("layout", probes[0], layout="a slice of a larger array", got=_name(Outcome()))

    def _repeated(self, probe: Probe, left: tuple[Any, ...], layout: Callable[[Array], Array]) -> tuple[Outcome, bool]:
        given = laid_out(probe.arguments, layout)
        outcome = call(self.student, given)
        return outcome, outcome.error is None and same(after_call(self.function, outcome.value, given), left)

    def _raised(self, probe: Probe, outcome: Outcome) -> Finding | None:
        if outcome.error is None:
            return None
        line = outcome.where
        if isinstance(outcome.error, TimeUp):
            return self._found("endless", probe, line=line, limit=f"{time_limit():g}")
        words = outcome.says
        if FLOAT_SIZE.search(words):
            return self._found("float size", probe, error=words, line=line)
        kinds = {
            RecursionError: "recursion", SystemExit: "exits", AssertionError: "asserts", AttributeError: "no attribute", EOFError: "asks",
        }  # fmt: skip
        kind = kinds.get(type(outcome.error), "raises")
        if isinstance(outcome.error, (ValueError, IndexError, TypeError)):
            known = WORDS[:-1] if isinstance(outcome.error, TypeError) else WORDS
            kind = next((about for said, about in known if said.search(words)), kind)
        return self._found(kind, probe, error=words, line=line)

    def _kind(self, probe: Probe, value: Any, right: tuple[Any, ...]) -> Finding | None:
        names = self.function.returns
        if value is None:
            return self._found("returns None", probe, wanted=", ".join(names))
        if isinstance(value, list) and len(names) > 1:
            return self._found("list", probe, wanted=", ".join(names))
        outputs = as_outputs(value)
        if len(outputs) != len(names):
            return self._found("number of outputs", probe, wanted=", ".join(names), got=len(outputs))
        for name, output, expected in zip(names, outputs, right, strict=True):
            if isinstance(expected, np.ndarray) and not isinstance(output, (np.ndarray, np.generic)):
                return self._found("no array", probe, output=name, got=type(output).__name__)
            if uneven(output):
                return self._found("uneven", probe, output=name, wanted=np.shape(expected))
            if np.shape(output) != np.shape(expected):
                return self._found("shape", probe, output=name, wanted=np.shape(expected), got=np.shape(output))
            kind = np.asarray(output).dtype.kind
            if kind not in "fiu" + np.asarray(expected).dtype.kind or (kind != "f" and np.asarray(expected).dtype.kind == "f"):
                return self._found("dtype", probe, output=name, wanted=np.asarray(expected).dtype, got=np.asarray(output).dtype)
            if kind == "f" and np.ndim(output) == 0 and not np.isfinite(output):
                return self._found("not a finite number", probe, output=name)
            if kind == "f" and np.asarray(output).dtype.itemsize < np.asarray(expected).dtype.itemsize:
                return self._found("dtype", probe, output=name, wanted=np.asarray(expected).dtype, got=np.asarray(output).dtype)
            if not np.isfinite(output).all():
                return self._found("not finite", probe, output=name, count=int((~np.isfinite(output)).sum()), of=np.size(output))
        return None

    def _inputs(self, probe: Probe, given: dict[str, Any], before: dict[str, Any]) -> Finding | None:
        for key, value in given.items():
            if key not in self.function.changes and picture_of(value) != before[key]:
                return self._found("input changed", probe, argument=key)
        return None

    def _alias(self, probe: Probe, value: Any, given: dict[str, Any]) -> Finding | None:
        for name, output in zip(self.function.returns, as_outputs(value), strict=True):
            for key, argument in given.items():
                if isinstance(argument, np.ndarray) and isinstance(output, np.ndarray) and np.shares_memory(output, argument):
                    return self._found("alias", probe, output=name, argument=key)
        arrays = [(name, a) for name, a in zip(self.function.returns, as_outputs(value), strict=True) if isinstance(a, np.ndarray)]
        for (name, one), (other, two) in itertools.combinations(arrays, 2):
            if np.shares_memory(one, two):
                return self._found("outputs share memory", probe, output=name, other=other)
        return None

    def _found(self, key: str, probe: Probe | None = None, **numbers: Any) -> Finding:
        says, made = ({}, {}) if probe is None else ({"probe": probe.described}, probe.call)
        seen = self.function.seen.get(f"{key} {numbers['argument']}" if "argument" in numbers else key)
        where = "" if probe is None else probe.key
        return Finding(f"contract.{slug(key)}", self.exercise.key, self.function.name, "contract", where, says | numbers, seen, call=made)


def same(a: Any, b: Any) -> bool:
    """Whether two answers have as many outputs and each agrees up to rounding."""
    a, b = as_outputs(a), as_outputs(b)
    return len(a) == len(b) and all(close(one, other) for one, other in zip(a, b, strict=True))


def picture_of(value: Any) -> Any:
    """What shows later whether an argument was changed: the bytes of an array, the same of all entries of a list or dict."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return {key: picture_of(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [picture_of(entry) for entry in value]
    return value if isinstance(value, (bool, int, float, str)) else None


def uneven(output: Any) -> bool:
    """Whether this is a list whose entries have different lengths, which is no array."""
    try:
        np.shape(output)
    except ValueError:
        return True
    return False


def without_front_axes(words: str) -> str:
    """The words of an error with the last two sizes of each shape alone: a loop over the images has no such axis in front."""
    shapes = SHAPE.sub(lambda shape: "(" + ", ".join(re.findall(r"\d+", shape[0])[-2:]) + ")", words)
    return re.sub(r"axis \d+", "axis", shapes)


def ways_to_read(words: str) -> set[frozenset[tuple[str, ...]]]:
    """The shapes in the words of an error as they stand, without the axes in front, and, where all end in the same size, without that.

    A student may have moved the channels to the end, and our own windows have theirs in front. A way that leaves all shapes the same
    says nothing and is left out.
    """
    shapes = [tuple(re.findall(r"\d+", shape)) for shape in SHAPE.findall(words)]
    ways = [shapes, [shape[-2:] for shape in shapes]]
    if all(len(shape) > 2 for shape in shapes) and len({shape[-1] for shape in shapes}) == 1:
        ways.append([shape[-3:-1] for shape in shapes])
    return {frozenset(way) for way in ways if len(set(way)) > 1}


def alike(one: BaseException, other: BaseException) -> bool:
    """Whether two errors say the same, with sizes in it, up to the other axes: "shapes (5,3) (5,)" does not come about twice.

    Two errors about several shapes are alike where these are the same in one way to read them, in whatever words. The words of an
    assert are the student's own, so that two of them are alike.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, AssertionError):
        return True
    if (ways := ways_to_read(str(one))) and (others := ways_to_read(str(other))):
        return bool(ways & others)
    words = without_front_axes(str(one))
    return any(map(str.isdigit, words)) and words == without_front_axes(str(other))


def _name(outcome: Outcome) -> str:
    return "another answer" if outcome.error is None else type(outcome.error).__name__

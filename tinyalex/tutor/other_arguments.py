"""Is an answer the right one to another question? What comes out where one argument was changed, ignored or taken for another."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Arguments, Function, Probe
from tinyalex.tutor.transforms import TRANSFORMS

Changed = Callable[[Arguments], Any]  # all arguments -> what one of them was taken for
OF_ARRAYS = (
    "flipped height", "flipped width", "flipped both", "swapped", "absolute", "first channel alone", "first image alone",
    "shifted height", "shifted width", "last image missing", "last line missing", "last column missing", "mean over images",
    *(name for name in TRANSFORMS if name.startswith("reshaped")),
)  # fmt: skip
NUMBERS: Mapping[str, Callable[[float], float]] = {  # what a number may be taken for
    "0": lambda v: 0, "1": lambda v: 1, "2": lambda v: 2, "{} + 1": lambda v: v + 1, "{} - 1": lambda v: v - 1, "2 * {}": lambda v: 2 * v,
    "-{}": lambda v: -v, "{} ** 2": lambda v: v**2,
}  # fmt: skip
FRACTIONS: Mapping[str, Callable[[float], float]] = {
    "{} / 2": lambda v: v / 2, "1 - {}": lambda v: 1 - v, "1 / {}": lambda v: 1 / v, "sqrt({})": lambda v: v**0.5 if v > 0 else v,
}  # fmt: skip


def candidates(function: Function, probe: Probe) -> Iterator[tuple[str, str, Changed]]:
    """The name of an argument, what it was taken for, and a function that makes that of the arguments of any call.

    What it was taken for is an expression, such as "stride - 1", or the name of a transform.
    """
    for key, value in probe.arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            for name in OF_ARRAYS:
                yield key, name, partial(_transformed, key, name)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            for expression, change in (*NUMBERS.items(), *(FRACTIONS.items() if isinstance(value, float) else ())):
                yield key, expression.format(key), partial(_number, key, change)
        for other, its in probe.arguments.items():
            if other != key and _alike(value, its):
                yield key, other, operator.itemgetter(other)


def _transformed(key: str, name: str, given: Arguments) -> Array | None:
    """An array after a transform, None where it has no such axis."""
    try:
        return np.array(TRANSFORMS[name](given[key], len(given[key])))
    except (ValueError, IndexError):
        return None


def _number(key: str, change: Callable[[float], float], given: Arguments) -> Any:
    return type(given[key])(change(given[key]))


def _alike(one: Any, other: Any) -> bool:
    """Whether one argument can be taken for the other: numbers, or arrays of one shape."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.shape(one) == np.shape(other)
    return type(one) is type(other) and isinstance(one, (int, float, tuple)) and not isinstance(one, bool)


def first_that_explains(
    function: Function, probes: Sequence[Probe], order: Sequence[int], agrees: Callable[[int, Arguments], bool]
) -> tuple[str, str] | None:
    """The argument and what it was taken for, where that explains all calls; None where nothing does.

    order: of the calls, the soonest to rule out first. agrees: whether the right answer to other arguments is the student's in a call.
    """
    for key, taken_for, change in candidates(function, probes[order[0]]):
        if all(_explains(probes[at], key, change, at, agrees) for at in order):
            return key, taken_for
    return None


def _explains(probe: Probe, key: str, change: Changed, at: int, agrees: Callable[[int, Arguments], bool]) -> bool:
    try:
        value = change(probe.arguments)
    except (ArithmeticError, KeyError):
        return False
    return value is not None and agrees(at, {**probe.arguments, key: value})

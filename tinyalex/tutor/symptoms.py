"""The third layer: where nobody's numbers match, what can be said about the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Arguments
from tinyalex.tutor.sizes import constant_ratio, expression, named, sizes_of

LISTED = 3  # calls that are right and are named
SMALL = 0.5  # of an axis: what is called a part of it
ROUNDED = 1e-6  # of the largest element: float32 rounds to 6e-8 of a number
FEW = 4  # elements that say something of a value from which on, or up to which, an output differs
FACTORS: Mapping[str, Callable[[Array], Array]] = {  # what a gradient may have been multiplied by, element by element
    "{}": lambda v: v, "{} ** 2": np.square, "1 - {}": lambda v: 1 - v, "1 - {} ** 2": lambda v: 1 - v * v, "abs({})": np.abs,
    "1 + {}": lambda v: 1 + v, "exp({})": np.exp, "1 / (1 + exp(-{}))": lambda v: 1 / (1 + np.exp(-v)), "tanh({})": np.tanh,
    "-1": lambda v: -np.ones_like(v), "2": lambda v: 2 * np.ones_like(v), "0": np.zeros_like,
}  # fmt: skip


class Seen(NamedTuple):
    """An output of a call: the student's, the right one, and the arguments of the call."""

    yours: Any
    right: Any
    arguments: Arguments


def digits(value: float) -> str:
    """A number as a message shows it: six digits, or all of an integer."""
    return f"{value:.0f}" if value.is_integer() and 1e6 <= abs(value) < 1e15 else f"{value + 0.0:.6g}"  # + 0.0: no -0


def two_apart(yours: float, right: float) -> tuple[str, str]:
    """Two numbers with as many digits as tell them apart, six or more."""
    for places in range(6, 17):
        shown = f"{yours + 0.0:.{places}g}", f"{right + 0.0:.{places}g}"
        if shown[0] != shown[1]:
            break
    return (digits(yours), digits(right)) if digits(yours) != digits(right) else shown


def element(output: str, where: tuple[int, ...], is_list: bool) -> str:
    """An element of an output, as its owner writes it: dx[1, 2] of an array, shapes[1][2] of a list."""
    if not where:
        return output
    return output + ("".join(f"[{at}]" for at in where) if is_list else f"[{', '.join(map(str, where))}]")


def part_of(output: str, off: Array, is_list: bool) -> str:
    """The smallest part along one axis that holds all that differs, such as dx[:, 3:8]; empty where it is more than half of the axis."""
    best: tuple[float, str] = (SMALL, "")
    for axis in range(1 if is_list else off.ndim):
        lines = np.flatnonzero(np.moveaxis(off, axis, 0).reshape(off.shape[axis], -1).any(1))
        if len(lines) / off.shape[axis] < best[0] or (not best[1] and len(lines) / off.shape[axis] == SMALL):
            first, last = int(lines[0]), int(lines[-1])
            if len(lines) == 1:
                which = str(first)
            elif len(lines) == last - first + 1:
                which = f"{first}:{last + 1}"
            elif len(lines) <= 6:
                which = str([int(line) for line in lines])
            else:
                continue
            best = len(lines) / off.shape[axis], f"{output}[{':, ' * axis}{which}]"
    return best[1]


def symptom_of(calls: Sequence[Seen], mostly_right: bool, output: str, is_list: bool) -> tuple[str, Mapping[str, Any]]:
    """Where an output differs, as the key of a sentence and its numbers.

    calls: those in which it does, the one that is shown first; the others may make sure of what it suggests.
    """
    yours, right = np.asarray(calls[0].yours), np.asarray(calls[0].right)
    if all(map(_only_rounded, calls)):
        return "rounded", {}
    if ratio := constant_ratio(yours, right) if right.size > 1 or not mostly_right else None:
        ratios = [constant_ratio(call.yours, call.right) for call in calls]
        every = [one for one in ratios if one is not None]
        says = expression(every, [sizes_of(call.arguments) for call in calls]) if len(every) == len(ratios) else ""
        if right.size > 1 or says or (len(every) == len(ratios) and max(every) - min(every) <= 1e-7 * abs(ratio)):
            return "factor", {"factor": f"{says} = {digits(ratio)}" if says else digits(ratio)}
    if right.size == 1:
        return ("one number sometimes" if mostly_right else "one number"), {}
    off = off_of(yours, right)
    numbers = {"share": f"{100 * off.sum() / ((yours != 0) | (right != 0)).sum():.3g} %"}  # a gradient may be 0 nearly everywhere
    if found := _still_zero(calls, output) or _by_an_argument(calls[0], off):
        return found
    if off.sum() == 1 and off.ndim > 1 and not is_list:
        return "one element", {}
    if part := part_of(output, off, is_list):
        return "part", {**numbers, "part": part}
    inner = np.s_[..., 1:-1, 1:-1]
    if yours.ndim >= 4 and not off[inner].any() and right[inner].any():
        return "edges", numbers
    if np.allclose(np.sort(yours, None), np.sort(right, None), rtol=1e-9):
        return "moved", numbers
    is_a_sum = abs(right.sum()) > 1e-9 * np.abs(right).sum()  # the gradients of batch normalization add to 0 whatever is wrong
    if is_a_sum and np.isclose(yours.sum(), right.sum(), rtol=1e-9):
        return "sum kept", numbers
    return ("sometimes" if mostly_right else "elsewhere"), numbers


def _only_rounded(call: Seen) -> bool:
    """Whether the first six digits of the largest elements are right: what float32 on the way does, and no mistake in a formula."""
    yours, right = np.asarray(call.yours), np.asarray(call.right)
    if right.dtype.kind != "f" or yours.shape != right.shape or not right.any():
        return False
    return bool(np.abs(yours - right).max() < ROUNDED * np.abs(right).max())


def off_of(yours: Array, right: Array) -> Array:
    """Which elements differ."""
    return np.asarray(~np.isclose(yours, right, rtol=1e-9, atol=1e-12 * max(1e-300, float(np.abs(right).max()))))


def _zero_from(yours: Array, right: Array) -> tuple[int, int] | None:
    """The axis and the index from which on an output is still 0 where it should not be, and right before; None where it is otherwise."""
    for axis in range(yours.ndim):
        filled, wanted = (np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1) for a in (yours, right))
        first = int(np.flatnonzero(filled.any(axis=1))[-1]) + 1 if filled.any() else 0
        if 0 < first < len(filled) and wanted[first:].any(axis=1).all() and not off_of(filled[:first], wanted[:first]).any():
            return axis, first
    return None


def _still_zero(calls: Sequence[Seen], output: str) -> tuple[str, Mapping[str, Any]] | None:
    """An output that is right up to an index and 0 from there on; in all calls the index may be one of the sizes."""
    found = [_zero_from(np.asarray(call.yours), np.asarray(call.right)) for call in calls]
    if found[0] is None:
        return None
    axis, first = found[0]
    same_axis = [one for one in found if one is not None and one[0] == axis]
    size = named([one[1] for one in same_axis], [sizes_of(call.arguments) for call in calls]) if len(same_axis) == len(found) else ""
    part = f"{output}[{':, ' * axis}{first}:]"
    return ("still zero by size", {"part": part, "size": size}) if size else ("still zero", {"part": part})


def _by_an_argument(call: Seen, off: Array) -> tuple[str, Mapping[str, Any]] | None:
    """For what works element by element: the values of an argument at which the output differs, and what it is multiplied by there."""
    yours, right = np.asarray(call.yours), np.asarray(call.right)
    for name, value in call.arguments.items():
        if not isinstance(value, np.ndarray) or value.shape != off.shape or value.dtype.kind != "f" or off.sum() < FEW:
            continue
        shown, nonzero = off & (right != 0), right[off].all()
        ratios = yours[shown] / right[shown]
        made = next((text for text, way in FACTORS.items() if nonzero and np.allclose(ratios, way(value[shown]), rtol=1e-7)), "")
        factor, numbers = made.format(name), {"argument": name}
        low, high = value[off].min(), value[off].max()
        if off.all() or not (~off).any():
            if factor:
                return "times", {**numbers, "factor": factor}
        elif (~off).sum() >= FEW and not ((value[~off] >= low) & (value[~off] <= high)).any():
            numbers |= {"low": digits(float(low)), "high": digits(float(high))}
            return ("between and times", {**numbers, "factor": factor}) if factor else ("between", numbers)
    return None

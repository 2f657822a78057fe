"""Conversions between types (cvt). A float becomes a whole number that fits: too large ones become the limit, NaN becomes 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.sim.ptx.decode import Decoder, Run, operation
from tinyalex.sim.ptx.floating import flush, towards
from tinyalex.sim.ptx.integer import apply
from tinyalex.sim.ptx.parse import Instruction
from tinyalex.sim.ptx.types import TYPES, Unknown, Values

Function = Callable[[Values], Values]
WHOLE: dict[str, Function] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


@operation("cvt", "any", "rn rz rm rp rni rzi rmi rpi ftz sat")
def convert(d: Decoder, instruction: Instruction, source: str) -> Run:
    """The value in another type."""
    words = instruction.parts[1:-2]
    result = instruction.parts[-2]
    if result not in TYPES or source not in TYPES or (instruction.parts[-3:-2] and instruction.parts[-3] in TYPES):
        raise Unknown(".".join(instruction.parts))
    return apply(d, instruction, function(words, result, source), (source,), result)


def function(words: tuple[str, ...], result: str, source: str) -> Function:
    """The conversion from `source` to `result` with these modifiers."""
    steps: list[Function] = []
    to, whole = TYPES[result], next((WHOLE[word] for word in words if word in WHOLE), None)
    way = next((word for word in ("rz", "rm", "rp") if word in words), None)
    if "ftz" in words and source == "f32":
        steps.append(flush)
    if result[0] == "f":
        if source[0] == "f" and whole is not None:
            steps.append(whole)
        if way is not None:
            if result != "f32" or source not in ("f64", "s32", "u32"):
                raise Unknown(f"cvt.{way}.{result}.{source}")
            steps.append(lambda a: towards(a.astype(np.float64), way))
        else:
            steps.append(lambda a: a.astype(to))
        if "ftz" in words and result == "f32":
            steps.append(flush)
        if "sat" in words:
            steps.append(lambda a: np.fmin(np.fmax(a, 0), 1).astype(to))
    elif source[0] == "f":
        steps += [whole or np.rint, lambda a: _into_range(a, to)]
    elif "sat" in words:
        least, most = np.iinfo(to).min, np.iinfo(to).max
        steps.append(lambda a: _clip(a, least, most).astype(to))
    else:
        steps.append(lambda a: a.astype(to))

    def run(a: Values) -> Values:
        for step in steps:
            a = step(a)
        return a

    return steps[0] if len(steps) == 1 else run


def _into_range(a: Values, to: np.dtype[Any]) -> Values:
    limits = np.iinfo(to)
    low, high = a <= limits.min, a >= limits.max
    inside = np.where(low | high | np.isnan(a), 0, a).astype(to)
    return np.where(high, to.type(limits.max), np.where(low, to.type(limits.min), inside))


def _clip(a: Values, least: int, most: int) -> Values:
    own = np.iinfo(a.dtype)
    return np.clip(a, max(least, own.min), min(most, own.max))

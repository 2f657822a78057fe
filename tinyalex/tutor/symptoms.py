"""The third layer: where nobody's numbers match, what can be said about the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array

LISTED = 3  # calls that are right and are named


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
    """The smallest part along one axis that holds all that differs, such as dx[:, 3:8]; empty where that is all."""
    best: tuple[float, str] = (1.0, "")
    for axis in range(1 if is_list else off.ndim):
        lines = np.flatnonzero(np.moveaxis(off, axis, 0).reshape(off.shape[axis], -1).any(1))
        if len(lines) / off.shape[axis] < best[0]:
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


def symptom_of(yours: Array, right: Array, mostly_right: bool, output: str, is_list: bool) -> tuple[str, Mapping[str, Any]]:
    """Where two arrays of one shape differ, as the key of a sentence and its numbers."""
    if right.size == 1:
        return ("one number sometimes" if mostly_right else "one number"), {}
    off = ~np.isclose(yours, right, rtol=1e-9, atol=1e-12 * max(1e-300, float(np.abs(right).max())))
    numbers = {"share": f"{100 * off.sum() / ((yours != 0) | (right != 0)).sum():.3g} %"}  # a gradient may be 0 nearly everywhere
    nonzero = np.abs(right) > 0
    ratios = yours[nonzero] / right[nonzero]
    if ratios.size and np.allclose(ratios, ratios.flat[0], rtol=1e-7) and not yours[~nonzero].any():
        return "factor", {**numbers, "factor": f"{float(ratios.flat[0]):.6g}"}
    if part := part_of(output, off, is_list):
        return "part", {**numbers, "part": part}
    if yours.ndim >= 4 and not off[..., 1:-1, 1:-1].any():
        return "edges", numbers
    if np.allclose(np.sort(yours, None), np.sort(right, None), rtol=1e-9):
        return "moved", numbers
    if np.isclose(yours.sum(), right.sum(), rtol=1e-9):
        return "sum kept", numbers
    return ("sometimes" if mostly_right else "elsewhere"), numbers

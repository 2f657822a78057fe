"""The sizes of a call by the names that the pages give them, and numbers as expressions of these: 1 / (N C)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinyalex.tutor.exercise import Arguments

AXES: Mapping[tuple[str, int], tuple[str, ...]] = {  # an argument and its number of axes -> what its sizes are called, "" for none
    ("x", 4): ("N", "C", "H", "W"), ("a", 4): ("N", "C", "H", "W"), ("x", 2): ("N", "C"), ("logits", 2): ("N", "C"),
    ("weight", 4): ("K", "C / G", "KH", "KW"), ("weight", 2): ("K", "C"), ("dout", 4): ("", "", "OH", "OW"), ("w1", 2): ("M", ""),
    ("w2", 2): ("K", ""),
}  # fmt: skip
NUMBERS = {"groups": "G", "kernel": "kernel", "stride": "stride", "n": "n"}
ATOMS = 3  # factors in an expression


def sizes_of(arguments: Arguments) -> dict[str, int]:
    """The sizes in the arguments of a call, by name; where there are groups also K / G."""
    found: dict[str, int] = {}
    for key, value in arguments.items():
        if isinstance(value, np.ndarray):
            found |= {name: size for name, size in zip(AXES.get((key, value.ndim), ()), value.shape, strict=False) if name}
        elif key in NUMBERS and isinstance(value, int):
            found[NUMBERS[key]] = value
    if "G" in found and "K" in found:
        return found | {"K / G": found["K"] // found["G"]}
    found.pop("C / G", None)  # without groups it is C
    return found


def named(values: Sequence[int], calls: Sequence[Mapping[str, int]]) -> str:
    """The size that has these values in these calls, empty where none has or where it could be another number: all are one."""
    if len(set(values)) < 2:
        return ""
    return next((name for name in calls[0] if all(sizes.get(name) == value for sizes, value in zip(calls, values, strict=True))), "")


def expression(values: Sequence[float], calls: Sequence[Mapping[str, int]]) -> str:
    """A product or quotient of sizes with these values in these calls, such as "1 / (N C)"; empty where there is none.

    The shortest is taken. Where all values are equal, nothing is: a constant says nothing about sizes.
    """
    if max(values) - min(values) <= 1e-7 * max(map(abs, values)):
        return ""
    names = [name for name in calls[0] if "/" not in name and all(name in sizes for sizes in calls)]
    for above, below in _quotients(names):
        made = (math.prod(sizes[name] for name in above) / math.prod(sizes[name] for name in below) for sizes in calls)
        if all(math.isclose(value, one, rel_tol=1e-7) for value, one in zip(values, made, strict=True)):
            under = f"({' '.join(below)})" if len(below) > 1 else "".join(below)
            return f"{' '.join(above) or '1'}{f' / {under}' if below else ''}"
    return ""


def _quotients(names: Sequence[str]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """What stands above and below the line of a fraction, the shortest fractions first."""
    for count in range(1, ATOMS + 1):
        for over in range(count + 1):
            for above in itertools.combinations_with_replacement(names, over):
                for below in itertools.combinations_with_replacement(names, count - over):
                    if not set(above) & set(below):
                        yield above, below


def constant_ratio(yours: Any, right: Any) -> float | None:
    """What every element is multiplied by; None where that is not one number for all."""
    yours, right = np.asarray(yours), np.asarray(right)
    nonzero = right != 0
    if yours.dtype.kind not in "fiub" or yours.shape != right.shape or not nonzero.any() or yours[~nonzero].any():
        return None
    ratios = yours[nonzero] / right[nonzero]
    return float(ratios.flat[0]) if np.allclose(ratios, ratios.flat[0], rtol=1e-7, atol=0) else None

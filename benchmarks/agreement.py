"""The check that two libraries give the same answer. It must pass before anything is timed."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Arrays, Workload
from tinyalex.errors import TinyalexError


class DisagreementError(TinyalexError):
    """Two libraries gave different answers for the same work, so their times cannot be compared."""

    exit_code = 1


def worst_error(workload: Workload, ours: Arrays, theirs: Arrays, rival: str) -> float:
    """The largest difference of two answers; in each array it is relative to the largest value of that array.

    Raises
    ------
    DisagreementError: the difference is above the tolerance of the workload, or the answers are not finite arrays of equal shapes.
    """
    who, worst = f"{workload.name}: the answer of tinyalex", 0.0
    if ours.keys() != theirs.keys() or not ours:
        here, there = (", ".join(names) or "nothing" for names in (ours, theirs))
        raise DisagreementError(f"{who} must hold what {rival}'s does, {there}, got {here}")
    for name, expected in theirs.items():
        got = ours[name]
        if got.shape != expected.shape or got.dtype != expected.dtype:
            want = f"{expected.dtype} {expected.shape}"
            raise DisagreementError(f"{who} must be {want} in {name} as {rival}'s is, got {got.dtype} {got.shape}")
        if not (np.isfinite(got).all() and np.isfinite(expected).all()):
            raise DisagreementError(f"{who} and {rival}'s must be finite in {name}, got others")
        difference, largest = float(np.abs(got - expected).max()), float(np.abs(expected).max())
        if not difference <= workload.tolerance * largest:
            raise DisagreementError(
                f"{who} must be within {workload.tolerance:g} of {rival}'s in {name}, relative to its largest value {largest:.3g}, "
                f"got a difference of {difference:.3g}"
            )
        worst = max(worst, difference / largest if largest else 0.0)
    return worst

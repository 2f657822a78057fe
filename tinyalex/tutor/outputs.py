"""What a call leaves behind, as a tuple of outputs or as the error that ended it, and whether two calls left the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import close
from tinyalex.tutor.exercise import Function, Probe, after_call

Outputs = tuple[Any, ...]


def compute(function: Function, way: Callable[..., Any], probe: Probe) -> Outputs | Exception:
    """What our own way leaves behind after a call; the error where a mistake cannot be made there, as its arrays would not fit."""
    arguments = copy.deepcopy(dict(probe.arguments))
    try:
        with np.errstate(all="ignore"):
            return after_call(function, way(**arguments), arguments)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, AssertionError) as error:
        return error


def matches(yours: Any, value: Any, within: float = 1e-9) -> bool:
    """Whether these are the same numbers up to rounding, NaN and infinity included; or errors of one type, as both calls failed."""
    if value is None or isinstance(value, Exception) or isinstance(yours, Exception):
        return isinstance(value, Exception) and type(value) is type(yours)
    if np.shape(yours) != np.shape(value):
        return False
    yours, value = np.asarray(yours), np.asarray(value)
    finite = np.isfinite(value)
    if finite.all():
        return close(yours, value, within)
    special = np.array_equal(np.isnan(yours), np.isnan(value)) and np.array_equal(yours[np.isinf(yours)], value[np.isinf(value)])
    return special and close(yours[finite], value[finite], within)


def pick(outputs: Outputs | Exception | None, number: int) -> Any:
    """One of the outputs, None where there is none; the error of a call that failed."""
    if isinstance(outputs, Exception):
        return outputs
    return None if outputs is None or number >= len(outputs) else outputs[number]

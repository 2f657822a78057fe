"""The first layer: is what came back of the right kind, and were the inputs left alone? It asks nothing about the mathematics."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.errors import show
from tinyalex.tutor.arrays import LAYOUTS, close, dirty_heap, framed, laid_out
from tinyalex.tutor.exercise import Exercise, Function, Probe, after_call, as_outputs, slug
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.guard import Outcome, TimeUp, call, time_limit


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
        """Call it once, framed by NaN and over a dirty heap; what the call left behind, and what is wrong with its kind."""
        right = as_outputs(self.function.right(**copy.deepcopy(dict(probe.arguments))))
        given = laid_out(probe.arguments, framed)
        before = {key: value.tobytes() for key, value in given.items() if isinstance(value, np.ndarray)}
        dirty_heap([np.shape(output) for output in right])
        outcome = call(self.student, given)
        finding = self._raised(probe, outcome) or self._kind(probe, outcome.value, right)
        if finding is None:
            finding = self._inputs(probe, given, before) or self._alias(probe, outcome.value, given)
        return after_call(self.function, outcome.value, given), finding

    def steady(self, probe: Probe, left: tuple[Any, ...]) -> Finding | None:
        """Whether the same call gives the same answer again, and in other layouts in memory."""
        for layout, function in {"": framed, **LAYOUTS}.items():
            given = laid_out(probe.arguments, function)
            outcome = call(self.student, given)
            if outcome.error is not None or not same(after_call(self.function, outcome.value, given), left):
                if not layout:
                    return self._found("another answer the second time", probe)
                return self._found("layout", probe, layout=layout, got=_name(outcome))
        return None

    def _raised(self, probe: Probe, outcome: Outcome) -> Finding | None:
        if outcome.error is None:
            return None
        line = outcome.where
        if isinstance(outcome.error, TimeUp):
            return self._found("endless", probe, line=line, limit=f"{time_limit():g}")
        key = {RecursionError: "recursion", SystemExit: "exits"}.get(type(outcome.error), "raises")
        return self._found(key, probe, error=outcome.says, line=line)

    def _kind(self, probe: Probe, value: Any, right: tuple[Any, ...]) -> Finding | None:
        names = self.function.returns
        if value is None:
            return self._found("returns None", probe, wanted=", ".join(names))
        outputs = as_outputs(value)
        if len(outputs) != len(names):
            return self._found("number of outputs", probe, wanted=", ".join(names), got=len(outputs))
        for name, output, expected in zip(names, outputs, right, strict=True):
            array = isinstance(output, (np.ndarray, np.generic))
            if (isinstance(expected, np.ndarray) and not array) or ragged(output):
                return self._found("no array", probe, output=name, got=type(output).__name__)
            if np.shape(output) != np.shape(expected):
                return self._found("shape", probe, output=name, wanted=np.shape(expected), got=np.shape(output))
            kind = np.asarray(output).dtype.kind
            if kind not in "fiu" or (kind != "f" and np.asarray(expected).dtype.kind == "f"):
                return self._found("dtype", probe, output=name, wanted=np.asarray(expected).dtype, got=np.asarray(output).dtype)
            if not np.isfinite(output).all():
                return self._found("not finite", probe, output=name, count=int((~np.isfinite(output)).sum()), of=np.size(output))
        return None

    def _inputs(self, probe: Probe, given: dict[str, Any], before: dict[str, bytes]) -> Finding | None:
        for key, value in given.items():
            if key in before and key not in self.function.changes and value.tobytes() != before[key]:
                return self._found("input changed", probe, argument=key)
        return None

    def _alias(self, probe: Probe, value: Any, given: dict[str, Any]) -> Finding | None:
        for name, output in zip(self.function.returns, as_outputs(value), strict=True):
            for key, argument in given.items():
                if isinstance(argument, np.ndarray) and isinstance(output, np.ndarray) and np.shares_memory(output, argument):
                    return self._found("alias", probe, output=name, argument=key)
        return None

    def _found(self, key: str, probe: Probe | None = None, **numbers: Any) -> Finding:
        says = {} if probe is None else {"probe": probe.says}
        seen = self.function.seen.get(f"{key} {numbers['argument']}" if "argument" in numbers else key)
        where = "" if probe is None else probe.key
        return Finding(f"contract.{slug(key)}", self.exercise.key, self.function.name, "contract", where, says | numbers, seen)


def same(a: Any, b: Any) -> bool:
    """Whether two answers have as many outputs and each agrees up to rounding."""
    a, b = as_outputs(a), as_outputs(b)
    return len(a) == len(b) and all(close(one, other) for one, other in zip(a, b, strict=True))


def ragged(output: Any) -> bool:
    """Whether an output is a list of lists of unequal lengths, which has no shape."""
    try:
        np.shape(output)
    except ValueError:
        return True
    return False


def _name(outcome: Outcome) -> str:
    return "another answer" if outcome.error is None else type(outcome.error).__name__

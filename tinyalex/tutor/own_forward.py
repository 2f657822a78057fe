"""Is a student's backward pass the derivative of the student's own forward pass, be that one right or not?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.contract import same
from tinyalex.tutor.exercise import Forward, Function, Probe, as_outputs
from tinyalex.tutor.guard import call

DIRECTIONS = 3  # random ones along which each gradient is measured: two calls each, however many elements there are
STEP = 1e-5  # of the largest element
WITHIN = 1e-5  # of the sum of what the measured slope is made of

Student = Callable[..., Any]


def follows(function: Function, backward: Student, forward: Student, probes: Iterable[Probe]) -> bool:
    """Whether `backward` gives the derivative of `forward` in every one of these calls, of which there is at least one."""
    probes = list(probes)
    return bool(probes) and all(_follows_in(function, backward, forward, probe) for probe in probes)


def _follows_in(function: Function, backward: Student, forward: Student, probe: Probe) -> bool:
    link = function.forward
    assert link is not None
    given = dict(link.arguments(**probe.arguments))
    left = _outputs(forward, given)
    if left is None or max(link.kept.values(), default=0) >= len(left):
        return False
    arguments = dict(probe.arguments) | {key: left[at] for key, at in link.kept.items()}
    gradients = _outputs(backward, arguments)
    if gradients is None or len(gradients) != len(function.returns):
        return False
    rng = np.random.default_rng(0)
    return all(
        _is_slope(forward, link, given, arguments, parameter, np.asarray(gradients[function.returns.index(output)]), rng)
        for output, parameter in link.of.items()
    )


def right_behind(function: Function, backward: Student, forward: Student, probe: Probe, right: Any) -> bool:
    """Whether `backward` gives the right answer to a call when `forward` was called just before, for the same arguments."""
    link = function.forward
    assert link is not None
    call(forward, copy.deepcopy(dict(link.arguments(**probe.arguments))))
    left = _outputs(backward, dict(probe.arguments))
    return left is not None and same(left, right)


def _is_slope(
    forward: Student, link: Forward, given: dict[str, Any], arguments: dict[str, Any], parameter: str, gradient: Array,
    rng: np.random.Generator,
) -> bool:  # fmt: skip
    """Whether the gradient gives the measured slope of the loss along some random directions."""
    x = given[parameter]
    if gradient.shape != x.shape or gradient.dtype.kind not in "fiu" or not np.isfinite(gradient).all():
        return False
    step = STEP * max(float(np.abs(x).max()), 1e-3)
    for _ in range(DIRECTIONS):
        direction = rng.uniform(0.5, 1, x.shape) * rng.choice([-1.0, 1.0], x.shape)
        above, below = (_loss(forward, link, given | {parameter: x + side * step * direction}, arguments) for side in (1, -1))
        if above is None or below is None:
            return False
        parts = gradient * direction
        if not abs((above - below) / (2 * step) - parts.sum()) <= WITHIN * np.abs(parts).sum():
            return False
    return True


def _loss(forward: Student, link: Forward, given: dict[str, Any], arguments: dict[str, Any]) -> float | None:
    """The loss whose gradient with respect to the outputs the backward pass was given; None where the call fails."""
    left = _outputs(forward, given)
    if left is None:
        return None
    if not link.douts:
        return float(left[0]) if np.ndim(left[0]) == 0 else None
    if len(left) < len(link.douts) or any(np.shape(left[at]) != np.shape(arguments[key]) for at, key in enumerate(link.douts)):
        return None
    return float(sum((np.asarray(left[at]) * arguments[key]).sum() for at, key in enumerate(link.douts)))


def _outputs(student: Student, arguments: dict[str, Any]) -> tuple[Any, ...] | None:
    """What a call returns, None where it is no array of numbers."""
    outcome = call(student, copy.deepcopy(arguments))
    outputs = as_outputs(outcome.value)
    if outcome.error is not None or not all(isinstance(output, (np.ndarray, np.generic, int, float)) for output in outputs):
        return None
    return outputs if all(np.asarray(output).dtype.kind in "fiub" for output in outputs) else None

"""`check`: the three layers one after the other, until one of them has something to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.tutor.contract import Contract
from tinyalex.tutor.diagnose import Diagnosis
from tinyalex.tutor.exercise import SIZE_SETS, Exercise, Function, Probe, slug
from tinyalex.tutor.finding import Finding
from tinyalex.tutor.own_forward import follows

DRAWS = 2  # independent draws of every call
MEMORY = ("contract.alias", "contract.outputs_share_memory")  # said last, as the numbers may not be right either
MAY_BE_OF_LAYOUT = (  # beside mistakes and symptoms: plain arrays may give a right answer
    "contract.shape", "contract.raises", "contract.does_not_fit", "contract.out_of_bounds", "contract.no_attribute",
)  # fmt: skip
MAY_BE_A_MISTAKE = (ValueError, IndexError, AssertionError)  # a known mistake may fail in the same calls
MAY_HAVE_A_NAME = (  # a known mistake may have led to these
    "contract.shape", "contract.dtype", "contract.not_finite", "contract.not_a_finite_number", *MEMORY,
)  # fmt: skip


def examine(exercise: Exercise, function: Function, student: Callable[..., Any], seed: int = 0, sizes: int = 0,
            forward: Callable[..., Any] | None = None) -> Finding | None:  # fmt: skip
    """The first finding about one function of a student, None where all is right.

    seed: of the numbers in the calls. sizes: which of the SIZE_SETS sizes the calls have. forward: the student's own forward pass,
    where the function is a backward pass and there is one.
    """
    finding = _first(exercise, function, student, seed, sizes, forward)
    if finding is None:
        return None
    if finding.probe and (finding.layer != "contract" or finding.key in MAY_BE_OF_LAYOUT):
        shown = [probe for draw in range(DRAWS) for probe in function.probes(np.random.default_rng([seed, draw]), sizes)]
        shown = [probe for probe in shown if probe.key == finding.probe and not probe.random]
        finding = (Contract(exercise, function, student).of_layout(shown) if shown else None) or finding
    return replace(finding, seed=seed, sizes=sizes, follows=_gradient_of(finding, function, student))


def _gradient_of(finding: Finding, function: Function, student: Callable[..., Any]) -> str:
    """Where a loss is not right and the same function returns its gradient: that gradient, if it is the derivative of this loss."""
    link = function.forward
    if link is None or link.function != function.name or finding.numbers.get("output") != function.returns[0]:
        return ""
    return ", ".join(link.of) if derived(function, student, student, finding.seed, finding.sizes) else ""


def sizes_of_grade(seed: int) -> int:
    """Which of the size sets `grade` takes: never that of `check`, so that sizes that were written down do not pass."""
    return 1 + seed % (SIZE_SETS - 1)


def derived(function: Function, student: Callable[..., Any], forward: Callable[..., Any], seed: int, sizes: int) -> bool:
    """Whether a backward pass gives the derivative of the student's own forward pass in all calls; both may be right, or both not."""
    return function.forward is not None and follows(function, student, forward, function.probes(np.random.default_rng([seed, 0]), sizes))


def calls_of(function: Function) -> int:
    """How many calls a right function is tried with."""
    return DRAWS * len(function.probes(np.random.default_rng(0), 0))


def _first(exercise: Exercise, function: Function, student: Callable[..., Any], seed: int, sizes: int,
           forward: Callable[..., Any] | None) -> Finding | None:  # fmt: skip
    contract = Contract(exercise, function, student)
    if finding := contract.signature():
        return finding
    probes: list[Probe] = []
    answers: list[tuple[Any, ...]] = []
    kinds: list[Finding | None] = []
    kind = None
    for draw in range(DRAWS):
        for probe in function.probes(np.random.default_rng([seed, draw]), sizes):
            left, finding = contract.one_call(probe)
            does_not_fit = bool(left) and isinstance(left[0], MAY_BE_A_MISTAKE)
            if finding is not None and finding.key not in MAY_HAVE_A_NAME and not does_not_fit:
                return _earlier(Diagnosis(exercise, function, student, probes, answers, kinds), kind, finding)
            if probe.random:
                if finding is not None and finding.key not in MEMORY:
                    return _earlier(Diagnosis(exercise, function, student, [probe], [left], [finding]), kind, finding)
                kind = kind or finding
                continue
            if finding is None and not probes and (finding := contract.again(probe, left)):
                return finding
            kind = kind or finding
            probes.append(probe)
            answers.append(left)
            kinds.append(finding)
    finding = Diagnosis(exercise, function, student, probes, answers, kinds, forward).finding(kind)
    if finding is not None and finding.key in MEMORY:
        return _judged(exercise, function, student, seed, sizes) or finding
    if finding is not None:
        return finding
    if probes and (finding := contract.layouts(probes, answers)):
        return finding
    return _judged(exercise, function, student, seed, sizes)


def _earlier(diagnosis: Diagnosis, kind: Finding | None, finding: Finding) -> Finding:
    """The mistake that has ended all calls so far which raised, where there is one; else the error of the first of them, or `finding`."""
    return diagnosis.of_errors() or (kind if kind is not None and "error" in kind.numbers else finding)


def _judged(exercise: Exercise, function: Function, student: Callable[..., Any], seed: int, sizes: int) -> Finding | None:
    if function.judge is None or (judged := function.judge(student, np.random.default_rng(seed), sizes)) is None:
        return None
    key, numbers = judged
    seen = next((mistake.seen for mistake in function.mistakes if mistake.key == key), None)
    return Finding(f"{exercise.key}.{slug(key)}", exercise.key, function.name, "mistake", "", numbers, seen)

"""Both nets side by side, step by step: how far they are apart at each place, with all that came before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.capstone import net
from tinyalex.tutor.capstone.calls import LOSS, TEST, EngineCalls, Note, StudentCalls, difference
from tinyalex.tutor.capstone.net import Place


def run(
    functions: Mapping[str, Callable[..., Any]],
    fill: bool = True,
    told: Callable[[int], None] = lambda step: None,
    steps: int = net.STEPS,
) -> dict[str, Any]:
    """Train both nets from the same weights, with the same masks, and return what is to be said, as JSON values.

    functions: the student's, by name; the engine's stand in for those that are missing, or that turn out not to be written.
    fill: if False, a function that turns out not to be written ends the run after the first step. told: called after each step.
    steps: of training, at most net.STEPS.
    """
    yours, engine = net.weights(), net.weights()
    velocity, other_velocity = ({name: np.zeros_like(one) for name, one in net.weights().items()} for _ in range(2))
    student = StudentCalls(functions)
    losses: dict[str, list[float]] = {"yours": [], "engine": []}
    rows: dict[tuple[str, str], list[float | None]] = {}
    first: dict[str, Any] | None = None
    called: dict[tuple[str, str], str] = {}
    apart_at = set[tuple[str, str]]()
    for number, step in enumerate((*range(steps), TEST)):
        x, labels = net.batch(step)
        student.begin(step)
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # a net that goes astray overflows
            warnings.simplefilter("ignore")
            losses["yours"].append(_one(student, yours, velocity, x, labels, step))
            beside = EngineCalls(student.masks)
            losses["engine"].append(_one(beside, engine, other_velocity, x, labels, step))
        for at, (mine, its) in enumerate(zip(student.notes, beside.notes, strict=True)):
            if mine.function == "exchange_bytes" or (step == TEST and mine.place.direction != net.FORWARD):  # no layer reads these
                continue
            most, parts = _apart(mine, its)
            row = mine.place.layer, mine.place.direction
            called[row] = mine.function
            column = rows.setdefault(row, [None] * (steps + 1))
            column[number] = max(column[number] or 0.0, most)
            if parts:
                apart_at.add(row)
                first = first or {**mine.place._asdict(), "step": step, "at": at, "function": mine.function, "difference": most}
        told(step)
        if student.unwritten and not fill:
            break
    student.judge_masks()
    wrong = sorted(student.wrong.values(), key=lambda one: (one.step, one.at))
    return {
        "losses": losses,
        "rows": [{"layer": row[0], "direction": row[1], "function": called[row], "differences": values} for row, values in rows.items()],
        "first": first,
        "places": len(rows),
        "apart": len(apart_at),
        "wrong": [asdict(one) for one in wrong],
        "rounding": student.rounding,
        "unwritten": student.unwritten,
        "calls": student.counts,
        "largest": max(value for values in rows.values() for value in values if value is not None),
        "filters": {"yours": _filters(yours), "engine": _filters(engine)},
    }


def _one(calls: EngineCalls | StudentCalls, w: dict[str, Array], velocity: dict[str, Array], x: Array, labels: Array, step: int) -> float:
    """A training step, or at the end a forward pass alone; its loss."""
    train = step < net.STEPS
    logits, kept = net.forward(calls, w, x, train, step)
    loss, dlogits = calls.call(Place("loss", "", net.FORWARD), LOSS, logits, labels)
    if train:
        net.update(calls, w, velocity, net.backward(calls, w, dlogits, kept))
    return float(loss)


def _apart(mine: Note, its: Note) -> tuple[float, bool]:
    only = None if mine.only is None or its.only is None else mine.only & its.only
    found = [difference(a, b, only) for a, b in zip(mine.outputs, its.outputs, strict=True)]
    return max(most for most, _ in found), any(parts for _, parts in found)


def _filters(w: Mapping[str, Array]) -> list[Any]:
    return [w[f"conv1{t}.weight"].tolist() for t in net.TOWERS]

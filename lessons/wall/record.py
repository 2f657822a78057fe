"""The curves as a file, so that pages and tests need not train: `curves.json` beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lessons.extra import LessonError, progress
from lessons.wall.bugs import BUGS, RIGHT
from lessons.wall.run import Curve, Run, trained
from tinyalex.files.atomic import write_bytes

RECORD = Path(__file__).parent / "curves.json"
Curves = dict[str, Curve]


def runs() -> dict[str, Run]:
    """All runs by name: "right", the keys of the bugs, and the key with "-twin" where a bug has a twin."""
    twins = {f"{bug.key}-twin": bug.twin.run for bug in BUGS if bug.twin is not None}
    return {"right": RIGHT, **{bug.key: bug.run for bug in BUGS}, **twins}


def train_all() -> Curves:
    """Train all runs, and look whether each curve shows what its answer says. Raises LessonError where one does not."""
    found: Curves = {}
    with progress(len(runs()), "wall") as bar:
        for name, run in runs().items():
            found[name] = trained(run)
            bar.update()
    check(found)
    return found


def check(curves: Curves) -> None:
    """Raise LessonError unless each bug's curve shows what its answer says, no other bug's curve does, and twins look alike."""
    for bug in BUGS:
        for name in ("right", *(other.key for other in BUGS)):
            shows = bug.holds(curves[name], curves["right"])
            if shows != (name == bug.key):
                rule = "not show" if shows else "show"
                what = f"the curve of {name!r} must {rule} what the answer of {bug.key!r} says"
                raise LessonError(f"wall: {what}, got the opposite; mend the run or the answer")
        if bug.twin is not None and not bug.holds(curves[f"{bug.key}-twin"], curves["right"]):
            raise LessonError(f"wall: the twin of {bug.key!r} must show what its answer says, got another curve; name another twin")


def write(curves: Curves, path: Path | None = None) -> None:
    """Write the file: losses with five digits."""
    document = {name: _document(curve) for name, curve in curves.items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in document.items())
    write_bytes(path or RECORD, f"{{\n{lines}\n}}\n".encode())


def _document(curve: Curve) -> dict[str, Any]:
    def digits(array: Any) -> list[float]:
        return [float(f"{value:.5g}") for value in array]

    errors = {"train_error": digits(curve.train_error), "test_error": digits(curve.test_error)}
    return {"loss": digits(curve.loss), **errors, "says": list(curve.says)}


def _curve(one: dict[str, Any]) -> Curve:
    loss, train_error, test_error = (np.array(one[key], float) for key in ("loss", "train_error", "test_error"))
    return Curve(loss, train_error, test_error, tuple(one["says"]))


def read(path: Path | None = None) -> Curves:
    """The curves of the file. Raises LessonError where there is none, or another set of runs is in it."""
    path = path or RECORD
    try:
        document = json.loads(path.read_text("utf-8"))
        found = {name: _curve(one) for name, one in document.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LessonError(f"wall: {path.name} must hold the curves, got {type(error).__name__}; python -m lessons wall") from None
    if list(found) != list(runs()):
        raise LessonError(f"wall: {path.name} must hold the curves of {len(runs())} runs, got other names; python -m lessons wall")
    return found

"""A finished run: the file `run.json` in its folder, and its curves and errors as an `Outcome`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, show
from tinyalex.experiments.claims.plan import VARIANTS
from tinyalex.files.atomic import write_json

RUN, FORMAT, FORMAT_VERSION = "run.json", "tinyalex-claims-run", 1
CURVES = ("loss", "running_error", "train_error", "test_error", "lr")


@dataclass(frozen=True)
class Color:
    """How the two halves of conv1 treat color after an epoch, see `tinyalex.analysis.specialization`.

    epoch: 0 for the net before training. a, b: the mean gray share of each half. null, p: the 95th percentile of the difference of
    random halves, and the share of random halves that differ at least as much. shares: the gray share of each filter.
    """

    epoch: int
    a: float
    b: float
    null: float
    p: float
    shares: tuple[float, ...]

    @property
    def difference(self) -> float:
        """By how much the halves differ, without a sign."""
        return abs(self.a - self.b)


@dataclass(frozen=True)
class Outcome:
    """What a run gave. Two runs with the same settings on the same machine have equal outcomes, whether they were stopped or not.

    loss, running_error, train_error, test_error, lr: for epochs 1, 2, ...; train_error is empty where it is not measured. `loss` and
    `running_error` are means over the batches of an epoch, with dropout. Errors are fractions.
    ten_views: the test error of the finished net by the mean of ten views; None where it is not measured.
    colors: for epochs 0, 1, ...; empty where they are not measured. parameters: how many. sha256: of all parameters.
    diverged: the message if the loss became infinite or NaN; then there is no test error of a finished net.
    final_train, final_test: the errors of the finished net on all of its training images, without augmentation, and on all test images,
    where `test_error` has fewer; None where they are not measured. An ensemble has these alone, and no curves.
    """

    loss: tuple[float, ...]
    running_error: tuple[float, ...]
    train_error: tuple[float, ...]
    test_error: tuple[float, ...]
    lr: tuple[float, ...]
    ten_views: float | None
    colors: tuple[Color, ...]
    parameters: int
    sha256: str
    diverged: str | None = None
    final_train: float | None = None
    final_test: float | None = None

    @property
    def last_train(self) -> float | None:
        """The training error of the finished net; None where it is not measured."""
        return self.final_train if self.final_train is not None else (self.train_error or (None,))[-1]

    @property
    def last_test(self) -> float | None:
        """The test error of the finished net with one view; None of a run that diverged in its first epoch."""
        return self.final_test if self.final_test is not None else (self.test_error or (None,))[-1]


@dataclass(frozen=True)
class Run:
    """A finished run.

    variant, seed: which. settings: all that decides the outcome. outcome: what it gave. wall_s: seconds that it took.
    how: machine, versions, BLAS, device, workers and the time when it began.
    """

    variant: str
    seed: int
    settings: dict[str, Any]
    outcome: Outcome
    wall_s: float
    how: dict[str, Any]


def name_of(variant: str, seed: int) -> str:
    """The name of a run's folder."""
    return f"{variant}-seed{seed}"


def write_run(folder: Path, run: Run) -> None:
    """Write `run.json` atomically. Where this file is, the run is finished."""
    write_json(folder / RUN, {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(run)})


def read_run(folder: Path) -> Run | None:
    """The finished run in `folder`; None if there is none.

    Raises
    ------
    CheckpointError: the file is not a run, or is of a run that belongs in another folder.
    """
    path = folder / RUN
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if (document.pop("format"), document.pop("format_version")) != (FORMAT, FORMAT_VERSION):
            raise ValueError("another format")
        run = Run(**document | {"outcome": _outcome(document["outcome"])})
        if name_of(run.variant, run.seed) != folder.name:
            raise ValueError(f"a run of {name_of(run.variant, run.seed)}")
        if run.variant not in VARIANTS:
            raise ValueError(f"a run of the unknown variant {run.variant}")
        if not isinstance(run.settings["images"], dict) or not isinstance(run.how, dict) or not math.isfinite(run.wall_s):
            raise ValueError("settings, how or wall_s of another form")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError) as error:
        text = f"{path}: the file must be a finished run of claims, got {show(str(error))} in reading it"
        raise CheckpointError(f"{text}; bring it back, or delete {folder} to train this run again") from None
    return run


def read_runs(folder: Path) -> dict[tuple[str, int], Run]:
    """All finished runs in the folder `runs` of `folder`, by variant and seed. CheckpointError: see `read_run`."""
    found = (read_run(path) for path in sorted((folder / "runs").glob("*")) if path.is_dir())
    return {(run.variant, run.seed): run for run in found if run is not None}


def _outcome(values: dict[str, Any]) -> Outcome:
    """The outcome that a file holds. ValueError, TypeError: a field has another form."""
    curves = {key: _numbers(values[key]) for key in CURVES}
    colors = tuple(Color(**color | {"shares": _numbers(color["shares"])}) for color in values["colors"])
    outcome = Outcome(**values | curves | {"colors": colors})
    lengths = {len(curves[key]) for key in CURVES if key != "train_error" or curves[key]}
    if len(lengths) != 1:
        raise ValueError("curves of different lengths")
    if outcome.diverged is None and 0 in lengths and outcome.final_test is None:
        raise ValueError("no epochs")
    finals = outcome.ten_views, outcome.final_train, outcome.final_test
    for number in (*finals, *(getattr(color, field.name) for color in colors for field in fields(Color)[:-1])):
        if number is not None:
            _numbers([number])
    return outcome


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise ValueError(f"no finite numbers in {str(values)[:40]}")
    return tuple(values)

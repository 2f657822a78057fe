"""What an epoch of a run came to, and how it comes back from the run's log."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, show


@dataclass(frozen=True)
class EpochResult:
    """One epoch. Errors are fractions in [0, 1]; `lr` is the rate it was trained with.

    loss, running_error: means over the epoch's batches, each taken before its update and with dropout.
    train_error, val_error: of the whole sets after the epoch; None where not evaluated.
    wall_s: seconds since the run's start, evaluation included, pauses between two processes not.
    images_per_s: of the training steps alone.
    """

    epoch: int
    wall_s: float
    loss: float
    running_error: float
    train_error: float | None
    val_error: float | None
    lr: float
    images_per_s: float


def read_epochs(path: Path, lines: Sequence[Mapping[str, Any]]) -> list[EpochResult]:
    """The epochs among the lines of the log `path`.

    Raises
    ------
    CheckpointError: epochs that are not 1, 2, ... in order, or one without a number that belongs to it.
    """
    results = []
    for line in lines:
        if line.get("kind") == "epoch":
            values = {field.name: _number(path, line, field.name, "None" in str(field.type)) for field in fields(EpochResult)}
            results.append(EpochResult(**values))
            if values["epoch"] != len(results):
                raise CheckpointError(
                    f"{path}: epochs must be 1, 2, ... in order, got {values['epoch']} in place of {len(results)}; the file was altered"
                )
    return results


def _number(path: Path, line: Mapping[str, Any], key: str, may_be_none: bool) -> Any:
    value, is_error = line.get(key), key.endswith("_error")
    small = isinstance(value, float) or (type(value) is int and abs(value) < 2**53)  # others need not fit a float
    if value is not None and small and (0 <= value <= 1 if is_error else math.isfinite(value)):
        return value
    if value is None and may_be_none and key in line:
        return None
    rule, got = "from 0 to 1" if is_error else "a finite number", show(value) if key in line else "nothing"
    raise CheckpointError(f"{path}: {key} of an epoch must be {rule}, got {got}; the file was altered")

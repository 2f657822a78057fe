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
    value = line.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if is_number or (value is None and may_be_none and key in line):
        return value
    got = show(value) if key in line else "nothing"
    raise CheckpointError(f"{path}: {key} of an epoch must be a finite number, got {got}; the file was altered")

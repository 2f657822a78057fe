"""A run of Figure 1, how it is read from its folder, and the check that all runs of a folder used the same images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyalex.data.dataset import Dataset
from tinyalex.data.source import fingerprint
from tinyalex.errors import CheckpointError, ShapeError, require_float, require_int, show
from tinyalex.models.cifar import ACTIVATIONS, SETUPS
from tinyalex.training import EpochResult, RunLog
from tinyalex.training.log import NAME as LOG, read_epochs

START_ERROR = 0.9  # the error before any training, for ten classes; the interpolation of the first epoch begins with it
IMAGES = ("data", "note", "train_images", "val_images", "train_sha256", "val_sha256")  # the keys of a log that describe the images


@dataclass
class Run:
    """One training run and its result.

    setup, activation, lr, seed: what distinguishes it from other runs. epochs: the results of its epochs so far.
    diverged: the error message if its loss became infinite or NaN, else None. header: the first line of its log.
    """

    setup: str
    activation: str
    lr: float
    seed: int
    epochs: list[EpochResult] = field(default_factory=list)
    diverged: str | None = None
    header: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.setup}-{self.activation}-lr{self.lr:g}-seed{self.seed}"

    def errors(self, kind: str) -> list[float]:
        """The errors of epochs 1, 2, ...; kind is "train_error", "running_error" or "val_error"."""
        return [getattr(epoch, kind) for epoch in self.epochs]

    def reached(self, target: float) -> bool:
        """Whether both errors of the last epoch are at or below the target, so that the run has ended."""
        return bool(self.epochs) and at_most(self.epochs[-1], target)


def at_most(epoch: EpochResult, target: float) -> bool:
    """Whether both errors of the epoch are at or below the target; then a run ends."""
    return epoch.train_error is not None and max(epoch.train_error, epoch.running_error) <= target


def epochs_to(errors: Sequence[float], target: float) -> float | None:
    """After how many epochs the error first reached the target, by linear interpolation; None if it never reached the target.

    `errors` are the errors after epochs 1, 2, .... Before any training the error is 0.9.

    Example
    -------
    >>> epochs_to([0.5, 0.3, 0.2], 0.25)
    2.5
    """
    before = START_ERROR
    for epoch, error in enumerate(errors):
        if error <= target:
            return epoch + (before - target) / (before - error)
        before = error
    return None


def read_runs(folder: Path) -> list[Run]:
    """All runs in the folder `runs` of `folder`, finished or not, sorted by name. CheckpointError: see `read_run`."""
    found = (read_run(path) for path in sorted((folder / "runs").glob("*")) if path.is_dir())
    return [run for run in found if run is not None]


def read_run(folder: Path) -> Run | None:
    """The run in `folder` with the epochs that it has so far; None if there is no run.

    Raises
    ------
    CheckpointError: the log cannot be read, or belongs to a run with another name than the folder's.
    """
    try:
        lines = RunLog(folder / LOG).read()
        return _run_of(folder, lines) if lines else None
    except CheckpointError as error:
        text = error.sentence  # below it gets a better remedy
    except ShapeError as error:
        text = str(error)
    raise CheckpointError(f"{text}; bring the file back, or delete {folder} to train this run again")


def _run_of(folder: Path, lines: Sequence[Mapping[str, Any]]) -> Run:
    """The run that the lines of a log describe. Everything that a picture or a result needs is checked."""
    log, header = str(folder / LOG), dict(lines[0])
    config = _require(log, "config", header.get("config"), "a JSON object", isinstance(header.get("config"), dict))
    trainer = _require(log, "trainer of config", config.get("trainer"), "a JSON object", isinstance(config.get("trainer"), dict))
    setup, _, activation = folder.name.partition("-lr")[0].rpartition("-")
    lr = require_float(log, "first_lr", trainer.get("first_lr"), "a number above 0", lambda value: 0 < value < math.inf)
    run = Run(setup, activation, lr, require_int(log, "seed", trainer.get("seed"), 0), header=header)
    name, known = config.get("run"), setup in SETUPS and activation in ACTIVATIONS
    _require(log, "run", name, f"{folder.name}, its folder's name", name == folder.name)
    _require(log, "name of the run", name, "that of its setup, activation, first_lr and seed", known and name == run.name)
    for key in ("train_images", "val_images", "batch_size"):
        require_int(log, key, trainer.get(key))
    require_float(log, "momentum", trainer.get("momentum"), "a finite number", math.isfinite)
    for key in ("data", "note"):
        _require(log, key, config.get(key), "a printable text", _is_text(config.get(key)))
    for key in ("machine", "versions", "blas", "device", "workers", "time"):
        _require(log, key, header.get(key), "given", key in header)
    versions = header["versions"]
    _require(log, "versions", versions, "those of tinyalex and others", isinstance(versions, dict) and _is_text(versions.get("tinyalex")))
    run.epochs = read_epochs(folder / LOG, lines)
    for epoch in run.epochs:
        _require(log, f"train_error of epoch {epoch.epoch}", None, "a number from 0 to 1", epoch.train_error is not None)
    for line in lines:
        if line.get("kind") == "diverged":
            run.diverged = _require(log, "message of diverged", line.get("message"), "a printable text", _is_text(line.get("message")))
    return run


def _require(log: str, quantity: str, value: Any, rule: str, holds: bool) -> Any:
    if not holds:
        raise ShapeError(f"{log}: {quantity} must be {rule}, got {show(value)}")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def images_of(dataset: Dataset) -> dict[str, Any]:
    """The values by which the log of a run with `dataset` describes its images."""
    train, test = (dataset.train_images, dataset.train_labels), (dataset.test_images, dataset.test_labels)
    values = (dataset.name, dataset.note, len(train[1]), len(test[1]), fingerprint(*train), fingerprint(*test))
    return dict(zip(IMAGES, values, strict=True))


def check_images(folder: Path, runs: Iterable[Run], images: Mapping[str, Any] | None = None) -> None:
    """Raise unless all runs used the same images, and, if `images` is given, those images.

    The logs of older runs have no fingerprints of the images; of them the other values are compared.

    Raises
    ------
    CheckpointError: two runs used different images.
    """
    known = {key: ("this call", value) for key, value in (images or {}).items()}
    for run in runs:
        config = run.header["config"]
        said = {**config, **config["trainer"]}
        for key in filter(said.__contains__, IMAGES):
            who, value = known.setdefault(key, (run.name, said[key]))
            if said[key] != value:
                raise CheckpointError(
                    f"{folder}: all runs of a folder must be of the same images, got {key} = {show(said[key])} in {run.name} "
                    f"where {who} has {show(value)}; use another folder for other images"
                )

"""How a run goes on: what tells it from every other run, and what its folder holds of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyalex.data.batches import Batches, Prepare
from tinyalex.data.source import Source
from tinyalex.errors import CheckpointError
from tinyalex.layers.base import Layer
from tinyalex.loss import Loss, WeightedHeads
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule
from tinyalex.training.checkpoint import Checkpoint, latest_checkpoint
from tinyalex.training.config import as_json, comparable, described, first_difference, net_config
from tinyalex.training.log import NAME, EpochResult, RunLog, read_epochs


def run_config(
    config: Mapping[str, Any],
    net: Layer,
    sgd: SGD,
    schedule: Schedule,
    loss: Loss,
    prepare: Prepare,
    batches: Batches,
    val: Source | None,
) -> dict[str, Any]:
    """The user's `config`, and under "trainer" all else that decides the result of a run, as JSON."""
    own = {
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "train_images": len(batches.source),
        "val_images": 0 if val is None else len(val),
        "train_sha256": batches.source.fingerprint(),
        "val_sha256": None if val is None else val.fingerprint(),
        "prepare": type(prepare).__name__,
        "schedule": type(schedule).__name__,
        "first_lr": schedule.base,
        "momentum": sgd.momentum,
        "weight_decay": sgd.weight_decay,
        "schedule_settings": schedule.settings(),
        "prepare_settings": described(prepare),
        "loss": f"WeightedHeads {loss.weights}" if isinstance(loss, WeightedHeads) else type(loss).__name__,
        **net_config(net, sgd),
        **({"segment": batches.segment} if batches.segment is not None else {}),
    }
    return as_json({**config, "trainer": own})


def stored_run(folder: Path, config: Mapping[str, Any]) -> tuple[Checkpoint, list[EpochResult]] | None:
    """The newest checkpoint of a folder and the results of its epochs; None where the folder holds no run.

    Raises
    ------
    CheckpointError: the run had another config, or its log lacks epochs.
    """
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        return None
    mine, stored = comparable(config, checkpoint.config)
    difference = first_difference(stored, mine)
    if difference is not None:
        key, there, here = difference
        raise CheckpointError(
            f"{folder}: the config of a run that goes on must be the first run's, got {key} = {here} where that had {there}; "
            "use its settings and data, or another folder"
        )
    epochs, log = checkpoint.position.epoch, folder / NAME
    results = read_epochs(log, RunLog(log).read())[:epochs]  # after a kill the log may hold one epoch more than the checkpoint
    if len(results) < epochs:
        raise CheckpointError(f"{log}: the log must hold the {epochs} epochs of its checkpoint, got {len(results)}; bring it back")
    return checkpoint, results

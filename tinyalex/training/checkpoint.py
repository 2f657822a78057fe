"""Checkpoints: everything that a stopped run needs to continue as if it had never stopped.

A checkpoint is one safetensors file with the parameters, the velocities, the schedule's state and the position in the
run. The order of the images, the dropout masks and the augmentation are functions of seed and position, so no state of a
random generator has to be stored.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinyalex import __version__
from tinyalex.errors import CheckpointError, show
from tinyalex.files.atomic import require_folder, require_path
from tinyalex.files.tensors import Tensor, read_tensors, write_tensors
from tinyalex.layers.base import Layer
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import PLAIN_VERSION, PREFIX, arrays_of, check_tensors, copy_state, match_state, state_on_host, version_of
from tinyalex.optim import SGD
from tinyalex.parameters import require_thawed
from tinyalex.schedule import Schedule

FORMAT, FORMAT_VERSION = "tinyalex-checkpoint", 3
KEPT = 2  # the newest checkpoint, and the one before in case a disk damages the newest


@dataclass
class Position:
    """How far a run has come.

    epoch: complete epochs. step: updates since the start of the run. wall_s: seconds that the run has taken.
    batch, images: batches and images of the epoch in progress that are done. loss_sum, errors: the sum of their losses and
        the number of them that the net got wrong. train_s: seconds of their steps. wait_s: of these, seconds of waiting for images.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    wall_s: float = 0.0
    loss_sum: float = 0.0
    errors: int = 0
    images: int = 0
    train_s: float = 0.0
    wait_s: float = 0.0

    def next_epoch(self) -> None:
        """Count the epoch as complete, and set the sums to zero for the next one."""
        self.epoch, self.batch, self.loss_sum, self.errors, self.images = self.epoch + 1, 0, 0.0, 0, 0
        self.train_s = self.wait_s = 0.0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The contents of a checkpoint file.

    params: the parameters and buffers by name, such as "conv1.weight". velocity: the velocities by the names of the parameters.
    schedule: the state of the schedule. config: the config of the run. tinyalex: the version of tinyalex that wrote the file.
    about_text, about_arrays: what the file says about its net, as it is stored; `about` makes a `SavedNet` of them.
    """

    path: Path
    params: dict[str, Tensor]
    velocity: dict[str, Tensor]
    schedule: dict[str, Any]
    position: Position
    config: dict[str, Any]
    tinyalex: str
    about_text: dict[str, str] = dataclasses.field(default_factory=dict)
    about_arrays: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    def about(self) -> SavedNet | None:
        """What the checkpoint says about its net; None if it says nothing. CheckpointError: it is of another form."""
        return SavedNet.from_stored(str(self.path), self.about_text, self.about_arrays)

    def restore(self, net: Layer, sgd: SGD, schedule: Schedule) -> Position:
        """Copy the checkpoint's state into `net`, `sgd` and `schedule`, and return its position.

        Everything is checked before anything is written. A checkpoint of a net with one tower fits the same net with two
        towers, and the reverse. Only names, shapes and types of the parameters are compared here: a checkpoint of the paper's
        AlexNet fits Caffe's AlexNet, which computes something else. `Trainer` also compares the configs.

        Raises
        ------
        CheckpointError: the parameters have other names, shapes or types, or the schedule is of another kind.
        """
        wanted = arrays_of(net)
        params, velocity = match_state(self.params, wanted), match_state(self.velocity, sgd.velocity)
        check_tensors(f"{self.path}: param", wanted, params, exact=True)
        check_tensors(f"{self.path}: velocity", sgd.velocity, velocity, exact=True)
        require_thawed(str(self.path), net)
        self._load_schedule(schedule)
        copy_state(net, params)
        for leaf in net.leaves():
            leaf.zero_grad()
            for name in (f"{leaf.name}.{key}" for key in leaf.params):
                sgd.velocity[name][...] = leaf.device.asarray(velocity[name])
        sgd.follow(schedule.lr, schedule.base)
        sgd.whole = True
        return Position(**asdict(self.position))

    def _load_schedule(self, schedule: Schedule) -> None:
        """Give `schedule` the stored state. If the state does not fit, raise and leave the schedule unchanged."""
        if set(self.schedule) != set(schedule.state()):
            raise CheckpointError(
                f"{self.path}: the schedule's state must hold {', '.join(schedule.state())}, as {type(schedule).__name__} does, "
                f"got {', '.join(self.schedule)}; use the schedule of the first run"
            )
        try:
            schedule.load_state(self.schedule)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}; use the schedule of the first run") from None


def save_checkpoint(
    path: Path | str,
    net: Layer,
    sgd: SGD,
    schedule: Schedule,
    position: Position,
    config: Mapping[str, Any],
    about: SavedNet | None = None,
) -> None:
    """Write a checkpoint. A reader of `path` sees the old file or the whole new file, never a part.

    about: which net it is, and how it reads images. With it `load_net` makes the net from the file alone.

    Raises
    ------
    DiskFull: there is no room for the file.
    """
    tensors = {f"param/{name}": array for name, array in state_on_host(net).items()}
    for leaf in net.leaves():
        for key in leaf.params:
            tensors[f"velocity/{leaf.name}.{key}"] = leaf.device.to_numpy(sgd.velocity[f"{leaf.name}.{key}"])
    state = {"schedule": schedule.state(), "position": asdict(position), "config": config, "tinyalex": __version__}
    text = {key: json.dumps(value, allow_nan=False) for key, value in state.items()}
    if about is not None:
        own, arrays = about.stored()
        text, tensors = text | own, tensors | arrays
    write_tensors(path, tensors, FORMAT, version_of(about), text)


def load_checkpoint(path: Path | str) -> Checkpoint:
    """Read the checkpoint in the file `path` and check every byte of it.

    Raises
    ------
    CheckpointError: there is no such file, or it is truncated, altered or of a newer format.
    """
    path = require_path(path)
    tensors, text = read_tensors(path, FORMAT, FORMAT_VERSION, PLAIN_VERSION)
    try:
        state = {key: json.loads(text[key]) for key in ("schedule", "position", "config", "tinyalex")}
        position = _position(state["position"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the state must be JSON of a run's position, got {show(error)}") from None
    parts: dict[str, dict[str, Tensor]] = {"param": {}, "velocity": {}}
    stored = {name: array for name, array in tensors.items() if name.startswith(PREFIX)}
    for name, array in tensors.items():
        kind, _, rest = name.partition("/")
        if name in stored:
            continue
        if kind not in parts:
            raise CheckpointError(f"{path}: every tensor must be named param/... or velocity/..., got {show(name)}")
        parts[kind][rest] = array
    for key in ("schedule", "config"):
        if not isinstance(state[key], dict):
            raise CheckpointError(f"{path}: {key} must be a JSON object, got {show(state[key])}")
    about, own = {"about": text["about"]} if "about" in text else {}, (state["schedule"], position, state["config"], state["tinyalex"])
    return Checkpoint(path, parts["param"], parts["velocity"], *own, about, stored)


def checkpoint_path(folder: Path, step: int) -> Path:
    """The path of the checkpoint after `step` updates."""
    return folder / f"checkpoint-{step:06d}.safetensors"


def checkpoint_files(folder: Path) -> list[Path]:
    """The paths of the folder's checkpoints, the oldest first."""
    steps = {path: re.fullmatch(r"checkpoint-([0-9]+)\.safetensors", path.name) for path in folder.glob("checkpoint-*")}
    return sorted((path for path, match in steps.items() if match), key=lambda path: int(path.stem.partition("-")[2]))


def prune_checkpoints(folder: Path) -> None:
    """Delete all checkpoints of the folder except the newest two."""
    for path in checkpoint_files(folder)[:-KEPT]:
        path.unlink(missing_ok=True)


def latest_checkpoint(folder: Path | str) -> Checkpoint | None:
    """The folder's newest checkpoint; None if the folder has no checkpoint.

    Raises
    ------
    CheckpointError: the newest checkpoint cannot be read. The message names the newest one that can be read. It is not used
        in silence, because the run would lose epochs without a word.
    """
    folder = require_folder(folder)
    files = checkpoint_files(folder)
    if not files:
        return None
    try:
        return load_checkpoint(files[-1])
    except CheckpointError as error:
        for older in reversed(files[:-1]):
            if _loads(older):
                raise CheckpointError(f"{error}; delete {files[-1].name} to go on from {older.name}, which is whole") from None
        raise CheckpointError(f"{error}; there is no other checkpoint in {folder}, so start again in a new folder") from None


def _loads(path: Path) -> bool:
    try:
        load_checkpoint(path)
    except CheckpointError:
        return False
    return True


def _position(found: dict[str, Any]) -> Position:
    """The position that a file holds. ValueError if a field has another type, is below zero (only `loss_sum` may be) or not finite."""
    found = {"wait_s": 0.0, **found}  # older files lack it
    for field in fields(Position):
        value = found[field.name]
        if type(value) not in ((int,) if field.type == "int" else (int, float)) or not (0 <= value < math.inf or field.name == "loss_sum"):
            raise ValueError(f"{field.name} {value!r}")
    return Position(**found)

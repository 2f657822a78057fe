"""The training loop: batches in order, a log, checkpoints, and going on after whatever stopped it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.batches import Batches, Prepare, check_arrays
from tinyalex.devices import Array
from tinyalex.errors import CheckpointError, DataError, DivergedError, Interrupted, ShapeError, require_float, require_int
from tinyalex.files.atomic import alone_in, remove_strays
from tinyalex.layers.base import Layer
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.optim import SGD
from tinyalex.schedule import Plateau, Schedule
from tinyalex.training.checkpoint import Position, checkpoint_files, checkpoint_path, latest_checkpoint, prune_checkpoints, save_checkpoint
from tinyalex.training.config import as_json, comparable, fingerprint, first_difference
from tinyalex.training.diagnose import bad_parameter, first_bad
from tinyalex.training.evaluate import Arrays, evaluate
from tinyalex.training.log import NAME, EpochResult, RunLog, describe_run, read_epochs
from tinyalex.training.signals import NAMES, StopSignals

READ_EVERY = 10  # steps between two looks at the loss where a look has to wait for the device


class Trainer:
    """Trains a network, and goes on exactly where the last run in its folder stopped.

    Parameters
    ----------
    net, sgd, schedule, loss: what is trained, and how; made the same way as in the run that is to go on.
    train, val: (images uint8 (N, C, H, W), labels); val may be None where the schedule does not need its error.
    prepare: bytes to input, see `tinyalex.data.batches`.
    folder: where log.jsonl and the last two checkpoints go; None keeps nothing. One that holds a checkpoint is gone on from.
    config: anything of JSON that tells this run from others; a run only goes on from a checkpoint of an equal one, and with
        the same data: the trainer adds fingerprints of `train` and `val`.
    batch_size, seed: of the batches and their order.
    evaluate_train: whether the error on the whole training set is taken after each epoch.
    save_every_s: seconds between checkpoints inside an epoch; 0 saves after each step.
    progress: a bar on stderr; None shows it where stderr is a terminal.

    Raises
    ------
    CheckpointError: the folder holds a run of another config or of other data, or a checkpoint or a log that does not load.
    DataError, ShapeError: images, labels or a setting that cannot be trained with.
    """

    def __init__(
        self,
        net: Layer,
        sgd: SGD,
        schedule: Schedule,
        loss: SoftmaxCrossEntropy,
        *,
        train: Arrays,
        val: Arrays | None = None,
        prepare: Prepare,
        folder: Path | str | None = None,
        config: Mapping[str, Any] | None = None,
        batch_size: int = 128,
        seed: int = 0,
        evaluate_train: bool = True,
        save_every_s: float = 60.0,
        progress: bool | None = None,
    ) -> None:
        self.net, self.sgd, self.schedule, self.loss, self.val, self.prepare = net, sgd, schedule, loss, val, prepare
        self.batches = Batches(train[0], train[1], batch_size, prepare=prepare, seed=seed)
        if val is not None:
            check_arrays("trainer: val", *val)
            if (shape := train[0].shape[1:]) != val[0].shape[1:]:
                raise DataError(f"trainer: val images must be of the training images' shape {shape}, got {val[0].shape[1:]}")
        self.evaluate_train, self.progress = evaluate_train, progress
        self.save_every_s = require_float("trainer", "save_every_s", save_every_s, "a number of at least 0", lambda v: v >= 0)
        if val is None and isinstance(schedule, Plateau):
            raise ShapeError("trainer: val must be given, as the schedule Plateau follows its error, got None")
        self.config = self._whole_config({} if config is None else config)
        self.folder = None if folder is None else Path(folder)
        self.position = Position()
        self.results: list[EpochResult] = []
        self._with_step: list[Any] = [leaf for leaf in net.leaves() if hasattr(leaf, "step")]  # dropout masks follow it
        self._pending: list[tuple[Array, Array, np.ndarray[Any, Any]]] = []
        self._stop = StopSignals()
        self._bar: Any = None
        self._started = False
        self._clock = self._saved_at = 0.0
        if self.folder is not None:
            self._go_on(self.folder)
        sgd.lr = schedule.lr

    def run(
        self, epochs: int, until: Callable[[EpochResult], bool] | None = None, expected: int | None = None
    ) -> list[EpochResult]:
        """Train until `epochs` epochs are complete, those before a resume included, and return all their results.

        Parameters
        ----------
        until: asked after each epoch; True ends the run. A Plateau schedule that has finished ends it too.
        expected: epochs after which `until` is likely to end the run: the bar tells the time left to there.

        Raises
        ------
        Interrupted: Ctrl-C or SIGTERM; the step was finished and the run saved.
        DivergedError: a loss that is not finite; the checkpoint before it is kept.
        DiskFull: no room for a checkpoint; the one before it is kept.
        """
        epochs = require_int("trainer", "epochs", epochs)
        with alone_in(self.folder):
            self._start_folder()
            bar = self._open_bar(epochs if expected is None else min(expected, epochs))
            with StopSignals() as self._stop, bar as self._bar, np.errstate(over="ignore", invalid="ignore"):
                self._clock = self._saved_at = time.perf_counter()
                while self.position.epoch < epochs and not self._ended(until):
                    self._bar.set_description(f"epoch {self.position.epoch + 1}/{epochs}")
                    self._train_epoch()
                    self._end_epoch()
                    if self._stop.received is not None:  # it came while the epoch was saved
                        self._interrupted()
        return list(self.results)

    def _ended(self, until: Callable[[EpochResult], bool] | None) -> bool:
        """Asked before each epoch, so a run killed right after its last epoch ends there when it goes on."""
        if not self.results or self.position.batch > 0:
            return False
        return bool(getattr(self.schedule, "finished", False)) or (until is not None and bool(until(self.results[-1])))

    def _train_epoch(self) -> None:
        position, began = self.position, time.perf_counter()
        for images, labels in self.batches.of_epoch(position.epoch, position.batch):
            self._step(images, labels)
            now = time.perf_counter()
            position.train_s += now - began
            self._bar.update(len(labels))
            if self._stop.received is not None:
                self._interrupted()
            if now - self._saved_at >= self.save_every_s:
                self._save()
            began = time.perf_counter()

    def _step(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
        for leaf in self._with_step:
            leaf.step = self.position.step
        x = self.net.device.asarray(images, self.net.dtype)
        logits = self.net.forward(x, train=True)
        self._pending.append((self.loss.forward(logits, labels, train=True), logits, labels))
        last = self.position.batch + 1 == len(self.batches)
        if self.loss.device.kind == "cpu" or last or len(self._pending) == READ_EVERY:
            self._read_losses(x)
        self.net.backward(self.loss.backward())
        self.sgd.step()
        self.position.step += 1
        self.position.batch += 1

    def _read_losses(self, x: Array | None = None) -> None:
        """Take the losses and errors since the last look into the sums; `x` is the batch to blame."""
        position = self.position
        for loss_on_device, logits, labels in self._pending:
            loss = float(loss_on_device)
            if not math.isfinite(loss):
                at, bad = f"step {position.step + 1}, epoch {position.epoch + 1}", "unknown" if x is None else first_bad(self.net, x)
                self._diverged(f"loss must be finite, got {loss} at {at}; the first bad numbers are in {bad}")
            position.loss_sum += loss * len(labels)
            position.errors += int((self.loss.device.to_numpy(logits).argmax(axis=1) != labels).sum())
            position.images += len(labels)
        self._pending.clear()
        self._bar.set_postfix(
            loss=f"{position.loss_sum / position.images:.4f}", error=f"{position.errors / position.images:.4f}", refresh=False
        )

    def _end_epoch(self) -> None:
        """Evaluate, set the next rate, log, save: in this order, so that a kill anywhere between repeats what was not saved."""
        position, lr = self.position, self.schedule.lr
        self._bar.set_description(f"epoch {position.epoch + 1}, evaluating")
        train_error = self._error_on((self.batches.images, self.batches.labels)) if self.evaluate_train else None
        val_error = None if self.val is None else self._error_on(self.val)
        self.sgd.lr = self.schedule.end_epoch(val_error)
        self._count_time()
        loss, running_error = position.loss_sum / position.images, position.errors / position.images
        images_per_s = position.images / position.train_s if position.train_s > 0 else 0.0
        result = EpochResult(position.epoch + 1, position.wall_s, loss, running_error, train_error, val_error, lr, images_per_s)
        self.results.append(result)
        if self.folder is not None:
            RunLog(self.folder / NAME).append({"kind": "epoch", **asdict(result)})
        position.next_epoch()
        self._save()

    def _error_on(self, data: Arrays) -> float:
        def after_batch(images: int) -> None:
            if self._stop.received is not None:
                self._interrupted()  # the epoch's steps are all done: it goes on with the evaluation

        return evaluate(self.net, self.loss, data, self.prepare, self.batches.batch_size, after_batch).error

    def _save(self) -> None:
        if self.folder is not None:
            if self._pending:
                self._read_losses()
            self._count_time()
            if bad := bad_parameter(self.net):
                self._diverged(f"parameters must be finite, got a NaN or an infinity in {bad} after step {self.position.step}")
            save_checkpoint(checkpoint_path(self.folder, self.position.step), self.net, self.sgd, self.schedule, self.position, self.config)
            prune_checkpoints(self.folder)
        self._saved_at = time.perf_counter()

    def _count_time(self) -> None:
        now = time.perf_counter()
        self.position.wall_s += now - self._clock
        self._clock = now

    def _interrupted(self) -> None:
        number = self._stop.received or 0
        self._save()
        step, how = self.position.step, NAMES.get(number, f"signal {number}")
        if self.folder is None:
            raise Interrupted(f"trainer: the run was stopped by {how} after step {step}; without a folder nothing is saved", 128 + number)
        raise Interrupted(
            f"trainer: the run was stopped by {how} after step {step} and saved in {self.folder}; run the same command again to go on",
            128 + number,
            self.folder,
        )

    def _diverged(self, what: str) -> None:
        saved = [] if self.folder is None else checkpoint_files(self.folder)
        kept = f"; the last good checkpoint is {saved[-1]}" if saved else ""
        raise DivergedError(f"trainer: {what}; use a learning rate below {self.sgd.lr:g}{kept}")

    def _whole_config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        own = {
            "batch_size": self.batches.batch_size,
            "seed": self.batches.seed,
            "train_images": len(self.batches.images),
            "val_images": 0 if self.val is None else len(self.val[0]),
            "train_sha256": fingerprint(self.batches.images, self.batches.labels),
            "val_sha256": None if self.val is None else fingerprint(*self.val),
            "prepare": type(self.prepare).__name__,
            "schedule": type(self.schedule).__name__,
            "first_lr": self.schedule.base,
            "momentum": self.sgd.momentum,
            "weight_decay": self.sgd.weight_decay,
        }
        return as_json({**config, "trainer": own})

    def _go_on(self, folder: Path) -> None:
        checkpoint = latest_checkpoint(folder)
        if checkpoint is None:
            return
        difference = first_difference(checkpoint.config, comparable(self.config, checkpoint.config))
        if difference is not None:
            key, there, here = difference
            raise CheckpointError(
                f"{folder}: the config of a run that goes on must be the first run's, got {key} = {here} where that had {there}; "
                "use its settings and data, or another folder"
            )
        epochs, log = checkpoint.position.epoch, folder / NAME
        self.results = read_epochs(log, RunLog(log).read())[:epochs]  # a kill can leave one more than the checkpoint has
        if len(self.results) < epochs:
            raise CheckpointError(f"{log}: the log must hold the {epochs} epochs of its checkpoint, got {len(self.results)}; bring it back")
        self.position = checkpoint.restore(self.net, self.sgd, self.schedule)

    def _start_folder(self) -> None:
        """The folder's first checkpoint, and its log, cut to what the checkpoint knows."""
        if self.folder is None or self._started:
            return
        remove_strays(self.folder)
        log, saved = RunLog(self.folder / NAME), checkpoint_files(self.folder)
        if saved and saved[-1] != (mine := checkpoint_path(self.folder, self.position.step)):
            raise CheckpointError(f"{self.folder}: the newest checkpoint must be {mine.name}, got {saved[-1].name}; make the trainer anew")
        if not saved:
            if any(line.get("kind") == "epoch" for line in log.read()):
                raise CheckpointError(f"{log.path}: a folder with a log must hold its checkpoint too, got none; use another folder")
            self._clock = time.perf_counter()
            self._save()  # before the first step, so that a full disk is known now and a log is never without a checkpoint
        self._started = True
        log.cut(describe_run(self.config, self.net.device, self.batches.seed), self.position.epoch)

    def _open_bar(self, epochs: int) -> Any:
        from tqdm import tqdm

        n = len(self.batches.images)
        done = self.position.epoch * n + min(self.position.batch * self.batches.batch_size, n)
        hidden = None if self.progress is None else not self.progress  # None: hidden unless stderr is a terminal
        return tqdm(total=epochs * n, initial=min(done, epochs * n), unit=" images", unit_scale=True, disable=hidden, dynamic_ncols=True)

"""The training loop: batches in order, a log, checkpoints, and the way to go on after a stop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.batches import Batches, Prepare
from tinyalex.data.source import Dataset
from tinyalex.devices import Array
from tinyalex.errors import CheckpointError, DivergedError, Interrupted, ShapeError, require_float, require_int
from tinyalex.files.atomic import alone_in, remove_strays, require_folder
from tinyalex.layers.base import Layer
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.optim import SGD
from tinyalex.schedule import Plateau, Schedule
from tinyalex.training.checkpoint import Position, checkpoint_files, checkpoint_path, latest_checkpoint, prune_checkpoints, save_checkpoint
from tinyalex.training.config import as_json, comparable, described, fingerprint, first_difference, net_config
from tinyalex.training.diagnose import at_chance, bad_parameter, first_bad, lower_rate
from tinyalex.training.evaluate import evaluate
from tinyalex.training.inputs import Arrays, arrays_of, check_data, check_input, check_parts
from tinyalex.training.log import NAME, EpochResult, RunLog, describe_run, read_epochs
from tinyalex.training.report import epoch_line
from tinyalex.training.signals import NAMES, StopSignals

READ_EVERY = 10  # steps between two looks at the loss where a look has to wait for the device


class Trainer:
    """Trains a network, and goes on exactly where the last run in its folder stopped.

    Parameters
    ----------
    net, sgd: what is trained, and its optimizer; made in the same way as in the run that is to go on.
    schedule: the rates; None keeps the optimizer's. One of the two is enough: a schedule without a rate starts from the
        optimizer's, an optimizer without one follows the schedule, and two that differ are refused.
    loss: None for SoftmaxCrossEntropy where the net's output is.
    train, val: (images uint8 (N, C, H, W), labels), or a Dataset, whose training part is trained on and whose test part is
        the one for validation. val may be None where the schedule does not need its error.
    prepare: bytes to input, see `tinyalex.data.batches`.
    folder: where log.jsonl and the last two checkpoints go; None keeps nothing. A run that the folder holds goes on.
    config: anything of JSON that tells this run from others. A run goes on only where this is equal, and with it all that
        decides the result: data, batches, prepare, layers and their settings, optimizer and schedule.
    batch_size, seed: of the batches and their order.
    evaluate_train: whether the error on the whole training set is taken after each epoch.
    save_every_s: seconds between checkpoints inside an epoch; 0 saves after each step.
    progress: True for a bar on stderr, False for nothing; None for a bar where stderr is a terminal, else a line an epoch.
    hints: whether a line on stderr says so, once, when the net still guesses after an epoch.

    Raises
    ------
    CheckpointError: the folder holds a run of another config or of other data, or a checkpoint or a log that does not load.
    DataError, ShapeError: images, labels or a setting that cannot be trained with.
    """

    def __init__(
        self,
        net: Layer,
        sgd: SGD,
        schedule: Schedule | None = None,
        loss: SoftmaxCrossEntropy | None = None,
        *,
        train: Arrays | Dataset,
        val: Arrays | Dataset | None = None,
        prepare: Prepare,
        folder: Path | str | None = None,
        config: Mapping[str, Any] | None = None,
        batch_size: int = 128,
        seed: int = 0,
        evaluate_train: bool = True,
        save_every_s: float = 60.0,
        progress: bool | None = None,
        hints: bool = True,
    ) -> None:
        self.schedule = Schedule() if schedule is None else schedule
        check_parts(net, sgd, self.schedule, prepare)
        self.net, self.sgd, self.prepare = net, sgd, prepare
        self.loss = SoftmaxCrossEntropy(device=net.gives[0], dtype=net.dtype) if loss is None else loss
        images, labels = arrays_of("trainer: train", train, "train")
        self.batches = Batches(images, labels, batch_size, prepare=prepare, seed=seed)
        self.val = None if val is None else arrays_of("trainer: val", val, "test")
        check_data(net, prepare, self.batches, self.val)
        self.evaluate_train, self.progress, self.hints = evaluate_train, progress, hints
        self.save_every_s = require_float("trainer", "save_every_s", save_every_s, "a number of at least 0", lambda v: v >= 0)
        if val is None and isinstance(schedule, Plateau):
            raise ShapeError("trainer: val must be given, as the schedule Plateau follows its error, got None")
        self.config = self._whole_config({} if config is None else config)
        self.folder = None if folder is None else require_folder(folder)
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
        sgd.follow(self.schedule.lr)

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
        Interrupted: Ctrl-C or SIGTERM; the step was finished and the run saved. A second one stops the step at once: `run` may
            be called again where no parameter was changed by it, else make net, optimizer and trainer anew.
        DivergedError: a loss that is not finite; the checkpoint before it is kept.
        DiskFull: no room for a checkpoint; the one before it is kept.
        """
        epochs = require_int("trainer", "epochs", epochs)
        self.sgd.require_whole()
        with alone_in(self.folder), StopSignals() as self._stop:
            self._start_folder()
            bar = self._open_bar(epochs if expected is None else min(expected, epochs))
            with bar as self._bar, np.errstate(over="ignore", invalid="ignore", under="ignore"):
                self._clock = self._saved_at = time.perf_counter()
                while self.position.epoch < epochs and not self._ended(until):
                    self._bar.set_description(f"epoch {self.position.epoch + 1}/{epochs}")
                    self._train_epoch()
                    self._end_epoch()
                    self._tell_epoch(epochs)
                    if self._stop.received is not None:  # it came while the epoch was saved
                        self._interrupted()
                if self._stop.received is not None:  # it came before the loop, which had nothing to do
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
        """One update; where something stops it before the parameters change, all is as it was before it."""
        position, steps, before, pending = self.position, self.sgd.steps, asdict(self.position), list(self._pending)
        done = False
        try:
            self._forward_and_backward(images, labels)
            self.sgd.step()
            done = True
        except BaseException:
            done = self.sgd.steps > steps  # Ctrl-C can come right after the update
            if not done:
                self.net.zero_grad()
                self._pending[:] = pending
                vars(position).update(before)
            raise
        finally:
            if done:
                position.step, position.batch = position.step + 1, position.batch + 1

    def _forward_and_backward(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
        check_input("trainer", self.net, images)
        for leaf in self._with_step:
            leaf.step = self.position.step
        x = self.net.device.asarray(images, self.net.dtype)
        logits = self.net.forward(x, train=True)
        self._pending.append((self.loss.forward(logits, labels, train=True), logits, labels))
        last = self.position.batch + 1 == len(self.batches)
        if self.loss.device.kind == "cpu" or last or len(self._pending) == READ_EVERY:
            self._read_losses(x)
        self.net.backward(self.loss.backward())

    def _read_losses(self, x: Array | None = None) -> None:
        """Take the losses and errors since the last look into the sums; `x` is the batch to blame."""
        position = self.position
        total, errors, images = position.loss_sum, position.errors, position.images
        for loss_on_device, logits, labels in self._pending:
            loss = float(loss_on_device)
            if not math.isfinite(loss):
                at, bad = f"step {position.step + 1}, epoch {position.epoch + 1}", "unknown" if x is None else first_bad(self.net, x)
                self._diverged(f"loss must be finite, got {loss} at {at}; the first bad numbers are in {bad}")
            total += loss * len(labels)
            errors += int((self.loss.device.to_numpy(logits).argmax(axis=1) != labels).sum())
            images += len(labels)
        position.loss_sum, position.errors, position.images = total, errors, images
        self._pending.clear()
        self._bar.set_postfix(loss=f"{total / images:.4f}", error=f"{errors / images:.4f}", refresh=False)

    def _end_epoch(self) -> None:
        """Evaluate, set the next rate, log, save: in this order, so that a kill anywhere between repeats what was not saved.

        What stops it before the epoch is counted leaves results and schedule as they were.
        """
        position, lr, schedule = self.position, self.schedule.lr, self.schedule.state()
        epoch = position.epoch
        self._bar.set_description(f"epoch {position.epoch + 1}, evaluating")
        train_error = self._error_on((self.batches.images, self.batches.labels)) if self.evaluate_train else None
        val_error = None if self.val is None else self._error_on(self.val)
        try:
            self.sgd.follow(self.schedule.end_epoch(val_error))
            self._count_time()
            loss, running_error = position.loss_sum / position.images, position.errors / position.images
            images_per_s = position.images / position.train_s if position.train_s > 0 else 0.0
            result = EpochResult(position.epoch + 1, position.wall_s, loss, running_error, train_error, val_error, lr, images_per_s)
            if self.folder is not None:
                RunLog(self.folder / NAME).append({"kind": "epoch", **asdict(result)})
            self.results.append(result)
            position.next_epoch()
        except BaseException:
            if position.epoch == epoch:
                del self.results[epoch:]
                self.schedule.load_state(schedule)
                self.sgd.follow(lr)
            raise
        self._save()

    def _tell_epoch(self, epochs: int) -> None:
        """A line for an epoch that no bar shows, and one where the net still guesses."""
        result, labels = self.results[-1], self.batches.labels
        if self.progress is None and self._bar.disable:
            print(epoch_line(result, epochs), file=sys.stderr, flush=True)
        error = result.running_error if result.train_error is None else result.train_error
        if self.hints and (hint := at_chance(result.loss, error, labels)):
            self.hints = False
            self._bar.write(f"trainer: after epoch {result.epoch} {hint}", file=sys.stderr)

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
            unsaved = "nothing is saved without a folder: Trainer(..., folder=FOLDER)"
            raise Interrupted(f"trainer: the run was stopped by {how} after step {step}", 128 + number, remedy=unsaved)
        stopped = f"trainer: the run was stopped by {how} after step {step} and saved in {self.folder}"
        raise Interrupted(stopped, 128 + number, self.folder, "run the same command again to go on")

    def _diverged(self, what: str) -> None:
        saved = [] if self.folder is None else checkpoint_files(self.folder)
        kept = f"; the last good checkpoint is {saved[-1]}" if saved else ""
        remedy = f"try a lower learning rate, such as {lower_rate(self.sgd.lr)} for {self.sgd.lr:g}{kept}"
        raise DivergedError(f"trainer: {what}", remedy)

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
            "schedule_settings": self.schedule.settings(),
            "prepare_settings": described(self.prepare),
            "loss": type(self.loss).__name__,
            **net_config(self.net, self.sgd),
        }
        return as_json({**config, "trainer": own})

    def _go_on(self, folder: Path) -> None:
        checkpoint = latest_checkpoint(folder)
        if checkpoint is None:
            return
        mine, stored = comparable(self.config, checkpoint.config)
        difference = first_difference(stored, mine)
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
        """The folder's first checkpoint, and its log, cut to what the trainer knows."""
        if self.folder is None:
            return
        if self._started:  # an earlier call of `run` may have been stopped between a line of the log and its epoch
            RunLog(self.folder / NAME).cut({}, self.position.epoch)
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
        hidden = None if self.progress is None else not self.progress  # None: tqdm hides it unless stderr is a terminal
        return tqdm(total=epochs * n, initial=min(done, epochs * n), unit=" images", unit_scale=True, disable=hidden, dynamic_ncols=True)

"""The training loop: it takes the batches in order, writes a log and checkpoints, and continues a run that was stopped."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.batches import Batches, Prepare
from tinyalex.data.loader import Loader
from tinyalex.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    Interrupted,
    LoaderError,
    OutOfMemory,
    ShapeError,
    require_float,
    require_int,
)
from tinyalex.files.atomic import alone_in, remove_strays, require_folder
from tinyalex.layers.base import Layer
from tinyalex.loss import Loss, SoftmaxCrossEntropy
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.weights import require_about
from tinyalex.optim import SGD
from tinyalex.schedule import Plateau, Schedule
from tinyalex.training.buffers import copies_of, put_back
from tinyalex.training.checkpoint import Position, checkpoint_files, checkpoint_path, prune_checkpoints, save_checkpoint
from tinyalex.training.diagnose import bad_parameter, first_bad, lower_rate
from tinyalex.training.evaluate import evaluate
from tinyalex.training.inputs import Images, check_data, check_input, check_parts, source_of
from tinyalex.training.log import NAME, EpochResult, RunLog, describe_run
from tinyalex.training.report import bar_of, epoch_line
from tinyalex.training.resume import run_config, stored_run
from tinyalex.training.signals import NAMES, StopSignals
from tinyalex.training.unread import Unread, read, unread
from tinyalex.training.watch import Watch

READ_EVERY = 10  # steps between two reads of the loss on a GPU, where each read waits until the GPU has finished


class Trainer:
    """Trains a network. If its folder holds a run that was stopped, the trainer continues that run exactly where it stopped.

    Parameters
    ----------
    net, sgd: the network and its optimizer. To continue a run, make both in the same way as for the first part of the run.
    schedule: the learning rate of each epoch; None keeps the rate of `sgd`. Give the rate once, to `sgd` or to the schedule.
        If both have a rate and the two differ, the trainer refuses them.
    loss: the loss; None is a SoftmaxCrossEntropy on the device of the net's output. A net with auxiliary heads needs a `WeightedHeads`.
    train: (images, labels), images of uint8, float32 or float64 (N, C, H, W) and N integer labels; or a Dataset, whose
        training part is used.
    val: images and labels for the validation error, in the same forms; of a Dataset the test part is used. It may be None
        unless the schedule needs the validation error.
    prepare: the function that turns images into the net's input, such as `Standardize.fit(images)` of `tinyalex.data`.
    folder: where log.jsonl and the last two checkpoints are written; None writes nothing.
    config: JSON values that describe the run. The trainer adds all that decides the result: data, batches, prepare, layers
        and their settings, optimizer and schedule. It continues a run only if both configs are equal.
    batch_size: images in a batch. seed: of the order of the images, and of `prepare` where that is random.
    segment: None shuffles the images in each epoch; 10,000 is the order of the authors' CIFAR-10 nets, see `tinyalex.data.batches.Batches`.
    evaluate_train: whether to compute the error of all training images after each epoch.
    save_every_s: seconds between two checkpoints inside an epoch; 0 saves after each step.
    progress: True shows a bar on stderr, False shows nothing. None shows a bar if stderr is a terminal, else it writes a line
        after each epoch.
    hints: whether to say on stderr, once, if after an epoch or 500 steps the net is still no better than a guess, and why: what each
        layer does with a batch, the likely cause and the setting to change (`tinyalex.training.stall`).
    about: which net of the registry this is, its classes and its images. Checkpoints keep it, so that `load_net` needs nothing else.
    workers: how many processes read and prepare images ahead of the training, see `tinyalex.data.Loader`; 0 prepares them in this
        process, which is best for small arrays in memory. The result of the run is the same, to the last bit.

    Raises
    ------
    CheckpointError: the folder holds a run with another config or other data, or a checkpoint or log that cannot be read.
    DataError, ShapeError: the net cannot be trained with these images, labels or settings.
    """

    def __init__(
        self,
        net: Layer,
        sgd: SGD,
        schedule: Schedule | None = None,
        loss: Loss | None = None,
        *,
        train: Images,
        val: Images | None = None,
        prepare: Prepare,
        folder: Path | str | None = None,
        config: Mapping[str, Any] | None = None,
        batch_size: int = 128,
        seed: int = 0,
        segment: int | None = None,
        evaluate_train: bool = True,
        save_every_s: float = 60.0,
        progress: bool | None = None,
        hints: bool = True,
        about: SavedNet | None = None,
        workers: int = 0,
    ) -> None:
        self.schedule = Schedule() if schedule is None else schedule
        check_parts(net, sgd, self.schedule, prepare)
        self.net, self.sgd, self.prepare = net, sgd, prepare
        self.loss = SoftmaxCrossEntropy(device=net.gives[0], dtype=net.dtype) if loss is None else loss
        self.batches = Batches(source_of("trainer: train", train, "train"), None, batch_size, prepare=prepare, seed=seed, segment=segment)
        self.val = None if val is None else source_of("trainer: val", val, "test")
        check_data(net, prepare, self.batches, self.val)
        require_about("trainer", about, net)
        self.evaluate_train, self.progress, self.about = evaluate_train, progress, about
        parts = [self.batches]
        if self.val is not None:
            parts.append(Batches(self.val, None, batch_size, prepare=prepare, shuffle=False))
        self._loader = Loader(*parts, workers=workers)
        self.workers = self._loader.workers
        self.save_every_s = require_float("trainer", "save_every_s", save_every_s, "a number of at least 0", lambda v: v >= 0)
        if val is None and isinstance(schedule, Plateau):
            raise ShapeError("trainer: val must be given, as the schedule Plateau follows its error, got None")
        self.config = run_config({} if config is None else config, net, sgd, self.schedule, self.loss, prepare, self.batches, self.val)
        self.folder = None if folder is None else require_folder(folder)
        self.position = Position()
        self.results: list[EpochResult] = []
        self._with_step: list[Any] = [leaf for leaf in net.leaves() if hasattr(leaf, "step")]  # dropout: its mask depends on the step
        self._pending: list[Unread] = []
        self._upload = net.device.uploader(*net.reads[1:])
        self._stop = StopSignals()
        self._bar: Any = None
        self._started = False
        self._clock = self._saved_at = 0.0
        self._watch = Watch(net, self.loss, sgd, self.batches, prepare, hints)
        if self.folder is not None:
            stored = stored_run(self.folder, self.config)
            if stored is not None:
                checkpoint, self.results = stored
                self.position = checkpoint.restore(net, sgd, self.schedule)
        sgd.follow(self.schedule.lr, self.schedule.base)

    def run(self, epochs: int, until: Callable[[EpochResult], bool] | None = None, expected: int | None = None) -> list[EpochResult]:
        """Train until the run has `epochs` complete epochs, and return the results of all of them.

        The epochs of earlier parts of the run count: a run that was stopped after 3 of 10 epochs trains for 7 more.

        Parameters
        ----------
        until: called with the result of each epoch; the run ends when it returns True. The run also ends when a Plateau
            schedule has finished.
        expected: the number of epochs after which `until` will probably end the run. The progress bar ends there.

        Raises
        ------
        Interrupted: Ctrl-C or SIGTERM. The trainer first finishes the step and saves the run. A second signal stops the step
            at once; if that step had already changed a parameter, make net, optimizer and trainer again, else call `run` again.
        DivergedError: the loss is not finite. The last checkpoint is kept.
        DiskFull: there is no room for a checkpoint. The last checkpoint is kept.
        """
        epochs = require_int("trainer", "epochs", epochs)
        self.sgd.require_whole()
        left = self.position.epoch < epochs and not self._ended(None)
        # The workers start after the signals are noted and before the folder is locked: what starts by a fork inherits both.
        with StopSignals() as self._stop, self._loader if left else nullcontext(), alone_in(self.folder):
            self._start_folder()
            bar = self._bar_to(epochs if expected is None else min(expected, epochs))
            with bar as self._bar, np.errstate(over="ignore", invalid="ignore", under="ignore"):
                self._clock = self._saved_at = time.perf_counter()
                while self.position.epoch < epochs and not self._ended(until):
                    self._bar.set_description(f"epoch {self.position.epoch + 1}/{epochs}")
                    self._train_epoch()
                    self._end_epoch()
                    self._tell_epoch(epochs)
                    if self._stop.received is not None:  # the signal came while the epoch was being saved
                        self._interrupted()
                if self._stop.received is not None:  # the signal came before the loop, and no epoch was left to train
                    self._interrupted()
        return list(self.results)

    def _ended(self, until: Callable[[EpochResult], bool] | None) -> bool:
        """Whether the run has ended; asked before each epoch, so that a run killed after its last epoch trains no further one."""
        if not self.results or self.position.batch > 0:
            return False
        return bool(getattr(self.schedule, "finished", False)) or (until is not None and bool(until(self.results[-1])))

    def _train_epoch(self) -> None:
        position, began = self.position, time.perf_counter()
        batches = self._loader.of_epoch(position.epoch, position.batch)
        while True:
            with self._saved_if_unreadable():
                batch = next(batches, None)
            if batch is None:
                break
            position.wait_s += time.perf_counter() - began
            images, labels = batch
            self._step(images, labels)
            del batch, images  # before the next batch comes, so that its memory is free
            now = time.perf_counter()
            position.train_s += now - began
            self._bar.update(len(labels))
            if self._stop.received is not None:
                self._interrupted()
            if now - self._saved_at >= self.save_every_s:
                self._save()
            with self._saved_if_unreadable():
                self._tell(self._watch.after_step(position))
            began = time.perf_counter()

    def _step(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
        """Forward, backward and update of one batch. If an error stops it before the update, no state has changed."""
        position, steps, before, pending = self.position, self.sgd.steps, asdict(self.position), list(self._pending)
        buffers = copies_of(self.net)  # running statistics move in the forward pass, layer after layer
        done = False
        try:
            self._forward_and_backward(images, labels)
            self.sgd.step()
            done = True
        except BaseException:
            done = self.sgd.steps > steps  # Ctrl-C may have come after the update
            if not done:
                put_back(buffers)
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
        last = self.position.batch + 1 == len(self.batches)
        part = "the batch"
        try:
            x = self._upload(images, self.net.dtype)
            part = "the loss"
            logits = self.net.forward(x, train=True)
            self._pending.append(unread(self.loss.device, self.loss.forward(logits, labels, train=True), logits, labels))
            if self.loss.device.kind == "cpu" or last or len(self._pending) == READ_EVERY:
                self._read_losses(x)
            self.net.backward(self.loss.backward())
        except OutOfMemory as error:
            raise error.inside(part) from None  # a layer has given its own name already

    def _read_losses(self, x: Any = None) -> None:
        """Add the losses and errors of the steps since the last read to the epoch's sums. A GPU is waited for once.

        x: the batch of the last step, or its copies, in which the first bad element is looked for if a loss is not finite.
        """
        position = self.position
        total, errors, images = position.loss_sum, position.errors, position.images
        steps = read(self.loss.device, self._pending, self.net.dtype)
        for later, (loss, wrong, size) in zip(reversed(range(len(steps))), steps, strict=True):
            if not math.isfinite(loss):
                step, bad = position.step + (x is not None) - later, "unknown" if x is None else first_bad(self.net, x)
                when = f" {later} step{'s' * (later > 1)} later" if later else ""  # which have spread them
                at = f"step {step}, epoch {position.epoch + 1}"
                self._diverged(f"loss must be finite, got {loss} at {at}; the first bad elements{when} are in {bad}")
            total += loss * size
            errors += wrong
            images += size
        position.loss_sum, position.errors, position.images = total, errors, images
        self._pending.clear()
        self._bar.set_postfix(loss=f"{total / images:.4f}", error=f"{errors / images:.4f}", refresh=False)

    def _end_epoch(self) -> None:
        """Evaluate, set the next rate, write the log, save. After a kill between two of these, the next run repeats what was not saved.

        If an error comes before the epoch is counted, results and schedule stay as they were.
        """
        position, lr, schedule = self.position, self.schedule.lr, self.schedule.state()
        epoch = position.epoch
        self._bar.set_description(f"epoch {position.epoch + 1}, evaluating")
        train_error = self._error_on(0) if self.evaluate_train else None
        val_error = None if self.val is None else self._error_on(1)
        try:
            self.sgd.follow(self.schedule.end_epoch(val_error))
            self._count_time()
            loss, running_error = position.loss_sum / position.images, position.errors / position.images
            images_per_s = position.images / position.train_s if position.train_s > 0 else 0.0
            errors = running_error, train_error, val_error
            result = EpochResult(position.epoch + 1, position.wall_s, loss, *errors, lr, images_per_s, position.wait_s)
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
        """Write a line about the epoch if there is no bar, and say so if the net is still no better than a guess."""
        if self.progress is None and self._bar.disable:
            print(epoch_line(self.results[-1], epochs), file=sys.stderr, flush=True)
        with self._saved_if_unreadable():
            self._tell(self._watch.after_epoch(self.results[-1]))

    def _tell(self, lines: list[str]) -> None:
        if lines:
            self._bar.write("\n".join(lines), file=sys.stderr)

    def _error_on(self, part: int) -> float:
        """The error of all training images, part 0, or validation images, part 1."""

        def after_batch(images: int) -> None:
            if self._stop.received is not None:
                self._interrupted()  # all steps of the epoch are done: the continued run repeats only this evaluation

        with self._saved_if_unreadable():
            return evaluate(self.net, self.loss, self._loader.in_order(part), after_batch=after_batch).error

    @contextmanager
    def _saved_if_unreadable(self) -> Iterator[None]:
        """Save the run if an image cannot be read or a worker has ended, so that it goes on from here when that is mended."""
        try:
            yield
        except (DataError, LoaderError) as error:
            if self._stop.received is not None:  # the signal may have ended a worker too
                self._interrupted()
            if self.folder is None:
                raise
            self._save()
            saved = f"the run is saved in {self.folder}; run the same command again to go on"
            remedy = saved if error.remedy is None else f"{error.remedy}; {saved}"
            raise type(error)(error.sentence, remedy) from error

    def _save(self) -> None:
        if self.folder is not None:
            if self._pending:
                self._read_losses()
            self._count_time()
            if bad := bad_parameter(self.net):
                self._diverged(f"parameters must be finite, got a NaN or an infinity in {bad} after step {self.position.step}")
            path = checkpoint_path(self.folder, self.position.step)
            save_checkpoint(path, self.net, self.sgd, self.schedule, self.position, self.config, self.about)
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

    def _start_folder(self) -> None:
        """Write the folder's first checkpoint, and shorten its log to the epochs that the trainer knows."""
        if self.folder is None:
            return
        if self._started:  # an earlier call of `run` may have stopped after it wrote an epoch's line and before it counted the epoch
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
            self._save()  # before the first step: a full disk is noticed now, and a log never lacks a checkpoint
        self._started = True
        log.cut(describe_run(self.config, self.net.device, self.batches.seed), self.position.epoch)

    def _bar_to(self, epochs: int) -> Any:
        n = len(self.batches.source)
        done = self.position.epoch * n + min(self.position.batch * self.batches.batch_size, n)
        return bar_of(min(done, epochs * n), epochs * n, self.progress)

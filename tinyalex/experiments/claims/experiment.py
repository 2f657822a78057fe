"""Trains one run of the claims in its folder, or goes on with it where an earlier call was stopped."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tinyalex.analysis.specialization import gray_shares, specialization
from tinyalex.data.augment import Crops
from tinyalex.data.color import ColorNoise
from tinyalex.data.dataset import Dataset
from tinyalex.data.prepare import CropAndFlip, Prepare, Standardize, SubtractMean
from tinyalex.devices import Device
from tinyalex.errors import CheckpointError, DivergedError, show
from tinyalex.experiments.claims.claim import MOMENTUM, Family, Variant
from tinyalex.experiments.claims.ensemble import mean_of, write_probabilities
from tinyalex.experiments.claims.nets import CROP
from tinyalex.experiments.claims.plan import table_of
from tinyalex.experiments.claims.runs import Color, Outcome, Run, name_of, read_run, write_run
from tinyalex.experiments.figure1.runs import images_of
from tinyalex.files.atomic import make_folder, write_json
from tinyalex.layers import Sequential
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.weights import parameters_sha256, save_weights
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule, Steps
from tinyalex.training import EpochResult, RunLog, Trainer
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.diagnose import too_large
from tinyalex.training.log import NAME as LOG, read_epochs
from tinyalex.training.probabilities import probabilities

COLORS, WEIGHTS, VIEWS = "colors.json", "weights.safetensors", 10
AT_ONCE = 640  # inputs that the net reads together in testing
SEEDS_APART = 2**32  # the second stage of a run draws its crops with another seed than the first
KEPT_SEED = 0  # the weights of this seed are kept; of the others their digest


class Training:
    """The runs of one family in a folder.

    Parameters
    ----------
    family: the budget. dataset: the images; the family takes the first `train_images` of the training part.
    folder: each run gets its own folder, in the folder `runs` of this one. device: where the nets compute.
    progress: whether to show bars on stderr; None shows them if stderr is a terminal.
    """

    def __init__(self, family: Family, dataset: Dataset, folder: Path, device: Device, progress: bool | None = None) -> None:
        self.family, self.folder, self.device = family, folder, device
        self.dataset = dataset.subset(family.train_images)
        self.progress = sys.stderr.isatty() if progress is None else progress
        self.stages = family.stages(len(self.dataset.train_labels))
        self.epochs = sum(stage.epochs for stage in self.stages)
        self.images = images_of(self.dataset)
        self._prepares: dict[tuple[bool, bool], Prepare] = {}

    def settings(self, variant: Variant, seed: int) -> dict[str, Any]:
        """All that decides the outcome of a run, as JSON."""
        family, run = self.family, {"run": name_of(variant.name, seed), "family": variant.family}
        stages = [asdict(stage) | {"after": list(stage.after)} for stage in self.stages]
        known: dict[str, Any] = {"stages": stages, "images": self.images}
        known |= {"batch_size": family.batch_size, "lr": self.rate(variant)}
        if family.padding is not None:  # the other families have no such keys, so that runs of the time before go on
            known |= {"padding": family.padding, "curve_images": family.test_images}
        if variant.members:
            return run | {"members": list(variant.members)} | known
        own = {"crops": variant.crops, "color": variant.color, "weight_decay": variant.weight_decay}
        return run | own | {"momentum": MOMENTUM, "segment": family.segment} | known

    def finished(self, variant: Variant, seed: int) -> Run | None:
        """The finished run; None if it is not finished.

        Raises
        ------
        CheckpointError: the folder holds a finished run with other settings.
        """
        folder = self._folder(variant, seed)
        run = read_run(folder)
        if run is not None:
            mine = self.settings(variant, seed)
            for key in mine:
                if run.settings.get(key) != mine[key]:
                    there, here = show(run.settings.get(key)), show(mine[key])
                    text = f"{folder}: a finished run must have the settings of this call, got {key} = {there} where this call has {here}"
                    raise CheckpointError(f"{text}; use its settings and data, or another folder")
        return run

    def epochs_left(self, variant: Variant, seed: int) -> int:
        """How many epochs the run has still to train; of an epoch in progress the whole counts."""
        folder = self._folder(variant, seed)
        if variant.members or self.finished(variant, seed) is not None:
            return 0
        logs = [self._stage_folder(folder, stage) / LOG for stage in range(len(self.stages))]
        return self.epochs - sum(len(read_epochs(log, RunLog(log).read())) for log in logs)

    def train(self, variant: Variant, seed: int) -> Run:
        """Train a run, or continue it, and write `run.json`. A finished run is returned as it is.

        Raises
        ------
        Interrupted: Ctrl-C or SIGTERM; the run is saved.
        CheckpointError: the folder holds a run with other settings.
        """
        known = self.finished(variant, seed)
        folder = self._folder(variant, seed)
        if known is None:
            known = self._average(variant, seed) if variant.members else self._train(variant, seed, folder)
            make_folder(folder)
            write_run(folder, known)
        for stage in range(len(self.stages)):
            for path in checkpoint_files(self._stage_folder(folder, stage)):
                path.unlink(missing_ok=True)
        return known

    def trainer(self, variant: Variant, seed: int, net: Sequential, sgd: SGD, number: int, folder: Path | None) -> Trainer:
        """The trainer of one stage of a run."""
        stage, data = self.stages[number], self.dataset
        lr = self.rate(variant)
        schedule: Schedule = Steps(lr, after=stage.after) if stage.after else Schedule(lr)
        return Trainer(
            net,
            sgd,
            schedule,
            SoftmaxCrossEntropy(device=self.device),
            train=(data.train_images[: stage.images], data.train_labels[: stage.images]),
            val=(data.test_images[: self.family.test_images], data.test_labels[: self.family.test_images]),
            prepare=self.prepare(variant),
            folder=folder,
            config={"experiment": "claims", "stage": number, **self.settings(variant, seed)},
            batch_size=self.family.batch_size,
            seed=seed + SEEDS_APART * number,
            segment=self.family.segment,
            evaluate_train=self.family.evaluate_train,
            progress=self.progress,
            hints=False,
        )

    def rate(self, variant: Variant) -> float:
        """The first learning rate of a variant's runs."""
        return self.family.lr if variant.lr is None else variant.lr

    def parts(self, variant: Variant, seed: int) -> tuple[Sequential, SGD]:
        """The net and the optimizer of a run."""
        assert variant.build is not None
        net = variant.build(seed, len(self.dataset.classes), self.device)
        own: dict[str, Any] = {}
        if self.family.name == "pair":  # as the authors' parameter files; only the rate of the weights falls
            own = {"multipliers": {"conv*.weight": (1, 0), "*.bias": (2, 0)}, "constant": ("*.bias",)}
        return net, SGD(net, lr=self.rate(variant), momentum=MOMENTUM, weight_decay=variant.weight_decay, **own)

    def prepare(self, variant: Variant) -> Prepare:
        """What turns images into the input of the net."""
        key = variant.crops, variant.color
        if key not in self._prepares:
            images = self.dataset.train_images
            if self.family.name == "pair":
                made: Prepare = Crops(SubtractMean.fit(images).mean, CROP, augment=variant.crops)
            elif self.family.padding is not None:
                made = CropAndFlip(Standardize.fit(images), images.shape[2], variant.crops, self.family.padding)
            else:
                made = CropAndFlip(Standardize.fit(images), CROP, augment=variant.crops)
            self._prepares[key] = ColorNoise.fit(made, images) if variant.color else made
        return self._prepares[key]

    def _train(self, variant: Variant, seed: int, folder: Path) -> Run:
        (net, sgd), diverged = self.parts(variant, seed), None
        begun = [number for number in range(len(self.stages)) if checkpoint_files(self._stage_folder(folder, number))]
        try:
            for number in range(max(begun, default=0), len(self.stages)):  # a later stage has all that the earlier ones gave
                trainer = self.trainer(variant, seed, net, sgd, number, self._stage_folder(folder, number))
                watch = _Watch(folder / COLORS, net) if self.family.colors else None
                if watch is not None and trainer.position.step == 0:
                    watch.record(0)
                trainer.run(self.stages[number].epochs, until=watch)
                if watch is not None:
                    watch.record(self.stages[number].epochs)  # `until` is not called after the last epoch
        except DivergedError as error:
            diverged = str(error)
        outcome = self._outcome(variant, net, folder, diverged)
        if seed == KEPT_SEED and diverged is None and self.family.test_images is None:
            note = f"{name_of(variant.name, seed)}: {variant.text}; trained on {self.dataset.name}: {self.dataset.note}"
            save_weights(folder / WEIGHTS, net, "float16" if too_large(net, "float16") is None else "float32", note)
        logs = [self._stage_folder(folder, number) / LOG for number in range(len(self.stages))]
        lines = [line for log in logs for line in RunLog(log).read()[:1]]
        last = [epochs[-1].wall_s for log in logs if (epochs := read_epochs(log, RunLog(log).read()))]
        how = {key: lines[0].get(key) for key in ("machine", "versions", "blas", "device", "workers", "time")} if lines else {}
        return Run(variant.name, seed, self.settings(variant, seed), outcome, sum(last), how)

    def _outcome(self, variant: Variant, net: Sequential, folder: Path, diverged: str | None) -> Outcome:
        logs = [self._stage_folder(folder, number) / LOG for number in range(len(self.stages))]
        epochs = [epoch for log in logs for epoch in read_epochs(log, RunLog(log).read())]
        train = self.dataset.train_images, self.dataset.train_labels
        test = self.dataset.test_images, self.dataset.test_labels
        ten = final_train = final_test = None
        if self.family.ten_views and diverged is None:
            found = probabilities(net, test, self.prepare(variant), VIEWS, AT_ONCE)
            ten = _error(found, test[1])
        if self.family.test_images is not None and diverged is None:
            final_train = _error(probabilities(net, train, self.prepare(variant), batch_size=self.family.batch_size), train[1])
            found = probabilities(net, test, self.prepare(variant))
            final_test = _error(found, test[1])
            if self._is_member(variant):
                write_probabilities(folder, found)
        return Outcome(
            tuple(epoch.loss for epoch in epochs),
            tuple(epoch.running_error for epoch in epochs),
            tuple(epoch.train_error for epoch in epochs if epoch.train_error is not None),
            tuple(epoch.val_error for epoch in epochs if epoch.val_error is not None),
            tuple(epoch.lr for epoch in epochs),
            ten,
            tuple(read_colors(folder / COLORS)),
            sum(array.size for array in net.params.values()),
            parameters_sha256(net),
            diverged,
            final_train,
            final_test,
        )

    def _average(self, variant: Variant, seed: int) -> Run:
        """The run of an ensemble: the errors of the mean of its members' probabilities.

        Raises
        ------
        CheckpointError: a member has no finished run, or its probabilities cannot be read.
        """
        began, folders, runs = time.monotonic(), [self.folder / "runs" / name_of(name, seed) for name in variant.members], []
        for folder in folders:
            run = read_run(folder)
            if run is None:
                raise CheckpointError(f"{folder}: the member of an ensemble must be a finished run, got none; train it first")
            runs.append(run)
        outcomes = [run.outcome for run in runs]
        diverged, error = next((outcome.diverged for outcome in outcomes if outcome.diverged), None), None
        if diverged is None:
            labels = self.dataset.test_labels
            error = _error(mean_of(folders, (len(labels), len(self.dataset.classes))), labels)
        size, digest = sum(outcome.parameters for outcome in outcomes), "".join(outcome.sha256 for outcome in outcomes)
        digest = hashlib.sha256(digest.encode()).hexdigest()
        outcome = Outcome((), (), (), (), (), None, (), size, digest, diverged, None, error)
        return Run(variant.name, seed, self.settings(variant, seed), outcome, time.monotonic() - began, runs[-1].how)

    def _is_member(self, variant: Variant) -> bool:
        """Whether an ensemble averages this variant, so that its probabilities are kept."""
        return any(variant.name in other.members for other in table_of(variant.name).variants.values())

    def _folder(self, variant: Variant, seed: int) -> Path:
        return self.folder / "runs" / name_of(variant.name, seed)

    def _stage_folder(self, folder: Path, number: int) -> Path:
        """The folder of a stage: the last one has the run's own, an earlier one a folder inside."""
        return folder if number == len(self.stages) - 1 else folder / f"stage{number + 1}"


def _error(found: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """The share of images whose label is not the most probable class."""
    return float((found.argmax(axis=1) != labels).mean())


class _Watch:
    """Keeps the gray shares of conv1's filters after each epoch. It is called as `until` of a Trainer, and never ends the run."""

    def __init__(self, path: Path, net: Sequential) -> None:
        self.path, self.net = path, net

    def __call__(self, result: EpochResult) -> bool:
        self.record(result.epoch)
        return False

    def record(self, epoch: int) -> None:
        """Add the values after an epoch. The continued run calls this again for the epoch before the stop, and writes the same values."""
        filters = self.net.device.to_numpy(self.net.params["conv1.weight"])
        found = specialization(filters)
        shares = tuple(float(share) for share in gray_shares(filters) if not math.isnan(share))
        known = {color.epoch: color for color in read_colors(self.path)}
        known[epoch] = Color(epoch, found.a, found.b, found.null, found.p, shares)
        make_folder(self.path.parent)
        write_json(self.path, {"colors": [asdict(known[number]) for number in sorted(known)]})


def read_colors(path: Path) -> list[Color]:
    """The gray shares that a run has kept so far. CheckpointError: the file is of another form."""
    if not path.is_file():
        return []
    try:
        colors = json.loads(path.read_text(encoding="utf-8"))["colors"]
        return [Color(**color | {"shares": tuple(color["shares"])}) for color in colors]
    except (KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        text = f"{path}: the file must hold gray shares, got {show(str(error))} in reading it"
        raise CheckpointError(f"{text}; delete {path.parent} to train this run again") from None

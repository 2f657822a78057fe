"""Figure 1 of the paper: how many epochs ReLU and tanh need to a training error of 25 %.

Paper: section 3.1, "a four-layer convolutional neural network with ReLUs reaches a 25 % training error rate on CIFAR-10
six times faster than an equivalent network with tanh neurons. The learning rates for each network were chosen
independently to make training as fast as possible. No regularization of any kind was employed."

An experiment is a set of runs, one for each setup, activation, learning rate and seed, each in a folder of its own:

1. the sweep: every rate with the first seed, for `sweep_epochs`; the rate with the lowest running error is chosen;
2. the runs: the chosen rate goes on (the sweep's run of it is continued, not repeated) until both errors have crossed the
   target or `max_epochs` are over; then the other seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyalex.data.dataset import Dataset
from tinyalex.data.loader import Prepare, Standardize, SubtractMean
from tinyalex.devices import Device, get_device
from tinyalex.errors import DivergedError, ShapeError, show
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule
from tinyalex.training import EpochResult, Trainer

MOMENTUM, BATCH_SIZE = 0.9, 128
CROSSED = ("train_error", "running_error")  # the errors whose crossing of the target is measured
START_ERROR = 0.9  # ten classes, before any training: where the first epoch's interpolation begins
DEFAULT_RATES = {"2012": (0.001, 0.003, 0.01, 0.03), "fan-in": (0.003, 0.01, 0.03, 0.1)}


@dataclass(frozen=True)
class Plan:
    """What is run, for one setup.

    Parameters
    ----------
    setup: "2012" or "fan-in". activations: names in `ACTIVATIONS`, the first is what the others are compared with.
    rates: the learning rates of each activation; more than one is a sweep.
    seeds: of weights and batch order; the sweep takes the first.
    target: the training error to reach, a fraction.
    """

    setup: str
    activations: tuple[str, ...]
    rates: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...] = (0,)
    sweep_epochs: int = 3
    max_epochs: int = 60
    target: float = 0.25

    def __post_init__(self) -> None:
        if self.setup not in SETUPS:
            raise ShapeError(f"figure1: setup must be one of {', '.join(SETUPS)}, got {self.setup!r}")
        for name in self.activations:
            if name not in ACTIVATIONS:
                raise ShapeError(f"figure1: activations must be among {', '.join(ACTIVATIONS)}, got {name!r}")
            if not self.rates.get(name) or any(not 0 < rate < math.inf for rate in self.rates[name]):
                raise ShapeError(f"figure1: learning rates of {name} must be numbers above 0, got {show(self.rates.get(name))}")
        if not self.activations or len(set(self.activations)) < len(self.activations):
            raise ShapeError(f"figure1: activations must be different names, at least one, got {show(self.activations)}")
        if not self.seeds or not 0 < self.target < 1 or min(self.sweep_epochs, self.max_epochs) < 1:
            raise ShapeError(f"figure1: a plan needs a seed, a target in (0, 1) and at least one epoch, got {show(self)}")


@dataclass
class Run:
    """One training run and its result; `diverged` holds the message if its loss stopped being a number."""

    setup: str
    activation: str
    lr: float
    seed: int
    epochs: list[EpochResult] = field(default_factory=list)
    diverged: str | None = None

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.setup}-{self.activation}-lr{self.lr:g}-seed{self.seed}"

    def errors(self, kind: str) -> list[float]:
        """The errors after epochs 1, 2, ...; kind is "train_error" or "running_error"."""
        return [getattr(epoch, kind) for epoch in self.epochs]

    def sweep_error(self, epochs: int) -> float:
        """The running error of the sweep's last epoch; infinite if the run diverged."""
        return math.inf if self.diverged or len(self.epochs) < epochs else self.epochs[epochs - 1].running_error


def epochs_to(errors: Sequence[float], target: float) -> float | None:
    """After how many epochs the error first reached the target, by linear interpolation; None if it never did.

    `errors` are those after epochs 1, 2, ...; before any training the error is 0.9.

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


class Figure1:
    """Runs the experiment in a folder and goes on where an earlier call in that folder stopped.

    Parameters
    ----------
    dataset: what is trained on; its test part gives the validation error, which nothing depends on.
    folder: each run gets a folder below `runs` in it.
    device: where the nets live.
    progress: bars on stderr; None shows them where stderr is a terminal.
    tell: called with one line of text when something begins or is decided.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path,
        *,
        device: str | Device = "cpu",
        progress: bool | None = None,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.dataset, self.folder, self.device, self.progress, self.tell = dataset, Path(folder), get_device(device), progress, tell
        self._prepares: dict[str, Prepare] = {}

    def run(self, plan: Plan) -> list[Run]:
        """All runs of the plan: those of the sweep, and those that went on to the target."""
        runs: list[Run] = []
        for activation in plan.activations:
            sweep, lr = self.sweep(plan, activation)
            runs += [run for run in sweep if run.lr != lr]
            for seed in plan.seeds:
                until = f"to {plan.target:.0%} or {plan.max_epochs} epochs"
                self.tell(f"{plan.setup}, {activation}, learning rate {lr:g}, seed {seed}: {until}")
                runs.append(self._train(Run(plan.setup, activation, lr, seed), plan.max_epochs, plan.target))
        return runs

    def sweep(self, plan: Plan, activation: str) -> tuple[list[Run], float]:
        """The sweep's runs and the rate it chooses; one rate alone is not swept."""
        rates = plan.rates[activation]
        if len(rates) == 1:
            return [], rates[0]
        runs = []
        for lr in rates:
            self.tell(f"{plan.setup}, {activation}, sweep: learning rate {lr:g}, {plan.sweep_epochs} epochs")
            runs.append(self._train(Run(plan.setup, activation, lr, plan.seeds[0]), plan.sweep_epochs, None))
        best = min(runs, key=lambda run: run.sweep_error(plan.sweep_epochs))
        if math.isinf(best.sweep_error(plan.sweep_epochs)):
            raise DivergedError(f"figure1: a learning rate must let {activation} train, got {show(rates)}, of which all diverged")
        self.tell(f"{plan.setup}, {activation}: chose learning rate {best.lr:g} of {', '.join(f'{rate:g}' for rate in rates)}")
        return runs, best.lr

    def _train(self, run: Run, epochs: int, target: float | None) -> Run:
        """Train `run` in its folder, or go on with it, for so many epochs in all or until both its errors reach the target."""
        net = figure1_net(run.activation, run.setup, seed=run.seed, classes=len(self.dataset.classes), device=self.device)
        data = self.dataset
        trainer = Trainer(
            net,
            SGD(net, lr=run.lr, momentum=MOMENTUM, weight_decay=0),
            Schedule(run.lr),
            SoftmaxCrossEntropy(device=self.device),
            train=(data.train_images, data.train_labels),
            val=(data.test_images, data.test_labels),
            prepare=self._prepare(run.setup),
            folder=self.folder / "runs" / run.name,
            config={"experiment": "figure1", "data": data.name, "note": data.note, "run": run.name},
            batch_size=BATCH_SIZE,
            seed=run.seed,
            progress=self.progress,
        )

        def crossed(result: EpochResult) -> bool:
            return target is not None and result.train_error is not None and max(result.train_error, result.running_error) <= target

        try:
            run.epochs = trainer.run(epochs, until=crossed)
        except DivergedError as error:
            run.epochs, run.diverged = list(trainer.results), str(error)
            self.tell(str(error))
        return run

    def _prepare(self, setup: str) -> Prepare:
        if setup not in self._prepares:
            images = self.dataset.train_images
            self._prepares[setup] = SubtractMean.fit(images) if SETUPS[setup].inputs == "mean-image" else Standardize.fit(images)
        return self._prepares[setup]


def summary(plan: Plan, runs: list[Run]) -> dict[str, Any]:
    """What the runs of one plan show, as `result.json` keeps it.

    `factor` compares each activation with the first: its epochs to the target over the first's, medians over the seeds.
    Where an activation never crossed, `at_least` is true and the factor is a lower bound.
    """
    activations = {}
    for name in plan.activations:
        mine = [run for run in runs if run.activation == name]
        lr = max(mine, key=lambda run: (len(run.epochs), run.diverged is None)).lr
        chosen = [run for run in mine if run.lr == lr]
        activations[name] = {
            "lr": lr,
            "seeds": [run.seed for run in chosen],
            "sweep": [
                {"lr": run.lr, "running_errors": [e.running_error for e in run.epochs[: plan.sweep_epochs]], "diverged": run.diverged}
                for run in sorted(mine, key=lambda run: run.lr)
                if run.seed == plan.seeds[0]
            ],
            **{kind: [run.errors(kind) for run in chosen] for kind in (*CROSSED, "val_error")},
            "epochs_to_target": {kind: [epochs_to(run.errors(kind), plan.target) for run in chosen] for kind in CROSSED},
            "epochs_run": [len(run.epochs) for run in chosen],
            "diverged": [run.diverged for run in chosen],
            "wall_s": [run.epochs[-1].wall_s if run.epochs else 0.0 for run in chosen],
        }
    first = plan.activations[0]
    factors = {
        name: {kind: _factor(activations[first], activations[name], kind) for kind in CROSSED}
        for name in plan.activations[1:]
    }
    return {"setup": plan.setup, "target": plan.target, "max_epochs": plan.max_epochs, "activations": activations, "factor": factors}


def _factor(first: dict[str, Any], other: dict[str, Any], kind: str) -> dict[str, Any]:
    """The ratio of the median epochs to the target; a curve that did not cross counts with the epochs it was given."""
    base = _median(first, kind)
    if base is None:
        return {"value": None, "at_least": False}
    own = _median(other, kind)
    if own is not None:
        return {"value": own / base, "at_least": False}
    return {"value": min(other["epochs_run"]) / base, "at_least": True}


def _median(of: dict[str, Any], kind: str) -> float | None:
    epochs = of["epochs_to_target"][kind]
    if any(value is None for value in epochs):
        return None
    ordered = sorted(epochs)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2

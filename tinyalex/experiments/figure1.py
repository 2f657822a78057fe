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

from tinyalex.data.dataset import Dataset
from tinyalex.data.loader import Prepare, Standardize, SubtractMean
from tinyalex.devices import Device, get_device
from tinyalex.errors import CheckpointError, DivergedError, ShapeError, show
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule
from tinyalex.training import EpochResult, RunLog, Trainer
from tinyalex.training.epochs import read_epochs
from tinyalex.training.log import NAME as LOG

MOMENTUM, BATCH_SIZE = 0.9, 128
CROSSED = ("train_error", "running_error")  # the errors whose crossing of the target is measured
START_ERROR = 0.9  # ten classes, before any training: where the first epoch's interpolation begins
DEFAULT_RATES = {"2012": (0.001, 0.003, 0.01, 0.03), "fan-in": (0.003, 0.01, 0.03, 0.1)}
SYNTHETIC_RATES = {"2012": (0.002, 0.005, 0.01, 0.02, 0.04), "fan-in": (0.01, 0.02, 0.04, 0.08)}


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
        if not self.seeds or not 0 < self.target < START_ERROR or min(self.sweep_epochs, self.max_epochs) < 1:
            rule = f"a seed, a target between 0 and {START_ERROR} and at least one epoch"
            got = (self.seeds, self.target, self.sweep_epochs, self.max_epochs)
            raise ShapeError(f"figure1: a plan must have {rule}, got {got}")


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

    def reached(self, target: float) -> bool:
        """Whether the run has ended at the target."""
        return bool(self.epochs) and at_most(self.epochs[-1], target)

    def sweep_error(self, epochs: int) -> float:
        """The running error of the sweep's last epoch; infinite if the run never finished it."""
        return math.inf if len(self.epochs) < epochs else self.epochs[epochs - 1].running_error


def at_most(epoch: EpochResult, target: float) -> bool:
    """Whether both errors of the epoch are at the target or below: where a run ends."""
    return epoch.train_error is not None and max(epoch.train_error, epoch.running_error) <= target


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


def read_run(folder: Path) -> Run | None:
    """The run that `folder` holds, as far as it got; None where there is none."""
    lines = RunLog(folder / LOG).read()
    if not lines:
        return None
    epochs = read_epochs(folder / LOG, lines)
    try:
        config = lines[0]["config"]
        setup, activation = config["run"].partition("-lr")[0].rsplit("-", 1)
        run = Run(setup, activation, config["trainer"]["first_lr"], config["trainer"]["seed"], epochs)
        run.diverged = next((line["message"] for line in lines if line["kind"] == "diverged"), None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder / LOG}: the log must be one of a run of figure1, got {error!r} in reading it") from None
    return run


def chosen_rate(plan: Plan, runs: Sequence[Run]) -> float:
    """The rate of the lowest running error at the sweep's end; while no run is so far, that of the longest run."""
    first = [run for run in runs if run.seed == plan.seeds[0]] or runs
    return min(first, key=lambda run: (run.sweep_error(plan.sweep_epochs), run.diverged is not None, -len(run.epochs))).lr


class Figure1:
    """Runs the experiment in a folder and goes on where an earlier call in that folder stopped.

    Parameters
    ----------
    dataset: what is trained on; its test part gives the validation error, which nothing depends on.
    folder: each run gets a folder below `runs` in it.
    device: where the nets live.
    progress: bars on stderr; None shows them where stderr is a terminal.
    tell: called with one line of text when something begins or is decided.
    after_run: called when a run has ended, or has stopped at its place in the sweep.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path,
        *,
        device: str | Device = "cpu",
        progress: bool | None = None,
        tell: Callable[[str], None] = lambda line: None,
        after_run: Callable[[], object] = lambda: None,
    ) -> None:
        self.dataset, self.folder, self.device = dataset, Path(folder), get_device(device, "figure1")
        self.progress, self.tell = progress, tell
        self.after_run = after_run
        self._prepares: dict[str, Prepare] = {}

    def run(self, plan: Plan) -> list[Run]:
        """All runs of the plan: those of the sweep, and those that went on to the target.

        Raises
        ------
        DivergedError: an activation of which no run with the chosen rate lived to the end. The others are all run first.
        """
        runs: list[Run] = []
        failed = []
        for activation in plan.activations:
            sweep, lr = self.sweep(plan, activation)
            chosen = [self._to_target(plan, activation, lr, seed) for seed in plan.seeds] if lr is not None else []
            if all(run.diverged for run in chosen):
                rates = ", ".join(f"{rate:g}" for rate in plan.rates[activation])
                failed.append(f"a learning rate must let {activation} train in the setup {plan.setup}, got {rates}")
            runs += [run for run in sweep if run.lr != lr] + chosen
        if failed:
            raise DivergedError(f"figure1: {', and '.join(failed)}, where the loss is no number in the end; use lower --rates")
        return runs

    def sweep(self, plan: Plan, activation: str) -> tuple[list[Run], float | None]:
        """The sweep's runs and the rate it chooses, None if all diverged; one rate alone is not swept."""
        rates = plan.rates[activation]
        if len(rates) == 1:
            return [], rates[0]
        runs = []
        for lr in rates:
            self.tell(f"{plan.setup}, {activation}, sweep: learning rate {lr:g}, {plan.sweep_epochs} epochs")
            runs.append(self._train(Run(plan.setup, activation, lr, plan.seeds[0]), plan.sweep_epochs, None))
        lr = chosen_rate(plan, runs)
        if all(math.isinf(run.sweep_error(plan.sweep_epochs)) for run in runs):
            return runs, None
        self.tell(f"{plan.setup}, {activation}: chose learning rate {lr:g} of {', '.join(f'{rate:g}' for rate in rates)}")
        return runs, lr

    def _to_target(self, plan: Plan, activation: str, lr: float, seed: int) -> Run:
        self.tell(f"{plan.setup}, {activation}, learning rate {lr:g}, seed {seed}: to {100 * plan.target:g} % or {plan.max_epochs} epochs")
        return self._train(Run(plan.setup, activation, lr, seed), plan.max_epochs, plan.target)

    def _train(self, run: Run, epochs: int, target: float | None) -> Run:
        """Train `run` in its folder, or go on with it, for so many epochs in all or until both its errors reach the target."""
        net = figure1_net(run.activation, run.setup, seed=run.seed, classes=len(self.dataset.classes), device=self.device)
        data, folder = self.dataset, self.folder / "runs" / run.name
        trainer = Trainer(
            net,
            SGD(net, lr=run.lr, momentum=MOMENTUM, weight_decay=0),
            Schedule(run.lr),
            SoftmaxCrossEntropy(device=self.device),
            train=(data.train_images, data.train_labels),
            val=(data.test_images, data.test_labels),
            prepare=self._prepare(run.setup),
            folder=folder,
            config={"experiment": "figure1", "data": data.name, "note": data.note, "run": run.name},
            batch_size=BATCH_SIZE,
            seed=run.seed,
            progress=self.progress,
        )

        known = read_run(folder)
        if known is not None and known.diverged:  # it would only do so again
            run.epochs, run.diverged = known.epochs, known.diverged
            return run
        try:
            run.epochs = trainer.run(epochs, until=lambda last: target is not None and at_most(last, target))
        except DivergedError as error:
            run.epochs, run.diverged = list(trainer.results), str(error)
            RunLog(folder / LOG).append({"kind": "diverged", "message": run.diverged})
            self.tell(run.diverged)
        self.after_run()
        return run

    def _prepare(self, setup: str) -> Prepare:
        if setup not in self._prepares:
            images = self.dataset.train_images
            self._prepares[setup] = SubtractMean.fit(images) if SETUPS[setup].inputs == "mean-image" else Standardize.fit(images)
        return self._prepares[setup]

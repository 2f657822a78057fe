"""Figure 1 of the paper: how many epochs ReLU and tanh need to a training error of 25 %.

Paper: section 3.1, "a four-layer convolutional neural network with ReLUs reaches a 25 % training error rate on CIFAR-10
six times faster than an equivalent network with tanh neurons. The learning rates for each network were chosen
independently to make training as fast as possible. No regularization of any kind was employed."

An experiment is a set of runs, one for each setup, activation, learning rate and seed, each in a folder of its own:

1. the sweep: every rate and seed, for `sweep_epochs`; the rate whose worst seed has the lowest running error is chosen;
2. the runs: those of the chosen rate go on (the sweep's are continued, not repeated) until both errors have crossed the
   target or `max_epochs` are over.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tinyalex.data.batches import Prepare, Standardize, SubtractMean
from tinyalex.data.source import Dataset
from tinyalex.devices import Device, get_device
from tinyalex.errors import DivergedError, ShapeError, require_float, require_int, show
from tinyalex.experiments.figure1.runs import START_ERROR, Run, at_most, check_images, images_of, read_run, read_runs
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule
from tinyalex.training import RunLog, Trainer
from tinyalex.training.log import NAME as LOG

MOMENTUM, BATCH_SIZE = 0.9, 128
TARGET = 0.25  # the paper's training error
CROSSED = ("train_error", "running_error")  # the errors whose crossing of the target is measured
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
    target: float = TARGET

    def __post_init__(self) -> None:
        if self.setup not in tuple(SETUPS):
            raise ShapeError(f"figure1: setup must be one of {', '.join(SETUPS)}, got {show(self.setup)}")
        for name in self.activations:
            if name not in tuple(ACTIVATIONS):
                raise ShapeError(f"figure1: activations must be among {', '.join(ACTIVATIONS)}, got {show(name)}")
            if not self.rates.get(name):
                raise ShapeError(f"figure1: learning rates of {name} must be numbers above 0, got {show(self.rates.get(name))}")
            for rate in self.rates[name]:
                require_float("figure1", f"learning rates of {name}", rate, "numbers above 0", lambda value: 0 < value < math.inf)
        if not self.activations or len(set(self.activations)) < len(self.activations):
            raise ShapeError(f"figure1: activations must be different names, at least one, got {show(self.activations)}")
        if not self.seeds:
            raise ShapeError("figure1: seeds must be integers, at least one, got ()")
        for seed in self.seeds:
            require_int("figure1", "seeds", seed, least=0)
        require_int("figure1", "sweep_epochs", self.sweep_epochs)
        require_int("figure1", "max_epochs", self.max_epochs)
        require_target("target", self.target)


def require_target(quantity: str, value: object) -> float:
    """`value` as a training error to reach."""
    rule = f"a fraction above 0 and below {START_ERROR}, such as 0.25"
    return require_float("figure1", quantity, value, rule, lambda number: 0 < number < START_ERROR)


def chosen_rate(plan: Plan, runs: Sequence[Run]) -> float:
    """The rate whose worst seed has the lowest running error at the sweep's end; while no run is so far, that of the longest run."""
    worst = [worst_seed(plan, [run for run in runs if run.lr == lr]) for lr in dict.fromkeys(run.lr for run in runs)]
    return min(worst, key=lambda run: (run.sweep_error(plan.sweep_epochs), run.diverged is not None, -len(run.epochs))).lr


def worst_seed(plan: Plan, runs: Sequence[Run]) -> Run:
    """Of the runs with one rate, the one that stands worst at the sweep's end: a rate must serve every seed."""
    return max(runs, key=lambda run: (run.sweep_error(plan.sweep_epochs), run.diverged is not None))


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
    usual: epochs that a run of (setup, activation) is expected to take, for the bars.

    Raises
    ------
    CheckpointError: the folder holds runs of other images, or a log that cannot be read.
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
        usual: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self.dataset, self.folder, self.device = dataset, Path(folder), get_device(device, "figure1")
        self.progress, self.tell = progress, tell
        self.after_run, self.usual = after_run, usual or {}
        self._prepares: dict[str, Prepare] = {}
        if runs := read_runs(self.folder):
            check_images(self.folder, runs, images_of(dataset))

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
        for lr, seed in product(rates, plan.seeds):
            line = f"{plan.setup}, {activation}, sweep: learning rate {lr:g}, seed {seed}, {plan.sweep_epochs} epochs"
            runs.append(self._train(Run(plan.setup, activation, lr, seed), plan.sweep_epochs, None, line))
        lr = chosen_rate(plan, runs)
        if math.isinf(max(run.sweep_error(plan.sweep_epochs) for run in runs if run.lr == lr)):
            return runs, None
        self.tell(f"{plan.setup}, {activation}: chose learning rate {lr:g} of {', '.join(f'{rate:g}' for rate in rates)}")
        return runs, lr

    def _to_target(self, plan: Plan, activation: str, lr: float, seed: int) -> Run:
        line = f"{plan.setup}, {activation}, learning rate {lr:g}, seed {seed}: to {100 * plan.target:g} % or {plan.max_epochs} epochs"
        return self._train(Run(plan.setup, activation, lr, seed), plan.max_epochs, plan.target, line)

    def _train(self, run: Run, epochs: int, target: float | None, line: str) -> Run:
        """Train `run` in its folder, or go on with it, for so many epochs in all or until both its errors reach the target."""
        folder = self.folder / "runs" / run.name
        known = read_run(folder)
        if known is not None and known.lr == run.lr:  # a name has six digits of a rate: the trainer refuses another
            ended = known.diverged or len(known.epochs) >= epochs or (target is not None and known.reached(target))
            if ended:
                return known
        self.tell(line)
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
            folder=folder,
            config={"experiment": "figure1", "data": data.name, "note": data.note, "run": run.name},
            batch_size=BATCH_SIZE,
            seed=run.seed,
            progress=sys.stderr.isatty() if self.progress is None else self.progress,
            hints=False,
        )
        usual = None if target is None else self.usual.get((run.setup, run.activation))
        try:
            run.epochs = trainer.run(epochs, until=lambda last: target is not None and at_most(last, target), expected=usual)
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

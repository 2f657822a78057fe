"""Figure 1 of the paper: how many epochs ReLU and tanh need to a training error of 25 %.

Paper: section 3.1, "a four-layer convolutional neural network with ReLUs reaches a 25 % training error rate on CIFAR-10
six times faster than an equivalent network with tanh neurons. The learning rates for each network were chosen
independently to make training as fast as possible. No regularization of any kind was employed."

An experiment is a set of runs. There is one run for each setup, activation, learning rate and seed, in its own folder.

1. A sweep chooses the learning rate of each activation with the first seed, by the rule in `sweep.py`.
2. Every seed trains with the chosen rate until both errors have reached the target, or until `max_epochs`. If the sweep has
   already trained a run with this rate and seed, that run is continued, not repeated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tinyalex.data.batches import Prepare, Standardize, SubtractMean
from tinyalex.data.dataset import Dataset
from tinyalex.devices import Device, get_device
from tinyalex.errors import DivergedError
from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.runs import Run, at_most, check_images, images_of, read_run, read_runs
from tinyalex.experiments.figure1.sweep import Sweep, sweep_of
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar import SETUPS, figure1_net
from tinyalex.optim import SGD
from tinyalex.schedule import Schedule
from tinyalex.training import EpochResult, RunLog, Trainer
from tinyalex.training.log import NAME as LOG

MOMENTUM, BATCH_SIZE = 0.9, 128


class Figure1:
    """Trains the runs of the experiment in a folder, and continues those that an earlier call in that folder has stopped.

    Parameters
    ----------
    dataset: the images. Its test part gives the validation error, on which no decision depends.
    folder: each run gets its own folder, in the folder `runs` of this one.
    device: where the nets compute.
    progress: whether to show bars on stderr; None shows them if stderr is a terminal.
    tell: called with one line of text when a run begins or a rate is chosen.
    after_run: called when a run has ended or its turn in the sweep is over.
    usual: for (setup, activation), the epochs that a run will probably take; the bars end there.

    Raises
    ------
    CheckpointError: the folder holds runs with other images, or a log that cannot be read.
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
        """Train all runs of the plan, and return the runs of the sweeps and the runs with the chosen rates.

        Raises
        ------
        DivergedError: for one activation all runs with the chosen rate diverged. The other activations are trained first.
        """
        runs: list[Run] = []
        failed = []
        for activation in plan.activations:
            sweep, lr = self.sweep(plan, activation)
            chosen = [self._to_target(plan, activation, lr, seed) for seed in plan.seeds] if lr is not None else []
            if all(run.diverged for run in chosen):
                rates = ", ".join(f"{run.lr:g}" for run in sweep.runs)
                failed.append(f"a learning rate must let {activation} train in the setup {plan.setup}, got {rates}")
            runs += [run for run in sweep.runs if run.lr != lr] + chosen
        if failed:
            text = ", and ".join(failed)
            raise DivergedError(f"figure1: {text}, with which the loss stops being a finite number; use lower --rates")
        return runs

    def sweep(self, plan: Plan, activation: str) -> tuple[Sweep, float | None]:
        """Train the runs of a sweep turn by turn, and return the sweep and the chosen rate, None if all runs diverged.

        If the plan has a single rate, that rate is chosen without any training.
        """
        who, told = f"setup {plan.setup}, {activation}", len(plan.rates[activation])
        while True:
            sweep = sweep_of(plan, activation, read_runs(self.folder))
            if told == 1:
                return sweep, plan.rates[activation][0]
            if len(sweep.runs) > told:
                told = len(sweep.runs)
                rates = ", ".join(f"{run.lr:g}" for run in sweep.runs)
                self.tell(f"{who}: the best rate is the lowest or the highest of the sweep, so a rate is added: {rates}")
            turn = sweep.next_turn()
            if turn is None:
                break
            run, epochs = turn
            line = f"{who}, sweep: learning rate {run.lr:g}, seed {run.seed}, epochs {len(run.epochs) + 1} to {epochs}"
            self._train(run, epochs, lambda last: last.train_error is not None and last.train_error <= plan.target, line)
        if sweep.failed:
            return sweep, None
        self.tell(f"{who}: {_choice(sweep)}")
        return sweep, sweep.best.lr

    def _to_target(self, plan: Plan, activation: str, lr: float, seed: int) -> Run:
        line = f"setup {plan.setup}, {activation}, learning rate {lr:g}, seed {seed}: trains until both errors are at most "
        line += f"{100 * plan.target:g} %, at most {plan.max_epochs} epochs"
        run, usual = Run(plan.setup, activation, lr, seed), self.usual.get((plan.setup, activation))
        return self._train(run, plan.max_epochs, lambda last: at_most(last, plan.target), line, usual)

    def _train(self, run: Run, epochs: int, until: Callable[[EpochResult], bool], line: str, usual: int | None = None) -> Run:
        """Train `run` in its folder, or continue it, until it has `epochs` epochs or `until` is true for its last epoch."""
        folder = self.folder / "runs" / run.name
        known = read_run(folder)
        if known is not None and known.lr == run.lr:  # the name of a folder has only six digits of the rate
            if known.diverged or len(known.epochs) >= epochs or (known.epochs and until(known.epochs[-1])):
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
        try:
            run.epochs = trainer.run(epochs, until=until, expected=usual)
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


def _choice(sweep: Sweep) -> str:
    """The choice of a sweep in words."""
    best, rates = sweep.best, ", ".join(f"{run.lr:g}" for run in sweep.runs)
    epochs = sweep.needed(best)
    if epochs is None:
        text = f"none of the rates {rates} reaches {100 * sweep.target:g} % in {sweep.max_epochs} epochs; {best.lr:g} comes nearest"
    else:
        text = f"chose learning rate {best.lr:g} of {rates}, because it needs the fewest epochs, {epochs:.1f}"
    return f"{text}; it is the {sweep.edge} of them, so a better rate may lie beyond it" if sweep.edge else text

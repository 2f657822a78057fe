"""How long Figure 1 will take on this machine. A few training steps are timed for it before the work begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyalex.data.dataset import Dataset
from tinyalex.devices import Device
from tinyalex.experiments.figure1.experiment import BATCH_SIZE, MOMENTUM
from tinyalex.experiments.figure1.plan import TARGET, Plan
from tinyalex.experiments.figure1.runs import Run
from tinyalex.experiments.figure1.sweep import UNFINISHED, sweep_of
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar import figure1_net
from tinyalex.optim import SGD
from tinyalex.training.expected import least_seconds

CIFAR10: dict[str, dict[str, dict[str, Any]]] = {  # the runs in examples/results/figure1, each until it ended
    "2012": {"relu": {"lr": 0.003, "epochs_run": [7]}, "tanh": {"lr": 0.03, "epochs_run": [60]}},
    "fan-in": {"relu": {"lr": 0.03, "epochs_run": [7]}, "tanh": {"lr": 0.03, "epochs_run": [10]}},
}


def seconds_an_epoch(dataset: Dataset, device: Device) -> float:
    """Seconds of an epoch: the steps over all training images, then the evaluation on training and test images."""
    net = figure1_net(setup="fan-in", classes=len(dataset.classes), device=device)
    sgd, loss = SGD(net, lr=1e-6, momentum=MOMENTUM, weight_decay=0), SoftmaxCrossEntropy(device=device)
    labels = dataset.train_labels[:BATCH_SIZE]
    x = device.asarray((dataset.train_images[:BATCH_SIZE] / np.float32(128)).astype(np.float32))  # (B, 3, 32, 32)

    def step() -> None:
        loss.forward(net.forward(x, train=True), labels, train=True)
        net.backward(loss.backward())
        sgd.step()
        device.synchronize()

    def evaluate() -> None:
        net.forward(x)
        device.synchronize()

    train, test = len(dataset.train_labels), len(dataset.test_labels)
    return (least_seconds(step) * train + least_seconds(evaluate) * (train + test)) / len(labels)


def usual_epochs(plan: Plan, dataset: Dataset, record: Mapping[str, Any], runs: Sequence[Run]) -> dict[str, int]:
    """For each activation, the number of epochs that a run will probably take. An unknown activation is left out.

    The number comes from a run in this folder (`runs`) that has ended, else from a shipped run with the same images, rate and
    target.
    """
    usual = {}
    for name, known in _shipped(dataset, record).get(plan.setup, {}).items():
        if name in plan.activations and known["lr"] in plan.rates[name] and plan.target == TARGET:
            usual[name] = max(known.get("epochs_run", [plan.max_epochs]))
    for run in runs:
        if _is_of(plan, run) and (run.reached(plan.target) or len(run.epochs) >= plan.max_epochs):
            usual[run.activation] = len(run.epochs)
    return {name: min(epochs, plan.max_epochs) for name, epochs in usual.items()}


def _shipped(dataset: Dataset, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rates and epochs of the shipped runs with these images, by setup and activation; empty if there are no such runs."""
    if (dataset.note, len(dataset.train_labels)) == (record["dataset"]["note"], record["train_images"]):
        return record["rates"]
    return CIFAR10 if (dataset.name, len(dataset.train_labels)) == ("CIFAR-10", 50_000) else {}


def epochs_left(plan: Plan, runs: Sequence[Run], usual: Mapping[str, int] | None = None) -> int:
    """The number of epochs that the plan can still take at most; `runs` are the runs so far.

    With `usual` it is the number that the plan will probably take. Then every rate of a sweep is expected to train for as
    many epochs as the best rate usually needs, and no rate is expected to be added. A run that has already trained for more
    than the usual epochs is expected to train until `max_epochs`.
    """
    left = 0
    for name in plan.activations:
        sweep, most = sweep_of(plan, name, runs), plan.max_epochs
        if usual is not None and name in usual and len(sweep.best.epochs) < usual[name]:
            most = usual[name]
        if len(plan.rates[name]) > 1:
            live = [run for run in sweep.runs if sweep.state(run) == UNFINISHED and run is not sweep.best]
            left += sum(max(min(most, sweep.limit) - len(run.epochs), 0) for run in live)
            if usual is None and (live or sweep.state(sweep.best) == UNFINISHED):
                left += (plan.growth - sweep.added) * sweep.limit
        chosen = {run.seed: run for run in runs if (run.setup, run.activation, run.lr) == (plan.setup, name, sweep.best.lr)}
        for seed in plan.seeds:
            run = chosen.get(seed)
            if run is None:
                left += most
            elif run.diverged is None and not run.reached(plan.target):
                left += max((most if len(run.epochs) < most else plan.max_epochs) - len(run.epochs), 0)
    return left


def _is_of(plan: Plan, run: Run) -> bool:
    rates = plan.rates.get(run.activation, ())
    return run.setup == plan.setup and run.seed in plan.seeds and (run.lr in rates or len(rates) > 1)

"""How long Figure 1 will take here, from a few steps that are timed before it begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyalex.data.dataset import Dataset
from tinyalex.devices import Device
from tinyalex.experiments.figure1 import BATCH_SIZE, MOMENTUM, Plan, Run
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.models.cifar import figure1_net
from tinyalex.optim import SGD
from tinyalex.training.expected import least_seconds


def seconds_an_epoch(dataset: Dataset, device: Device) -> float:
    """Seconds of an epoch: steps over the training images, then evaluation on all."""
    net = figure1_net(setup="fan-in", classes=len(dataset.classes), device=device)
    sgd, loss = SGD(net, lr=1e-6, momentum=MOMENTUM, weight_decay=0), SoftmaxCrossEntropy(device=device)
    labels = dataset.train_labels[:BATCH_SIZE]
    x = device.asarray((dataset.train_images[:BATCH_SIZE] / np.float32(128)).astype(np.float32))  # (B, 3, 32, 32)

    def step() -> None:
        loss.forward(net.forward(x, train=True), labels)
        net.backward(loss.backward())
        sgd.step()
        device.synchronize()

    def evaluate() -> None:
        net.forward(x)
        device.synchronize()

    train, test = len(dataset.train_labels), len(dataset.test_labels)
    return (least_seconds(step) * train + least_seconds(evaluate) * (train + test)) / len(labels)


def epochs_left(plan: Plan, runs: Sequence[Run]) -> int:
    """Epochs that the plan can still take, if no more run reaches the target before its last; `runs` are what there is."""
    left = 0
    for name in plan.activations:
        rates = plan.rates[name]
        left += (len(rates) - 1) * plan.sweep_epochs + len(plan.seeds) * plan.max_epochs
        for run in runs:
            if (run.setup, run.activation) == (plan.setup, name) and run.lr in rates and run.seed in plan.seeds:
                left -= plan.max_epochs if run.reached(plan.target) else len(run.epochs)
    return max(left, 0)


def in_words(seconds: float) -> str:
    """Seconds as a person says them.

    Example
    -------
    >>> in_words(50), in_words(400), in_words(20000)
    ('50 s', '7 min', '5.6 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

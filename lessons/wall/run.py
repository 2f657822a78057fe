"""The right run, and the training of a run with its curves and with what the Trainer says of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data import Standardize, synthetic_dataset
from tinyalex.devices import CpuDevice
from tinyalex.errors import DivergedError
from tinyalex.init import FanIn, Gaussian, Init, zeros
from tinyalex.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.optim import SGD
from tinyalex.training.diagnose import at_chance
from tinyalex.training.trainer import Trainer
from tinyalex.training.watch import Watch

Set = tuple[npt.NDArray[Any], npt.NDArray[Any]]  # images (N, C, H, W) and labels (N,)
TRAIN, TEST, SIDE, CLASSES, DATA_SEED = 600, 300, 16, 10, 3
BATCH, EPOCHS, SEED = 60, 16, 2
DROPPED, DECAY = 0.2, 5e-4
STEPS = EPOCHS * TRAIN // BATCH
GUESS = math.log(CLASSES)  # the loss of a net that gives each class the same probability


def unchanged(data: Set) -> Set:
    """The data as they are."""
    return data


@dataclass(frozen=True)
class Run:
    """A training run. The defaults are the right run; a bug replaces one value.

    train, test: what happens to the training and the test data on their way to the Trainer. relu, pool, loss, sgd: classes.
    pooling: how the pooling is computed. weight, bias: the first values of the hidden layers. order: the order of the training images in
    every epoch, made from their labels; None is a new random order in each epoch. seed: of the first weights, the order of the images
    and the dropout masks.
    """

    lr: float = 0.06
    momentum: float = 0.9
    weight: Init = FanIn(1.0)
    bias: Init = zeros
    relu: type[ReLU] = ReLU
    pool: type[MaxPool2d] = MaxPool2d
    pooling: str = "auto"
    loss: type[SoftmaxCrossEntropy] = SoftmaxCrossEntropy
    sgd: type[SGD] = SGD
    train: Callable[[Set], Set] = unchanged
    test: Callable[[Set], Set] = unchanged
    order: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None
    seed: int = SEED

    def net(self) -> Sequential:
        """Two convolutions with overlapping pooling, a hidden layer with dropout, ten outputs."""
        on: dict[str, Any] = {"device": CpuDevice(workers=1, small=1 << 28)}
        first = {"weight_init": self.weight, "bias_init": self.bias, **on}
        return Sequential(
            [
                Conv2d(3, 8, 3, padding=1, input_gradient=False, name="conv1", **first), self.relu(name="relu1", **on),
                self.pool(3, stride=2, algorithm=self.pooling, name="pool1", **on),
                Conv2d(8, 16, 3, padding=1, name="conv2", **first), self.relu(name="relu2", **on),
                self.pool(3, stride=2, algorithm=self.pooling, name="pool2", **on), Flatten(**on),
                Linear(144, 48, name="fc3", **first), self.relu(name="relu3", **on), Dropout(DROPPED, seed=self.seed, name="drop3", **on),
                Linear(48, CLASSES, weight_init=Gaussian(0.01), name="fc4", **on),
            ],
            (3, SIDE, SIDE), seed=self.seed,
        )  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """What is seen of a run from outside.

    loss: the training loss of each step, all finite; shorter than STEPS where the run was stopped.
    train_error: of the steps of each epoch. test_error: after each epoch.
    says: what the Trainer says at the end, without its table of layers; empty if it says nothing. A stopped run ends with its error.
    """

    loss: npt.NDArray[Any]
    train_error: npt.NDArray[Any]
    test_error: npt.NDArray[Any]
    says: tuple[str, ...]


@cache
def data() -> tuple[Set, Set]:
    """The synthetic training and test sets."""
    made = synthetic_dataset(TRAIN, TEST, seed=DATA_SEED, side=SIDE)
    return (made.train_images, made.train_labels), (made.test_images, made.test_labels)


def trained(run: Run) -> Curve:
    """Train a run; about a second of one core."""
    train, test = run.train(data()[0]), run.test(data()[1])
    net, losses = run.net(), dict[int, float]()

    class Recorded(run.loss):  # type: ignore[name-defined,misc]
        def forward(self, logits: Any, labels: Any, *, train: bool = False) -> Any:
            loss = super().forward(logits, labels, train=train)
            if train:
                losses[trainer.position.step] = float(loss)
            return loss

    sgd = run.sgd(net, lr=run.lr, momentum=run.momentum, weight_decay=DECAY)
    prepare = Standardize.fit(data()[0][0])
    settings: dict[str, Any] = {"batch_size": BATCH, "seed": run.seed, "progress": False, "hints": False, "evaluate_train": False}
    trainer = Trainer(net, sgd, loss=Recorded(device=net.device), train=train, val=test, prepare=prepare, **settings)
    if run.order is not None:
        order = run.order(train[1])
        trainer.batches.order = lambda epoch: order  # type: ignore[method-assign]
    try:
        results = trainer.run(EPOCHS)
        # Asked at the end: after an epoch of ten steps even the right run is no better than a guess.
        says = Watch(net, trainer.loss, sgd, trainer.batches, prepare, True).after_epoch(results[-1])[:2]
    except DivergedError as error:
        results, says = trainer.results, [str(error)]
    # The batch that was looked at afterwards is no step, and the loss that stopped a run has no place on a curve.
    steps = sorted(step for step, loss in losses.items() if step < STEPS and math.isfinite(loss))
    errors = np.array([(one.running_error, one.val_error) for one in results]).reshape(-1, 2)
    return Curve(np.array([losses[step] for step in steps]), errors[:, 0], errors[:, 1], tuple(line.strip() for line in says))


def guesses(curve: Curve) -> list[int]:
    """After which epochs, from 1 on, the Trainer would say that the net still guesses, if it had said nothing before."""
    epochs = zip(smooth(curve, STEPS // EPOCHS), curve.train_error, strict=False)
    return [epoch for epoch, (loss, error) in enumerate(epochs, 1) if at_chance(float(loss), float(error), data()[0][1])]


def smooth(curve: Curve, steps: int = 10) -> npt.NDArray[Any]:
    """The means of the loss over so many steps each, of whole groups only."""
    means: npt.NDArray[Any] = curve.loss[: len(curve.loss) // steps * steps].reshape(-1, steps).mean(axis=1)
    return means


def apart(one: Curve, other: Curve) -> float:
    """How far two losses are from each other: the mean distance of the means of ten steps."""
    a, b = smooth(one), smooth(other)
    least = min(len(a), len(b))
    return float(np.abs(a[:least] - b[:least]).mean())

"""How long an epoch will take here, from a few steps that are timed before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tinyalex.training.trainer import Trainer


def seconds_an_epoch(trainer: Trainer) -> float:
    """Seconds of an epoch: steps over the training images, then the validation error. No parameter changes."""
    net, loss, batches = trainer.net, trainer.loss, trainer.batches
    images, labels = (array[: batches.batch_size] for array in (batches.images, batches.labels))

    def forward(train: bool) -> None:
        x = trainer.prepare(images, np.random.default_rng(0) if train else None)
        logits = net.forward(net.device.asarray(x, net.dtype), train=train)
        if train:
            try:
                loss.forward(logits, labels, train=True)
                net.backward(loss.backward())
            finally:
                net.zero_grad()  # after Ctrl-C too: the run that follows must not add to these
        net.device.synchronize()

    step, test = least_seconds(lambda: forward(True)), least_seconds(lambda: forward(False))
    validated = 0 if trainer.val is None else len(trainer.val[0])
    return (step * len(batches.images) + test * validated) / len(images)


def least_seconds(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the quickest of a few calls, after one that warms up; `work` waits for its device itself."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])

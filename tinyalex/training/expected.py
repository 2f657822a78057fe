"""How long an epoch will take on this machine. A few steps are timed for it before the run begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from tinyalex.training.trainer import Trainer


def seconds_an_epoch(trainer: Trainer) -> float:
    """Seconds of an epoch: the steps over all training images, then the validation error. No parameter is changed."""
    net, loss, batches = trainer.net, trainer.loss, trainer.batches
    first = np.arange(min(batches.batch_size, len(batches.source)))
    images, labels = batches.source.read(first), batches.labels[first]

    def forward(train: bool) -> None:
        x = trainer.prepare(images, np.random.default_rng(0) if train else None)
        logits = net.forward(net.device.asarray(x, net.dtype), train=train)
        if train:
            try:
                loss.forward(logits, labels, train=True)
                net.backward(loss.backward())
            finally:
                net.zero_grad()  # after Ctrl-C too: otherwise the run would add to these gradients
        net.device.synchronize()

    step, test = least_seconds(lambda: forward(True)), least_seconds(lambda: forward(False))
    validated = 0 if trainer.val is None else len(trainer.val)
    return (step * len(batches.source) + test * validated) / len(images)


def least_seconds(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of `times` calls of `work`, after one call to warm up. `work` must wait until its device has finished."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])

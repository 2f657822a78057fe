"""How long an epoch will take on this machine. A few steps are timed for it before the run begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.training.buffers import kept
from tinyalex.training.trainer import Trainer


def seconds_an_epoch(trainer: Trainer) -> float:
    """Seconds of an epoch: the steps over all training images, then the validation error. No parameter or buffer is changed.

    Reading and preparing images count only if the trainer does it itself: worker processes do it meanwhile.
    """
    net, loss, batches = trainer.net, trainer.loss, trainer.batches
    first = np.arange(min(batches.batch_size, len(batches.source)))
    labels = batches.labels[first]

    def batch(train: bool) -> Any:
        return batches.prepared(batches.source.read(first), 0, 0 if train else None)

    ready = {train: batch(train) for train in (True, False)} if trainer.workers else {}

    def forward(train: bool) -> None:
        x = ready[train] if ready else batch(train)
        logits = net.forward(net.device.asarray(x, net.dtype), train=train)
        if train:
            try:
                loss.forward(logits, labels, train=True)
                net.backward(loss.backward())
            finally:
                net.zero_grad()  # after Ctrl-C too: otherwise the run would add to these gradients
        net.device.synchronize()

    with kept(net):  # running statistics too are those of the run alone
        step, test = least_seconds(lambda: forward(True)), least_seconds(lambda: forward(False))
    validated = 0 if trainer.val is None else len(trainer.val)
    return (step * len(batches.source) + test * validated) / len(first)


def least_seconds(work: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of `times` calls of `work`, after one call to warm up. `work` must wait until its device has finished."""
    seconds = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])

"""Ctrl-C, or another signal, at a known step of a training."""

import signal

from tinyalex.training import Trainer


def stopped_at(monkeypatch, step, number=signal.SIGINT):
    """Let the signal come at the end of the given step, counted over all trainings from now on."""
    own, count = Trainer._step, [0]

    def stops(trainer, images, labels):
        own(trainer, images, labels)
        count[0] += 1
        if count[0] == step:
            signal.raise_signal(number)

    monkeypatch.setattr(Trainer, "_step", stops)

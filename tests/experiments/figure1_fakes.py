"""Runs with known curves, in place of hours of training."""

from __future__ import annotations

from tinyalex.experiments.figure1 import Plan, Run
from tinyalex.experiments.figure1_result import summary
from tinyalex.training import EpochResult

RATES = (0.01, 0.02)


def make_run(errors, *, activation="relu", setup="2012", lr=0.01, seed=0, diverged=None, running=None):
    """A run whose error after each epoch is given; its running error is that, if no other is given."""
    run = Run(setup, activation, lr, seed, diverged=diverged)
    for number, (error, mean) in enumerate(zip(errors, running or errors, strict=True), 1):
        run.epochs.append(EpochResult(number, 10.0 * number, 1.0, mean, error, error, lr, 100.0))
    return run


def make_plan(setup="2012", activations=("relu", "tanh"), rates=RATES, seeds=(0,), **settings):
    return Plan(setup, activations, dict.fromkeys(activations, rates), seeds, **{"sweep_epochs": 2, "max_epochs": 60} | settings)


def make_document(runs, plans, synthetic=True):
    """What `result` would give for these runs."""
    return {
        "dataset": {"name": "synthetic", "note": "synthetic shapes, seed 0", "synthetic": synthetic},
        "train_images": 384,
        "versions": {"tinyalex": "0.1.0"},
        "setups": {plan.setup: summary(plan, runs) for plan in plans},
    }

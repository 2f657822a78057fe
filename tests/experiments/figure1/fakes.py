"""Runs with known curves, in place of hours of training."""

from __future__ import annotations

import json

from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.result import summary
from tinyalex.experiments.figure1.runs import Run
from tinyalex.training import EpochResult

RATES = (0.01, 0.02)


def make_run(errors, *, activation="relu", setup="2012", lr=0.01, seed=0, diverged=None, running=None):
    """A run whose error after each epoch is given; its running error is that, if no other is given."""
    run = Run(setup, activation, lr, seed, diverged=diverged)
    for number, (error, mean) in enumerate(zip(errors, running or errors, strict=True), 1):
        run.epochs.append(EpochResult(number, 10.0 * number, 1.0, mean, error, error, lr, 100.0))
    return run


def make_plan(setup="2012", activations=("relu", "tanh"), rates=RATES, seeds=(0,), **settings):
    """A plan whose sweep does not grow, if nothing else is given."""
    known = {"sweep_epochs": 2, "max_epochs": 60, "growth": 0}
    return Plan(setup, activations, dict.fromkeys(activations, rates), seeds, **known | settings)


def make_document(runs, plans, synthetic=True):
    """What `result` would give for these runs."""
    return {
        "dataset": {"name": "synthetic", "note": "synthetic shapes, seed 0", "synthetic": synthetic},
        "train_images": 384,
        "versions": {"tinyalex": "0.1.0"},
        "setups": {plan.setup: summary(plan, runs) for plan in plans},
    }


def write_log(folder, change=lambda header, epochs: None, *, errors=(0.5, 0.4), **settings):
    """The log that a run on 64 synthetic images would leave below `folder`, after `change` has altered it; returns its path."""
    run = make_run(list(errors), **settings)
    trainer = {"batch_size": 128, "seed": run.seed, "train_images": 64, "val_images": 20, "first_lr": run.lr, "momentum": 0.9}
    config = {"experiment": "figure1", "data": "synthetic", "note": "synthetic shapes, seed 0", "run": run.name, "trainer": trainer}
    header = {"kind": "config", "config": config, "versions": {"tinyalex": "0.1.0"}, "blas": {}, "device": "cpu", "workers": 1}
    header |= {"seed": run.seed, "machine": {"cores": 2}, "time": "2026-01-01T00:00:00Z"}
    epochs = [{"kind": "epoch", **vars(epoch)} for epoch in run.epochs]
    change(header, epochs)
    path = folder / "runs" / run.name / "log.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *epochs)))
    return path

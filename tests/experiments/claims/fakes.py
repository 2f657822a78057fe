"""Finished runs with known outcomes, in place of hours of training."""

from __future__ import annotations

from tinyalex.experiments.claims.alexnet import ALEXNET
from tinyalex.experiments.claims.plan import VARIANTS, chosen_claims
from tinyalex.experiments.claims.result import Work
from tinyalex.experiments.claims.runs import Color, Outcome, Run, name_of, write_run

IMAGES = {"data": "CIFAR-10", "note": "JPEG-recompressed copy", "train_images": 10_000, "val_images": 10_000}
IMAGES |= {"train_sha256": "00", "val_sha256": "11"}
HOW = {"machine": {"processor": "Planted", "cores": 1}, "versions": {"python": "3", "numpy": "2", "tinyalex": "0"}, "blas": {}}
HOW |= {"device": "cpu", "workers": 1, "time": "2026-01-01T00:00:00Z"}


def make_outcome(test=0.4, *, train=(0.6, 0.5, 0.35), ten=0.38, colors=(), lr=(0.01, 0.01, 0.001), diverged=None):
    """An outcome of three epochs whose last test error is `test`."""
    epochs = len(lr)
    tests = tuple(test + 0.1 * (epochs - 1 - k) for k in range(epochs))
    found = tuple(Color(k, 0.4 + difference, 0.4, 0.1, 0.5, (0.3, 0.5)) for k, difference in enumerate(colors))
    return Outcome((2.0,) * epochs, (0.5,) * epochs, train, tests, lr, ten, found, 206_986, "ab" * 32, diverged)


def make_run(variant="base", seed=0, outcome=None, **settings):
    """A finished run."""
    stages = [{"images": 10_000, "epochs": 3, "after": [2]}]
    family = VARIANTS[variant].family
    known = {"run": name_of(variant, seed), "family": family, "stages": stages, "images": IMAGES, "lr": 0.01, "batch_size": 64}
    return Run(variant, seed, known | settings, outcome or make_outcome(), 60.0, HOW)


def plant(folder, *runs):
    """Write finished runs below `folder`."""
    for run in runs:
        path = folder / "runs" / name_of(run.variant, run.seed)
        path.mkdir(parents=True)
        write_run(path, run)


def make_work(*names, seeds=3, table=ALEXNET):
    return Work(chosen_claims(names, table), seeds, table.families, "tinyalex claims --out here", table)

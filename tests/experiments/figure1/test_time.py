"""How much is left to do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.experiments.figure1.fakes import make_plan, make_run
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import get_device
from tinyalex.experiments.figure1.time import CIFAR10, epochs_left, seconds_an_epoch, usual_epochs


@pytest.mark.parametrize(
    ("plan", "runs", "left"),
    [
        ({"rates": (0.01,)}, [], 20),
        ({}, [], 40),
        ({"growth": 1}, [], 60),
        ({"seeds": (0, 1)}, [], 60),
        ({}, [make_run([0.5, 0.4])], 38),
        ({}, [make_run([0.5, 0.2]), make_run([0.5, 0.4], lr=0.02)], 20),
        ({}, [make_run([0.5], setup="fan-in"), make_run([0.5], lr=7.0), make_run([0.5], seed=7)], 40),
        ({"rates": (0.01,)}, [make_run([], diverged="nan")], 10),
    ],
    ids=["no sweep", "sweep", "sweep that may grow", "seeds", "begun", "at the target", "runs of other plans", "diverged"],
)
def test_epochs_left(plan, runs, left):
    assert epochs_left(make_plan(**{"max_epochs": 10} | plan), runs) == left


@pytest.mark.parametrize(
    ("usual", "rates", "runs", "left"),
    [
        ({}, (0.01,), [], 20),
        ({"relu": 4, "tanh": 6}, (0.01,), [], 10),
        ({"relu": 4}, (0.01,), [], 14),
        ({"relu": 4, "tanh": 6}, (0.01, 0.02), [], 20),
        ({"relu": 1, "tanh": 1}, (0.01, 0.02), [], 4),
        ({"relu": 4, "tanh": 6}, (0.01,), [make_run([0.5] * 3)], 7),
        ({"relu": 4, "tanh": 6}, (0.01,), [make_run([0.5, 0.2])], 6),
        ({"relu": 4, "tanh": 6}, (0.01,), [make_run([0.5] * 7)], 9),
    ],
    ids=["none known", "known", "one known", "sweep", "less than a turn", "begun", "at the target", "longer than usual"],
)
def test_epochs_that_are_likely_left(usual, rates, runs, left):
    assert epochs_left(make_plan(rates=rates, max_epochs=10), runs, usual) == left


RECORD = {
    "dataset": {"note": "synthetic shapes, seed 0"},
    "train_images": 64,
    "rates": {"2012": {"relu": {"lr": 0.01, "epochs_run": [5, 7]}, "tanh": {"lr": 0.5, "epochs_run": [9]}}},
}


@pytest.mark.parametrize(
    ("plan", "images", "runs", "usual"),
    [
        ({}, 64, [], {"relu": 7}),
        ({"max_epochs": 6}, 64, [], {"relu": 6}),
        ({"target": 0.5}, 64, [], {}),
        ({}, 63, [], {}),
        ({}, 64, [make_run([0.5, 0.2]), make_run([0.5], activation="tanh")], {"relu": 2}),
        ({"max_epochs": 2}, 63, [make_run([0.5, 0.5])], {"relu": 2}),
    ],
    ids=["record", "fewer epochs", "other target", "other images", "ended here", "at the last epoch"],
)
def test_usual_epochs_are_those_of_runs_that_have_ended(plan, images, runs, usual):
    assert usual_epochs(make_plan(**plan), synthetic_dataset(images, 20), RECORD, runs) == usual


def test_record_without_epochs_tells_only_the_bound():
    record = RECORD | {"rates": {"2012": {"relu": {"lr": 0.01}}}}
    assert usual_epochs(make_plan(), synthetic_dataset(64, 20), record, []) == {"relu": 60}


def test_usual_epochs_of_cifar10_are_shipped():
    dataset = SimpleNamespace(name="CIFAR-10", note="as released", train_labels=range(50_000))
    plan = make_plan(rates=(0.003, 0.03))
    assert usual_epochs(plan, dataset, RECORD, []) == {name: CIFAR10["2012"][name]["epochs_run"][0] for name in ("relu", "tanh")}


def test_an_epoch_takes_time():
    assert seconds_an_epoch(synthetic_dataset(8, 8), get_device("cpu")) > 0

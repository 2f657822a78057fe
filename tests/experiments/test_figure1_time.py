"""How much is left to do."""

from __future__ import annotations

import pytest

from tests.experiments.figure1_fakes import make_plan, make_run
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import get_device
from tinyalex.experiments.figure1_time import epochs_left, in_words, seconds_an_epoch


@pytest.mark.parametrize(
    ("plan", "runs", "left"),
    [
        ({"rates": (0.01,)}, [], 20),
        ({}, [], 24),
        ({"seeds": (0, 1)}, [], 44),
        ({}, [make_run([0.5, 0.4])], 22),
        ({}, [make_run([0.5, 0.2]), make_run([0.5, 0.4], lr=0.02)], 12),
        ({}, [make_run([0.5], setup="fan-in"), make_run([0.5], lr=7.0), make_run([0.5], seed=7)], 24),
    ],
    ids=["no sweep", "sweep", "seeds", "begun", "at the target", "runs of other plans"],
)
def test_epochs_left(plan, runs, left):
    assert epochs_left(make_plan(**{"max_epochs": 10} | plan), runs) == left


def test_an_epoch_takes_time():
    assert seconds_an_epoch(synthetic_dataset(8, 8), get_device("cpu")) > 0


def test_seconds_in_words():
    assert [in_words(seconds) for seconds in (0.4, 89, 90, 5399, 5400)] == ["0 s", "89 s", "2 min", "90 min", "1.5 h"]

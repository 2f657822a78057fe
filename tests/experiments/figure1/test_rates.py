"""The shipped record of rates, and what is taken from it."""

from __future__ import annotations

import pytest

from tests.experiments.figure1.fakes import make_document, make_plan, make_run
from tinyalex.experiments.figure1.rates import load_record, record_of, recorded_rate, with_record

RECORD = {
    "dataset": {"name": "synthetic", "note": "synthetic shapes, seed 0", "synthetic": True},
    "train_images": 384,
    "sweep_epochs": 20,
    "rates": {"2012": {"relu": {"lr": 0.01, "sweep": [{"lr": 0.01}, {"lr": 0.02}], "edge": "lowest"}}},
}


def borrowed(lr=0.01, **change):
    document = make_document([make_run([0.5], lr=lr)], [make_plan(rates=(lr,))]) | change
    of = with_record(document, RECORD)["setups"]["2012"]
    return of["activations"]["relu"]["sweep_from"] == "record", len(of["activations"]["relu"]["sweep"]), of["sweep_epochs"]


def test_sweep_is_taken_from_the_record():
    assert borrowed() == (True, 2, 20)


@pytest.mark.parametrize("change", [{"lr": 0.5}, {"train_images": 100}, {"dataset": {"name": "CIFAR-10"}}], ids=str)
def test_sweep_of_another_rate_or_other_images_is_not(change):
    assert borrowed(**change) == (False, 1, 2)


def test_unknown_activation_has_no_rate_on_record():
    assert recorded_rate(RECORD, "2012", "relu") == 0.01
    assert recorded_rate(RECORD, "2012", "gelu") is None and recorded_rate(RECORD, "fan-in", "relu") is None


def test_record_of_a_result_keeps_rates_sweeps_and_epochs():
    document = make_document([make_run([0.5, 0.25])], [make_plan(activations=("relu",), rates=(0.01,))])
    document |= {"command": "tinyalex figure1 --sweep", "date": "2026-01-01T00:00:00Z"}
    record = record_of(document)
    assert set(record) == set(load_record()) and record["sweep_epochs"] == 2
    (known,) = record["rates"]["2012"].values()
    entry = {"lr": 0.01, "state": "reached", "epochs_to_target": 2.0, "epochs_run": 2, "train_error": [0.5, 0.25], "diverged": None}
    assert known == {"lr": 0.01, "epochs_run": [2], "sweep": [entry], "edge": None}


def test_record_is_shipped():
    assert load_record()["format"] == "tinyalex-figure1-rates"

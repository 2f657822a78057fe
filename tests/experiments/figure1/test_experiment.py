"""The experiment: its plans, its runs and what they leave, on a few synthetic images."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from tests.experiments.figure1.fakes import make_plan, make_run
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import CpuDevice
from tinyalex.errors import CheckpointError, DivergedError, ShapeError
from tinyalex.experiments.figure1.experiment import Figure1
from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.rates import load_record, recorded_rate
from tinyalex.experiments.figure1.runs import epochs_to, read_run
from tinyalex.models.cifar import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.training import RunLog, Trainer

WORDS = r"figure1: "


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(260, 20)


def figure1(dataset, folder, **settings):
    return Figure1(dataset, folder, device=CpuDevice(workers=1), progress=False, **settings)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"setup": "2013"}, "setup must be one of 2012, fan-in, got '2013'"),
        ({"activations": ("relu", "gelu")}, "activations must be among relu, tanh, sigmoid, abstanh, got 'gelu'"),
        ({"activations": ("relu", "relu")}, r"activations must be different names, at least one, got \('relu', 'relu'\)"),
        ({"activations": ()}, r"activations must be different names, at least one, got \(\)"),
        ({"rates": {}}, "learning rates of relu must be numbers above 0, got None"),
        ({"rates": {"relu": ()}}, r"learning rates of relu must be numbers above 0, got \(\)"),
        ({"rates": {"relu": (0.1, -1.0)}}, r"learning rates of relu must be numbers above 0, got -1.0"),
        ({"rates": {"relu": (float("nan"),)}}, r"learning rates of relu must be numbers above 0, got nan"),
        ({"rates": {"relu": ("0.1",)}}, "learning rates of relu must be numbers above 0, got '0.1'"),
        ({"seeds": ()}, r"seeds must be integers, at least one, got \(\)"),
        ({"seeds": ("a",)}, "seeds must be an integer of at least 0, got 'a'"),
        ({"target": 0.9}, "target must be a fraction above 0 and below 0.9, such as 0.25, got 0.9"),
        ({"target": "0.2"}, "target must be a fraction above 0 and below 0.9, such as 0.25, got '0.2'"),
        ({"max_epochs": 0}, "max_epochs must be an integer of at least 1, got 0"),
        ({"sweep_epochs": 1.5}, "sweep_epochs must be an integer of at least 1, got 1.5"),
        ({"growth": -1}, "growth must be an integer of at least 0, got -1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_plan_raises(change, text):
    with pytest.raises(ShapeError, match=WORDS + ".*" + text):
        Plan(**{"setup": "2012", "activations": ("relu",), "rates": {"relu": (0.1,)}} | change)


@pytest.mark.parametrize("setup", SETUPS)
def test_every_activation_starts_from_the_same_weights(setup):
    first, *others = [figure1_net(name, setup, seed=3).params for name in ACTIVATIONS]
    for params in others:
        assert list(params) == list(first)
        assert all(np.array_equal(params[key], first[key]) for key in first)
    assert any(np.any(first[key] != value) for key, value in figure1_net("relu", setup, seed=4).params.items())


def test_sweep_is_of_the_first_seed_and_the_others_train_with_its_choice(dataset, tmp_path):
    lines, ended = [], []
    job = figure1(dataset, tmp_path, tell=lines.append, after_run=lambda: ended.append(1))
    plan = make_plan("fan-in", ("tanh",), (0.001, 0.02), (0, 1), sweep_epochs=1, max_epochs=2)
    runs = job.run(plan)
    best = min((0.001, 0.02), key=lambda lr: min(run.epochs[-1].train_error for run in runs if run.lr == lr and run.seed == 0))
    assert [(run.lr == best, run.seed, len(run.epochs)) for run in runs] == [(False, 0, 2), (True, 0, 2), (True, 1, 2)]
    assert len(ended) == 5 and sum(" reaches 25 % in 2 epochs; " in line for line in lines) == 1
    turns = [line for line in lines if ", sweep: " in line]
    assert [line.partition("seed 0, ")[2] for line in turns] == ["epochs 1 to 1"] * 2 + ["epochs 2 to 2"] * 2
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == sorted(run.name for run in runs)


def test_sweep_adds_a_rate_beyond_the_edge_and_says_so(dataset, tmp_path):
    lines, plan = [], make_plan("fan-in", ("relu",), (1e-7, 1e-6), sweep_epochs=1, max_epochs=1, target=0.01, growth=1)
    sweep, lr = figure1(dataset, tmp_path, tell=lines.append).sweep(plan, "relu")
    assert [len(run.epochs) for run in sweep.runs] == [1, 1, 1] and sweep.added == 1 and lr == sweep.best.lr
    grown = ", ".join(f"{run.lr:g}" for run in sweep.runs)
    assert f"setup fan-in, relu: the best rate is the lowest or the highest of the sweep, so a rate is added: {grown}" in lines
    assert figure1(dataset, tmp_path).sweep(plan, "relu") == (sweep, lr)


def test_run_ends_at_the_target(dataset, tmp_path):
    (run,) = figure1(dataset, tmp_path).run(make_plan("fan-in", ("relu",), (0.001,), max_epochs=3, target=0.899))
    assert run.reached(0.899) or len(run.epochs) == 3
    assert all(not make_run([a], running=[b]).reached(0.25) for a, b in ((0.2, 0.3), (0.3, 0.2))) and make_run([0.25]).reached(0.25)


def test_same_folder_goes_on_to_the_same_curves(dataset, tmp_path):
    plan = make_plan("fan-in", ("relu",), (0.01, 0.02), sweep_epochs=1, max_epochs=2)
    whole = figure1(dataset, tmp_path / "whole").run(plan)
    figure1(dataset, tmp_path / "parts").sweep(dataclasses.replace(plan, max_epochs=1), "relu")
    parts = figure1(dataset, tmp_path / "parts").run(plan)
    assert [(run.name, run.errors("train_error"), run.errors("running_error")) for run in parts] == [
        (run.name, run.errors("train_error"), run.errors("running_error")) for run in whole
    ]
    stored = [read_run(tmp_path / "parts" / "runs" / run.name) for run in parts]
    assert stored == parts


def test_folder_of_other_images_is_refused(dataset, tmp_path):
    plan = make_plan("fan-in", ("relu",), (0.01,), max_epochs=1)
    figure1(dataset, tmp_path).run(plan)
    for changed in (plan, make_plan("fan-in", ("relu",), (0.02,), max_epochs=1)):
        text = "must be of the same images, got train_images = 260 in fan-in-relu-lr0.01-seed0 where this call has 130; use another folder"
        with pytest.raises(CheckpointError, match=text):
            figure1(dataset.subset(130), tmp_path).run(changed)
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_folder_of_other_pixels_is_refused_and_one_from_before_fingerprints_goes_on(dataset, tmp_path, monkeypatch):
    plan = make_plan("fan-in", ("relu",), (0.01,), max_epochs=1)
    other = dataclasses.replace(dataset, train_images=dataset.train_images[::-1])
    with monkeypatch.context() as patch:
        patch.setattr("tinyalex.data.source.fingerprint", lambda images, labels: None)
        patch.setattr("tinyalex.training.resume.as_json", without_none)
        (old,) = figure1(dataset, tmp_path / "old").run(plan)
    (new,) = figure1(dataset, tmp_path / "new").run(plan)
    assert "train_sha256" not in RunLog(tmp_path / "old" / "runs" / old.name / "log.jsonl").read()[0]["config"]["trainer"]
    assert [run.epochs[0].epoch for run in figure1(dataset, tmp_path / "old").run(make_plan("fan-in", ("relu",), (0.01,), max_epochs=2))]
    with pytest.raises(CheckpointError, match="got train_sha256 = .* where this call has .*; use another folder for other images"):
        figure1(other, tmp_path / "new").run(plan)
    assert old.errors("running_error") == new.errors("running_error")


def without_none(config):
    return {**config, "trainer": {key: value for key, value in config["trainer"].items() if value is not None}}


def test_diverged_run_is_kept_and_not_repeated(dataset, tmp_path):
    plan = make_plan("2012", ("relu", "tanh"), (1e30,), max_epochs=2)
    lines = []
    text = r"a learning rate must let relu train in the setup 2012, got 1e\+30, .*; use lower --rates"
    with pytest.raises(DivergedError, match=WORDS + text):
        figure1(dataset, tmp_path, tell=lines.append).run(plan)
    run = read_run(tmp_path / "runs" / "2012-relu-lr1e+30-seed0")
    assert re.search("loss must be finite, got (nan|inf)", run.diverged) and run.diverged in lines
    before = (tmp_path / "runs" / run.name / "log.jsonl").read_bytes()
    with pytest.raises(DivergedError):
        figure1(dataset, tmp_path).run(plan)
    assert (tmp_path / "runs" / run.name / "log.jsonl").read_bytes() == before
    assert (tmp_path / "runs" / "2012-tanh-lr1e+30-seed0").is_dir()


def test_sweep_leaves_out_a_rate_that_diverges(dataset, tmp_path):
    plan = make_plan("fan-in", ("relu",), (0.001, 1e30), sweep_epochs=1, max_epochs=1)
    sweep, lr = figure1(dataset, tmp_path).sweep(plan, "relu")
    assert lr == 0.001 and [run.diverged is None for run in sweep.runs] == [True, False]


def test_what_is_done_is_neither_done_nor_told_again(dataset, tmp_path):
    plan = make_plan("fan-in", ("relu",), (0.01, 0.02), sweep_epochs=1, max_epochs=2)
    runs = figure1(dataset, tmp_path).run(plan)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    lines, ended = [], []
    assert figure1(dataset, tmp_path, tell=lines.append, after_run=lambda: ended.append(1)).run(plan) == runs
    assert [line for line in lines if "comes nearest" not in line] == ended == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_rate_that_a_name_cannot_tell_from_another_is_refused(dataset, tmp_path):
    figure1(dataset, tmp_path).run(make_plan("fan-in", ("relu",), (0.01,), max_epochs=1))
    with pytest.raises(CheckpointError, match="got trainer.first_lr = 0.010000001 where that had 0.01"):
        figure1(dataset, tmp_path).run(make_plan("fan-in", ("relu",), (0.010000001,), max_epochs=1))


def test_bar_counts_to_the_epoch_that_is_likely_the_last(dataset, tmp_path, monkeypatch):
    seen, run = [], Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda trainer, epochs, **settings: seen.append(settings) or run(trainer, 1))
    plan = make_plan("fan-in", ("relu", "tanh"), (0.01,), max_epochs=9)
    figure1(dataset, tmp_path, usual={("fan-in", "relu"): 4}).run(plan)
    assert [settings["expected"] for settings in seen] == [4, None]


@pytest.mark.slow
def test_net_needs_several_epochs_to_25_percent_of_the_synthetic_images(tmp_path):
    rate = recorded_rate(load_record(), "fan-in", "relu")
    plan = make_plan("fan-in", ("relu",), (rate,), max_epochs=15)
    (run,) = Figure1(synthetic_dataset(2048, 20), tmp_path, progress=False).run(plan)
    assert 3 < epochs_to(run.errors("train_error"), 0.25) < 15

"""Training one run: stopped and continued it gives the same bytes, and other settings are refused."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses
from tests.stops import stopped_at
from tinyalex.data.prepare import Standardize
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import CpuDevice
from tinyalex.errors import CheckpointError, Interrupted
from tinyalex.experiments.claims import experiment
from tinyalex.experiments.claims.experiment import Training
from tinyalex.experiments.claims.plan import FAMILIES, VARIANTS
from tinyalex.experiments.claims.runs import read_run
from tinyalex.models.weights import read_weights
from tinyalex.training import Trainer

REPOSITORY = Path(__file__).parents[3]
EPOCHS = {"claims": 2, "pair": 4, "towers": 2}


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(150, 20)


def training(family, dataset, folder, **changes):
    budget = replace(FAMILIES[family], epochs=EPOCHS[family], train_images=None, **changes)
    return Training(budget, dataset, folder, CpuDevice(workers=1), progress=False)


def bytes_of(folder):
    """What a run left that does not depend on the clock."""
    outcome = json.loads((folder / "run.json").read_text())
    return {
        "outcome": json.dumps([outcome["settings"], outcome["outcome"]]),
        **{path.name: path.read_bytes() for path in (folder / "weights.safetensors", folder / "colors.json") if path.exists()},
    }


@pytest.mark.parametrize(("name", "steps"), [("no-dropout", (1, 3)), ("pair-norm", (1, 5)), ("split", (2, 1))])
def test_a_run_that_was_stopped_gives_the_same_bytes_as_one_that_was_not(name, steps, dataset, tmp_path, monkeypatch):
    variant = VARIANTS[name]
    whole = training(variant.family, dataset, tmp_path / "whole").train(variant, 0)
    for step in steps:
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            stopped_at(patch, step, signal.SIGTERM)
            training(variant.family, dataset, tmp_path / "parts").train(variant, 0)
    parts = training(variant.family, dataset, tmp_path / "parts").train(variant, 0)
    assert parts.outcome == whole.outcome and parts.wall_s > 0
    found = [bytes_of(tmp_path / which / "runs" / f"{name}-seed0") for which in ("whole", "parts")]
    assert found[0] == found[1] and "weights.safetensors" in found[0]
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_a_stop_between_training_and_result_is_continued(dataset, tmp_path, monkeypatch):
    variant, whole = VARIANTS["base"], training("claims", dataset, tmp_path / "whole")
    wanted = whole.train(variant, 0).outcome
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(experiment, "probabilities", lambda *args, **kw: signal.raise_signal(signal.SIGINT))
        training("claims", dataset, tmp_path / "parts").train(variant, 0)
    again = training("claims", dataset, tmp_path / "parts")
    assert again.finished(variant, 0) is None and again.epochs_left(variant, 0) == 0
    assert again.train(variant, 0).outcome == wanted


def test_a_finished_run_is_not_trained_again(dataset, tmp_path, monkeypatch):
    mine = training("claims", dataset, tmp_path)
    first = mine.train(VARIANTS["base"], 1)
    monkeypatch.setattr(Trainer, "run", lambda *args, **kw: pytest.fail("it trains again"))
    assert training("claims", dataset, tmp_path).train(VARIANTS["base"], 1) == first
    assert not (tmp_path / "runs" / "base-seed1" / "weights.safetensors").exists()


def test_outcome_has_what_its_family_measures(dataset, tmp_path):
    base = training("claims", dataset, tmp_path).train(VARIANTS["base"], 0).outcome
    assert len(base.train_error) == len(base.test_error) == len(base.loss) == 2 and 0 <= base.ten_views <= 1 and not base.colors
    pair = training("pair", dataset, tmp_path).train(VARIANTS["pair-plain"], 0).outcome
    assert pair.train_error == () and len(pair.test_error) == 4 and pair.lr == (0.001, 0.001, 0.0001, pytest.approx(1e-5))
    towers = training("towers", dataset, tmp_path).train(VARIANTS["whole"], 0).outcome
    assert [color.epoch for color in towers.colors] == [0, 1, 2] and towers.ten_views is None
    assert len(towers.colors[0].shares) == 32 and towers.colors[0].shares != towers.colors[2].shares


def test_pair_is_trained_as_its_authors_trained_it(dataset, tmp_path):
    mine = training("pair", dataset, tmp_path)
    net, sgd = mine.parts(VARIANTS["pair-norm"], 0)
    assert sgd.factors == {
        "conv1.weight": (1, 0), "conv2.weight": (1, 0), "local3.weight": (1, 1), "local4.weight": (1, 1), "fc10.weight": (1, 1),
        **{f"{layer}.bias": (2, 0) for layer in ("conv1", "conv2", "local3", "local4", "fc10")},
    }  # fmt: skip
    assert sgd.weight_decay == 0.004 and sgd.lr == 0.001 and sgd.constant == {name for name in sgd.factors if name.endswith("bias")}
    stages = [mine.trainer(VARIANTS["pair-norm"], 0, net, sgd, number, None) for number in (0, 1)]
    assert [len(stage.batches.source) for stage in stages] == [120, 150]
    assert [stage.batches.segment for stage in stages] == [10_000] * 2
    assert [stage.batches.order(5).tolist() for stage in stages] == [list(range(120)), list(range(150))]
    assert stages[0].batches.rng(0, 0).random() != stages[1].batches.rng(0, 0).random()
    x = mine.prepare(VARIANTS["pair-norm"])(dataset.test_images[:2])
    mean = dataset.train_images.mean(axis=0)[:, 4:28, 4:28]
    assert np.allclose(x, dataset.test_images[:2, :, 4:28, 4:28] - mean, atol=1e-4)
    assert mine.prepare(VARIANTS["pair-norm"]).variants == 2 * 81


def test_pair_is_tested_with_the_mean_of_ten_views(dataset, tmp_path, monkeypatch):
    nets, own = [], experiment.probabilities
    monkeypatch.setattr(experiment, "probabilities", lambda net, *args, **kw: nets.append(net) or own(net, *args, **kw))
    found = training("pair", dataset, tmp_path).train(VARIANTS["pair-plain"], 1).outcome.ten_views
    mean = dataset.train_images.mean(axis=0)[:, 4:28, 4:28]
    total = np.zeros((20, 10))
    for top, left in ((0, 0), (0, 8), (4, 4), (8, 0), (8, 8)):
        crops = dataset.test_images[:, :, top : top + 24, left : left + 24]
        for view in (crops, crops[..., ::-1]):
            powers = np.exp(nets[0].forward((view - mean).astype(np.float32)).astype(float))
            total += powers / powers.sum(axis=1, keepdims=True)
    assert found == (total.argmax(axis=1) != dataset.test_labels).mean()


def test_variants_are_trained_as_they_say(dataset, tmp_path):
    mine, images = training("claims", dataset, tmp_path), dataset.train_images[:40]

    def prepared(name, seed):
        return mine.prepare(VARIANTS[name])(images, np.random.default_rng(seed))

    center = mine.prepare(VARIANTS["base"])(images)
    assert center.shape == (40, 3, 24, 24) and np.abs(center.mean()) < 1
    shift = prepared("no-crops", 1) - center  # one color for all pixels of an image
    assert np.allclose(shift, shift[:, :, :1, :1], atol=1e-4) and np.ptp(shift) > 0.1
    assert np.array_equal(prepared("no-dropout", 1), prepared("base", 1)) and not np.array_equal(prepared("base", 1), prepared("base", 2))
    difference = prepared("base", 1) - center
    assert not np.allclose(difference, difference[:, :, :1, :1], atol=1e-4)
    pixels = set(Standardize.fit(dataset.train_images)(images).ravel().tolist())
    assert set(prepared("no-color", 1).ravel().tolist()) <= pixels and not set(prepared("base", 1).ravel().tolist()) <= pixels
    decays = {name: mine.parts(VARIANTS[name], 0)[1].weight_decay for name in ("base", "no-decay", "no-crops")}
    assert decays == {"base": 5e-4, "no-decay": 0, "no-crops": 5e-4}
    _, sgd = mine.parts(VARIANTS["base"], 0)
    assert set(sgd.factors.values()) == {(1, 1)} and not sgd.constant and sgd.lr == 0.01


def test_second_stage_begins_with_weights_and_velocity_of_the_first(dataset, tmp_path, monkeypatch):
    begun, own = [], Trainer.run

    def run(trainer, *args, **kw):
        begun.append(np.abs(trainer.sgd.velocity["local3.weight"]).max())
        return own(trainer, *args, **kw)

    monkeypatch.setattr(Trainer, "run", run)
    training("pair", dataset, tmp_path).train(VARIANTS["pair-plain"], 0)
    assert begun[0] == 0 and begun[1] > 0


@pytest.mark.parametrize("finished", [False, True])
def test_other_settings_are_refused(finished, dataset, tmp_path, monkeypatch):
    mine = training("claims", dataset, tmp_path)
    if finished:
        mine.train(VARIANTS["base"], 0)
    else:
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            stopped_at(patch, 1, signal.SIGTERM)
            mine.train(VARIANTS["base"], 0)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with refuses(CheckpointError, f"{tmp_path / 'runs' / 'base-seed0'}: "):
        training("claims", dataset, tmp_path, lr=0.5).train(VARIANTS["base"], 0)
    with refuses(CheckpointError, f"{tmp_path / 'runs' / 'base-seed0'}: "):
        training("claims", dataset.subset(100), tmp_path).train(VARIANTS["base"], 0)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_that_diverges_is_kept_and_says_so(dataset, tmp_path):
    run = training("claims", dataset, tmp_path, lr=1e30).train(VARIANTS["base"], 0)
    assert "loss must be finite" in run.outcome.diverged or "must be finite" in run.outcome.diverged
    assert run.outcome.ten_views is None and not (tmp_path / "runs" / "base-seed0" / "weights.safetensors").exists()
    assert training("claims", dataset, tmp_path, lr=1e30).finished(VARIANTS["base"], 0) == run


def test_a_run_whose_parameters_are_too_large_for_float16_is_kept(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "too_large", lambda net, dtype: "7e+04 in weight of conv1" if dtype == "float16" else None)
    run = training("claims", dataset, tmp_path).train(VARIANTS["base"], 0)
    weights = tmp_path / "runs" / "base-seed0" / "weights.safetensors"
    assert run.outcome.diverged is None and read_weights(weights)[0]["conv1.weight"].dtype == np.float32


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "tinyalex-claims-run", "format_version": 2}', '{"format": 1}'])
def test_damaged_run_is_refused(text, dataset, tmp_path):
    folder = tmp_path / "runs" / "base-seed0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text)
    with refuses(CheckpointError, f"bring it back, or delete {folder} to train this run again"):
        training("claims", dataset, tmp_path).finished(VARIANTS["base"], 0)


@pytest.mark.parametrize("change", [{"test_error": [0.5]}, {"loss": [None, 1.0]}, {"colors": [{}]}, {"ten_views": "x"}, {"lr": 3}])
def test_altered_outcome_is_refused(change, dataset, tmp_path):
    training("claims", dataset, tmp_path).train(VARIANTS["base"], 0)
    path = tmp_path / "runs" / "base-seed0" / "run.json"
    document = json.loads(path.read_text())
    document["outcome"] |= change
    path.write_text(json.dumps(document))
    with refuses(CheckpointError, "the file must be a finished run of claims, got"):
        training("claims", dataset, tmp_path).finished(VARIANTS["base"], 0)


def test_runs_of_the_time_before_have_the_settings_of_this_code(dataset, tmp_path):
    """The committed runs must be read and go on: what decides an outcome has the same names and values as then."""
    paths = sorted((REPOSITORY / "examples" / "results" / "claims" / "runs").glob("*/run.json"))
    assert paths
    for path in paths:
        run = read_run(path.parent)
        family = replace(FAMILIES[VARIANTS[run.variant].family], train_images=None)
        mine = Training(family, dataset, tmp_path, CpuDevice(workers=1), progress=False)
        mine.images = run.settings["images"]
        mine.stages = mine.family.stages(mine.images["train_images"])
        assert mine.settings(VARIANTS[run.variant], run.seed) == run.settings

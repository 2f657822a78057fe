"""The claims of the networks after AlexNet: the nets, their runs, the ensemble, the page."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.contract import refuses
from tests.experiments.claims.fakes import IMAGES, make_outcome, make_run, make_work, plant
from tests.experiments.claims.test_experiment import bytes_of
from tests.stops import stopped_at
from tinyalex.analysis.count import count, totals
from tinyalex.analysis.receptive import receptive_fields
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.devices import CpuDevice
from tinyalex.errors import CheckpointError, Interrupted, ShapeError
from tinyalex.experiments.claims.ensemble import PROBABILITIES, mean_of, write_probabilities
from tinyalex.experiments.claims.experiment import Training
from tinyalex.experiments.claims.job import Job, open_folder
from tinyalex.experiments.claims.later import AFTER_ALEXNET, CLAIMS, FAMILIES, MEMBERS, VARIANTS
from tinyalex.experiments.claims.page import files_of, page_of, sentences
from tinyalex.experiments.claims.plan import TABLES, chosen_claims, queue_of
from tinyalex.experiments.claims.result import result
from tinyalex.experiments.claims.runs import Outcome, name_of, read_run
from tinyalex.experiments.claims.values import KINDS, value_of
from tinyalex.layers import BatchNorm2d, GroupNorm, LocalResponseNorm
from tinyalex.models.later.table import build_later

DEVICE = CpuDevice(workers=1)


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(18, 12)


@pytest.fixture(scope="module")
def nets():
    return {name: variant.build(0, 10, DEVICE) for name, variant in VARIANTS.items() if variant.build is not None}


def training(family, dataset, folder, **changes):
    budget = replace(FAMILIES[family], **{"epochs": 2, "train_images": None, "test_images": 5, **changes})
    return Training(budget, dataset, folder, DEVICE, progress=False)


def leaves(net, kind):
    return [leaf for leaf in net.leaves() if isinstance(leaf, kind)]


def finals(train, test, **changes):
    """An outcome whose finished net was measured apart from the curves."""
    return replace(make_outcome(0.9, train=(), ten=None), final_train=train, final_test=test, **changes)


def averaged(error):
    """The outcome of an ensemble."""
    return Outcome((), (), (), (), (), None, (), 1_000_000, "ab" * 32, final_test=error)


# The nets


@pytest.mark.parametrize("name", ["plain-20", "plain-56", "resnet-20", "resnet-56"])
def test_deep_nets_are_those_of_the_registry(nets, name):
    published = build_later(name.replace("-", ""), devices=DEVICE)
    assert nets[name].params.keys() == published.params.keys()
    assert all(np.array_equal(array, published.params[key]) for key, array in nets[name].params.items())


def test_plain_net_and_its_twin_with_shortcuts_start_with_the_same_weights(nets):
    plain, residual = nets["plain-56"].params, nets["resnet-56"].params
    assert plain.keys() == residual.keys() and all(np.array_equal(plain[key], residual[key]) for key in plain)


def test_costs_that_the_page_calls_equal_are(nets):
    of = {name: totals(count(net)) for name, net in nets.items()}
    assert (of["resnet-20"].macs, of["resnet-20"].parameters) == (40_551_040, 269_722)
    assert (of["bottleneck-29"].macs, of["bottleneck-29"].parameters) == (41_863_680, 270_234)
    assert (of["one-5x5"].macs, of["two-3x3"].macs) == (35_291_456, 25_657_664)
    assert of["preactivation-56"].macs == of["resnet-56"].macs
    assert of["se-20"].macs < 1.001 * of["resnet-20"].macs and of["se-20"].parameters < 1.04 * of["resnet-20"].parameters


def test_two_3x3_see_as_far_as_one_5x5(nets):
    one, two = (receptive_fields(nets[name]) for name in ("one-5x5", "two-3x3"))
    assert all(one[f"stage{stage}.conv1"].size == two[f"stage{stage}.conv2"].size for stage in (1, 2, 3))


def test_nets_with_each_normalization_differ_in_nothing_else(nets):
    for suffix in ("", "-4"):
        kinds = {name: [type(leaf).__name__ for leaf in nets[name + suffix].leaves()] for name in ("bn", "gn", "lrn", "none")}
        rest = {name: [kind for kind in found if "Norm" not in kind] for name, found in kinds.items()}
        assert rest["bn"] == rest["gn"] == rest["lrn"] == rest["none"] == kinds["none"]
        assert len(leaves(nets["bn" + suffix], BatchNorm2d)) == len(leaves(nets["gn" + suffix], GroupNorm)) == 7
        assert len(leaves(nets["lrn" + suffix], LocalResponseNorm)) == 7
        assert "conv1.bias" in nets["lrn" + suffix].params and "conv1.bias" in nets["none" + suffix].params
        assert "conv1.bias" not in nets["bn" + suffix].params


def test_every_variant_has_as_many_outputs_as_there_are_classes():
    assert VARIANTS["se-20"].build(0, 3, DEVICE).shapes[-1] == (3,)


# The plan


def test_no_variant_or_family_is_in_both_tables():
    for part in ("variants", "families"):
        names = [name for table in TABLES.values() for name in getattr(table, part)]
        assert len(set(names)) == len(names)


def test_every_claim_names_variants_that_are_trained_and_every_variant_is_used():
    for claim in CLAIMS.values():
        assert VARIANTS[claim.better].family == VARIANTS[claim.worse].family and claim.kind in KINDS
    assert {name for claim in CLAIMS.values() for name in (claim.better, claim.worse)} == set(VARIANTS)


def test_degradation_comes_first_with_all_seeds_then_everything_with_one_seed():
    queue = [(variant.name, seed) for variant, seed in queue_of(tuple(CLAIMS.values()), 3, AFTER_ALEXNET)]
    first, rest = ("plain-20", "plain-56", "resnet-20", "resnet-56"), tuple(VARIANTS)[4:]
    assert queue == [(name, seed) for names in (first, rest) for seed in range(3) for name in names]


def test_members_are_trained_before_the_ensemble_that_averages_them():
    queue = [variant.name for variant, _ in queue_of(chosen_claims(["ensemble-se-20"], AFTER_ALEXNET), 1, AFTER_ALEXNET)]
    assert set(queue) == {*MEMBERS, "ensemble"} and queue[-1] == "ensemble"


def test_claim_of_the_other_table_is_refused_with_the_option_that_finds_it():
    with refuses(ShapeError, "got 'degradation'; add --of later"):
        chosen_claims(["degradation"])
    with refuses(ShapeError, "got 'pooling'; add --of alexnet"):
        chosen_claims(["pooling"], AFTER_ALEXNET)


# Runs


@pytest.mark.parametrize(("name", "steps"), [("bn-4", (2, 6)), ("two-3x3", (1, 1))])
def test_a_run_that_was_stopped_gives_the_same_bytes_as_one_that_was_not(name, steps, dataset, tmp_path, monkeypatch):
    variant = VARIANTS[name]
    whole = training(variant.family, dataset, tmp_path / "whole").train(variant, 0)
    for step in steps:
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            stopped_at(patch, step)
            training(variant.family, dataset, tmp_path / "parts").train(variant, 0)
    parts = training(variant.family, dataset, tmp_path / "parts").train(variant, 0)
    assert parts.outcome == whole.outcome and parts.outcome.final_test is not None
    folders = [tmp_path / which / "runs" / f"{name}-seed0" for which in ("whole", "parts")]
    assert bytes_of(folders[0]) == bytes_of(folders[1])
    kept = [folder / PROBABILITIES for folder in folders]
    assert all(path.exists() == (name in MEMBERS) for path in kept)
    assert name not in MEMBERS or kept[0].read_bytes() == kept[1].read_bytes()
    assert not list(tmp_path.rglob("checkpoint-*")) and not list(tmp_path.rglob("weights*"))


def test_finished_net_is_measured_on_all_images(dataset, tmp_path):
    mine = training("later", dataset, tmp_path)
    variant = VARIANTS["two-3x3"]
    run = mine.train(variant, 1)
    assert len(run.outcome.test_error) == 2 and {round(error * 5, 9) % 1 for error in run.outcome.test_error} == {0}
    assert run.outcome.train_error == () and run.outcome.last_train == run.outcome.final_train
    kept = mean_of([tmp_path / "runs" / "two-3x3-seed1"], (12, 10))
    assert run.outcome.final_test == run.outcome.last_test == (kept.argmax(axis=1) != dataset.test_labels).mean()
    assert run.settings["curve_images"] == 5 and run.settings["padding"] == 4 and "curve_images" not in make_run().settings


def test_each_net_learns_at_its_own_rate(dataset, tmp_path):
    rates = {name: training(variant.family, dataset, tmp_path).settings(variant, 0)["lr"] for name, variant in VARIANTS.items()}
    assert rates["plain-56"] == rates["se-20"] == 0.02 and (rates["bn"], rates["lrn"], rates["none"]) == (0.1, 0.1, 0.03)
    assert all(rates[f"{norm}-4"] == pytest.approx(rates[norm] * 4 / 64) for norm in ("bn", "gn", "lrn", "none"))
    for name in ("none", "none-4"):
        mine = training(VARIANTS[name].family, dataset, tmp_path)
        net, sgd = mine.parts(VARIANTS[name], 0)
        assert sgd.lr == rates[name] == mine.trainer(VARIANTS[name], 0, net, sgd, 0, None).schedule.lr


def test_images_are_moved_by_up_to_four_pixels_in_training_alone(dataset, tmp_path):
    prepare = training("later", dataset, tmp_path).prepare(VARIANTS["resnet-20"])
    settings = prepare.settings
    assert (settings["size"], settings["padding"], settings["augment"]) == (32, 4, True)
    assert np.array_equal(prepare(dataset.test_images), prepare.prepare(dataset.test_images))


def test_ensemble_averages_the_probabilities_of_its_members(dataset, tmp_path):
    rng = np.random.default_rng(0)
    given = rng.dirichlet(np.ones(10), (4, 12)).astype(np.float32)
    for name, found in zip(MEMBERS, given, strict=True):
        plant(tmp_path, make_run(name, 0, finals(0.2, 0.3)))
        write_probabilities(tmp_path / "runs" / name_of(name, 0), found)
    mine, ensemble = training("later", dataset, tmp_path), VARIANTS["ensemble"]
    assert mine.epochs_left(ensemble, 0) == 0 and mine.finished(ensemble, 0) is None
    run = mine.train(ensemble, 0)
    mean = given.astype(np.float16).astype(np.float32).mean(axis=0)
    assert run.outcome.final_test == (mean.argmax(axis=1) != dataset.test_labels).mean() and run.outcome.parameters == 4 * 206_986
    assert read_run(tmp_path / "runs" / "ensemble-seed0") == run == mine.finished(ensemble, 0)


def test_ensemble_of_a_net_that_diverged_says_so(dataset, tmp_path):
    for name in MEMBERS:
        plant(tmp_path, make_run(name, 0, finals(0.2, 0.3) if name != "se-20" else make_outcome(diverged="loss must be finite")))
    run = training("later", dataset, tmp_path).train(VARIANTS["ensemble"], 0)
    assert run.outcome.diverged == "loss must be finite" and run.outcome.last_test is None


def test_ensemble_without_a_member_is_refused(dataset, tmp_path):
    with refuses(CheckpointError, "the member of an ensemble must be a finished run, got none; train it first"):
        training("later", dataset, tmp_path).train(VARIANTS["ensemble"], 0)
    for name in MEMBERS:
        plant(tmp_path, make_run(name, 0, finals(0.2, 0.3)))
    with refuses(CheckpointError, PROBABILITIES):
        training("later", dataset, tmp_path).train(VARIANTS["ensemble"], 0)
    for name in MEMBERS:
        write_probabilities(tmp_path / "runs" / name_of(name, 0), np.zeros((3, 10), np.float32))
    with refuses(CheckpointError, "the probabilities must be an array of shape (12, 10), got (3, 10); delete"):
        training("later", dataset, tmp_path).train(VARIANTS["ensemble"], 0)


def test_outcome_without_curves_is_refused_unless_the_finished_net_was_measured(tmp_path):
    plant(tmp_path, make_run("ensemble", 0, averaged(0.25)), make_run("ensemble", 1, averaged(None)))
    assert read_run(tmp_path / "runs" / "ensemble-seed0").outcome.last_test == 0.25
    with refuses(CheckpointError, "got 'no epochs' in reading it"):
        read_run(tmp_path / "runs" / "ensemble-seed1")


# Values and the page


@pytest.mark.parametrize(
    ("claim", "better", "worse", "value"),
    [
        ("degradation", finals(0.10, 0.5), finals(0.35, 0.4), 25),
        ("degradation-test", finals(0.10, 0.5), finals(0.35, 0.4), -10),
        ("deeper-test", finals(0.5, 0.30), finals(0.5, 0.32), 2),
        ("ensemble-se-20", averaged(0.25), finals(0.2, 0.28), 3),
    ],
)
def test_values_are_those_of_finished_nets_and_not_the_last_points_of_curves(claim, better, worse, value):
    assert value_of(CLAIMS[claim], better, worse) == pytest.approx(value)


def planted(folder):
    for seed in range(3):
        for k, name in enumerate(VARIANTS):
            outcome = finals(0.3 + k / 100 + seed / 1000, 0.4 + k / 100)
            plant(folder, make_run(name, seed, averaged(0.39) if name == "ensemble" else outcome))


def test_page_and_every_picture(tmp_path):
    planted(tmp_path)
    document = Job(tmp_path, make_work(table=AFTER_ALEXNET), lambda line: None).write()
    assert document["of"] == "later" and document["finished"] and list(document["claims"]) == list(CLAIMS)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(files_of(AFTER_ALEXNET))
    page = (tmp_path / "README.md").read_text()
    for name in files_of(AFTER_ALEXNET):
        if name.endswith("png"):
            with Image.open(tmp_path / name) as image:
                image.load()
                assert image.width > 1000
            assert f"]({name})" in page
    assert "| resnet-20-seed1 | 20 layers, a shortcut beside every two | 32.10 % | 42.00 % | 269,722 | 40,551,040 |" in page
    assert "bottleneck-29 has 3.2 % more multiply-adds than resnet-20 and 0.2 % more parameters" in " ".join(page.split())
    assert "CIFAR-10 (JPEG-recompressed copy)" in " ".join(page.split()) and "synthetic" not in page
    assert max(len(line) for line in page.splitlines() if not line.startswith(("|", "!"))) <= 140
    assert any(line.startswith("degradation, He 2015, 4.2: training error, lower by 1.00 points") for line in sentences(document))


def test_page_of_no_run_at_all(tmp_path):
    document = json.loads(json.dumps(result(make_work(table=AFTER_ALEXNET), tmp_path)))
    page = " ".join(page_of(document).split())
    assert "0 of 54 runs are finished" in page and "10 epochs of the training images" in page


def test_rate_of_the_page_is_that_of_the_family_and_not_a_nets_own(tmp_path):
    plant(tmp_path, make_run("bn", 0, finals(0.1, 0.2), lr=0.1))
    assert result(make_work(table=AFTER_ALEXNET), tmp_path)["families"]["later"]["lr"] == 0.02
    plant(tmp_path, make_run("se-20", 0, finals(0.1, 0.2), lr=0.07))
    assert result(make_work(table=AFTER_ALEXNET), tmp_path)["families"]["later"]["lr"] == 0.07


def test_page_says_that_images_are_synthetic(tmp_path):
    synthetic = {"images": IMAGES | {"data": "synthetic", "note": "synthetic shapes, seed 0"}}
    plant(tmp_path, make_run("plain-20", 0, finals(0.1, 0.2), **synthetic))
    assert "**synthetic** images that a program drew" in " ".join(page_of(result(make_work(table=AFTER_ALEXNET), tmp_path)).split())


def test_picture_of_normalizations_before_any_run_with_batches_of_4(tmp_path):
    plant(tmp_path, *(make_run(name, 0, finals(0.1, 0.2)) for name in ("bn", "gn", "lrn", "none")))
    Job(tmp_path, make_work(table=AFTER_ALEXNET), lambda line: None).write()  # without a warning
    assert (tmp_path / "norms.png").is_file()


@pytest.mark.parametrize(("images", "text"), [(48, "the error of all test images"), (10_000, "the error of the first 1,000 test images")])
def test_page_says_which_test_images_the_curves_have(tmp_path, images, text):
    plant(tmp_path, make_run("plain-20", 0, finals(0.1, 0.2), images=IMAGES | {"val_images": images}))
    page = " ".join(page_of(result(make_work(table=AFTER_ALEXNET), tmp_path)).split())
    assert text in page and ("1,000 test images" in page) is (images == 10_000)


def test_folder_of_the_other_table_is_refused(tmp_path):
    plant(tmp_path, make_run("base", 0))
    with refuses(CheckpointError, "--out must be a folder of runs of --of later, got one of --of alexnet; name another folder"):
        open_folder(tmp_path, AFTER_ALEXNET)

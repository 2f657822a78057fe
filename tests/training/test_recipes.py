"""Recipes: what each holds, the schedule and the optimizer that it makes, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.commands.train_own import Own
from tinyalex.data import CropAndFlip, Standardize
from tinyalex.data.synthetic import synthetic_dataset
from tinyalex.errors import ShapeError
from tinyalex.models.later.cifar_resnet import cifar_resnet
from tinyalex.models.registry import MODELS
from tinyalex.models.saved_net import SavedNet
from tinyalex.models.variants import VARIANTS
from tinyalex.schedule import Dexp, Plateau, Schedule, Steps
from tinyalex.training.recipe_table import OF_NET, SOURCES, in_net, table_of
from tinyalex.training.recipes import NAMES, RECIPES, Recipe, recipe_for, recipe_of
from tinyalex.training.start import input_of


def test_the_papers_recipe_is_section_5_and_4_1():
    paper = recipe_of("paper")
    assert (paper.batch_size, paper.momentum, paper.weight_decay, paper.lr, paper.epochs) == (128, 0.9, 0.0005, 0.01, 90)
    assert (paper.schedule, paper.times, paper.divide_by) == ("plateau", 3, 10) and paper.pixels == "mean-image"
    assert (paper.bias_lr, paper.bias_decay, paper.offsets, paper.color_noise, paper.noise_until) == (1, 1, "paper", 0.1, None)


def test_the_authors_recipe_is_the_log_of_their_run():
    authors = recipe_of("authors")
    rates = [authors.schedule_for()]
    schedule = rates[0]
    seen = [schedule.lr, *(schedule.end_epoch() for _ in range(authors.epochs))]
    assert [round(seen[k], 9) for k in (0, 24, 25, 50, 51, 78, 79, 90)] == [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]
    assert (authors.bias_lr, authors.bias_decay, authors.bias_lr_falls) == (2, 0, False)
    assert (authors.offsets, authors.color_shrink, authors.noise_until) == ("code", 1.1, 67)


def test_recipe_of_resnet_20_is_section_4_2_of_its_paper():
    he = recipe_of("resnet20-cifar10")
    steps_an_epoch = -(-50_000 // he.batch_size)
    assert [round(steps / steps_an_epoch) for steps in (32_000, 48_000, 64_000)] == [*he.drop_after, he.epochs]
    schedule = he.schedule_for()
    rates = [schedule.lr, *(schedule.end_epoch() for _ in range(he.epochs - 1))]
    assert [round(rates[k], 9) for k in (0, 81, 82, 122, 123, 163)] == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    assert (he.batch_size, he.momentum, he.weight_decay, he.padding) == (128, 0.9, 1e-4, 4) and recipe_for("resnet20") == "resnet20-cifar10"
    dataset = synthetic_dataset(20, 4)
    prepare = input_of(he, dataset.sources(), dataset.sources().train, 32)
    mean = dataset.train_images.mean(axis=0)
    np.testing.assert_allclose(prepare(dataset.test_images), dataset.test_images - mean, atol=1e-4)
    assert prepare.settings["padding"] == 4 and not np.array_equal(
        prepare(dataset.test_images, np.random.default_rng(0)), prepare(dataset.test_images)
    )


def test_the_net_of_a_file_is_trained_with_the_recipes_padding_too():
    rows, classes = cifar_resnet(8), tuple(map(str, range(10)))
    prepare = CropAndFlip(Standardize([1] * 3, [2] * 3), 32)
    saved = SavedNet("of a file", classes, prepare, (3, 32, 32), rows=rows, takes=(3, 32, 32))
    sources = synthetic_dataset(4, 2).sources()
    for padding in (4, 0):
        prepare = Own(saved, None).prepare(recipe_of("resnet20-cifar10", padding=padding), sources)
        assert (prepare.padding, prepare.size) == (padding, 32)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"padding": -1}, "recipe: padding must be an integer of at least 0, got -1"),
        ({"color_noise": 0.1}, "recipe: color_noise must be 0 where there is padding, got 0.1; or leave padding at 0"),
        ({"offsets": "paper"}, "recipe: offsets must be code where there is padding, got 'paper'"),
        ({"own_mean_window": False}, "recipe: own_mean_window must be True where there is padding, got False"),
    ],
)
def test_settings_that_do_not_go_with_padding_are_refused(fields, text):
    with refuses(ShapeError, text):
        recipe_of("resnet20-cifar10", **fields)


def test_caffes_recipe_is_its_solver():
    caffe = recipe_of("caffe")
    steps = 100_000 * 256 / 1_281_167  # epochs between two steps of the rate
    assert [round(steps * k) for k in (1, 2, 3, 4)] == list(caffe.drop_after) and round(450_000 * 256 / 1_281_167) == caffe.epochs
    assert caffe.batch_size == 256 and caffe.own_mean_window and caffe.color_noise == 0


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_agrees_with_its_net_and_names_a_source_for_every_field(name):
    recipe = RECIPES[name]
    assert recipe.net in MODELS and set(SOURCES[name]) == {*NAMES, *OF_NET} and all(SOURCES[name].values())
    if recipe.net.startswith("alexnet"):
        variant = VARIANTS[recipe.net.partition("-")[2] or "paper"]
        assert (recipe.batch_size, recipe.bias_lr, recipe.bias_decay) == (variant.batch_size, variant.bias_rate, variant.bias_decay)


def test_the_table_shows_each_field_and_marks_what_is_the_users():
    lines = table_of("paper", recipe_of("paper", batch_size=64))
    assert [line.split()[0] for line in lines] == [*NAMES, *OF_NET]
    assert lines[NAMES.index("batch_size")].split(maxsplit=2)[1:] == ["64", "yours; paper has 128"]
    assert lines[NAMES.index("momentum")].split(maxsplit=2)[1:] == ["0.9", "section 5"]


def test_the_table_shows_the_start_of_the_net_and_marks_other_ones():
    paper = dict(line.split(maxsplit=1) for line in table_of("paper", recipe_of("paper"), weight_std=0.02, dropout=False))
    assert paper["weight_std"].split("  ")[0] == "0.02" and "yours; paper has 0.01" in paper["weight_std"]
    assert "0; conv2, conv4, conv5, fc6, fc7: 1" in paper["hidden_bias"] or "1; conv1, conv3, fc8: 0" in paper["hidden_bias"]
    assert "yours; paper has 0.5 after fc6, 0.5 after fc7" in paper["dropout"]
    assert in_net("alexnet-caffe") == {
        "weight_std": "0.01; fc6, fc7: 0.005",
        "hidden_bias": "0.1; conv1, conv3, fc8: 0",
        "dropout": "0.5 after fc6, 0.5 after fc7",
    }
    assert in_net("figure1") == {"weight_std": "0.01; conv1: 0.0001", "hidden_bias": "0", "dropout": "none"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("plateau", Plateau), ("steps", Steps), ("dexp", Dexp), ("constant", Schedule)],
    ids=["plateau", "steps", "dexp", "constant"],
)
def test_every_schedule_begins_at_the_recipes_rate(name, kind):
    schedule = recipe_of("small", schedule=name, lr=0.02, epochs=8, drop_after=(3,), patience=2).schedule_for()
    assert type(schedule) is kind and schedule.lr == 0.02
    if kind is Plateau:
        assert (schedule.patience, schedule.times, schedule.factor) == (2, 3, 10)
    if kind is Dexp:
        assert schedule.total == 8


def test_the_optimizer_keeps_the_rate_of_biases_where_the_recipe_says_so():
    def trained(falls):
        net = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(4, 3, name="fc")], in_shape=(1, 2, 2), seed=0)
        sgd = recipe_of("authors", bias_lr_falls=falls, momentum=0).optimizer_for(net)
        sgd.follow(0.001, 0.01)
        for array in net.grads.values():
            array.fill(1)
        before = {name: array.copy() for name, array in net.params.items()}
        sgd.step()
        return {name: float((array - before[name]).mean()) for name, array in net.params.items()}, sgd

    (constant, sgd), (falling, _) = trained(False), trained(True)
    assert sgd.factors["fc.bias"] == (2, 0) and sgd.constant == {"fc.bias"}
    assert constant["fc.bias"] == pytest.approx(-0.02) and falling["fc.bias"] == pytest.approx(-0.002)
    assert constant["fc.weight"] == falling["fc.weight"] != 0


def test_a_constant_rate_goes_through_a_checkpoint(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (16, 1, 2, 2), np.uint8), np.arange(16) % 3

    def trainer(folder, constant):
        net = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(4, 3, name="fc")], in_shape=(1, 2, 2), seed=0)
        sgd = ta.SGD(net, lr=0.1, constant=constant)
        prepare = Standardize.fit(images)
        return ta.Trainer(
            net, sgd, Steps(0.1, (1, 2)), train=(images, labels), prepare=prepare, folder=folder, batch_size=8, progress=False
        )

    def weights(trainer):
        return np.concatenate([array.ravel() for array in trainer.net.params.values()])

    whole = trainer(tmp_path / "whole", ("*.bias",))
    whole.run(4)
    trainer(tmp_path / "parts", ("*.bias",)).run(2)
    second = trainer(tmp_path / "parts", ("*.bias",))
    second.run(4)
    other = trainer(tmp_path / "other", ())
    other.run(4)
    assert np.array_equal(weights(whole), weights(second)) and not np.array_equal(weights(whole), weights(other))
    with pytest.raises(ta.errors.CheckpointError, match="constant"):
        trainer(tmp_path / "whole", ())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"epoch": 3}, "fields must be among net, epochs,"),
        ({"epochs": 0}, "epochs must be"),
        ({"schedule": "cosine"}, "schedule must be"),
        ({"offsets": "all"}, "offsets must be"),
        ({"pixels": "raw"}, "pixels must be"),
        ({"color_shrink": 0}, "color_shrink must be a number above 0, got 0"),
        ({"weight_decay": -1}, "weight_decay must be a number of at least 0, got -1"),
        ({"augment": 2}, "augment must be"),
        ({"noise_until": -1}, "noise_until must be"),
    ],
    ids=str,
)
def test_fields_outside_their_range_are_refused(fields, text):
    with refuses(ShapeError, text):
        recipe_of("paper", **fields)


def test_another_recipe_for_a_net_does_not_change_what_is_chosen_for_it(monkeypatch):
    monkeypatch.setitem(RECIPES, "quick", recipe_of("paper", epochs=10))
    assert [recipe_for(net) for net in ("alexnet", "alexnet-caffe", "cifar-alexnet")] == ["paper", "caffe", "small"]


def test_an_unknown_recipe_is_refused_with_the_names():
    with refuses(ShapeError, "recipe: the name must be one of paper, authors, caffe, small, resnet20-cifar10, got 'author'"):
        recipe_of("author")
    with refuses(ShapeError, "sgd: a pattern of constant must match one of fc.weight, fc.bias, got 'conv*'"):
        ta.SGD(ta.Sequential([ta.Linear(2, 2, name="fc")]), constant=("conv*",))
    with refuses(ShapeError, "sgd: constant must be a sequence of patterns"):
        ta.SGD(ta.Sequential([ta.Linear(2, 2, name="fc")]), constant="*.bias")


def test_fields_have_the_types_of_their_defaults():
    for recipe in RECIPES.values():
        for field in dataclasses.fields(Recipe):
            value, default = getattr(recipe, field.name), field.default
            assert isinstance(value, type(default)) or default is None or value is None, field.name


@pytest.mark.parametrize("name", ["resnet20", "googlenet-heads", "densenet121", "vgg11"])
def test_nets_with_paths_and_without_biases_have_a_start_too(name):
    said = in_net(name)
    assert "sqrt(fan-in)" in said["weight_std"] and said["hidden_bias"] == "0"

"""What a run starts from: parts of sources, the input that a recipe asks for, weights of an earlier run, rates by layer."""

from __future__ import annotations

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.data import Dataset, Standardize, SubtractMean
from tinyalex.data.dataset import Sources
from tinyalex.data.source import ArraySource, Subset, cut, fingerprint
from tinyalex.errors import CheckpointError, DataError, ShapeError
from tinyalex.models.registry import build
from tinyalex.models.weights import arrays_of, state_on_host
from tinyalex.training.recipes import recipe_of
from tinyalex.training.start import head_of, hold_out, input_of, load_start, rates_of

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 3, 10, 10), np.uint8)
LABELS = np.arange(12) % 3


class Stored:
    """A source whose images are not in memory."""

    def __init__(self):
        self.labels, self.image_shape = LABELS.astype(np.int64), (3, 10, 10)

    def __len__(self):
        return 12

    def read(self, indices):
        return IMAGES[indices]

    def fingerprint(self):
        return "0" * 16


@pytest.mark.parametrize("source", [ArraySource(IMAGES, LABELS), Stored()], ids=["memory", "disk"])
def test_the_last_images_are_held_out_with_their_labels(source):
    kept, held = hold_out(source, 4)
    assert np.array_equal(kept.read(np.arange(8)), IMAGES[:8]) and np.array_equal(held.read(np.array([3, 0])), IMAGES[[11, 8]])
    assert np.array_equal(kept.labels, LABELS[:8]) and np.array_equal(held.labels, LABELS[8:])
    assert len({source.fingerprint(), kept.fingerprint(), held.fingerprint()}) == 3
    assert len(cut(source, 0, 5)) == 5 and len(cut(source, 0, 12)) == 12


def test_a_part_of_images_in_memory_is_known_by_its_pixels():
    assert cut(ArraySource(IMAGES, LABELS), 2, 7).fingerprint() == fingerprint(IMAGES[2:7], LABELS[2:7])


@pytest.mark.parametrize("indices", [[], [12], [-1], [0.5], [[1]]], ids=str)
def test_a_subset_refuses_indices_outside_its_source(indices):
    with refuses(DataError, "subset: indices must be integers from 0 to 11, at least one, got"):
        Subset(Stored(), np.array(indices))


def sources(train):
    dataset = Dataset.of(IMAGES, LABELS, IMAGES[:3], LABELS[:3])
    made = dataset.sources()
    return Sources(made.name, train, made.val, made.classes, made.note, False, made.mean_image, made.color)


def test_the_papers_input_subtracts_the_mean_image_and_adds_noise():
    made = sources(ArraySource(IMAGES, LABELS))
    prepare = input_of(recipe_of("paper"), made, made.train, 8)
    assert np.array_equal(prepare.mean, SubtractMean.fit(IMAGES).mean) and prepare.variants == 8
    assert (prepare.strength, prepare.shrink, prepare.offsets, prepare.own_window) == (0.1, 1.0, "paper", False)
    assert np.array_equal(prepare(IMAGES), (IMAGES - prepare.mean.astype(np.float32))[:, :, 1:9, 1:9])
    authors = input_of(recipe_of("authors"), made, made.train, 8)
    assert authors.variants == 18 and authors.shrink == 1.1 and authors.noise_epochs == 67
    caffe = input_of(recipe_of("caffe"), made, made.train, 8)
    assert caffe.color is None and caffe.own_window


def test_caffes_window_of_the_mean_is_where_the_crop_is():
    made = sources(ArraySource(IMAGES, LABELS))
    prepare = input_of(recipe_of("caffe"), made, made.train, 8)
    whole = IMAGES - prepare.mean
    crops = [whole[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    both = [turned for crop in crops for turned in (crop, crop[..., ::-1])]
    seen = set()
    for seed in range(10):
        for k, row in enumerate(prepare(IMAGES, np.random.default_rng(seed))):
            places = [place for place, crop in enumerate(both) if np.allclose(crop[k], row, atol=1e-4)]
            assert places
            seen.add(places[0])
    assert len(seen) > 12


def test_without_augmentation_training_reads_the_center_without_noise():
    made = sources(ArraySource(IMAGES, LABELS))
    for name in ("authors", "small"):
        prepare = input_of(recipe_of(name, augment=False), made, made.train, 8)
        assert np.array_equal(prepare(IMAGES, np.random.default_rng(0)), prepare(IMAGES))


def test_a_stored_set_is_standardized_by_its_mean_image_and_colors():
    exact = Standardize.fit(IMAGES)
    made = sources(Stored())
    prepare = input_of(recipe_of("small"), made, made.train, 8).prepare
    assert np.allclose(prepare.mean, exact.mean, rtol=1e-5) and np.allclose(prepare.std, exact.std, rtol=1e-5)


def test_weights_start_a_run_but_for_the_head_and_fit_both_towers():
    old, new = build("cifar-alexnet", seed=1), build("cifar-alexnet", towers=2, devices="cpu:0,cpu:1", num_classes=4, seed=2)
    state, before = state_on_host(old), {name: array.copy() for name, array in state_on_host(new).items()}
    left = load_start("file", state, new, frozenset({head_of(new)}))
    assert left == ("fc8.weight", "fc8.bias") and head_of(new) == head_of(old) == "fc8"
    after = state_on_host(new)
    assert np.array_equal(after["conv1a.weight"], state["conv1.weight"][:16]) and np.array_equal(
        after["conv1b.weight"], state["conv1.weight"][16:]
    )
    assert np.array_equal(after["fc8.weight"], before["fc8.weight"])
    with refuses(CheckpointError, "file: param fc8.weight must have shape (4, 256), got (10, 256); was it made by another network?"):
        load_start("file", state, new, frozenset())


def test_rates_by_layer_count_for_both_towers_and_with_the_recipes_biases():
    net = build("cifar-alexnet", towers=2, devices="cpu:0,cpu:1")
    found = rates_of(net, {"conv*": 0.1, "conv1": 0}, recipe_of("authors"))
    assert found["conv1a.weight"] == found["conv1b.weight"] == (0, 1) and found["conv2b.bias"] == (0.2, 0)
    assert not any(name.startswith("fc") for name in found) and rates_of(net, {}, recipe_of("paper")) == {}
    sgd = recipe_of("authors").optimizer_for(net, found)
    assert (
        sgd.factors["conv2a.weight"] == (0.1, 1)
        and sgd.factors["fc8.bias"] == (2, 0)
        and set(sgd.factors) == set(arrays_of(net))
    )
    with refuses(ShapeError, "rates: a layer must be one of conv1, conv2, conv3, conv4, conv5, fc6, fc8, got 'fc7'"):
        rates_of(net, {"fc7": 1}, recipe_of("paper"))


def test_the_head_is_the_last_layer_with_parameters():
    net = ta.Sequential([ta.Flatten(name="flat"), ta.Linear(4, 3, name="fc"), ta.ReLU(name="relu")])
    assert head_of(net) == "fc"

"""The synthetic set: the same bytes everywhere, balanced, and hard for a linear classifier."""

import hashlib

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.data.synthetic import BLOCK, CLASSES, SHAPES, synthetic_dataset
from tinyalex.errors import DataError, ShapeError


@pytest.fixture(scope="module")
def dataset():
    return synthetic_dataset(6000, 1000)


def test_seed_gives_the_same_bytes_on_every_machine():
    dataset = synthetic_dataset(600, 100, seed=2**64 - 1)
    digest = hashlib.sha256()
    for array in (dataset.train_images, dataset.train_labels.astype("<i8"), dataset.test_images, dataset.test_labels.astype("<i8")):
        digest.update(array.tobytes())
    assert digest.hexdigest() == "da87b5467515199137bb1ac14819f753bdb1b1c8b26e228e428d2b636d825d02"


def test_first_images_do_not_depend_on_how_many_are_drawn(dataset):
    few = synthetic_dataset(BLOCK + 7, 3)
    assert np.array_equal(few.train_images, dataset.train_images[: BLOCK + 7])
    assert np.array_equal(few.train_labels, dataset.train_labels[: BLOCK + 7])
    assert np.array_equal(few.test_images, dataset.test_images[:3])


def test_seeds_and_parts_differ(dataset):
    other = synthetic_dataset(10, 10, seed=1)
    assert not np.array_equal(other.train_images, dataset.train_images[:10])
    assert not np.array_equal(dataset.train_images[:10], dataset.test_images[:10])
    assert other.note == "synthetic shapes, seed 1" and dataset.note == "synthetic shapes, seed 0"


def test_is_called_synthetic_and_has_ten_named_shapes(dataset):
    assert dataset.name == "synthetic" and dataset.synthetic and dataset.classes == CLASSES
    assert [shape.__name__ for shape in SHAPES] == ["_" + name for name in CLASSES]


def test_classes_are_balanced_in_every_block(dataset):
    assert (np.bincount(dataset.train_labels) == 600).all() and (np.bincount(dataset.test_labels) == 100).all()
    for start in range(0, 6000, BLOCK):
        assert (np.bincount(dataset.train_labels[start : start + BLOCK]) == BLOCK // 10).all()


def test_no_image_comes_twice(dataset):
    images = np.concatenate([dataset.train_images, dataset.test_images])
    assert len({image.tobytes() for image in images}) == len(images)


def test_mean_color_tells_nothing_about_the_class(dataset):
    means = dataset.train_images.mean(axis=(2, 3))
    of_class = np.array([means[dataset.train_labels == label].mean(axis=0) for label in range(10)])
    assert of_class.std(axis=0).max() < 0.15 * means.std()


def test_linear_classifier_on_pixels_stays_above_half_the_images_wrong(dataset):
    def design(images):  # every third value, as all 3,072 need many seconds and 10,000 images for the same result
        return np.c_[images.reshape(len(images), -1)[:, ::3].astype(np.float32) / 128 - 1, np.ones(len(images), np.float32)]

    x, targets = design(dataset.train_images), np.eye(10, dtype=np.float32)[dataset.train_labels]
    for ridge in (10, 1000):
        weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1], dtype=np.float32), x.T @ targets)
        wrong = (design(dataset.test_images) @ weights).argmax(axis=1) != dataset.test_labels
        assert 0.5 < wrong.mean() < 0.95


def test_textures_are_rougher_than_plain_shapes(dataset):
    gray = dataset.train_images[:2000].mean(axis=1, dtype=np.float32)
    roughness = np.abs(np.diff(gray, axis=2)).mean(axis=(1, 2))
    of_class = {name: roughness[dataset.train_labels[:2000] == label].mean() for label, name in enumerate(CLASSES)}
    assert of_class["checks"] > of_class["disk"]


@pytest.mark.parametrize(("settings", "error", "message"), [
    ({"train": 0}, ShapeError, "synthetic_dataset: train must be an integer of at least 1, got 0"),
    ({"test": 1.5}, ShapeError, "synthetic_dataset: test must be an integer of at least 1, got 1.5"),
    ({"train": 10**23}, ShapeError, "synthetic_dataset: train must be at most 4,294,967,296, got 100000000000000000000000; use fewer"),
    ({"test": 2**32 + 1}, ShapeError, "synthetic_dataset: test must be at most 4,294,967,296, got 4294967297; use fewer"),
    ({"seed": -1}, ShapeError, "synthetic_dataset: seed must be an integer of at least 0, got -1"),
    ({"seed": 2**64}, DataError, "synthetic_dataset: seed must be below 2**64, got 18446744073709551616"),
])  # fmt: skip
def test_settings_out_of_range_raise(settings, error, message):
    with refuses(error, message):
        synthetic_dataset(**settings)


@pytest.fixture(scope="module")
def pairs():
    return synthetic_dataset(1000, 200, seed=1, classes=100, side=64)


def test_pairs_of_shapes_give_a_hundred_classes_of_any_size(pairs):
    assert pairs.train_images.shape == (1000, 3, 64, 64) and len(pairs.classes) == len(set(pairs.classes)) == 100
    assert pairs.classes[0] == "disk-on-disk" and pairs.classes[12] == "ring-on-square" and pairs.synthetic
    assert (np.bincount(pairs.train_labels) == 10).all() and (np.bincount(pairs.test_labels, minlength=100) <= 5).all()
    assert len({image.tobytes() for image in pairs.train_images}) == 1000


def test_pairs_are_the_same_bytes_on_every_machine():
    for side, wanted in ((64, "a6244e2ff5b81cca"), (72, "33f7aa227b442aba")):
        drawn = synthetic_dataset(120, 1, classes=30, side=side)
        assert hashlib.sha256(drawn.train_images.tobytes() + drawn.train_labels.astype("<i8").tobytes()).hexdigest()[:16] == wanted


def test_a_larger_side_shows_the_same_objects(monkeypatch):
    """Everything but the noise of the pixels is drawn by the same numbers, so a picture of 64 is one of 32 in finer pixels."""
    monkeypatch.setattr("tinyalex.data.synthetic._Random.noise", lambda self, *shape: np.zeros(shape, np.float32))
    small, large = (synthetic_dataset(60, 1, side=side) for side in (32, 64))
    halved = large.train_images.reshape(60, 3, 32, 2, 32, 2).mean(axis=(3, 5))
    assert np.array_equal(small.train_labels, large.train_labels) and np.abs(halved - small.train_images).mean() < 3


def test_small_shape_of_a_pair_is_seen_on_the_large_one(monkeypatch, pairs):
    """The same pictures without the small object differ, each by at least twenty gray levels where it lies."""
    from tinyalex.data import synthetic

    objects, count = synthetic._object, [0]

    def only_large(random, shapes, radius, most, side):
        count[0] += 1
        return objects(random, shapes, radius, most, side) * np.float32(count[0] % 2)

    monkeypatch.setattr(synthetic, "_object", only_large)
    without = synthetic_dataset(100, 1, seed=1, classes=100, side=64)
    change = np.abs(pairs.train_images[:100].astype(int) - without.train_images).max(axis=1)
    assert ((change > 20).mean(axis=(1, 2)) > 0.01).all() and (change > 20).mean() < 0.25


@pytest.mark.parametrize(("settings", "message"), [
    ({"classes": 1}, "synthetic_dataset: classes must be an integer of at least 2, got 1"),
    ({"classes": 101}, "synthetic_dataset: classes must be at most 100, got 101"),
    ({"side": 4}, "synthetic_dataset: side must be an integer of at least 8, got 4"),
    ({"side": 520}, "synthetic_dataset: side must be at most 512, got 520"),
    ({"side": 50}, "synthetic_dataset: side must be a multiple of 8, got 50; use 48"),
])  # fmt: skip
def test_classes_and_sides_out_of_range_raise(settings, message):
    with refuses(ShapeError, message):
        synthetic_dataset(2, 2, **settings)

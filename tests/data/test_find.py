"""What a data set must be, and how one is found by name or folder."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses
from tests.data.test_cifar10 import write_bin, write_py
from tinyalex.data import Dataset, cifar10, default_data_folder, find, load_dataset
from tinyalex.data.find import locate
from tinyalex.errors import DataError, ShapeError


def dataset(**changes):
    content = {
        "name": "tiny",
        "train_images": np.zeros((4, 3, 32, 32), np.uint8),
        "train_labels": np.array([0, 1, 1, 0]),
        "test_images": np.ones((2, 3, 32, 32), np.uint8),
        "test_labels": np.array([1, 0]),
        "classes": ("no", "yes"),
        "note": "made here",
        "synthetic": True,
    }
    return Dataset(**(content | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((4, 3, 32, 32), int)}, "tiny: train: images must be a uint8 or float array (N, C, H, W)"),
        ({"test_images": np.zeros((2, 32, 32, 3), np.uint8)},
         "tiny: test images must have the training images' shape (3, 32, 32), got (32, 32, 3)"),
        ({"test_images": [1]}, "tiny: test: images must be a uint8 or float array (N, C, H, W) with N of at least 1, got [1]"),
        ({"train_images": np.zeros((0, 3, 32, 32), np.uint8)}, "with N of at least 1, got uint8 array of shape (0, 3, 32, 32)"),
        ({"train_labels": np.array([0, 1])}, "tiny: train: labels must be 4 integers, one for each image, got int64 array of shape (2,)"),
        ({"train_labels": np.zeros(4)}, "tiny: train: labels must be 4 integers, one for each image, got float64 array"),
        ({"train_labels": np.array([0, 1, 2, 3])}, "tiny: train labels must be from 0 to 1, got 2 for image 2"),
        ({"test_labels": np.array([0, -1])}, "tiny: test labels must be from 0 to 1, got -1 for image 1"),
    ],
)  # fmt: skip
def test_other_arrays_raise(changes, message):
    with refuses(DataError, message):
        dataset(**changes)


def test_subset_keeps_the_first_images_without_copying():
    whole = dataset()
    part = whole.subset(3, 1)
    assert len(part.train_images) == len(part.train_labels) == 3 and len(part.test_labels) == 1
    assert np.shares_memory(part.train_images, whole.train_images)
    assert len(whole.subset().train_images) == 4
    with refuses(DataError, "tiny: number of test images must be an integer from 1 to 2, got 3"):
        whole.subset(test=3)


def test_repr_tells_counts_and_origin():
    assert repr(dataset()) == "Dataset('tiny', 4 train, 2 test, 2 classes, 'made here')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset().name = "other"


def test_default_folder_follows_the_xdg_rule(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_data_folder() == tmp_path / "tinyalex"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_data_folder() == Path.home() / ".cache" / "tinyalex"


@pytest.fixture
def folders(monkeypatch, tmp_path):
    """An empty named folder and an empty default folder; data is read with two images a file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TINYALEX_DATA", str(tmp_path / "named"))
    read = cifar10.read_cifar10
    monkeypatch.setattr(find, "read_cifar10", lambda folder, **wanted: read(folder, images_a_file=2, **wanted))
    (tmp_path / "named").mkdir()
    return tmp_path / "named", tmp_path / "cache" / "tinyalex"


@pytest.mark.parametrize("data", ["auto", "cifar10"])
def test_named_folder_comes_before_the_default_one(folders, data):
    named, default = folders
    write_bin(default / "cifar-10-batches-bin")
    assert locate(data) == default / "cifar-10-batches-bin"
    write_py(named / "cifar-10-batches-py")
    assert locate(data) == named / "cifar-10-batches-py"
    assert load_dataset(data).name == "CIFAR-10"


def test_auto_is_synthetic_where_nothing_is_found(folders):
    found = load_dataset("auto", train_images=20, test_images=10, seed=3)
    assert found.synthetic and found.note == "synthetic shapes, seed 3"
    assert locate("auto") is locate("synthetic") is None


def test_cifar10_where_nothing_is_found_raises_and_tells_where_it_looked(folders):
    with refuses(DataError, f"got nothing in {folders[0]} and {folders[1]}; run `tinyalex data cifar10`"):
        load_dataset("cifar10")


def test_unset_name_is_not_searched(folders, monkeypatch):
    monkeypatch.setenv("TINYALEX_DATA", "")
    with refuses(DataError, f"got nothing in {folders[1]}; run"):
        load_dataset("cifar10")


@pytest.mark.parametrize("data", ["auto", "cifar10"])
def test_name_of_a_folder_that_is_not_there_raises(folders, monkeypatch, data):
    monkeypatch.setenv("TINYALEX_DATA", "/no/such/folder")
    with refuses(DataError, "TINYALEX_DATA must name a folder that exists, got '/no/such/folder'; correct it or unset it"):
        load_dataset(data)


def test_folder_may_be_the_layout_or_hold_it(folders, tmp_path):
    place = write_bin(tmp_path / "mine" / "cifar-10-batches-bin")
    for data in (place, str(place), place.parent, str(place.parent)):
        part = load_dataset(data, train_images=3, test_images=1)
        assert part.train_labels.tolist() == [0, 9, 1] and part.test_labels.tolist() == [5]


def test_damaged_data_is_never_replaced_by_synthetic_images(folders):
    place = write_bin(folders[0] / "cifar-10-batches-bin")
    (place / "test_batch.bin").write_bytes(b"")
    with refuses(DataError, "test_batch.bin: the file must hold"):
        load_dataset("auto")


def test_synthetic_takes_counts_and_seed():
    found = load_dataset("synthetic", train_images=20, test_images=10, seed=1)
    assert (len(found.train_labels), len(found.test_labels), found.note) == (20, 10, "synthetic shapes, seed 1")
    with pytest.raises(ShapeError, match="train must be an integer of at least 1, got 0"):
        load_dataset("synthetic", train_images=0)


def test_dataset_of_own_arrays_takes_floats_lists_and_any_size():
    images = np.random.default_rng(0).random((20, 1, 28, 30), np.float32)
    found = Dataset.of(images[:15], list(range(5)) * 3, images[15:], np.arange(5, dtype=np.uint8), classes=list("abcde"), name="digits")
    assert found.image_shape == (1, 28, 30) and found.classes == tuple("abcde") and not found.synthetic
    assert found.train_labels.dtype == found.test_labels.dtype == np.int64 and found.train_images.dtype == np.float32
    assert repr(found) == "Dataset('digits', 15 train, 5 test, 5 classes, 'made from arrays')"


def test_part_is_held_out_for_the_test_where_none_is_given():
    images = np.broadcast_to(np.arange(50, dtype=np.uint8)[:, None, None, None], (50, 3, 4, 4))
    found, again, other = (Dataset.of(images, np.arange(50) % 7, seed=seed) for seed in (0, 0, 1))
    assert len(found.train_labels) == 45 and len(found.test_labels) == 5 and found.classes == tuple("0123456")
    numbers = np.concatenate([found.train_images, found.test_images])[:, 0, 0, 0]
    assert sorted(numbers) == list(range(50)) and numbers.tolist() != list(range(50))
    for part in ("train", "test"):
        assert np.array_equal(getattr(found, f"{part}_images")[:, 0, 0, 0] % 7, getattr(found, f"{part}_labels"))
    assert np.array_equal(found.test_images, again.test_images) and not np.array_equal(found.test_images, other.test_images)
    assert len(Dataset.of(images, np.arange(50), test_share=0.5).test_labels) == 25
    assert len(Dataset.of(images[:2], [0, 1], test_share=0.01).test_labels) == 1
    assert len(Dataset.of(images, [0] * 50, classes=3).classes) == 3


OWN = np.zeros((4, 3, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((OWN[0], [1]), {}, "got uint8 array of shape (3, 8, 8); use images[None] for one image, images[:, None] for images without"),
        ((list(OWN), [0] * 4), {}, "got a list of 4 elements; use np.stack(images) for a list of images"),
        ((OWN.astype(int), [0] * 4), {}, "got int64 array of shape (4, 3, 8, 8); use images.astype(np.uint8) for pixels of 0 to 255"),
        ((OWN, [0] * 3), {}, "own images: train: labels must be 4 integers, one for each image, got [0, 0, 0]"),
        ((OWN, [0, 1, 2, 0.5]), {}, "labels must be 4 integers, one for each image, got [0, 1, 2, 0.5]"),
        ((OWN, [0, [1], 2, 3]), {}, "labels must be 4 integers, one for each image, got [0, [1], 2, 3]"),
        ((OWN, ["cat"] * 4), {}, "labels must be 4 integers, one for each image, got ['cat', 'cat', 'cat', 'cat']"),
        ((OWN, [True] * 4), {}, "labels must be 4 integers"),
        ((OWN, np.zeros((1, 4), int).view(np.matrix)), {}, "4 integers, one for each image, got int64 matrix of shape (1, 4)"),
        ((OWN, np.ma.masked_array([0, 1, 2, 3], [0, 1, 0, 0])), {}, "own images: train: labels must be without a mask, got a masked array"),
        ((OWN, [0] * 4, OWN), {}, "own images: test_images and test_labels must be given together, got None for test_labels"),
        ((OWN, [0] * 4, OWN[:, :, 1:], [0] * 4), {}, "test images must have the training images' shape (3, 8, 8), got (3, 7, 8)"),
        ((OWN, [0, 1, 2, 3]), {"classes": 3}, "labels must be from 0 to 2, got 3 for image"),
        ((OWN, [0, -1, 2, 3]), {"test_share": 0.5}, "labels must be from 0 to 3, got -1 for image"),
        ((OWN[:1], [0]), {}, "own images: images must leave at least 1 to train on, got 1; give more, or a test part"),
        ((OWN, [0] * 4), {"test_share": 1}, "own images: test_share must be above 0 and below 1, got 1"),
        ((OWN, [0] * 4), {"test_share": 0}, "own images: test_share must be above 0 and below 1, got 0"),
        ((OWN, [0] * 4), {"seed": 2**64}, "own images: seed must be at most"),
        ((OWN, [0] * 4), {"classes": "ab"}, "own images: classes must be an integer of at least 1, got 'ab'"),
        ((np.full((4, 1, 2, 2), np.nan), [0] * 4), {}, "train: images must hold finite numbers only, got NaN or inf in image 0"),
    ],
)
def test_what_is_no_data_set_of_ones_own_is_refused_in_a_sentence(arguments, settings, message):
    with refuses((DataError, ShapeError), message):
        Dataset.of(*arguments, **settings)


def test_mask_that_hides_nothing_is_dropped():
    found = Dataset.of(np.ma.masked_array(OWN), np.ma.masked_array([0, 1, 2, 3]), np.ma.masked_array(OWN), [0] * 4)
    assert all(type(array) is np.ndarray for array in (found.train_images, found.train_labels, found.test_images, found.test_labels))


@pytest.mark.parametrize("name", ["cifar-10", "CIFAR10", "sinthetic"])
def test_mistyped_name_of_a_data_set_is_told_what_it_looks_like(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    near = "synthetic" if name.startswith("s") else "cifar10"
    with refuses(DataError, f"cifar10, synthetic or a folder that is there, got {name!r}; did you mean {near}?"):
        load_dataset(name)


def test_folder_that_is_not_there_and_one_that_holds_other_files_read_differently(tmp_path):
    (tmp_path / "photos.zip").touch()
    rule = "load_dataset: data must be auto, cifar10, synthetic or a folder that is there"
    with refuses(DataError, f"{rule}, got '{tmp_path / 'gone'}'; correct it, or run `tinyalex data cifar10` and use cifar10"):
        load_dataset(tmp_path / "gone")
    with refuses(DataError, f"{rule}, got the file '{tmp_path / 'photos.zip'}'"):
        load_dataset(tmp_path / "photos.zip")
    with refuses(DataError, f"folder {tmp_path} must hold cifar-10-batches-bin or cifar-10-batches-py, got 1 other: photos.zip;"):
        load_dataset(tmp_path)


def test_tilde_is_the_home_folder_everywhere(folders, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    place = write_bin(tmp_path / "mine" / "cifar-10-batches-bin")
    assert locate("~/mine") == locate(Path("~/mine")) == place
    monkeypatch.setenv("TINYALEX_DATA", "~/mine")
    assert locate("cifar10") == place


@pytest.mark.parametrize("data", [3, None, b"auto", ["auto"], ""])
def test_what_is_no_name_is_refused(data):
    with refuses(DataError, f"load_dataset: data must be auto, cifar10, synthetic or a folder that is there, got {data!r}"):
        load_dataset(data)


def test_subset_takes_from_the_front():
    numbers = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 2, 2), np.uint8)
    part = dataset(train_images=numbers, train_labels=np.array([0, 1, 1, 0]), test_images=numbers[:2]).subset(2, 1)
    assert part.train_images[:, 0, 0, 0].tolist() == [0, 1] and part.train_labels.tolist() == [0, 1]
    assert part.test_images[:, 0, 0, 0].tolist() == [0] and part.test_labels.tolist() == [1]


def test_ten_thousand_synthetic_images_and_two_thousand_to_test_where_no_number_is_given(folders, monkeypatch):
    asked = []
    monkeypatch.setattr(find, "synthetic_dataset", lambda *numbers: asked.append(numbers))
    load_dataset()
    load_dataset("synthetic", train_images=30, seed=4)
    load_dataset("synthetic", test_images=40)
    assert asked == [(10_000, 2_000, 0), (30, 2_000, 4), (10_000, 40, 0)]

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
        ({"train_images": np.zeros((4, 3, 32, 32))}, "tiny: train_images must be a uint8 array of shape (N, 3, 32, 32), got float64 array"),
        ({"test_images": np.zeros((2, 32, 32, 3), np.uint8)}, "tiny: test_images must be a uint8 array"),
        ({"test_images": [1]}, "tiny: test_images must be a uint8 array of shape (N, 3, 32, 32), got [1]"),
        ({"train_images": np.zeros((0, 3, 32, 32), np.uint8)}, "tiny: train_images must hold at least 1 image, got 0"),
        ({"train_labels": np.array([0, 1])}, "tiny: train_labels must be an int64 array of shape (4,), one label an image, got"),
        ({"train_labels": np.zeros(4, np.uint8)}, "tiny: train_labels must be an int64 array"),
        ({"train_labels": np.array([0, 1, 2, 3])}, "tiny: train_labels must be between 0 and 1, got 2 for image 2"),
        ({"test_labels": np.array([0, -1])}, "tiny: test_labels must be between 0 and 1, got -1 for image 1"),
    ],
)
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
    monkeypatch.setattr(find, "read_cifar10", lambda folder, **wanted: read(folder, _a_file=2, **wanted))
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


def test_folder_without_data_raises(tmp_path):
    rule = "data must be auto, cifar10, synthetic, or a folder that holds cifar-10-batches-bin or cifar-10-batches-py"
    with refuses(DataError, f"{rule}, got '{tmp_path}'"):
        load_dataset(tmp_path)


def test_synthetic_takes_counts_and_seed():
    found = load_dataset("synthetic", train_images=20, test_images=10, seed=1)
    assert (len(found.train_labels), len(found.test_labels), found.note) == (20, 10, "synthetic shapes, seed 1")
    with pytest.raises(ShapeError, match="train must be an integer of at least 1, got 0"):
        load_dataset("synthetic", train_images=0)

"""`open_data`: every kind of data set by its name or folder, as sources."""

import numpy as np
import pytest

from tests.contract import refuses
from tests.data.imagenet.making import class_folders
from tests.data.test_cifar10 import write_bin
from tinyalex.data import Loader, open_data
from tinyalex.data.batches import Batches
from tinyalex.data.imagenet import prepare
from tinyalex.data.prepare import SubtractMean
from tinyalex.errors import DataError, ShapeError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TINYALEX_DATA", raising=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("pictures") / "mine", each=6)


def test_names_give_what_load_dataset_gives(tmp_path, monkeypatch):
    write_bin(tmp_path / "named" / "cifar-10-batches-bin")
    monkeypatch.setenv("TINYALEX_DATA", str(tmp_path / "named"))
    for data in ("auto", "cifar10", tmp_path / "named", str(tmp_path / "named" / "cifar-10-batches-bin")):
        sources = open_data(data, train_images=3, test_images=1)
        assert (sources.name, len(sources.train), len(sources.val)) == ("CIFAR-10", 3, 1)
    sources = open_data("synthetic", train_images=20, test_images=10, seed=3)
    assert sources.synthetic and sources.note == "synthetic shapes, seed 3" and sources.train.image_shape == (3, 32, 32)


def test_a_folder_of_class_folders_is_opened_in_place(pictures):
    looked = []
    sources = open_data(pictures, progress=lambda done, total: looked.append((done, total)))
    assert sources.classes == ("ant", "bee", "cat") and len(sources.train) + len(sources.val) == 18 and looked[-1] == (18, 18)
    few = open_data(str(pictures), train_images=5, test_images=1)
    assert (len(few.train), len(few.val)) == (5, 1)
    assert np.array_equal(few.train.read([4]), sources.train.read([4])) and np.array_equal(few.train.labels, sources.train.labels[:5])


def test_a_prepared_set_is_opened_and_loaded_by_workers(pictures, tmp_path):
    prepare(pictures, tmp_path / "dest", processes=1, images_a_shard=4)
    sources = open_data(tmp_path / "dest")
    assert sources.note.endswith("prepared by tinyalex") and sources.train.image_shape == (3, 256, 256)
    batches = Batches(sources.train, None, 4, prepare=SubtractMean(sources.mean_image()), seed=1)
    for start in ("fork", "spawn"):
        with Loader(batches, workers=2, start=start) as loader:
            for one, two in zip(loader.of_epoch(0), batches.of_epoch(0), strict=True):
                assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


def test_an_altered_picture_of_a_prepared_set_is_named_by_a_worker(pictures, tmp_path):
    prepare(pictures, tmp_path / "dest", processes=1, images_a_shard=4)
    sources = open_data(tmp_path / "dest")
    batches = Batches(sources.train, None, 4, prepare=SubtractMean(sources.mean_image()), seed=1)
    row = sources.train.table[3]
    shard = tmp_path / "dest" / sources.train.shards[row["shard"]]["name"]
    data = bytearray(shard.read_bytes())
    data[row["offset"] : row["offset"] + 200] = bytes(200)
    shard.write_bytes(data)
    with Loader(batches, workers=2) as loader:
        with refuses(DataError, f"{shard}: the picture at byte {row['offset']:,} must be a JPEG of 256 x 256"):
            list(loader.of_epoch(0))


def test_a_preparation_that_was_stopped_says_so(pictures, tmp_path):
    (tmp_path / "dest" / "unfinished").mkdir(parents=True)
    with refuses(DataError, "the preparation was stopped before its end"):
        open_data(tmp_path / "dest")


def test_what_is_no_data_is_refused(pictures, tmp_path):
    with refuses(DataError, "data must be auto, cifar10, synthetic or a folder that is there, got 'cifar'; did you mean cifar10?"):
        open_data("cifar")
    for data in (3, None, ""):
        with refuses(DataError, "load_dataset: data must be auto, cifar10, synthetic or a folder that is there, got "):
            open_data(data)
    (tmp_path / "tars").mkdir()
    with refuses(DataError, f"open_data: folder {tmp_path / 'tars'} must hold a folder of pictures for each class"):
        open_data(tmp_path / "tars")
    (tmp_path / "tars" / "ILSVRC2012_img_train.tar").touch()
    with refuses(DataError, "got 1 other: ILSVRC2012_img_train.tar; name another folder; tars are prepared with `tinyalex data"):
        open_data(tmp_path / "tars")
    with refuses(DataError, "mine: number of train images must be an integer from 1 to "):
        open_data(pictures, train_images=1000)
    with refuses((DataError, ShapeError), "train must be an integer of at least 1, got 0"):
        open_data("synthetic", train_images=0)

"""Opening a prepared set, and what is wrong with an altered one."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest

from tests.contract import refuses
from tests.data.imagenet.making import class_folders
from tinyalex.data.imagenet import check_shards, open_shards, prepare
from tinyalex.data.imagenet.shards import class_names, fingerprint_of
from tinyalex.errors import DataError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared set of 30 pictures in 7 shards."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(class_folders(folder / "src", each=10), folder / "dest", processes=1, images_a_shard=5)
    return folder / "dest"


@pytest.fixture
def dest(prepared, tmp_path):
    """A copy that a test may alter."""
    return shutil.copytree(prepared, tmp_path / "dest")


def altered(dest, **changes):
    """Change the index and its fingerprint."""
    index = json.loads((dest / "index.json").read_bytes()) | changes
    index["fingerprint"] = fingerprint_of(index)
    (dest / "index.json").write_text(json.dumps(index))


def test_sources(prepared):
    sources = open_shards(prepared)
    assert sources.name == "src" and sources.classes == ("ant", "bee", "cat") and not sources.synthetic
    assert sources.note == "27 + 3 pictures, crop to 256, prepared by tinyalex"
    for part, count in ((sources.train, 27), (sources.val, 3)):
        assert len(part) == count and part.labels.dtype == np.int64 and part.labels.shape == (count,) and part.image_shape == (3, 256, 256)
        images = part.read(np.arange(count))
        assert images.shape == (count, 3, 256, 256) and images.dtype == np.uint8
    assert sources.train.fingerprint() != sources.val.fingerprint() and len(sources.train.fingerprint()) == 16
    assert sources.mean_image().shape == (3, 256, 256) and sources.mean_image().dtype == np.float32
    deviations, directions = sources.color()
    assert deviations.shape == (3,) and np.allclose(directions.T @ directions, np.eye(3))


@pytest.mark.parametrize("indices", [[5, 0, 5, 26], np.array([3]), [], slice(2, 9, 3), np.arange(27) == 4])
def test_any_indices_in_any_order(prepared, indices):
    train = open_shards(prepared).train
    everything = train.read(range(27))
    wanted = np.array(indices, int) if isinstance(indices, list) else indices
    assert np.array_equal(train.read(wanted), everything[wanted])


def test_images_are_new_arrays(prepared):
    train = open_shards(prepared).train
    first = train.read([0])
    first[...] = 0
    assert train.read([0]).any()


def test_source_can_be_pickled_and_is_small(prepared):
    train = open_shards(prepared).train
    data = pickle.dumps(train)
    again = pickle.loads(data)
    assert len(data) < 1000 and again.fingerprint() == train.fingerprint() and np.array_equal(again.read([7]), train.read([7]))


def test_fingerprint_is_that_of_the_index(prepared, dest):
    assert open_shards(prepared).train.fingerprint() == open_shards(dest).train.fingerprint()
    altered(dest, name="another")
    assert open_shards(prepared).train.fingerprint() != open_shards(dest).train.fingerprint()


def test_shard_that_is_missing_or_of_another_size_is_found_when_the_set_is_opened(dest):
    with open(dest / "train-00002.tar", "ab") as file:
        file.write(b"x")
    size = (dest / "train-00002.tar").stat().st_size
    with refuses(DataError, f"train-00002.tar: the shard must have {size - 1:,} bytes, got {size:,}; copy the whole folder"):
        open_shards(dest)
    (dest / "train-00002.tar").unlink()
    with refuses(DataError, "train-00002.tar: the shard must be there, got none; copy the whole folder, or prepare the set again"):
        open_shards(dest)


@pytest.mark.parametrize("kind", ["missing", "shorter"])
def test_shard_that_changes_while_the_set_is_open_is_found_when_it_is_read(dest, kind):
    train = open_shards(dest).train
    if kind == "missing":
        (dest / "train-00005.tar").unlink()
    else:
        os.truncate(dest / "train-00005.tar", 1000)
    with refuses(DataError, "train-00005.tar: the shard must "):
        train.read(range(27))
    train.read(range(20))


@pytest.mark.parametrize(("contents", "got"), [(b"\0" * 400, "bytes that are no picture"), (b"\xff\xd8\xff\xe0 no picture", "")])
def test_picture_that_no_longer_decodes_is_named(dest, contents, got):
    row = np.load(dest / "train.npy")[6]
    with open(dest / "train-00001.tar", "r+b") as file:
        file.seek(int(row["offset"]))
        file.write(contents)
    train = open_shards(dest).train
    with refuses(DataError, f"train-00001.tar: the picture at byte {row['offset']:,} must be a JPEG of 256 x 256 pixels, got {got}"):
        train.read([6])
    train.read([5, 7])


def test_check_finds_a_changed_bit(dest):
    files = [f"train-{k:05d}.tar" for k in range(6)] + ["val-00000.tar", "train.npy", "val.npy", "mean.npy", "color.json"]
    assert dict(check_shards(dest)) == dict.fromkeys(files, "")
    data = bytearray((dest / "train-00003.tar").read_bytes())
    data[len(data) // 2] ^= 1
    (dest / "train-00003.tar").write_bytes(data)
    (dest / "val-00000.tar").unlink()
    mean = np.load(dest / "mean.npy")
    mean[0, 5, 7] += 1
    np.save(dest / "mean.npy", mean)
    found = {name: wrong for name, wrong in check_shards(dest) if wrong}
    assert found == {"train-00003.tar": "altered", "val-00000.tar": "missing", "mean.npy": "altered"}


def damage(dest, kind):
    """Damage one of the small files."""
    if kind == "no index":
        (dest / "index.json").unlink()
    elif kind == "unfinished":
        (dest / "index.json").unlink()
        (dest / "unfinished").mkdir()
    elif kind == "other JSON":
        (dest / "index.json").write_text("[1]")
    elif kind == "cut index":
        (dest / "index.json").write_bytes((dest / "index.json").read_bytes()[:50])
    elif kind == "newer":
        altered(dest, version=2)
    elif kind == "changed index":
        (dest / "index.json").write_text((dest / "index.json").read_text().replace('"ant"', '"bug"'))
    elif kind == "no table":
        (dest / "train.npy").unlink()
    elif kind == "cut table":
        (dest / "train.npy").write_bytes((dest / "train.npy").read_bytes()[:-7])
    elif kind == "short table":
        np.save(dest / "train.npy", np.load(dest / "train.npy")[1:])
    elif kind == "table of pickles":
        np.save(dest / "train.npy", np.array([{}], object), allow_pickle=True)
    elif kind == "shard of the table":
        table = np.load(dest / "train.npy")
        table["shard"][3] = 77
        np.save(dest / "train.npy", table)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("no index", "dest: the folder must hold index.json of `tinyalex data imagenet`, got none; name its DEST"),
        ("unfinished", "got none (the preparation was stopped before its end: run the same command again)"),
        ("other JSON", "index.json: format must be 'tinyalex shards', got None"),
        ("cut index", "index.json: the file must be JSON that the preparation wrote, got "),
        ("newer", "index.json: version must be 1, got 2; install a newer tinyalex"),
        ("changed index", "index.json: the fingerprint must be that of the index, got "),
        ("no table", "train.npy: the file must be an array that the preparation wrote, got No such file"),
        ("cut table", "train.npy: the file must be an array that the preparation wrote, got "),
        ("short table", "train.npy: the table must have 27 rows of label, shard, offset and size, got (26,)"),
        ("table of pickles", "train.npy: the file must be an array that the preparation wrote, got "),
        ("shard of the table", "train.npy: shards must be below 6, got 77"),
    ],
)
def test_damaged_small_files_are_refused(dest, kind, text):
    damage(dest, kind)
    with refuses(DataError, text):
        open_shards(dest)


def test_damaged_mean_and_color_are_refused_when_they_are_asked_for(dest):
    sources = open_shards(dest)
    np.save(dest / "mean.npy", np.zeros((3, 4, 4), np.float32))
    with refuses(DataError, "mean.npy: the mean image must be float32 (3, 256, 256), got float32 (3, 4, 4)"):
        sources.mean_image()
    for text in ('{"deviations": [1, 2, 3]}', '{"deviations": [1], "directions": [[1]]}', '{"deviations": "x", "directions": []}'):
        (dest / "color.json").write_text(text)
        with refuses(DataError, "color.json: deviations and directions must be 3 and 3 x 3 numbers"):
            sources.color()


def test_classes_with_the_same_words_are_told_apart():
    """ImageNet has two cranes: a bird and a machine."""
    assert class_names([["n1", "crane"], ["n2", "tench"], ["n3", "crane"]]) == ("crane (n1)", "tench", "crane (n3)")

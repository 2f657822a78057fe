"""CIFAR-10 from both layouts, from small files with two images each; and from the real ones where they are."""

import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses, rng
from tinyalex.data import cifar10
from tinyalex.data.cifar10 import BIN, PY, find_cifar10, read_cifar10
from tinyalex.errors import DataError

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()
COUNT = 2


def batch(seed):
    """Pixels (2, 3072) and labels of a file."""
    return rng(seed).integers(0, 256, (COUNT, 3072), np.uint8), [seed, 9 - seed]


def write_bin(folder):
    folder.mkdir(parents=True)
    for k, name in enumerate((*BIN.train, BIN.test)):
        pixels, labels = batch(k)
        (folder / name).write_bytes(b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, pixels, strict=True)))
    (folder / BIN.meta).write_text("\n".join(NAMES) + "\n\n")
    return folder


def write_py(folder, protocol=2, text=str.encode):
    folder.mkdir(parents=True)
    for k, name in enumerate((*PY.train, PY.test)):
        pixels, labels = batch(k)
        content = {text("batch_label"): text(name), text("labels"): labels, text("data"): pixels, text("filenames"): [text("a.png")] * 2}
        (folder / name).write_bytes(pickle.dumps(content, protocol))
    (folder / PY.meta).write_bytes(pickle.dumps({text("label_names"): [text(name) for name in NAMES], text("num_vis"): 3072}, protocol))
    return folder


def read(folder, **wanted):
    return read_cifar10(folder, images_a_file=COUNT, **wanted)


@pytest.fixture
def binary(tmp_path):
    return write_bin(tmp_path / BIN.folder)


@pytest.fixture
def pickled(tmp_path):
    return write_py(tmp_path / PY.folder)


def check_contents(dataset):
    assert dataset.name == "CIFAR-10" and dataset.classes == tuple(NAMES) and not dataset.synthetic
    assert dataset.train_images.shape == (10, 3, 32, 32) and dataset.test_images.shape == (2, 3, 32, 32)
    assert dataset.train_labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5] and dataset.test_labels.tolist() == [5, 4]
    for k in range(5):
        assert np.array_equal(dataset.train_images[2 * k : 2 * k + 2].reshape(2, 3072), batch(k)[0])
    assert np.array_equal(dataset.test_images.reshape(2, 3072), batch(5)[0])


def test_reads_binary_records(binary):
    check_contents(read(binary))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("text", [str.encode, str], ids=["bytes", "str"])
def test_reads_pickled_batches_whoever_wrote_them(tmp_path, protocol, text):
    check_contents(read(write_py(tmp_path / "py", protocol, text)))


def test_planes_are_red_green_blue_row_by_row(binary):
    record = bytes([3]) + bytes([10] * 32) + bytes([0] * 992) + bytes([20] * 1024) + bytes([30] * 1024)
    (binary / BIN.test).write_bytes(record * 2)
    image = read(binary).test_images[0]
    assert image[0, 0].tolist() == [10] * 32 and not image[0, 1:].any()
    assert (image[1] == 20).all() and (image[2] == 30).all()


def test_keeps_the_first_images_and_reads_only_the_files_of_these(binary):
    whole = read(binary)
    (binary / "data_batch_3.bin").write_bytes(b"damaged")
    part = read(binary, train_images=3, test_images=1)
    assert np.array_equal(part.train_images, whole.train_images[:3]) and part.test_labels.tolist() == [5]
    with refuses(DataError, "data_batch_3.bin"):
        read(binary, train_images=5)


@pytest.mark.parametrize("wanted", [0, 11, -1, 2.0, True])
def test_more_images_than_there_are_raise(binary, wanted):
    with refuses(DataError, f"CIFAR-10: number of train images must be an integer from 1 to 10, got {wanted}"):
        read(binary, train_images=wanted)


def test_finds_a_folder_by_its_name_by_its_files_or_in_another(tmp_path):
    assert find_cifar10(tmp_path) is None and find_cifar10(tmp_path / "none") is None
    pickled = write_py(tmp_path / PY.folder)
    assert find_cifar10(tmp_path) == find_cifar10(pickled) == pickled
    binary = write_bin(tmp_path / BIN.folder)
    assert find_cifar10(tmp_path) == binary and find_cifar10(pickled) == pickled
    renamed = binary.rename(tmp_path / "renamed")
    assert find_cifar10(renamed) == renamed
    (tmp_path / BIN.folder).touch()  # a file of that name is none
    assert find_cifar10(tmp_path) == pickled


@pytest.mark.parametrize("name", [*BIN.train, BIN.test, BIN.meta])
def test_missing_file_is_named(binary, name):
    (binary / name).unlink()
    with refuses(DataError, f"{binary / name}: the file must be there, got none of that name; get the data again with `tinyalex data"):
        read(binary, train_images=1)


@pytest.mark.parametrize("change", [-3073, -1, 1, 3073])
def test_binary_file_of_another_length_is_named(binary, change):
    path = binary / "data_batch_2.bin"
    path.write_bytes((path.read_bytes() + bytes(3073))[: 2 * 3073 + change])
    with refuses(DataError, f"{path}: the file must hold 6,146 bytes, 2 records of 3,073, got {6146 + change:,}"):
        read(binary)


def test_official_number_of_images_is_the_rule(binary):
    with refuses(DataError, "the file must hold 30,730,000 bytes, 10,000 records of 3,073, got 6,146"):
        read_cifar10(binary, images_a_file=10_000)


def own_files(folder, labels_of=list):
    """One's own pickled images, in files of 1, 2, 3, 4, 5 and 3 images; the labels are of the type that `labels_of` makes."""
    folder.mkdir()
    for k, name in enumerate((*PY.train, PY.test)):
        n = (k % 5) + 1 if name != PY.test else 3
        content = {"data": rng(k).integers(0, 256, (n, 3072), np.uint8), "labels": labels_of(range(n))}
        (folder / name).write_bytes(pickle.dumps(content, 4))
    (folder / PY.meta).write_bytes(pickle.dumps({"label_names": NAMES}, 4))
    return folder


LABELS = {
    "list": list,
    "numpy scalars": lambda values: list(np.array(values)),
    **{dtype: lambda values, dtype=dtype: np.array(values, dtype) for dtype in ("<i8", ">i8", "<i4", "<i2", "i1", "u1", "<u4", ">u2")},
}


@pytest.mark.parametrize("kind", LABELS)
def test_own_images_with_any_count_and_any_integers_are_read(kind, tmp_path):
    found = read_cifar10(own_files(tmp_path / "own", LABELS[kind]))
    expected = [label for n in (1, 2, 3, 4, 5) for label in range(n)]
    assert found.train_labels.tolist() == expected and found.train_labels.dtype == np.int64
    assert found.test_labels.tolist() == [0, 1, 2] and found.note == "bytes not verified"
    part = read_cifar10(tmp_path / "own", train_images=4, test_images=2)
    assert part.train_labels.tolist() == expected[:4] and len(part.test_labels) == 2
    with refuses(DataError, "CIFAR-10: number of train images must be an integer from 1 to 15, got 16"):
        read_cifar10(tmp_path / "own", train_images=16)


@pytest.mark.parametrize(("value", "text"), [(10, "got 10 for image 1"), (-1, "got -1 for image 1")])
def test_label_outside_of_the_range_in_an_array_is_named(value, text, tmp_path):
    folder = own_files(tmp_path / "own")
    content = {"data": np.zeros((2, 3072), np.uint8), "labels": np.array([0, value])}
    (folder / PY.train[2]).write_bytes(pickle.dumps(content, 4))
    with refuses(DataError, f"{folder / PY.train[2]}: labels must be 0 to 9, {text}"):
        read_cifar10(folder)


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros((2, 1), np.int64)])
def test_array_of_another_number_of_labels_is_refused(labels, tmp_path):
    folder = own_files(tmp_path / "own")
    (folder / PY.test).write_bytes(pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": labels}, 4))
    with refuses(DataError, "labels must be a list of 2 integers, got int64 array of shape"):
        read_cifar10(folder)


def test_own_binary_files_hold_any_number_of_whole_records(binary):
    record = (binary / BIN.test).read_bytes()[:3073]
    (binary / BIN.test).write_bytes(record * 3)
    (binary / BIN.train[0]).write_bytes(record)
    found = read_cifar10(binary)
    assert len(found.train_labels) == 9 and len(found.test_labels) == 3
    for size in (0, 100, 3 * 3073 + 5):
        (binary / BIN.test).write_bytes(bytes(size))
        with refuses(DataError, f"{BIN.test}: the file must hold {max(1, size // 3073) * 3073:,} bytes, whole records of 3,073, got"):
            read_cifar10(binary)


@pytest.mark.parametrize("name", [BIN.train[4], BIN.test])
def test_label_above_9_is_named(binary, name):
    contents = bytearray((binary / name).read_bytes())
    contents[3073] = 10
    (binary / name).write_bytes(contents)
    with refuses(DataError, f"{binary / name}: labels must be 0 to 9, got 10 for image 1"):
        read(binary)


@pytest.mark.parametrize("text", ["", "cat\n" * 10, "\n".join(NAMES[:9]), "\n".join([*NAMES, "whale"]), "\0" * 5000])
def test_other_class_names_raise(binary, text):
    (binary / BIN.meta).write_text(text)
    with refuses(DataError, f"{binary / BIN.meta}: the classes must be 10 different names, got"):
        read(binary)


def altered(**changes):
    pixels, labels = batch(0)
    return {"data": pixels, "labels": labels} | changes


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([1], "the pickled object must be a dict, got list"),
        ({}, "data must be a uint8 array of shape (2, 3072), got nothing"),
        (altered(data=[1]), "data must be a uint8 array of shape (2, 3072), got list"),
        (altered(data=np.zeros((2, 3073), np.uint8)), "got uint8 array of shape (2, 3073)"),
        (altered(data=np.zeros((3, 3072), np.uint8)), "got uint8 array of shape (3, 3072)"),
        (altered(data=np.zeros((2, 3072), np.float32)), "got"),
        (altered(labels=None), "labels must be a list of 2 integers, got nothing"),
        (altered(labels=(1, 2)), "labels must be a list of 2 integers, got tuple"),
        (altered(labels=[1]), "labels must be a list of 2 integers, got 1;"),
        (altered(labels=[1, 10]), "labels must be 0 to 9, got 10 for image 1"),
        (altered(labels=[-1, 1]), "labels must be 0 to 9, got -1 for image 0"),
        (altered(labels=[1, True]), "labels must be 0 to 9, got bool for image 1"),
        (altered(labels=[1, 2**2000]), "labels must be 0 to 9, got an integer of 2001 bits"),
        (altered(labels=[1, "cat"]), "labels must be 0 to 9, got str for image 1"),
        (altered(labels=[1, np.zeros(3, np.uint8)]), "labels must be 0 to 9, got uint8 array of shape (3,) for image 1"),
    ],
)
def test_pickled_batch_with_other_contents_raises(pickled, contents, message):
    (pickled / "data_batch_1").write_bytes(pickle.dumps(contents, 2))
    with refuses(DataError, message):
        read(pickled)
    with refuses(DataError, f"{pickled / 'data_batch_1'}: "):
        read(pickled)


def test_pickled_array_without_its_state_raises(pickled):
    opcodes = b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87RU\x06labels]u."
    (pickled / "data_batch_1").write_bytes(opcodes)
    with refuses(DataError, "data must be a uint8 array of shape (2, 3072), got RawArray"):
        read(pickled)


def test_hostile_pickle_names_file_and_global(pickled):
    (pickled / PY.meta).write_bytes(b"\x80\x02cos\nsystem\nU\x04true\x85R.")
    with refuses(DataError, f"{pickled / PY.meta}: pickled globals must be those of an array of bytes, got os.system"):
        read(pickled)


@pytest.mark.parametrize("names", [None, 3, [], NAMES[:9], [["cat"]] * 10])
def test_other_pickled_class_names_raise(pickled, names):
    (pickled / PY.meta).write_bytes(pickle.dumps({"label_names": names}, 2))
    with refuses(DataError, f"{pickled / PY.meta}: the classes must be 10 different names, got"):
        read(pickled)


def test_pickled_file_that_is_too_long_is_not_read(pickled, monkeypatch):
    monkeypatch.setattr(cifar10, "LARGEST_FILE", 1000)
    with refuses(DataError, f"{pickled / 'data_batch_1'}: the file must hold at most 1,000 bytes, got 9,603"):
        read(pickled)
    monkeypatch.setattr(cifar10, "LARGEST_FILE", max(path.stat().st_size for path in pickled.iterdir()))
    assert len(read(pickled).train_labels) == 10


def digests(folder, names):
    return {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in names}


def test_note_tells_where_the_bytes_come_from(tmp_path, monkeypatch):
    binary, pickled = write_bin(tmp_path / "bin"), write_py(tmp_path / "py")
    assert read(binary).note == read(pickled).note == "bytes not verified"
    monkeypatch.setattr(cifar10, "OFFICIAL", digests(pickled, (*PY.train, PY.test)))
    monkeypatch.setattr(cifar10, "RECOMPRESSED", digests(binary, (*BIN.train, BIN.test)))
    assert read(pickled).note == "official bytes" and read(binary).note == "JPEG-recompressed copy"
    assert read(binary, train_images=1).note == "JPEG-recompressed copy"
    (binary / BIN.test).write_bytes((binary / BIN.train[0]).read_bytes())
    assert read(binary).note == "bytes not verified"


def test_official_sums_cover_every_batch():
    assert set(cifar10.OFFICIAL) == {*PY.train, PY.test} and set(cifar10.RECOMPRESSED) == {*BIN.train, BIN.test}


@pytest.mark.skipif(not os.environ.get("TINYALEX_DATA"), reason="TINYALEX_DATA is not set: no real CIFAR-10 to read")
def test_real_data_is_balanced_and_looks_like_photographs():
    folder = find_cifar10(Path(os.environ["TINYALEX_DATA"]))
    assert folder is not None
    dataset = read_cifar10(folder)
    assert dataset.classes == tuple(NAMES)
    assert np.bincount(dataset.train_labels).tolist() == [5000] * 10 and np.bincount(dataset.test_labels).tolist() == [1000] * 10
    assert dataset.note in ("official bytes", "JPEG-recompressed copy", "bytes not verified")
    red, green, blue = dataset.test_images.mean(axis=(0, 2, 3))
    assert 120 < red < 132 and 118 < green < 130 and 108 < blue < 120  # the known means are 125, 123, 114
    rows = dataset.test_images[:1000].astype(np.int16)
    assert np.abs(np.diff(rows, axis=3)).mean() < 20  # neighbors are alike, as they are not if planes are read wrongly


def test_exactly_filled_files_need_no_further_one(binary):
    (binary / "data_batch_3.bin").write_bytes(b"damaged")
    assert len(read(binary, train_images=4).train_labels) == 4


def test_a_class_named_twice_is_refused(binary):
    (binary / BIN.meta).write_text("\n".join([*NAMES, NAMES[0]]))
    with refuses(DataError, "the classes must be 10 different names, got 10"):
        read(binary)


def test_names_are_read_from_the_first_4097_bytes_alone(binary):
    nine = "\n".join(NAMES[:9]) + "\n"
    (binary / BIN.meta).write_text(nine.ljust(4097) + NAMES[9])
    with refuses(DataError, f"{binary / BIN.meta}: the classes must be 10 different names, got 9"):
        read(binary)
    (binary / BIN.meta).write_text(nine.ljust(4096 - len(NAMES[9])) + NAMES[9])
    check_contents(read(binary))

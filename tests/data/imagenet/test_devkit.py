"""The development kit: numbers of classes are not labels."""

import gzip
import io
import tarfile

import pytest

from tests.contract import refuses
from tests.data.imagenet.making import WNIDS, devkit_files, matlab_file, tar_of
from tests.data.imagenet.test_matlab import BY_SCIPY
from tinyalex.data.imagenet.devkit import read_devkit
from tinyalex.errors import DataError

ANSWERS = [3, 1, 2, 2]


def laid_out(tmp_path, form, files=None):
    """The kit as a folder, a tar or a compressed tar."""
    files = files if files is not None else devkit_files(2012, ANSWERS)
    if form == "folder":
        for name, contents in files:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(contents)
        return tmp_path
    place = tmp_path / ("kit.tar" if form == "tar" else "kit.tar.gz")
    data = tar_of(files)
    place.write_bytes(data if form == "tar" else gzip.compress(data))
    return place


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz"])
def test_kit_as_folder_and_as_tar(tmp_path, form):
    kit = read_devkit(laid_out(tmp_path, form))
    assert kit.wnids == dict(enumerate(WNIDS, 1))  # the inner node of WordNet is left out
    assert kit.words == {wnid: f"words of {wnid}, in English" for wnid in WNIDS}
    assert kit.answers == {"val": ANSWERS}


def test_order_of_the_numbers_is_not_that_of_the_names(tmp_path):
    """FACTS: number 1 of 2012 is n02119789, a kit fox; label 0 is n01440764, a tench."""
    files = [("data/meta.mat", BY_SCIPY), ("data/ILSVRC2012_validation_ground_truth.txt", b"1\n3\n")]
    kit = read_devkit(laid_out(tmp_path, "folder", files))
    assert kit.wnids == {1: "n02119789", 2: "n02100735", 3: "n01440764"}
    labels = {wnid: label for label, wnid in enumerate(sorted(kit.wnids.values()))}
    assert [labels[kit.wnids[number]] for number in kit.answers["val"]] == [2, 0]


def test_kit_of_2010_with_answers_for_the_test_part(tmp_path):
    files = [*devkit_files(2010, ANSWERS), ("data/ILSVRC2010_test_ground_truth.txt", b"2\n1\n")]
    kit = read_devkit(laid_out(tmp_path, "tar", files))
    assert kit.answers == {"val": ANSWERS, "test": [2, 1]}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ([("readme.txt", b"x")], "the development kit must hold meta.mat, got none"),
        (
            [("meta.mat", matlab_file(2012, [(1, "n1", "one", 0)]))],
            "the development kit must hold a text ...validation_ground_truth.txt, got none",
        ),
        (
            [("meta.mat", matlab_file(2012, [])), ("a_validation_ground_truth.txt", b"1")],
            "meta.mat: the file must hold the struct array synsets",
        ),
        (
            [("meta.mat", matlab_file(2012, [(1, "n1", "one", 0)])), ("a_validation_ground_truth.txt", b"1\n7\n")],
            "validation_ground_truth.txt: line 2 must be the number of a class, 1 to 1, got '7'",
        ),
    ],
    ids=["no list", "no answers", "empty list", "number of no class"],
)
def test_kit_that_lacks_something_is_refused(tmp_path, files, text):
    with refuses(DataError, text):
        read_devkit(laid_out(tmp_path, "folder", files))


def test_kit_that_is_no_tar_or_cut_off_is_refused(tmp_path):
    (tmp_path / "kit.tar.gz").write_bytes(gzip.compress(tar_of(devkit_files(2012, ANSWERS)))[:200])
    with refuses(DataError, "kit.tar.gz: the development kit must be a folder or a whole tar, got "):
        read_devkit(tmp_path / "kit.tar.gz")
    with refuses(DataError, "nowhere: the development kit must be there, got nothing of that name"):
        read_devkit(tmp_path / "nowhere")


def test_links_in_a_kit_are_not_followed(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("meta.mat")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    (tmp_path / "kit.tar").write_bytes(out.getvalue())
    with refuses(DataError, "must hold meta.mat, got none"):
        read_devkit(tmp_path / "kit.tar")


KAGGLE = """ImageId,PredictionString
ILSVRC2012_val_00000002,n00000010 85 1 499 272
ILSVRC2012_val_00000001,n00000030 131 0 499 254 n00000030 1 2 3 4
ILSVRC2012_val_00000003,n00000010 0 0 1 1
"""


def test_table_of_kaggle(tmp_path):
    (tmp_path / "LOC_val_solution.csv").write_text(KAGGLE)
    kit = read_devkit(tmp_path / "LOC_val_solution.csv")
    assert [kit.wnids[number] for number in kit.answers["val"]] == ["n00000030", "n00000010", "n00000010"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (KAGGLE + "x,y\n", "line 5 must be the name of a picture, a comma, a class and boxes, got 'x,y'"),
        (KAGGLE.replace("00000003", "00000004"), "pictures must have the numbers 1 to 3, got others"),
        ("", "pictures must have the numbers 1 to 0, got others"),
    ],
)
def test_table_that_is_damaged_is_refused(tmp_path, text, message):
    (tmp_path / "LOC_val_solution.csv").write_text(text)
    with refuses(DataError, f"LOC_val_solution.csv: {message}"):
        read_devkit(tmp_path / "LOC_val_solution.csv")
    with refuses(DataError, "other.csv: the table of answers must be there, got nothing of that name"):
        read_devkit(tmp_path / "other.csv")

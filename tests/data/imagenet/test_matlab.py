"""MATLAB's files of level 5, written by SciPy and by `making.py`."""

import base64

import numpy as np
import pytest

from tests.contract import refuses
from tests.data.imagenet.making import WNIDS, matlab_file
from tinyalex.data.imagenet.matlab import read_matlab
from tinyalex.errors import DataError

# scipy.io.savemat(file, {"synsets": ..., "other": np.arange(3.0), "text": "schöne Wörter"}, do_compression=True), SciPy 1.17.1. The
# struct array has the fields of the devkit's file, and four rows.
BY_SCIPY = base64.b64decode("""
TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFN1biBOb3YgMjkgMTU6MzA6MjkgMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAuwEAAHic7ZbdTsIwFMeLoEJiEL3yyvQBMNlwCly5RE0gMYaowUtSRtkats60ReQNvPPGB/URbN0mZSGC2y0nOWvOWf6/fuy0
XRUAYFcA2JNtWfoOiGw3jkvSC7HvS+dzyrHg8n0JHMX5d+ndu8f+w3XDMBuD7o0CPN9H7a/NQjbiesL1Q76UoNNg4HjEHzFMfxJLQcKgWAw8TFxPxBLBEKEDEiAXc1CVyRZYzGcv
NZ+C5soqcT6yryultzV9aYW+oulrcUyNhmm2m612nFeczhrOSYqj4gkRcBy+1WF/6r9gDgPksFAQvsm4qimeinmAfB+6DM8VFuRcn0hv/KFPTNcnurz9Ztb3Pu2c/dt56sIwmucX
2jzWcVZ9x1vq+oR7UG4+gdlmnFqKoxxRmKCGDOPRth6y9F/OUQ+mZRnNS0ubx7pz4jjFUbHA1PHq8IlQB0Ghngtebw3vNMVT8Zhh7s2QrC04Qg4+88kEQxcFGI5lrWzPjUz6zkeO
OpFmWc3/nBuHKY6KQ+YiSnhQh0NMqJv5/EHQJ68SAIWnMDm/S7R/9LqvrtAXNf0BWL4vk/+UorY+2cdj5r0fwDdKeHiaDwAAADAAAAB4nONjYGAIAGI2IOaA0iDACuUzAjEzlAaJ
5ZdkpBYBaU4glmBABx/soQwHAIsEBDwPAAAAOgAAAHic42NgYHAAYjYg5gBiFgYIYIXyGYGYF0yzMJSkVpQIANn8QFycnHF4W16qQvjhbUUlqUUMAJE5CZw=
""")


def test_file_of_scipy():
    found = read_matlab(BY_SCIPY, "meta.mat")
    assert found["text"] == "schöne Wörter" and np.array_equal(found["other"], [[0, 1, 2]])
    assert [row["WNID"] for row in found["synsets"]] == ["n02119789", "n02100735", "n01440764", "n00004475"]
    assert [int(row["ILSVRC2012_ID"].item()) for row in found["synsets"]] == [1, 2, 3, 1001]
    last = found["synsets"][3]
    assert last["words"] == "organism, being" and last["num_children"] == 3 and np.array_equal(last["children"], [[1, 2, 3]])
    assert list(last) == [
        "ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height", "num_train_images",
    ]  # fmt: skip


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_small_elements_and_both_orders_of_bytes(compress, order):
    rows = [(k, wnid, f"words {k}", 0) for k, wnid in enumerate(WNIDS, 1)] + [(1001, "n00000001", "é", 3)]
    found = read_matlab(matlab_file(2012, rows, compress, order), "meta.mat")["synsets"]
    assert [(row["ILSVRC2012_ID"].item(), row["WNID"], row["words"], row["num_children"].item()) for row in found] == rows


@pytest.mark.parametrize("compress", [True, False])
def test_file_that_is_cut_off_anywhere_is_refused_or_read(compress):
    whole = matlab_file(2012, [(1, "n1", "one", 0)], compress)
    for length in range(128, len(whole) - 8, 4):
        try:
            found = read_matlab(whole[:length], "meta.mat")
        except DataError as error:
            assert "meta.mat" in str(error)
        else:
            assert found == {}, length


@pytest.mark.parametrize("at", range(128, 300, 3))
def test_file_with_a_damaged_byte_raises_no_other_error(at):
    damaged = bytearray(matlab_file(2012, [(1, "n1", "one", 0)], compress=False))
    damaged[at % len(damaged)] ^= 0xFF
    try:
        read_matlab(bytes(damaged), "meta.mat")
    except DataError as error:
        assert "meta.mat: the MATLAB file must be whole" in str(error)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "0 bytes that begin with b''"),
        (b"x" * 200, "200 bytes that begin with b'xxxxxx'"),
        (b"MATLAB 7.3 MAT-file".ljust(512, b" "), "one of level 7.3"),
    ],
)
def test_other_files_are_refused(data, got):
    with refuses(DataError, f"meta.mat: the file must be a MATLAB file of level 5, got {got}"):
        read_matlab(data, "meta.mat")

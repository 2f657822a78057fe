"""The container: any shape, type and memory order comes back, and other programs can read it."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors import safe_open

from tests.contract import refuses
from tinyalex.errors import CheckpointError
from tinyalex.files.tensors import read_tensors, write_tensors

TENSORS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5).filter(lambda name: name != "__metadata__"),
    st.sampled_from([np.float16, np.float32, np.float64]).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0))),
    max_size=3,
)


@given(TENSORS, st.text(st.characters(exclude_categories=["Cs"])))
def test_tensors_and_text_come_back(tmp_path_factory, tensors, text):
    path = tmp_path_factory.getbasetemp() / "tensors"
    write_tensors(path, tensors, "kind", 3, {"text": text})
    found, metadata = read_tensors(path, "kind", 3)
    assert metadata["text"] == text and set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape and found[name].tobytes() == tensor.tobytes()


@pytest.mark.parametrize("tensor", [np.arange(12.0).reshape(3, 4).T, np.arange(12.0)[::2], np.arange(4, dtype=">f4")])
def test_any_memory_order_is_kept_by_value(tmp_path, tensor):
    write_tensors(tmp_path / "t", {"a": tensor}, "kind", 1, {})
    assert np.array_equal(read_tensors(tmp_path / "t", "kind", 1)[0]["a"], tensor)


def test_text_that_looks_like_the_digest_does_no_harm(tmp_path):
    text = {"a": f'"sha256":"{"0" * 64}"', "sha": "0" * 64}
    write_tensors(tmp_path / "t", {'"sha256":"': np.zeros(2)}, "kind", 1, text)
    assert read_tensors(tmp_path / "t", "kind", 1)[1].items() >= text.items()


def test_safetensors_reads_the_file(tmp_path):
    write_tensors(tmp_path / "t", {"a": np.ones((2, 3), np.float16)}, "kind", 1, {"text": "hello"})
    with safe_open(tmp_path / "t", "numpy") as file:
        assert file.metadata()["text"] == "hello" and file.get_tensor("a").tolist() == [[1] * 3] * 2


def test_arrays_start_at_a_multiple_of_eight(tmp_path):
    for length in range(9):
        write_tensors(tmp_path / "t", {"a": np.ones(1)}, "kind", 1, {"text": "x" * length})
        assert int.from_bytes((tmp_path / "t").read_bytes()[:8], "little") % 8 == 0


def test_other_kind_and_version_are_refused(tmp_path):
    write_tensors(tmp_path / "t", {}, "kind", 1, {})
    with refuses(CheckpointError, "the file must be of format 'other', got 'kind'"):
        read_tensors(tmp_path / "t", "other", 1)
    with refuses(CheckpointError, "format_version must be 2, got 1; the file was altered"):
        read_tensors(tmp_path / "t", "kind", 2)
    for number in (b"Infinity", b"1e999"):
        header = b'{"__metadata__": {"format": "kind", "format_version": %s, "sha256": ""}}' % number
        (tmp_path / "t").write_bytes(len(header).to_bytes(8, "little") + header)
        with refuses(CheckpointError, "the file must be a kind file, got another or an altered header"):
            read_tensors(tmp_path / "t", "kind", 1)


@pytest.mark.parametrize("dtype", [b"BF16", b"F8_E4M3", b"F8_E5M2"])
def test_types_that_numpy_lacks_are_refused(tmp_path, dtype):
    """The digest is right, so that only the type can be wrong."""
    size = 2 if dtype == b"BF16" else 1
    about = b'{"__metadata__":{"format":"kind","format_version":"1","sha256":"%s"},' % (b"0" * 64)
    header = about + b'"a":{"dtype":"%s","shape":[1],"data_offsets":[0,%d]}}' % (dtype, size)
    whole = len(header).to_bytes(8, "little") + header + bytes(size)
    digest = hashlib.sha256(whole).hexdigest().encode()
    (tmp_path / "t").write_bytes(whole.replace(b"0" * 64, digest))
    with refuses(CheckpointError, "the file must be valid safetensors"):
        read_tensors(tmp_path / "t", "kind", 1)

"""The reader of our own for the safetensors format: what the library reads and refuses, it reads and refuses too."""

import builtins
import json
import sys

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tests.contract import refuses
from tinyalex.errors import CheckpointError
from tinyalex.files.safetensors_format import DTYPES, read_safetensors
from tinyalex.files.tensors import read_tensors, write_tensors

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5).filter(lambda name: name != "__metadata__")
TENSORS = st.dictionaries(
    NAMES, st.sampled_from(list(DTYPES.values())).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0))), max_size=4
)
OWN = st.dictionaries(
    NAMES,
    st.sampled_from([np.float16, np.float32, np.float64]).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0))),
    max_size=3,
)
ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}


def same(found, tensors):
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape and found[name].tobytes() == tensor.tobytes()


def file_of(header, data=b"\0" * 8):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


@given(TENSORS, st.dictionaries(NAMES, NAMES, max_size=2))
def test_it_reads_what_the_library_writes(tmp_path_factory, tensors, text):
    path = tmp_path_factory.getbasetemp() / "theirs"
    path.write_bytes(save(tensors, metadata=text or None))  # without arrays and with {} the library writes no JSON
    found = read_safetensors(path)
    same(found, tensors)
    for array in found.values():
        assert array.flags.owndata or array.base.flags.owndata
        array[...] = 0  # memory of its own, which may be written


@given(OWN)
def test_the_library_and_the_reader_read_what_is_written_here(tmp_path_factory, tensors):
    path = tmp_path_factory.getbasetemp() / "ours"
    write_tensors(path, tensors, "kind", 1, {"text": "hello"})
    same(load(path.read_bytes()), tensors)
    same(read_safetensors(path), tensors)


@pytest.fixture
def no_wheel(monkeypatch):
    """`import safetensors` fails, as in a browser."""
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "safetensors":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.partition(".")[0] == "safetensors"]:
        monkeypatch.delitem(sys.modules, name)


def test_without_the_wheel_a_checkpoint_is_read_by_it(no_wheel, tmp_path):
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones((), np.float64), "c": np.zeros((0, 3), np.float16)}
    write_tensors(tmp_path / "t", tensors, "kind", 1, {"text": "hello"})
    found, text = read_tensors(tmp_path / "t", "kind", 1)
    same(found, tensors)
    assert text["text"] == "hello"


def test_without_the_wheel_the_trained_net_is_the_same(no_wheel, monkeypatch):
    from tinyalex.models import pretrained

    ours = [leaf.params for leaf in pretrained.trained_figure1().net.leaves()]
    monkeypatch.undo()
    theirs = [leaf.params for leaf in pretrained.trained_figure1().net.leaves()]
    assert len(ours) == len(theirs) > 3
    for mine, other in zip(ours, theirs, strict=True):
        same(mine, other)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "the header must end within the file of 0 bytes, got a length of 0 bytes"),
        (b"\1\0\0", "the header must end within the file of 3 bytes"),
        (b"\xff" * 8 + b"{}", "the header must end within the file of 10 bytes, got a length of 18,446,744,073,709,551,615 bytes"),
        (file_of(b"{}")[:9], "the header must end within the file of 9 bytes, got a length of 2 bytes"),
        (file_of(b"{", b""), "the header must be JSON in UTF-8, got JSONDecodeError"),
        (file_of(b'{"\xff": 1}', b""), "the header must be JSON in UTF-8, got UnicodeDecodeError"),
        (file_of(b'{"a": NaN}', b""), "the header must be JSON in UTF-8, got ValueError: NaN is no JSON"),
        (file_of(b"[" * 100_000, b""), "the header must be JSON in UTF-8, got RecursionError"),
        (file_of(b'{"a": ' + b"9" * 5000 + b"}", b""), "the header must be JSON in UTF-8, got ValueError"),
        (file_of(b"[]", b""), "the header must be a JSON object from its first byte on, got []"),
        (file_of(b" {}", b""), "the header must be a JSON object from its first byte on, got {}"),
        (file_of(b'{"a": 1, "a": 1}', b""), "got ValueError: the key 'a' stands there twice"),
        (file_of({"__metadata__": {"a": 1}}, b""), "__metadata__ must hold texts alone, got {'a': 1}"),
        (file_of({"__metadata__": []}, b""), "__metadata__ must hold texts alone, got []"),
        (file_of({"a": []}), "'a' must have dtype, shape and data_offsets, got []"),
        (file_of({"a": ONE["a"] | {"more": 1}}), "'a' must have dtype, shape and data_offsets, got {"),
        (file_of({"a": ONE["a"] | {"dtype": "BF16"}}), "the dtype of 'a' must be one of BOOL, U8, "),
        (file_of({"a": ONE["a"] | {"dtype": ["F32"]}}), "the dtype of 'a' must be one of BOOL, U8, "),
        (file_of({"a": ONE["a"] | {"shape": [-2]}}), "the shape of 'a' must be at most 64 whole numbers of at least 0, got [-2]"),
        (file_of({"a": ONE["a"] | {"shape": [2.0]}}), "the shape of 'a' must be at most 64 whole numbers of at least 0, got [2.0]"),
        (file_of({"a": ONE["a"] | {"shape": [True, 2]}}), "the shape of 'a' must be at most 64 whole numbers of at least 0"),
        (file_of({"a": ONE["a"] | {"shape": 2}}), "the shape of 'a' must be at most 64 whole numbers of at least 0, got 2"),
        (file_of({"a": ONE["a"] | {"shape": [2] + [1] * 64}}), "the shape of 'a' must be at most 64 whole numbers of at least 0"),
        (file_of({"a": ONE["a"] | {"data_offsets": [0]}}), "the data_offsets of 'a' must be two whole numbers of at least 0, got [0]"),
        (file_of({"a": ONE["a"] | {"data_offsets": [0, 7]}}), "the data_offsets of 'a' must span 8 bytes, as its dtype and shape say"),
        (file_of({"a": ONE["a"] | {"data_offsets": [8, 0]}}), "the data_offsets of 'a' must span 8 bytes"),
        (file_of({"a": ONE["a"] | {"shape": [2**62, 2**62]}}), "the data_offsets of 'a' must span"),
        (file_of({"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}, b""), "the array 'a' must fit into memory"),
        (file_of({"a": ONE["a"] | {"data_offsets": [4, 12]}}, b"\0" * 12), "the bytes of 'a' must begin at 0, "),
        (file_of({**ONE, "b": ONE["a"]}), "the bytes of 'b' must begin at 8, where the array before ends, got 0"),
        (file_of(ONE, b"\0" * 7), "bytes by its header, got"),
        (file_of(ONE, b"\0" * 9), "bytes by its header, got"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(tmp_path, content, message):
    (tmp_path / "bad").write_bytes(content)
    with refuses(CheckpointError, message):
        read_safetensors(tmp_path / "bad")


def library_refuses(content):
    try:
        load(content)
    except (SafetensorError, ValueError, KeyError, AttributeError, MemoryError, TypeError):
        return True
    return False


def reader_refuses(path, content):
    path.write_bytes(content)
    try:
        read_safetensors(path)
    except CheckpointError:
        return True
    return False


WHOLE = save({"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 1), np.float64)}, metadata={"k": "v"})


def test_any_altered_byte_of_a_header_is_refused_where_the_library_refuses_it(tmp_path):
    """Every byte of the length and the header, each with four other values; the reader may be stricter, never laxer."""
    end = 8 + int.from_bytes(WHOLE[:8], "little")
    refused = 0
    for at in range(end):
        for value in (0, ord("0"), ord('"'), WHOLE[at] ^ 1):
            content = WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
            if library_refuses(content):
                refused += 1
                assert reader_refuses(tmp_path / "t", content), (at, value, content[:end])
    assert refused > 2 * end


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_was_cut_is_refused(tmp_path_factory, length):
    assert reader_refuses(tmp_path_factory.getbasetemp() / "cut", WHOLE[:length])

"""The restricted unpickler: what Python 2 and NumPy wrote is read, everything else is refused and nothing is run."""

import os
import pickle
import pickletools
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tinyalex.errors import DataError
from tinyalex.files import pickle_machine
from tinyalex.files.pickles import load_pickle

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)
DTYPE = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def array_opcodes(module=b"numpy.core.multiarray", shape=b"K\x03K\x04\x86", dtype=DTYPE, fortran=b"\x89"):
    """An array as cPickle of Python 2 wrote it, protocol 2."""
    data = PIXELS.tobytes()
    create = b"c" + module + b"\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    return create + b"(K\x01" + shape + dtype + fortran + b"T" + struct.pack("<I", len(data)) + data + b"tb"


def batch_opcodes(array):
    """The dict of a batch around an array."""
    return b"\x80\x02}q\x01(U\x04dataq\x02" + array + b"q\x0aU\x06labelsq\x03]q\x04(K\x06K\x09K\x00eU\x0bbatch_labelU\x02b1u."


def refused(data, match):
    with pytest.raises(DataError, match=match) as caught:
        load_pickle(data, "batch 7")
    assert str(caught.value).startswith("batch 7: ") and len(str(caught.value)) < 500


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_reads_what_python_2_wrote(module):
    data = batch_opcodes(array_opcodes(module))
    read, expected = load_pickle(data, "batch"), pickle.loads(data, encoding="bytes")
    assert list(read) == list(expected) == [b"data", b"labels", b"batch_label"]
    assert read[b"labels"] == [6, 9, 0] and read[b"batch_label"] == b"b1"
    assert read[b"data"].dtype == np.uint8 and np.array_equal(read[b"data"], expected[b"data"])
    assert not read[b"data"].flags.writeable


def test_reads_an_array_in_fortran_order():
    data = b"\x80\x02" + array_opcodes(fortran=b"\x88") + b"."
    assert np.array_equal(load_pickle(data, "x"), pickle.loads(data, encoding="bytes"))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_what_this_python_and_numpy_write(protocol, order):
    batch = {b"data": np.asarray(PIXELS, order=order), "labels": [1, 300, 70_000, -1, 2**40], b"empty": b"", "none": (None, True, ())}
    read = load_pickle(pickle.dumps(batch, protocol), "batch")
    assert np.array_equal(read.pop(b"data"), batch.pop(b"data"))
    assert read == batch


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_read_only_and_long_bytes_and_texts(protocol):
    pixels = np.zeros(70_000, np.uint8)
    pixels.flags.writeable = False
    read = load_pickle(pickle.dumps([pixels, b"\xff" * 70_000, "é" * 300], protocol), "batch")
    assert np.array_equal(read[0], pixels) and read[1:] == [b"\xff" * 70_000, "é" * 300]


def test_reads_a_shared_array_twice():
    first, second = load_pickle(pickle.dumps([PIXELS, PIXELS], 2), "batch")
    assert first is second and np.array_equal(first, PIXELS)


class Calls:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, r"(posix|nt)\.system"),
        (eval, r"(builtins|__builtin__)\.eval"),
        (exec, r"(builtins|__builtin__)\.exec"),
        (getattr, r"(builtins|__builtin__)\.getattr"),
        (np.load, r"numpy\.load"),
        (pickle.loads, r"_?pickle\.loads"),
    ],
)
def test_refuses_every_other_global_by_name(protocol, function, name, tmp_path):
    witness = tmp_path / "ran"
    hostile = pickle.dumps({"data": Calls(function, f"open({str(witness)!r}, 'w')")}, protocol)
    refused(hostile, "pickled globals must be those of an array of bytes, got " + name)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy", "ndarray.tofile"),
        ("numpy", "core.multiarray._reconstruct"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("numpy.core", "multiarray"),
        ("numpy.core.multiarray", "scalars"),
        ("_codecs", "decode"),
        ("builtins", "bytes.fromhex"),
        ("copyreg", "_reconstructor"),
        ("numpy.ma", "ndarray"),
        ("NumPy", "ndarray"),
        ("", ""),
    ],
)
def test_refuses_names_near_the_allowed_ones_and_nested_ones(module, name):
    head = b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x8c" + bytes([len(name)]) + name.encode()
    refused(head + b"\x93.", "globals must be")
    refused(b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n.", "globals must be")


def test_long_names_are_cut_or_refused():
    refused(b"\x80\x02c" + b"a" * 10_000 + b"\nb\n.", "a name without its end")
    refused(b"\x80\x04X" + struct.pack("<I", 10_000) + b"a" * 10_000 + b"\x8c\x01b\x93.", "got aaa")


@pytest.mark.parametrize(
    ("opcodes", "match"),
    [
        (b"\x80\x02P1\n.", "instructions must be"),  # a persistent id
        (b"\x80\x02K\x01Q.", "instructions must be"),
        (b"\x80\x02\x82\x01.", "instructions must be"),  # the extension registry
        (b"\x80\x02(cos\nsystem\nK\x01o.", r"got os\.system"),
        (b"\x80\x02(ios\nsystem\n.", "instructions must be"),
        (b"\x80\x04}\x92.", "instructions must be"),
        (b"\x80\x05\x97.", "instructions must be"),  # a buffer from outside
        (b"\x80\x02K\x0122.", "instructions must be"),
        (b"", "protocol 2, 3, 4 or 5, got a file that begins with b''"),
        (b"(dp0\n.", "protocol 2, 3, 4 or 5"),
        (b"\x80\x06N.", "protocol 2, 3, 4 or 5"),
        (b"\x80\x02.", "more or fewer objects"),
        (b"\x80\x02NN.", "more or fewer objects"),
        (b"\x80\x02(N.", "more or fewer objects"),
        (b"\x80\x02Ne.", "no mark"),
        (b"\x80\x02R.", "an empty stack"),
        (b"\x80\x02(\x85.", "an empty stack"),
        (b"\x80\x02K\x01)R.", "an unexpected value of type int"),
        (b"\x80\x02h\x05.", "memo 5, which nothing was put in"),
        (b"\x80\x02K\x01)b.", "an unexpected value of type int"),
        (b"\x80\x02}(K\x01u.", "a key without its value"),
        (b"\x80\x02})Ns.", "a key of type tuple"),
        (b"\x80\x02cnumpy\nndarray\n)R.", "numpy.ndarray must not be called"),
        (b"\x80\x02cnumpy\nndarray\nK\x09\x85R.", "numpy.ndarray must not be called"),
        (b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "__builtin__.bytes must not be called with arguments, got 1"),
        (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "must be a text and latin1"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R.", "must be ndarray"),
        (b"\x80\x02c_codecs\nencode\nX\x03\x00\x00\x00\xe2\x82\xacX\x06\x00\x00\x00latin1\x86R.", "no latin1"),
    ],
)
def test_refuses_other_instructions_and_malformed_pickles(opcodes, match):
    refused(opcodes, match)


def dtype_opcodes(name=b"u1", state=b"K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00"):
    return b"cnumpy\ndtype\n(U" + bytes([len(name)]) + name + b"K\x00K\x01tR(" + state + b"tb"


@pytest.mark.parametrize(
    ("array", "match"),
    [
        ({"dtype": dtype_opcodes(b"O8")}, "type of arrays must be one of integers"),
        ({"dtype": dtype_opcodes(b"f8")}, "type of arrays must be one of integers"),
        ({"dtype": dtype_opcodes(state=b"K\x03U\x01|NNNK\x00K\x00K\x3f")}, "state of an array's type must be that of an integer"),
        ({"dtype": dtype_opcodes(state=b"N")}, "state of an array's type must be that of an integer"),
        ({"dtype": b"N"}, "type of arrays must be one of integers"),
        ({"shape": b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"}, r"shape \(2147483647, 2147483647\) must hold 4,611,686,014,132,420,609"),
        ({"shape": b"\x8a\x09" + b"\x00" * 8 + b"\x01\x85"}, "1 to 4 sizes"),
        ({"shape": b"J\xff\xff\xff\xffJ\xf4\xff\xff\xff\x86"}, "1 to 4 sizes"),
        ({"shape": b"K\x00K\x04\x86"}, "1 to 4 sizes"),
        ({"shape": b"\x88\x85"}, "1 to 4 sizes"),
        ({"shape": b"K\x0c"}, "1 to 4 sizes"),
        ({"shape": b"(" + b"K\x01" * 60 + b"t"}, "1 to 4 sizes"),
        ({"shape": b"K\x03K\x05\x86"}, r"shape \(3, 5\) must hold 15 bytes, got 12"),
        ({"fortran": b"K\x00"}, "state of an array must be version 1"),
    ],
)
def test_refuses_arrays_of_another_type_shape_or_length(array, match):
    refused(batch_opcodes(array_opcodes(**array)), match)


def test_arrays_where_numbers_belong_are_refused():
    array = array_opcodes()
    refused(b"\x80\x02cnumpy\ndtype\n(" + array + b"K\x00K\x01tR.", "type of arrays must be one of integers")
    refused(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n" + array + b"NN\x87R.", "must be ndarray")
    refused(batch_opcodes(array_opcodes(dtype=dtype_opcodes(state=array + b"U\x01|NNNNNK\x00"))), "state of an array's type")


def test_object_arrays_of_numpy_are_refused():
    for protocol in (2, 3, 4, 5):
        refused(pickle.dumps(np.array([{}, None]), protocol), "must be|got")
        refused(pickle.dumps(np.zeros(3), protocol), "must be|got")


def test_every_truncation_is_refused():
    for protocol, whole in [(2, batch_opcodes(array_opcodes())), (5, pickle.dumps({b"data": PIXELS, b"labels": [1, 2]}, 5))]:
        for length in range(len(whole)):
            refused(whole[:length], "must be" if length >= 2 else f"protocol {2}, 3, 4 or 5")
        assert load_pickle(whole, f"protocol {protocol}")


def peak_of_refusal(data, match):
    tracemalloc.start()
    try:
        refused(data, match)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x80\x02T\xff\xff\xff\xff", "its end at byte 7"),
        (b"\x80\x04\x8e" + b"\xff" * 8, "its end at byte"),
        (b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f", "its end at byte"),
        (b"\x80\x02Nr\xff\xff\xff\xff", "got memo 4,294,967,295 before"),  # a table by number would take 32 GiB
        (b"\x80\x04\x95" + b"\xff" * 8, "its end at byte"),
    ],
)
def test_sizes_that_a_file_only_claims_cost_no_memory(data, match):
    assert peak_of_refusal(data, match) < 2**18


def test_steps_are_limited(monkeypatch):
    monkeypatch.setattr(pickle_machine, "MOST_STEPS", 1000)
    assert peak_of_refusal(b"\x80\x02" + b"}" * 5000, "number of instructions must be at most 1,000") < 2**18


def test_encoding_one_text_again_and_again_is_refused():
    text = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000
    again = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    assert peak_of_refusal(b"\x80\x02(" + text + b"q\x00" + again * 200 + b"l.", "bytes encoded must be fewer") < 2**20


def test_integers_as_keys_are_few_because_a_file_can_choose_those_of_one_hash():
    same_hash = [k * (2**61 - 1) for k in range(1, 20_000)]
    began = time.process_time()
    refused(pickle.dumps(dict.fromkeys(same_hash), 2), "at most 10,000 keys must be integers, got more")
    assert time.process_time() - began < 10
    assert len(load_pickle(pickle.dumps(dict.fromkeys(range(10_000)), 2), "state")) == 10_000


def test_names_do_not_change_a_terminal():
    refused(b"\x80\x04\x8c\x04\x1b[2J\x8c\x01b\x93.", r"got '\\x1b\[2J\.b'")


def test_deep_nesting_breaks_nothing():
    value = load_pickle(b"\x80\x02" + b")" + b"\x85" * 100_000 + b".", "batch")
    assert isinstance(value, tuple)
    refused(b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.", "a key of type tuple")


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 255))
def test_altered_bytes_are_read_or_refused(tail, at, value):
    whole = bytearray(batch_opcodes(array_opcodes()))
    whole[2 + at % (len(whole) - 2)] = value
    for data in (bytes(whole), b"\x80\x04" + tail):
        try:
            load_pickle(data, "batch")
        except DataError as error:
            assert "batch: " in str(error)


def test_every_instruction_is_one_of_pickle():
    codes = {opcode.code.encode("latin-1") for opcode in pickletools.opcodes}
    assert set(pickle_machine.INSTRUCTIONS) < codes

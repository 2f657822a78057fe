import struct
import time

import numpy as np
import pytest

from tests.contract import refuses
from tests.formats.caffe.samples import NEW, OLD, parsed
from tests.formats.caffe.test_text import shown
from tinyalex.errors import CheckpointError
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.wire import MOST, Reader, array_of, read_wire, write_wire
from tinyalex.formats.protobuf import number_bytes


def read(data, kind="Blob"):
    return Reader(data, "bytes").message(kind, 0, len(data))


def tag(number, form):
    value, out = number << 3 | form, bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def packed(number, data):
    assert len(data) < 128
    return tag(number, 2) + bytes([len(data)]) + data


FLOATS = np.arange(6, dtype="<f4")
SHAPE = packed(7, packed(1, bytes([2, 3])))


@pytest.mark.parametrize(
    "data",
    [
        packed(5, FLOATS.tobytes()) + SHAPE,
        SHAPE + packed(5, FLOATS[:2].tobytes()) + packed(5, FLOATS[2:].tobytes()),
        b"".join(tag(5, 5) + struct.pack("<f", value) for value in FLOATS) + SHAPE,
        packed(5, FLOATS[:1].tobytes()) + b"".join(tag(5, 5) + struct.pack("<f", value) for value in FLOATS[1:]) + SHAPE,
        packed(8, FLOATS[:3].astype("<f8").tobytes()) + packed(8, FLOATS[3:].astype("<f8").tobytes()) + SHAPE,
        SHAPE + b"".join(tag(8, 1) + struct.pack("<d", value) for value in FLOATS),
        packed(5, FLOATS.tobytes()) + packed(7, tag(1, 0) + b"\2" + tag(1, 0) + b"\3"),
        packed(99, b"unknown") + tag(98, 0) + b"\5" + tag(97, 1) + bytes(8) + tag(96, 5) + bytes(4) + packed(5, FLOATS.tobytes()) + SHAPE,
        packed(5, np.zeros(6, "<f4").tobytes()) + packed(8, FLOATS[:6].astype("<f8").tobytes()) + SHAPE,  # Caffe prefers float64
    ],
)
def test_the_forms_of_a_blob(data):
    np.testing.assert_array_equal(array_of(read(data), "blob"), FLOATS.reshape(2, 3))


def test_many_numbers_one_by_one():
    values = np.arange(100_000, dtype="<f4")
    data = np.zeros(len(values), [("tag", "u1"), ("value", "<f4")])
    data["tag"], data["value"] = tag(5, 5)[0], values
    blob = read(data.tobytes() + tag(1, 0) + bytes([1]) + tag(2, 0) + bytes([1]) + tag(3, 0) + bytes([1]) + tag(4, 0) + b"\xa0\x8d\x06")
    np.testing.assert_array_equal(array_of(blob, "blob"), values.reshape(1, 1, 1, -1))


def test_elements_are_seen_where_they_lie():
    data = packed(5, FLOATS.tobytes()) + SHAPE
    assert np.shares_memory(array_of(read(data), "blob"), np.frombuffer(data, np.uint8))


def test_floats_become_short_decimals():
    parameters = packed(118, tag(2, 5) + struct.pack("<f", 1e-4) + tag(3, 5) + struct.pack("<f", 0.75))
    assert shown(read(parameters, "Layer")) == {"lrn_param": [{"alpha": [1e-4], "beta": [0.75]}]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x2a", "the number at byte 1 must be at most 10 bytes long and complete"),
        (b"\xff" * 11, "the number at byte 0 must be at most 10 bytes long"),
        (tag(5, 2) + b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + b"abc", "the length at byte 0 must be at most 3, the bytes that follow"),
        (packed(5, b"abc"), "the length at byte 0 must be a multiple of 4, got 3"),
        (tag(5, 5) + b"ab", "the value at byte 0 must be 4 bytes long, got 2"),
        (tag(5, 1) + bytes(8), "data at byte 0 must be of the kind floats"),
        (tag(5, 0) + b"\1", "data at byte 0 must be of the kind floats"),
        (tag(5, 3), "the type of the field at byte 0 must be 0, 1, 2 or 5, got 3"),
        (tag(7, 0) + b"\1", "shape at byte 0 must be of the kind Shape"),
        (tag(1, 5) + bytes(4), "num at byte 0 must be of the kind int"),
        (packed(6, b"") * (MOST + 1), f"the number of fields must be at most {MOST:,}"),
        (packed(7, packed(1, b"\0" * 100)) * 25_000, f"the number of fields must be at most {MOST:,}"),
    ],
)  # fmt: skip
def test_what_is_no_blob(data, said):
    with refuses(CheckpointError, said):
        read(data)


@pytest.mark.parametrize(
    "shape",
    [b"\2\4", 2 * (b"\xff" * 9 + b"\1"), b"\x80" * 8 + b"\x40\4", b"", b"\6" + b"\1" * 40],
)
def test_shapes_without_as_many_elements(shape):
    with refuses(CheckpointError, "the shape of a blob must have 6 elements, as many as are there"):
        array_of(read(packed(5, FLOATS.tobytes()) + packed(7, packed(1, shape))), "blob")


def test_a_shape_without_elements():
    assert array_of(read(packed(7, packed(1, b"\0\3"))), "blob").shape == (0, 3)
    with refuses(CheckpointError, "the shape of a blob must have 0 elements"):
        array_of(read(packed(7, packed(1, b"\0" + b"\xff" * 8 + b"\x7f"))), "blob")


def test_a_file_that_is_too_large(tmp_path):
    with open(tmp_path / "m", "wb") as file:
        file.truncate(2**31)  # takes no place on the disk
    with refuses(CheckpointError, "the file must have at most 2,147,483,647 bytes, the limit of its form, got 2,147,483,648"):
        read_wire(tmp_path / "m", "Net")


def test_texts_and_enumerations_are_checked():
    with refuses(CheckpointError, "name at byte 0 must be text in UTF-8"):
        read(packed(1, b"\xff"), "Layer")
    assert shown(read(tag(5, 0) + b"\4" + tag(4, 2) + b"\1a", "OldLayer")) == {"type": ["CONVOLUTION"], "name": ["a"]}
    assert shown(read(tag(5, 0) + b"\x77" + tag(4, 2) + b"\1a", "OldLayer")) == {"name": ["a"]}  # a type of another program
    with refuses(CheckpointError, "the file must be readable"):
        read_wire("no such file", "Net")


@pytest.mark.parametrize("text", [NEW, OLD])
def test_what_is_written_is_read_again(text):
    message = parsed(text)
    data = b"".join(write_wire(message))
    assert shown(read(data, "Net")) == shown(message)


def test_protobuf_reads_what_is_written():
    pytest.importorskip("google.protobuf", reason="protobuf is not installed: install the extra 'test' to compare")
    message = Message("Net")
    message.add("name", "net")
    layer = Message("Layer")
    for key, value in {"name": "a" * 200, "type": "LRN", "bottom": "data", "phase": "TEST", "loss_weight": 0.3}.items():
        layer.add(key, value)
    blob, shape = Message("Blob"), Message("Shape")
    shape.values["dim"] = [(2, 0), (3, 0)]
    blob.add("shape", shape)
    blob.add("data", FLOATS)
    layer.add("blobs", blob)
    message.add("layer", layer)
    found = protobuf_class("Net").FromString(b"".join(write_wire(message)))
    (there,) = found.layer
    assert (found.name, there.name, there.type, list(there.bottom), there.phase) == ("net", "a" * 200, "LRN", ["data"], 1)
    assert list(there.blobs[0].data) == list(FLOATS) and list(there.blobs[0].shape.dim) == [2, 3]
    assert shown(read(found.SerializeToString(), "Net"))["layer"][0]["loss_weight"] == [0.3]


def protobuf_class(name):
    """A class of protobuf for the messages of our table."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    from tinyalex.formats.caffe.schema import BY_NAME, ENUMS

    kinds = {"int": 3, "float": 2, "bool": 8, "text": 9, "floats": 2, "doubles": 1, "any": 12}
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="c")
    for kind, fields in BY_NAME.items():
        made = file.message_type.add(name=kind)
        for field in fields.values():
            many = field.repeated or field.kind in ("floats", "doubles")
            number = kinds.get(field.kind, 5 if field.kind in ENUMS else 11)
            added = made.field.add(name=field.name, number=field.number, label=3 if many else 1, type=number)
            if number == 11:
                added.type_name = f".c.{field.kind}"
            added.options.packed = field.kind in ("floats", "doubles") or (kind, field.name) == ("Shape", "dim")
            if not added.options.packed:
                added.ClearField("options")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"c.{name}"))


def test_many_axes_cost_no_time():
    """The product of 100,000 sizes of 2**62 would take minutes."""
    shape = (tag(1, 0) + b"\xff" * 8 + b"\x3f") * 100_000
    began = time.process_time()
    with refuses(CheckpointError, "must have 0 elements, as many as are there, got the shape a tuple of 100,000 elements"):
        array_of(read(tag(7, 2) + number_bytes(len(shape)) + shape), "blob")
    assert time.process_time() - began < 10

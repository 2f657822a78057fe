"""Which format a file has, by its bytes and then by its name; two files with a comma; and what none of them is."""

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.contract import refuses
from tinyalex.errors import CheckpointError, ShapeError, TinyalexError
from tinyalex.formats.files import FORMATS, files_in, format_of, format_of_bytes, format_to_write, is_foreign, kind_of_files, read, write
from tinyalex.formats.imported import Imported
from tinyalex.models.later.rows import conv, linear, row

PROTOTXT = 'name: "n"\nlayer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }\n'
HEADS = {
    "onnx": b"\x08\x08\x12\x07pytorch\x1a\x011:\x10",
    "prototxt": PROTOTXT.encode(),
    "pth": b"PK\x03\x04\x00\x00",
    "safetensors": len(b'{"a": 1}').to_bytes(8, "little") + b'{"a": 1}',
    "cfg": b"# layers\n[conv1]\ntype=conv\ninputs=data\n",
    "binaryproto": b"\x08\x01\x10\x03\x18\xe3\x01\x20\xe3\x01",
    "solver": b'net: "train_val.prototxt"\nbase_lr: 0.01\n',
}


@pytest.mark.parametrize("name", HEADS)
def test_the_bytes_of_a_file_say_its_format_whatever_it_is_called(name):
    assert format_of_bytes("file", HEADS[name]).name == name
    for end in (".jpeg", ".onnx", ".caffemodel", ""):
        assert format_of_bytes(f"file{end}", HEADS[name]).name == name


def test_older_forms_are_known_too():
    assert format_of_bytes("f", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").name == "pth"
    assert format_of_bytes("f", b'input: "data"\ninput_dim: 1\n').name == "prototxt"
    assert format_of_bytes("f", b'# V1\n\nlayers {\n name: "conv1"\n}').name == "prototxt"


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_where_the_bytes_say_nothing_the_name_does(form):
    for end in form.suffixes:
        assert format_of_bytes(f"a{end}", b"\x0a\x05net").name == form.name
        assert format_of_bytes(f"a{end.upper()}", b"").name == form.name


def test_another_file_is_refused_with_the_formats_that_can_be_read(tmp_path):
    for name, data in (("cat.jpeg", b"\xff\xd8\xff\xe0"), ("note.txt", b"a text, and no net"), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with refuses(CheckpointError, f"{name}: the file must be a checkpoint or weights of tinyalex, ONNX (.onnx), "):
            format_of(tmp_path / name)
        assert not is_foreign(tmp_path / name)
    with refuses(CheckpointError, "the file must be readable, got a folder"):
        format_of(tmp_path)
    with refuses(CheckpointError, "the file must be readable, got No such file or directory"):
        format_of(tmp_path / "nothing.onnx")


@given(st.sampled_from(["", *HEADS]), st.binary(max_size=200))
def test_any_bytes_have_a_format_or_are_refused(name, data):
    try:
        assert format_of_bytes("file", HEADS.get(name, b"")[: len(data)] + data) in FORMATS
    except CheckpointError:
        pass


def test_a_comma_divides_two_files_unless_a_file_has_it_in_its_name(tmp_path, monkeypatch):
    assert [file.name for file in files_in("a.prototxt, b.net")] == ["a.prototxt", "b.net"]
    (tmp_path / "a,b.onnx").write_bytes(HEADS["onnx"])
    assert files_in(tmp_path / "a,b.onnx") == [tmp_path / "a,b.onnx"]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert files_in("~/a.prototxt,~/b.net")[1] == tmp_path / "b.net"
    (tmp_path / "p").write_bytes(HEADS["prototxt"])
    (tmp_path / "n.net").write_bytes(b"\0")
    assert kind_of_files(f"{tmp_path / 'p'},{tmp_path / 'n.net'}") == "net"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("n.net",), "the file must hold a network that can be read alone, got Deep Compression's weights; give the prototxt first"),
        (("binaryproto",), "got Caffe's mean image; give it to `tinyalex convert` with --mean"),
        (("solver",), "net must be a file beside the solver, got 'train_val.prototxt'; name it too, as net.prototxt,solver.prototxt"),
        (("onnx", "pth"), "files that are read together must be a prototxt and a caffemodel, a prototxt and a .net, or layers"),
        (("prototxt", "prototxt", "prototxt"), "got Caffe's net as text and Caffe's net as text and Caffe's net as text"),
    ],
)
def test_what_is_no_net_and_pairs_that_do_not_belong_together_are_refused(names, text, tmp_path):
    for name in names:
        (tmp_path / name).write_bytes(HEADS.get(name, b"\0\0\0\0"))
    with refuses(CheckpointError, text):
        read(",".join(str(tmp_path / name) for name in names))


NET = Imported(
    "small",
    "test",
    (conv("conv1", 2, 3), row("relu", "relu1"), row("flatten", "flatten"), linear("fc", 3)),
    (3, 6, 6),
    {
        "conv1.weight": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3) / 54,
        "conv1.bias": np.ones(2, np.float32),
        "fc.weight": np.arange(216, dtype=np.float32).reshape(3, 72) / 216,
        "fc.bias": np.zeros(3, np.float32),
    },
)


def same_arrays(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name


@pytest.mark.parametrize("name", ["p.prototxt,c.caffemodel", "n.onnx"])
def test_what_is_written_is_read(name, tmp_path):
    files = ",".join(str(tmp_path / part) for part in name.split(","))
    write(files, NET)
    back = read(files)
    assert [row.name for row in back.rows] == [row.name for row in NET.rows] and back.in_shape == NET.in_shape
    same_arrays(back.arrays, NET.arrays)


def test_a_file_that_is_written_needs_a_known_end(tmp_path):
    with refuses(ShapeError, "net.onx: the file to write must end in one of .onnx, .prototxt, .caffemodel, .pth, .safetensors, got '.onx'"):
        write(tmp_path / "net.onx", NET)
    with refuses(ShapeError, "did you mean .onnx?"):
        format_to_write("net.onx")


@pytest.mark.parametrize("name", HEADS)
def test_what_only_begins_like_a_format_is_one_sentence(name, tmp_path):
    for data in (HEADS[name], HEADS[name] + b"\xff" * 40, HEADS[name][:-2]):
        (tmp_path / "file").write_bytes(data)
        with pytest.raises(TinyalexError) as caught:
            read(tmp_path / "file")
        assert "\n" not in str(caught.value) and "must" in str(caught.value)


def test_a_file_of_this_program_is_not_taken_for_anothers(tmp_path):
    header = json.dumps({"__metadata__": {"format": "tinyalex-weights"}}).encode()
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header)
    assert format_of(tmp_path / "w").name == "safetensors"


def test_a_solver_stands_for_the_net_that_it_names(tmp_path):
    text = "layer { name: 'd' type: 'Data' top: 'x' top: 'l' include { phase: TRAIN } transform_param { crop_size: 5 } } "
    (tmp_path / "train_val.prototxt").write_text(text + "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }")
    (tmp_path / "solver").write_bytes(HEADS["solver"])
    both = f"{tmp_path / 'train_val.prototxt'},{tmp_path / 'solver'}"
    for name in (tmp_path / "solver", both):
        assert read(name).in_shape == (3, 5, 5) and kind_of_files(name) == "prototxt"
    (tmp_path / "itself").write_text("net: 'itself' base_lr: 0.01")
    with refuses(CheckpointError, "got Caffe's solver; name the file of the net that the solver trains"):
        read(tmp_path / "itself")

"""Files that are damaged or hostile, and graphs that are none: each is refused before it takes memory, in one sentence."""

import sys
import tracemalloc

import numpy as np
import pytest

from tests.contract import refuses, values
from tests.formats.onnx.graphs import FLOAT, helper, model_of, node, numpy_helper, onnx, run, saved, small_rows, with_values
from tinyalex.errors import CheckpointError, DataError
from tinyalex.formats.onnx import read_onnx, write_onnx

W = {"w": values((4, 3, 3, 3), 1, np.float32)}
CONV = node("Conv", "x w", "y")
RELU = node("Relu", "x", "y")
IMAGES = (3, 6, 6)

GRAPHS = [
    (
        [node("Relu", "z", "y"), node("Relu", "y", "z")],
        {},
        "(Relu): input 0 must be one that the graph has, an initializer or a node before this one gives",
    ),
    ([RELU, node("Tanh", "x", "y")], {}, "node 1 '' must give a new value, got 'y', which is there already"),
    ([node("Relu", "x", "w"), node("Relu", "w", "y")], W, "node 0 '' must give a new value, got 'w', which is there already"),
    ([RELU, node("Tanh", "x", "x")], {}, "node 1 '' must give a new value, got 'x', which is there already"),
    ([node("Relu", "w", "y")], W, "input 0 must be an array that the network computes, got a constant"),
    ([node("Identity", "w", "y")], W, "the output 'y' must be computed of the input, got a constant or nothing"),
    ([node("Conv", "x u", "y")], {}, "input 1 must be one that the graph has"),
]


@pytest.mark.parametrize(("nodes", "arrays", "text"), GRAPHS, ids=[text[:60] for *_, text in GRAPHS])
def test_a_graph_that_is_none_is_refused(nodes, arrays, text, tmp_path):
    with refuses(DataError, text):
        read_onnx(saved(model_of(nodes, IMAGES, 13, arrays), tmp_path))


def test_inputs_and_outputs_have_to_be_clear(tmp_path):
    model = model_of([RELU], IMAGES)
    model.graph.input.append(helper.make_tensor_value_info("z", FLOAT, [1, 3]))
    with refuses(DataError, "the graph must have one input, the images, and an output, got 2 inputs (x, z) and 1 outputs"):
        read_onnx(saved(model, tmp_path))
    with refuses(DataError, "the input 'x' must hold floats, got type 7 of ONNX"):
        wrong = model_of([RELU], IMAGES)
        wrong.graph.input[0].type.tensor_type.elem_type = 7
        read_onnx(saved(wrong, tmp_path))
    two = saved(model_of([node("Relu", "x", "y"), node("Tanh", "x", "t")], IMAGES, outputs=("y", "t")), tmp_path)
    assert read_onnx(two).rows[0].kind == "relu" and read_onnx(two, output="t").rows[0].kind == "tanh"
    assert read_onnx(two).notes == ("The file has 2 outputs; the net gives the first, 'y'.",)
    with refuses(DataError, "output must be one of y, t, got 'z'"):
        read_onnx(two, output="z")


def test_open_sizes_are_given_by_the_caller(tmp_path):
    path = saved(model_of([CONV], (3, "H", "W"), inits=W), tmp_path)
    with refuses(DataError, "the input 'x' must have a batch and other axes of known sizes, got (0, 3, 0, 0), with 0 for what is open"):
        read_onnx(path)
    assert read_onnx(path, in_shape=(3, 8, 9)).in_shape == (3, 8, 9)
    with refuses(DataError, "in_shape must be (3, 8, 9), as the file has it, got (4, 8, 9)"):
        read_onnx(path, in_shape=(4, 8, 9))
    last = [node("Transpose", "x", "n", perm=[0, 3, 1, 2]), node("Conv", "n w", "y")]
    assert read_onnx(saved(model_of(last, ("H", "W", 3), inits=W), tmp_path), in_shape=(3, 8, 9)).in_shape == (3, 8, 9)


def test_arrays_in_other_files_are_refused_wherever_they_are(tmp_path):
    for place in ("weights.bin", "../../etc/passwd", "/etc/passwd"):
        model = model_of([CONV], IMAGES, inits=W)
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)
        with refuses(
            DataError, f"the elements of 'w' must be in the file itself, got {place!r} as another file; merge both where you trust them"
        ):
            read_onnx(saved(model, tmp_path))


def test_declared_shapes_and_bytes_have_to_agree(tmp_path):
    model = model_of([CONV], IMAGES, inits=W)
    model.graph.initializer[0].dims[0] = 5
    with refuses(DataError, "'w' must have 540 bytes, as its shape (5, 3, 3, 3) says, got 432; the file is truncated or altered"):
        read_onnx(saved(model, tmp_path))
    model.graph.initializer[0].dims[0] = 3
    with refuses(DataError, "'w' must have 324 bytes, as its shape (3, 3, 3, 3) says, got 432"):
        read_onnx(saved(model, tmp_path))
    for sizes in ([2**62, 4, 1, 1], [2**40, 2**40, 1, 1], [-1, 3, 3, 3], [1] * 65):
        model.graph.initializer[0].dims[:] = sizes
        with refuses(DataError, "the shape of 'w' must be at most 64 sizes and 8,589,934,592 elements, got"):
            read_onnx(saved(model, tmp_path))
    model = model_of([CONV], IMAGES, inits=W)
    model.graph.initializer[0].data_type = 8
    with refuses(DataError, "the elements of 'w' must be ordinary numbers, got type 8 of ONNX"):
        read_onnx(saved(model, tmp_path))
    model.graph.initializer[0].data_type = 1
    model.graph.initializer.append(model.graph.initializer[0])
    with refuses(DataError, "initializers must have names of their own, got 'w' twice"):
        read_onnx(saved(model, tmp_path))


def test_constants_that_would_fill_the_memory_are_refused_before_they_are_made(tmp_path):
    shape = np.array([2**20, 2**20])
    nodes = [node("ConstantOfShape", "s", "c"), node("Flatten", "x", "f"), node("MatMul", "f c", "y")]
    with refuses(DataError, "(ConstantOfShape): its shape must be at most 8,589,934,592 elements, with one value"):
        read_onnx(saved(model_of(nodes, IMAGES, inits={"s": shape}), tmp_path))
    tall, wide = np.zeros((2**16, 1), np.float32), np.zeros((1, 2**16), np.float32)
    with refuses(DataError, "the constants of the graph must be at most 1,073,741,824 bytes, got more"):
        read_onnx(saved(model_of([node("Mul", "a b", "c"), node("MatMul", "x c", "y")], (5,), inits={"a": tall, "b": wide}), tmp_path))
    with refuses(DataError, "the constants of the graph must be at most 1,073,741,824 bytes"):
        grown = [node("Concat", " ".join(["a"] * 5000), "c", axis=0), node("MatMul", "x c", "y")]
        read_onnx(saved(model_of(grown, (5,), inits={"a": tall}), tmp_path))
    with refuses(DataError, "(Gather): indices must be whole numbers below 2, got"):
        read_onnx(
            saved(
                model_of([node("Gather", "a i", "c"), node("MatMul", "x c", "y")], (5,), inits={"a": np.ones(2), "i": np.array(9)}),
                tmp_path,
            )
        )


def test_an_order_of_axes_that_would_fill_the_memory_is_refused(tmp_path):
    made = [node("Transpose", "x", "n", perm=[0, 3, 1, 2]), node("Transpose", "n", "b", perm=[0, 2, 3, 1]), node("Flatten", "b", "y")]
    with refuses(DataError, "(Flatten): the constants of the graph must be at most 1,073,741,824 bytes, got more"):
        read_onnx(saved(model_of(made, (2**9, 2**9, 2**9)), tmp_path))


def test_a_file_that_is_none_or_is_cut_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    with refuses(CheckpointError, "net.onnx: the file must be readable, got No such file or directory"):
        read_onnx(path)
    whole = saved(model_of([CONV], IMAGES, inits=W), tmp_path).read_bytes()
    for data, text in (
        (b"", "the file must hold a graph with at least one node, got none"),
        (b"PK\x03\x04" + bytes(40), "the file is another or altered"),
        (whole[: len(whole) // 2], "the file is truncated"),
        (b"\x3a\xff\xff\xff\xff\x7f", "every length in the file must end within the bytes around it, got one that is"),
        (b"\x08" + b"\xff" * 11, "at most 10 bytes, got another at byte 1 of a message of 12 bytes"),
        (b"\x08\xff", "every number in the file must be whole and of at most 10 bytes, got another at byte 1"),
    ):
        path.write_bytes(data)
        with refuses(DataError, text):
            read_onnx(path)
    with refuses(CheckpointError, "the file must be readable, got Is a directory"):
        read_onnx(tmp_path)


def length_of(data: bytes) -> bytes:
    """The length of a message as protobuf writes it."""
    length, encoded = len(data), bytearray()
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    return bytes([*encoded, length])


def test_messages_inside_of_messages_end_somewhere(tmp_path):
    """A graph in an attribute in a graph, and so on: the library stops at a depth of its own."""
    data = b""
    for _ in range(3000):
        for key in (0x32, 0x2A, 0x0A):  # the graph of an attribute, an attribute, a node
            data = bytes([key]) + length_of(data) + data
    (tmp_path / "net.onnx").write_bytes(b"\x3a" + length_of(data) + data)
    with refuses(DataError, "the file must be an ONNX file, got"):
        read_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("version", [0, 29, 2**40])
def test_operators_of_a_later_time_are_refused(version, tmp_path):
    with refuses(DataError, f"the version of its operators must be from 1 to 28, got {version}; write it again with opset 28"):
        read_onnx(saved(model_of([RELU], IMAGES, version), tmp_path))


def test_the_newest_operators_are_those_of_the_package():
    assert onnx.defs.onnx_opset_version() >= 28


def test_a_function_of_ours_with_another_body_is_refused(tmp_path):
    rows, shape = small_rows("jarrett")
    write_onnx(tmp_path / "net.onnx", with_values("jarrett", rows, shape))
    model = onnx.load(tmp_path / "net.onnx")
    assert [function.name for function in model.functions] == ["LocalContrastNorm", "LocalContrastNorm:2"]
    model.functions[0].node[-1].input[1] = "s"
    with refuses(DataError, "(LocalContrastNorm): its function must be the one that its settings give, got another"):
        read_onnx(saved(model, tmp_path))
    del model.functions[:]
    with refuses(DataError, "(LocalContrastNorm): the function must be one of SpatialResponseNorm, LocalContrastNorm, in the file"):
        read_onnx(saved(model, tmp_path))


def test_names_that_are_no_text_are_refused(tmp_path):
    path = saved(model_of([node("Relu", "x", "abcd"), node("Relu", "abcd", "y")], IMAGES), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"abcd", b"ab\xff\xfe"))
    with refuses(DataError, "every name in the file must be text in UTF-8, got other bytes; the file is altered"):
        read_onnx(path)


def test_names_are_unique_and_printable_and_those_of_the_weights(tmp_path):
    arrays = {name: np.ones((3, 3, 1, 1), np.float32) for name in ("a.weight", "b_w_0", "c")}
    nodes = [node("Conv", "x a.weight", "1"), node("Conv", "1 b_w_0", "2"), node("Conv", "2 c", "3"), node("Conv", "3 a.weight", "4")]
    nodes += [helper.make_node("Relu", ["4"], ["y"], "\x1b[31mred\x07")]
    net = read_onnx(saved(model_of(nodes, IMAGES, inits=arrays), tmp_path))
    assert [row.name for row in net.rows] == ["a", "b", "3", "a_2", "?[31mred?"]
    assert run(net, values((1, *IMAGES), 0, np.float32)).shape == (1, *IMAGES)


def test_large_arrays_are_views_of_the_files_bytes(tmp_path):
    """Also those that are written number by number, and those of constants; several pieces are joined by the library."""
    weight = values((4, 3, 20, 20), 1, np.float32)
    shape = (3, 30, 30)
    packed = model_of([CONV], shape)
    packed.graph.initializer.append(onnx.TensorProto(name="w", data_type=1, dims=weight.shape, float_data=weight.reshape(-1).tolist()))
    constant = model_of([node("Constant", "", "w", value=numpy_helper.from_array(weight)), CONV], shape)
    for model in (model_of([CONV], shape, inits={"w": weight}), packed, constant):
        found = read_onnx(saved(model, tmp_path)).arrays["y.weight"]
        assert np.array_equal(found, weight) and found.base is not None and not found.flags.writeable
    data = saved(packed, tmp_path).read_bytes()
    assert len(data) > weight.nbytes


def test_numbers_in_several_pieces_are_joined(tmp_path):
    """A message may hold a row of numbers in pieces, and a graph too."""
    weight = values((4, 3, 20, 20), 1, np.float32)
    halves = weight.reshape(2, -1)
    first = onnx.TensorProto(name="w", data_type=1, dims=weight.shape, float_data=halves[0].tolist()).SerializeToString()
    inner = first + onnx.TensorProto(float_data=halves[1].tolist()).SerializeToString()
    for key in (0x2A, 0x3A):  # an initializer, in a graph
        inner = bytes([key]) + length_of(inner) + inner
    (tmp_path / "net.onnx").write_bytes(model_of([CONV], (3, 30, 30)).SerializeToString() + inner)
    assert np.array_equal(read_onnx(tmp_path / "net.onnx").arrays["y.weight"], weight)


def test_without_the_package_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with refuses(
        DataError, "the package onnx must be installed for ONNX files, got import of onnx halted; None in sys.modules; run: pip install"
    ):
        read_onnx(tmp_path / "net.onnx")


def test_a_large_file_is_read_without_a_copy_of_its_arrays(tmp_path):
    weight = np.zeros((64, 2**17), np.float32)
    path = saved(model_of([node("Gemm", "x w", "y", transB=1)], (2**17,), inits={"w": weight}), tmp_path)
    size = path.stat().st_size
    tracemalloc.start()
    try:
        net = read_onnx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert net.arrays["y.weight"].shape == weight.shape and size > 2**25 and peak < size + 2**20

"""ONNX files with errors of every kind: each is read, or refused in one sentence, with memory in proportion to its bytes."""

from __future__ import annotations

import tracemalloc
from functools import cache
from pathlib import Path

import numpy as np

from tests.contract import SENTENCE, rng
from tests.formats.changes import changed_bytes
from tests.formats.onnx.graphs import helper, model_of, node, onnx, small_rows, with_values
from tinyalex.data.prepare import CropAndFlip, Standardize
from tinyalex.errors import CheckpointError, DataError
from tinyalex.formats.imported import Imported
from tinyalex.formats.onnx import read_onnx
from tinyalex.formats.onnx.preparation import text_of
from tinyalex.formats.onnx.write import onnx_model
from tinyalex.models.rows import conv, flatten, linear
from tinyalex.models.saved_net import SavedNet

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
NUMBERS = (0, 1, -1, 2, 3, 7, 64, 255, 1000, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, -(2**40), -(2**63))
REALS = (0.0, -1.0, 1e-45, 1e38, float("inf"), float("nan"), 0.5)
SMALL = (conv("conv1", 4, 3), flatten("flat"), linear("fc2", 2))
PREPARE = CropAndFlip(Standardize((1, 2, 3), (4, 5, 6)), 8)
MOST = 2**25  # bytes: the small files that are read here call for far less


@cache
def seeds() -> list[bytes]:
    """Graphs of others, and ours with most operators."""
    shapes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n", "n1", axes=[0]),
        node("Concat", "n1 rest", "t", axis=0),
    ]
    shapes += [node("Reshape", "x t", "r"), node("MatMul", "r w", "m"), node("Add", "m b", "y")]
    arrays = {"zero": np.array(0), "rest": np.array([-1]), "w": np.ones((48, 5), np.float32), "b": np.ones(5, np.float32)}
    nhwc = [node("Transpose", "x", "c", perm=[0, 3, 1, 2]), node("Pad", "c", "p", pads=[0, 0, 1, 1, 0, 0, 1, 1])]
    nhwc += [node("Conv", "p k", "v"), node("Transpose", "v", "l", perm=[0, 2, 3, 1]), node("Mul", "l f", "g")]
    nhwc += [node("ReduceMean", "g", "h", axes=[1, 2], keepdims=0), node("Sigmoid", "h", "y")]
    made = [
        model_of(shapes, (3, 4, 4), 9, arrays),
        model_of(nhwc, (5, 5, 3), 9, {"k": np.ones((4, 3, 3, 3), np.float32), "f": np.arange(4, dtype=np.float32)}),
    ]
    for name in ("resnet20", "figure1"):
        rows, shape = small_rows(name)
        made.append(onnx_model("seed", with_values(name, rows[:9], shape), {}))
    made.append(onnx_model("seed", with_values("jarrett", small_rows("jarrett")[0][:6], (1, 64, 64)), {}))
    made.append(onnx_model("seed", with_values("authors", small_rows("alexnet-authors")[0][:9], (3, 64, 64)), {}))
    whole = SavedNet("small", ("a", "b"), PREPARE, (3, 10, 10), rows=SMALL, takes=(3, 8, 8))
    made.append(onnx_model("seed", Imported("small", "seed", SMALL, (3, 8, 8)), text_of(whole)))
    return [model.SerializeToString() for model in made] + [
        (LIGHT / f"light_{name}.onnx").read_bytes() for name in ("bvlc_alexnet", "zfnet512")
    ]


def changed_graph(data: bytes, draw: np.random.Generator) -> bytes:
    """One to three changes of the graph itself, which stays a valid message."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    graph = model.graph
    for _ in range(draw.integers(1, 4)):
        each = graph.node[draw.integers(len(graph.node))]
        other = graph.node[draw.integers(len(graph.node))]
        kind = draw.integers(12)
        if kind == 0 and each.attribute:
            attribute = each.attribute[draw.integers(len(each.attribute))]
            if attribute.ints:
                attribute.ints[draw.integers(len(attribute.ints))] = NUMBERS[draw.integers(len(NUMBERS))]
            elif attribute.type == 2:
                attribute.i = NUMBERS[draw.integers(len(NUMBERS))]
            else:
                attribute.f = REALS[draw.integers(len(REALS))]
        elif kind == 1 and each.attribute:
            each.attribute[draw.integers(len(each.attribute))].type = int(draw.integers(12))
        elif kind == 2 and each.attribute:
            del each.attribute[draw.integers(len(each.attribute))]
        elif kind == 3 and each.input and other.output:
            each.input[draw.integers(len(each.input))] = other.output[0]
        elif kind == 4 and other.output:
            each.output[0] = other.output[0]
        elif kind == 5:
            each.op_type = other.op_type
        elif kind == 6:
            graph.node.add().CopyFrom(other)
        elif kind == 7 and len(graph.node) > 1:
            del graph.node[draw.integers(len(graph.node))]
        elif kind == 8 and graph.initializer:
            tensor = graph.initializer[draw.integers(len(graph.initializer))]
            if tensor.dims:
                tensor.dims[draw.integers(len(tensor.dims))] = NUMBERS[draw.integers(len(NUMBERS))]
        elif kind == 9 and graph.initializer:
            graph.initializer[draw.integers(len(graph.initializer))].data_type = int(draw.integers(24))
        elif kind == 10 and graph.input[0].type.tensor_type.shape.dim:
            shape = graph.input[0].type.tensor_type.shape.dim
            shape[draw.integers(len(shape))].dim_value = NUMBERS[draw.integers(len(NUMBERS))]
        elif kind == 11 and model.opset_import:
            model.opset_import[0].version = int(draw.integers(1, 30))
        if not graph.node:
            graph.node.add().CopyFrom(helper.make_node("Relu", ["x"], ["y"]))
    return model.SerializeToString()


def read_or_refuse(data: bytes, path: Path) -> bool:
    """Read the bytes of a file. Any other error than a refusal is a fault."""
    path.write_bytes(data)
    try:
        read_onnx(path)
    except (DataError, CheckpointError) as error:
        assert SENTENCE.match(str(error)) and str(path) in str(error) and len(str(error)) < 1200, error
        return False
    return True


def test_mutated_files_are_read_or_refused(fuzz_count, tmp_path):
    draw, made = rng(5), seeds()
    path = tmp_path / "net.onnx"
    read = 0
    for i in range(fuzz_count):
        data = made[draw.integers(len(made))]
        data = (changed_bytes if i % 2 else changed_graph)(data, draw)
        try:
            read += read_or_refuse(data, path)
        except BaseException:
            (tmp_path / "fault.onnx").write_bytes(data)  # pytest keeps the folder of a test that failed
            raise
    assert 0 < read < fuzz_count


def test_mutated_files_take_no_more_memory_than_their_bytes_call_for(tmp_path):
    draw, made = rng(6), seeds()
    read_or_refuse(made[0], tmp_path / "net.onnx")
    tracemalloc.start()
    try:
        for i in range(60):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            read_or_refuse((changed_bytes, changed_graph)[i % 2](made[draw.integers(len(made))], draw), tmp_path / "net.onnx")
            assert tracemalloc.get_traced_memory()[1] - before < MOST
    finally:
        tracemalloc.stop()

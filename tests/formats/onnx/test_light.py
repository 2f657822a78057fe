"""The nine networks in the package onnx, made by others, with random weights, against ONNX Runtime; each agrees or is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from tests.contract import refuses
from tests.formats.onnx.graphs import agree, by_runtime, numpy_helper, onnx, run
from tinyalex.errors import DataError
from tinyalex.formats.onnx import read_onnx
from tinyalex.models.later.rows import flat

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
QUICK = ("densenet121", "inception_v1", "inception_v2", "resnet50", "squeezenet")
SLOW = ("bvlc_alexnet", "vgg19", "zfnet512")  # with files of 240 to 570 MB


def with_weights(name: str) -> onnx.ModelProto:
    """The graph with random weights in the place of its constants, which are all 0.02."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    shapes = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    norms = [each.input for each in model.graph.node if each.op_type == "BatchNormalization"]
    variances = {inputs[4] for inputs in norms}  # they cannot be negative
    scales = {inputs[1] for inputs in norms}
    rng = np.random.default_rng(0)
    kept = []
    for each in model.graph.node:
        if each.op_type != "ConstantOfShape":
            kept.append(each)
            continue
        shape = tuple(shapes[each.input[0]])
        array = rng.random(shape, np.float32) - np.float32(0.5)
        if each.output[0] in variances | scales:
            array += 0.5 if name == "resnet50" and each.output[0] in scales else 1  # its 16 sums would grow too far
        elif len(shape) > 1:
            array *= np.float32((24 / np.prod(shape[1:])) ** 0.5)  # a variance of 2 / fan-in, for the ReLUs
        model.graph.initializer.append(numpy_helper.from_array(array, each.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def agrees(name: str, folder: Path) -> None:
    path = folder / "net.onnx"
    model = with_weights(name)
    path.write_bytes(model.SerializeToString())
    images = next(value.name for value in model.graph.input if value.name not in {tensor.name for tensor in model.graph.initializer})
    del model
    x = np.random.default_rng(1).standard_normal((1, 3, 224, 224), np.float32)
    (theirs,) = by_runtime(path, x, images)
    ours = run(read_onnx(path), x)
    assert len(np.unique(theirs)) > 500, "outputs that are all alike would agree with any net"
    agree(ours, theirs)


@pytest.mark.parametrize("name", QUICK)
def test_a_graph_of_others_with_random_weights_agrees_with_onnx_runtime(name, tmp_path):
    agrees(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_large_graph_of_others_with_random_weights_agrees_with_onnx_runtime(name, tmp_path):
    agrees(name, tmp_path)


@pytest.mark.parametrize(
    ("name", "layers", "numbers"),
    [
        ("bvlc_alexnet", 23, 60_965_224),
        ("zfnet512", 21, 87_250_536),
        ("vgg19", 45, 143_667_240),
        ("inception_v1", 133, 6_998_552),
        ("inception_v2", 222, 11_214_888 - 2 * 9_952),  # each scale and shift stands twice in the file, and once in the net
        ("resnet50", 159, 25_557_032),
        ("densenet121", 368, 8_062_504 - 83_648),  # as above
        ("squeezenet", 57, 1_235_496),
    ],
)
def test_a_graph_with_constants_in_place_of_weights_has_the_published_counts_and_takes_no_memory_for_them(name, layers, numbers):
    net = read_onnx(LIGHT / f"light_{name}.onnx")
    assert net.in_shape == (3, 224, 224) and len(list(flat(net.rows))) == layers
    assert sum(array.size for key, array in net.arrays.items() if key.endswith((".weight", ".bias"))) == numbers
    assert net.ends == ("logits" if name == "densenet121" else "probabilities")


def test_a_shuffle_of_channels_is_refused_by_its_operator():
    with refuses(DataError, "node 251 'n8' (Transpose): its axes must be the batch and those of images"):
        read_onnx(LIGHT / "light_shufflenet.onnx")


def test_the_nets_are_all_nine():
    assert {path.stem.removeprefix("light_") for path in LIGHT.glob("*.onnx")} == {*QUICK, *SLOW, "shufflenet"}

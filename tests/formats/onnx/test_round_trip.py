"""Every network of the registry, at small width, out as an ONNX file and in again: the same, and computed alike by ONNX Runtime."""

import json

import numpy as np
import pytest

from tests.contract import refuses, values
from tests.formats.onnx.graphs import agree, built, by_runtime, onnx, run, small_rows, with_values
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.formats.imported import Imported
from tinyalex.formats.onnx import read_onnx, write_onnx
from tinyalex.models.later.rows import branches, conv, row
from tinyalex.models.registry import MODELS, heads_of
from tinyalex.models.rows import Row
from tinyalex.models.weights import split_state


def names(rows):
    """The names of all rows, those of paths inside of their branches. Heads are numbered in a file, also a single one."""
    told = []
    for each in rows:
        inside = [names(path) for path in each["paths"]] if each.kind == "branches" else []
        told.append((each.name if each.name != "head" else "head1", inside))
    return told


@pytest.mark.parametrize("name", MODELS)
def test_a_network_comes_back_to_the_bit_and_is_computed_alike_by_onnx_runtime(name, tmp_path):
    rows, shape = small_rows(name)
    net, path = with_values(name, rows, shape), tmp_path / "net.onnx"
    write_onnx(path, net)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    back = read_onnx(path)
    assert (back.in_shape, back.ends, names(back.rows)) == (shape, "logits", names(rows))
    assert {key: array.tobytes() for key, array in back.arrays.items()} == {key: array.tobytes() for key, array in net.arrays.items()}
    x = values((2, *shape), 1, np.float32)
    ours = run(net, x)
    assert np.array_equal(ours, run(back, x))
    outputs = [value.name for value in model.graph.output]
    assert len(outputs) == 1 + len(heads_of(name))
    theirs = by_runtime(path, x, model.graph.input[0].name)
    agree(ours, theirs[0])
    for head, there in zip(outputs[1:], theirs[1:], strict=True):
        agree(run(read_onnx(path, output=head), x), there)


@pytest.mark.parametrize("name", ["alexnet", "googlenet-heads", "se-resnet50", "jarrett"])
def test_every_value_has_a_shape_for_viewers(name, tmp_path):
    rows, shape = small_rows(name)
    write_onnx(tmp_path / "net.onnx", with_values(name, rows, shape))
    graph = onnx.load(tmp_path / "net.onnx").graph
    told = {each.name: each.type.tensor_type.shape.dim for each in (*graph.value_info, *graph.input, *graph.output)}
    assert set(told) == {value for each in graph.node for value in each.output} | {graph.input[0].name}
    assert all(dims[0].dim_param == "N" and all(dim.dim_value > 0 for dim in dims[1:]) for dims in told.values())


@pytest.mark.parametrize(("name", "opset", "ir"), [("alexnet", 9, 4), ("resnet20", 9, 4), ("alexnet-authors", 13, 8)])
def test_the_operators_are_as_old_as_the_layers_allow(name, opset, ir, tmp_path):
    rows, shape = small_rows(name)
    write_onnx(tmp_path / "net.onnx", with_values(name, rows, shape))
    model = onnx.load(tmp_path / "net.onnx")
    assert (model.opset_import[0].version, model.ir_version, model.producer_name) == (opset, ir, "tinyalex")


LAYERS = {
    "norm": [row("norm", "n", n=3, k=2.0, alpha=0.3, beta=0.5), row("norm", "m", n=5, k=1.0, alpha=0.3, groups=2, alpha_over_n=True)],
    "rnorm": [row("rnorm", "r", n=4, k=1.5, alpha=0.7, beta=0.5), row("rnorm", "s", n=3, alpha=0.2, alpha_over_area=False)],
    "contrast": [row("contrast", "c", kernel_size=5, sigma=1.5), row("contrast", "d", kernel_size=3)],
    "gn": [row("gn", "g", groups=2, eps=0.25)],
    "tanh": [row("tanh", "t", a=1.7159, b=2 / 3), row("abstanh", "u", a=0.5, b=3.0), row("tanh", "v")],
    "sigmoid": [row("sigmoid", "s"), row("scale", "f", factor=-0.3)],
    "dropout": [row("dropout", "d", p=0.3, scale="test"), row("dropout", "e", p=0.4, scale="train")],
    "pytorch": [row("bn", "b", momentum=0.3, eps=1e-3), row("bn", "r", statistics="running")],
    "caffe": [row("bn", "b", convention="caffe", momentum=0.99)],
    "tensorflow": [row("bn", "b", convention="tensorflow", momentum=0.997)],
    "conv-ceil": [row("conv", "c", out_channels=4, kernel_size=(3, 2), stride=(2, 3), ceil_mode=True, groups=2, bias=False)],
    "conv-same": [row("conv", "c", out_channels=4, kernel_size=(4, 3), stride=2, padding="same")],
    "conv-sides": [row("conv", "c", out_channels=3, kernel_size=3, padding=(0, 2, 1, 3))],
    "pool-ceil": [row("pool", "p", kernel_size=3, stride=2, ceil_mode=True, padding=1), row("pool", "q", kernel_size=2, ceil_mode=True)],
    "pool-sides": [row("pool", "p", kernel_size=3, padding=(1, 0, 2, 1)), row("pool", "q", kernel_size=(2, 1), padding="same")],
    "mean-ceil": [row("mean_pool", "p", kernel_size=3, stride=2, ceil_mode=True)],
    "mean-counts": [row("mean_pool", "p", kernel_size=3, stride=1, padding=1, count_padding=True)],
    "mean-counts-ceil": [row("mean_pool", "p", kernel_size=4, stride=3, padding=1, ceil_mode=True, count_padding=True)],
    "mean-sides": [row("mean_pool", "p", kernel_size=4, stride=3, padding=(2, 1, 0, 3))],
    "shortcut": [
        row("shortcut", "s", channels=9, stride=2),
        row("shortcut", "t", channels=12, zeros="around"),
        row("shortcut", "u", channels=12, stride=2),
    ],
    "groups": [row("flatten", "f"), row("linear", "l", out_features=6, groups=2), row("relu", "r"), row("linear", "m", out_features=4)],
    "gate": [branches("b", "product", (), (row("global_pool", "g"), row("linear", "l", out_features=4), row("sigmoid", "s")))],
    "sums": [branches("b", "sum", (), (row("relu", "r"),), (row("tanh", "t"),))],
    "empty-paths": [branches("b", "concat", (), ()), branches("c", "sum", (), ())],
    "deep": [
        row("relu", "q"),
        branches(
            "b",
            "concat",
            (conv("c", 2, 1), branches("d", "sum", (row("relu", "r"),), ())),
            (row("pool", "p", kernel_size=3, stride=1, padding=1),),
        ),
    ],
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_with_its_settings_and_is_computed_alike(name, tmp_path):
    shape = (4, 11, 9)
    net = with_values(name, tuple(LAYERS[name]), shape)
    write_onnx(tmp_path / "net.onnx", net)
    onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"), full_check=True)
    back, x = read_onnx(tmp_path / "net.onnx"), values((3, *shape), 1, np.float32)
    ours = run(net, x)
    agree(ours, by_runtime(tmp_path / "net.onnx", x, "images")[0], 2e-5)
    assert np.array_equal(ours, run(back, x))
    if name == "shortcut":  # a stride of 2 without new channels is a pooling
        return
    assert settled(built(back)) == settled(built(net))


def settled(net):
    """The settings of all layers except paddings: "same" and ceil mode come back as the padding that these images need.

    Numbers are float32, as in the file.
    """
    return [
        (
            type(leaf).__name__,
            leaf.name,
            {key: np.float32(value) if isinstance(value, float) else value for key, value in vars(leaf).items() if key in KEPT},
        )
        for leaf in net.leaves()
    ]


KEPT = (
    "n",
    "k",
    "alpha",
    "beta",
    "alpha_over_n",
    "groups",
    "eps",
    "_eps",
    "momentum",
    "convention",
    "statistics",
    "p",
    "scale",
    "a",
    "b",
    "factor",
    "kernel_size",
    "stride",
    "sigma",
    "count_padding",
    "out_channels",
    "out_features",
    "has_bias",
    "channels",
    "zeros",
)


def test_settings_of_the_training_that_onnx_does_not_have_come_back(tmp_path):
    """One step of training is the same, to the bit, for every convention of batch normalization and kind of dropout."""
    rows = (
        *LAYERS["caffe"],
        *(Row(each.kind, f"{each.name}2", each.settings) for each in LAYERS["pytorch"]),
        *LAYERS["dropout"],
        row("flatten", "f"),
    )
    net = with_values("bn", rows, (4, 5, 5))
    write_onnx(tmp_path / "net.onnx", net)
    back, x = read_onnx(tmp_path / "net.onnx"), values((3, 4, 5, 5), 2, np.float32)
    done = []
    for each in (net, back):
        made = built(each)
        done.append([made.forward(x, train=True), made.backward(values((3, 100), 3, np.float32)), *made.buffers.values()])
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(*done, strict=True))


def test_two_towers_are_written_as_one(tmp_path):
    rows, shape = small_rows("alexnet")
    net = with_values("alexnet", rows, shape)
    halves = Imported(net.name, net.source, rows, shape, split_state(net.arrays))
    for path, each in ((tmp_path / "one.onnx", net), (tmp_path / "two.onnx", halves)):
        write_onnx(path, each)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_a_softmax_texts_and_initial_values(tmp_path):
    rows, shape = small_rows("figure1")
    net = Imported("figure1", "a test", rows, shape, ends="probabilities", notes=("A note.",))
    write_onnx(tmp_path / "net.onnx", net, {"prepare": json.dumps({"mean": 120})})
    model, back = onnx.load(tmp_path / "net.onnx"), read_onnx(tmp_path / "net.onnx")
    assert model.graph.doc_string == "A note." and {each.key: each.value for each in model.metadata_props} == {"prepare": '{"mean": 120}'}
    x = values((2, *shape), 1, np.float32)
    agree(run(back, x), by_runtime(tmp_path / "net.onnx", x, "images")[0])
    assert back.ends == "probabilities" and back.name == "figure1"


def test_what_cannot_be_written_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    with refuses(ShapeError, "n of m must be odd for ONNX, whose windows of even size lie elsewhere, got 4"):
        write_onnx(path, with_values("even", (row("norm", "m", n=4),), (4, 5, 5)))
    net = with_values("conv", (conv("c", 2, 3),), (4, 5, 5))
    with refuses(CheckpointError, "array c.weight must have shape (2, 4, 3, 3), got (2, 4, 3, 2)"):
        write_onnx(path, Imported("net", "a test", net.rows, net.in_shape, {**net.arrays, "c.weight": net.arrays["c.weight"][..., :2]}))
    with refuses(CheckpointError, "array d.weight must be a parameter of the network"):
        write_onnx(path, Imported("net", "a test", net.rows, net.in_shape, {**net.arrays, "d.weight": np.ones(3)}))
    with refuses(ShapeError, "a network with a softmax must end with a vector, got (2, 5, 5)"):
        write_onnx(path, Imported("net", "a test", net.rows, net.in_shape, net.arrays, "probabilities"))
    with refuses(ShapeError, "the network must have rows and the shape of an image, got no shape"):
        write_onnx(path, Imported("net", "a test", net.rows, None, net.arrays))
    with refuses(ShapeError, "the kind of x must be one of abstanh, bn, contrast, conv"):
        write_onnx(path, Imported("net", "a test", (row("upsample", "x"),), (3, 4, 4)))
    assert not path.exists()

"""What is written is read again: the same arrays and the same outputs, to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from tests.contract import refuses, values
from tests.formats.caffe.samples import built, random_arrays
from tinyalex.errors import CheckpointError, ShapeError
from tinyalex.formats.caffe import CaffeNet, read_caffemodel, read_prototxt, write_caffemodel, write_prototxt
from tinyalex.formats.imported import Imported
from tinyalex.init import Constant, FanIn, Gaussian, Uniform
from tinyalex.models.later.rows import branches, build_net, flat, linear, narrow, row
from tinyalex.models.later.table import LATER
from tinyalex.models.rows import PYTORCH, Row, change, scaled
from tinyalex.models.variants import VARIANTS

NO_CAFFE = {  # nets that Caffe cannot compute, and why
    "inception-v4": "a1.mean must be a mean in which padding counts",
    "inception-resnet-v2": "5b.mean must be a mean in which padding counts",
    "jarrett": "norm1 must be of a kind that Caffe has",
}
LATER_NETS = ("zfnet", "densenet121", "squeezenet1.0", "vgg16-bn", "googlenet-heads", "googlenet-torchvision", "resnet18", "resnet50-v1",
              "preresnet18", "se-resnet50", "inception-v3", "resnet20", "ciresan-columns")  # fmt: skip


def later(name):
    net = LATER[name]
    return Imported(name, "table", narrow(net.rows(10), 1 / 8), (net.channels, net.size, net.size))


def variant(name):
    net = VARIANTS[name]
    rows = scaled(net.rows, 1 / 16)
    if name == "torchvision":  # the builder of rows with branches knows no name of a distribution
        inits = {"weight_init": Uniform(0.1), "bias_init": Uniform(0.1)}
        rows = change(rows, conv=inits, linear=inits)
    return Imported(f"alexnet-{name}", "table", rows, (3, net.input_size, net.input_size))


def both_ways(folder, net, **options):
    """The net with random arrays, and what comes back of it."""
    made = build_net(net.rows, net.in_shape, net.name)
    net = replace(net, arrays=random_arrays(made))
    write_prototxt(folder / "net.prototxt", net, **options)
    write_caffemodel(folder / "net.caffemodel", net)
    return net, read_prototxt(folder / "net.prototxt", folder / "net.caffemodel")


def assert_same(net, back):
    for name, array in net.arrays.items():
        if name in back.arrays or not name.startswith("aux"):
            np.testing.assert_array_equal(back.arrays[name], array, err_msg=name)
    x = 50 * values((1, *net.in_shape), 1, np.float32)
    np.testing.assert_array_equal(built(back).forward(x), built(net).forward(x))
    assert back.in_shape == net.in_shape


@pytest.mark.parametrize("name", VARIANTS)
def test_every_alexnet(tmp_path, name):
    net, back = both_ways(tmp_path, variant(name))
    assert_same(net, back)
    assert [(each.kind, each.name) for each in back.rows] == [(each.kind, each.name) for each in net.rows] and back.notes == ()


@pytest.mark.parametrize("name", LATER_NETS)
def test_later_nets(tmp_path, name):
    net, back = both_ways(tmp_path, later(name))
    assert_same(net, back)
    assert {each.name for each in flat(back.rows)} == {each.name for each in flat(net.rows) if not each.name.startswith("aux")}


@pytest.mark.parametrize("name", NO_CAFFE)
def test_nets_that_caffe_does_not_have(tmp_path, name):
    with refuses(CheckpointError, NO_CAFFE[name]):
        both_ways(tmp_path, later(name))


def test_the_net_for_training(tmp_path):
    net = later("googlenet-heads")
    more = {"heads": (0.3, 0.2), "multipliers": {"conv1.bias": (2.0, 0.0)}, "data": {"mean_value": (104.0, 117.0, 123.0)}}
    given = CaffeNet(**{**vars(net), **more})
    net, _ = both_ways(tmp_path, given, phase="train_val", batch_size=32)
    back = read_prototxt(tmp_path / "net.prototxt", tmp_path / "net.caffemodel", phase="TRAIN", heads=True)
    assert back.heads == (0.3, 0.2) and back.multipliers == {"conv1.bias": (2.0, 0.0)} and back.data["batch_size"] == 32
    assert back.data["mean_value"] == (104.0, 117.0, 123.0) and back.data["mirror"] is True
    assert sorted(back.arrays) == sorted(net.arrays)
    x = values((2, 3, 224, 224), 1, np.float32)
    for here, there in zip(built(net).forward(x, train=True), built(back).forward(x, train=True), strict=True):
        assert here.shape == there.shape
    np.testing.assert_array_equal(built(back).forward(x), built(net).forward(x))
    test = read_prototxt(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")
    assert test.heads == () and test.data["mirror"] is False
    assert read_caffemodel(tmp_path / "net.caffemodel", output=test.rows[-1].name).in_shape == (3, 224, 224)


def test_a_scale_alone(tmp_path):
    net = Imported("net", "rows", (row("bn", "a", eps=1e-30, statistics="running"),), (3, 9, 8))
    arrays = random_arrays(build_net(net.rows, net.in_shape, net.name))
    arrays |= {"a.running_mean": np.zeros(3, np.float32), "a.running_var": np.ones(3, np.float32)}
    net = replace(net, arrays=arrays)
    write_prototxt(tmp_path / "p", net)
    write_caffemodel(tmp_path / "m", net)
    assert "BatchNorm" not in (tmp_path / "p").read_text()
    assert_same(net, read_prototxt(tmp_path / "p", tmp_path / "m"))
    with refuses(CheckpointError, "a must be of mean 0 and variance 1, as its eps of 1e-30 says that it only scales, got others"):
        write_caffemodel(tmp_path / "m", replace(net, arrays=arrays | {"a.running_mean": np.ones(3, np.float32)}))


def test_bgr_and_probabilities(tmp_path):
    net = later("squeezenet1.0")
    net = replace(net, arrays=random_arrays(build_net(net.rows, net.in_shape, net.name)), ends="probabilities")
    write_caffemodel(tmp_path / "m", net, bgr=True)
    write_prototxt(tmp_path / "p", net)
    back = read_prototxt(tmp_path / "p", tmp_path / "m", rgb=True)
    assert back.ends == "probabilities" and 'type: "Softmax"' in (tmp_path / "p").read_text()
    assert_same(net, back)
    assert not np.array_equal(read_prototxt(tmp_path / "p", tmp_path / "m").arrays["conv1.weight"], net.arrays["conv1.weight"])


def test_fillers(tmp_path):
    inits = {"weight_init": Gaussian(0.02), "bias_init": Constant(0.5)}
    rows = (
        row("conv", "a", out_channels=4, kernel_size=3, **inits),
        row("conv", "b", out_channels=4, kernel_size=3, weight_init=FanIn(2**0.5), bias_init=Uniform(0.25)),
        row("conv", "c", out_channels=4, kernel_size=3, weight_init=FanIn(1.0), bias_init=PYTORCH),
        row("conv", "d", out_channels=4, kernel_size=3, weight_init=lambda shape, rng: np.zeros(shape)),
    )
    write_prototxt(tmp_path / "p", Imported("net", "rows", rows, (3, 16, 16)))
    a, b, c, d = read_prototxt(tmp_path / "p").rows
    assert (a["weight_init"], a["bias_init"]) == (Gaussian(0.02), Constant(0.5))
    assert (b["weight_init"], b["bias_init"]) == (FanIn(2**0.5), Uniform(0.25))
    assert (c["weight_init"], c["bias_init"]) == (Gaussian(1 / 6), Uniform(1 / 6)) and d["weight_init"] == Constant(0.0)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((row("gn", "a"),), "a must be of a kind that Caffe has"),
        ((row("linear", "a", out_features=2, groups=2),), "a must be one group, got 2"),
        ((row("norm", "a", n=4),), "a must be over an odd number of channels, got 4"),
        ((row("rnorm", "a", k=2.0),), "a must be over an odd window with k = 1, got n 3 and k 2"),
        ((row("pool", "a", kernel_size=3, padding=(2, 0, 2, 0), stride=1),), "a must be pooling with the same padding on both sides"),
        ((row("mean_pool", "a", kernel_size=3, padding=1),), "a must be a mean in which padding counts"),
        ((row("mean_pool", "a", kernel_size=3, padding=(0, 1, 0, 1), count_padding=True),),
         "a must be a mean with the same padding on both sides"),
        ((row("conv", "a", out_channels=2, kernel_size=3, padding=(2, 0, 2, 0)),),
         "a must be a convolution with the same padding on both sides"),
        ((row("conv", "a", out_channels=2, kernel_size=3, dilation=2),),
         "a must be without settings that Caffe's conv does not have, got dilation"),
        ((row("flatten", "f"), row("norm", "a")), "a must be behind images (C, H, W), got a vector (192,)"),
    ],
)  # fmt: skip
def test_rows_that_caffe_does_not_have(tmp_path, rows, said):
    with refuses(CheckpointError, said):
        write_prototxt(tmp_path / "p", Imported("net", "rows", rows, (3, 8, 8)))
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    "rows",
    [
        (row("conv", "a", out_channels=2, kernel_size=3, padding="same", stride=2),),
        (row("conv", "a", out_channels=2, kernel_size=(3, 2), padding=(1, 2, 0, 3), stride=(2, 3)),),
        (row("conv", "a", out_channels=2, kernel_size=3, stride=2, ceil_mode=True, bias=False),),
        (row("pool", "a", kernel_size=(3, 2), stride=(2, 1), padding=(1, 1, 0, 0)),),
        (row("pool", "a", kernel_size=3, stride=2, padding=(1, 2, 1, 2)),),
        (row("pool", "a", kernel_size=2),),
        (row("mean_pool", "a", kernel_size=3, stride=2, padding=1, count_padding=True, ceil_mode=True),),
        (row("mean_pool", "a", kernel_size=3, stride=2, ceil_mode=True),),
        (row("bn", "a", eps=1e-3, momentum=0.2), row("bn", "b", convention="caffe"), row("bn", "c", convention="tensorflow")),
        (row("bn", "a", statistics="running"),),
        (row("norm", "a", groups=3, alpha=0.1), row("norm", "b", n=3, alpha_over_n=True)),
        (row("rnorm", "a", alpha=0.7, alpha_over_area=False),),
        (row("tanh", "a", a=1.7, b=0.6), row("abstanh", "b"), row("sigmoid", "c"), row("scale", "d", factor=0.3)),
        (row("shortcut", "a", channels=6, stride=2), row("shortcut", "b", channels=9, zeros="around")),
        (row("shortcut", "a", channels=3, stride=3, zeros="around"),),
        (row("dropout", "a", p=0.3), row("dropout", "b", p=0.3, scale="train")),
        (branches("a", "sum", (row("relu", "r"),), (), ()),),
        (branches("a", "product", (), (row("global_pool", "p"), row("sigmoid", "s"))),),
        (branches("a", "concat", (row("global_pool", "p"),), (row("flatten", "f"), linear("l", 2))),),
        (branches("a", "concat", (row("global_pool", "p"),), (row("global_pool", "q"),)), linear("l", 2)),
    ],
)  # fmt: skip
def test_rows(tmp_path, rows):
    assert_same(*both_ways(tmp_path, Imported("net", "rows", rows, (3, 9, 8))))


def test_what_is_asked_for(tmp_path):
    net = later("squeezenet1.0")
    with refuses(CheckpointError, "the array conv1.weight must be there with the shape (12, 3, 7, 7), got none; import the weights too"):
        write_caffemodel(tmp_path / "m", net)
    with refuses(CheckpointError, "the net must have rows and the shape of an image, got arrays alone"):
        write_prototxt(tmp_path / "p", Imported("net", "file", (), None, {"a.0": np.zeros(1)}))
    with refuses(ShapeError, "phase must be deploy or train_val, got 'test'"):
        write_prototxt(tmp_path / "p", net, phase="test")
    with refuses(ShapeError, "batch_size must be an integer of at least 1, got 0"):
        write_prototxt(tmp_path / "p", net, batch_size=0)
    with refuses(ShapeError, "names of rows must be unique"):
        write_prototxt(tmp_path / "p", Imported("net", "rows", (Row("relu", "a"), Row("relu", "a")), (3, 8, 8)))


def test_names_that_caffe_uses_too(tmp_path):
    names = ("data", "label", "loss", "a/statistics", "a/scale", "accuracy")
    rows = (row("bn", "a"), *(Row("relu", name) for name in names), row("flatten", "prob"), row("linear", "data.2", out_features=3))
    net, back = both_ways(tmp_path, Imported("net", "rows", rows, (3, 9, 9)))
    assert_same(net, back)
    assert [each.name for each in back.rows] == [each.name for each in rows]
    _, back = both_ways(tmp_path, net, phase="train_val")
    assert [each.name for each in back.rows] == [each.name for each in rows]


def test_a_convolution_that_only_looks_like_padding_is_refused(tmp_path):
    rows = (row("conv", "a", out_channels=2, kernel_size=3, padding="same", stride=2),)
    _, back = both_ways(tmp_path, Imported("net", "rows", rows, (3, 8, 8)))
    assert [each.name for each in back.rows] == ["a"] and back.rows[0]["padding"] == (0, 1, 0, 1)
    data = (tmp_path / "net.caffemodel").read_bytes()
    one = np.zeros((3, 1, 2, 2), np.float32)
    one[:, :, -1, -1] = 1
    assert data.count(one.tobytes()) == 1
    (tmp_path / "net.caffemodel").write_bytes(data.replace(one.tobytes(), one[:, :, ::-1].tobytes()))
    with refuses(CheckpointError, "the weight of 'a/pad' must be 1 where it copies and 0 elsewhere, as its name says"):
        read_prototxt(tmp_path / "net.prototxt", tmp_path / "net.caffemodel")

"""AlexNet: its counts, the paper's ablations, other sizes, and what it refuses."""

import math

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.errors import show
from tinyalex.gradcheck import check_directions, check_network
from tinyalex.models import alexnet, as_built
from tinyalex.models.halves import links
from tinyalex.models.rows import parameters, weight_shapes, weighted

SMALL = {"width": 1 / 16, "num_classes": 10}
EVERY_LINK = ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7")


def shapes_of_weights(*variant, **options):
    built = as_built(*variant, **options)
    return weight_shapes(built.rows, (3, built.input_size, built.input_size))


def number(**options):
    """The parameters of a net, counted without building it."""
    built = as_built(**options)
    return parameters(built.rows, (3, built.input_size, built.input_size))


def links_of(**options):
    return set(links(as_built(**options).rows))


def widths(**options):
    return {row.name: row.width for row in weighted(as_built(**options).rows)}


def sizes(net):
    return [net.shapes[i][1] for i, layer in enumerate(net.layers) if isinstance(layer, (ta.Conv2d, ta.MaxPool2d))]


def test_parameters_layer_by_layer():
    shapes = shapes_of_weights()
    assert {layer: int(np.prod(shape)) + shape[0] for layer, shape in shapes.items()} == {
        "conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936, "conv5": 442_624,
        "fc6": 37_752_832, "fc7": 16_781_312, "fc8": 4_097_000,
    }  # fmt: skip


def test_torchvisions_parameters_layer_by_layer():
    shapes = shapes_of_weights("torchvision")
    assert [int(np.prod(shapes[f"conv{i}"])) + shapes[f"conv{i}"][0] for i in range(1, 6)] == [23_296, 307_392, 663_936, 884_992, 590_080]


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 60_965_224),
        ({"towers": 2}, 60_965_224),
        ({"variant": "torchvision"}, 61_100_840),
        ({"exchange": EVERY_LINK}, 62_378_344),
        ({"half": True}, 59_798_312),
        ({"variant": "authors", "half": True}, 59_798_312),
        ({"sixth": True}, 61_555_304),
        ({"sixth": True, "towers": 2}, 61_555_304),
        ({"exchange": (), "widths": {"conv2": 320, "fc6": 8192}}, 60_714_408),
        ({"exchange": (), "widths": {"conv2": 320, "fc6": 8192}, "towers": 2}, 60_714_408),
        ({"num_classes": 10_184}, 60_965_224 + 9_184 * 4097),
        ({"num_classes": 22_000, "sixth": True}, 61_555_304 + 21_000 * 4097),
        ({"lrn": False}, 60_965_224),
        ({"dropout": False}, 60_965_224),
        ({"overlapping": False}, 60_965_224),
        ({"exchange": ("conv4", "fc6", "fc7")}, 60_965_224 - 384 * 128 * 9 + 384 * 192 * 9),
    ],
    ids=str,
)
def test_parameters_of_every_form(options, parameters):
    assert number(**options) == parameters


def test_rows_count_what_is_built():
    for options in ({}, {"half": True}, {"sixth": True}, {"exchange": ()}):
        net = alexnet(**SMALL, **options)
        assert sum(weight.size for weight in net.params.values()) == number(**SMALL, **options)


@pytest.mark.slow
def test_whole_net_has_60_965_224_parameters_in_arrays():
    assert sum(weight.size for weight in alexnet().params.values()) == 60_965_224


@pytest.mark.parametrize(
    ("variant", "size"), [("paper", 224), ("paper", 227), ("authors", 224), ("authors", 227), ("caffe", 227), ("torchvision", 224)]
)
def test_sizes_that_give_the_papers_55(variant, size):
    assert sizes(alexnet(variant, input_size=size, **SMALL)) == [55, 27, 27, 13, 13, 13, 13, 6]


@pytest.mark.parametrize(
    ("variant", "size", "expected"),
    [
        ("caffe", 224, [54, 27, 27, 13, 13, 13, 13, 6]),
        ("paper", 64, [15, 7, 7, 3, 3, 3, 3, 1]),
        ("torchvision", 256, [63, 31, 31, 15, 15, 15, 15, 7]),
    ],
)
def test_other_sizes_build_and_run(variant, size, expected):
    net = alexnet(variant, input_size=size, **SMALL)
    assert sizes(net) == expected
    assert net.forward(values((1, 3, size, size), dtype=np.float32)).shape == (1, 10)


def test_224_pixels_are_227_with_zeros_on_the_right_and_at_the_bottom():
    x = values((2, 3, 224, 224), dtype=np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 3), (0, 3)))
    a, b = (alexnet(input_size=size, dtype=np.float64, **SMALL).forward(images) for size, images in ((224, x), (227, padded)))
    assert np.array_equal(a, b)


def test_non_overlapping_pooling_is_that_of_the_authors():
    net = alexnet(overlapping=False, **SMALL)
    assert sizes(net) == [55, 28, 26, 13, 11, 11, 11, 6]
    assert all(net[name].kernel_size == net[name].stride == (2, 2) for name in ("pool1", "pool2", "pool5"))


def names(net):
    return [leaf.name for leaf in net.leaves()]


def test_ablations_leave_out_only_their_layers():
    whole = names(alexnet("authors", **SMALL))
    assert set(whole) - set(names(alexnet("authors", lrn=False, **SMALL))) == {"norm1", "norm2", "rnorm2"}
    assert set(whole) - set(names(alexnet("authors", dropout=False, **SMALL))) == {"drop6", "drop7"}
    assert set(whole) - set(names(alexnet("authors", remove=("conv2",), **SMALL))) == {"conv2", "relu2", "norm2", "rnorm2"}
    assert set(whole) - set(names(alexnet("authors", remove=("fc6", "fc7"), **SMALL))) == {"fc6", "relu6", "drop6", "fc7", "relu7", "drop7"}
    assert set(names(alexnet(sixth=True, **SMALL))) - set(names(alexnet(**SMALL))) == {"conv6", "relu_conv6"}


def step(net, x, labels, lr=0.01):
    head, sgd = ta.SoftmaxCrossEntropy(device=net.device, dtype=net.dtype), ta.SGD(net, lr=lr)
    loss = head.forward(net.forward(net.device.asarray(x), train=True), labels, train=True)
    net.backward(head.backward())
    sgd.step()
    return float(loss)


@pytest.mark.parametrize("towers", [1, 2])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"])
def test_any_one_layer_may_be_removed(layer, towers):
    net = alexnet(towers=towers, remove=(layer,), input_size=67, **SMALL)
    assert not [name for name in names(net) if name.rstrip("ab") == layer]
    assert np.isfinite(step(net, values((2, 3, 67, 67), dtype=np.float32), np.array([1, 2])))


def test_link_of_a_removed_layer_moves_to_the_next():
    assert links_of(remove=("conv3",)) == {"conv4", "fc6", "fc7"}
    assert links_of(remove=("conv3", "conv4", "conv5")) == {"fc6", "fc7"}
    assert links_of(remove=("fc7",)) == {"conv3", "fc6"}
    assert links_of(remove=("conv1", "conv2")) == {"fc6", "fc7"}  # conv3 reads the image, which both have


def test_factor_is_for_given_widths_too():
    assert widths(widths={"conv2": 320}, width=1 / 8) == widths(width=1 / 8) | {"conv2": 40}


def test_numpy_integers_are_settings_too():
    built = as_built(towers=np.int64(2), num_classes=np.int32(10), input_size=np.int16(67), widths={"conv1": np.int64(16)})
    numbers = built.rows[-1].width, built.input_size, built.rows[0].width
    assert numbers == (10, 67, 16) and [type(number) for number in numbers] == [int] * 3
    assert "conv1a" in names(alexnet(towers=np.int64(2), **SMALL))


def test_half_size_net_has_no_groups():
    net = alexnet(half=True, width=1 / 8, num_classes=10)
    assert [net[f"conv{i}"].out_channels for i in range(1, 6)] == [6, 16, 24, 24, 32]
    assert {leaf.groups for leaf in net.leaves() if hasattr(leaf, "groups")} == {1}


def test_input_gradient_is_left_out_unless_asked_for():
    x = values((1, 3, 67, 67), dtype=np.float32)
    for towers in (1, 2):
        for wanted in (False, True):
            net = alexnet(towers=towers, input_size=67, input_gradient=wanted, **SMALL)
            dx = net.backward(net.forward(x, train=True))
            assert (dx is not None) == wanted


def test_seed_decides_about_weights_and_masks():
    x = values((4, 3, 67, 67), dtype=np.float32)
    outs = [alexnet(input_size=67, seed=seed, **SMALL).forward(x, train=True) for seed in (0, 0, 1)]
    assert np.array_equal(outs[0], outs[1]) and not np.array_equal(outs[0], outs[2])
    assert alexnet(seed=3, **SMALL)["drop6"].seed == 3


@pytest.mark.parametrize("variant", ["paper", "authors", "caffenet", "torchvision"])
def test_gradients_are_right_along_random_directions(variant):
    net = alexnet(variant, input_size=67, input_gradient=True, dtype=np.float64, **SMALL)
    for name, weight in net.params.items():
        if name.endswith("weight"):  # signals of one size all through, so that no gradient is lost in rounding
            weight[...] = ta.FanIn(2**0.5)(weight.shape, rng(1))
    x = values((2, 3, 67, 67))
    checks = check_directions(net, ta.SoftmaxCrossEntropy(dtype=np.float64), x, np.array([3, 7]))
    assert all(check.passed for check in checks), checks


def test_bad_options_raise():
    def refused(text, error=ta.ShapeError, **options):
        with refuses(error, f"alexnet: {text}"):
            alexnet(**SMALL | options)

    for flag in ("half", "lrn", "overlapping", "dropout", "sixth"):
        refused(f"{flag} must be True or False, got 'no'", **{flag: "no"})

    refused("towers must be 1 or 2, got 3", towers=3)
    refused("towers must be 1 or 2, got True", towers=True)
    refused("towers must be 1 for the variant 'caffe', which is for one device, got 2", towers=2, variant="caffe")
    refused("towers must be 1 for the half-size net, which is for one device, got 2", towers=2, half=True)
    refused("exchange must be None for the half-size net, which has no groups, got ()", exchange=(), half=True)
    linkable = "conv2, conv3, conv4, conv5, fc6, fc7"
    refused(f"exchange must hold only names of {linkable}, got 'conv1'", exchange=("conv1",))
    refused(f"exchange must hold only names of {linkable}, got 'fc8'", exchange=("conv3", "fc8"))
    refused("exchange must be a sequence of layer names, got 'conv3'", exchange="conv3")
    refused("exchange must hold only names of conv2, conv4, conv5, fc6, fc7, got 'conv3'", exchange=("conv3",), remove=("conv3",))
    refused("remove must hold only names of conv1, conv2, conv3, conv4, conv5, fc6, fc7, got 'fc8'", remove=("fc8",))
    refused("remove must hold only names of conv1, conv2, conv3, conv4, conv5, fc6, fc7, got 'conv6'", remove=("conv6",))
    refused("remove must be a sequence of layer names, got 'conv3'", remove="conv3")
    every = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    refused("remove must leave a layer that two towers can share, got ('conv1',", remove=every, towers=2)
    refused("input_size must be at least 52, got 32 (pool5: input height with padding must be at least 3, the kernel's", input_size=32)
    refused("input_size must be at least 55, got 8 (conv1: input height", input_size=8, variant="caffe")
    refused("input_size must be an integer of at least 1, got 0", input_size=0)
    refused("input_size must be an integer of at least 1, got 224.0", input_size=224.0)
    refused("num_classes must be an integer of at least 2, got 1", num_classes=1)
    most = "input_size, num_classes and widths must give at most 4,294,967,296 parameters, got "
    for slip in ({"input_size": 10**9}, {"num_classes": 10**12}, {"width": 1e6}):
        refused(most, **slip)
    huge = "an integer of 1329 bits"
    refused(most + f"an integer of 1337 bits for input_size 224 and num_classes {huge}", num_classes=10**400)
    refused(most + f"an integer of 2660 bits for input_size {huge} and num_classes 10", input_size=10**400)
    refused("seed must be an integer of at least 0, got -1", seed=-1)
    for width in (0, 1e308, math.inf, math.nan):
        refused(f"width must be a number above 0 and at most 1,000,000, got {width}", width=width)
    refused("the width of conv2 must be even, got 7", widths={"conv2": 7})
    refused("the width of conv2 must be at most 4,294,967,296, got an integer of 1329 bits", widths={"conv2": 10**400})
    refused("widths must be a dict of even numbers by layer, such as {'conv2': 320}, got 5", widths=5)
    for value in (5, math.nan, True, [5], np.array(["conv3"])):
        refused(f"exchange must be a sequence of layer names, got {show(value)}", exchange=value)
    for value in (None, 5, math.nan):
        refused(f"remove must be a sequence of layer names, got {value}", remove=value)
    own = "variant, towers, exchange, num_classes, seed, devices, input_gradient, dtype"
    options = "input_size, remove, half, lrn, overlapping, dropout, sixth, widths, width, weight_std, hidden_bias"
    refused(f"settings must be among {own}, {options}, got depth; did you mean width?", depth=3)
    refused(f"settings must be among {own}, {options}, got num_class; did you mean num_classes?", num_class=3)
    layers = "conv1, conv2, conv3, conv4, conv5, fc6, fc7"
    refused(f"remove must hold only names of {layers}, got 'conv_3'; did you mean conv3?", remove=("conv_3",))
    for value in (5, math.nan, {}):
        refused(f"devices must be a device or one a tower, such as 'cpu:0,cpu:1', got {value}", ta.DeviceError, devices=value)
    refused("widths must hold only names of conv1, conv2, conv3, conv4, conv5, fc6, fc7, got 'fc8'", widths={"fc8": 10})
    refused("devices must be of one kind, got cpu:0 and sim:0", ta.DeviceError, towers=2, devices="cpu:0,sim:0")
    refused("devices must be two, one for each tower, got", ta.DeviceError, towers=2, devices="cpu:0,cpu:1,cpu:2")
    refused("devices must be one for one tower, got 2", ta.DeviceError, devices="cpu:0,cpu:1")


def test_least_size_is_the_least():
    for variant, least in (("paper", 52), ("caffe", 55), ("torchvision", 63)):
        assert alexnet(variant, input_size=least, **SMALL).shapes[-1] == (10,)
        with pytest.raises(ta.ShapeError):
            alexnet(variant, input_size=least - 1, **SMALL)


@pytest.mark.slow
def test_gradients_of_the_whole_net_are_right():
    """60,965,224 parameters: each tensor along a random direction, then single elements, the largest gradient's among them."""
    net = alexnet(dtype=np.float64, input_gradient=True)
    x, labels, head = 60 * values((1, 3, 224, 224)), np.array([3]), ta.SoftmaxCrossEntropy(dtype=np.float64)
    # Along conv1's direction of seed 0 the difference is off by 1.4e-6, as it is where a unit passes 0 within the step; with seeds 1, 2
    # and 3 the worst of all tensors is 3.8e-7, 2.2e-7 and 1.3e-7.
    for checks in (check_directions(net, head, x, labels, seed=1), check_network(net, head, x, labels, elements=2)):
        assert len(checks) == 33 and all(check.passed for check in checks), checks

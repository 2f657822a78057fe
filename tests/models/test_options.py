"""Nets with options, told apart by the table of the variants."""

from __future__ import annotations

import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.models import VARIANTS, differences
from tinyalex.models.options import alexnet, as_built
from tinyalex.models.rows import weighted


@pytest.mark.parametrize("name", VARIANTS)
def test_without_options_it_is_the_variant(name):
    assert as_built(name) == VARIANTS[name]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"towers": 2}, []),
        ({"num_classes": 10}, ["classes: 10 (paper: 1000)"]),
        ({"input_size": 227}, ["input size: 227 (paper: 224)"]),
        ({"exchange": ()}, ["layers after conv1 that see both halves: none (paper: conv3, fc6, fc7)"]),
        ({"sixth": True}, ["layers after conv1 that see both halves: conv3, conv6, fc6, fc7 (paper: conv3, fc6, fc7)",
                           "filters of a sixth convolution: 256 (paper: none)"]),
        ({"widths": {"conv2": 320, "fc6": 8192}}, ["filters: conv2 320 (paper: conv2 256)",
                                                   "units of fc6 and fc7: 8192, 4096 (paper: 4096, 4096)"]),
        ({"overlapping": False}, ["padding of conv2 to conv5: 1, 0, 1, 1 (paper: 2, 1, 1, 1)", "kernel size of pooling: 2 (paper: 3)"]),
        ({"dropout": False}, ["place of dropout: nowhere (paper: after the ReLU of fc6 and fc7)",
                              "dropout scales by 1 - p while: never (paper: testing)"]),
        ({"lrn": False}, ["after conv1: relu, pool (paper: relu, norm, pool)", "after conv2: relu, pool (paper: relu, norm, pool)",
                          "k of response normalization: none (paper: 2.0)",
                          "alpha divided by n in response normalization: none (paper: no)",
                          "groups that response normalization stays in: none (paper: 2)"]),
        ({"half": True}, ["filters: conv1 48, conv2 128, conv3 192, conv4 192 (paper: conv1 96, conv2 256, conv3 384, conv4 384)",
                          "layers after conv1 that see both halves: conv2, conv3, conv4, conv5, fc6, fc7 (paper: conv3, fc6, fc7)",
                          "groups that response normalization stays in: 1 (paper: 2)"]),
        ({"weight_std": 0.02, "hidden_bias": 0.5},
         ["standard deviation of the initial weights: conv1 0.02, conv2 0.02, conv3 0.02, conv4 0.02, conv5 0.02, fc6 0.02, fc7 0.02, "
          "fc8 0.02 (paper: conv1 0.01, conv2 0.01, conv3 0.01, conv4 0.01, conv5 0.01, fc6 0.01, fc7 0.01, fc8 0.01)",
          "initial biases: conv2 0.5, conv4 0.5, conv5 0.5, fc6 0.5, fc7 0.5 (paper: conv2 1, conv4 1, conv5 1, fc6 1, fc7 1)"]),
        ({"remove": ("conv5",)}, ["after conv5: pool (paper: relu, pool)", "layers removed: conv5 (paper: none)"]),
    ],
    ids=str,
)  # fmt: skip
def test_options_of_the_papers_net(settings, expected):
    assert differences(as_built("paper", **settings)) == expected


def test_initial_weights_by_fan_in_keep_the_variance_and_bad_ones_are_refused():
    net = alexnet(width=1 / 8, num_classes=10, weight_std="fan-in", hidden_bias=0)
    for name, weight in net.params.items():
        if name.endswith("weight"):
            fan_in = weight[0].size
            assert abs(weight.std() * (fan_in / 2) ** 0.5 - 1) < 0.05, name
        else:
            assert not weight.any()
    for std in (0, -1, "he", True):
        with refuses(ta.ShapeError, 'alexnet: weight_std must be a number above 0, or "fan-in"'):
            as_built(weight_std=std)
    with refuses(ta.ShapeError, "alexnet: hidden_bias must be a finite number, got nan"):
        as_built(hidden_bias=float("nan"))


def test_options_overrule_what_the_variant_had():
    assert not any("within a channel" in line for line in differences(as_built("authors", lrn=False)))
    assert not any("both halves" in line for line in differences(as_built("torchvision", exchange=("conv3", "fc6", "fc7"))))
    without = differences(as_built("authors", remove=("conv3", "conv4", "conv5")))
    assert not any("standard deviation" in line for line in without) and "layers removed: conv3, conv4, conv5 (paper: none)" in without
    without = differences(as_built("authors", remove=("conv3",)))
    assert any(line.startswith("standard deviation of the initial weights: conv4 0.03, conv5 0.03 (") for line in without)


def test_sixth_convolution_starts_as_conv5_does():
    for variant in ("paper", "authors", "torchvision"):
        rows = {row.name: row for row in as_built(variant, sixth=True).rows}
        for key in ("weight_init", "bias_init", "out_channels", "padding"):
            assert rows["conv6"][key] == rows["conv5"][key]
        assert rows["conv6"]["groups"] == 1


def test_bad_option_raises():
    with refuses(ta.ShapeError, "alexnet: remove must hold only names of conv1, "):
        as_built(remove=("fc8",))


def test_what_two_towers_cannot_share_is_no_trouble_for_one():
    every = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    assert [row.name for row in as_built(remove=every).rows if row.weighted] == ["fc8"]
    with refuses(ta.ShapeError, "alexnet: remove must leave a layer that two towers can share, got ('conv1', 'conv2'"):
        as_built(remove=every, towers=2)
    assert as_built(remove=every[1:], towers=2).rows[0].name == "conv1"


@pytest.mark.parametrize("layer", ["conv1", "fc7"])
def test_every_layer_but_the_last_may_have_another_width(layer):
    rows = {row.name: row for row in as_built(widths={layer: 100}).rows}
    assert rows[layer].width == 100
    with refuses(ta.ShapeError, "alexnet: widths must hold only names of conv1, conv2, conv3, conv4, conv5, fc6, fc7, got 'fc8'"):
        as_built(widths={"fc8": 100})


def test_sixth_convolution_stands_on_the_last_pooling_and_has_its_relu_behind_it():
    order = [row.name for row in as_built(sixth=True).rows]
    assert order[order.index("pool5") : order.index("fc6")] == ["pool5", "conv6", "relu_conv6", "flatten5"]
    order = [row.name for row in as_built(sixth=True, remove=("conv6",)).rows]
    assert order[order.index("pool5") : order.index("fc6")] == ["pool5", "flatten5"]


def test_two_filters_are_the_fewest_and_the_parameters_of_an_rgb_image_are_counted(monkeypatch):
    assert as_built(widths={"conv1": 2}).rows[0].width == 2
    with refuses(ta.ShapeError, "alexnet: the width of conv1 must be an integer of at least 2, got 0"):
        as_built(widths={"conv1": 0})
    monkeypatch.setattr("tinyalex.models.options.MOST_PARAMETERS", 60_965_224)  # the paper's net
    assert as_built() == VARIANTS["paper"]
    with refuses(ta.ShapeError, "must give at most 60,965,224 parameters, got 60,969,321 for input_size 224 and num_classes 1001"):
        as_built(num_classes=1001)


def test_width_of_a_layer_may_be_all_parameters_but_the_net_may_not(monkeypatch):
    monkeypatch.setattr("tinyalex.models.options.MOST_PARAMETERS", 1000)
    with refuses(ta.ShapeError, "alexnet: input_size, num_classes and widths must give at most 1,000 parameters"):
        as_built(widths={"conv1": 1000})
    with refuses(ta.ShapeError, "alexnet: the width of conv1 must be at most 1,000, got 1002"):
        as_built(widths={"conv1": 1002})


@pytest.mark.parametrize("width", [0.5, 1, 2, 3])
def test_width_is_a_factor_of_all_layers_but_the_last(width):
    found, paper = ([row.width for row in weighted(rows)] for rows in (as_built(width=width).rows, VARIANTS["paper"].rows))
    assert found == [width * k for k in paper[:-1]] + paper[-1:]


def test_towers_are_one_or_two_and_one_where_the_net_is_for_one_device():
    with refuses(ta.ShapeError, "alexnet: towers must be "):
        as_built(towers=3)
    with refuses(ta.ShapeError, "alexnet: towers must be 1 for the half-size net, which is for one device, got 2"):
        as_built(half=True, towers=2)
    with refuses(ta.ShapeError, "alexnet: towers must be 1 for the variant 'torchvision', which is for one device, got 2"):
        as_built("torchvision", towers=2)

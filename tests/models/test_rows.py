"""Rows, their edits, and the layers that are made of them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.devices.dry import DryDevice
from tinyalex.layers.merge import Merge
from tinyalex.models import build, rows as edits, rows_of
from tinyalex.models.alexnet import PAPER
from tinyalex.models.build import build_rows, places_of
from tinyalex.models.defaults import DEFAULTS
from tinyalex.models.halves import half, links
from tinyalex.models.later.rows import KINDS, build_net, each_layer, flat
from tinyalex.models.registry import GROUPS
from tinyalex.models.rows import Row, after, change, conv, flatten, linear, names, pool, relu, swap, walk, weighted
from tinyalex.models.rows_json import settings_of
from tinyalex.models.rows_of_net import rows_of_net

NET = (conv("conv1", 6, 3), relu("relu1"), pool("pool1", 2), flatten("flat"), linear("fc", 5))


def test_rows_without_a_seed_are_built_with_seed_0():
    default, zero, one = (build_rows(NET, (3, 6, 6), "net", [ta.CpuDevice()], **seed) for seed in ({}, {"seed": 0}, {"seed": 1}))
    assert np.array_equal(default["fc"].weight, zero["fc"].weight) and not np.array_equal(default["fc"].weight, one["fc"].weight)


def test_the_papers_net_has_23_rows():
    assert len(PAPER) == 23 == len({row.name for row in PAPER})


def test_edits_give_other_rows_and_leave_the_old_ones():
    old = [str(row) for row in NET]
    assert names(after(NET, "relu1", relu("more"))) == ["conv1", "relu1", "more", "pool1", "flat", "fc"]
    assert names(swap(NET, "relu1", "pool1")) == ["conv1", "pool1", "relu1", "flat", "fc"]
    assert names(edits.without(NET, "relu", "pool1")) == ["conv1", "flat", "fc"]
    changed = change(NET, conv={"padding": 1}, conv1={"width": 8}, fc={"width": 4})
    assert (changed[0]["padding"], changed[0].width, changed[0]["out_channels"], changed[-1].width) == (1, 8, 8, 4)
    assert [str(row) for row in NET] == old


def test_factor_rounds_to_even_widths_of_at_least_2_and_leaves_the_last_layer():
    rows = (conv("a", 6, 3), conv("b", 10, 3), linear("c", 5))
    for factor, expected in ((0.01, [2, 2, 5]), (0.5, [4, 4, 5]), (0.8, [4, 8, 5]), (2, [12, 20, 5])):
        assert [row.width for row in edits.scaled(rows, factor)] == expected


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda: change(NET, conv9={"padding": 1}), "rows: what is changed must be a row or a kind of row, got 'conv9'"),
        (lambda: change(NET, conv1={"stirde": 1}), "conv1: a setting must be one of out_channels, kernel_size, stride, padding, groups"),
        (lambda: change(NET, conv1={"stirde": 1}), "got 'stirde'; did you mean stride?"),
        (lambda: change(NET, con1={"stride": 1}), "got 'con1'; did you mean conv1?"),
        (lambda: swap(NET, "conv1", "pol1"), "got 'pol1'; did you mean pool1?"),
        (lambda: after(NET, "pool9", relu("more")), "rows: a row must be one of conv1, relu1, pool1, flat, fc, got 'pool9'"),
        (lambda: swap(NET, "conv1", "pool9"), "rows: a row must be one of conv1, "),
        (lambda: list(walk(NET, (3, 2, 9))), "conv1: input height with padding must be at least 3, the kernel's, got 2"),
    ],
)
def test_edit_of_what_is_not_there_raises(edit, text):
    with refuses(ta.ShapeError, text):
        edit()


@pytest.mark.parametrize("name", GROUPS["AlexNet and small nets"])
def test_rows_of_every_net_have_the_names_shapes_and_parameters_of_its_layers(name):
    net, rows = build(name, devices=DryDevice()), rows_of(name)
    assert names(rows) == [leaf.name for leaf in net.leaves()]
    steps = list(walk(rows, net.in_shape))
    assert tuple(step.out_shape for step in steps) == tuple(net.shapes)
    assert [step.in_shape for step in steps[1:]] == [step.out_shape for step in steps[:-1]] and steps[0].in_shape == net.in_shape
    assert {f"{step.row.name}.weight": step.weight for step in steps if step.weight} == {
        key: array.shape for key, array in net.params.items() if key.endswith("weight")
    }
    assert edits.parameters(rows, net.in_shape) == sum(array.size for array in net.params.values())
    with refuses(ta.ShapeError, f"got 'x{name}'"):
        rows_of(f"x{name}")


def test_window_beyond_the_image_is_no_window_of_a_pool():
    (step,) = walk([pool("pool1", 1, stride=3)], (2, 5, 5))
    assert step.out_shape == ta.MaxPool2d(1, stride=3, ceil_mode=True).output_shape((2, 5, 5)) == (2, 2, 2)


def test_links_are_the_layers_of_one_group_between_the_first_and_the_last():
    assert links(PAPER) == ("conv3", "fc6", "fc7")
    assert links(change(PAPER, conv2={"groups": 1})) == ("conv2", "conv3", "fc6", "fc7")
    assert names(weighted(PAPER)) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


def test_halves_are_named_after_their_tower():
    rows = {row.name: row for row in PAPER}
    a, b = half(rows["conv2"], 0), half(rows["conv2"], 1)
    assert (a.name, b.name, a.width, b.width, a["groups"], b["groups"]) == ("conv2a", "conv2b", 128, 128, 1, 1)
    assert [half(rows["drop6"], index)["part"] for index in (0, 1)] == [(0, 2), (1, 2)]
    assert half(rows["norm1"], 0)["groups"] == half(rows["fc6"], 0)["groups"] == 1


def test_two_towers_are_named_and_have_one_type():
    places = [DryDevice("cpu:0"), DryDevice("cpu:1")]
    net = build_rows(PAPER, (3, 224, 224), "net", places, dtype=np.float64)
    assert [layer.name for layer in net.layers] == [
        *("split", "towers", "conv3_link", "towers from conv3", "fc6_link", "towers from fc6"),
        *("fc7_link", "towers from fc7", "fc8_link", "fc8"),
    ]
    assert {layer.dtype for layer in net.leaves()} == {np.dtype(np.float64)}
    assert [tower.name for tower in (net.layers[1].left, net.layers[1].right)] == ["tower a", "tower b"]
    assert net["fc8"].device is places[0] and net["conv1b"].device is places[1]


def test_two_towers_start_with_the_halves_of_one():
    rows = change(PAPER, **{row.name: {"width": row.width // 16} for row in weighted(PAPER)[:-1]}, fc8={"width": 10})
    rows = change(rows, conv={"bias_init": ta.Gaussian(1.0)})
    one = build_rows(rows, (3, 67, 67), "net", [ta.CpuDevice()], seed=9)
    two = build_rows(rows, (3, 67, 67), "net", places_of("net", 2, "cpu"), seed=9)
    for layer in ("conv1", "conv5", "fc7"):
        for key in ("weight", "bias"):
            halves = [two.params[f"{layer}{tower}.{key}"] for tower in "ab"]
            assert np.array_equal(np.concatenate(halves), one.params[f"{layer}.{key}"])
    assert np.array_equal(one.params["fc8.weight"], two.params["fc8.weight"])


@pytest.mark.parametrize("first_row", [0, 1])
@pytest.mark.parametrize("wanted", [False, True])
def test_image_gets_a_gradient_where_it_is_asked_for_or_where_no_convolution_is_first(first_row, wanted):
    rows = (conv("conv1", 4, 3), relu("relu1"), conv("conv2", 4, 3, groups=2), flatten("flat"), linear("fc", 5))[first_row:]
    rows = rows if first_row == 0 else change(rows, conv2={"groups": 1})
    for places in ([ta.CpuDevice()], places_of("net", 2, "cpu")):
        net = build_rows(rows, (2, 6, 6), "net", places, input_gradient=wanted)
        dx = net.backward(net.forward(np.ones((1, 2, 6, 6), np.float32), train=True))
        assert (dx is not None) == (wanted or first_row == 1)


def test_weights_start_at_a_hundredth_and_biases_at_0_where_nothing_else_is_said():
    for row in (conv("conv1", 6, 3), linear("fc", 5)):
        assert (row["weight_init"], row["bias_init"]) == (ta.Gaussian(0.01), ta.Constant(0.0))


def test_normalization_has_the_papers_constants_where_nothing_else_is_said():
    assert dict(edits.norm("norm1").settings) == {"n": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, "groups": 1, "alpha_over_n": False}


def test_half_of_a_layer_has_half_of_its_groups():
    assert [half(conv("conv1", 8, 3, groups=groups), 0)["groups"] for groups in (1, 2, 4)] == [1, 1, 2]


def test_defaults_are_those_of_the_classes():
    for kind, defaults in DEFAULTS.items():
        found: dict[str, object] = {}
        for base in reversed(KINDS[kind].__mro__):
            if "__init__" in vars(base):
                given = inspect.signature(base.__init__).parameters.values()
                found |= {each.name: each.default for each in given if each.default is not each.empty}
        apart = {key for key in settings_of(kind) if key in found and found[key] is not None} - {"algorithm"}
        assert {key: found[key] for key in defaults} == dict(defaults) and apart <= defaults.keys(), kind


@pytest.mark.parametrize("name", ["squeezenet1.1", "resnet20", "googlenet-heads", "alexnet-caffe", "densenet121", "se-resnet50"])
def test_rows_that_name_no_defaults_have_the_shapes_and_parameters_of_the_layers(name):
    """As the rows that a file gives; branches are walked path by path."""
    net = build(name, devices=DryDevice())
    rows = each_layer(rows_of_net(net), bare)
    steps = list(walk(rows, net.in_shape))
    assert [step.row.name for step in steps] == [leaf.name for leaf in net.leaves() if not isinstance(leaf, Merge)]
    found = {f"{step.row.name}.weight": step.weight for step in steps if step.weight}
    assert found == {key: net.params[key].shape for key in found} and found
    assert edits.parameters(rows, net.in_shape) == sum(array.size for array in net.params.values())
    assert names(weighted(flat(rows))) == [key.removesuffix(".weight") for key in found]


def bare(row):
    """The row without the settings that are defaults."""
    kept = {key: value for key, value in row.settings.items() if key not in row.known or value != DEFAULTS.get(row.kind, {}).get(key)}
    return Row(row.kind, row.name, kept)


def test_rows_of_files_are_edited_and_built_as_those_of_the_registry():
    few = (Row("conv", "conv1", {"out_channels": 4, "kernel_size": 3}), Row("pool", "pool1", {"kernel_size": 2}), Row("dropout", "drop1"))
    few = (*few, Row("local", "local1", {"out_channels": 2, "kernel_size": 2}), Row("flatten", "flat"), linear("fc", 5))
    assert [step.out_shape for step in walk(few, (3, 10, 10))] == [(4, 8, 8), (4, 4, 4), (4, 4, 4), (2, 3, 3), (18,), (5,)]
    assert change(few, conv1={"groups": 2})[0]["groups"] == 2 and links(few) == ("local1",)
    assert half(few[2], 1)["part"] == (1, 2) and half(few[0], 0).width == 2
    net = build_rows(without_local := edits.without(few, "local"), (3, 10, 10), "net", [ta.CpuDevice()])
    assert edits.parameters(without_local, (3, 10, 10)) == sum(array.size for array in net.params.values())
    whole = build_net(few, (3, 10, 10), "net")
    assert edits.parameters(few, (3, 10, 10)) == sum(array.size for array in whole.params.values())

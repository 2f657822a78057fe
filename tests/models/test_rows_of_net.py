"""A built net gives rows from which the same net is built."""

import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.models.later.rows import KINDS, build_net, flat
from tinyalex.models.registry import MODELS, build
from tinyalex.models.rows_json import rows_from_json, rows_to_json
from tinyalex.models.rows_of_net import rows_of_net


@pytest.mark.parametrize("name", MODELS)
def test_every_net_gives_rows_that_build_it_again(name):
    net = build(name, devices=DryDevice())
    rows = rows_of_net(net)
    again = build_net(rows, net.in_shape, net.name, DryDevice())
    assert [repr(leaf) for leaf in again.leaves()] == [repr(leaf) for leaf in net.leaves()]
    assert again.shapes == net.shapes
    assert rows_from_json(rows_to_json(rows)) == rows == rows_of_net(again)


def test_a_net_inside_of_a_net_is_one_list():
    inner = ta.Sequential([ta.ReLU(name="a"), ta.Sequential([ta.Tanh(2.0, name="b")])])
    rows = rows_of_net(ta.Sequential([inner, ta.GroupNorm(2, 4, name="c"), ta.Flatten()], in_shape=(4, 2, 2)))
    assert [row.kind for row in rows] == ["relu", "tanh", "gn", "flatten"] and rows[1]["a"] == 2.0 and rows[2]["groups"] == 2
    assert all(row.kind in KINDS for row in flat(rows))


class Own(ta.ReLU):
    """A layer of a program that uses the engine."""


def test_two_towers_and_layers_without_rows_are_refused():
    with refuses(ShapeError, "those of one tower, got"):
        rows_of_net(build("cifar-alexnet", towers=2, devices=[DryDevice("cpu:0"), DryDevice("cpu:1")]))
    with refuses(ShapeError, "use layers of the kinds relu"):
        rows_of_net(ta.Sequential([Own()], in_shape=(3, 4, 4)))


def test_paths_that_meet_in_a_class_of_the_users_own_are_refused():
    class Half(ta.layers.Sum):
        pass

    class Other(ta.layers.Branches):
        pass

    for layer in (ta.layers.Branches([[], []], Half()), Other([[], []], ta.layers.Sum())):
        with refuses(ShapeError, "use layers of the kinds relu"):
            rows_of_net(ta.Sequential([layer], (3, 8, 8)))


def test_a_layer_with_weights_for_each_window_has_a_row():
    net = ta.Sequential([ta.LocallyConnected2d(2, 3, padding=1, name="local3")], in_shape=(3, 4, 4))
    rows = rows_from_json(rows_to_json(rows_of_net(net)))
    assert repr(build_net(rows, (3, 4, 4), "net")) == repr(build_net(rows_of_net(net), (3, 4, 4), "net"))
    assert build_net(rows, (3, 4, 4), "net").shapes == net.shapes and rows[0].kind == "local"

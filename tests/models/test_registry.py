"""Networks by name."""

from __future__ import annotations

import re

import pytest

from tests.contract import refuses
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.models.registry import GROUPS, MODELS, NAMES, ORIGINS, SMALL, build, heads_of, rows_of
from tinyalex.models.weights import parameters_sha256


@pytest.mark.parametrize("name", MODELS)
def test_every_name_builds(name):
    net = build(name, devices=DryDevice(), seed=1)
    assert net.in_shape is not None and net.params


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_a_name_are_those_of_the_net(name):
    assert [row.name for row in rows_of(name)] == [layer.name for layer in build(name, devices=DryDevice())]


def test_unknown_name_raises():
    with pytest.raises(ShapeError, match="net: NAME must be one of alexnet, .*, figure1.*, got 'alexnet-cafe'; did you mean alexnet-caffe"):
        build("alexnet-cafe")


@pytest.mark.parametrize("name", [None, 5, ["alexnet"]])
def test_what_is_no_name_raises(name):
    with pytest.raises(ShapeError, match=f"net: NAME must be one of alexnet, .*, figure1.*, got {re.escape(repr(name))}$"):
        build(name)


@pytest.mark.parametrize("name", SMALL)
def test_net_without_a_seed_is_that_of_seed_0(name):
    assert parameters_sha256(build(name)) == parameters_sha256(build(name, seed=0)) != parameters_sha256(build(name, seed=1))


def test_figure1_has_one_tower():
    with pytest.raises(ShapeError, match="figure1: towers must be 1, got 2"):
        build("figure1", towers=2)


@pytest.mark.parametrize(
    ("name", "setting", "meant"),
    [("alexnet", "num_class", "num_classes"), ("cifar-alexnet", "num_class", "num_classes"), ("figure1", "num_classes", "classes"),
     ("figure1", "device", "devices"), ("alexnet-caffe", "widts", "widths")],
)  # fmt: skip
def test_unknown_setting_is_answered_with_the_one_that_was_probably_meant(name, setting, meant):
    with refuses(ShapeError, f", got {setting}; did you mean {meant}?"):
        build(name, **{setting: 3})


def test_named_variant_has_no_setting_variant():
    with refuses(ShapeError, "alexnet-caffe: settings must be among towers, exchange, "):
        build("alexnet-caffe", variant="paper")


def test_origin_of_every_net_is_told():
    assert set(ORIGINS) == set(MODELS) and "four-layer" in ORIGINS["figure1"]
    twins = [name for name in MODELS if name.startswith("preresnet") or re.match(r"(plain|resnet)(18|34|\d+(-b|-v1)?)$|densenet", name)]
    others = [ORIGINS[name] for name in MODELS if name not in twins]
    assert len(set(others)) == len(others)  # twins are of one paper, and differ in the depth that is in their names


def test_every_name_is_in_one_group_and_in_the_help():
    assert [name for names in GROUPS.values() for name in names] == list(MODELS)
    assert all(group in NAMES for group in GROUPS) and all(f"{name}" in NAMES for name in MODELS)


def test_nets_with_auxiliary_heads_have_a_weight_for_each():
    found = {name: heads_of(name) for name in MODELS if heads_of(name)}
    assert {name: len(weights) for name, weights in found.items()} == {
        "googlenet-heads": 2, "googlenet-bn-heads": 2, "googlenet-torchvision-heads": 2, "inception-v3-heads": 1,
    }  # fmt: skip


def test_depth_that_is_not_there_is_answered_with_one_that_is():
    with refuses(ShapeError, "net: NAME must be one of alexnet, "):
        build("resnet19")
    with pytest.raises(ShapeError, match="others that `tinyalex net --list` prints, got 'vgg17'; vgg has the depths 11, 13, 16 and 19"):
        build("vgg17")

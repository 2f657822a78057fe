"""Networks by name."""

from __future__ import annotations

import re

import pytest

from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError
from tinyalex.models.registry import MODELS, ORIGINS, build


@pytest.mark.parametrize("name", MODELS)
def test_every_name_builds(name):
    net = build(name, devices=DryDevice(), seed=1)
    assert net.in_shape is not None and net.params


def test_unknown_name_raises():
    with pytest.raises(ShapeError, match="net: NAME must be one of alexnet, .*, figure1, got 'alexnet-cafe'; did you mean alexnet-caffe"):
        build("alexnet-cafe")


@pytest.mark.parametrize("name", [None, 5, ["alexnet"]])
def test_what_is_no_name_raises(name):
    with pytest.raises(ShapeError, match=f"net: NAME must be one of alexnet, .*, figure1, got {re.escape(repr(name))}$"):
        build(name)


def test_figure1_has_one_tower():
    with pytest.raises(ShapeError, match="figure1: towers must be 1, got 2"):
        build("figure1", towers=2)


def test_origin_of_every_net_is_told():
    assert set(ORIGINS) == set(MODELS) and "four-layer" in ORIGINS["figure1"]
    assert len(set(ORIGINS.values())) == len(MODELS)

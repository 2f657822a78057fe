"""The networks after AlexNet: their counts are the published ones, and their gradients are right."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.analysis.count import count, totals
from tinyalex.devices.dry import DryDevice
from tinyalex.gradcheck import check_directions
from tinyalex.models.later import LATER, build_later


@pytest.mark.parametrize("name", LATER)
def test_parameters_and_multiplications_are_those_published(name):
    net = LATER[name]
    counted = totals(count(build_later(name, devices=DryDevice())))
    assert (counted.parameters, counted.macs) == (net.parameters, net.macs)


SMALL = ["resnet18", "resnet50-v1", "preresnet50", "se-resnet50"]


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_right_along_random_directions(name):
    net = build_later(name, 3, width=1 / 8, input_size=64, dtype=np.float64)
    checks = check_directions(net, ta.SoftmaxCrossEntropy(dtype=np.float64), values((2, 3, 64, 64)), np.arange(2))
    assert {check.what for check in checks} >= set(net.params) and all(check.passed for check in checks)


def test_bad_settings_raise():
    with refuses(ta.ShapeError, "net: NAME must be one of resnet18, "):
        build_later("resnet20")
    with refuses(ta.ShapeError, "resnet18: towers must be 1, got 2"):
        build_later("resnet18", towers=2)
    with refuses(ta.ShapeError, "resnet18: width must be a number above 0 and at most 4, got 0"):
        build_later("resnet18", width=0)

"""The net of Figure 1, setting by setting."""

from __future__ import annotations

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tinyalex.models import ACTIVATIONS, SETUPS, figure1_net
from tinyalex.models.cifar import figure1_rows

WEIGHTED = ("conv1", "conv2", "conv3", "fc10")


def test_structure_is_that_of_the_published_net():
    net = figure1_net("tanh")
    assert [leaf.name for leaf in net.leaves()] == [
        *("conv1", "pool1", "tanh1", "conv2", "tanh2", "pool2", "conv3", "tanh3", "pool3", "flatten", "fc10"),
    ]
    assert tuple(net.shapes) == (
        *((32, 32, 32), (32, 16, 16), (32, 16, 16), (32, 16, 16), (32, 16, 16), (32, 8, 8)),
        *((64, 8, 8), (64, 8, 8), (64, 4, 4), (1024,), (10,)),
    )
    assert [net.params[f"{layer}.weight"].shape for layer in WEIGHTED] == [(32, 3, 5, 5), (32, 32, 5, 5), (64, 32, 5, 5), (10, 1024)]
    assert [net[f"conv{i}"].padding for i in (1, 2, 3)] == [(2, 2, 2, 2)] * 3
    assert [type(net[f"pool{i}"]) for i in (1, 2, 3)] == [ta.MaxPool2d, ta.AvgPool2d, ta.AvgPool2d]
    assert [(net[f"pool{i}"].kernel_size, net[f"pool{i}"].stride, net[f"pool{i}"].ceil_mode) for i in (1, 2, 3)] == [
        ((3, 3), (2, 2), True)
    ] * 3


@pytest.mark.parametrize(
    ("setup", "deviations"),
    [("2012", [1e-4, 0.01, 0.01, 0.01]), ("fan-in", [75**-0.5, 800**-0.5, 800**-0.5, 0.01])],
)
def test_initial_weights_have_the_standard_deviation_of_the_setup(setup, deviations):
    params = figure1_net(setup=setup).params
    assert [float(params[f"{layer}.weight"].std()) for layer in WEIGHTED] == pytest.approx(deviations, rel=0.05)
    assert not any(params[f"{layer}.bias"].any() for layer in WEIGHTED)


def test_inputs_of_the_setups():
    assert {name: setup.inputs for name, setup in SETUPS.items()} == {"2012": "mean-image", "fan-in": "unit-variance"}


def test_every_activation_starts_with_the_same_weights_and_another_seed_with_others():
    nets = {name: figure1_net(name, seed=3) for name in ACTIVATIONS}
    for name, net in nets.items():
        assert net.name == f"figure1-{name}" and {type(net[f"{name}{i}"]) for i in (1, 2, 3)} == {ACTIVATIONS[name]}
        assert all(np.array_equal(weight, net.params[key]) for key, weight in nets["relu"].params.items())
    assert not np.array_equal(nets["relu"].params["conv1.weight"], figure1_net(seed=4).params["conv1.weight"])


def test_setups_are_the_two_that_figure_1_hangs_on():
    assert SETUPS["2012"].weights[0] == ta.Gaussian(1e-4) and SETUPS["fan-in"].weights[0] == ta.FanIn(1.0)


def test_dtype_and_classes():
    net = figure1_net(dtype=np.float64, classes=7)
    assert {weight.dtype for weight in net.params.values()} == {np.dtype(np.float64)}
    assert net.forward(np.zeros((1, 3, 32, 32))).shape == (1, 7)


def test_bad_settings_raise():
    with refuses(ta.ShapeError, "figure1_net: activation must be relu, tanh, sigmoid or abstanh, got 'elu'"):
        figure1_rows("elu")
    with refuses(ta.ShapeError, "figure1_net: setup must be 2012 or fan-in, got '2013'"):
        figure1_net(setup="2013")

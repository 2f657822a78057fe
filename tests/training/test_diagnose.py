"""The first bad number is found in the order of the forward pass, also inside nested networks."""

import math

import numpy as np
import pytest

import tinyalex as ta
from tests.training.small_run import make_net
from tinyalex.training.diagnose import at_chance, bad_parameter, first_bad, lower_rate, too_large

X = np.ones((2, 3, 8, 8), np.float32)
pytestmark = pytest.mark.usefixtures("place")


def test_good_network_leaves_only_the_loss():
    net = make_net()
    assert first_bad(net, net.device.asarray(X)) == "the loss, whose logits are too far apart"


def test_bad_batch_is_told():
    x = X.copy()
    x[1, 2, 3, 4] = np.inf
    net = make_net()
    assert first_bad(net, net.device.asarray(x)) == "the batch itself"


@pytest.mark.parametrize(("layer", "key"), [("conv1", "weight"), ("conv1", "bias"), ("fc2", "weight")])
def test_bad_parameter_is_named(layer, key):
    net = make_net()
    net["fc2"].params["bias"].fill(np.nan)
    net[layer].params[key].reshape(-1)[-1] = np.nan
    assert first_bad(net, net.device.asarray(X)) == f"{key} of {layer}"


def test_bad_output_of_finite_parameters_is_named_inside_a_network_in_a_network():
    inner = [ta.Linear(1, 1, rng=np.random.default_rng(0), weight_init=ta.Constant(1e30), name=f"fc{i}") for i in (1, 2, 3)]
    net = ta.Sequential([ta.Sequential(inner[:2], name="inner"), inner[2]])
    assert first_bad(net, np.ones((1, 1), np.float32)) == "the output of fc2"


def test_bad_parameter_is_named_and_none_where_all_are_finite():
    net = make_net()
    assert bad_parameter(net) is None
    net["fc2"].params["bias"][0] = np.nan
    assert bad_parameter(net) == "bias of fc2"


def test_running_statistics_are_looked_at_too():
    net = ta.Sequential([ta.BatchNorm2d(name="bn1")], in_shape=(2, 3, 3))
    net["bn1"].buffers["running_var"][1] = np.inf
    assert bad_parameter(net) == "running_var of bn1"
    assert too_large(net, "float16") == "inf in running_var of bn1"


def test_what_float16_cannot_hold_is_named_with_its_magnitude():
    net = make_net()
    assert too_large(net, "float16") is None
    net["fc2"].params["weight"][1, 2] = -70_000
    assert too_large(net, "float16") == "7e+04 in weight of fc2" and too_large(net, "float32") is None


TEN = np.arange(100) % 10


@pytest.mark.parametrize(
    ("loss", "error", "labels", "told"),
    [
        (2.3026, 0.9, TEN, "among 10 classes has a loss of 2.3026 and an error of 90.00 %"),
        (2.2, 0.87, TEN, "its training loss is 2.2000 and its error 87.00 %"),
        (9.0, 0.9, TEN, "its training loss is 9.0000"),
        (2.15, 0.9, TEN, None),
        (0.95 * math.log(2), 0.5, np.array([0, 1]), "among 2 classes"),
        (2.3026, 0.84, TEN, None),
        (0.5004, 0.2, np.array([0] * 8 + [3] * 2, np.uint8), "among 2 classes has a loss of 0.5004 and an error of 20.00 %"),
        (0.5004, 0.1, np.array([0] * 8 + [3] * 2, np.uint8), None),
        (0.0, 0.0, np.zeros(5, np.uint64), None),
    ],
)
def test_guessing_is_told_from_learning(loss, error, labels, told):
    found = at_chance(loss, error, labels)
    assert found is None if told is None else told in found


@pytest.mark.parametrize(("lr", "lower"), [(1000, "0.1"), (1, "0.1"), (0.5, "0.05"), (0.001, "0.0001"), (1e18, "0.1")])
def test_lower_rate_is_a_tenth_and_never_a_large_one(lr, lower):
    assert lower_rate(lr) == lower

"""The first bad number is found in the order of the forward pass, also inside nested networks."""

import numpy as np
import pytest

import tinyalex as ta
from tests.training.small_run import make_net
from tinyalex.training.diagnose import bad_parameter, first_bad

X = np.ones((2, 3, 8, 8), np.float32)


def test_good_network_leaves_only_the_loss():
    assert first_bad(make_net(), X) == "the loss, whose logits are too far apart"


def test_bad_batch_is_told():
    x = X.copy()
    x[1, 2, 3, 4] = np.inf
    assert first_bad(make_net(), x) == "the batch itself"


@pytest.mark.parametrize(("layer", "key"), [("conv1", "weight"), ("conv1", "bias"), ("fc2", "weight")])
def test_bad_parameter_is_named(layer, key):
    net = make_net()
    net["fc2"].params["bias"].fill(np.nan)
    net[layer].params[key].reshape(-1)[-1] = np.nan
    assert first_bad(net, X) == f"{key} of {layer}"


def test_bad_output_of_finite_parameters_is_named_inside_a_network_in_a_network():
    inner = [ta.Linear(1, 1, rng=np.random.default_rng(0), weight_init=ta.Constant(1e30), name=f"fc{i}") for i in (1, 2, 3)]
    net = ta.Sequential([ta.Sequential(inner[:2], name="inner"), inner[2]])
    assert first_bad(net, np.ones((1, 1), np.float32)) == "the output of fc2"


def test_bad_parameter_is_named_and_none_where_all_are_finite():
    net = make_net()
    assert bad_parameter(net) is None
    net["fc2"].params["bias"][0] = np.nan
    assert bad_parameter(net) == "bias of fc2"

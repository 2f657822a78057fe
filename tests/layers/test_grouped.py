"""A fully connected layer in groups."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.gradcheck import check_layer
from tinyalex.layers import GroupedLinear


def layer(device="cpu", **settings):
    settings = {"groups": 2, "rng": rng(), "weight_init": ta.Gaussian(0.5), "bias_init": ta.Gaussian(0.5), **settings}
    return GroupedLinear(6, 4, device=device, dtype=np.float64, **settings)


def test_is_two_layers_side_by_side():
    whole, x, dout = layer(), values((3, 6)), values((3, 4), 1)
    out, dx = whole.forward(x, train=True), whole.backward(dout)
    for half in (0, 1):
        one = ta.Linear(3, 2, rng=rng(), dtype=np.float64)
        ins, outs = slice(3 * half, 3 * half + 3), slice(2 * half, 2 * half + 2)
        for key in ("weight", "bias"):
            one.params[key][...] = whole.params[key][outs]
        assert np.allclose(one.forward(x[:, ins], train=True), out[:, outs], rtol=1e-14, atol=0)
        assert np.allclose(one.backward(dout[:, outs]), dx[:, ins], rtol=1e-14, atol=0)
        for key in ("weight", "bias"):
            assert np.allclose(one.grads[key], whole.grads[key][outs], rtol=1e-14, atol=0)


@pytest.mark.parametrize("device", ["cpu", "sim:0"])
def test_gradients_are_right(device):
    assert all(check.passed for check in check_layer(layer(device), values((3, 6))))


def test_one_group_is_linear():
    one, linear = layer(groups=1), ta.Linear(6, 4, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), dtype=np.float64)
    assert np.allclose(one.forward(values((3, 6))), linear.forward(values((3, 6))), rtol=1e-14, atol=0)


def test_numpy_integers_count_as_python_s():
    linear = GroupedLinear(np.uint8(200), np.uint8(2), groups=np.uint8(2), rng=rng())
    assert linear.forward(np.ones((1, 200), np.float32)).shape == (1, 2)


def test_bad_settings_and_inputs_raise():
    with refuses(ta.ShapeError, "linear: in_features must be a multiple of groups=4, got 6"):
        layer(groups=4)
    with refuses(ta.ShapeError, "linear: weight_init must be a function (shape, rng) -> array, got 0.01"):
        layer(weight_init=0.01)
    with refuses(ta.ShapeError, "linear: x must have shape (N, 6), got ('N', 5)"):
        layer().forward(values((3, 5)))
    assert repr(layer()) == "GroupedLinear('linear', 6->4, groups 2, cpu)"

"""Fully connected layers and flattening."""

import numpy as np
import pytest

import tinyalex as ta
from tests import reference
from tests.contract import refuses, rng, values
from tests.places import every_place, on
from tinyalex.devices.sim import SimDevice, current_device
from tinyalex.devices.sim_array import SimArray
from tinyalex.gradcheck import check_layer


def layer(*args, **settings):
    return ta.Linear(*args, rng=rng(), weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), dtype=np.float64, **settings)


def close(a, b):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


@every_place
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (2, 40, 33)], ids=str)
def test_forward_and_backward_agree_with_loops(shape, place):
    n, c, k = shape
    linear, x, dout = on(place, layer, c, k), values((n, c), 1), values((n, k), 2)
    weight, bias = linear.params["weight"], linear.params["bias"]
    close(linear.forward(x, train=True), reference.linear(x, weight, bias))
    close(linear.backward(dout), reference.linear(dout, weight.T.copy(), np.zeros(c)))
    close(linear.grads["weight"], reference.linear(dout.T.copy(), x.T.copy(), np.zeros(c)))
    close(linear.grads["bias"], dout.sum(axis=0))


def test_blocks_smaller_than_a_row_of_weights_still_agree():
    x, dout = values((3, 50), 1), values((3, 30), 2)
    results = []
    for cache in (1, 1 << 20):
        linear = layer(50, 30, device=ta.CpuDevice(workers=2, cache=cache))
        results.append([linear.forward(x, train=True), linear.backward(dout), *linear.grads.values()])
    for a, b in zip(*results, strict=True):
        close(a, b)


def test_parameters():
    linear = ta.Linear(500, 30, rng=rng())
    assert list(linear.params) == ["weight", "bias"]
    assert linear.params["weight"].shape == (30, 500) and linear.params["bias"].shape == (30,)
    assert abs(linear.params["weight"].std() - 0.01) < 4e-4 and not linear.params["bias"].any()


@every_place
def test_first_layer_returns_no_input_gradient(place):
    linear = on(place, layer, 4, 3, input_gradient=False)
    linear.forward(values((2, 4)), train=True)
    assert linear.backward(values((2, 3))) is None
    assert linear.grads["weight"].any() and linear.grads["bias"].any()


def test_cache_is_x_itself():
    linear, x = layer(4, 3), values((2, 4))
    linear.forward(x, train=True)
    arrays = [entry for entry in linear._cache if isinstance(entry, np.ndarray)]
    assert len(arrays) == 1 and arrays[0] is x


@pytest.mark.parametrize(
    ("args", "settings", "text"),
    [
        ((0, 3), {}, "linear: in_features must be an integer of at least 1, got 0"),
        ((3, -1), {}, "linear: out_features must be an integer of at least 1, got -1"),
        ((3, True), {}, "linear: out_features must be an integer of at least 1, got True"),
        ((3, 3), {"input_gradient": 1}, "linear: input_gradient must be True or False, got 1"),
        ((3, 3), {"name": "fc6", "dtype": "int32"}, "fc6: dtype must be float32 or float64, got int32"),
    ],
)
def test_bad_settings_raise(args, settings, text):
    with refuses(ta.ShapeError, text):
        ta.Linear(*args, rng=rng(), **settings)


@pytest.mark.parametrize(("in_shape", "got"), [((5,), "('N', 5)"), ((2, 2), "('N', 2, 2)"), ((), "('N',)")])
def test_output_shape_refuses(in_shape, got):
    with refuses(ta.ShapeError, f"linear: x must have shape (N, 4), got {got}"):
        layer(4, 3).output_shape(in_shape)


@every_place
def test_flatten_goes_channel_by_channel_and_back(place):
    flatten, x = on(place, ta.Flatten, dtype=np.float64), values((2, 3, 4, 5))
    out = flatten.forward(x, train=True)
    assert flatten.layer.output_shape((3, 4, 5)) == (60,)
    assert np.array_equal(out[1, 20:40], x[1, 1].ravel())
    assert np.array_equal(flatten.backward(out), x)


def test_numpy_integers_count_as_python_s():
    linear = ta.Linear(np.uint8(200), np.uint8(100), rng=rng(), weight_init=ta.FanIn())
    assert linear.params["weight"].shape == (100, 200) and abs(linear.params["weight"].std() - 200**-0.5) < 2e-3


@pytest.mark.parametrize("method", ["forward", "backward"])
def test_flatten_copies_on_its_own_device(monkeypatch, method):
    device, seen, reshape = SimDevice(0), [], SimArray.reshape
    flatten, x = ta.Flatten(device=device), device.asarray(np.ones((2, 3, 4), np.float32))
    out = flatten.forward(x, train=True)
    monkeypatch.setattr(SimArray, "reshape", lambda self, *shape: seen.append(current_device()) or reshape(self, *shape))
    flatten.forward(x) if method == "forward" else flatten.backward(out)
    assert seen == [device]


def test_flatten_does_not_copy_what_is_contiguous():
    x = values((2, 3, 4, 5))
    assert np.shares_memory(ta.Flatten(dtype=np.float64).forward(x), x)


def grouped(device="cpu", **settings):
    """Two groups, 6 inputs and 4 outputs."""
    settings = {"groups": 2, "rng": rng(), "weight_init": ta.Gaussian(0.5), "bias_init": ta.Gaussian(0.5), **settings}
    return ta.Linear(6, 4, device=device, dtype=np.float64, **settings)


def test_is_two_layers_side_by_side():
    whole, x, dout = grouped(), values((3, 6)), values((3, 4), 1)
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
def test_gradients_of_groups_are_right(device):
    assert all(check.passed for check in check_layer(grouped(device), values((3, 6))))


def test_one_group_is_linear():
    one, linear = grouped(groups=1), ta.Linear(6, 4, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), dtype=np.float64)
    assert np.allclose(one.forward(values((3, 6))), linear.forward(values((3, 6))), rtol=1e-14, atol=0)


def test_numpy_integers_count_as_python_s_in_groups():
    linear = ta.Linear(np.uint8(200), np.uint8(2), groups=np.uint8(2), rng=rng())
    assert linear.forward(np.ones((1, 200), np.float32)).shape == (1, 2)


def test_bad_settings_and_inputs_of_groups_raise():
    with refuses(ta.ShapeError, "linear: in_features must be a multiple of groups=4, got 6"):
        grouped(groups=4)
    with refuses(ta.ShapeError, "linear: out_features must be a multiple of groups=3, got 4"):
        grouped(groups=3)
    with refuses(ta.ShapeError, "linear: algorithm 'blocks' must have groups=1, got groups 2; use 'auto' or 'plain'"):
        grouped(algorithm="blocks")
    with refuses(ta.ShapeError, "linear: weight_init must be a function (shape, rng) -> array, got 0.01"):
        grouped(weight_init=0.01)
    with refuses(ta.ShapeError, "linear: x must have shape (N, 6), got ('N', 5)"):
        grouped().forward(values((3, 5)))
    assert repr(grouped()) == "Linear('linear', 6->4, groups 2, cpu)"

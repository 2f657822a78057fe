"""Frozen layers: parameters that are read-only, and what is made of them once."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.fast import winograd
from tinyalex.training import load_weights, save_weights


def small_net():
    settings = {"rng": rng(), "dtype": np.float64}
    return ta.Sequential(
        [
            ta.Conv2d(3, 4, 3, padding=1, algorithm="winograd", name="conv1", **settings),
            ta.Flatten(dtype=np.float64),
            ta.Linear(4 * 36, 5, name="fc", **settings),
        ],
        in_shape=(3, 6, 6),
    )


def test_weights_are_transformed_once_while_frozen(monkeypatch):
    calls, transform = [], winograd.transform_weight
    monkeypatch.setattr(winograd, "transform_weight", lambda *args: calls.append(None) or transform(*args))
    net, x = small_net(), values((2, 3, 6, 6), 1)
    expected = net.forward(x)
    net.freeze()
    for _ in range(3):
        assert np.array_equal(net.forward(x), expected)
    assert len(calls) == 2  # once before, once for all three
    net.thaw()
    net.params["conv1.weight"][...] *= 2
    assert not np.array_equal(net.forward(x), expected) and len(calls) == 3


def test_frozen_parameters_are_read_only_until_thawed():
    net = small_net()
    net.freeze()
    for array in net.params.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    net.thaw()
    net.params["fc.weight"][...] = 0
    assert not net["fc"].params["weight"].any()


def test_backward_of_a_frozen_net_gives_its_gradients():
    net, x, dout = small_net(), values((2, 3, 6, 6), 1), values((2, 5), 2)
    net.forward(x, train=True)
    net.backward(dout)
    expected = {name: grad.copy() for name, grad in net.grads.items()}
    net.zero_grad()
    net.freeze()
    net.forward(x, train=True)
    net.backward(dout)
    assert all(np.array_equal(grad, expected[name]) for name, grad in net.grads.items())


def test_update_of_a_frozen_net_is_refused():
    net = small_net()
    sgd, before = ta.SGD(net, lr=0.1), net.params["fc.weight"].copy()
    net["fc"].freeze()
    with refuses(ta.CallOrderError, "sgd: fc must not be frozen when its parameters are written, got a frozen layer; call thaw()"):
        sgd.step()
    assert np.array_equal(net.params["fc.weight"], before)


def test_weights_are_not_loaded_into_a_frozen_net(tmp_path):
    net = small_net()
    save_weights(tmp_path / "w.safetensors", net)
    net.freeze()
    with refuses(ta.CallOrderError, "w.safetensors: conv1 must not be frozen when its parameters are written, got a frozen layer"):
        load_weights(tmp_path / "w.safetensors", net)

"""Networks of layers one after the other."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, small_net, values


def linear(i, k, name, **settings):
    return ta.Linear(i, k, rng=rng(), weight_init=ta.Gaussian(1), name=name, dtype=np.float64, **settings)


def relu(name="relu"):
    return ta.ReLU(name=name, dtype=np.float64)


def test_forward_and_backward_are_those_of_the_layers_in_turn():
    net, single = (ta.Sequential([linear(4, 5, "fc1"), relu(), linear(5, 3, "fc2")]) for _ in range(2))
    x, dout = values((2, 4)), values((2, 3), 2)
    h = x
    for layer in single.layers:
        h = layer.forward(h, train=True)
    assert np.array_equal(net.forward(x, train=True), h)
    d = dout
    for layer in reversed(single.layers):
        d = layer.backward(d)
    assert np.array_equal(net.backward(dout), d)
    for key in net.grads:
        assert np.array_equal(net.grads[key], single.grads[key])


def test_parameters_are_the_layers_own_arrays_in_order():
    fc1, fc2 = linear(4, 5, "fc1"), linear(5, 3, "fc2")
    net = ta.Sequential([fc1, relu(), fc2])
    assert list(net.params) == list(net.grads) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert net.params["fc2.weight"] is fc2.params["weight"] and net.grads["fc1.bias"] is fc1.grads["bias"]


def test_nested_nets_flatten_into_leaves():
    net = small_net("cpu", np.float64)
    assert [leaf.name for leaf in net.leaves()] == ["conv1", "relu1", "norm1", "pool1", "conv2", "tanh2", "flatten", "fc"]
    assert list(net.params) == ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"]
    assert net.shapes == [(4, 3, 3), (36,), (5,)]
    assert net.output_shape((2, 8, 8)) == (5,)


def test_layer_by_name_at_any_depth():
    net = small_net("cpu", np.float64)
    assert net["conv2"] is net.layers[0].layers[4] and net["fc"] is net.layers[2]


def test_unknown_name_raises_with_the_names_there_are():
    net = ta.Sequential([linear(4, 5, "fc1"), relu()])
    with refuses(KeyError, "net: layer must be one of fc1, relu, got 'conv1'"):
        net["conv1"]


def test_without_in_shape_nothing_is_walked():
    net = ta.Sequential([linear(4, 5, "fc1")])
    assert net.shapes == [] and net.in_shape is None


def test_layers_that_do_not_fit_fail_before_any_compute():
    with refuses(ta.ShapeError, "fc2: x must have shape (N, 6), got ('N', 5)"):
        ta.Sequential([linear(4, 5, "fc1"), linear(6, 3, "fc2")], in_shape=(4,))
    with refuses(ta.ShapeError, "fc1: x must have shape (N, 4), got ('N', 3, 3)"):
        ta.Sequential([linear(4, 5, "fc1")], in_shape=(3, 3))


def test_two_layers_of_one_name_raise():
    with refuses(ta.ShapeError, "net: layer names must differ, got two layers named 'relu'"):
        ta.Sequential([relu(), relu()])
    inner = ta.Sequential([linear(4, 4, "fc1")], name="inner")
    with refuses(ta.ShapeError, "net: layer names must differ, got two layers named 'fc1'"):
        ta.Sequential([inner, linear(4, 4, "fc1")])
    with refuses(ta.ShapeError, "alexnet: layer names must differ, got two layers named 'relu'"):
        ta.Sequential([relu()] * 2, name="alexnet")


def test_net_without_layers_raises():
    with refuses(ta.ShapeError, "net: layers must be a list of at least one layer, got []"):
        ta.Sequential([])


def test_first_layer_may_leave_the_input_gradient_out():
    net = ta.Sequential([linear(4, 5, "fc1", input_gradient=False), linear(5, 3, "fc2")])
    net.forward(values((2, 4)), train=True)
    assert net.backward(values((2, 3))) is None
    assert all(grad.any() for grad in net.grads.values())


def test_later_layer_may_not():
    net = ta.Sequential([linear(4, 5, "fc1"), linear(5, 3, "fc2", input_gradient=False)])
    net.forward(values((2, 4)), train=True)
    with refuses(ta.ShapeError, "net: input_gradient must be True but in the first layer, got False in the one after 'fc1'"):
        net.backward(values((2, 3)))


def test_zero_grad_reaches_every_layer():
    net = small_net("cpu", np.float64)
    for grad in net.grads.values():
        grad.fill(1)
    net.zero_grad()
    assert not any(grad.any() for leaf in net.leaves() for grad in leaf.grads.values())


def test_repr_lists_the_layers():
    net = ta.Sequential([linear(4, 5, "fc1"), relu()])
    assert repr(net) == "Sequential('net', [\n    Linear('fc1', 4->5, cpu),\n    ReLU('relu', cpu),\n])"


@pytest.mark.parametrize("kind", ["dtype", "device"])
def test_layers_of_another_dtype_or_device_raise(kind):
    other = ta.ReLU(dtype=np.float32) if kind == "dtype" else ta.ReLU(dtype=np.float64, device="sim:0")
    with refuses(ta.TinyalexError, "relu"):
        ta.Sequential([linear(4, 5, "fc1"), other]).forward(values((2, 4)))

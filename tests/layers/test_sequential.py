"""Networks of layers one after the other."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, small_net, values
from tinyalex.layers.activation import Activation

ACTIVATIONS = [kind for name in ta.__all__ if isinstance(kind := getattr(ta, name), type) and issubclass(kind, Activation)]


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
    assert net.shapes == ((4, 3, 3), (36,), (5,))
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
    assert net.shapes == () and net.in_shape is None


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
    text = "net: input_gradient must be True except in the first layer, got False in "
    with refuses(ta.ShapeError, text + "'fc2'"):
        ta.Sequential([linear(4, 5, "fc1"), linear(5, 3, "fc2", input_gradient=False)])
    inner = ta.Sequential([linear(5, 3, "fc2", input_gradient=False), relu()], name="inner")
    with refuses(ta.ShapeError, text + "'fc2'"):
        ta.Sequential([linear(4, 5, "fc1"), inner])
    pair = ta.Pair(linear(5, 3, "fc2a"), linear(5, 3, "fc2b", input_gradient=False))
    with refuses(ta.ShapeError, text + "'fc2b'"):
        ta.Sequential([ta.Split(("cpu", "cpu"), dtype=np.float64), pair])
    with refuses(ta.ShapeError, text + "'split'"):
        ta.Sequential([linear(4, 5, "fc1"), ta.Split(("cpu", "cpu"), input_gradient=False, dtype=np.float64)])


def test_later_layer_of_one_s_own_that_returns_none_is_named():
    class Forgets(ta.ReLU):
        def backward(self, dout):
            super().backward(dout)

    net = ta.Sequential([linear(4, 5, "fc1"), Forgets(dtype=np.float64)])
    net.forward(values((2, 4)), train=True)
    with refuses(ta.ShapeError, "net: the gradient of the output of 'fc1' must be an array, got None"):
        net.backward(values((2, 5)))


def test_split_without_input_gradient_may_be_followed_by_layers_without():
    first = [linear(4, 3, f"fc1{tower}", input_gradient=False) for tower in "ab"]
    split = ta.Split(("cpu", "cpu"), input_gradient=False, dtype=np.float64)
    net = ta.Sequential([ta.Sequential([split], name="start"), ta.Pair(*first), ta.Gather(("cpu", "cpu"), dtype=np.float64)])
    net.forward(values((2, 4)), train=True)
    assert net.backward(values((2, 6))) is None
    assert all(grad.any() for grad in net.grads.values())


def test_zero_grad_reaches_every_layer():
    net = small_net("cpu", np.float64)
    for grad in net.grads.values():
        grad.fill(1)
    net.zero_grad()
    assert not any(grad.any() for leaf in net.leaves() for grad in leaf.grads.values())


def test_repr_lists_the_layers():
    net = ta.Sequential([linear(4, 5, "fc1"), relu()])
    assert repr(net).splitlines() == [
        "Sequential 'net' on cpu",
        "  layer  kind and settings  output  parameters",
        "  fc1    Linear 4->5                        25",
        "  relu   ReLU",
        "  25 parameters",
    ]
    net = ta.Sequential([ta.Sequential(net.layers, name="hidden"), linear(5, 3, "fc2")], in_shape=(4,))
    assert repr(net).splitlines() == [
        "Sequential 'net' on cpu, input 4",
        "  layer   kind and settings  output  parameters",
        "  hidden  Sequential         5",
        "    fc1   Linear 4->5        5               25",
        "    relu  ReLU               5",
        "  fc2     Linear 5->3        3               18",
        "  43 parameters",
    ]


def test_layer_of_another_dtype_raises():
    with refuses(ta.ShapeError, "net: layers must be of one dtype, float64 as the first is, got float32 in 'relu'"):
        ta.Sequential([linear(4, 5, "fc1"), ta.ReLU()])


A, B = ("cpu:0", "cpu:1"), ("cpu:1", "cpu:0")


def towers(a, b, name="relu1"):
    return ta.Pair(ta.ReLU(name=f"{name}a", device=a), ta.ReLU(name=f"{name}b", device=b))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: [ta.ReLU(name="a"), ta.ReLU(name="b", device="sim:0")],
            "'b' must be on cpu, like the output of 'a', got a layer on sim:0",
        ),
        (
            lambda: [ta.ReLU(name="a", device="cpu:0"), ta.ReLU(name="b", device="cpu:1")],
            "'b' must be on cpu:0, like the output of 'a', got",
        ),
        (
            lambda: [ta.ReLU(name="a", device="cpu:1"), ta.Split(A)],
            "'split' must be on cpu:1, like the output of 'a', got a layer on cpu:0",
        ),
        (
            lambda: [ta.Split(A), towers(*B)],
            "'pair' must be on cpu:0 and cpu:1, like the output of 'split', got a layer on cpu:1 and cpu:0",
        ),
        (lambda: [ta.Split(A), ta.ReLU(device="cpu:0")], "'relu' must be on cpu:0 and cpu:1, like the output of 'split', got"),
        (lambda: [ta.Split(A), ta.Exchange(B)], "'exchange' must be on cpu:0 and cpu:1, like the output of 'split', got a layer on cpu:1"),
        (lambda: [ta.Split(A), ta.Exchange(A), ta.Gather(B)], "'gather' must be on cpu:0 and cpu:1, like the output of 'exchange', got"),
        (lambda: [ta.Split(A), ta.Gather(A), ta.ReLU(device="cpu:1")], "'relu' must be on cpu:0, like the output of 'gather', got"),
        (
            lambda: [ta.Sequential([ta.Split(A), ta.Gather(A)], name="in"), ta.Sequential([ta.ReLU(device="cpu:1")], name="out")],
            "'out' must be on cpu:0, like the output of 'in', got a layer on cpu:1",
        ),
    ],
)
def test_layer_on_another_device_than_the_one_before_raises(make, text):
    with refuses(ta.DeviceError, f"net: the input of {text}"):
        ta.Sequential(make())


def test_two_devices_of_one_name_are_two():
    with refuses(ta.DeviceError, "net: the input of 'b' must be on cpu, like the output of 'a', got a layer on another device named cpu"):
        ta.Sequential([ta.ReLU(name="a"), ta.ReLU(name="b", device=ta.CpuDevice(workers=1))])


def test_towers_that_fit_make_a_net():
    net = ta.Sequential([ta.Split(A), towers(*A), ta.Exchange(A), ta.Gather(A), ta.ReLU(device="cpu:0")], in_shape=(3, 4, 4))
    assert [device.name for device in net.takes + net.gives] == ["cpu:0", "cpu:0"]


@pytest.mark.parametrize("value", [3, None, ta.ReLU])
def test_what_is_no_layer_raises(value):
    for layers in ([value], [relu(), value]):
        with refuses(ta.ShapeError, f"net: layers must hold only layers, got {value!r}"):
            ta.Sequential(layers)


@pytest.mark.parametrize(
    ("in_shape", "text"),
    [
        (3, "net: in_shape must be a tuple of sizes, such as (3, 224, 224), got 3"),
        ((), "net: in_shape must be a tuple of sizes, such as (3, 224, 224), got ()"),
        ("4", "net: in_shape must be a tuple of sizes, such as (3, 224, 224), got '4'"),
        ((3.5, -2), "net: every size of in_shape must be an integer of at least 1, got 3.5"),
        ((4, 0), "net: every size of in_shape must be an integer of at least 1, got 0"),
        (((3,), (-1,)), "net: every size of in_shape must be an integer of at least 1, got -1"),
    ],
)
def test_in_shape_that_is_none_raises(in_shape, text):
    with refuses(ta.ShapeError, text):
        ta.Sequential([relu()], in_shape=in_shape)
    with refuses(ta.ShapeError, text):
        ta.Sequential([relu()]).output_shape(in_shape)


def test_in_shape_may_be_numpy_integers_or_two_shapes():
    assert ta.Sequential([relu()], in_shape=[np.int64(3), 2]).in_shape == (3, 2)
    assert ta.Sequential([ta.Gather(A)], in_shape=((3,), (2,))).shapes == ((5,),)


@pytest.mark.parametrize("innermost", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_applied_by_the_pooling_before_gives_the_same_bits(activation, innermost):
    net, pool, function = ta.Sequential([ta.MaxPool2d(3, stride=2), activation()]), ta.MaxPool2d(3, stride=2), activation()
    x, dout = values((6, 4, 9, 7), 1, np.float32), values((6, 4, 4, 3), 2, np.float32)
    if innermost:
        x = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    for train in (False, True):
        assert np.array_equal(net.forward(x, train=train), function.forward(pool.forward(x, train=train), train=train))
    assert np.array_equal(net.backward(dout), pool.backward(function.backward(dout)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("conv", "algorithm", "n"),
    [
        (ta.Conv2d, "im2col", 9), (ta.Conv2d, "im2col", 2), (ta.Conv2d, "strips", 3), (ta.Conv2d, "winograd", 40),
        (ta.Conv2d, "winograd", 2), (ta.Conv2d, "lines", 40), (ta.Conv2d, "lines", 2),
    ],
)  # fmt: skip
def test_activation_applied_by_the_convolution_before_gives_the_same_bits(conv, algorithm, n, activation):
    settings = {"padding": 1, "groups": 2, "bias_init": ta.Gaussian(1), "device": (device := ta.CpuDevice(workers=2))}
    settings |= {"algorithm": algorithm, "input_gradient": algorithm != "lines"}
    pairs = [(conv(4, 6, 3, rng=rng(), name="conv", **settings), activation(device=device)) for _ in range(2)]
    net, (layer, function) = ta.Sequential(pairs[0]), pairs[1]
    x, dout = values((n, 4, 9, 7), 1, np.float32), values((n, 6, 9, 7), 2, np.float32)
    assert np.array_equal(net.forward(x), function.forward(layer.forward(x)))
    assert np.array_equal(net.forward(x, train=True), function.forward(layer.forward(x, train=True), train=True))
    dx, expected = net.backward(dout), layer.backward(function.backward(dout))
    assert (dx is None and expected is None) or np.array_equal(dx, expected)
    for key, grad in layer.grads.items():
        assert np.array_equal(net.grads[f"conv.{key}"], grad)
    device.close()


def test_activation_is_applied_where_the_output_is_made(monkeypatch):
    net = ta.Sequential([ta.Conv2d(2, 3, 3, rng=rng()), ta.ReLU(name="relu1"), ta.ReLU(name="relu2"), ta.Sigmoid()])
    called, forward = [], Activation.forward
    monkeypatch.setattr(Activation, "forward", lambda self, x, train: called.append(self.name) or forward(self, x, train=train))
    x = values((2, 2, 5, 5), 1, np.float32)
    expected = net.forward(x, train=True)
    assert called == ["relu2", "sigmoid"]
    net["relu1"].forward = lambda x, train: called.append("mine") or np.maximum(x, 0)  # whoever replaces a layer's forward is called
    assert np.array_equal(net.forward(x, train=True), expected)
    assert called[2:] == ["mine", "relu2", "sigmoid"]

"""Nets in a notebook: names, sizes and seeds that nobody gave, assignments, copies, and passes that are cut off."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.gradcheck import check_layer
from tinyalex.layers.base import Layer
from tinyalex.parameters import generator, last_given


class Dense(Layer):
    """A layer that learns its size."""

    def __init__(self, i, k=None, *, rng=None, name="dense", device="cpu", dtype=np.float64):
        super().__init__(name, device, dtype)
        self.i, self.k = last_given(name, i=i, k=k)
        self.begin(rng, weight=ta.Gaussian(1.0))

    def param_shapes(self):
        return None if self.i is None else {"weight": (self.k, self.i)}

    def fit(self, in_shape):
        self.settle(i=in_shape[0])

    def output_shape(self, in_shape):
        return (self.k,)

    def forward(self, x, *, train=False):
        self.check_x(x, "N F")
        if train:
            self.keep((len(x), self.k), x)
        return x @ self.params["weight"].T

    def backward(self, dout):
        (x,) = self.take(dout)
        self.add_grad("weight", dout.T @ x)
        return dout @ self.params["weight"]


def relu(**settings):
    return ta.ReLU(dtype=np.float64, **settings)


def small(device="cpu", **settings):
    return ta.Sequential([Dense(5, device=device), relu(device=device), Dense(3, device=device)], in_shape=(4,), **settings)


class Shared(ta.CpuDevice):
    """A device that all copies share."""

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        return the_shared, ()


def the_shared():
    return SHARED


SHARED = Shared(workers=1)


def linear(**settings):
    return ta.Linear(4, 3, rng=rng(), dtype=np.float64, name="fc", **settings)


def test_layers_without_a_name_are_numbered_and_given_names_stay():
    net = ta.Sequential([relu(), relu(name="relu1"), relu(), ta.Tanh(dtype=np.float64)])
    assert [layer.name for layer in net] == ["relu2", "relu1", "relu3", "tanh"]
    assert [layer.name for layer in net[2:]] == ["relu3", "tanh"]
    pair = ta.Sequential([ta.Split(("cpu", "cpu"), dtype=np.float64), ta.Pair(relu(), relu())])
    assert [leaf.name for leaf in pair.leaves()] == ["split", "relu1", "relu2"]


def test_net_is_a_sequence():
    net = small()
    assert list(net) == list(net.layers) and len(net) == 3 and net[0] is net.layers[0] and net[-1] is net["dense2"]
    assert "dense1" in net and "conv" not in net and net[1] in net
    part, x = net[1:], values((2, 4))
    assert part.in_shape == (5,) and part.params["dense2.weight"] is net.params["dense2.weight"]
    assert np.array_equal(part(net[0](x)), net(x))
    with refuses(IndexError, "net: the index of a layer must be below 3, got 3"):
        net[3]


def test_weights_are_those_of_seed_and_name_alone():
    net = small(seed=7)
    assert np.array_equal(net.params["dense2.weight"], ta.Gaussian(1.0)((3, 5), generator(7, "dense2")).astype(np.float64))
    assert np.array_equal(small().params["dense1.weight"], small(seed=0).params["dense1.weight"])
    assert not np.array_equal(net.params["dense1.weight"], small().params["dense1.weight"])
    inner = ta.Sequential([ta.Sequential([Dense(5, name="dense1"), relu()]), Dense(3, name="dense2")], in_shape=(4,), seed=7)
    assert all(np.array_equal(inner.params[key], array) for key, array in net.params.items())
    on_sim = ta.Sequential([Dense(3, device="sim:0", name="dense2")], in_shape=(5,), seed=7)
    assert np.array_equal(on_sim[0].device.to_numpy(on_sim.params["dense2.weight"]), net.params["dense2.weight"])


def test_own_generator_is_drawn_from_in_order():
    early, late = Dense(4, 3, rng=rng()), Dense(3, rng=rng())
    ta.Sequential([late], in_shape=(4,))
    assert np.array_equal(early.weight, late.weight)


def test_layer_before_its_parameters_are_drawn_raises():
    text = "dense: the parameters must be drawn before the layer is used, got an unbuilt layer; put it into Sequential([...], in_shape=...)"
    late = Dense(3)
    for use in (
        lambda: Dense(3)(values((2, 4))), lambda: ta.Sequential([Dense(3)])(values((2, 4))), lambda: ta.SGD(Dense(3)),
        lambda: late.params["weight"], lambda: setattr(Dense(3), "weight", np.ones((3, 4))),
    ):  # fmt: skip
        with refuses(ta.CallOrderError, text):
            use()
    layer = Dense(3)
    layer.build((4,), rng())
    assert layer.weight.shape == (3, 4)


def test_locally_connected_layer_is_sized_by_what_comes_before():
    net = ta.Sequential([ta.LocallyConnected2d(4, 3, padding=1)], in_shape=(2, 5, 6))
    assert net[0].weight.shape == (5, 6, 4, 2, 3, 3) and net.shapes == ((4, 5, 6),)
    assert repr(ta.LocallyConnected2d(4, 3)) == "LocallyConnected2d('local', ?->4, input ?, kernel 3, stride 1, cpu)"
    with refuses(ta.ShapeError, "local: in_channels and in_size must both be given or both be left out, got in_channels=2 and"):
        ta.LocallyConnected2d(2, 4, 3)
    with refuses(ta.ShapeError, "local: out_channels and kernel_size must be given, got (4,)"):
        ta.LocallyConnected2d(4)


def test_convolutions_and_fully_connected_layers_are_sized_by_what_comes_before():
    def make(**sizes):
        rest = {"rng": rng()} if sizes else {}
        c, f = sizes.get("c", ()), sizes.get("f", ())
        return ta.Sequential([ta.Conv2d(*c, 4, 3, groups=2, **rest), ta.ReLU(), ta.Flatten(), ta.Linear(*f, 3, **rest)], in_shape=(2, 5, 6))

    net = make()
    assert net.shapes == make(c=(2,), f=(48,)).shapes and repr(net).splitlines()[2:] == repr(make(c=(2,), f=(48,))).splitlines()[2:]
    assert (net["conv"].in_channels, net["linear"].in_features) == (2, 48) and net["conv"].weight.shape == (4, 1, 3, 3)
    assert np.array_equal(net["linear"].weight, ta.Gaussian(0.01)((3, 48), generator(0, "linear")).astype(np.float32))
    assert repr(ta.Conv2d(4, 3)) == "Conv2d('conv', ?->4, kernel 3, stride 1, cpu)" and repr(ta.Linear(4)) == "Linear('linear', ?->4, cpu)"
    towers = ta.Sequential(
        [ta.Split(("cpu", "cpu")), ta.Pair(ta.Conv2d(2, 3, name="a"), ta.Conv2d(2, 3, name="b")), ta.Gather(("cpu", "cpu"))],
        in_shape=(3, 5, 5),
    )
    assert towers.shapes[-1] == (4, 3, 3) and towers["b"].in_channels == 3


def test_size_that_cannot_be_found_or_does_not_fit_is_refused():
    x = values((2, 3, 5, 5), 1, np.float32)
    for layer, value in ((ta.Conv2d(4, 3), x), (ta.Linear(4), x.reshape(2, -1)), (ta.Sequential([ta.Conv2d(4, 3)]), x)):
        with refuses(ta.CallOrderError, "the parameters must be drawn before the layer is used, got an unbuilt layer; put it into"):
            layer(value)
        with refuses(ta.CallOrderError, "the parameters must be drawn"):
            layer.output_shape(value.shape[1:])
    with refuses(ta.ShapeError, "conv: in_channels must be a multiple of groups=2, got 3"):
        ta.Sequential([ta.Conv2d(4, 3, groups=2)], in_shape=(3, 5, 5))
    with refuses(ta.ShapeError, "linear: x must have 2 axes (N, F), got ('N', 3, 5, 5); put Flatten() before it"):
        ta.Sequential([ta.Linear(4)], in_shape=(3, 5, 5))
    with refuses(ta.ShapeError, "conv: x must have 4 axes (N, C, H, W), got ('N', 12)"):
        ta.Sequential([ta.Conv2d(4, 3)], in_shape=(12,))
    with refuses(ta.ShapeError, "conv: out_channels and kernel_size must be given, got (4,)"):
        ta.Conv2d(4)
    with refuses(ta.ShapeError, "conv: stride must be given when the layer is made, got an assignment of 2; make a new layer"):
        ta.Conv2d(4, 3).stride = 2


def test_layers_of_a_net_cannot_be_edited():
    net = small()
    with pytest.raises(AttributeError):
        net.layers.pop()
    with refuses(ta.ShapeError, "net: layers must be given when the layer is made, got an assignment of"):
        net.layers = net.layers[:-1]
    with refuses(ta.ShapeError, "Sequential(net.layers[:-1])"):
        net.layers = []
    for layer, key, value in (
        (net, "in_shape", (5,)), (ta.LocalResponseNorm(), "n", 3), (ta.LocalContrastNorm(), "sigma", 2.0), (ta.Dropout(), "part", (0, 2)),
        (net[0], "name", "other"), (net[0], "params", {}), (ta.SpatialResponseNorm(), "n", 5),
    ):  # fmt: skip
        with refuses(ta.ShapeError, f"{key} must be given when the layer is made, got an assignment of"):
            setattr(layer, key, value)


@pytest.mark.parametrize(
    ("make", "key", "bad", "good"),
    [(ta.Dropout, "p", 1, 0.25), (ta.Dropout, "scale", "no", "train"), (ta.LocalResponseNorm, "k", 0, 1), (ta.Tanh, "a", 0, 2)],
)
def test_setting_that_every_call_reads_is_checked_when_assigned(make, key, bad, good):
    layer = make()
    before = getattr(layer, key)
    with refuses(ta.ShapeError, f"{layer.name}: {key} must be"):
        setattr(layer, key, bad)
    assert getattr(layer, key) == before
    setattr(layer, key, good)
    assert getattr(layer, key) == good


def test_assignment_copies_into_the_parameter():
    fc = linear()
    net, w = ta.Sequential([fc]), np.arange(12.0).reshape(3, 4)
    array = fc.params["weight"]
    for assign in (
        lambda v: net.params.__setitem__("fc.weight", v), lambda v: fc.params.__setitem__("weight", v), lambda v: setattr(fc, "weight", v),
        lambda v: net.params.update({"fc.weight": v}), lambda v: setattr(net["fc"], "weight", v.astype(np.float32).tolist()),
    ):  # fmt: skip
        array[...] = 0
        assign(w)
        assert fc.params["weight"] is net.params["fc.weight"] is array and np.array_equal(array, w) and array is not w
    net.params["fc.weight"] *= 2
    net.grads["fc.bias"] = [1, 2, 3]
    assert np.array_equal(fc.weight, 2 * w) and fc.grads["bias"].tolist() == [1, 2, 3]


def test_assignment_that_does_not_fit_raises():
    net = ta.Sequential([linear()])
    before = net.params["fc.weight"].copy()
    for value, text in (
        (np.ones((4, 3)), "net: fc.weight must have shape (3, 4) and hold real numbers, got float64 array of shape (4, 3)"),
        (np.full((3, 4), np.nan), "net: fc.weight must hold finite numbers only"),
        (np.full((3, 4), "a"), "net: fc.weight must have shape (3, 4) and hold real numbers"),
    ):
        with refuses(ta.ShapeError, text):
            net.params["fc.weight"] = value
    with refuses(ta.ShapeError, "net: parameter must be one of fc.weight, fc.bias, got 'weight'"):
        net.params["weight"] = before
    with refuses(KeyError, "net: gradient must be one of fc.weight, fc.bias, got 'weight'"):
        net.grads["weight"]
    for remove in (lambda: net.params.pop("fc.weight"), net["fc"].params.clear, lambda: net.grads.__delitem__("fc.bias")):
        with refuses(ta.ShapeError, "must stay as long as the layer, got a removal"):
            remove()
    net.freeze()
    with refuses(ta.CallOrderError, "fc must not be frozen when its parameters are written"):
        net.params["fc.weight"] = before
    assert np.array_equal(net.params["fc.weight"], before)


class Fails(ta.ReLU):
    """A ReLU that is interrupted."""

    error, when = KeyboardInterrupt, ""

    def forward(self, x, *, train=False):
        if self.when == "forward":
            raise self.error
        return super().forward(x, train=train)

    def backward(self, dout):
        if self.when == "backward":
            raise self.error
        return super().backward(dout)


@pytest.mark.parametrize("error", [KeyboardInterrupt, FloatingPointError])
@pytest.mark.parametrize("when", ["forward", "backward"])
def test_pass_that_is_cut_off_leaves_nothing_behind(error, when):
    fails = Fails(dtype=np.float64)
    net = ta.Sequential([Dense(5), fails, Dense(3)], in_shape=(4,))
    x, dout = values((2, 4)), values((2, 3), 2)
    net.forward(x, train=True)
    net.backward(dout)
    expected = {key: grad.copy() for key, grad in net.grads.items()}
    net.zero_grad()
    fails.error, fails.when = error, when
    with pytest.raises(error):
        net.forward(x, train=True)
        net.backward(dout)
    assert not any(grad.any() for grad in net.grads.values()) and all(leaf._cache is None for leaf in net.leaves())
    fails.when = ""
    net.forward(x, train=True)
    net.backward(dout)
    assert all(np.array_equal(grad, expected[key]) for key, grad in net.grads.items())


def test_refused_backward_and_cut_off_evaluation_leave_the_gradients():
    net = small()
    net.forward(values((2, 4)), train=True)
    net.backward(values((2, 3), 2))
    with refuses(ta.CallOrderError, "backward must follow a forward(train=True)"):
        net.backward(values((2, 3), 2))
    assert all(grad.any() for grad in net.grads.values())


def test_tower_that_is_cut_off_clears_both():
    fails = Fails(name="b", dtype=np.float64)
    fails.when = "backward"
    pair = ta.Pair(Dense(4, 3, rng=rng(), name="a"), fails)
    pair.forward((values((2, 4)), values((2, 3))), train=True)
    with pytest.raises(KeyboardInterrupt):
        pair.backward((values((2, 3)), values((2, 3))))
    assert not pair.left.grads["weight"].any() and pair.left._cache is None and fails._cache is None


def test_forward_of_a_subclass_is_called():
    class Doubled(ta.ReLU):
        def forward(self, x, *, train=False):
            return 2 * super().forward(x, train=train)

    class Shifted(ta.Conv2d):
        def forward(self, x, *, train=False):
            return super().forward(x, train=train) + 1

    x, conv = values((2, 2, 5, 5), 1, np.float32), ta.Conv2d(2, 3, 3, rng=rng())
    assert np.array_equal(ta.Sequential([conv, Doubled()])(x), 2 * np.maximum(conv(x), 0))
    assert np.array_equal(ta.Sequential([Shifted(2, 3, 3, rng=rng()), ta.ReLU()])(x), np.maximum(conv(x) + 1, 0))


class Residual(Layer):
    """A container that forgets to say what is inside it."""

    def __init__(self, inner):
        super().__init__("residual", dtype=np.float64)
        self.inner = inner

    def forward(self, x, *, train=False):
        return x + self.inner.forward(x, train=train)

    def backward(self, dout):
        return dout + self.inner.backward(dout)


def test_layers_that_leaves_does_not_give_are_refused():
    for inner in (Dense(4, 4, rng=rng()), [Dense(4, 4, rng=rng())], ta.Sequential([Dense(4, 4, rng=rng())])):
        for use in (lambda layer: ta.Sequential([layer]), ta.SGD, lambda layer: check_layer(layer, values((2, 4)))):
            with refuses(ta.ShapeError, "leaves() of 'residual' must yield the layers inside it, got none for"):
                use(Residual(inner))


def test_deep_copy_and_pickle_train_on_their_own():
    net = small(SHARED)
    sgd, x, dout = ta.SGD(net, lr=0.1), values((2, 4)), values((2, 3), 2)
    net.forward(x, train=True)
    for again in (copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))):
        before = {key: array.copy() for key, array in net.params.items()}
        twin, its_sgd = again((net, sgd))
        assert its_sgd.net is twin
        assert all(twin.params[f"{leaf.name}.{key}"] is a for leaf in twin.leaves() for key, a in leaf.params.items())
        twin.forward(x, train=True)
        twin.backward(dout)
        its_sgd.step()
        assert all(np.array_equal(net.params[key], array) for key, array in before.items())
        assert not np.array_equal(twin.params["dense1.weight"], before["dense1.weight"])
        twin.params["dense1.weight"] = before["dense1.weight"]
        assert np.array_equal(twin[0].weight, before["dense1.weight"]) and twin[0].weight is not net[0].weight


def test_copy_of_a_frozen_net_is_frozen():
    net = small(SHARED)
    net.freeze()
    twin = copy.deepcopy(net)
    assert twin[0].frozen and not twin[0].weight.flags.writeable
    twin.thaw()
    assert twin[0].weight.flags.writeable and not net[0].weight.flags.writeable


def trained(device="cpu"):
    layers = [ta.Conv2d(4, 3, device=device), ta.ReLU(device=device), ta.Flatten(device=device), ta.Linear(3, device=device)]
    net = ta.Sequential(layers, in_shape=(3, 6, 6))
    sgd, x = ta.SGD(net), net.device.asarray(values((2, 3, 6, 6), 1, np.float32))
    net.backward(net.forward(x, train=True))
    sgd.step()
    return sgd


def frozen():
    net = trained().net
    net.freeze()
    net(values((2, 3, 6, 6), 1, np.float32))
    return net


@pytest.mark.parametrize(
    "make",
    [
        linear, small, trained, frozen, lambda: trained(ta.CpuDevice(workers=2)).net, lambda: trained("sim:0").net,
        lambda: copy.deepcopy(trained().net), lambda: ta.models.build("cifar-alexnet", towers=2),
    ],
)  # fmt: skip
def test_what_nobody_uses_is_freed_at_once(make):
    gc.collect()
    gc.disable()
    try:
        gone = weakref.ref(make())
        assert gone() is None
    finally:
        gc.enable()


def test_parameters_without_their_layer_are_a_dict():
    params = linear().params
    params["weight"] = params["other"] = 3
    assert params["weight"] == params["other"] == 3
    net = ta.Sequential([linear()])
    alone = copy.deepcopy(net["fc"].params)
    alone["weight"][...] = 0
    alone["weight"] = None
    assert alone["weight"] is None and net["fc"].weight.any()

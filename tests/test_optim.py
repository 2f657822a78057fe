"""Stochastic gradient descent, checked number by number against section 5 of the paper."""

import math
import threading

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.devices import CpuDevice
from tinyalex.devices.sim import SimDevice, current_device


def linear(name="fc", device="cpu", dtype=np.float64):
    return ta.Linear(3, 2, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), name=name, device=device, dtype=dtype)


def paper_5(w, v, grad, lr, momentum=0.9, decay=0.0005):
    """v <- 0.9 v - 0.0005 lr w - lr dL/dw, w <- w + v, for one number."""
    v = momentum * v - decay * lr * w - lr * grad
    return w + v, v


@pytest.mark.parametrize("multipliers", [None, {"*.bias": (2, 0)}], ids=["alike", "authors"])
def test_several_steps_and_a_change_of_rate_agree_with_paper_5(multipliers):
    net = linear()
    sgd = ta.SGD(net, lr=0.5, multipliers=multipliers)
    expected = {key: [(float(w), 0.0) for w in net.params[key].ravel()] for key in net.params}
    factors = {"weight": (1, 1), "bias": (2, 0) if multipliers else (1, 1)}
    for step, lr in enumerate([0.5, 0.5, 0.5, 0.05, 0.05, 0.0, 0.05]):
        sgd.lr = lr
        for key, pairs in expected.items():
            grad = values(net.params[key].shape, seed=step)
            net.grads[key][...] = grad
            of_lr, of_decay = factors[key]
            expected[key] = [paper_5(w, v, g, lr * of_lr, decay=5e-4 * of_decay) for (w, v), g in zip(pairs, grad.ravel(), strict=True)]
        sgd.step()
        for key, pairs in expected.items():
            assert np.allclose(net.params[key].ravel(), [w for w, _ in pairs], rtol=1e-14, atol=1e-15)
            assert np.allclose(sgd.velocity[f"fc.{key}"].ravel(), [v for _, v in pairs], rtol=1e-14, atol=1e-15)


def test_step_sets_gradients_to_0():
    net = linear()
    sgd = ta.SGD(net, multipliers={"fc.bias": (0, 0)})
    for grad in net.grads.values():
        grad.fill(3)
    sgd.step()
    assert not any(grad.any() for grad in net.grads.values())


def test_factor_0_of_lr_leaves_parameter_and_velocity():
    net = linear()
    sgd = ta.SGD(net, lr=0.1, multipliers={"fc.weight": (0, 1)})
    sgd.velocity["fc.weight"][...] = 7
    weight, bias = net.params["weight"].copy(), net.params["bias"].copy()
    for grad in net.grads.values():
        grad.fill(1)
    sgd.step()
    assert np.array_equal(net.params["weight"], weight) and (sgd.velocity["fc.weight"] == 7).all()
    assert not np.array_equal(net.params["bias"], bias)


def test_rate_0_moves_on_by_velocity_alone():
    net = linear()
    sgd = ta.SGD(net, lr=0)
    sgd.velocity["fc.weight"][...] = 1
    weight = net.params["weight"].copy()
    net.grads["weight"].fill(5)
    sgd.step()
    assert np.allclose(net.params["weight"], weight + 0.9, rtol=1e-15, atol=0)


def test_last_matching_pattern_counts():
    net = ta.Sequential([linear("fc1"), ta.Linear(2, 2, rng=rng(), name="fc2", dtype=np.float64)])
    sgd = ta.SGD(net, lr=1, momentum=0, weight_decay=0, multipliers={"*.bias": (2, 0), "fc2.*": (3, 1)})
    before = {key: value.copy() for key, value in net.params.items()}
    for grad in net.grads.values():
        grad.fill(1)
    sgd.step()
    moved = {key: float((before[key] - net.params[key]).mean()) for key in before}
    assert moved == pytest.approx({"fc1.weight": 1, "fc1.bias": 2, "fc2.weight": 3, "fc2.bias": 3}, rel=1e-14)


def test_velocity_holds_every_parameter_of_a_nested_net_in_order():
    inner = ta.Sequential([linear("fc1"), ta.ReLU(dtype=np.float64)], name="inner")
    net = ta.Sequential([inner, ta.Linear(2, 2, rng=rng(), name="fc2", dtype=np.float64)])
    assert list(ta.SGD(net).velocity) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_parameters_and_gradients_stay_the_same_arrays():
    net = linear()
    sgd = ta.SGD(net)
    arrays = [*net.params.values(), *net.grads.values(), *sgd.velocity.values()]
    sgd.step()
    assert all(a is b for a, b in zip(arrays, [*net.params.values(), *net.grads.values(), *sgd.velocity.values()], strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_with_numpy_settings(dtype):
    net = linear(dtype=dtype)
    sgd = ta.SGD(net, lr=np.float64(0.1), momentum=np.float64(0.5), weight_decay=np.float64(0.1))
    sgd.step()
    assert {array.dtype for array in (*net.params.values(), *net.grads.values(), *sgd.velocity.values())} == {np.dtype(dtype)}


def test_workers_and_the_simulated_device_agree():
    results = []
    for device in (ta.CpuDevice(workers=1), ta.CpuDevice(workers=3), ta.get_device("sim:0")):
        net = ta.Linear(300, 200, rng=rng(), device=device, dtype=np.float64)
        sgd = ta.SGD(net, lr=0.1)
        for step in range(2):
            net.grads["weight"][...] = device.asarray(values((200, 300), seed=step))
            sgd.step()
        results.append(device.to_numpy(net.params["weight"]))
    assert np.array_equal(results[0], results[1])
    assert np.allclose(results[0], results[2], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"lr": -1}, "sgd: lr must be a finite number of at least 0, got -1"),
        ({"lr": math.nan}, "sgd: lr must be a finite number of at least 0, got nan"),
        ({"lr": "0.1"}, "sgd: lr must be a finite number of at least 0, got '0.1'"),
        ({"momentum": 1}, "sgd: momentum must be from 0 to below 1, got 1"),
        ({"momentum": -0.1}, "sgd: momentum must be from 0 to below 1, got -0.1"),
        ({"weight_decay": -1}, "sgd: weight_decay must be a finite number of at least 0, got -1"),
        ({"weight_decay": math.inf}, "sgd: weight_decay must be a finite number of at least 0, got inf"),
        ({"multipliers": {"conv*": (1, 1)}}, "sgd: a pattern of multipliers must match one of fc.weight, fc.bias, got 'conv*'"),
        ({"multipliers": {"FC.*": (1, 1)}}, "sgd: a pattern of multipliers must match one of fc.weight, fc.bias, got 'FC.*'"),
        ({"multipliers": {3: (1, 1)}}, "sgd: a pattern of multipliers must match one of fc.weight, fc.bias, got 3"),
        ({"multipliers": ["*"]}, "sgd: multipliers must be a dict of patterns, such as {'*.bias': (2, 0)}, got ['*']"),
        ({"multipliers": {"*": 2}}, "sgd: the multipliers of '*' must be two numbers, for lr and for weight_decay, got 2"),
        ({"multipliers": {"*": (1, 2, 3)}}, "sgd: the multipliers of '*' must be two numbers, for lr and for weight_decay, got (1, 2, 3)"),
        ({"multipliers": {"*": (1, -2)}}, "sgd: a multiplier of '*' must be a finite number of at least 0, got -2"),
    ],
)
def test_bad_settings_raise(settings, text):
    with refuses(ta.ShapeError, text):
        ta.SGD(linear(), **settings)


@pytest.mark.parametrize("net", [3, None, ta.Linear])
def test_what_is_no_network_raises(net):
    with refuses(ta.ShapeError, f"sgd: net must be a layer or a network, got {net!r}"):
        ta.SGD(net)


def test_gradient_of_factor_0_is_zeroed_on_its_own_device():
    net, seen = linear(device="sim:1"), []

    class Seen:
        def fill(self, value):
            seen.append((current_device(), value))

    sgd = ta.SGD(net, multipliers={"*": (0, 0)})
    dict.__setitem__(net.grads, "bias", Seen())
    sgd.step()
    assert seen == [(net.device, 0)]


def test_lr_is_checked_when_assigned():
    sgd = ta.SGD(linear(), lr=0.1)
    with refuses(ta.ShapeError, "sgd: lr must be a finite number of at least 0, got inf"):
        sgd.lr = math.inf
    assert sgd.lr == 0.1


def test_two_devices_are_updated_at_the_same_time(monkeypatch):
    met, begun, shipped = threading.Barrier(2, timeout=20), set(), CpuDevice.map_blocks

    def meet(device, *args, **keywords):
        if device.name not in begun:
            begun.add(device.name)
            met.wait()  # for the other device's first update
        return shipped(device, *args, **keywords)

    a, b = (linear(f"fc{i}", CpuDevice(f"cpu:{i}", workers=1)) for i in range(2))
    sgd = ta.SGD(ta.Sequential([ta.Pair(a, b)]), lr=0.1, momentum=0.0, weight_decay=0.0)
    expected = [layer.params["weight"] - 0.1 for layer in (a, b)]
    for layer in (a, b):
        layer.grads["weight"][...] = 1
    monkeypatch.setattr(CpuDevice, "map_blocks", meet)
    sgd.step()
    assert begun == {"cpu:0", "cpu:1"}
    for layer, weight in zip((a, b), expected, strict=True):
        assert np.allclose(layer.params["weight"], weight) and not layer.grads["weight"].any()


@pytest.mark.parametrize("name", ["momentum", "weight_decay"])
@pytest.mark.parametrize("value", ["0.9", -0.1, math.nan, math.inf, None])
def test_settings_are_checked_when_assigned_and_a_refused_one_changes_nothing(name, value):
    sgd = ta.SGD(linear(), lr=0.1, momentum=0.5, weight_decay=0.25)
    with refuses(ta.ShapeError, f"sgd: {name} must be "):
        setattr(sgd, name, value)
    assert (sgd.momentum, sgd.weight_decay) == (0.5, 0.25)


def test_momentum_of_2_is_refused_and_0_is_taken_by_the_next_step():
    net = linear()
    sgd = ta.SGD(net, lr=1, weight_decay=0.5)
    with refuses(ta.ShapeError, "sgd: momentum must be from 0 to below 1, got 2.0"):
        sgd.momentum = 2.0
    sgd.momentum = sgd.weight_decay = np.float64(0)
    assert type(sgd.momentum) is float and type(sgd.weight_decay) is float
    sgd.velocity["fc.weight"][...] = 9
    before = net.params["weight"].copy()
    sgd.step()
    assert np.array_equal(net.params["weight"], before)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 3.0])
def test_factor_of_weight_decay_scales_it(factor):
    net = linear()
    sgd = ta.SGD(net, lr=0.5, momentum=0, weight_decay=0.1, multipliers={"fc.weight": (1, factor)})
    before = net.params["weight"].copy()
    sgd.step()
    assert np.allclose(net.params["weight"], before * (1 - 0.5 * 0.1 * factor), rtol=1e-14, atol=0)


def test_parameters_in_place_of_a_net_are_told_what_to_pass():
    with refuses(ta.ShapeError, "sgd: net must be a layer or a network, got a dict of 2 arrays; pass the net itself, SGD(net)"):
        ta.SGD(linear().params)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, FloatingPointError])
def test_step_that_is_stopped_halfway_leaves_zero_gradients_and_refuses_the_next(stop, monkeypatch):
    net = ta.Sequential([linear("fc1"), ta.Linear(2, 2, rng=rng(), name="fc2", dtype=np.float64)])
    sgd, shipped, left = ta.SGD(net, lr=0.1), CpuDevice.map_blocks, iter([True, True])
    for grad in net.grads.values():
        grad.fill(1)

    def stopped(device, *args, **keywords):
        if not next(left, False):
            raise stop
        return shipped(device, *args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(CpuDevice, "map_blocks", stopped)
        with pytest.raises(stop):
            sgd.step()
    assert not any(grad.any() for grad in net.grads.values()) and not sgd.whole and sgd.steps == 0
    before = {key: value.copy() for key, value in net.params.items()}
    with refuses(ta.CallOrderError, "sgd: the parameters must all have the same steps, got a step that was stopped halfway; load a "):
        sgd.step()
    assert all(np.array_equal(net.params[key], value) for key, value in before.items())
    again = ta.SGD(net, lr=0.1)
    again.step()
    assert again.whole and again.steps == 1


def test_velocity_that_dies_out_is_no_error_under_strict_arithmetic():
    net = ta.Linear(3, 2, rng=rng())
    sgd = ta.SGD(net, lr=1e-3)
    sgd.velocity["linear.weight"][...] = 1e-38
    net.grads["weight"][...] = 1e-37
    with np.errstate(all="raise"):
        sgd.step()
    assert sgd.steps == 1


def test_rate_is_001_unless_chosen_and_a_schedule_does_not_choose_it():
    sgd = ta.SGD(linear())
    assert sgd.lr == 0.01 and sgd.chosen_lr is None
    sgd.follow(0.5)
    assert sgd.lr == 0.5 and sgd.chosen_lr is None
    sgd.lr = 0.25
    assert sgd.lr == sgd.chosen_lr == ta.SGD(linear(), lr=0.25).chosen_lr == 0.25
    with refuses(ta.ShapeError, "sgd: lr must be a finite number of at least 0, got nan"):
        sgd.follow(math.nan)


def test_what_cannot_be_trained_is_refused_when_the_optimizer_is_made():
    with refuses(ta.CallOrderError, "fc: the parameters must be drawn before the layer is used, got an unbuilt layer"):
        ta.SGD(ta.Linear(3, 2, name="fc"))
    with refuses(ta.ShapeError, "sgd: net must have parameters, got ReLU('relu', cpu)"):
        ta.SGD(ta.ReLU())

    class Block(ta.Layer):
        """A layer around another, which it tells nobody about."""

        def __init__(self):
            super().__init__("block", "cpu", np.float64)
            self.part = linear()

    with refuses(ta.ShapeError, "sgd: leaves() of 'block' must yield the layers inside it, got none for 'fc'"):
        ta.SGD(Block())


def test_frozen_parameter_stops_the_step_before_anything_moves():
    net = ta.Sequential([linear("fc1"), ta.Linear(2, 2, rng=rng(), name="fc2", dtype=np.float64)])
    sgd, before = ta.SGD(net, lr=0.1), {key: value.copy() for key, value in net.params.items()}
    net["fc2"].freeze()
    with refuses(ta.CallOrderError, "sgd: fc2 must not be frozen when its parameters are written, got a frozen layer; call thaw()"):
        sgd.step()
    assert sgd.whole and sgd.steps == 0 and all(np.array_equal(net.params[key], value) for key, value in before.items())


def test_layer_with_a_single_parameter_is_trained():
    class Gain(ta.Layer):
        """One factor for all."""

        def __init__(self):
            super().__init__("gain", "cpu", np.float64)
            self.begin(rng(), gain=ta.Constant(3.0))

        def param_shapes(self):
            return {"gain": (1,)}

    layer = Gain()
    layer.grads["gain"].fill(2)
    ta.SGD(layer, lr=0.5, weight_decay=0).step()
    assert layer.params["gain"].tolist() == [2.0]


def test_every_device_of_three_is_activated():
    devices = [SimDevice(i) for i in range(1, 4)]
    layers = [linear(f"fc{i}", device) for i, device in enumerate(devices)]
    sgd = ta.SGD(ta.Sequential([ta.Pair(ta.Pair(*layers[:2]), layers[2])]), lr=0.1, multipliers={"*.bias": (0, 0)})
    for layer in layers:
        layer.grads["bias"].fill(1)
    with devices[0].limits(activated=True), devices[1].limits(activated=True), devices[2].limits(activated=True):
        sgd.step()
    assert not any(float(layer.grads["bias"].sum()) for layer in layers)

"""What a gradient check writes and reads, and on which device."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng
from tinyalex.devices.sim import SimDevice, current_device
from tinyalex.devices.sim_array import SimArray
from tinyalex.gradcheck import check_directions, check_layer, check_network, kink_free
from tinyalex.gradcheck.subject import Subject

F64 = {"dtype": np.float64}


def two_towers(devices):
    settings = {"weight_init": ta.Gaussian(0.5), "bias_init": ta.Gaussian(0.5), **F64}
    sides = [ta.Linear(4, 3, rng=rng(i), name=f"fc1{'ab'[i]}", device=device, **settings) for i, device in enumerate(devices)]
    last = ta.Linear(6, 3, rng=rng(2), name="fc2", device=devices[0], **settings)
    return ta.Sequential([ta.Split(devices, **F64), ta.Pair(*sides), ta.Gather(devices, **F64), last], in_shape=(4,))


PLACES = [("sim:0", "sim:1"), ("sim:0", "sim:0"), ("cpu:0", "cpu:1")]


@pytest.mark.parametrize("devices", PLACES, ids=",".join)
def test_towers_on_two_devices_are_checked(devices):
    net, x = two_towers(devices), kink_free((2, 4), rng())
    tensors = {"x", *(f"{layer}.{key}" for layer in ("fc1a", "fc1b", "fc2") for key in ("weight", "bias"))}
    loss = ta.SoftmaxCrossEntropy(device=devices[0], **F64)
    for checks in (check_layer(net, x), check_network(net, loss, x, [0, 2], elements=2), check_directions(net, loss, x, [0, 2])):
        assert {check.what for check in checks if "twice" not in check.what} == tensors
        assert all(check.passed for check in checks)


def test_parameters_are_written_and_restored_each_on_its_own_device(monkeypatch):
    devices = SimDevice(0), SimDevice(1)
    net, seen = two_towers(devices), set()
    owners = {id(param): leaf.device for leaf in net.leaves() for param in leaf.params.values()}
    before = {what: np.array(leaf.device.to_numpy(leaf.params[what])) for leaf in net.leaves() for what in leaf.params}
    plain = SimArray.__setitem__

    def writes(array, key, value):
        if id(array) in owners:
            seen.add((owners[id(array)].name, current_device().name))
        plain(array, key, value)

    monkeypatch.setattr(SimArray, "__setitem__", writes)
    check_layer(net, kink_free((2, 4), rng()))
    assert seen == {("sim:0", "sim:0"), ("sim:1", "sim:1")}
    after = {what: np.array(leaf.device.to_numpy(leaf.params[what])) for leaf in net.leaves() for what in leaf.params}
    assert all(np.array_equal(before[what], after[what]) for what in before)


def test_names_are_the_network_s_or_a_single_layer_s_own():
    net = two_towers(("cpu:0", "cpu:1"))
    x = kink_free((2, 4), rng())
    assert list(Subject(net, x, net.forward, net.backward).params) == list(net.params)
    assert list(Subject(net["fc1a"], x, net.forward, net.backward).params) == ["weight", "bias"]


def test_masks_are_the_same_in_every_run():
    drop, x = ta.Dropout(seed=1, **F64), kink_free((4, 9), rng())
    subject = Subject(drop, x, lambda value: drop.forward(value, train=True), drop.backward)
    assert np.array_equal(subject.run(), subject.run()) and drop.step == 0


def test_float32_is_refused():
    relu = ta.ReLU()
    with refuses(ta.ShapeError, "gradcheck: relu and x must be float64, got float32 and float64 array of shape (2, 3)"):
        Subject(relu, np.ones((2, 3)), relu.forward, relu.backward)

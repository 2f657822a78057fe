"""The device of networks that are only counted."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import DeviceError
from tinyalex.models import alexnet


def test_alexnet_takes_little_memory():
    tracemalloc.start()
    net = alexnet(devices=DryDevice())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(weight.size for weight in net.params.values()) == 60_965_224
    assert peak < 100e6


def test_computing_raises():
    net = alexnet(devices=DryDevice("cpu:0"), width=1 / 16, input_size=67)
    with pytest.raises(DeviceError, match="cpu:0: the network must be built on a device to compute, got one that was built to be counted"):
        net.forward(np.zeros((1, 3, 67, 67), np.float32))


@pytest.mark.parametrize("kind", ["cpu", "sim", "cuda"])
def test_kind_is_that_of_the_device_it_stands_for_whatever_its_name(kind):
    device = DryDevice("laptop", stands_for=kind)
    assert device.kind == kind and device.name == "laptop" and DryDevice("sim:0").kind == "cpu"


def test_unknown_kind_raises():
    with refuses(DeviceError, "cpu: stands_for must be cpu, sim or cuda, got 'dry'"):
        DryDevice(stands_for="dry")


@pytest.mark.parametrize(
    "ask",
    [
        lambda device, x: device.to_numpy(x),
        lambda device, x: device.copy_from(x, device),
        lambda device, x: device.owns(x),
        lambda device, x: device.scratch(),
        lambda device, x: device.block_size(4, 100),
    ],
    ids=["to_numpy", "copy_from", "owns", "scratch", "block_size"],
)
def test_nothing_that_needs_values_is_done(ask):
    device = DryDevice("laptop")
    with refuses(DeviceError, "laptop: the network must be built on a device to compute, got one that was built to be counted"):
        ask(device, device.zeros((2, 3)))


def test_it_is_a_device_with_a_name_and_a_log_like_the_others():
    device = DryDevice()
    assert (device.name, device.kind, device.received.nbytes) == ("cpu", "cpu", 0)


def test_what_is_given_becomes_an_array():
    array = DryDevice().asarray([1, 2], np.float32)
    assert array.tolist() == [1, 2] and array.dtype == np.float32


def test_a_net_of_billions_of_parameters_is_counted_in_no_time():
    tracemalloc.start()
    net = alexnet(width=8, devices=DryDevice())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(weight.size for weight in net.params.values()) > 3e9 and peak < 10e6

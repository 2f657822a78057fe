"""Two towers on `cuda:0,cuda:1`, on the stand-in for CuPy: NumPy computes, the cards and the copies are counted."""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tests.devices.test_cuda import StubArray, card_now, make_cupy
from tinyalex.devices.cuda import CudaDevice
from tinyalex.models import join_state
from tinyalex.models.cifar_alexnet import cifar_alexnet

N, STEPS = 4, 3
BYTES = 12_032  # an image and direction as float32: conv3 64*36 and fc6 576, both ways; fc8 128, one way; 4 bytes each


class OneCard:
    """A NumPy function as CuPy has it: it takes arrays of the current card alone, and leaves its results there."""

    def __init__(self, f):
        self.f = f

    def __call__(self, *args, **keywords):
        for array in (*args, keywords.get("out")):
            assert not isinstance(array, np.ndarray) or (isinstance(array, StubArray) and array.card == card_now()), self.f
        result = self.f(*args, **keywords)
        if isinstance(result, np.ndarray) and result is not keywords.get("out"):
            result = result.view(StubArray)
            result.card = card_now()
        return result

    def __getattr__(self, name):
        return OneCard(getattr(self.f, name))


@pytest.fixture
def cards(monkeypatch):
    """Both cards of a stand-in that has every function of NumPy, and as much memory as the net takes."""
    stub = make_cupy()
    stub.free = 1 << 30

    def other(name):
        value = getattr(np, name)
        return OneCard(value) if callable(value) and not isinstance(value, type) else value

    floats = stub.empty
    stub.empty = lambda shape, dtype=float: (floats if np.dtype(dtype).kind == "f" else stub.zeros)(shape, dtype)  # NaN is no integer
    stub.__getattr__ = other
    for name in ("add", "matmul", "multiply"):
        setattr(stub, name, OneCard(getattr(np, name)))
    monkeypatch.setitem(sys.modules, "cupy", stub)
    return stub, [CudaDevice(0), CudaDevice(1)]


def on_host(net, what):
    return {f"{leaf.name}.{key}": leaf.device.to_numpy(array) for leaf in net.leaves() for key, array in getattr(leaf, what).items()}


def close(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.abs(found[name] - array).max() <= 1e-12 * np.abs(array).max(), name


def test_two_cards_are_their_one_device_twin_and_send_what_is_counted(cards):
    cupy, devices = cards
    nets = [cifar_alexnet(devices=ta.CpuDevice(workers=1), dtype=np.float64), cifar_alexnet(2, devices=devices, dtype=np.float64)]
    heads = [ta.SoftmaxCrossEntropy(device=net.device, dtype=np.float64) for net in nets]
    sgds = [ta.SGD(net, lr=0.05) for net in nets]
    cupy.calls.clear()
    for step in range(STEPS):
        losses = []
        for net, head in zip(nets, heads, strict=True):
            losses.append(float(head.forward(net.forward(values((N, 3, 24, 24), step), train=True), np.arange(N), train=True)))
            net.backward(head.backward())
        assert losses[1] == pytest.approx(losses[0], rel=1e-12)
        close(join_state(on_host(nets[1], "grads")), on_host(nets[0], "grads"))
        for sgd in sgds:
            sgd.step()
    close(join_state(on_host(nets[1], "params")), on_host(nets[0], "params"))
    assert sum(device.received.nbytes for device in devices) == STEPS * N * 2 * 2 * BYTES == 577_536  # float64, forward and backward
    by_link = Counter(entry.label for device in devices for entry in device.received.entries)
    assert by_link == {"conv3_link": 4 * STEPS, "fc6_link": 4 * STEPS, "fc8_link": 2 * STEPS}
    assert Counter(call[0] for call in cupy.calls if call[0] in ("record", "wait")) == {"record": 20 * STEPS, "wait": 20 * STEPS}


def test_layers_stand_on_their_card_and_the_thread_goes_back(cards):
    _, devices = cards
    net = cifar_alexnet(2, devices=devices)
    for leaf in net.leaves():
        assert leaf.device is devices[leaf.name.endswith("b")]
        assert all(leaf.device.owns(array) for array in (*leaf.params.values(), *leaf.grads.values()))
    net.forward(values((N, 3, 24, 24), dtype=np.float32))
    assert card_now() == 0


def test_room_that_ends_on_one_card_names_layer_and_card(cards):
    cupy, devices = cards
    net = cifar_alexnet(2, devices=devices)
    cupy.free = 1 << 16
    with pytest.raises(ta.OutOfMemory, match=r"^\w+: cuda:[01]: an array does not fit, 65,536 of [\d,]+ bytes are left; use a smaller"):
        net.forward(values((N, 3, 24, 24), dtype=np.float32), train=True)

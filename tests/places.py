"""The devices of tests that have one body for all: a CPU and a simulated GPU, or the real GPUs that TINYALEX_TEST_DEVICES names.

    TINYALEX_TEST_DEVICES=cuda:0 python -m pytest tests/test_contract.py tests/training tests/models tests/towers tests/gradcheck
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import tinyalex as ta
from tinyalex.devices import Device
from tinyalex.devices.sim import SimDevice

REAL = tuple(filter(None, os.environ.get("TINYALEX_TEST_DEVICES", "").split(",")))
PLACES = ("cpu", "card")
every_place = pytest.mark.parametrize("place", PLACES)


def card(number: int = 0) -> Device:
    """A new simulated GPU, or a real one, without a log of copies. Where fewer are named, one stands for several."""
    device = ta.get_device(REAL[number % len(REAL)]) if REAL else SimDevice(number)
    device.received.clear()
    return device


def device_of(place: str, workers: int = 1) -> Device:
    """A device for "cpu" or "card"."""
    return ta.CpuDevice(workers=workers) if place == "cpu" else card()


def two_devices_of(place: str) -> tuple[Device, Device]:
    """The devices of two towers."""
    return (ta.CpuDevice("cpu:0", workers=1), ta.CpuDevice("cpu:1", workers=1)) if place == "cpu" else (card(0), card(1))


def host(device: Device, x: Any) -> np.ndarray[Any, Any]:
    """A copy of an array of the device, as a NumPy array."""
    return np.array(device.to_numpy(x))


class Hosted:
    """A layer on any device; `forward` and `backward` take and return arrays of the host, and `params` and `grads` are copies there."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def forward(self, x: Any, train: bool = False) -> np.ndarray[Any, Any]:
        device = self.layer.device
        return host(device, self.layer.forward(device.asarray(x), train=train))

    def backward(self, dout: Any) -> np.ndarray[Any, Any] | None:
        device = self.layer.device
        dx = self.layer.backward(device.asarray(dout))
        return None if dx is None else host(device, dx)

    @property
    def params(self) -> dict[str, np.ndarray[Any, Any]]:
        return {key: host(self.layer.device, value) for key, value in self.layer.params.items()}

    @property
    def grads(self) -> dict[str, np.ndarray[Any, Any]]:
        return {key: host(self.layer.device, value) for key, value in self.layer.grads.items()}

    def set(self, **params: Any) -> None:
        """Give parameters these values."""
        with self.layer.device.activate():
            for key, value in params.items():
                self.layer.params[key][...] = self.layer.device.asarray(np.asarray(value, self.layer.dtype))


def on(place: str, make: Any, *args: Any, **settings: Any) -> Hosted:
    """A layer of this class on a device for "cpu" or "card"."""
    return Hosted(make(*args, device=device_of(place), **settings))

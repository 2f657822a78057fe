"""A device whose arrays have no values, for networks that are built only to be counted.

AlexNet's 61 million weights and their gradients take half a gigabyte, and a second to draw. A net that is only counted is built
on a `DryDevice`, whose arrays have a shape and a single element in memory.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tinyalex.devices.base import KINDS, Array, Device, Scratch
from tinyalex.errors import DeviceError, show, show_choices


class DryDevice(Device):
    """A device for networks that are never run. Every array is a view in which each element is the same zero.

    Parameters
    ----------
    name: the name of the device in tables, such as "cpu:0".
    stands_for: "cpu", "sim" or "cuda", the `kind` of the device on which the network would run. Algorithms are chosen for it.

    Raises
    ------
    DeviceError: `stands_for` is another kind, or the network is run.

    Example
    -------
    >>> from tinyalex.models import alexnet
    >>> net = alexnet(devices=DryDevice("cpu"))
    >>> sum(weight.size for weight in net.params.values())
    60965224
    """

    xp = np

    def __init__(self, name: str = "cpu", stands_for: str = "cpu") -> None:
        super().__init__()
        if stands_for not in KINDS:
            raise DeviceError(f"{name}: stands_for must be {show_choices(KINDS)}, got {show(stands_for)}")
        self.name, self.kind = name, stands_for

    def settings(self) -> dict[str, Any]:
        return {"name": self.name, "stands_for": self.kind}

    def draw(self, init: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        return np.broadcast_to(np.float32(0), shape)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, (0,) * len(shape))

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return self.empty(shape, dtype)

    def filled(self, values: np.ndarray[Any, Any], dtype: Any) -> Array:
        return self.empty(values.shape, dtype)

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        return np.asarray(x, dtype)

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        raise self._no_values()

    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        raise self._no_values()

    def owns(self, x: Any) -> bool:
        raise self._no_values()  # every forward pass calls this first

    def activate(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def synchronize(self) -> None:
        pass

    def scratch(self) -> Scratch:
        raise self._no_values()

    def block_size(self, n: int, nbytes: int) -> int:
        raise self._no_values()

    def _no_values(self) -> DeviceError:
        return DeviceError(f"{self.name}: the network must be built on a device to compute, got one that was built to be counted")

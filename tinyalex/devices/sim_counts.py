"""What a simulated GPU counts, and what a block of code may use of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.errors import DeviceError, show

if TYPE_CHECKING:
    from tinyalex.devices.sim import SimDevice

_current = threading.local()


@dataclass(frozen=True)
class Counts:
    """Counts of a simulated GPU since it was made, or in one block: the difference of two.

    launches: calls that compute. Views and `empty` launch nothing; on a real GPU a function such as `einsum` may launch several kernels.
    synchronizations: how often the host had to wait for a result.
    to_device, to_host: copies between the host and the device, and bytes_to_device, bytes_to_host, their bytes. The copies between
        two devices are in `device.received`.
    """

    launches: int = 0
    synchronizations: int = 0
    to_device: int = 0
    to_host: int = 0
    bytes_to_device: int = 0
    bytes_to_host: int = 0

    def __sub__(self, before: Counts) -> Counts:
        return Counts(*(mine - its for mine, its in zip(astuple(self), astuple(before), strict=True)))


class Block:
    """One `with device.limits(...)` block. `counts` is what was counted in it; inside of the block, so far."""

    def __init__(self, counter: Counter, synchronizations: int | None, float64: bool, activated: bool) -> None:
        self._counter, self._began = counter, counter.counts()
        self._ended: Counts | None = None
        self.synchronizations, self.float64, self.activated = synchronizations, float64, activated

    @property
    def counts(self) -> Counts:
        """What the device has counted in the block."""
        return (self._ended or self._counter.counts()) - self._began

    def end(self) -> None:
        """Count no further."""
        self._ended = self._counter.counts()


class Counter:
    """The counts of one device, which threads add to, and the limits of the blocks that have begun and not ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.launches = self.synchronizations = self.to_device = self.to_host = self.bytes_to_device = self.bytes_to_host = 0
        self.float32_only = self.activated_only = False
        self._lock = threading.Lock()
        self._blocks: list[Block] = []

    def counts(self) -> Counts:
        """The counts now."""
        with self._lock:
            return Counts(
                self.launches, self.synchronizations, self.to_device, self.to_host, self.bytes_to_device, self.bytes_to_host
            )

    def launch(self) -> None:
        """Count a call that computes."""
        with self._lock:
            self.launches += 1

    def sent(self, nbytes: int) -> None:
        """Count a copy from the host to the device."""
        with self._lock:
            self.to_device, self.bytes_to_device = self.to_device + 1, self.bytes_to_device + nbytes

    def fetched(self, nbytes: int) -> None:
        """Count a copy from the device to the host, for which the host waits."""
        with self._lock:
            self.to_host, self.bytes_to_host = self.to_host + 1, self.bytes_to_host + nbytes
        self.synchronize("a copy to the host")

    def synchronize(self, what: str) -> None:
        """Count a synchronization. DeviceError: a block allows no more."""
        with self._lock:
            self.synchronizations += 1
        for block in self._blocks:
            most = block.synchronizations
            if most is not None and block.counts.synchronizations > most:
                rule = f"synchronizations must be at most {most} in this block, got one more, {what}"
                raise DeviceError(f"{self.name}: {rule}; keep the result on the device and read it less often")

    def check_dtype(self, a: np.ndarray[Any, Any]) -> None:
        """Raise DeviceError for an array of float64, which is called where a block allows none."""
        if a.dtype.char in "dDgG":
            use = "a NumPy scalar such as np.sqrt(2) makes float32 arrays float64, use a Python float"
            raise DeviceError(f"{self.name}: arrays must be float32 in this block, got {show(a) if a.ndim else a.dtype}; {use}")

    def check_activated(self, device: SimDevice) -> None:
        """Raise DeviceError unless the device is the thread's current one, which is called where a block demands it."""
        here = current_device()
        if here is not device:
            got = "none" if here is None else here.name
            raise DeviceError(f"{self.name}: the current device must be {self.name}, got {got}; compute inside `with device.activate():`")

    @contextmanager
    def block(self, synchronizations: int | None, float64: bool, activated: bool) -> Iterator[Block]:
        """See `SimDevice.limits`."""
        block = Block(self, synchronizations, float64, activated)
        self._set([*self._blocks, block])
        try:
            yield block
        finally:
            block.end()
            self._set([other for other in self._blocks if other is not block])

    def _set(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        self.float32_only = not all(block.float64 for block in blocks)
        self.activated_only = any(block.activated for block in blocks)


def current_device() -> SimDevice | None:
    """The device that the calling thread has activated last and not left yet; None if there is none."""
    return getattr(_current, "device", None)


def set_current(device: SimDevice | None) -> None:
    """Make `device` the current one of the calling thread."""
    _current.device = device

"""A GPU, used through CuPy 14. This file was never run on a GPU: its tests replace CuPy by an imitation made of NumPy.

No other file uses CuPy. All work of a device goes to its default stream, so it is done in order. CuPy's pool keeps freed memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyalex.devices.base import Array, Device, Scratch, Transfer
from tinyalex.errors import DeviceError, OutOfMemory, require_int


def why_no_cuda() -> str | None:
    """The reason why no CUDA device can be used here; None if one can be used."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return f"CuPy does not import: {error}"
        return "cupy is not installed; pip install 'tinyalex[cuda12]'"
    except ImportError as error:  # installed, but one of its libraries does not load
        return f"CuPy does not import: {error}"
    if cupy.is_available():
        return None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # CUDARuntimeError is one
        return f"CuPy finds no driver: {error}"
    return f"CuPy finds {count} GPUs and can use none"


class CudaDevice(Device):
    """One GPU of this machine.

    Parameters
    ----------
    number: K of "cuda:K", below the number of GPUs.

    Raises
    ------
    DeviceError: there is no such GPU, with the reason. OutOfMemory: an array does not fit.
    """

    kind = "cuda"

    def __init__(self, number: int = 0) -> None:
        super().__init__()
        self.number = require_int("cuda", "number", number, least=0)
        self.name = f"cuda:{self.number}"
        reason = why_no_cuda()
        if reason is not None:
            raise DeviceError(f"{self.name}: the device must be a GPU that CuPy can use, got none; {reason}")
        import cupy

        self.xp = cupy
        count = cupy.cuda.runtime.getDeviceCount()
        if self.number >= count:
            raise DeviceError(f"{self.name}: number must be below {count}, the GPUs there are, got {self.number}")

    def settings(self) -> dict[str, Any]:
        return {"number": self.number}

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Make this GPU the current one of the thread, on which CuPy allocates and computes. Errors about memory name the GPU."""
        with self.xp.cuda.Device(self.number):  # a new object each time, because it stores the GPU that was current before
            try:
                yield
            except self.xp.cuda.memory.OutOfMemoryError as error:
                raise OutOfMemory(
                    f"{self.name}: an array does not fit, {self._free():,} of {self.xp.cuda.runtime.memGetInfo()[1]:,} bytes are left; "
                    f"use a smaller batch or split the net over two devices (CuPy: {error})"
                ) from None

    def _free(self) -> int:
        """Bytes that can still be allocated. This GPU must be the current one."""
        pool = self.xp.get_default_memory_pool()
        free, limit = self.xp.cuda.runtime.memGetInfo()[0] + pool.free_bytes(), pool.get_limit()
        return max(0, min(free, limit - pool.used_bytes()) if limit else free)

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        if isinstance(x, self.xp.ndarray) and not self.owns(x):  # CuPy would copy it in silence
            raise DeviceError(f"{self.name}: x must be on {self.name}, got {self.where(x)}; use device.copy_from")
        with self.activate():
            return self.xp.asarray(x, dtype)

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        if not self.owns(x):
            raise DeviceError(f"{self.name}: x must be on {self.name}, got {self.where(x)}")
        with self.activate():
            return self.xp.asnumpy(x)

    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        if not source.owns(x):
            raise DeviceError(f"{self.name}: x must be on {source.name}, got {self.where(x)}")
        if isinstance(source, CudaDevice):
            out = self._copy_from_card(x, source)
        else:
            out = self.asarray(source.to_numpy(x))
        self.received.add(Transfer(source.name, self.name, out.nbytes, label))
        return out

    def _copy_from_card(self, x: Array, source: CudaDevice) -> Array:
        """A copy by CuPy, directly or, if the GPUs cannot do that, through the host. Only the two streams wait for each other."""
        with source.activate():
            x = self.xp.ascontiguousarray(x)  # before the event is recorded; CuPy would do it after that
            made = source._record()
        with self.activate():
            self._wait_for(made)
            out = self.xp.array(x)  # this always makes a new array, on the current GPU
            copied = self._record()
        with source.activate():
            source._wait_for(copied)  # after that x may be overwritten, and its memory used again
        return out

    def _record(self) -> Any:
        event = self.xp.cuda.Event(disable_timing=True)
        event.record(self.xp.cuda.get_current_stream())
        return event

    def _wait_for(self, event: Any) -> None:
        self.xp.cuda.get_current_stream().wait_event(event)

    def owns(self, x: Any) -> bool:
        return isinstance(x, self.xp.ndarray) and x.device.id == self.number

    def where(self, x: Any) -> str:
        return f"an array on cuda:{x.device.id}" if isinstance(x, self.xp.ndarray) else super().where(x)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        with self.activate():
            return self.xp.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        with self.activate():  # the zeros must be written on this GPU too
            return self.xp.zeros(shape, dtype)

    def synchronize(self) -> None:
        self.xp.cuda.Device(self.number).synchronize()

    def scratch(self) -> Scratch:
        return Scratch(self.xp)

    def block_size(self, n: int, nbytes: int) -> int:
        with self.activate():
            return max(1, min(n, self._free() // 4 // nbytes)) if nbytes else max(1, n)

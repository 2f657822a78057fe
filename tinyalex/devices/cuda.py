"""A GPU, used through CuPy 14. This file was never run on a GPU: its tests replace CuPy by an imitation made of NumPy.

Only this file, `uploads.py` and `cards.py` use CuPy. All work of a device goes to its stream, so it is done in order; only the copies of
batches have a stream of their own. The stream is a blocking one: it also waits for work that a user gives to CuPy outside of tinyalex, and
that work waits for it. CuPy's pool keeps freed memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyalex.devices.base import Array, Device, Scratch, Transfer
from tinyalex.devices.cards import why_no_cuda
from tinyalex.devices.uploads import Uploads
from tinyalex.errors import DeviceError, OutOfMemory, require_int


class CudaDevice(Device):
    """One GPU of this machine.

    Parameters
    ----------
    number: K of "cuda:K", below the number of GPUs.

    Attributes
    ----------
    stream: the stream of all its work, which `activate` makes the current one.

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
            use = " or ".join(f"cuda:{k}" for k in sorted({0, count - 1}))
            raise DeviceError(f"{self.name}: number must be below {count}, the GPUs there are, got {self.number}; use {use}")
        self.raw_module = cupy.RawModule
        with cupy.cuda.Device(self.number):
            self.stream = cupy.cuda.Stream()
        self._measured = (-1, 0)  # the bytes of CuPy's pool, and the bytes that were free beside it

    def settings(self) -> dict[str, Any]:
        return {"number": self.number}

    def limit_memory(self, nbytes: int) -> None:
        nbytes = require_int(self.name, "memory", nbytes)
        with self.activate():
            self.xp.get_default_memory_pool().set_limit(size=nbytes)

    def use_tf32(self) -> None:
        """Let matrix products round their factors to TF32, 10 bits of mantissa instead of 23, which is faster on GPUs since 2020.

        It holds for all GPUs of this process. Without this call products are float32 throughout, as long as CUPY_TF32 is not set.
        """
        from cupy._core import _routines_linalg as products

        about = self.xp.cuda.runtime.getDeviceProperties(self.number)
        if about["major"] < 8:  # CuPy would give a warning and use float32
            rule = f"{self.name}: TF32 must be used on a GPU of compute capability 8.0 or more"
            raise DeviceError(f"{rule}, got {about['major']}.{about['minor']}; leave it out")
        with self.activate():
            products.set_compute_type(np.dtype(np.float32), products.COMPUTE_TYPE_TF32)

    def uploader(self, *others: Device) -> Callable[[Any, Any], Any]:
        return Uploads(self, *(device for device in others if isinstance(device, CudaDevice)))

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Make this GPU and its stream current in this thread: CuPy allocates and computes there. Errors about memory name the GPU."""
        with self.xp.cuda.Device(self.number), self.stream:  # a new Device each time: it stores the GPU that was current before
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
        if (held := pool.total_bytes()) != self._measured[0]:  # to ask the driver takes long, and only the pool takes memory
            self._measured = held, self.xp.cuda.runtime.memGetInfo()[0]
        free, limit = self._measured[1] + pool.free_bytes(), pool.get_limit()
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
            made = source.record()
        with self.activate():
            self.stream.wait_event(made)
            out = self.xp.array(x)  # this always makes a new array, on the current GPU
            copied = self.record()
        with source.activate():
            source.stream.wait_event(copied)  # after that x may be overwritten, and its memory used again
        return out

    def record(self, stream: Any = None) -> Any:
        """An event after all work that this device, which must be activated, or another stream of the GPU has been given so far."""
        event = self.xp.cuda.Event(disable_timing=True)
        event.record(self.stream if stream is None else stream)
        return event

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

"""A simulated GPU: NumPy computes, with the limited memory and the strict rules of a real GPU.

With it a machine without a GPU can run the code for a GPU. Mistakes show as on a real GPU, or sooner: to use too much memory, to mix
arrays of the host with arrays of the GPU, to use what CuPy does not have, and indices that CuPy would take without a word. It counts
launches, copies and how often the host waits, and `limits` sets bounds for them. The simulation cannot show the time of a real GPU, nor
the order in which a real GPU adds. Its `xp` has no submodules. docs/SIM_ARRAYS.md shows how another project tests
its code with it.
"""

from __future__ import annotations

import gc
import importlib
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from tinyalex.devices import sim_counts
from tinyalex.devices.base import Array, Device, Scratch, Transfer
from tinyalex.devices.sim_array import Block, Life, SimArray, operand, read, wrap
from tinyalex.devices.sim_counts import Counter, Counts, current_device, set_current
from tinyalex.devices.sim_namespace import Namespace
from tinyalex.errors import DeviceError, OutOfMemory, require_int

__all__ = ["GTX_580", "Counts", "SimDevice", "current_device"]

GTX_580 = 3 * 2**30  # bytes of the GPU in the paper


class SimDevice(Device):
    """A simulated GPU.

    Parameters
    ----------
    number: K of "sim:K", at least 0.
    memory: bytes that its arrays may take together. Buffers that a NumPy function uses inside do not count.

    Attributes
    ----------
    used: bytes that arrays take now. peak: the largest number of bytes since the device was made or `peak` was set.
    counter: counts launches, synchronizations and copies; `counts()` returns them. The host has to wait for a result in to_numpy, float,
        bool, item, printing, and where the shape of a result depends on values, as with a boolean mask.

    Raises
    ------
    OutOfMemory: an array does not fit.
    """

    kind = "sim"

    def __init__(self, number: int = 0, memory: int = GTX_580) -> None:
        super().__init__()
        self.number = require_int("sim", "number", number, least=0)
        self.name = f"sim:{self.number}"
        self.memory = require_int(self.name, "memory", memory)
        self.xp = Namespace(self)
        self._lives: set[Life] = set()  # one for each block that `used` counts
        self._ended: deque[Life] = deque()  # of freed blocks; a block may be freed in the middle of any operation
        self.peak = 0
        self.counter = Counter(self.name)
        self._used, self._lock = 0, threading.Lock()

    def settings(self) -> dict[str, Any]:
        return {"number": self.number, "memory": self.memory}

    @property
    def raw_module(self) -> Any:
        """`tinyalex.sim.RawModule`, which runs CUDA kernels on this device; None where the compiler NVRTC is not installed."""
        try:
            sim = importlib.import_module("tinyalex.sim")  # by its name, because that package stands above this one
        except ModuleNotFoundError:
            return None
        return None if sim.why_no_nvrtc() else sim.RawModule

    @property
    def synchronizations(self) -> int:
        """How often the host had to wait for a result."""
        return self.counter.synchronizations

    def counts(self) -> Counts:
        """The launches, synchronizations and copies since the device was made."""
        return self.counter.counts()

    def count_launch(self) -> None:
        """Count a kernel that is launched on this device; the functions of `xp` do so by themselves."""
        self.counter.launch()

    def limits(
        self, *, synchronizations: int | None = None, float64: bool = True, activated: bool = False
    ) -> AbstractContextManager[sim_counts.Block]:
        """A block of code in which this device allows less. `with device.limits(...) as block:`, and `block.counts` is what it counted.

        Parameters
        ----------
        synchronizations: how often the host may wait for a result; None sets no bound.
        float64: False allows no array of float64, such as one that a NumPy scalar has made of a float32 array.
        activated: True demands that every operation is inside `with device.activate()`, as on the second GPU of a real machine.

        Raises
        ------
        DeviceError: inside of the block, where something is not allowed.
        """
        if synchronizations is not None:
            synchronizations = require_int(self.name, "synchronizations", synchronizations, least=0)
        return self.counter.block(synchronizations, float64, activated)

    def uploader(self, *others: Device) -> Callable[[Any, Any], Any]:
        """`asarray`, which fills the batch of two calls ago with NaN where somebody still holds it: a real GPU has a new one there."""
        if others:
            uploads = [device.uploader() for device in (self, *others)]
            return lambda host, dtype: tuple(upload(host, dtype) for upload in uploads)
        earlier: deque[weakref.ref[Any]] = deque(maxlen=2)

        def upload(host: Any, dtype: Any) -> Array:
            if len(earlier) == 2 and (old := earlier[0]()) is not None:
                old.fill(np.nan)
            out = self.asarray(np.asarray(host), dtype)
            earlier.append(weakref.ref(out._a))
            return out

        return upload

    def limit_memory(self, nbytes: int) -> None:
        self.memory = require_int(self.name, "memory", nbytes)

    @property
    def used(self) -> int:
        """Bytes that arrays take now."""
        with self._lock:
            self._settle()
            return self._used

    def take(self, block: Block) -> None:
        """Count the bytes of a new block until it is freed. OutOfMemory: there is no room for them."""
        nbytes = block.nbytes
        with self._lock:
            self._settle()
            if self._used + nbytes > self.memory:
                gc.collect()  # as CuPy does, because arrays may be in reference cycles
                self._settle()
            if self._used + nbytes > self.memory:
                raise OutOfMemory(
                    f"{self.name}: an array of {nbytes:,} bytes does not fit, {self.memory - self._used:,} of {self.memory:,} bytes "
                    "are left; use a smaller batch or split the net over two devices"
                )
            life = Life(block, self._ended.append)  # a method in C, which Ctrl-C cannot interrupt
            life.nbytes = 0
            self._lives.add(life)
            self._used += nbytes
            life.nbytes = nbytes  # Ctrl-C cannot come between this line and the one before
            self.peak = max(self.peak, self._used)

    def _settle(self) -> None:
        """Subtract the bytes of the blocks that were freed."""
        while self._ended:
            life = self._ended[0]
            self._used -= life.nbytes
            life.nbytes = 0
            self._lives.discard(life)
            self._ended.popleft()

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        if isinstance(x, SimArray):
            same = dtype is None or x.dtype == dtype
            return x if same and x.device is self else wrap(operand(x, self).astype(dtype), self)
        host = np.array(x, dtype)
        if host.dtype.kind not in "biufc":
            raise TypeError(f"{self.name}: Unsupported dtype {host.dtype}; arrays of a GPU hold numbers")
        out = SimArray(host, self, Block(self, host.nbytes))
        self.counter.sent(host.nbytes)
        return out

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        self._check(x, self)
        return read(x).copy()

    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        self._check(x, source)
        between = isinstance(source, SimDevice)
        host = x._a if between else source.to_numpy(x)  # between two GPUs the host does not wait
        out = self.empty(host.shape, host.dtype)
        out._a[...] = host
        if not between:
            self.counter.sent(host.nbytes)
        self.received.add(Transfer(source.name, self.name, host.nbytes, label))
        return out

    def _check(self, x: Any, owner: Device) -> None:
        if not owner.owns(x):
            raise DeviceError(f"{self.name}: x must be on {owner.name}, got {self.where(x)}")

    def owns(self, x: Any) -> bool:
        return type(x) is SimArray and x.device is self

    def empty(self, shape: int | tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An array of NaN, or of the largest integer, so that a read before the first write is noticed."""
        dtype = np.dtype(dtype)
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        block = Block(self, math.prod(shape) * dtype.itemsize)
        try:
            a = np.empty(shape, dtype)
        except MemoryError:
            raise OutOfMemory(f"{self.name}: the host has no {block.nbytes:,} bytes left for it; use a smaller batch") from None
        a.fill(np.iinfo(dtype).max if dtype.kind in "iu" else np.nan)  # NaN as a bool is True
        return SimArray(a, self, block)

    @contextmanager
    def activate(self) -> Iterator[SimDevice]:
        """Make this the `current_device()` of the calling thread. Operations do not need it, because their operands have a device."""
        before = current_device()
        set_current(self)
        try:
            with np.errstate(under="ignore"):  # as on a real GPU and on a `CpuDevice`
                yield self
        finally:
            set_current(before)

    def synchronize(self) -> None:
        self.counter.synchronize("synchronize()")

    def scratch(self) -> Scratch:
        return Scratch(self.xp)

    def block_size(self, n: int, nbytes: int) -> int:
        return max(1, min(n, (self.memory - self.used) // 4 // nbytes)) if nbytes else max(1, n)

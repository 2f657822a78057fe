"""A simulated GPU: NumPy computes, with the limited memory and the strict rules of a real GPU.

With it a machine without a GPU can run the code for a GPU. Two mistakes show as on a real GPU: to use too much memory, and to
mix arrays of the host with arrays of the GPU. The simulation cannot show the time of a real GPU, nor the order in which a real
GPU adds. Its `xp` has no submodules.
"""

from __future__ import annotations

import gc
import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinyalex.devices.base import Array, Device, Scratch, Transfer
from tinyalex.devices.sim_array import (
    API,
    CUPY,
    UFUNC_KEYWORDS,
    Block,
    Life,
    SimArray,
    check_keywords,
    finish,
    operand,
    raw,
    read,
    wrap,
)
from tinyalex.errors import DeviceError, OutOfMemory, require_int

GTX_580 = 3 * 2**30  # bytes of the GPU in the paper
_current = threading.local()


class SimDevice(Device):
    """A simulated GPU.

    Parameters
    ----------
    number: K of "sim:K", at least 0.
    memory: bytes that its arrays may take together. Buffers that a NumPy function uses inside do not count.

    Attributes
    ----------
    used: bytes that arrays take now. peak: the largest number of bytes since the device was made or `peak` was set.
    synchronizations: how often the host had to wait for a result, in to_numpy, float, bool, item or printing.

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
        self.peak = self.synchronizations = 0
        self._used, self._lock = 0, threading.Lock()

    def settings(self) -> dict[str, Any]:
        return {"number": self.number, "memory": self.memory}

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
        return wrap(host, self)

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        self._check(x, self)
        return read(x).copy()

    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        self._check(x, source)
        host = x._a if isinstance(source, SimDevice) else source.to_numpy(x)  # between two GPUs the host does not wait
        out = self.empty(host.shape, host.dtype)
        out._a[...] = host
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
        _current.device = self
        try:
            with np.errstate(under="ignore"):  # as on a real GPU and on a `CpuDevice`
                yield self
        finally:
            _current.device = before

    def synchronize(self) -> None:
        self.synchronizations += 1

    def scratch(self) -> Scratch:
        return Scratch(self.xp)

    def block_size(self, n: int, nbytes: int) -> int:
        return max(1, min(n, (self.memory - self.used) // 4 // nbytes)) if nbytes else max(1, n)


def current_device() -> SimDevice | None:
    """The device that the calling thread has activated last and not left yet; None if there is none."""
    return getattr(_current, "device", None)


class Namespace:
    """The module `xp` of one device. It has the names that NumPy and CuPy share; each is made when it is first used."""

    def __init__(self, device: SimDevice) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        device = self._device
        if name in API["values"]:
            value = getattr(np, name)
        elif name == "ndarray":
            value = SimArray
        elif name in API["ufuncs"]:
            value = Ufunc(device, name, getattr(np, name), API["ufuncs"][name])
        elif name in API["functions"]:
            value = _function(device, name)
        else:
            raise AttributeError(f"{device.name}: a name in xp must be one that NumPy and {CUPY} share, got {name!r}")
        setattr(self, name, value)
        return value

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        """An uninitialized array."""
        return self._device.empty(shape, dtype)

    def zeros(self, shape: Any, dtype: Any = float) -> Any:
        """An array of zeros."""
        return self._device.zeros(shape, dtype)

    def asarray(self, a: Any, dtype: Any = None) -> Any:
        """`a`, an array of the host or of this device, as an array of this device."""
        return self._device.asarray(a, dtype)

    def array(self, a: Any, dtype: Any = None) -> Any:
        """A new array with the contents of `a`."""
        out = self._device.asarray(a, dtype)
        return out.copy() if out is a else out

    def __repr__(self) -> str:
        return f"<xp of {self._device.name}>"


class Ufunc:
    """A universal function of a device, with only the methods (`reduce`, `at`, ...) that CuPy has."""

    def __init__(self, device: SimDevice, name: str, f: np.ufunc, methods: list[str]) -> None:
        self._device, self._name, self._f, self._methods = device, name, f, methods

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        device, f = self._device, self._f
        operands = [operand(x, device) for x in args]
        if not keywords:
            out = args[f.nin :] or None
            return finish(f(*operands), out, device, ())
        check_keywords(device, self._name, keywords, UFUNC_KEYWORDS)
        out = keywords.get("out")
        return finish(f(*operands, **_raw_values(keywords, device)), out, device, ())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._methods:
            raise NotImplementedError(
                f"{self._device.name}: the method of {self._name} must be one that {CUPY} has ({', '.join(self._methods)}), got {name!r}"
            )
        method, device = getattr(self._f, name), self._device

        def call(*args: Any, **keywords: Any) -> Any:
            check_keywords(device, f"{self._name}.{name}", keywords, frozenset(("axis", "dtype", "out", "keepdims")))
            return finish(method(*raw(args, device), **_raw_values(keywords, device)), keywords.get("out"), device, ())

        return call


TAKES_ARRAY = {"a", "arr", "ary", "m", "x"}  # names of a first parameter that must be an array of the device
TAKES_ANYTHING = {"min_scalar_type", "ndim", "shape", "size"}
RETURNS_ARRAY = {"allclose", "array_equal", "array_equiv", "count_nonzero"}  # they return Python numbers in NumPy, arrays in CuPy


def _function(device: SimDevice, name: str) -> Any:
    f, keywords_of = getattr(np, name), API["functions"][name]
    allowed = frozenset(keywords_of)
    array_first = name not in TAKES_ANYTHING and bool(keywords_of) and keywords_of[0] in TAKES_ARRAY

    def function(*args: Any, **keywords: Any) -> Any:
        check_keywords(device, name, keywords, allowed)
        if array_first and args and type(args[0]) is not SimArray:
            raise TypeError(f"{device.name}: Unsupported type {type(args[0])}; {name} needs an array of the device, see device.asarray")
        result = f(*raw(args, device), **_raw_values(keywords, device))
        if name in RETURNS_ARRAY:
            result = np.asarray(result)
        return finish(result, keywords.get("out"), device, (*args, *keywords.values()))

    return function


def _raw_values(keywords: dict[str, Any], device: SimDevice) -> dict[str, Any]:
    return {key: raw(value, device) for key, value in keywords.items()}

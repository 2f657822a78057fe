"""A device: where arrays are stored, and how the work on a batch is cut into blocks.

The code of a layer is the same on all devices. A layer gets its arrays from its device (`empty`), cuts its batch into blocks
with `map_blocks`, and calls functions of the device's array module `xp`. The differences between a CPU and a GPU are in this
folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from tinyalex.errors import DeviceError

Array: TypeAlias = Any  # numpy.ndarray, cupy.ndarray or the simulated device's array
KINDS = ("cpu", "sim", "cuda")
Block: TypeAlias = Callable[[slice, "Scratch"], "tuple[Array, ...] | None"]


class Scratch:
    """Working memory for one block. `scratch(shape, dtype)` is an uninitialized array, valid until the block ends.

    This class makes a new array for each request, so that the mathematical functions can be called without a device.
    """

    def __init__(self, xp: Any = np) -> None:
        self.xp = xp

    def __call__(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.empty(shape, dtype)


NEW_ARRAYS = Scratch()  # the default of the layers' functions: plain NumPy, and a new array for each request


@dataclass(frozen=True)
class Transfer:
    """One copy between two devices: their names, and the bytes that were copied."""

    source: str
    destination: str
    nbytes: int
    label: str  # the layer that asked for it


class TransferLog:
    """The copies that a device has received: the last ten thousand in `entries`, the bytes of all copies in `nbytes`."""

    def __init__(self) -> None:
        self.entries: deque[Transfer] = deque(maxlen=10_000)
        self.nbytes = 0

    def add(self, transfer: Transfer) -> None:
        self.entries.append(transfer)
        self.nbytes += transfer.nbytes

    def clear(self) -> None:
        self.entries.clear()
        self.nbytes = 0


class Device(ABC):
    """Where arrays are and where they are computed: the methods that a layer may call.

    A device is shared, never copied: `copy.copy` and `copy.deepcopy` return the device itself. A pickled device that
    `get_device` made becomes the device of that name in the process that reads it. Any other pickled device becomes a new
    device with the same `settings`. Threads, memory and the log of copies are not pickled.

    Attributes
    ----------
    name: the name of the device in messages and tables. Nothing else depends on it.
    kind: "cpu", "sim" or "cuda". Algorithms are chosen by it, and the devices of two towers must have the same kind.
    xp: the array module: numpy, cupy or the simulated one.
    received: the log of the copies from other devices.
    """

    name: str
    kind: str
    xp: Any
    raw_module: Any = None  # the class that compiles kernels, with CuPy's calls; None where there is none
    kernels: Any = None  # of `tinyalex.fast.cuda.loader.kernels_of`, which fills it when it is first asked for
    made_by_name = False  # whether `get_device` made it

    def __init__(self) -> None:
        self.received = TransferLog()

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The arguments with which the class makes an equal device. A subclass with other arguments returns its own."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.made_by_name:
            from tinyalex.devices import get_device

            return get_device, (self.name,)
        return _made_from, (type(self), self.settings())

    @abstractmethod
    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """`x` as an array of this device; `x` is a host array or an array of this device, never one of another device."""

    @abstractmethod
    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        """An array of this device as a NumPy array. On a GPU the call waits until the array is computed."""

    @abstractmethod
    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        """A copy of `x`, an array of the device `source`. Nothing else copies between devices. The copy is logged in `received`."""

    @abstractmethod
    def owns(self, x: Any) -> bool:
        """Whether `x` is an array of this device."""

    def where(self, x: Any) -> str:
        """Where `x` is, in the words of an error message."""
        if isinstance(x, np.ndarray):
            return "a NumPy array"
        device = getattr(x, "device", None)  # arrays of a simulated device have this attribute
        return f"an array on {device.name}" if isinstance(device, Device) else type(x).__name__

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An uninitialized array. When it is freed, the device may keep its memory for other arrays."""

    @abstractmethod
    def activate(self) -> AbstractContextManager[Any]:
        """Make this the current device of the calling thread. On a CPU, BLAS then uses one thread. Calls may be nested."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has finished all its work."""

    @abstractmethod
    def scratch(self) -> Scratch:
        """Working memory for the calling thread."""

    @abstractmethod
    def block_size(self, n: int, nbytes: int) -> int:
        """How many of n rows a block has, if each row needs `nbytes` bytes of scratch."""

    def uploader(self, *others: Device) -> Callable[[Any, Any], Any]:
        """A function (host array, dtype) -> array of this device, for one batch after the other.

        On a GPU it copies while earlier work is still computed. An array that it returned is valid until its next but one call.
        With other GPUs of its kind it returns a tuple, a copy on each of them. Every CPU reads the array where it is.
        """
        return self.asarray

    def limit_memory(self, nbytes: int) -> None:
        """Let the arrays of this device take at most `nbytes` bytes together, as if it were a smaller GPU. DeviceError: it is no GPU."""
        raise DeviceError(f"{self.name}: the memory limit must be of a GPU, simulated or real, got {self.name}; use sim:0 or cuda:0")

    def use_tf32(self) -> None:
        """Let matrix products round their factors to TF32, which is faster on some GPUs. DeviceError: it is no real GPU."""
        raise DeviceError(f"{self.name}: TF32 must be used on a real GPU, got {self.name}; use cuda:0")

    def few_blocks(self, n: int, nbytes: int, summed: bool = False) -> int:
        """The same for work that is faster in few long blocks. summed: whether the blocks return arrays that are added."""
        return self.block_size(n, nbytes)

    def draw(self, init: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Initial values of the function `init`, on the host. A device without values draws none."""
        return init(shape, rng)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An array of zeros."""
        out = self.empty(shape, dtype)
        out.fill(0)
        return out

    def filled(self, values: np.ndarray[Any, Any], dtype: Any) -> Array:
        """A new array of these values, which are on the host, in C order."""
        out = self.empty(values.shape, dtype)
        with self.activate():
            out[...] = self.asarray(values, dtype)
        return out

    def copy(self, x: Array) -> Array:
        """A new array of the same elements, in C order."""
        out = self.empty(x.shape, x.dtype)
        out[...] = x
        return out

    def map_blocks(self, block: Block, n: int, nbytes: int = 0, size: int | None = None) -> Any:
        """Call `block(rows, scratch)` for slices that together cover range(n), and return the sums of what the calls return.

        The terms are added in an order that depends only on n and the block size, so the bits of the sums are the same for
        any number of workers.

        Parameters
        ----------
        block: a function that returns None, or a tuple of arrays; each is added over all blocks. They may be scratch.
        n: the number of rows: images of a batch, or rows of a matrix.
        nbytes: bytes of scratch that one row needs. The device chooses the rows of a block by it.
        size: the rows of a block, if the caller knows a better number.

        Returns
        -------
        A tuple of sums, None if all calls return None.
        """
        size = size or self.block_size(n, nbytes)
        with self.activate():
            return self._sum_of_blocks(block, 0, n, size, self.scratch())

    def _sum_of_blocks(self, block: Block, start: int, stop: int, size: int, scratch: Scratch) -> Any:
        total: tuple[Array, ...] | None = None
        for first in range(start, stop, size):
            terms = block(slice(first, min(first + size, stop)), scratch)
            if terms is None:
                continue
            if total is None:
                total = tuple(self.copy(term) for term in terms)  # the terms may be scratch
            else:
                for sum_, term in zip(total, terms, strict=True):
                    sum_ += term
        return total

    def __repr__(self) -> str:
        return f"<device {self.name}>"


def _made_from(kind: type[Device], settings: dict[str, Any]) -> Device:
    """The device that a pickled device becomes."""
    return kind(**settings)

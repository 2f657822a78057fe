"""A device: where arrays live, and how work on a batch is cut into blocks.

The layers are written once. Each asks its device for arrays (`empty`), cuts its batch with `map_blocks`, and
calls functions of the device's array module `xp`. What differs between a CPU and a GPU stands in this folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

Array: TypeAlias = Any  # numpy.ndarray, cupy.ndarray or the simulated device's array
KINDS = ("cpu", "sim", "cuda")
Block: TypeAlias = Callable[[slice, "Scratch"], "tuple[Array, ...] | None"]


class Scratch:
    """Working memory for one block. `scratch(shape, dtype)` is an uninitialized array, valid until the block ends.

    This one makes a new array at each request, so the mathematical functions can be called without a device.
    """

    def __init__(self, xp: Any = np) -> None:
        self.xp = xp

    def __call__(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.empty(shape, dtype)


NEW_ARRAYS = Scratch()  # the default of the layers' functions: plain NumPy, every array new


@dataclass(frozen=True)
class Transfer:
    """One copy between two devices."""

    source: str
    destination: str
    nbytes: int
    label: str  # the layer that asked for it


class TransferLog:
    """The copies a device received: the last ten thousand one by one, the bytes of all of them summed."""

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
    """What a layer may ask of the place where its arrays live.

    A device is shared, never copied: `copy.copy` and `copy.deepcopy` return the device itself. Pickled, a device that
    `get_device` made becomes that process's device of the same name; any other becomes a new one of the same `settings`.
    Threads, memory and the log of copies do not travel.

    Attributes
    ----------
    name: what messages and tables call the device; no choice hangs on it.
    kind: "cpu", "sim" or "cuda", how the device computes: by it algorithms are chosen, and two towers must have the same.
    xp: the array module: numpy, cupy or the simulated one.
    received: the copies that came from other devices.
    """

    name: str
    kind: str
    xp: Any
    made_by_name = False  # whether `get_device` made it

    def __init__(self) -> None:
        self.received = TransferLog()

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The keywords that make such a device again; a subclass whose `__init__` takes others returns those."""

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
        """`x`, a host array or one of this device, as an array of this device. Never takes another device's array."""

    @abstractmethod
    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        """An array of this device as a NumPy array (on a GPU this waits for the device)."""

    @abstractmethod
    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        """A copy of `x`, which lives on `source`: the one way between devices. It is logged in `received`."""

    @abstractmethod
    def owns(self, x: Any) -> bool:
        """Whether `x` is an array that lives here."""

    def where(self, x: Any) -> str:
        """What an error message calls the place where `x` lives."""
        if isinstance(x, np.ndarray):
            return "a NumPy array"
        device = getattr(x, "device", None)  # the simulated device's arrays name theirs
        return f"an array on {device.name}" if isinstance(device, Device) else type(x).__name__

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An uninitialized array whose memory the device may keep and use again."""

    @abstractmethod
    def activate(self) -> AbstractContextManager[Any]:
        """Make this the current device of the calling thread; on a CPU, BLAS then has one thread a call. It may be nested."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything asked of the device is done."""

    @abstractmethod
    def scratch(self) -> Scratch:
        """Working memory for the calling thread."""

    @abstractmethod
    def block_size(self, n: int, nbytes: int) -> int:
        """Rows of a block when n rows are to be covered and each needs `nbytes` of scratch."""

    def few_blocks(self, n: int, nbytes: int, summed: bool = False) -> int:
        """Rows of a block, as `block_size`, for blocks that gain by being long; `summed` if they return something to be added."""
        return self.block_size(n, nbytes)

    def draw(self, init: Any, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Initial values from an init function, on the host; a device that holds no values draws none."""
        return init(shape, rng)

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        """An array of zeros."""
        out = self.empty(shape, dtype)
        out.fill(0)
        return out

    def copy(self, x: Array) -> Array:
        """A new array of the same elements, in C order."""
        out = self.empty(x.shape, x.dtype)
        out[...] = x
        return out

    def map_blocks(self, block: Block, n: int, nbytes: int = 0, size: int | None = None) -> Any:
        """Call `block(rows, scratch)` for slices that cover range(n); return the sums of what the calls return.

        Parameters
        ----------
        block: returns None, or a tuple of arrays to be added over all blocks (they may be scratch).
        n: rows to cover: images of a batch, or rows of a matrix.
        nbytes: scratch that one row needs; the device makes a block of as many rows as it has room for.
        size: rows of a block, where the layer knows a better number.

        The sum is taken in an order that depends on n and the block size alone: the same bits for any number of
        workers.
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
    """What a pickled device becomes."""
    return kind(**settings)

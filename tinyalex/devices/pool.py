"""Memory that outlives the arrays in it: a dead array's buffer serves the next array of its size.

A fresh large array costs a page fault for every page it touches, which takes 1.6 to 6 times as long as the
write itself. A training step makes the same arrays again and again, so after the first step it needs no new memory.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np

from tinyalex.errors import OutOfMemory

SLACK = 10  # a buffer serves arrays down to this part of its size; what they leave unused was touched before and costs no time
PAGE = 1 << 21  # sizes are rounded up to whole huge pages


class Pool:
    """Hands out arrays and takes their memory back when nobody holds them any more.

    Parameters
    ----------
    owner: the device's name, for messages.
    limit: bytes that live and kept buffers may take together; None for no limit.
    smallest: arrays below this many bytes are ordinary NumPy arrays.

    Raises
    ------
    OutOfMemory: the limit would be passed even with every kept buffer given back.
    """

    def __init__(self, owner: str = "pool", limit: int | None = None, smallest: int = 1 << 20) -> None:
        self.owner, self.limit, self.smallest = owner, limit, smallest
        self.allocations = 0  # how often the pool had to ask the system: still after the first training step
        self._kept: dict[int, list[np.ndarray[Any, Any]]] = {}
        self._total = 0  # bytes of all buffers, live and kept
        self._lock = threading.RLock()  # held while `_total` changes

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """An uninitialized array, C-contiguous; its memory returns to the pool with its last view."""
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes < self.smallest:
            return np.empty(shape, dtype)
        size = -(-nbytes // PAGE) * PAGE
        buffer = self._take(size)
        if buffer is None:
            buffer = self._allocate(size)
        kept = self._kept.setdefault(buffer.size, [])
        # NumPy lets a view of a view hold the first array; frombuffer makes `holder` that first array.
        holder = np.frombuffer(buffer.data, np.uint8)
        weakref.finalize(holder, kept.append, buffer).atexit = False
        return holder[:nbytes].view(dtype).reshape(shape)

    def _take(self, size: int) -> np.ndarray[Any, Any] | None:
        """The smallest kept buffer that holds `size` bytes and is not much larger, if there is one."""
        for held in sorted(self._kept):
            if size <= held <= SLACK * size:
                try:
                    return self._kept[held].pop()  # list.pop and list.append are atomic: workers share the pool without a lock
                except IndexError:
                    pass
        return None

    def _allocate(self, size: int) -> np.ndarray[Any, Any]:
        with self._lock:
            if self.limit is not None and self._total + size > self.limit:
                self.empty_cache()
                if self._total + size > self.limit:
                    raise OutOfMemory(
                        f"{self.owner}: an array of {size:,} bytes does not fit, {self.limit - self._total:,} of "
                        f"{self.limit:,} bytes are left; use a smaller batch or a higher limit"
                    )
            try:
                buffer = np.empty(size, np.uint8)
            except MemoryError:
                raise OutOfMemory(f"{self.owner}: the system has no {size:,} bytes left; use a smaller batch") from None
            self._total += size
            self.allocations += 1
            return buffer

    def after_fork(self) -> None:
        """In a forked child: a lock that another thread held there would never open again."""
        self._lock = threading.RLock()

    def empty_cache(self) -> None:
        """Give every buffer that no array uses back to the system."""
        with self._lock:
            for size, kept in list(self._kept.items()):
                while kept:
                    try:
                        kept.pop()
                    except IndexError:  # another thread took the last one
                        break
                    self._total -= size

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers, those in use and those kept."""
        return self._total

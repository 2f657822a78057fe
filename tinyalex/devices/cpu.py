"""The CPU as a device: worker threads, blocks that fit into the cache, memory that is used again."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from tinyalex.devices.arena import Arena
from tinyalex.devices.base import Array, Block, Device, Scratch, Transfer
from tinyalex.devices.blas import ONE_BLAS_THREAD
from tinyalex.devices.threads import Threads, together
from tinyalex.devices.workers import MOST_WORKERS, cores
from tinyalex.errors import OutOfMemory, require_int

SHARES = 16  # a sum over the batch has at most this many terms, for any number of workers
SMALL = 1 << 18  # bytes of scratch; less work than that is done before a second thread would have started
CACHE = 6 << 20  # bytes of scratch of a block; as much stays in the cache of the processor


class WorkerScratch(Scratch):
    """Working memory of one thread. The i-th array of a block has the memory of the i-th array of the block before.

    So the memory is still in the cache. owner: the name of the device, for messages.
    """

    def __init__(self, owner: str) -> None:
        super().__init__(np)
        self.owner, self.next = owner, 0
        self._buffers: list[np.ndarray[Any, Any]] = []

    def __call__(self, shape: tuple[int, ...], dtype: Any) -> Array:
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        if self.next == len(self._buffers):
            self._buffers.append(np.empty(0, np.uint8))
        if self._buffers[self.next].size < nbytes:
            try:
                self._buffers[self.next] = np.empty(nbytes, np.uint8)
            except MemoryError:
                raise OutOfMemory(
                    f"{self.owner}: a block's working array of {nbytes:,} bytes does not fit; use a smaller batch or one worker"
                ) from None
        self.next += 1
        return self._buffers[self.next - 1][:nbytes].view(dtype).reshape(shape)


class CpuDevice(Device):
    """Computes with NumPy on worker threads.

    A forked child may use the device too and starts new threads. A fork in the middle of a call is not supported.

    Parameters
    ----------
    name: such as "cpu", "cpu:0" or "cpu:1". Each device has its own workers.
    workers: threads that work on a batch, 1 to 1,024; there may be more of them than cores or images. The default is `cores()`.
    cache: bytes of scratch that a block may use.
    memory: bytes that arrays and the memory kept for later arrays may take, at least 1; None for no limit.
    small: bytes, at least 0. Work that needs at most so much scratch is one block on one thread. With `small=0, cache=1`
        every image is its own block; tests of the sums over blocks use that.

    Raises
    ------
    ShapeError: a setting outside its range. OutOfMemory: an array does not fit.
    """

    kind = "cpu"
    xp = np

    def __init__(
        self, name: str = "cpu", workers: int | None = None, cache: int = CACHE, memory: int | None = None, small: int = SMALL
    ) -> None:
        super().__init__()
        self.name = name
        self.workers = require_int(name, "workers", cores() if workers is None else workers, most=MOST_WORKERS)
        self.cache = require_int(name, "cache", cache)
        self.small = require_int(name, "small", small, least=0)
        self.memory = None if memory is None else require_int(name, "memory", memory)
        self.arena = Arena(name, self.memory)
        self._local = threading.local()
        self._threads: Threads | None = None
        _devices.add(self)

    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("name", "workers", "cache", "memory", "small")}

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        return np.asarray(x, dtype)

    def to_numpy(self, x: Array) -> np.ndarray[Any, Any]:
        return np.asarray(x)

    def copy_from(self, x: Array, source: Device, label: str = "") -> Array:
        host = source.to_numpy(x)
        out = self.empty(host.shape, host.dtype)
        out[...] = host
        self.received.add(Transfer(source.name, self.name, host.nbytes, label))
        return out

    def owns(self, x: Any) -> bool:
        return isinstance(x, np.ndarray)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
        return self.arena.empty(shape, dtype)

    def activate(self) -> AbstractContextManager[Any]:
        return ONE_BLAS_THREAD.hold()

    def synchronize(self) -> None:
        pass

    def scratch(self) -> WorkerScratch:
        if not hasattr(self._local, "scratch"):
            self._local.scratch = WorkerScratch(self.name)
        scratch: WorkerScratch = self._local.scratch
        return scratch

    def block_size(self, n: int, nbytes: int) -> int:
        if nbytes and n * nbytes <= self.small:
            return max(1, n)
        fits = self.cache // nbytes if nbytes else n
        return max(1, min(fits, -(-n // SHARES)))

    def few_blocks(self, n: int, nbytes: int, summed: bool = False) -> int:
        """Two blocks for each worker. Threads delay each other at every call of NumPy, so few long blocks are faster.

        Blocks that return sums are eight for any number of workers, so that the sums always have the same bits.
        """
        blocks = SHARES // 2 if summed else 2 * self.workers
        return max(self.block_size(n, nbytes), min(self.cache // max(1, nbytes), -(-n // blocks)))

    def map_blocks(self, block: Block, n: int, nbytes: int = 0, size: int | None = None) -> Any:
        size = size or self.block_size(n, nbytes)
        share = max(1, -(-n // (SHARES * size))) * size  # rows of some consecutive blocks, which one worker takes at a time
        starts = iter(range(0, n, share))  # each worker takes its next share from here; next() is atomic
        sums = _SumInOrder()

        def stop() -> None:
            deque(starts, maxlen=0)  # take all shares that are left, so that no worker starts another one

        def work() -> None:
            scratch = self.scratch()
            outer = scratch.next  # a block inside a block must not overwrite the arrays of the outer one
            inside = getattr(self._local, "inside", False)

            def from_outer(rows: slice, scratch: Any) -> Any:
                scratch.next = outer
                return block(rows, scratch)

            try:
                self._local.inside = True
                for start in starts:
                    sums.add(start // share, self._sum_of_blocks(from_outer, start, min(start + share, n), size, scratch))
            except BaseException:
                stop()
                raise
            finally:
                scratch.next, self._local.inside = outer, inside

        if getattr(self._local, "inside", False):
            work()  # a block inside a block runs on the same thread
        else:
            with ONE_BLAS_THREAD.hold():
                self._run(work, stop, min(self.workers, -(-n // share)))
        return sums.total

    def _run(self, work: Callable[[], None], stop: Callable[[], None], workers: int) -> None:
        """Call `work` on so many threads, one of them the caller's. The first error is raised after all have stopped."""
        if workers <= 1:
            return work()
        if self._threads is None:
            self._threads = Threads(self.workers - 1, self.name)  # the calling thread is one of the workers
        together(self._threads, work, [work] * (workers - 1), stop)

    def after_fork(self) -> None:
        """Repair the device in a forked child, which has no worker threads: new ones are started later. The memory is kept."""
        self._threads = None
        self.arena.after_fork()

    def close(self) -> None:
        """End the worker threads and give unused memory back to the system. The device may be used again afterwards."""
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        self._local = threading.local()
        self.arena.empty_cache()


class _SumInOrder:
    """Adds the terms of the shares in the order of their numbers. A term is added as soon as all earlier ones are there."""

    def __init__(self) -> None:
        self.total: tuple[Array, ...] | None = None
        self._waiting: dict[int, tuple[Array, ...] | None] = {}
        self._next, self._lock = 0, threading.Lock()

    def add(self, number: int, terms: tuple[Array, ...] | None) -> None:
        with self._lock:
            self._waiting[number] = terms
            while self._next in self._waiting:
                terms = self._waiting.pop(self._next)
                self._next += 1
                if self.total is None:
                    self.total = terms
                elif terms is not None:
                    for sum_, term in zip(self.total, terms, strict=True):
                        sum_ += term


def _after_fork() -> None:
    ONE_BLAS_THREAD.after_fork()
    for device in _devices:
        device.after_fork()


_devices: weakref.WeakSet[CpuDevice] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)

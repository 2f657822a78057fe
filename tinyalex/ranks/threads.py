"""Ranks in one process, a thread each: what they compute is what ranks of MPI compute, without MPI. For tests and lessons."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinyalex.devices import Array
from tinyalex.errors import require_int
from tinyalex.ranks.group import Done, Group, Sum

T = TypeVar("T")


class _Board:
    """What the threads of one group share: a place for each rank, a barrier, and a queue for each pair of ranks."""

    def __init__(self, size: int) -> None:
        self.places: list[Any] = [None] * size
        self.barrier = threading.Barrier(size)
        self.queues = {(a, b): queue.Queue[Any]() for a in range(size) for b in range(size)}
        self.twins: dict[int, _Board] = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()


class ThreadGroup(Group):
    """One rank of `run_ranks`. Sums are done when `begin_sum` returns; their terms are added in the order of the ranks."""

    def __init__(self, board: _Board, rank: int) -> None:
        self._board, self.rank, self.size = board, rank, len(board.places)
        self._twins = 0

    def collect(self, value: Any) -> list[Any]:
        self._board.places[self.rank] = value
        self._board.barrier.wait()
        values = list(self._board.places)
        self._board.barrier.wait()  # nobody writes the next value before all have read this one
        return values

    def begin_sum(self, array: Array) -> Sum:
        first, *others = self.collect(array)
        total = np.array(first)
        for other in others:
            total += other
        self._board.barrier.wait()
        array[...] = total
        return Done()

    def broadcast(self, array: Array, root: int = 0) -> None:
        source = self.collect(array)[root]
        if self.rank != root:
            array[...] = source
        self._board.barrier.wait()

    def send(self, array: Array, to: int) -> None:
        self._board.queues[self.rank, to].put(np.array(array))

    def receive(self, array: Array, source: int) -> None:
        while True:
            try:
                array[...] = self._board.queues[source, self.rank].get(timeout=0.1)
                return
            except queue.Empty:
                if self._board.ended.is_set():
                    raise threading.BrokenBarrierError from None

    def twin(self) -> Group:
        with self._board.lock:
            board = self._board.twins.setdefault(self._twins, _Board(self.size))
            board.ended = self._board.ended
        self._twins += 1
        return ThreadGroup(board, self.rank)


def run_ranks(size: int, work: Callable[[Group], T]) -> list[T]:
    """Call work(group) on `size` ranks at once, and return the results in the order of the ranks.

    If one raises, the others stop at their next call of the group, and the error of the lowest rank that raised by itself is raised here.

    Example
    -------
    >>> def add(group):
    ...     array = np.array([group.rank + 1.0])
    ...     group.sum(array)
    ...     return float(array[0])
    >>> run_ranks(3, add)
    [6.0, 6.0, 6.0]
    """
    board = _Board(require_int("run_ranks", "size", size))
    results: list[Any] = [None] * size
    errors: dict[int, BaseException] = {}

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadGroup(board, rank))
        except BaseException as error:
            errors[rank] = error
            _end(board)

    threads = [threading.Thread(target=run, args=(rank,), name=f"rank {rank}") for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    own = [errors[rank] for rank in sorted(errors) if not isinstance(errors[rank], threading.BrokenBarrierError)]
    if own or errors:
        raise (own or list(errors.values()))[0]
    return results


def _end(board: _Board) -> None:
    """Wake every rank that waits for another one."""
    board.ended.set()
    board.barrier.abort()
    for twin in list(board.twins.values()):
        _end(twin)

"""Several threads work on one call, and none is still at work after an error or Ctrl-C."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_local = threading.local()


class Threads:
    """`count` threads that wait for calls, started at the first; they end with this object.

    Not a ThreadPoolExecutor: Ctrl-C in the midst of its `submit` or of `wait` can leave a lock closed for ever. A
    SimpleQueue has none that Python code holds.
    """

    def __init__(self, count: int, name: str) -> None:
        self.count, self.name = count, name
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        weakref.finalize(self, self._calls.put, None)

    def submit(self, call: Callable[[], object]) -> None:
        """Let a thread make this call, which must not raise."""
        while len(self._threads) < self.count:
            thread = threading.Thread(target=_serve, args=(self._calls,), name=f"{self.name}_{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)  # one whose start Ctrl-C cut short is not counted
        self._calls.put(call)

    def shutdown(self) -> None:
        """End the threads after the calls that were submitted."""
        self._calls.put(None)
        for thread in self._threads:
            thread.join()


def _serve(calls: SimpleQueue[Callable[[], object] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # and what it holds, while this thread waits
    calls.put(None)  # for the next thread


def together(threads: Threads, mine: Callable[[], T], others: Sequence[Callable[[], T]], stop: Callable[[], object]) -> list[T]:
    """[mine(), and what the others return]: `mine` on the calling thread, each other on one of `threads`.

    The others see the caller's NumPy error settings. An error is raised when all have stopped, the first in the list's
    order. So is Ctrl-C, which reaches the calling thread alone, at any of these lines: whoever has not begun then does
    not begin, and `stop()`, which may be called more than once, tells the rest to end soon.
    """
    busy: list[None] = []  # an entry for each of the others at work; append and pop are atomic
    ended: list[None] = []  # holds an entry once nobody may begin
    done: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()

    def guarded(number: int, work: Callable[[], T]) -> None:
        busy.append(None)  # before the look at `ended`, as the caller writes `ended` before it looks here
        result, error = None, None
        try:
            if not ended:
                result = work()
        except BaseException as raised:  # it is the caller who raises it
            error = raised
        finally:
            busy.pop()
        done.put((number, result, error))

    def end() -> None:
        ended.append(None)
        stop()
        while busy:
            time.sleep(0.001)

    try:
        for number, work in enumerate(others):
            threads.submit(partial(copy_context().run, guarded, number, work))
        first = mine()
        outcomes = sorted((done.get() for _ in others), key=lambda outcome: outcome[0])
    except BaseException:
        while True:
            try:
                end()
                break
            except BaseException:  # Ctrl-C once more: the first is raised below, and only when all have stopped
                continue
        raise
    for _, _, error in outcomes:
        if error is not None:
            raise error
    return [first, *(result for _, result, _ in outcomes)]


def at_once(left: Callable[[], T], right: Callable[[], T]) -> tuple[T, T]:
    """(left(), right()): the second in a thread of its own, which sees the caller's NumPy error settings.

    An error of either is raised when both have stopped; left's first. Where left fails before right has begun, right does not
    begin. The thread is kept, and with it its working memory; a pair inside of `left` has a thread of its own, also kept.
    """
    if not hasattr(_local, "free"):
        _local.free = []
    free: list[Threads] = _local.free  # the innermost pair's thread comes first, so each finds its own again
    helper = free.pop() if free else Threads(1, "tower")
    try:
        first, second = together(helper, left, [right], stop=lambda: None)
        return first, second
    finally:
        free.append(helper)


def _after_fork() -> None:
    """A forked child has none of these threads: it starts its own."""
    global _local
    _local = threading.local()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)

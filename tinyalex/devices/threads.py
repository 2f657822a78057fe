"""Several threads that work on one call. After an error or Ctrl-C none of them is still working."""

from __future__ import annotations

import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_local = threading.local()
_said: list[None] = []  # it has an entry when the user knows that threads do not start


class Threads:
    """`count` threads that wait for calls. They start with the first call and end when this object is freed.

    It is not a ThreadPoolExecutor, because Ctrl-C in the middle of its `submit` or `wait` can leave a lock held for ever. A
    SimpleQueue has no lock that Python code holds.
    """

    def __init__(self, count: int, name: str) -> None:
        self.count, self.name = count, name
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        weakref.finalize(self, self._calls.put, None)

    def start(self) -> bool:
        """Start the threads, or as many as the system starts, which is said once; False where it starts none, as in a browser."""
        while len(self._threads) < self.count:
            thread = threading.Thread(target=_serve, args=(self._calls,), name=f"{self.name}_{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self.count = len(self._threads)  # the next call does not try again
                _say_once(error)
                break
            self._threads.append(thread)  # not reached if Ctrl-C interrupts the start: that thread is not counted
        return self.count > 0

    def submit(self, call: Callable[[], object]) -> None:
        """Let one of the threads make this call. The call must not raise. Where `start` returns False, nobody makes it."""
        self.start()
        self._calls.put(call)

    def shutdown(self) -> None:
        """End the threads after they have made all submitted calls."""
        self._calls.put(None)
        for thread in self._threads:
            thread.join()


def _say_once(error: RuntimeError) -> None:
    if not _said:
        _said.append(None)
        rule = "cpu: the system must start a thread for each worker"
        warnings.warn(f"{rule}, got {str(error)!r}; fewer threads do the same work, with the same results", RuntimeWarning, stacklevel=2)


def _serve(calls: SimpleQueue[Callable[[], object] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call  # free what it holds before this thread waits
    calls.put(None)  # for the next thread


def together(threads: Threads, mine: Callable[[], T], others: Sequence[Callable[[], T]], stop: Callable[[], object]) -> list[T]:
    """Call `mine` on the calling thread and each of `others` on one of `threads`; return the list of all results, mine first.

    The others have the caller's NumPy error settings. If calls raise, the first error in the order of the list is raised
    after all calls have ended. Ctrl-C reaches only the calling thread, at any of these lines. Then calls that have not begun
    do not begin, `stop()` tells the others to end soon (it may be called twice), and KeyboardInterrupt is raised after all
    calls have ended. Where no thread starts, the calling thread makes the calls one after the other; one that raises is the last.
    """
    if not threads.start():
        return [mine(), *(copy_context().run(work) for work in others)]
    busy: list[None] = []  # one entry for each of the others that is working; append and pop are atomic
    ended: list[None] = []  # it has an entry when no call may begin any more
    done: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()

    def guarded(number: int, work: Callable[[], T]) -> None:
        busy.append(None)  # before `ended` is read, because the caller writes `ended` before it reads `busy`
        result, error = None, None
        try:
            if not ended:
                result = work()
        except BaseException as raised:  # the calling thread raises it
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
            except BaseException:  # a second Ctrl-C: the first one is raised below, after all calls have ended
                continue
        raise
    for _, _, error in outcomes:
        if error is not None:
            raise error
    return [first, *(result for _, result, _ in outcomes)]


def at_once(left: Callable[[], T], right: Callable[[], T]) -> tuple[T, T]:
    """Call `left` on the calling thread and `right` on another thread at the same time; return both results.

    `right` has the caller's NumPy error settings. If one of the two raises, the error is raised after both have ended; if both
    raise, it is the error of `left`. If `left` fails before `right` has begun, `right` does not begin. The other thread and its
    working memory are kept for the next call. A call inside `left` uses another thread, which is kept too.
    """
    if not hasattr(_local, "free"):
        _local.free = []
    free: list[Threads] = _local.free  # the thread of the innermost call is taken first, so each call gets the same thread again
    helper = free.pop() if free else Threads(1, "tower")
    try:
        first, second = together(helper, left, [right], stop=lambda: None)
        return first, second
    finally:
        free.append(helper)


def _after_fork() -> None:
    """Forget the threads in a forked child, which does not have them; it starts new ones."""
    global _local
    _local = threading.local()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)

"""Work shared by processes, which all end when it ends: at an error, at Ctrl-C, and when the process that started them is killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any

from tinyalex.errors import OutOfMemory

LOOK = 0.2  # seconds between two looks at how far the work is
AHEAD = 2  # tasks for each process that are given out ahead of time


class Stopped(Exception):  # noqa: N818 - the work was asked to stop
    """Another process failed or the user stopped the work, so this task was given up."""


class Shared:
    """What the processes share: how much is done, whether to stop, and a lock for work that only one may do at a time.

    This one is for work in a single process. `alone` and `together` are context managers, with and without the lock.
    """

    alone: AbstractContextManager[Any] = contextlib.nullcontext()
    together: AbstractContextManager[Any] = contextlib.nullcontext()

    def __init__(self, tick: Callable[[int], object]) -> None:
        self._tick, self.done = tick, 0

    def count(self) -> None:
        """One more piece of the work is done."""
        self.done += 1
        self._tick(self.done)

    def check(self) -> None:
        """Raise Stopped if the work is to stop."""


class _Among(Shared):
    """The same among several processes; it is handed to each when it starts."""

    def __init__(self, context: Any) -> None:
        self.number, self.stop, self.alone = context.Value("q", 0), context.Event(), context.RLock()

    def count(self) -> None:
        with self.number.get_lock():
            self.number.value += 1

    def check(self) -> None:
        if self.stop.is_set():
            raise Stopped


_task: Callable[[Any], Any] | None = None  # of this process


def _begin(make: Callable[..., Callable[[Any], Any]], shared: Shared, setup: Any) -> None:
    """What each process does first."""
    global _task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one stops the others
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _task = make(shared, setup)


@contextlib.contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Ctrl-C waits until the block ends. A process that starts in it is not interrupted before `_begin`."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(task: Any) -> Any:
    assert _task is not None  # _begin ran
    return _task(task)


def share(
    tasks: Sequence[Any],
    make: Callable[..., Callable[[Any], Any]],
    setup: Any,
    *,
    processes: int,
    tick: Callable[[int], object],
    method: str = "spawn",
) -> Iterator[Any]:
    """Do tasks in several processes, and yield the results as they come.

    Parameters
    ----------
    make: called once in each process, with a Shared and `setup`; returns the function of a task. It must be a function or a class that
        can be imported.
    processes: 1 works in this process. tick: called now and then with the number of pieces that are done, which tasks count.
    method: how processes start, "spawn", "fork" or "forkserver".

    Raises
    ------
    OutOfMemory: a process was killed. Errors of a task are raised as they are; the other tasks are given up.
    """
    if processes == 1:
        yield from map(make(Shared(tick), setup), tasks)
        return
    context = multiprocessing.get_context(method)
    shared = _Among(context)
    left = iter(tasks)
    pool = ProcessPoolExecutor(min(processes, max(1, len(tasks))), mp_context=context, initializer=_begin, initargs=(make, shared, setup))
    pending = set()
    try:
        while True:
            for task in left:
                with _ctrl_c_later():  # a task may start a process
                    pending.add(pool.submit(_do, task))
                if len(pending) >= AHEAD * processes:
                    break
            if not pending:
                break
            done, pending = wait(pending, LOOK, FIRST_COMPLETED)
            tick(shared.number.value)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        rule = "processes: each of them must live until its work is done, got one that was killed, as the system does when memory is short"
        raise OutOfMemory(rule, "run the same command again to go on, with fewer --processes") from None
    finally:
        shared.stop.set()
        pool.shutdown(wait=True, cancel_futures=True)

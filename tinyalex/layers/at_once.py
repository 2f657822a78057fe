"""Two computations at the same time, in two threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from tinyalex.devices.threads import Threads, together

T = TypeVar("T")

_local = threading.local()


def at_once(left: Callable[[], T], right: Callable[[], T]) -> tuple[T, T]:
    """(left(), right()): the second in a thread of its own, which sees the caller's NumPy error settings.

    An error of either is raised when both have stopped; left's first. Where left fails before right has begun, right does not.
    The thread is kept, so that its working memory is too; a pair inside of `left` has a thread of its own, also kept.
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

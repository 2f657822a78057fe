"""Two computations at the same time, in two threads."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

_local = threading.local()


def at_once(left: Callable[[], T], right: Callable[[], T]) -> tuple[T, T]:
    """(left(), right()): the second in a thread of its own. An error of either is raised when both have stopped; left's first.

    The thread is kept, so that its working memory is too; `right` sees the caller's NumPy error settings.
    """
    helper: ThreadPoolExecutor = getattr(_local, "helper", None) or ThreadPoolExecutor(1, "tower")
    _local.helper = None  # a pair inside of `left` needs another thread
    try:
        other = helper.submit(contextvars.copy_context().run, right)
        try:
            first = left()
        finally:
            wait([other])
        return first, other.result()
    finally:
        _local.helper = helper

"""Holds BLAS, the library that computes NumPy's matrix products, to one thread while a device works."""

from __future__ import annotations

import inspect
import sys
import threading
from types import FrameType
from typing import Any

import numpy as np

SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Use:
    """One `with` block in which BLAS has one thread. `thread` and `frame` show whether the block is still running.

    Within the block an underflow is not an error, whatever `np.seterr` says: an element that is too small for its dtype becomes
    0, which is exact enough.
    """

    def __init__(self, blas: OneBlasThread) -> None:
        self._blas = blas
        self.thread = 0
        self.frame: FrameType | None = None
        self._quiet: np.errstate | None = None  # in the outermost block of a thread

    def __enter__(self) -> None:
        self.thread, self.frame = threading.get_ident(), sys._getframe(1)
        try:
            outermost = self._blas.begin(self)
        except BaseException:
            self._blas.end(self)
            raise
        if outermost:
            self._quiet = np.errstate(under="ignore")
            self._quiet.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self._quiet is not None:
            self._quiet.__exit__(*error)
        self._blas.end(self)
        self.frame = None


class OneBlasThread:
    """Gives BLAS one thread while any device works, and the caller's number of threads afterwards.

    A device computes blocks in parallel, so BLAS needs no threads. Threads of OpenBLAS would even cost time: after a product
    they wait for 20 ms without sleeping, and take a core from the workers.

    Ctrl-C may come between the last line of a `with` block and the first line of its `__exit__`; then Python never calls
    `__exit__`. So each use stores the frame of its block, and the next use on the same thread ends the uses whose frame is
    no longer running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: list[Use] = []  # the uses of all threads, the oldest first
        self._libraries: list[Any] | None = None
        self._before: list[int] | None = None  # the threads of each library before the first use began

    def hold(self) -> Use:
        """A context manager within which BLAS has one thread. It may be nested, and used on several threads at a time."""
        return Use(self)

    def begin(self, use: Use) -> bool:
        """Give BLAS one thread until `use` ends. True if no other use on this thread is running."""
        with self._lock:
            if self._libraries is None:
                import threadpoolctl  # it takes 20 ms, so it is not imported with tinyalex

                self._libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
            while (last := self._last_on(use.thread)) is not None and not _runs(last.frame):
                self._uses.remove(last)
            if not self._uses:
                if self._before is None:  # it is not None if an `end` was interrupted; then it still is the caller's setting
                    self._before = [library.get_num_threads() for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._uses.append(use)
            return last is None

    def end(self, use: Use) -> None:
        """End `use`. After the last use, give BLAS the number of threads that it had before."""
        with self._lock:
            if use in self._uses:
                self._uses.remove(use)
            self._restore()

    def _last_on(self, thread: int) -> Use | None:
        return next((use for use in reversed(self._uses) if use.thread == thread), None)

    def _restore(self) -> None:
        if not self._uses and self._before is not None:
            self._set(self._before)
            self._before = None

    def _set(self, threads: list[int]) -> None:
        """Set the threads of each library.

        Since threadpoolctl 3.8 only the first thread that sets OpenBLAS may set it again. Here every thread may set it.
        """
        for library, count in zip(self._libraries or [], threads, strict=True):
            clear = getattr(library, "clear_controlling_thread", lambda force: None)
            clear(force=True)
            library.set_num_threads(count)
            clear(force=True)  # so that another thread may set it next

    def after_fork(self) -> None:
        """Repair the state in a forked child, which has only the thread that forked: make a new lock, and drop other threads' uses."""
        self._lock = threading.Lock()
        self._uses = [use for use in self._uses if use.thread == threading.get_ident()]
        self._restore()


def _runs(frame: FrameType | None) -> bool:
    """Whether a frame of the calling thread is still running. The frame of a generator may be suspended, so it counts as running."""
    if frame is not None and frame.f_code.co_flags & SUSPENDABLE:
        return True
    at: FrameType | None = sys._getframe(1)
    while at is not None and at is not frame:
        at = at.f_back
    return at is not None


ONE_BLAS_THREAD = OneBlasThread()  # BLAS has one setting for the whole process, so all devices share this object

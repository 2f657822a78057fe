"""BLAS, the library behind NumPy's matrix products, on one thread while a device works."""

from __future__ import annotations

import inspect
import sys
import threading
from types import FrameType
from typing import Any

import numpy as np

SUSPENDABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Use:
    """One `with` block in which BLAS has one thread. The block's thread and frame tell later whether the block still runs.

    Within the block an underflow is no error, whatever `np.seterr` says: an element too small for its type is 0, which is near enough.
    """

    def __init__(self, blas: OneBlasThread) -> None:
        self._blas = blas
        self.thread = 0
        self.frame: FrameType | None = None
        self._quiet = np.errstate(under="ignore")

    def __enter__(self) -> None:
        self.thread, self.frame = threading.get_ident(), sys._getframe(1)
        try:
            self._blas.begin(self)
        except BaseException:
            self._blas.end(self)
            raise
        self._quiet.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._quiet.__exit__(*error)
        self._blas.end(self)
        self.frame = None


class OneBlasThread:
    """BLAS on one thread while any device works: the blocks are the parallelism. Afterwards the caller's setting is back.

    A single product by several threads of OpenBLAS costs more than it gains: they wait for the next one without sleeping,
    for 20 ms, and take a core from the workers meanwhile.

    Ctrl-C may come between the last line of a `with` block and the first line of its exit, and then Python never runs the
    exit. So each use remembers the frame of its block, and the next use on the same thread ends those whose frame no longer runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: list[Use] = []  # of all threads, the oldest first
        self._libraries: list[Any] | None = None
        self._before: list[int] | None = None  # each library's threads before the first use began

    def hold(self) -> Use:
        """A block in which BLAS has one thread, for `with`. Blocks may be nested, and overlap on several threads."""
        return Use(self)

    def begin(self, use: Use) -> None:
        """Give BLAS one thread until `use` ends."""
        with self._lock:
            if self._libraries is None:
                import threadpoolctl  # 20 ms, so not at `import tinyalex`

                self._libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
            while (last := self._last_on(use.thread)) is not None and not _runs(last.frame):
                self._uses.remove(last)
            if not self._uses:
                if self._before is None:  # else an interrupted `end` left the caller's setting here
                    self._before = [library.get_num_threads() for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._uses.append(use)

    def end(self, use: Use) -> None:
        """End `use`; after the last one, give BLAS as many threads as it had."""
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
        """Set each library's threads. Since threadpoolctl 3.8 the first thread that sets OpenBLAS keeps it to itself; here all may."""
        for library, count in zip(self._libraries or [], threads, strict=True):
            clear = getattr(library, "clear_controlling_thread", lambda force: None)
            clear(force=True)
            library.set_num_threads(count)
            clear(force=True)  # and leave it to whoever comes next

    def after_fork(self) -> None:
        """In a forked child: only the thread that forked is left, and nobody will open a lock that another one held."""
        self._lock = threading.Lock()
        self._uses = [use for use in self._uses if use.thread == threading.get_ident()]
        self._restore()


def _runs(frame: FrameType | None) -> bool:
    """Whether a frame of the calling thread has not ended. A generator's may be suspended, so it counts as running."""
    if frame is not None and frame.f_code.co_flags & SUSPENDABLE:
        return True
    at: FrameType | None = sys._getframe(1)
    while at is not None and at is not frame:
        at = at.f_back
    return at is not None


ONE_BLAS_THREAD = OneBlasThread()  # BLAS has one setting for the whole process, so all devices share this

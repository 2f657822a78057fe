"""CPU devices on which a batch of two images is already two blocks, so that small tests reach the sums over blocks."""

from __future__ import annotations

import threading
from typing import Any

import tinyalex as ta


def one_image_blocks(workers: int) -> ta.CpuDevice:
    """A device that makes every image a block of its own."""
    return ta.CpuDevice(workers=workers, small=0, cache=1)


class MeetingDevice(ta.CpuDevice):
    """One-image blocks on three workers; two threads meet in the first blocks of every call, so both really work on it.

    blocks: how many blocks ran. met: calls in which two threads met.
    """

    def __init__(self) -> None:
        super().__init__(workers=3, small=0, cache=1)
        self.blocks = self.met = 0
        self._count = threading.Lock()

    def map_blocks(self, block: Any, n: int, nbytes: int = 0, size: int | None = None) -> Any:
        size = size or self.block_size(n, nbytes)
        here, meeting = threading.local(), threading.Barrier(2)
        arrivals = iter(range(2 if n > size else 0))  # next() is atomic

        def counted(rows: slice, scratch: Any) -> Any:
            with self._count:
                self.blocks += 1
            if not hasattr(here, "came"):
                here.came = True
                if next(arrivals, None) is not None and meeting.wait(30) == 0:  # one of the two gets the 0
                    self.met += 1
            return block(rows, scratch)

        return super().map_blocks(counted, n, nbytes, size)

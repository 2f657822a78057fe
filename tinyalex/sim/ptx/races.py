"""The log of who used which element of memory last: it finds races.

Two accesses race if they are by different threads, at least one of them writes, they are not both atomic, and no barrier is
between them. A barrier orders the accesses of the threads of one block, a barrier of a warp those of one warp; nothing orders
those of two blocks.

An entry of the log is one number: when (22 bits), which thread (26), which instruction (14), whether it was atomic (1). The time
counts barriers and stands in front, so that entries from before a barrier are smaller than those after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinyalex.sim.ptx.decode import Access
from tinyalex.sim.ptx.group import WARP, Group, unravel
from tinyalex.sim.ptx.memory import Fault
from tinyalex.sim.ptx.types import Values

if TYPE_CHECKING:
    from tinyalex.sim.ptx.access import Area
    from tinyalex.sim.ptx.run import Launch

PLACE, THREAD, TIME = 1, 15, 41  # the first bits of the fields; the lowest bit says whether the access was atomic
PLACE_MASK, THREAD_MASK = (1 << 14) - 1, (1 << 26) - 1
Logs: TypeAlias = "tuple[Values | None, Values | None]"


def granule(accesses: Iterable[Access], space: str) -> int:
    """Bytes of one cell of a log: the smallest element that the kernel accesses in the space."""
    return min((access.size for access in accesses if access.space in (space, "")), default=4)


def _moment(group: Group, position: int, atomic: bool) -> int:
    """The fields of an entry that do not depend on the thread."""
    return int(atomic) | ((position & PLACE_MASK) << PLACE) | (group.chunk.clock << TIME)


def _enter(last: Values, second: Values, cells: Values, entry: Values) -> None:
    """Write the entries into the cells of `last`, and an entry of another thread into those of `second` if there is one.

    A plain access of the same thread is kept too if the new one is atomic, because an atomic operation of another thread races with it.
    """
    before = last.take(cells)
    other = ((before ^ entry) >> THREAD & THREAD_MASK != 0) | (before & 1 < entry & 1)
    other &= before > second.take(cells)
    second[cells[other]] = before[other]
    last[cells] = entry
    lost = last.take(cells) != entry
    if lost.any():
        second[cells[lost]] = entry[lost]


class Log:
    """The log of one array, or of the shared memory of all blocks of a chunk.

    writer: the last write to each cell. reader: the last read. second reader: a read by another thread than that one. second writer:
    the same for atomic operations, of which several threads may do one in turn.
    Reads are only noted; `_settle` enters them when there is a write that they could race with. Nor are they compared with the
    writer if nothing was written since all threads passed a barrier. So the reads between two barriers cost little.

    Of three or more readers the last two are known. That is enough, because one of them is not the thread that writes, unless a
    barrier of a warp orders just these two: then a race with an earlier reader of another warp is missed.
    """

    def __init__(self, launch: Launch, nbytes: int, size: int, label: str, within_block: bool) -> None:
        self.launch, self.size, self.label, self.within_block = launch, size, label, within_block
        self.cells = -(-nbytes // size) + 1
        self.writer = np.zeros(self.cells, np.int64)
        self._reader: Values | None = None
        self._second_reader: Values | None = None
        self._second_writer: Values | None = None
        self._reads: list[tuple[Values, Values, int]] = []
        self._written = False  # since all threads passed a barrier

    def cell_of(self, low: int, skip: int) -> int:
        """The cell of the first vector of a window."""
        return (low + skip) // self.size - low // self.size

    def reads(self, group: Group, threads: Any, cell: int, index: Values, size: int, position: int, loose: bool) -> None:
        """Note that each thread reads the element at its index. Raises Fault if another thread has written it."""
        for cells in self._cells(cell, index, size):
            if self._written:
                entry = self._entry(group, threads, position, loose)
                self._check(group, threads, cells, entry, (self.writer, self._second_writer), "a read", "a write")
            number = group.number if isinstance(threads, slice) else group.number[threads]
            self._reads.append((cells, number, _moment(group, position, loose)))
        if len(self._reads) > 64:
            self._settle()

    def writes(self, group: Group, threads: Any, area: Area, index: Values, size: int, position: int, values: Values, loose: bool) -> None:
        """Store the values, and note it. Two threads that store the same value, or the value that is there, do not race."""
        entry = self._entry(group, threads, position, loose)
        index = np.broadcast_to(index, entry.shape)
        bits = np.dtype(f"u{size}")
        elements, new = area.elements.view(bits), np.ascontiguousarray(values).view(bits)
        changed = elements.take(index) != new
        self._settle()
        for cells in self._cells(area.cell, index, size):
            self._check(group, threads, cells, entry, (self.writer, self._second_writer), "a write", "a write", changed)
            self._check(group, threads, cells, entry, (self._reader, self._second_reader), "a write", "a read", changed)
            self.writer[cells] = entry
        self._written = True
        elements[index] = new
        if not loose and len(index) > 1 and len(lost := np.flatnonzero(elements.take(index) != new)):
            at = next(iter(self._cells(area.cell, index, size)))
            self._raise(group, threads, int(lost[0]), int(self.writer[at[lost[0]]]), "a write", "a write")

    def atomics(self, group: Group, threads: Any, cell: int, index: Values, size: int, position: int) -> None:
        """Note an atomic operation of each thread, which races only with plain reads and writes."""
        entry = self._entry(group, threads, position, True)
        self._settle()
        if self._second_writer is None:
            self._second_writer = np.zeros(self.cells, np.int64)
        for cells in self._cells(cell, index, size):
            self._check(group, threads, cells, entry, (self.writer, self._second_writer), "an atomic operation", "a write")
            self._check(group, threads, cells, entry, (self._reader, self._second_reader), "an atomic operation", "a read")
            _enter(self.writer, self._second_writer, cells, entry)
        self._written = True

    def forget(self, group: Group) -> None:
        """Drop what was noted before a barrier, if all threads have passed it."""
        if group.n == group.chunk.n:
            self._reads.clear()
            self._written = False

    def _cells(self, cell: int, index: Values, size: int) -> list[Values]:
        count = size // self.size
        if count == 1:
            return [index + cell if cell else index]
        return [index * count + (cell + k) for k in range(count)]

    def _entry(self, group: Group, threads: Any, position: int, atomic: bool) -> Values:
        found: Values = ((group.number & THREAD_MASK) << THREAD) | _moment(group, position, atomic)
        return found if isinstance(threads, slice) else found[threads]

    def _settle(self) -> None:
        """Enter the reads that were noted."""
        if not self._reads:
            return
        if self._reader is None or self._second_reader is None:
            self._reader, self._second_reader = np.zeros(self.cells, np.int64), np.zeros(self.cells, np.int64)
        for cells, number, moment in self._reads:
            entry = ((number & THREAD_MASK) << THREAD) | moment
            _enter(self._reader, self._second_reader, np.broadcast_to(cells, entry.shape), entry)
        self._reads.clear()

    def _check(
        self, group: Group, threads: Any, cells: Values, entry: Values, logs: Logs, now: str, then: str, changed: Values | None = None
    ) -> None:
        """Raise Fault if an entry of the logs races with the entry of a thread now."""
        for log in logs:
            if log is not None and (before := log.take(cells)).any():
                self._compare(group, threads, before, entry, now, then, changed)

    def _compare(self, group: Group, threads: Any, before: Values, entry: Values, now: str, then: str, changed: Values | None) -> None:
        """Raise Fault if an older entry races with the entry of the same place."""
        chunk = group.chunk
        lanes = group.lanes if isinstance(threads, slice) else group.lanes[threads]
        if self.within_block:  # all entries are of threads of the same block: those from before its last barrier cannot race
            racing = before >= (chunk.block_clock[lanes] << TIME)
            if not racing.any():
                return
            racing &= before != 0
        else:
            racing = before != 0
        racing = racing & (((before ^ entry) >> THREAD) & THREAD_MASK != 0) & ((before & entry & 1) == 0)
        if changed is not None:
            racing &= changed
        if not racing.any():
            return
        at = np.flatnonzero(racing)
        before, mine = before[at] if len(before) > 1 else np.repeat(before, len(at)), lanes[at]
        thread, time = (before >> THREAD) & THREAD_MASK, before >> TIME
        number = group.number[at] if isinstance(threads, slice) else group.number[threads][at]
        same_block = thread // chunk.threads == number // chunk.threads
        same_warp = same_block & (thread % chunk.threads // WARP == number % chunk.threads // WARP)
        ordered = (same_block & (time < chunk.block_clock[mine])) | (same_warp & (time < chunk.warp_clock[mine]))
        if not ordered.all():
            k = int(np.flatnonzero(~ordered)[0])
            self._raise(group, threads, int(at[k]), int(before[k]), now, then)

    def _raise(self, group: Group, threads: Any, at: int, before: int, now: str, then: str) -> None:
        launch = self.launch
        thread, position = (before >> THREAD) & THREAD_MASK, (before >> PLACE) & PLACE_MASK
        block, inside = divmod(thread, launch.threads)
        other = f"thread {unravel(inside, launch.block)}"
        me = int(group.number[at] if isinstance(threads, slice) else group.number[threads][at])
        near = me // launch.threads == block
        if not near:
            other += f" of block {unravel(block, launch.grid)}"
        lane = at if isinstance(threads, slice) else int(np.flatnonzero(threads)[at])
        where = launch.kernel.where(position)
        rule = f"an {self.label} that one thread writes must not be used by another without a barrier between"
        if then == "a write" and before & 1:
            then = "an atomic operation"
        remedy = "is a __syncthreads() missing?" if near else "two blocks need two launches, or atomic operations"
        raise Fault(lane, rule, f"{then} by {other}{where}, then {now}", remedy, by=" by")

"""The memory that is kept: a new array takes the place of arrays that have died.

A fresh large array costs a page fault for every page it touches, which takes 1.6 to 6 times as long as the
write itself. A training step makes the same arrays again and again, so after the first step it needs no new memory.
"""

from __future__ import annotations

import math
import threading
import weakref
from bisect import bisect_left
from collections import deque
from typing import Any

import numpy as np

from tinyalex.errors import OutOfMemory

GRAIN = 1 << 16  # sizes are rounded up to multiples of this many bytes
GROWTH = 0.5  # a new region is at least this part of all before it: arrays share few large regions better than many small ones
KEPT = 2  # times the most that arrays ever took together: what the arena holds beyond that goes back to the system


class Place(weakref.ref["np.ndarray[Any, Any]"]):
    """The part of a region in which an array lies, known by a weak reference to the array: it tells when the array has died."""

    region: Region
    start: int
    stop: int
    taken: bool  # whether the region counts the part as used
    __hash__, __eq__ = object.__hash__, object.__eq__  # a reference's own ask the array, which has none


class Region:
    """One piece of the system's memory, and which parts of it no array uses: (start, stop) in order, no two of them adjacent.

    Ctrl-C may interrupt any call, but not two assignments in a row. So what is free and what is taken change together.
    """

    def __init__(self, size: int) -> None:
        self.buffer = np.empty(size, np.uint8)
        self.free = [(0, size)]

    @property
    def unused(self) -> bool:
        """Whether no array is in it."""
        return self.free == [(0, self.buffer.size)]

    def take(self, place: Place) -> None:
        """Use the place, which begins where a free part does."""
        at = bisect_left(self.free, (place.start, place.stop))
        stop = self.free[at][1]
        rest = [(place.stop, stop)] if place.stop < stop else []
        self.free[at : at + 1] = rest
        place.taken = True

    def give(self, place: Place) -> None:
        """Free a dead array's place; it becomes one with the free parts before and behind it."""
        if not place.taken:
            return
        start, stop = place.start, place.stop
        at = bisect_left(self.free, (start, stop))
        first = last = at
        if at > 0 and self.free[at - 1][1] == start:
            first, start = at - 1, self.free[at - 1][0]
        if at < len(self.free) and self.free[at][0] == stop:
            last, stop = at + 1, self.free[at][1]
        merged = [(start, stop)]
        self.free[first:last] = merged
        place.taken = False


class Arena:
    """Hands out arrays and takes their memory back when nobody holds them any more.

    Parameters
    ----------
    owner: the device's name, for messages.
    limit: bytes that live and kept memory may take together; None for no limit.
    smallest: arrays below this many bytes are ordinary NumPy arrays.

    Raises
    ------
    OutOfMemory: the limit would be passed even with every region that holds no array given back.
    """

    def __init__(self, owner: str = "arena", limit: int | None = None, smallest: int = 1 << 20) -> None:
        self.owner, self.limit, self.smallest = owner, limit, smallest
        self.allocations = 0  # how often it had to ask the system: no more after the first training step
        self.peak = 0  # the most bytes that arrays took at one time
        self._regions: list[Region] = []
        self._places: set[Place] = set()  # of all arrays that live
        self._dead: deque[Place] = deque()  # an array may die anywhere, also while the lock is held
        self._lock = threading.RLock()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """An uninitialized array, C-contiguous; its memory returns to the arena with its last view."""
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes < self.smallest:
            return np.empty(shape, dtype)
        size = -(-nbytes // GRAIN) * GRAIN
        with self._lock:
            region, start = self._find(size) or self._allocate(size)
            # NumPy lets a view of a view hold the first array; frombuffer makes `holder` that first array.
            holder = np.frombuffer(region.buffer.data, np.uint8, size, start)
            place = Place(holder, self._dead.append)  # no Python code, which Ctrl-C could interrupt
            place.region, place.start, place.stop, place.taken = region, start, start + size, False
            self._places.add(place)
            region.take(place)
            self.peak = max(self.peak, self.used)
        return holder[:nbytes].view(dtype).reshape(shape)

    def _find(self, size: int) -> tuple[Region, int] | None:
        """The region and the start of the smallest free part that holds `size` bytes, if there is one."""
        self._bury()
        parts = [(stop - start, i, start) for i, region in enumerate(self._regions) for start, stop in region.free]
        fits = min((part for part in parts if part[0] >= size), default=None)
        return None if fits is None else (self._regions[fits[1]], fits[2])

    def _bury(self) -> None:
        """Free the places of arrays that have died."""
        while self._dead:
            place = self._dead[0]
            place.region.give(place)
            self._places.discard(place)
            self._dead.popleft()

    def _allocate(self, size: int) -> tuple[Region, int]:
        """The start of a new region, larger than asked by what the next arrays will need: untouched memory costs nothing.

        Where shapes change, regions that are too small for the new arrays would pile up. So those without an array are
        given back once the arena would hold more than `KEPT` times what arrays ever took at one time.
        """
        most = KEPT * max(self.peak, self.used + size)
        if self.nbytes + size > most:
            self.empty_cache()
        if self.limit is not None and self.nbytes + size > self.limit:
            self.empty_cache()
            if self.nbytes + size > self.limit:
                raise OutOfMemory(
                    f"{self.owner}: an array of {size:,} bytes does not fit, {self.limit - self.nbytes:,} of "
                    f"{self.limit:,} bytes are left; use a smaller batch or a higher limit"
                )
        room = (most if self.limit is None else min(most, self.limit)) - self.nbytes
        region = self._region(max(size, min(int(GROWTH * self.nbytes) // GRAIN * GRAIN, room)), size)
        self._regions.append(region)
        self.allocations += 1
        return region, 0

    def _region(self, wanted: int, needed: int) -> Region:
        try:
            return Region(wanted)
        except MemoryError:
            if wanted > needed:
                return self._region(needed, needed)
            raise OutOfMemory(f"{self.owner}: the system has no {needed:,} bytes left; use a smaller batch") from None

    def after_fork(self) -> None:
        """In a forked child: a lock that another thread held there would never open again."""
        self._lock = threading.RLock()

    def empty_cache(self) -> None:
        """Give every region that holds no array back to the system."""
        with self._lock:
            self._bury()
            self._regions = [region for region in self._regions if not region.unused]

    @property
    def used(self) -> int:
        """Bytes that arrays take now, or took when the arena was last asked for one."""
        return self.nbytes - sum(stop - start for region in self._regions for start, stop in region.free)

    @property
    def nbytes(self) -> int:
        """Bytes of all regions, those in use and those kept."""
        return sum(region.buffer.size for region in self._regions)

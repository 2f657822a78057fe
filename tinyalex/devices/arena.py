"""Memory that is kept and used again: a new array gets the memory of arrays that were freed.

New memory from the system costs a page fault for each page that is touched, which takes 1.6 to 6 times as long as the write
itself. Every training step makes arrays of the same sizes, so after the first step no new memory is needed.
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

GRAIN = 1 << 16  # bytes; sizes are rounded up to multiples of it
GROWTH = 0.5  # a new region has at least this fraction of all bytes before: few large regions waste less than many small ones
KEPT = 2  # the arena keeps at most this many times the largest number of bytes that arrays have taken together


class Place(weakref.ref["np.ndarray[Any, Any]"]):
    """The part of a region that an array uses. It is a weak reference to the array, which notices when the array is freed."""

    region: Region
    start: int
    stop: int
    taken: bool  # whether the region counts the part as used
    __hash__, __eq__ = object.__hash__, object.__eq__  # those of a weak reference call the array's, which it does not have


class Region:
    """One piece of memory from the system. `free` has the parts that no array uses: (start, stop) in order, none adjacent.

    The system gives memory only when it is touched. `touched` is where the part begins that no array has used yet.

    Ctrl-C may interrupt any call, but it cannot come between two assignments in a row. So `free` of the region and `taken` of
    the place always change together.
    """

    def __init__(self, size: int) -> None:
        self.buffer = np.empty(size, np.uint8)
        self.free = [(0, size)]
        self.touched = 0

    @property
    def unused(self) -> bool:
        """Whether no array uses the region."""
        return self.free == [(0, self.buffer.size)]

    def take(self, place: Place) -> None:
        """Mark a place as used. The place begins at the start of a free part."""
        at = bisect_left(self.free, (place.start, place.stop))
        stop = self.free[at][1]
        rest = [(place.stop, stop)] if place.stop < stop else []
        self.touched = max(self.touched, place.stop)
        self.free[at : at + 1] = rest
        place.taken = True

    def give(self, place: Place) -> None:
        """Mark the place of a freed array as free, and join it with the free parts before and behind it."""
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
    """Makes arrays, and uses their memory again after they are freed.

    Parameters
    ----------
    owner: the name of the device, for messages.
    limit: the most bytes that the arena may hold, in arrays and in kept memory; None for no limit.
    smallest: arrays with fewer bytes are ordinary NumPy arrays.

    Raises
    ------
    OutOfMemory: an array does not fit within the limit, even after all unused regions were given back.
    """

    def __init__(self, owner: str = "arena", limit: int | None = None, smallest: int = 1 << 20) -> None:
        self.owner, self.limit, self.smallest = owner, limit, smallest
        self.allocations = 0  # how often memory was taken from the system; after the first training step the number stays
        self.peak = 0  # the largest number of bytes that arrays took at one time
        self._regions: list[Region] = []
        self._places: set[Place] = set()  # of all arrays that are not freed
        self._dead: deque[Place] = deque()  # an array may be freed at any line, also while the lock is held
        self._lock = threading.RLock()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        """An uninitialized, C-contiguous array. Its memory returns to the arena when the array and all its views are freed."""
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes < self.smallest:
            return np.empty(shape, dtype)
        size = -(-nbytes // GRAIN) * GRAIN
        with self._lock:
            region, start = self._find(size) or self._allocate(size)
            # Every view of a view keeps the first array alive, and frombuffer makes `holder` that first array.
            holder = np.frombuffer(region.buffer.data, np.uint8, size, start)
            place = Place(holder, self._dead.append)  # a method in C, which Ctrl-C cannot interrupt
            place.region, place.start, place.stop, place.taken = region, start, start + size, False
            self._places.add(place)
            region.take(place)
            self.peak = max(self.peak, self.used)
        return holder[:nbytes].view(dtype).reshape(shape)

    def _find(self, size: int) -> tuple[Region, int] | None:
        """The region and the start of a free part of at least `size` bytes; None if there is none.

        It is the part where the fewest bytes are touched for the first time, and the smallest of several such parts.
        """
        self._bury()
        fits = min(
            (
                (max(0, start + size - max(start, region.touched)), stop - start, i, start)
                for i, region in enumerate(self._regions)
                for start, stop in region.free
                if stop - start >= size
            ),
            default=None,
        )
        return None if fits is None else (self._regions[fits[2]], fits[3])

    def _bury(self) -> None:
        """Mark the places of all freed arrays as free."""
        while self._dead:
            place = self._dead[0]
            place.region.give(place)
            self._places.discard(place)
            self._dead.popleft()

    def _allocate(self, size: int) -> tuple[Region, int]:
        """A new region and its start. It is larger than `size`, for the next arrays; memory that is not touched costs nothing.

        If shapes change, regions that are too small for the new arrays would accumulate. So unused regions are given back to
        the system before the arena would hold more than `KEPT` times the largest number of bytes that arrays have taken.
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
        """Make a new lock in a forked child: a lock that another thread of the parent held would never be released."""
        self._lock = threading.RLock()

    def empty_cache(self) -> None:
        """Give every unused region back to the system."""
        with self._lock:
            self._bury()
            self._regions = [region for region in self._regions if not region.unused]

    @property
    def used(self) -> int:
        """Bytes that arrays take now; arrays that were freed since the last request still count."""
        return self.nbytes - sum(stop - start for region in self._regions for start, stop in region.free)

    @property
    def nbytes(self) -> int:
        """Bytes of all regions, used and unused."""
        return sum(region.buffer.size for region in self._regions)

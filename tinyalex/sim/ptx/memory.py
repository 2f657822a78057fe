"""Global memory: the arrays that a kernel gets, each with its own range of addresses, and nothing between them.

An address is found in one subtraction, one rotation of bits and one comparison: the offset from the start of the array is
rotated to the right, so that an offset that is negative or not a multiple of the access becomes a very large index.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.sim.ptx.types import Values

if TYPE_CHECKING:
    from tinyalex.sim.ptx.decode import Access

FIRST = 0x7F0000000000  # the address of the first array
GAP = 1 << 20  # bytes without memory between two arrays
SHARED_WINDOW, LOCAL_WINDOW = 1 << 48, 1 << 49  # generic addresses of shared and local memory
WINDOW = 1 << 32  # bytes of a window


class Fault(Exception):  # noqa: N818 - it becomes a KernelError when the kernel, the line and the thread are known
    """Something undefined that a thread did.

    lane: which thread of the group. The message is "{kernel}: {rule}, got {got}{by} {thread}; {remedy}".
    """

    def __init__(self, lane: int, rule: str, got: str, remedy: str = "", by: str = ", by") -> None:
        super().__init__(rule)
        self.lane, self.rule, self.got, self.remedy, self.by = lane, rule, got, remedy, by


class Allocation:
    """An array in global memory.

    memory: its bytes. low, high: its addresses, without `high`. label: in words. dtype: of its elements, None if not known.
    written: whether the kernel may write it. log: of the accesses to it, see races.py.
    """

    def __init__(self, memory: Values, low: int, label: str, dtype: np.dtype[Any] | None = None) -> None:
        self.memory, self.low, self.high, self.label, self.dtype = memory, low, low + len(memory), label, dtype
        self.written = False
        self.log: Any = None
        self._windows: dict[tuple[int, int], Window] = {}

    def window(self, size: int, count: int) -> Window:
        """The array as vectors of `count` elements of `size` bytes."""
        found = self._windows.get((size, count))
        if found is None:
            nbytes = size * count
            skip = -self.low % nbytes  # bytes before the first address that is a multiple of nbytes
            whole = max(0, (len(self.memory) - skip) // nbytes)
            shift = nbytes.bit_length() - 1
            memory = self.memory[skip : skip + whole * nbytes]
            low = np.array([self.low + skip], np.uint64)
            found = self._windows[size, count] = Window(low, np.uint64(shift), np.uint64(64 - shift), whole, skip, memory)
        return found


@dataclass(frozen=True)
class Window:
    """An array as a sequence of vectors. low: the address of the first one. whole: how many. skip: bytes in front of the first."""

    low: Values
    right: np.uint64
    left: np.uint64
    whole: int
    skip: int
    memory: Values

    def index(self, address: Values) -> Values:
        """The index of the vector at each address; larger than `whole` if there is none."""
        offset = address - self.low
        return (offset >> self.right) | (offset << self.left) if self.right else offset


class GlobalMemory:
    """The arrays of one launch, sorted by their addresses."""

    def __init__(self, allocations: list[Allocation]) -> None:
        self.allocations = sorted(allocations, key=lambda allocation: allocation.low)
        self._lows = np.array([allocation.low for allocation in self.allocations], np.uint64)
        self._highs = np.array([allocation.high for allocation in self.allocations], np.uint64)

    def find(self, address: Values, access: Access, guess: Allocation | None, allowed: Any) -> list[tuple[Any, Allocation, Values]]:
        """Where the addresses lie: for each array that is hit, (which threads, the array, indices of vectors in its window).

        guess: the array that is tried first. allowed: the arrays that the pointer may point into; None for all. Raises Fault.
        """
        size, count = access.size, access.count
        if guess is not None:
            window = guess.window(size, count)
            index = window.index(address)
            if len(index) == 0 or index.max() < window.whole:
                return [(slice(None), guess, index.view(np.int64))]
        nbytes = size * count
        crooked = np.flatnonzero(address & np.uint64(nbytes - 1))
        if len(crooked):
            lane = int(crooked[0])
            raise crooked_address(lane, access, f"0x{int(address[lane]):x}")
        which = np.searchsorted(self._lows, address, "right") - 1
        inside = which >= 0
        if len(self._highs):
            inside &= (address < self._highs[which]) & (self._highs[which] - address >= np.uint64(nbytes))
        if allowed is not None:
            inside &= np.isin(which, [self.allocations.index(allocation) for allocation in allowed])
        if not inside.all():
            lane = int(np.flatnonzero(~inside)[0])
            raise self._outside(lane, int(address[lane]), access, allowed)
        found = []
        for i in np.unique(which):
            mask = which == i
            allocation = self.allocations[i]
            threads = slice(None) if mask.all() else mask
            found.append((threads, allocation, allocation.window(size, count).index(address[threads]).view(np.int64)))
        return found

    def _outside(self, lane: int, address: int, access: Access, allowed: Any) -> Fault:
        """The fault, with what lies next to the address."""
        near, nbytes = allowed or self.allocations, access.size * access.count
        rule = f"{access.name} must be inside of {near[0].label if len(near) == 1 else 'an array'}"
        if not near:
            return Fault(lane, rule, f"address 0x{address:x} of a kernel without arrays")
        allocation = min(near, key=lambda one: max(one.low - address, address - one.high + 1))
        start, end = ("its start", "its end") if len(near) == 1 else (f"the start of {allocation.label}", f"the end of {allocation.label}")
        if address < allocation.low:
            place = f"{allocation.low - address:,} bytes before {start}"
        elif address + nbytes <= allocation.high:
            place = f"{address - allocation.low:,} bytes behind {start}"
        elif address < allocation.high:
            place = f"{address + nbytes - allocation.high} of the {nbytes} bytes behind {end}"
        else:
            place = f"{distance(address - allocation.high)} {end}"
        return Fault(lane, rule, place)


def distance(nbytes: int) -> str:
    """ "12 bytes behind", or for 0 "directly behind"."""
    return f"{nbytes:,} bytes behind" if nbytes else "directly behind"


def crooked_address(lane: int, access: Access, got: str) -> Fault:
    """The fault of an address that is no multiple of the size of the access."""
    nbytes = access.size * access.count
    return Fault(lane, f"the address of {access.name} must be a multiple of {nbytes}", got)


def place_arrays(arrays: list[tuple[Values, int, str, np.dtype[Any] | None]], first: int = FIRST) -> tuple[list[Allocation], list[int]]:
    """Addresses for arrays of bytes. Arrays that share memory become one allocation.

    arrays: (bytes, offset of the bytes in the block of memory that they lie in, label, dtype). Returns the allocations, and the
    address of each array.
    """
    order = sorted(range(len(arrays)), key=lambda i: arrays[i][0].ctypes.data)
    allocations: list[Allocation] = []
    addresses = [0] * len(arrays)
    host_low = host_high = 0
    for i in order:
        memory, offset, label, dtype = arrays[i]
        if not len(memory):
            continue
        start = memory.ctypes.data
        if allocations and start < host_high:  # it shares memory with the one before
            last = allocations[-1]
            if start + len(memory) > host_high:
                host_high = start + len(memory)
                memory = bytes_at(host_low, host_high - host_low, (last.memory, memory))
            else:
                memory = last.memory
            kind = dtype if dtype == last.dtype else None
            allocations[-1] = Allocation(memory, last.low, f"{last.label} and {label}", kind)
            addresses[i] = last.low + start - host_low
        else:
            low = first + offset % 256
            allocations.append(Allocation(memory, low, label, dtype))
            addresses[i], host_low, host_high = low, start, start + len(memory)
        first = -(-allocations[-1].high // GAP) * GAP + GAP
    for i, (memory, _, label, dtype) in enumerate(arrays):
        if not len(memory):
            allocations.append(Allocation(memory, first, label, dtype))
            addresses[i], first = first, first + GAP
    return allocations, addresses


def bytes_at(address: int, size: int, owners: Any) -> Values:
    """The bytes of the host at an address, which `owners` keep alive."""
    buffer: Any = (ctypes.c_uint8 * size).from_address(address)
    buffer.owners = owners
    found: Values = np.frombuffer(buffer, np.uint8)
    return found

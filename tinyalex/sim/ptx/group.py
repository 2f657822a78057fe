"""Threads that run together: a chunk is some blocks of the grid, a group is the threads of a chunk that are at one instruction.

A register of a group is one array with an element for each of its threads. If all threads have the same value, the array has
one element, which NumPy broadcasts; so the counter of a loop costs nothing.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.sim.ptx.types import Values

if TYPE_CHECKING:
    from tinyalex.sim.ptx.run import Launch

WARP = 32  # threads
UNSET = 0xFF  # each byte of shared and local memory before the first write; as floats they are NaN, which is noticed


class Chunk:
    """Some blocks of the grid, which run at the same time.

    Attributes
    ----------
    first: the number of its first block. blocks: how many. threads: of one block. n: of all blocks.
    block, thread, warp: for each thread, which block of the chunk it is in, its number in the block, its warp in the chunk.
    shared, local: the bytes of shared memory of all blocks, and of local memory of all threads.
    clock: counts barriers. block_clock, warp_clock: its value when the thread last passed a barrier with its block, its warp.
    ended: which threads have ended.
    """

    def __init__(self, launch: Launch, first: int, blocks: int) -> None:
        self.launch, self.first, self.blocks, self.threads = launch, first, blocks, launch.threads
        self.n = blocks * self.threads
        self.block = np.repeat(np.arange(blocks), self.threads)
        self.thread = np.tile(np.arange(self.threads), blocks)
        self.warps = -(-self.threads // WARP)  # of one block
        self.warp = self.block * self.warps + self.thread // WARP
        self.shared = np.full(blocks * launch.shared_stride, UNSET, np.uint8)
        self.local = np.full(self.n * launch.local_stride, UNSET, np.uint8)
        self.clock = 1
        self.block_clock = np.zeros(self.n, np.int64)
        self.warp_clock = np.zeros(self.n, np.int64)
        self.ended = np.zeros(self.n, bool)

    def position(self, thread: int) -> str:
        """The thread in words: "thread (3, 0, 0) of block (1, 0, 0)"."""
        block, grid = self.launch.block, self.launch.grid
        inside, number = int(self.thread[thread]), self.first + int(self.block[thread])
        return f"thread {unravel(inside, block)} of block {unravel(number, grid)}"


def unravel(number: int, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    """The coordinates (x, y, z) of a thread or block, of which x changes first."""
    return number % sizes[0], number // sizes[0] % sizes[1], number // (sizes[0] * sizes[1])


class Group:
    """Threads that are at the same instruction.

    lanes: their numbers in the chunk, in order. registers: by the number of the register. at: the number of the next basic block.
    waiting: whether they wait for other threads at a barrier.
    """

    def __init__(self, chunk: Chunk, lanes: Values, registers: list[Values], at: int) -> None:
        self.chunk, self.lanes, self.registers, self.at = chunk, lanes, registers, at
        self.n, self.waiting = len(lanes), False

    @property
    def launch(self) -> Launch:
        """The launch that the threads belong to."""
        return self.chunk.launch

    def of(self, per_thread: Values) -> Values:
        """The elements of the group's threads in an array with one element for each thread of the chunk."""
        return per_thread if self.n == self.chunk.n else per_thread[self.lanes]

    @cached_property
    def warp(self) -> Values:
        """The warp of each thread."""
        return self.of(self.chunk.warp)

    @cached_property
    def block(self) -> Values:
        """The block of each thread."""
        return self.of(self.chunk.block)

    @cached_property
    def lane(self) -> Values:
        """The number of each thread in its warp."""
        return self.of(self.chunk.thread) % WARP

    @cached_property
    def number(self) -> Values:
        """The number of each thread in the whole grid, from 0."""
        return self.lanes + self.chunk.first * self.chunk.threads

    @cached_property
    def bases(self) -> dict[tuple[str, int], Values]:
        """Where the memory of each thread's block or of each thread begins, in elements of a size; filled by `base`."""
        return {}

    def base(self, space: str, size: int) -> Values:
        """Where the shared memory of each thread's block, or the local memory of each thread, begins, in elements of `size` bytes."""
        found = self.bases.get((space, size))
        if found is None:
            launch = self.launch
            found = self.block * (launch.shared_stride // size) if space == "shared" else self.lanes * (launch.local_stride // size)
            self.bases[space, size] = found
        return found

    def full(self, values: Values) -> Values:
        """One element for each thread, where all may share one."""
        return np.broadcast_to(values, self.n) if len(values) != self.n else values

    def part(self, mask: Values, live: Any, at: int) -> Group:
        """The threads for which the mask is true, with the registers numbered in `live`."""
        registers = list(self.launch.zeros)
        for i in live:
            values = self.registers[i]
            registers[i] = values if len(values) == 1 else values[mask]
        return Group(self.chunk, self.lanes[mask], registers, at)

    def joined(self, other: Group, live: Any) -> Group:
        """The threads of both groups, which are at the same instruction, in order."""
        lanes = np.concatenate((self.lanes, other.lanes))
        order = np.argsort(lanes, kind="stable")
        registers = list(self.launch.zeros)
        for i in live:
            a, b = self.registers[i], other.registers[i]
            if a is b or (len(a) == len(b) == 1 and a.view(f"u{a.itemsize}") == b.view(f"u{b.itemsize}")):
                registers[i] = a
            else:
                b = b.view(a.dtype)
                registers[i] = np.concatenate((self.full(a), other.full(b)))[order]
        return Group(self.chunk, lanes[order], registers, self.at)

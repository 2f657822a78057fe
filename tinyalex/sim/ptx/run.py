"""Runs a kernel: the threads of many blocks at once, in groups that are at the same instruction.

Of all groups the one with the lowest instruction goes first, so threads that took different ways meet again behind the branch.
A branch that only some threads take cuts the group in two; groups that are at the same instruction become one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinyalex.errors import KernelError
from tinyalex.sim.ptx.flow import ANYWHERE, Block
from tinyalex.sim.ptx.group import Chunk, Group
from tinyalex.sim.ptx.kernel import Kernel, plain_name, special
from tinyalex.sim.ptx.memory import Allocation, Fault, GlobalMemory
from tinyalex.sim.ptx.races import Log, granule

if TYPE_CHECKING:
    from tinyalex.sim.ptx.count import Profile

LANES = {True: 1 << 13, False: 1 << 15}  # threads that run together, with a log of accesses and without one; measured


class Launch:
    """One launch of a kernel.

    Parameters
    ----------
    grid, block: numbers of blocks and of threads of a block, in x, y, z. arguments: the bytes of each parameter. pointers: the
    arrays that parameters point to. memory: all arrays. dynamic: bytes of shared memory that the launch adds. races: whether
    accesses are logged. profile: where to count, or None.
    """

    def __init__(
        self,
        kernel: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: dict[str, bytes],
        pointers: dict[str, Allocation],
        memory: GlobalMemory,
        dynamic: int = 0,
        races: bool = True,
        profile: Profile | None = None,
    ) -> None:
        self.kernel, self.grid, self.block, self.arguments, self.pointers, self.memory = kernel, grid, block, arguments, pointers, memory
        self.threads = block[0] * block[1] * block[2]
        self.blocks = grid[0] * grid[1] * grid[2]
        self.shared_bytes, self.profile, self.races = kernel.shared + dynamic, profile, races
        self.shared_stride = -(-self.shared_bytes // 16) * 16
        self.local_stride = -(-kernel.local // 16) * 16
        self.zeros = kernel.zeros
        self.guesses: dict[int, Allocation] = {}
        self.instructions = 0  # run by all threads together
        self.shared_log: Log | None = None
        self._allowed: dict[int, list[Allocation] | None] = {}
        self._extents: dict[tuple[int, str], tuple[str, int, int]] = {}
        self.dynamic = dynamic
        if races:
            self._log_what_is_written()

    def _log_what_is_written(self) -> None:
        """Give a log to each array that the kernel may write; the others cannot be raced for."""
        accesses = self.kernel.accesses
        for position, one in accesses.items():
            if one.way != "read" and one.space in ("global", ""):
                for allocation in self.allowed(position) or self.memory.allocations:
                    allocation.written = True
        size = granule(accesses.values(), "global")
        for allocation in self.memory.allocations:
            if allocation.written:
                allocation.log = Log(self, len(allocation.memory), size, f"element of {allocation.label}", within_block=False)

    def allowed(self, position: int) -> list[Allocation] | None:
        """The arrays that the address of an access may be made of; None if it is not known."""
        if position not in self._allowed:
            names = self.kernel.origins[position]
            found = [self.pointers[name] for name in names if name in self.pointers]
            self._allowed[position] = None if ANYWHERE in names or not found else found
            if len(found) == 1:
                self.guesses[position] = found[0]
        return self._allowed[position]

    def extent(self, position: int, space: str) -> tuple[str, int, int]:
        """The variable that an access may touch: its name in words, its first byte, and the byte behind it."""
        found = self._extents.get((position, space))
        if found is None:
            names = [name for name in self.kernel.origins[position] if name in self.kernel.variables]
            names = [name for name in names if self.kernel.variables[name][0].space == space]
            if len(names) == 1 and ANYWHERE not in self.kernel.origins[position]:
                variable, offset = self.kernel.variables[names[0]]
                stop = self.shared_bytes if variable.extern else offset + variable.size
                found = (f"the {space} array {plain_name(variable.name)}", offset, stop)
            else:
                found = (f"{space} memory", 0, self.shared_bytes if space == "shared" else self.kernel.local)
            self._extents[position, space] = found
        return found

    def run(self) -> None:
        """Run all threads. Raises KernelError."""
        if self.profile is not None:
            self.profile.begin(self)
        at_once = max(1, LANES[self.races] // self.threads)
        with np.errstate(all="ignore"):
            for first in range(0, self.blocks, at_once):
                self._run_chunk(Chunk(self, first, min(at_once, self.blocks - first)))

    def _run_chunk(self, chunk: Chunk) -> None:
        if self.races and self.shared_bytes:
            size = granule(self.kernel.accesses.values(), "shared")
            self.shared_log = Log(self, len(chunk.shared), size, "element of shared memory", within_block=True)
        waiting: dict[int, Group] = {}
        registers = list(self.zeros)
        for name, number in self.kernel.specials.items():
            registers[number] = special(name, chunk)
        _put(waiting, Group(chunk, np.arange(chunk.n), registers, 0), self.kernel)
        while waiting:
            at = min((at for at, group in waiting.items() if not group.waiting), default=None)
            if at is None:
                raise self._stuck(waiting)
            for group in self._step(waiting.pop(at), waiting):
                _put(waiting, group, self.kernel)

    def _step(self, group: Group, others: dict[int, Group]) -> list[Group]:
        """Run one basic block. Returns the groups that it leaves."""
        block, left = self.kernel.blocks[group.at], []
        position = block.first
        try:
            if block.uses and block.uses[0].arrive is not None:
                complete = block.uses[0].arrive(group)
                if complete is not None and not complete.all():
                    rest = group.part(~complete, block.live, group.at)
                    rest.waiting = True
                    left.append(rest)
                    if not complete.any():
                        return left
                    group = group.part(complete, block.live, group.at)
            registers, zeros = group.registers, self.zeros
            for run, dead in block.steps:
                run(group)
                position += 1
                for i in dead:
                    registers[i] = zeros[i]
        except Fault as fault:
            raise self._error(fault, group, position) from None
        self.instructions += group.n * (len(block.steps) + (block.end is not None))
        if self.profile is not None:
            self.profile.step(group, block)
        return left + self._go_on(group, block, others)

    def _go_on(self, group: Group, block: Block, others: dict[int, Group]) -> list[Group]:
        """The group, or the two groups, at the next basic blocks."""
        number = group.at
        if block.end is None:
            return self._at(group, number + 1, others)
        if block.end.parts[0] == "trap":
            first = group.chunk.position(int(group.lanes[0]))
            where = self.kernel.where(block.first + len(block.steps))
            raise KernelError(f"{self.kernel.name}{where}: trap must not be reached, got {first}")
        target = block.target if block.end.parts[0] == "bra" else None
        if block.guard is None:
            return self._at(group, target, others)
        mask = block.guard(group)
        if len(mask) == 1 or mask.all() or not mask.any():
            return self._at(group, target if mask[0] else number + 1, others)
        if self.profile is not None:
            self.profile.diverge(group, mask)
        pieces = []
        for part, goal in ((~mask, number + 1), (mask, target)):
            live = self.kernel.blocks[goal].live if goal is not None and goal < len(self.kernel.blocks) else ()
            pieces += self._at(group.part(part, live, number), goal, others)
        return pieces

    def _at(self, group: Group, goal: int | None, others: dict[int, Group]) -> list[Group]:
        """The group at the start of a basic block; none if its threads have ended."""
        if goal is not None and goal < len(self.kernel.blocks):
            group.at = goal
            return [group]
        group.chunk.ended[group.lanes] = True
        for other in others.values():  # they may have waited for these threads
            other.waiting = False
        return []

    def _error(self, fault: Fault, group: Group, position: int) -> KernelError:
        where = f"{self.kernel.name}{self.kernel.where(position)}"
        thread = group.chunk.position(int(group.lanes[fault.lane]))
        return KernelError(f"{where}: {fault.rule}, got {fault.got}{fault.by} {thread}", fault.remedy or None)

    def _stuck(self, waiting: dict[int, Group]) -> KernelError:
        """Threads that wait for others which do not come."""
        at = min(waiting)
        group, position = waiting[at], self.kernel.blocks[at].first
        chunk, first = group.chunk, int(group.lanes[0])
        block = chunk.block[first]
        here = int(np.count_nonzero(group.block == block))
        ended = int(np.count_nonzero(chunk.ended & (chunk.block == block)))
        elsewhere = [
            f"{count} wait{self.kernel.where(self.kernel.blocks[other].first)}"
            for other, one in waiting.items()
            if other != at and (count := int(np.count_nonzero(one.block == block)))
        ]
        others = ", ".join([*([f"{ended} have ended"] if ended else []), *elsewhere]) or "the others do not come"
        kind = "a barrier must be reached by all threads of its block"
        if "warp" in self.kernel.instructions[position].parts or self.kernel.instructions[position].parts[0] not in ("bar", "barrier"):
            kind = "an instruction of a warp must be reached by all threads of its mask"
        name = chunk.position(first).partition(" of ")[2]
        return KernelError(
            f"{self.kernel.name}{self.kernel.where(position)}: {kind}, got {here} of {chunk.threads} threads of {name} there, {others}"
        )


def _put(waiting: dict[int, Group], group: Group, kernel: Kernel) -> None:
    """Add a group; it joins the one that is at the same basic block."""
    other = waiting.get(group.at)
    if other is not None:
        keep_waiting = group.waiting and other.waiting
        group = other.joined(group, kernel.blocks[group.at].live)
        group.waiting = keep_waiting
    waiting[group.at] = group

"""Runs a kernel: the threads of many blocks at once, in groups that are at the same instruction.

Of all groups the one with the lowest instruction goes first, so threads that took different ways meet again behind the branch.
A branch that only some threads take cuts the group in two; groups that are at the same instruction become one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyalex.errors import KernelError
from tinyalex.sim.ptx import access, bits, carry, convert, floating, integer, together  # noqa: F401 - they enter their operations
from tinyalex.sim.ptx.decode import Decoder
from tinyalex.sim.ptx.flow import ANYWHERE, Block, blocks_of, origins_of
from tinyalex.sim.ptx.group import WARP, Chunk, Group
from tinyalex.sim.ptx.inline import inline
from tinyalex.sim.ptx.memory import Allocation, Fault, GlobalMemory
from tinyalex.sim.ptx.parse import Function, Instruction, Text, Variable
from tinyalex.sim.ptx.races import Log, granule
from tinyalex.sim.ptx.types import Unknown, Values

if TYPE_CHECKING:
    from tinyalex.sim.ptx.count import Profile

LANES = {True: 1 << 13, False: 1 << 15}  # threads that run together, with a log of accesses and without one; measured


class Kernel:
    """A kernel that is ready to run.

    Attributes
    ----------
    parameters: of the kernel. blocks: its basic blocks. registers: how many it has in PTX. shared: bytes of shared memory, without
    those that a launch adds. unused: the numbers of instructions whose result nobody reads.
    """

    def __init__(self, function: Function, text: Text, symbols: dict[str, int]) -> None:
        self.name, self.parameters, self.files = function.name, function.parameters, text.files
        flat = inline(function, text)
        self.instructions: list[Instruction] = flat.instructions
        self.variables: dict[str, tuple[Variable, int]] = {}
        flat.registers[carry.CARRY] = "u32"
        self.shared, self.local = self._place(flat, text)
        d = Decoder(flat, {**symbols, **{name: offset for name, (_, offset) in self.variables.items()}})
        self.blocks: list[Block] = self._build(flat, d)
        self.origins = origins_of(self.blocks)
        self.types, self.specials = d.types, d.specials
        self.zeros = [np.zeros(1, dtype) for dtype in d.types]  # of registers before the first write, and of those that nobody needs
        self.unused = {
            block.first + j
            for block in self.blocks
            for j, (_, dead) in enumerate(block.steps)
            if block.uses[j].writes and block.uses[j].writes <= set(dead)
        }
        every = [(block.first + j, uses.access) for block in self.blocks for j, uses in enumerate(block.uses) if uses.access is not None]
        self.accesses = dict(every)

    def _place(self, flat: Function, text: Text) -> tuple[int, int]:
        """Offsets of the variables in shared and in local memory, and the bytes of both."""
        sizes = {"shared": 0, "local": 0}
        names = " ".join(" ".join(instruction.operands) for instruction in flat.instructions)
        outside = [one for one in text.variables if one.space == "shared" and one.name in names]
        for variable in sorted((*flat.variables, *outside), key=lambda one: one.extern):  # the extern ones begin behind all others
            if variable.space in sizes:
                offset = -(-sizes[variable.space] // variable.align) * variable.align
                self.variables[variable.name] = (variable, offset)
                sizes[variable.space] = offset + variable.size
        return sizes["shared"], sizes["local"]

    def _build(self, flat: Function, d: Decoder) -> list[Block]:
        try:
            return blocks_of(flat, d)
        except Unknown as unknown:
            instruction = flat.instructions[d.position]
            where = f"{self.name}{self.where(d.position)}"
            rule = "an instruction must be one that the simulated card knows"
            raise KernelError(f"{where}: {rule}, got {unknown} in {instruction.text!r}", "write it another way") from None

    def where(self, position: int) -> str:
        """The line of an instruction: " (lrn.cu, line 12)", or of the PTX if the source is not known."""
        instruction = self.instructions[min(position, len(self.instructions) - 1)]
        if instruction.source is None:
            return f" (line {instruction.line} of the PTX)"
        file, line = instruction.source
        return f" ({self.files.get(file, 'kernel.cu').rpartition('/')[2]}, line {line})"


class Launch:
    """One launch of a kernel.

    Parameters
    ----------
    grid, block: numbers of blocks and of threads of a block, in x, y, z. arguments: the bytes of each parameter. pointers: the
    arrays that parameters point to. memory: all arrays. dynamic: bytes of shared memory that the launch adds. races: whether
    accesses are logged.
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
            raise KernelError(f"{self.kernel.name}{self.kernel.where(block.first)}: trap must not be reached, got {first}")
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


def plain_name(name: str) -> str:
    """The name of a variable in the source: tile of _ZZ4gemmE4tile."""
    digits = name.rpartition("E")[2] if name.startswith("_Z") else ""
    length = "".join(letter for i, letter in enumerate(digits) if digits[: i + 1].isdecimal())
    return digits[len(length) :][: int(length)] if length else name.partition("@")[0]


def special(name: str, chunk: Chunk) -> Values:
    """A special register: %tid.x, %ctaid.y, %laneid, ..."""
    launch, word = chunk.launch, name[1:].partition(".")
    block = chunk.block + chunk.first
    lane = chunk.thread % WARP
    one: Callable[[Any], Values] = lambda value: np.array([value], np.uint32)  # noqa: E731
    if word[1]:
        axis = "xyz".index(word[2])
        sizes, numbers = (launch.block, chunk.thread) if word[0].endswith("tid") and "cta" not in word[0] else (launch.grid, block)
        if word[0] in ("ntid", "nctaid"):
            return one(launch.block[axis] if word[0] == "ntid" else launch.grid[axis])
        if sizes[axis] == 1:
            return one(0)
        return (numbers // int(np.prod(sizes[:axis])) % sizes[axis]).astype(np.uint32)
    one64 = np.uint64(1)
    bit = np.left_shift(one64, lane.astype(np.uint64))
    values = {
        "laneid": lane, "warpid": chunk.thread // WARP, "nwarpid": np.array([chunk.warps]),
        "lanemask_eq": bit, "lanemask_lt": bit - one64, "lanemask_le": 2 * bit - one64, "lanemask_gt": ~(2 * bit - one64),
        "lanemask_ge": ~(bit - one64), "dynamic_smem_size": np.array([launch.dynamic]), "total_smem_size": np.array([launch.shared_bytes]),
    }  # fmt: skip
    return values[word[0]].astype(np.uint32)

"""A kernel that is ready to run: its basic blocks, its variables, its special registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.errors import KernelError
from tinyalex.sim.ptx import access, atomic, bits, carry, convert, floating, integer, together  # noqa: F401 - they enter their operations
from tinyalex.sim.ptx.decode import Decoder
from tinyalex.sim.ptx.flow import Block, blocks_of, origins_of
from tinyalex.sim.ptx.group import WARP, Chunk
from tinyalex.sim.ptx.inline import inline
from tinyalex.sim.ptx.parse import Function, Instruction, Text, Variable
from tinyalex.sim.ptx.types import Unknown, Values


class Kernel:
    """A kernel that is ready to run.

    Attributes
    ----------
    parameters: of the kernel. blocks: its basic blocks. types: of its registers. most_threads: of a block, 0 if the kernel does not
    say it. shared: bytes of shared memory, without those that a launch adds. local: bytes of memory of each thread. variables: by
    their names, with their first byte in shared or local memory. origins: see `origins_of`. accesses: by the number of the
    instruction. unused: the numbers of instructions whose result nobody reads.
    """

    def __init__(self, function: Function, text: Text, symbols: dict[str, int]) -> None:
        self.name, self.parameters, self.files = function.name, function.parameters, text.files
        self.most_threads = function.most_threads
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
        except (Unknown, LookupError, ValueError) as error:  # the last two: it has other types or operands than those known
            instruction = flat.instructions[d.position]
            what = error if isinstance(error, Unknown) else ".".join(instruction.parts)
            where = f"{self.name}{self.where(d.position)}"
            rule = "an instruction must be one that the simulated card knows"
            raise KernelError(f"{where}: {rule}, got {what} in {instruction.text!r}", "write it another way") from None

    def where(self, position: int) -> str:
        """The line of an instruction: " (lrn.cu, line 12)", or of the PTX if the source is not known."""
        instruction = self.instructions[min(position, len(self.instructions) - 1)]
        if instruction.source is None:
            return f" (line {instruction.line} of the PTX)"
        file, line = instruction.source
        return f" ({self.files.get(file, 'kernel.cu').rpartition('/')[2]}, line {line})"


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

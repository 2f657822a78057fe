"""How a kernel flows: basic blocks, which registers are still needed, and where pointers come from.

A basic block is a piece of the kernel that is run from its first instruction to its last. It begins at a label, after a branch,
or at an instruction at which threads wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinyalex.sim.ptx.decode import Decoder, Read, Run, Uses
from tinyalex.sim.ptx.group import Group
from tinyalex.sim.ptx.parse import Function, Instruction
from tinyalex.sim.ptx.types import Unknown, Values

ENDS = ("bra", "ret", "exit", "trap")
ANYWHERE = "?"  # the origin of a pointer that was read from memory


@dataclass
class Block:
    """A basic block.

    steps: (the function of an instruction, the registers that nobody needs after it). uses: of each step. first: the number of the
    first instruction. end: the branch at its end, or None. guard: of the branch. target: the number of the block that the branch
    goes to; None for the end of the kernel. live: the registers that are needed when the block begins.
    """

    first: int
    steps: list[tuple[Run, tuple[int, ...]]] = field(default_factory=list)
    uses: list[Uses] = field(default_factory=list)
    end: Instruction | None = None
    guard: Read | None = None
    guard_uses: frozenset[int] = frozenset()
    target: int | None = None
    live: tuple[int, ...] = ()


def blocks_of(kernel: Function, d: Decoder) -> list[Block]:
    """The basic blocks in the order of the text. Raises Unknown for an instruction that is not known."""
    built: list[tuple[Run, Uses] | None] = []
    for position, instruction in enumerate(kernel.instructions):
        built.append(None if instruction.parts[0] in ENDS else _guarded(d, instruction, position))
    starts = {0, *kernel.labels.values()}
    for position, made in enumerate(built):
        if made is None:
            starts.add(position + 1)
        elif made[1].arrive is not None:
            starts.add(position)
    starts.discard(len(kernel.instructions))
    order = sorted(starts)
    number = {start: i for i, start in enumerate(order)}
    blocks = []
    for start, stop in zip(order, [*order[1:], len(kernel.instructions)], strict=True):
        block = Block(start)
        for position in range(start, stop):
            made = built[position]
            if made is None:
                d.position = position
                _finish(block, kernel.instructions[position], kernel, d, number)
            else:
                block.steps.append((made[0], ()))
                block.uses.append(made[1])
        blocks.append(block)
    _find_live(blocks)
    return blocks


def _guarded(d: Decoder, instruction: Instruction, position: int) -> tuple[Run, Uses]:
    """The function of an instruction, which only the threads run for which its guard is true."""
    run, uses = d.build(instruction, position)
    if instruction.guard is None:
        return run, uses
    if uses.arrive is not None:
        raise Unknown(f"@{instruction.guard} {'.'.join(instruction.parts)}")
    guard, own, written = d.read(instruction.guard, "pred"), tuple(uses.reads), tuple(uses.writes)
    uses.reads |= uses.writes  # the threads that do not run it keep the old values

    def only_some(group: Group) -> None:
        mask = group.full(guard(group))
        if mask.all():
            run(group)
        elif mask.any():
            narrow(group, mask, run, own, written)

    return only_some, uses


def narrow(group: Group, mask: Values, run: Run, reads: tuple[int, ...], writes: tuple[int, ...]) -> None:
    """Let only the threads of the mask run an instruction, and put their results into the registers of the group."""
    part = group.part(mask, reads, group.at)
    run(part)
    for i in writes:
        whole = group.full(group.registers[i]).copy()
        whole[mask] = part.full(part.registers[i]).view(whole.dtype)
        group.registers[i] = whole


def _finish(block: Block, end: Instruction, kernel: Function, d: Decoder, number: dict[int, int]) -> None:
    block.end = end
    if end.guard is not None:
        d.uses = Uses()
        block.guard = d.read(end.guard, "pred")
        block.guard_uses = frozenset(d.uses.reads)
    if end.parts[0] == "bra":
        label = end.operands[-1]
        if label not in kernel.labels:
            raise Unknown(end.text)
        block.target = number.get(kernel.labels[label])  # None: the label stands at the end of the kernel


def _find_live(blocks: list[Block]) -> None:
    """Which registers are needed at the start of each block, and which are needed no more after each step."""
    live: list[set[int]] = [set() for _ in blocks]
    changed = True
    while changed:
        changed = False
        for i in reversed(range(len(blocks))):
            needed = _live_at_end(blocks, i, live) | blocks[i].guard_uses
            for uses in reversed(blocks[i].uses):
                needed = (needed - uses.writes) | uses.reads
            if needed != live[i]:
                live[i], changed = needed, True
    for i, block in enumerate(blocks):
        block.live = tuple(sorted(live[i]))
        needed = _live_at_end(blocks, i, live) | block.guard_uses
        for j in reversed(range(len(block.steps))):
            uses = block.uses[j]
            dead = (uses.reads | uses.writes) - needed
            block.steps[j] = (block.steps[j][0], tuple(dead))
            needed = (needed - uses.writes) | uses.reads


def _live_at_end(blocks: list[Block], i: int, live: list[set[int]]) -> set[int]:
    block, needed = blocks[i], set()
    if block.end is not None and block.end.parts[0] == "bra" and block.target is not None:
        needed |= live[block.target]
    if (block.end is None or block.guard is not None) and i + 1 < len(blocks):
        needed |= live[i + 1]
    return needed


def origins_of(blocks: list[Block]) -> dict[int, frozenset[str]]:
    """For each access to memory, by the number of its instruction: the parameters and variables of which its address is made.

    What an instruction computes comes from all that it reads. So the answer may have too many names, but none is missing; a pointer
    that was itself read from memory has the name `ANYWHERE`.
    """
    origin: dict[int, set[str]] = {}
    every = [uses for block in blocks for uses in block.uses]
    changed = True
    while changed:
        changed = False
        for uses in every:
            names = set(uses.names)
            if uses.access is None:
                for number in uses.reads:
                    names |= origin.get(number, set())
            elif uses.access.size == 8 and uses.access.way == "read":
                names = {ANYWHERE}
            else:
                names = set()
            for number in uses.writes:
                before = origin.setdefault(number, set())
                if not names <= before:
                    before |= names
                    changed = True
    found = {}
    for block in blocks:
        for j, uses in enumerate(block.uses):
            if uses.access is not None:
                parts = [origin.get(name, set()) if isinstance(name, int) else {name} for name in uses.pointers]
                found[block.first + j] = frozenset().union(*parts)
    return found

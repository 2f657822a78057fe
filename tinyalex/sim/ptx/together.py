"""What threads do together: barriers of a block, and shuffles, votes and barriers of a warp.

Such an instruction begins a basic block. Before it runs, `arrive` says which threads of the group need not wait any longer; the
others stay where they are until the missing ones have come. If nobody can run any more, a thread will wait for ever: an error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyalex.sim.ptx.decode import Decoder, Read, Run, operation
from tinyalex.sim.ptx.group import WARP, Group
from tinyalex.sim.ptx.memory import Fault
from tinyalex.sim.ptx.parse import Instruction
from tinyalex.sim.ptx.types import TYPES, Unknown, Values

Arrive = Callable[[Group], "Values | None"]
ALL = np.uint32(0xFFFFFFFF)


def whole_blocks(group: Group) -> Values | None:
    """Which threads are in a block whose threads are all here; None if all are."""
    if group.n == group.chunk.n:
        return None
    here = np.bincount(group.block, minlength=group.chunk.blocks)
    return (here == group.chunk.threads)[group.block]


def bits_of_warps(group: Group, which: Values | None = None) -> Values:
    """For each warp of the chunk, a bit for each thread that is in the group, or of those for which `which` is true."""
    weights = np.left_shift(np.int64(1), group.lane).astype(np.float64)  # sums of powers of two are exact
    if which is not None:
        weights = weights * which
    return np.bincount(group.warp, weights, group.chunk.blocks * group.chunk.warps).astype(np.uint32)


def whole_warps(mask: Read) -> Arrive:
    """Which threads have all the threads of their warp here that the mask names and that have not ended."""

    def arrive(group: Group) -> Values | None:
        chunk, wanted = group.chunk, mask(group)
        own = (wanted >> group.lane.astype(np.uint32)) & np.uint32(1)
        if not own.all():
            lane = int(np.flatnonzero(own == 0)[0])
            raise Fault(lane, "the mask must have the bit of each thread that calls", f"mask 0x{int(group.full(wanted)[lane]):08x}")
        alive = Group(chunk, np.flatnonzero(~chunk.ended), [], 0) if chunk.ended.any() else None
        if group.n == (chunk.n if alive is None else alive.n):
            return None
        expected = bits_of_warps(alive) if alive is not None else _existing(group)
        missing = wanted & expected[group.warp] & ~bits_of_warps(group)[group.warp]
        return None if not missing.any() else missing == 0

    return arrive


def _existing(group: Group) -> Values:
    chunk = group.chunk
    return bits_of_warps(Group(chunk, np.arange(chunk.n), [], 0))


@operation("bar barrier", "any", "sync cta aligned red popc and or warp")
def barrier(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """__syncthreads() and its forms that count; bar.warp.sync is __syncwarp(mask)."""
    words = instruction.parts[1:]
    if "warp" in words:
        d.uses.arrive = whole_warps(d.read(instruction.operands[0], "u32"))
        return _pass_warp
    d.uses.arrive = whole_blocks
    if "red" not in words:
        if len(instruction.operands) != 1 or not instruction.operands[0].isdecimal():
            raise Unknown(instruction.text)  # a barrier of only some warps
        return _pass_block
    word = next(word for word in words if word in ("popc", "and", "or"))
    if len(instruction.operands) != 3:
        raise Unknown(instruction.text)
    read, put = d.read(instruction.operands[2], "pred"), d.write(instruction.operands[0], kind)

    def run(group: Group) -> None:
        _pass_block(group)
        true = np.bincount(group.block, group.full(read(group)), group.chunk.blocks)[group.block].astype(np.uint32)
        put(group, true if word == "popc" else true == group.chunk.threads if word == "and" else true > 0)

    return run


def _pass_block(group: Group) -> None:
    """The accesses before the barrier come before those after it, for all threads of each block."""
    chunk = group.chunk
    chunk.clock += 1
    chunk.block_clock[group.lanes] = chunk.warp_clock[group.lanes] = chunk.clock
    log = group.launch.shared_log
    if log is not None:
        log.forget(group)
    if group.launch.profile is not None:
        group.launch.profile.barrier(group)


def _pass_warp(group: Group) -> None:
    group.chunk.clock += 1
    group.chunk.warp_clock[group.lanes] = group.chunk.clock


@operation("membar fence", "any", "gl cta sys gpu sc acq_rel proxy alias async acquire release cluster")
def fence(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Nothing: every access is seen by all threads at once. It is no barrier either: a race stays a race."""
    return lambda group: None


@operation("shfl", "any", "sync up down bfly idx")
def shuffle(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The value of a register in another thread of the warp."""
    target, source, by, limits, *mask = instruction.operands
    if not mask:
        raise Unknown(".".join(instruction.parts))
    way = instruction.parts[2]
    members = d.read(mask[0], "u32")
    d.uses.arrive = whole_warps(members)
    read, distance, clamp = d.read(source, kind), d.read(by, "u32"), d.read(limits, "u32")
    name, _, valid = target.partition("|")
    put, put_valid = d.write(name, kind), d.write(valid or "_", "pred")

    def run(group: Group) -> None:
        lane, by_lanes, c = group.lane, distance(group).astype(np.int64) & 31, clamp(group).astype(np.int64)
        segment = (c >> 8) & 31
        first, last = lane & segment, (lane & segment) | (c & 31 & ~segment)
        other = {"up": lane - by_lanes, "down": lane + by_lanes, "bfly": lane ^ by_lanes, "idx": first | (by_lanes & ~segment)}[way]
        inside = other >= last if way == "up" else other <= last
        other = np.where(inside, other, lane)
        place = _places(group, other, members(group))
        put(group, group.full(read(group))[place])
        put_valid(group, inside)

    return run


def _places(group: Group, other: Values, members: Values) -> Values:
    """Where in the group the thread `other` of the same warp is. Raises Fault if it takes no part."""
    chunk = group.chunk
    thread = group.of(chunk.thread) - group.lane + other
    wanted = group.lanes - group.lane + other
    part = (thread < chunk.threads) & (((members >> other.astype(np.uint32)) & np.uint32(1)) == 1)
    if group.n == chunk.n:
        place = wanted
    else:
        where = np.full(chunk.n + WARP, -1)
        where[group.lanes] = np.arange(group.n)
        place = where[wanted]
        part &= place >= 0
    if not part.all():
        lane = int(np.flatnonzero(~part)[0])
        raise Fault(lane, "a shuffle must read from a thread that takes part in it", f"lane {int(other[lane])} of the warp")
    return place


@operation("vote", "any", "sync all any uni ballot")
def vote(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Whether a predicate is true in all threads of the mask, or in any; or (ballot) a bit for each thread."""
    target, source, *mask = instruction.operands
    if not mask:
        raise Unknown(".".join(instruction.parts))
    members, read = d.read(mask[0], "u32"), d.read(source, "pred")
    d.uses.arrive = whole_warps(members)
    put, word = d.write(target, kind), instruction.parts[2]

    def run(group: Group) -> None:
        wanted = members(group)
        here = bits_of_warps(group)[group.warp] & wanted
        true = bits_of_warps(group, group.full(read(group)))[group.warp] & wanted
        results = {"ballot": true, "any": true != 0, "all": true == here, "uni": (true == here) | (true == 0)}
        put(group, results[word])

    return run


@operation("activemask", "any")
def active(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """A bit for each thread of the warp that is at this instruction now."""
    put = d.write(instruction.operands[0], "u32")
    return lambda group: put(group, bits_of_warps(group)[group.warp])


def table(group: Group, values: Values, fill: int) -> Values:
    """The values as one row of 32 for each warp of the chunk; `fill` stands where no thread of the group is."""
    rows = np.full((group.chunk.blocks * group.chunk.warps, WARP), fill, values.dtype)
    rows[group.warp, group.lane] = values
    return rows


@operation("match", "any", "any sync")
def match(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """A bit for each thread of the mask that has the same value."""
    target, source, mask = instruction.operands
    if instruction.parts[1] != "any":
        raise Unknown(".".join(instruction.parts))
    members, read, put = d.read(mask, "u32"), d.read(source, kind), d.write(target, "u32")
    d.uses.arrive = whole_warps(members)

    def run(group: Group) -> None:
        values, bits = group.full(read(group)), np.zeros(group.n, np.uint32)
        rows, here = table(group, values, 0), bits_of_warps(group)[group.warp] & members(group)
        for k in range(WARP):
            bits |= (rows[group.warp, k] == values).astype(np.uint32) << np.uint32(k)
        put(group, bits & here)

    return run


REDUCE = {"add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}


@operation("redux", "int", f"sync {' '.join(REDUCE)}")
def reduce(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The sum, minimum, ... of the values of all threads of the mask."""
    target, source, mask = instruction.operands
    members, read, put = d.read(mask, "u32"), d.read(source, kind), d.write(target, kind)
    d.uses.arrive = whole_warps(members)
    word, dtype = instruction.parts[2], TYPES[kind]
    limits = np.iinfo(dtype)
    neutral = {"min": int(limits.max), "max": int(limits.min), "and": -1 if dtype.kind == "i" else int(limits.max)}.get(word, 0)

    def run(group: Group) -> None:
        wanted = group.full(members(group))
        rows, out = table(group, group.full(read(group)), neutral), np.full(group.n, neutral, dtype)
        for k in range(WARP):
            takes_part = ((wanted >> np.uint32(k)) & np.uint32(1)) == 1
            out = np.where(takes_part, REDUCE[word](out, rows[group.warp, k]), out)
        put(group, out)

    return run

"""Loads, stores and atomic operations, in global, shared, local and constant memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.sim.ptx.decode import Access, Decoder, Read, Run, operation
from tinyalex.sim.ptx.flow import narrow
from tinyalex.sim.ptx.group import Group
from tinyalex.sim.ptx.memory import LOCAL_WINDOW, SHARED_WINDOW, Allocation, Fault, crooked_address, distance
from tinyalex.sim.ptx.parse import Instruction, vector
from tinyalex.sim.ptx.types import TYPES, Unknown, Values

SPACES = ("global", "shared", "local", "const", "param")
HINTS = (  # words that say how a cache should treat the data, or who sees an access when; here every access is seen at once
    "nc ca cg cs lu cv cop wb wt volatile relaxed acquire release acq_rel weak cta cluster gpu sys L1 L2 evict_first evict_last "
    "evict_normal evict_unchanged no_allocate 64B 128B 256B v2 v4"
)
Found = list[tuple[Any, "Area", Values]]


class Area:
    """Where an access goes: the elements of an array, their log if there is one, and the cell of the log of element 0."""

    __slots__ = ("cell", "elements", "log")

    def __init__(self, elements: Values, log: Any, cell: int) -> None:
        self.elements, self.log, self.cell = elements, log, cell


def finder(d: Decoder, operand: str, access: Access) -> Callable[[Group], Found]:
    """A function that says for a group where the access goes: (which threads, the area, the index of the first element of each)."""
    position, where = d.position, d.address(operand)
    d.uses.access = access
    if access.space in ("shared", "local"):
        window = np.uint64(SHARED_WINDOW if access.space == "shared" else LOCAL_WINDOW) if access.generic else None
        return _inside(position, where if window is None else lambda group: where(group) - window, access)
    return _global(position, where, access)


def by_space(d: Decoder, instruction: Instruction, access: Access, build: Callable[[Access], Run]) -> Run:
    """The function of an access. If the opcode names no space, it looks at the addresses, and each space gets its threads."""
    if access.space:
        return build(access)
    runs = {space: build(replace(access, space=space, generic=True)) for space in ("global", "shared", "local")}
    operand = next(one for one in instruction.operands if one.startswith("["))
    where, reads, writes = d.address(operand), tuple(d.uses.reads), tuple(d.uses.writes)
    d.uses.access = access
    d.uses.reads |= d.uses.writes  # the threads of the other spaces keep the old values
    shared, local = np.uint64(SHARED_WINDOW), np.uint64(LOCAL_WINDOW)

    def run(group: Group) -> None:
        address = where(group)
        masks = {"global": address < shared, "shared": (address >= shared) & (address < local), "local": address >= local}
        for space, mask in masks.items():
            if mask.all():
                runs[space](group)
            elif mask.any():
                narrow(group, group.full(mask), runs[space], reads, writes)

    return run


def _global(position: int, where: Read, access: Access) -> Callable[[Group], Found]:
    size, count, dtype = access.size, access.count, TYPES[access.kind]

    def find(group: Group) -> Found:
        launch, address = group.launch, where(group)
        if launch.profile is not None:
            launch.profile.access(group, position, "global", address, size * count)
        found = launch.memory.find(address, access, launch.guesses.get(position), launch.allowed(position))
        if len(found) == 1:
            launch.guesses[position] = found[0][1]
        return [(threads, _area(allocation, size, count, dtype), index) for threads, allocation, index in found]

    return find


def _area(allocation: Allocation, size: int, count: int, dtype: np.dtype[Any]) -> Area:
    window = allocation.window(size, count)
    cell = 0 if allocation.log is None else allocation.log.cell_of(allocation.low, window.skip)
    return Area(window.memory.view(dtype), allocation.log, cell)


def _inside(position: int, where: Read, access: Access) -> Callable[[Group], Found]:
    """In shared or local memory: addresses are offsets in the memory of the block or of the thread."""
    size, count, dtype, space = access.size, access.count, TYPES[access.kind], access.space
    nbytes = size * count
    shift = nbytes.bit_length() - 1

    def find(group: Group) -> Found:
        launch, address = group.launch, where(group)
        if launch.profile is not None:
            launch.profile.access(group, position, space, address, nbytes)
        name, low, high = launch.extent(position, space)
        start = -(-low // nbytes) * nbytes  # the first address that is a multiple
        offset = address - address.dtype.type(start) if start else address
        right, left = offset.dtype.type(shift), offset.dtype.type(8 * offset.itemsize - shift)
        index = (offset >> right) | (offset << left) if shift else offset
        if index.max() >= (high - start) // nbytes:
            raise _beyond(group.full(address), access, name, low, high)
        first = group.base(space, nbytes)
        index = (index if index.itemsize == 4 else index.view(np.int64)) + (first + start // nbytes if start else first)
        memory, log = (group.chunk.shared, launch.shared_log) if space == "shared" else (group.chunk.local, None)
        return [(slice(None), Area(memory.view(dtype), log, 0), index)]

    return find


def _beyond(address: Values, access: Access, name: str, low: int, high: int) -> Fault:
    """The fault of an address outside of a variable in shared or local memory."""
    nbytes = access.size * access.count
    at = [int(one) for one in address.view(f"i{address.itemsize}")]
    lane = next(i for i, one in enumerate(at) if one < low or one + nbytes > high or one % nbytes)
    one = at[lane]
    if low <= one and one + nbytes <= high:
        return crooked_address(lane, access, f"byte {one} of {access.space} memory")
    rule = f"{access.name} must be inside of {name}"
    if high == low:
        return Fault(lane, rule, "a launch without shared memory", "pass shared_mem= to the launch")
    side = f"{low - one:,} bytes before the start" if one < low else f"{distance(max(one - high, 0))} the end"
    return Fault(lane, rule, f"{side} of its {high - low:,} bytes")


def access_of(instruction: Instruction, kind: str, way: str, count: int = 1) -> Access:
    """What an instruction does to memory, read off its opcode."""
    space = next((part for part in instruction.parts if part in SPACES), "")
    return Access(space, TYPES[kind].itemsize, count, kind, way)


def strict(parts: tuple[str, ...]) -> bool:
    """Whether the access is made so that another thread may make one at the same time (volatile, relaxed, ...)."""
    return not {"volatile", "relaxed", "acquire", "release", "acq_rel"}.isdisjoint(parts)


@operation("ld ldu", "any", f"{' '.join(SPACES)} {HINTS}")
def load(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """One to four elements from memory to registers."""
    if "param" in instruction.parts:
        return _parameter(d, instruction, kind)
    access = access_of(instruction, kind, "read", len(vector(instruction.operands[0])))
    return by_space(d, instruction, access, lambda one: _load(d, instruction, one))


def _load(d: Decoder, instruction: Instruction, access: Access) -> Run:
    targets, operand = vector(instruction.operands[0]), instruction.operands[1]
    find, position, loose = finder(d, operand, access), d.position, strict(instruction.parts)
    puts, count, size = [d.write(target, access.kind) for target in targets], access.count, access.size

    def run(group: Group) -> None:
        found = find(group)
        if len(found) == 1 and count == 1:
            threads, area, index = found[0]
            if area.log is not None:
                area.log.reads(group, threads, area.cell, index, size, position, loose)
            puts[0](group, area.elements.take(index))
            return
        parts: list[Values] = [np.zeros(group.n, TYPES[access.kind]) for _ in puts]
        for threads, area, index in found:
            index = index * count
            for k, part in enumerate(parts):
                if area.log is not None:
                    area.log.reads(group, threads, area.cell, index + k, size, position, loose)
                part[threads] = area.elements.take(index + k)
        for put, part in zip(puts, parts, strict=True):
            put(group, part)

    return run


def _parameter(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """An argument of the kernel, which is the same for all threads."""
    name, _, offset = instruction.operands[1].strip("[] ").partition("+")
    if all(name != parameter.name for parameter in d.kernel.parameters):
        raise Unknown(instruction.text)
    d.uses.names.add(name)
    dtype, start = TYPES[kind], int(offset or 0)
    puts = [d.write(target, kind) for target in vector(instruction.operands[0])]

    def run(group: Group) -> None:
        values = np.frombuffer(group.launch.arguments[name], dtype, len(puts), start)
        for k, put in enumerate(puts):
            put(group, values[k : k + 1])

    return run


@operation("st", "any", f"{' '.join(SPACES)} {HINTS}")
def store(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """One to four elements from registers to memory. Of two threads that write one element the later one wins."""
    if "param" in instruction.parts or "const" in instruction.parts:
        raise Unknown(".".join(instruction.parts))
    access = access_of(instruction, kind, "write", len(vector(instruction.operands[1])))
    return by_space(d, instruction, access, lambda one: _store(d, instruction, one))


def _store(d: Decoder, instruction: Instruction, access: Access) -> Run:
    operand, sources = instruction.operands[0], vector(instruction.operands[1])
    find, position, loose = finder(d, operand, access), d.position, strict(instruction.parts)
    reads, count, size = [d.read(source, access.kind) for source in sources], access.count, access.size

    def run(group: Group) -> None:
        for threads, area, index in find(group):
            for k, read in enumerate(reads):
                values = read(group)
                if len(values) > 1 and not isinstance(threads, slice):
                    values = values[threads]
                places = index * count + k if count > 1 else index
                if len(places) < len(values):
                    places = np.broadcast_to(places, len(values))
                if area.log is not None:
                    area.log.writes(group, threads, area, places, size, position, values, loose)
                else:
                    area.elements[places] = values

    return run


@operation("prefetch prefetchu", "any", "global L1 L2 local")
def prefetch(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Nothing: there is no cache."""
    return lambda group: None


"""Atomic operations: read, change and write back, which no other thread interrupts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.sim.ptx.access import HINTS, SPACES, access_of, by_space, finder
from tinyalex.sim.ptx.decode import Access, Decoder, Run, operation
from tinyalex.sim.ptx.group import Group
from tinyalex.sim.ptx.parse import Instruction
from tinyalex.sim.ptx.types import TYPES, Unknown, Values


def _bounded(up: bool) -> Callable[[Values, Values], Values]:
    """inc and dec: counting up to a limit and then from 0, or down to 0 and then from the limit."""
    if up:
        return lambda old, limit: np.where(old >= limit, old.dtype.type(0), old + old.dtype.type(1))
    return lambda old, limit: np.where((old == 0) | (old > limit), limit, old - old.dtype.type(1))


ATOMIC: dict[str, Any] = {
    "add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "exch": lambda old, new: new, "inc": _bounded(True), "dec": _bounded(False),
    "cas": lambda old, compare, new: np.where(old == compare, new, old),
}  # fmt: skip


@operation("atom red", "any", f"{' '.join(SPACES)} {' '.join(ATOMIC)} {HINTS}")
def atomic(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Read, change and write back, which no other thread interrupts. Threads come in the order of their numbers."""
    return by_space(d, instruction, access_of(instruction, kind, "atomic"), lambda one: _atomic(d, instruction, one))


def _atomic(d: Decoder, instruction: Instruction, access: Access) -> Run:
    returns = instruction.parts[0] == "atom"
    operand, *sources = instruction.operands[1 if returns else 0 :]
    word, kind = next(part for part in instruction.parts if part in ATOMIC), access.kind
    if kind[0] == "f" and word not in ("add", "exch") or kind == "f16":
        raise Unknown(".".join(instruction.parts))
    find, position = finder(d, operand, access), d.position
    reads, f = [d.read(source, kind) for source in sources], ATOMIC[word]
    put = d.write(instruction.operands[0] if returns else "_", kind)

    def run(group: Group) -> None:
        before = np.zeros(group.n, TYPES[kind])
        needed = returns and position not in group.launch.kernel.unused
        for threads, area, index in find(group):
            n = group.n if isinstance(threads, slice) else int(threads.sum())
            index = np.broadcast_to(index, n)
            values = [group.full(read(group))[threads] for read in reads]
            if area.log is not None:
                area.log.atomics(group, threads, area.cell, index, access.size, position)
            if isinstance(f, np.ufunc) and not needed:
                f.at(area.elements, index, values[0])
            else:
                before[threads] = in_turn(f, area.elements, index, values)
        put(group, before)

    return run


def in_turn(f: Any, elements: Values, index: Values, values: list[Values]) -> Values:
    """Let f change elements[index], one thread after the other where they want the same element; what each thread found there."""
    order = np.argsort(index, kind="stable")
    places = index[order]
    first = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
    lengths = np.diff(np.concatenate((first, [len(places)])))
    found = np.empty(len(index), elements.dtype)
    if f is np.add and elements.dtype.kind in "iu":  # the sum of those in front, at once
        sums = np.cumsum(values[0][order], dtype=elements.dtype)
        in_front = sums - values[0][order]
        found[order] = elements[places] + in_front - np.repeat(in_front[first], lengths)
        np.add.at(elements, index, values[0])
        return found
    for turn in range(int(lengths.max(initial=0))):
        now = order[first[lengths > turn] + turn]
        found[now] = elements[index[now]]
        elements[index[now]] = f(found[now], *[value[now] for value in values])
    return found

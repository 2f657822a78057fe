"""Sums and products of numbers that are longer than a register: the carry of one instruction goes into the next.

    add.cc.u32  %r1, %a0, %b0;   // the lower halves; the carry is kept
    addc.u32    %r2, %a1, %b1;   // the upper halves and the carry
"""

from __future__ import annotations

from tinyalex.sim.ptx.decode import Decoder, Run, operation
from tinyalex.sim.ptx.group import Group
from tinyalex.sim.ptx.integer import high
from tinyalex.sim.ptx.parse import Instruction
from tinyalex.sim.ptx.types import Unknown, Values

CARRY = "%carry"  # the register of the carry, which has no name in PTX


@operation("addc subc madc", "int", "cc lo hi")
def with_carry(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """a + b, a - b, or a half of a b and then + c; the carry or borrow comes in, and with .cc the new one is kept."""
    return long(d, instruction, kind, instruction.parts[0][:-1], carry_in=True)


def long(d: Decoder, instruction: Instruction, kind: str, opcode: str, carry_in: bool) -> Run:
    """The function of an instruction with a carry."""
    unsigned = f"u{kind[1:]}"
    if "hi" in instruction.parts and kind[0] == "s":
        raise Unknown(".".join(instruction.parts))
    reads = [d.read(operand, unsigned) for operand in instruction.operands[1:]]
    carry = d.read(CARRY, "u32")
    put, put_carry = d.write(instruction.operands[0], unsigned), d.write(CARRY if "cc" in instruction.parts else "_", "u32")
    if not carry_in:
        d.uses.reads.discard(d.numbers[CARRY])

    def run(group: Group) -> None:
        a, *rest = [read(group) for read in reads]
        if opcode == "mad":
            a = high(a, rest[0]) if "hi" in instruction.parts else a * rest[0]
        came = carry(group).astype(a.dtype) if carry_in else a.dtype.type(0)
        result, went = _subtract(a, rest[-1], came) if opcode == "sub" else _add(a, rest[-1], came)
        put(group, result)
        put_carry(group, went.astype("u4"))

    return run


def _add(a: Values, b: Values, came: Values) -> tuple[Values, Values]:
    """a + b + came, and whether it did not fit."""
    first = a + b
    total = first + came
    return total, (first < a) | (total < first)


def _subtract(a: Values, b: Values, came: Values) -> tuple[Values, Values]:
    """a - b - came, and whether it was below 0."""
    first = a - b
    return first - came, (a < b) | (first < came)

"""Instructions that count, find or move single bits."""

from __future__ import annotations

import numpy as np

from tinyalex.sim.ptx.decode import Decoder, Run, operation
from tinyalex.sim.ptx.integer import apply
from tinyalex.sim.ptx.parse import Instruction
from tinyalex.sim.ptx.types import TYPES, Unknown, Values


def leading(a: Values) -> Values:
    """The number of zeros before the first 1 of an unsigned number."""
    bits, count = 8 * a.dtype.itemsize, np.zeros(a.shape, np.uint32)
    step = bits // 2
    rest = a
    while step:
        empty = (rest >> a.dtype.type(bits - step)) == 0
        count += np.where(empty, np.uint32(step), np.uint32(0))
        rest = np.where(empty, rest << a.dtype.type(step), rest)
        step //= 2
    return count + (a == 0).astype(np.uint32)


def reverse(a: Values) -> Values:
    """The bits in opposite order."""
    one, out, rest = a.dtype.type(1), np.zeros_like(a), a
    for _ in range(8 * a.dtype.itemsize):
        out, rest = (out << one) | (rest & one), rest >> one
    return out


@operation("popc", "int")
def count_ones(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """How many bits are 1."""
    return apply(d, instruction, lambda a: np.bitwise_count(a).astype(np.uint32), (kind,), "u32")


@operation("clz", "int")
def leading_zeros(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """How many zeros stand before the first 1."""
    return apply(d, instruction, leading, (kind,), "u32")


@operation("brev", "int")
def reversed_bits(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The bits in opposite order."""
    return apply(d, instruction, reverse, (kind,), kind)


@operation("bfind", "int", "shiftamt")
def find_bit(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The place of the first bit that is not the sign, from the right; with shiftamt from the left; all bits if there is none."""
    dtype, amount = TYPES[kind], "shiftamt" in instruction.parts
    unsigned = np.dtype(f"u{dtype.itemsize}")

    def f(a: Values) -> Values:
        bits = (np.where(a < 0, ~a, a) if dtype.kind == "i" else a).astype(unsigned)
        zeros = leading(bits)
        place = zeros if amount else np.uint32(8 * dtype.itemsize - 1) - zeros
        return np.where(bits == 0, np.uint32(0xFFFFFFFF), place)

    return apply(d, instruction, f, (kind,), "u32")


@operation("bfe", "int")
def extract(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """`length` bits from a place on, with the sign of a signed type."""
    dtype, bits = TYPES[kind], 8 * TYPES[kind].itemsize

    def f(a: Values, place: Values, length: Values) -> Values:
        place, length = (v.astype(np.int64) & 0xFF for v in (place, length))
        end = np.minimum(place + length, bits)
        up = (bits - end).astype(dtype)
        down = np.minimum(bits - np.minimum(end - place, bits), bits - 1).astype(dtype)
        return np.where((length == 0) | (place >= bits), dtype.type(0), (a << up) >> down)

    return apply(d, instruction, f, (kind, "u32", "u32"), kind)


@operation("bfi", "int")
def insert(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """b with `length` of its bits replaced by the low bits of a."""
    dtype, bits = TYPES[kind], 8 * TYPES[kind].itemsize
    one = dtype.type(1)

    def f(a: Values, b: Values, place: Values, length: Values) -> Values:
        place, length = (np.minimum(v & np.uint32(0xFF), np.uint32(bits)) for v in (place, length))
        width = np.minimum(length, np.uint32(bits) - place).astype(dtype)
        ones = np.where(width == bits, ~dtype.type(0), (one << np.minimum(width, dtype.type(bits - 1))) - one)
        at = np.minimum(place, np.uint32(bits - 1)).astype(dtype)
        mask = np.where(place < bits, ones << at, dtype.type(0))
        return (b & ~mask) | ((a << at) & mask)

    return apply(d, instruction, f, (kind, kind, "u32", "u32"), kind)


@operation("prmt", "int")
def permute(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Four of the eight bytes of (b, a), as the four-bit fields of c say."""

    def f(a: Values, b: Values, c: Values) -> Values:
        both, out = (b.astype(np.uint64) << np.uint64(32)) | a, np.zeros(1, np.uint64)
        for i in range(4):
            field = (c >> np.uint32(4 * i)).astype(np.uint64)
            byte = (both >> ((field & np.uint64(7)) * np.uint64(8))) & np.uint64(0xFF)
            sign = np.where(byte >> np.uint64(7), np.uint64(0xFF), np.uint64(0))
            out = out | (np.where(field & np.uint64(8), sign, byte) << np.uint64(8 * i))
        return out.astype(np.uint32)

    return apply(d, instruction, f, ("u32",) * 3, "u32")


@operation("lop3", "int")
def lookup(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Any function of three bits; the last operand is its table."""
    if not instruction.operands[4].lower().startswith("0x") and not instruction.operands[4].isdecimal():
        raise Unknown(instruction.text)
    table = int(instruction.operands[4].rstrip("U"), 0)

    def f(a: Values, b: Values, c: Values, _: Values) -> Values:
        out = np.zeros(1, np.uint32)
        for i in range(8):
            if table >> i & 1:
                out = out | ((a if i & 4 else ~a) & (b if i & 2 else ~b) & (c if i & 1 else ~c))
        return out

    return apply(d, instruction, f, ("u32",) * 4, "u32")

"""Whole numbers, bits, moves, comparisons and choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.sim.ptx.decode import Decoder, Run, operation
from tinyalex.sim.ptx.group import Group
from tinyalex.sim.ptx.parse import Instruction, vector
from tinyalex.sim.ptx.types import TYPES, WIDER, Unknown, Values, type_of

Function = Callable[..., Values]


def apply(d: Decoder, instruction: Instruction, f: Function, kinds: tuple[str, ...], result: str) -> Run:
    """The function that applies f to the operands, which have the types `kinds`, and stores a result of type `result`."""
    reads = [d.read(operand, kind) for operand, kind in zip(instruction.operands[1:], kinds, strict=True)]
    put = d.write(instruction.operands[0], result)
    if len(reads) == 1:
        (a,) = reads
        return lambda group: put(group, f(a(group)))
    if len(reads) == 2:
        a, b = reads
        return lambda group: put(group, f(a(group), b(group)))
    return lambda group: put(group, f(*[read(group) for read in reads]))


def divide(a: Values, b: Values) -> Values:
    """The quotient, cut towards zero as in C. A division by zero gives all bits, as on a card."""
    if a.dtype.itemsize <= 4:  # the quotient of two float64 is right to the last bit of 32
        quotient = np.trunc(a / np.where(b == 0, 1, b)).astype(np.int64).astype(a.dtype)
    else:
        safe = np.where(b == 0, b.dtype.type(1), b)
        quotient = a // safe
        if a.dtype.kind == "i":
            quotient = quotient + ((quotient * safe != a) & ((a < 0) != (safe < 0)))
    return np.where(b == 0, ~a.dtype.type(0), quotient)


def remainder(a: Values, b: Values) -> Values:
    """What is left of the division, with the sign of a."""
    return np.where(b == 0, a, a - divide(a, b) * b)


def high(a: Values, b: Values) -> Values:
    """The upper half of the product."""
    bits = 8 * a.dtype.itemsize
    if bits < 64:
        wide = np.dtype(f"{a.dtype.kind}{2 * a.dtype.itemsize}")
        return ((a.astype(wide) * b.astype(wide)) >> wide.type(bits)).astype(a.dtype)
    if a.dtype.kind == "i":
        upper = high(a.view(np.uint64), b.view(np.uint64)).view(np.int64)
        return upper - np.where(a < 0, b, 0) - np.where(b < 0, a, 0)
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    a1, a0, b1, b0 = a >> half, a & low, b >> half, b & low
    middle = a1 * b0 + (a0 * b0 >> half)
    middle, carry = middle & low, middle >> half
    return a1 * b1 + carry + ((middle + a0 * b1) >> half)


def _wide(f: Function, kind: str) -> Function:
    """f on the arguments with twice the bits."""
    wide = TYPES[WIDER[kind]]
    return lambda a, b, *rest: f(a.astype(wide), b.astype(wide), *rest)


@operation("add sub", "int", "cc")
def add(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Sum or difference, which wraps."""
    if "cc" in instruction.parts:
        from tinyalex.sim.ptx.carry import long

        return long(d, instruction, kind, instruction.parts[0], carry_in=False)
    return apply(d, instruction, np.add if instruction.parts[0] == "add" else np.subtract, (kind, kind), kind)


@operation("mul mad mul24 mad24", "int", "lo hi wide cc")
def multiply(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The product: its lower half, its upper half, or all of it (wide); `mad` adds a third number."""
    if "cc" in instruction.parts:
        from tinyalex.sim.ptx.carry import long

        return long(d, instruction, kind, "mad", carry_in=False)
    result = WIDER[kind] if "wide" in instruction.parts else kind
    product: Function = np.multiply
    if "24" in instruction.parts[0]:
        if "hi" in instruction.parts:
            raise Unknown(".".join(instruction.parts))
        shift = np.array(8, TYPES[kind])
        product = lambda a, b: ((a << shift) >> shift) * ((b << shift) >> shift)  # noqa: E731
    elif "wide" in instruction.parts:
        product = _wide(np.multiply, kind)
    elif "hi" in instruction.parts:
        product = high
    if instruction.parts[0].startswith("mul"):
        return apply(d, instruction, product, (kind, kind), result)
    return apply(d, instruction, lambda a, b, c: product(a, b) + c, (kind, kind, result), result)


BINARY: dict[str, Function] = {"div": divide, "rem": remainder, "min": np.minimum, "max": np.maximum}


@operation("div rem min max", "int")
def binary(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """A function of two whole numbers."""
    return apply(d, instruction, BINARY[instruction.parts[0]], (kind, kind), kind)


@operation("sad", "int")
def distance(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """c + |a - b|."""
    return apply(d, instruction, lambda a, b, c: c + np.maximum(a, b) - np.minimum(a, b), (kind,) * 3, kind)


@operation("dp4a", "int")
def dot4(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """c plus the scalar product of the four bytes in a and in b."""
    kinds, result = instruction.parts[1:3], "u32" if instruction.parts[1:3] == ("u32", "u32") else "s32"
    parts = [np.dtype("i1" if kind == "s32" else "u1") for kind in kinds]

    def f(a: Values, b: Values, c: Values) -> Values:
        x, y = (np.ascontiguousarray(v).view(part).reshape(-1, 4).astype(np.int64) for v, part in zip((a, b), parts, strict=True))
        return ((x * y).sum(1) + c).astype(TYPES[result])

    return apply(d, instruction, f, (*kinds, result), result)


LOGIC: dict[str, Function] = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}


@operation("and or xor", "int")
def logic(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Bits of two registers, or two predicates."""
    return apply(d, instruction, LOGIC[instruction.parts[0]], (kind, kind), kind)


@operation("not", "int")
def invert(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Every bit turned over."""
    return apply(d, instruction, np.invert, (kind,), kind)


@operation("cnot", "int")
def is_zero(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """1 for 0, and 0 for every other number."""
    return apply(d, instruction, lambda a: (a == 0).astype(a.dtype), (kind,), kind)


@operation("neg abs", "int")
def sign(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """-a or |a|."""
    return apply(d, instruction, np.negative if instruction.parts[0] == "neg" else np.abs, (kind,), kind)


@operation("shl shr", "int")
def shift(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Bits moved to the left or right. If all are moved out, 0 or the sign is left."""
    dtype, bits = TYPES[kind], 8 * TYPES[kind].itemsize
    left = instruction.parts[0] == "shl"

    def f(a: Values, by: Values) -> Values:
        moved = (np.left_shift if left else np.right_shift)(a, np.minimum(by, np.uint32(bits - 1)).astype(dtype))
        return moved if by.max() < bits or (dtype.kind == "i" and not left) else np.where(by < bits, moved, dtype.type(0))

    return apply(d, instruction, f, (kind, "u32"), kind)


@operation("shf", "int", "l r wrap clamp")
def funnel(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """32 bits out of the 64 bits (b, a), from a place on."""
    left, clamp = "l" in instruction.parts, "clamp" in instruction.parts

    def f(a: Values, b: Values, by: Values) -> Values:
        both = (b.astype(np.uint64) << np.uint64(32)) | a
        by = (np.minimum(by, np.uint32(32)) if clamp else by & np.uint32(31)).astype(np.uint64)
        return (both >> (np.uint64(32) - by) if left else both >> by).astype(np.uint32)

    return apply(d, instruction, f, ("u32",) * 3, "u32")


@operation("mov", "any")
def move(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """A copy; also of two halves {%r1, %r2} to one register, or back."""
    target, source = instruction.operands
    if source.startswith("{"):
        parts, width = vector(source), TYPES[kind].itemsize
        reads = [d.read(part, f"u{8 * width // len(parts)}") for part in parts]
        put, wide, step = d.write(target, f"u{8 * width}"), np.dtype(f"u{width}"), 8 * width // len(parts)

        def join(group: Group) -> None:
            total = reads[0](group).astype(wide)
            for i, read in enumerate(reads[1:], 1):
                total = total | (read(group).astype(wide) << wide.type(i * step))
            put(group, total)

        return join
    if target.startswith("{"):
        parts, width = vector(target), TYPES[kind].itemsize
        step = 8 * width // len(parts)
        read, puts = d.read(source, f"u{8 * width}"), [d.write(part, f"u{step}") for part in parts]
        wide, small = np.dtype(f"u{width}"), np.dtype(f"u{step // 8}")

        def cut(group: Group) -> None:
            whole = read(group)
            for i, put in enumerate(puts):
                put(group, (whole >> wide.type(i * step)).astype(small))

        return cut
    return apply(d, instruction, lambda a: a, (kind,), kind)


COMPARE: dict[str, Function] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
    "equ": lambda a, b: ~((a < b) | (a > b)), "neu": np.not_equal, "ltu": lambda a, b: ~(a >= b), "leu": lambda a, b: ~(a > b),
    "gtu": lambda a, b: ~(a <= b), "geu": lambda a, b: ~(a < b),
    "num": lambda a, b: ~(np.isnan(a) | np.isnan(b)), "nan": lambda a, b: np.isnan(a) | np.isnan(b),
}  # fmt: skip


@operation("setp", "any", " ".join([*COMPARE, "and", "or", "xor", "ftz"]))
def compare(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """A comparison, joined with a predicate if the opcode says so. A second result is the opposite."""
    word = instruction.parts[1]
    f = COMPARE[word] if (word, kind[0]) != ("ne", "f") else lambda a, b: (a < b) | (a > b)  # not for NaN, of which NumPy says True
    joins = [LOGIC[part] for part in instruction.parts if part in LOGIC]
    targets = instruction.operands[0].split("|")
    puts = [d.write(target, "pred") for target in targets]
    a, b = (d.read(operand, kind) for operand in instruction.operands[1:3])
    if not joins and len(puts) == 1:
        (put,) = puts
        return lambda group: put(group, f(a(group), b(group)))
    other = d.read(instruction.operands[3], "pred") if joins else None

    def run(group: Group) -> None:
        result = f(a(group), b(group))
        for i, put in enumerate(puts):
            part = ~result if i else result
            put(group, part if other is None else joins[0](part, other(group)))

    return run


def choose(a: Values, b: Values, condition: Values) -> Values:
    """a where the condition is true, else b."""
    if len(condition) == 1:
        return a if condition[0] else b
    found: Values = np.where(condition, a, b)
    return found


@operation("selp", "any")
def select(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The first number if the predicate is true, else the second."""
    kind = kind if kind[0] != "f" else f"b{kind[1:]}"
    return apply(d, instruction, choose, (kind, kind, "pred"), kind)


@operation("slct", "any", "ftz")
def select_by_sign(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The first number if the third is at least 0, else the second."""
    result = type_of(instruction.parts[:-1])
    return apply(d, instruction, lambda a, b, c: choose(a, b, c >= 0), (result, result, kind), result)


@operation("cvta", "any", "to global shared local const")
def to_space(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """An address of one space as an address of all memory, or (to) back."""
    from tinyalex.sim.ptx.memory import LOCAL_WINDOW, SHARED_WINDOW

    window = SHARED_WINDOW if "shared" in instruction.parts else LOCAL_WINDOW if "local" in instruction.parts else 0
    offset: Any = np.uint64(window)
    if not window:
        return apply(d, instruction, lambda a: a, ("u64",), "u64")
    back = "to" in instruction.parts
    return apply(d, instruction, lambda a: a - offset if back else a + offset, ("u64",), "u64")

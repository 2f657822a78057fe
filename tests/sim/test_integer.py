"""Instructions on whole numbers against Python's integers, which do not wrap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.sim.ptx_text import evaluate
from tinyalex.sim.ptx.types import TYPES

EDGES = [0, 1, 2, 3, 5, 7, 31, 32, 33, 63, 64, 127, 128, 255, 256]


def numbers(kind: str, n: int = 80, seed: int = 0) -> np.ndarray[Any, Any]:
    """Edges of the type and random numbers, in random order."""
    dtype, rng = TYPES[kind], np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    edges = [limits.min, limits.max, limits.max - 1, limits.max // 2 + 1, *[edge for edge in EDGES if edge <= limits.max]]
    if limits.min:
        edges += [-edge for edge in EDGES if -edge >= limits.min]
    random = rng.integers(limits.min, limits.max, n - len(edges), dtype, endpoint=True)
    return rng.permutation(np.concatenate((np.array(edges, dtype), random)))


def wrap(value: int, kind: str) -> int:
    """The value that a register of the type holds."""
    bits = 8 * TYPES[kind].itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value


def cut(a: int, b: int) -> int:
    """The quotient as in C."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


BINARY: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, bits: a + b,
    "sub": lambda a, b, bits: a - b,
    "mul.lo": lambda a, b, bits: a * b,
    "mul.hi": lambda a, b, bits: a * b >> bits,
    "min": lambda a, b, bits: min(a, b),
    "max": lambda a, b, bits: max(a, b),
    "div": lambda a, b, bits: cut(a, b) if b else -1,
    "rem": lambda a, b, bits: a - b * cut(a, b) if b else a,
}


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("opcode", BINARY)
def test_of_two_numbers(opcode: str, kind: str) -> None:
    a, b = numbers(kind), numbers(kind, seed=1)
    expected = [wrap(BINARY[opcode](int(x), int(y), 8 * a.itemsize), kind) for x, y in zip(a, b, strict=True)]
    assert evaluate(f"{opcode}.{kind}", [a, b], (kind, kind), kind).tolist() == expected


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32"])
def test_a_wide_product_keeps_all_bits(kind: str) -> None:
    a, b, wide = numbers(kind), numbers(kind, seed=1), f"{kind[0]}{2 * int(kind[1:])}"
    c = numbers(wide, seed=2)
    assert evaluate(f"mul.wide.{kind}", [a, b], (kind, kind), wide).tolist() == [int(x) * int(y) for x, y in zip(a, b, strict=True)]
    expected = [wrap(int(x) * int(y) + int(z), wide) for x, y, z in zip(a, b, c, strict=True)]
    assert evaluate(f"mad.wide.{kind}", [a, b, c], (kind, kind, wide), wide).tolist() == expected


@pytest.mark.parametrize("kind", ["s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("half", ["lo", "hi"])
def test_mad(half: str, kind: str) -> None:
    a, b, c = (numbers(kind, seed=seed) for seed in range(3))
    down = 8 * a.itemsize if half == "hi" else 0
    expected = [wrap((int(x) * int(y) >> down) + int(z), kind) for x, y, z in zip(a, b, c, strict=True)]
    assert evaluate(f"mad.{half}.{kind}", [a, b, c], (kind,) * 3, kind).tolist() == expected


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32", "s64", "u64"])
def test_shifts_of_any_distance(kind: str) -> None:
    bits = int(kind[1:])
    a, by = numbers(kind), np.random.default_rng(3).choice(np.array([0, 1, 5, bits - 1, bits, bits + 1, 200, 2**32 - 1], np.uint32), 80)
    right = [wrap(int(x) >> min(int(y), 100), kind) for x, y in zip(a, by, strict=True)]
    assert evaluate(f"shr.{kind}", [a, by], (kind, "u32"), kind).tolist() == right
    left = [wrap(int(x) << int(y) if y < bits else 0, kind) for x, y in zip(a, by, strict=True)]
    assert evaluate(f"shl.b{bits}", [a, by], (kind, "u32"), kind).tolist() == left


LOGIC: dict[str, Callable[..., int]] = {
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}


@pytest.mark.parametrize("kind", ["b16", "b32", "b64"])
def test_bits_one_by_one(kind: str) -> None:
    unsigned = f"u{kind[1:]}"
    a, b = numbers(unsigned), numbers(unsigned, seed=1)
    for opcode, f in LOGIC.items():
        expected = [f(int(x), int(y)) for x, y in zip(a, b, strict=True)]
        assert evaluate(f"{opcode}.{kind}", [a, b], (unsigned,) * 2, unsigned).tolist() == expected
    assert evaluate(f"not.{kind}", [a], (unsigned,), unsigned).tolist() == [wrap(~int(x), unsigned) for x in a]
    assert evaluate(f"cnot.{kind}", [a], (unsigned,), unsigned).tolist() == [int(x == 0) for x in a]


@pytest.mark.parametrize("bits", [32, 64])
def test_counted_and_reversed_bits(bits: int) -> None:
    kind = f"u{bits}"
    a = numbers(kind)
    assert evaluate(f"popc.b{bits}", [a], (kind,), "u32").tolist() == [int(x).bit_count() for x in a]
    assert evaluate(f"clz.b{bits}", [a], (kind,), "u32").tolist() == [bits - int(x).bit_length() for x in a]
    assert evaluate(f"brev.b{bits}", [a], (kind,), kind).tolist() == [int(f"{int(x):0{bits}b}"[::-1], 2) for x in a]
    none = 2**32 - 1
    assert evaluate(f"bfind.u{bits}", [a], (kind,), "u32").tolist() == [int(x).bit_length() - 1 if x else none for x in a]
    assert evaluate(f"bfind.shiftamt.u{bits}", [a], (kind,), "u32").tolist() == [bits - int(x).bit_length() if x else none for x in a]


def test_bfind_of_signed_numbers_looks_for_a_bit_that_is_not_the_sign() -> None:
    a = numbers("s32")
    expected = [(int(x) if x >= 0 else ~int(x)).bit_length() - 1 for x in a]
    assert evaluate("bfind.s32", [a], ("s32",), "s32").tolist() == expected


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_fields_of_bits(kind: str) -> None:
    bits, rng = int(kind[1:]), np.random.default_rng(5)
    a, b = numbers(kind), numbers(kind, seed=1)
    place, length = (rng.integers(0, bits + 4, 80).astype(np.uint32) for _ in range(2))
    expected = []
    for x, p, n in zip(a, place.tolist(), length.tolist(), strict=True):
        end = min(p + n, bits)
        field = (wrap(int(x), f"u{bits}") >> p) & ((1 << max(end - p, 0)) - 1)
        if kind[0] == "s" and end > p and n and field >> (end - p - 1):
            field -= 1 << (end - p)
        expected.append(field)
    assert evaluate(f"bfe.{kind}", [a, place, length], (kind, "u32", "u32"), kind).tolist() == expected
    mixed = []
    for x, y, p, n in zip(a, b, place.tolist(), length.tolist(), strict=True):
        mask = (((1 << n) - 1) << p) & ((1 << bits) - 1)
        mixed.append(wrap((int(y) & ~mask) | ((int(x) << p) & mask), kind))
    assert evaluate(f"bfi.b{bits}", [a, b, place, length], (kind, kind, "u32", "u32"), kind).tolist() == mixed


def test_a_table_of_three_bits() -> None:
    a, b, c = (numbers("u32", seed=seed) for seed in range(3))
    tables: dict[int, Callable[[int, int, int], int]] = {
        0xE8: lambda x, y, z: (x & y) | (x & z) | (y & z),
        0x96: lambda x, y, z: x ^ y ^ z,
        0xCA: lambda x, y, z: (x & y) | (~x & z & 0xFFFFFFFF),
    }
    for table, f in tables.items():
        expected = [f(int(x), int(y), int(z)) for x, y, z in zip(a, b, c, strict=True)]
        assert evaluate("lop3.b32", [a, b, c], ("u32",) * 3, "u32", f", 0x{table:x}").tolist() == expected


def test_bytes_and_funnels() -> None:
    a, b, c = (numbers("u32", seed=seed) for seed in range(3))
    expected = []
    for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
        both, out = x | y << 32, 0
        for i in range(4):
            field = z >> 4 * i & 15
            byte = both >> 8 * (field & 7) & 255
            out |= (255 * (byte >> 7) if field & 8 else byte) << 8 * i
        expected.append(out)
    assert evaluate("prmt.b32", [a, b, c], ("u32",) * 3, "u32").tolist() == expected
    for way in ("l", "r"):
        for mode in ("wrap", "clamp"):
            found = evaluate(f"shf.{way}.{mode}.b32", [a, b, c], ("u32",) * 3, "u32").tolist()
            by = [z & 31 if mode == "wrap" else min(z, 32) for z in c.tolist()]
            whole = [x | y << 32 for x, y in zip(a.tolist(), b.tolist(), strict=True)]
            assert found == [(w >> 32 - n if way == "l" else w >> n) & 0xFFFFFFFF for w, n in zip(whole, by, strict=True)]


def test_distances_and_scalar_products_of_bytes() -> None:
    for kind in ("s32", "u32"):
        a, b, c = (numbers(kind, seed=seed) for seed in range(3))
        expected = [wrap(abs(int(x) - int(y)) + int(z), kind) for x, y, z in zip(a, b, c, strict=True)]
        assert evaluate(f"sad.{kind}", [a, b, c], (kind,) * 3, kind).tolist() == expected
        bytes_of = "i1" if kind == "s32" else "u1"
        dots = (a.view(bytes_of).reshape(-1, 4).astype(int) * b.view(bytes_of).reshape(-1, 4)).sum(1)
        expected = [wrap(int(dot) + int(z), kind) for dot, z in zip(dots, c, strict=True)]
        assert evaluate(f"dp4a.{kind}.{kind}", [a, b, c], (kind,) * 3, kind).tolist() == expected


COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}


def test_comparisons_of_whole_numbers() -> None:
    for kind in ("s16", "u16", "s32", "u32", "s64", "u64"):
        a = numbers(kind)
        b = np.where(np.arange(80) % 3 == 0, a, numbers(kind, seed=1))
        for word, f in COMPARE.items():
            assert np.array_equal(evaluate(f"setp.{word}.{kind}", [a, b], (kind, kind), "pred"), f(a, b))


def test_a_comparison_joined_with_a_predicate() -> None:
    a, b, p = numbers("s32"), numbers("s32", seed=1), np.arange(80) % 2 == 0
    for word, f in {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}.items():
        assert np.array_equal(evaluate(f"setp.lt.{word}.s32", [a, b, p], ("s32", "s32", "pred"), "pred"), f(a < b, p))
        assert np.array_equal(evaluate(f"{word}.pred", [a > 0, p], ("pred", "pred"), "pred"), f(a > 0, p))


def test_choices() -> None:
    a, b, p = numbers("s32"), numbers("s32", seed=1), np.arange(80) % 2 == 0
    assert np.array_equal(evaluate("selp.b32", [a, b, p], ("s32", "s32", "pred"), "s32"), np.where(p, a, b))
    assert np.array_equal(evaluate("slct.u32.s32", [a, b, a], ("s32",) * 3, "s32"), np.where(a >= 0, a, b))


@pytest.mark.parametrize("source", ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
def test_conversions_between_whole_numbers(source: str) -> None:
    a = numbers(source)
    for result in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
        found = evaluate(f"cvt.{result}.{source}", [a], (source,), result).tolist()
        assert found == [wrap(int(x), result) for x in a], (result, source)
        limits = np.iinfo(TYPES[result])
        found = evaluate(f"cvt.sat.{result}.{source}", [a], (source,), result).tolist()
        assert found == [min(max(int(x), limits.min), limits.max) for x in a], (result, source)


def test_the_bits_of_a_float_as_a_literal() -> None:
    a, p = numbers("s32"), np.arange(80) % 2 == 0
    bits = np.array([1.5], np.float32).view(np.int32)[0]
    found = evaluate("selp.f32 %r, 0f3FC00000, %a0, %a1; //", [a, p], ("s32", "pred"), "s32")  # the rest of the line is a comment
    assert np.array_equal(found, np.where(p, bits, a))
    assert (evaluate("mov.b32 %r, 0f3FC00000; //", [a], ("s32",), "s32") == bits).all()


@pytest.mark.parametrize("bits", [32, 64])
def test_the_carry_goes_from_one_instruction_into_the_next(bits: int) -> None:
    kind, most = f"u{bits}", (1 << bits) - 1
    a, b, c, e = (numbers(kind, seed=seed) for seed in range(4))
    rows = list(zip(*(one.tolist() for one in (a, b, c, e)), strict=True))
    extra = f"%a0, %a1; addc.{kind} %r, %a2, %a3; //"
    found = evaluate(f"add.cc.{kind} %r, {extra}", [a, b, c, e], (kind,) * 4, kind)
    assert found.tolist() == [(((x | z << bits) + (y | w << bits)) >> bits) & most for x, y, z, w in rows]
    found = evaluate(f"sub.cc.{kind} %r, {extra.replace('addc', 'subc')}", [a, b, c, e], (kind,) * 4, kind)
    assert found.tolist() == [(((x | z << bits) - (y | w << bits)) >> bits) & most for x, y, z, w in rows]
    both = f"%a0, %a1, %a2; madc.hi.{kind} %r, %a0, %a1, %a3; //"
    found = evaluate(f"mad.lo.cc.{kind} %r, {both}", [a, b, c, e], (kind,) * 4, kind)
    assert found.tolist() == [((x * y + (z | w << bits)) >> bits) & most for x, y, z, w in rows]

"""Instructions on floats against exact fractions, rounded once."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.sim.ptx_text import evaluate
from tinyalex.sim.ptx.floating import fma32, fma64
from tinyalex.sim.ptx.types import TYPES

Floats = np.ndarray[Any, Any]
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3e38, 1e-38, np.inf, -np.inf, np.nan, 16777215.0, 2147483648.0, -2147483648.0, 1e10]


def floats(kind: str = "f32", n: int = 120, seed: int = 0, edges: bool = True) -> Floats:
    rng = np.random.default_rng(seed)
    few = np.array(EDGES if edges else [], TYPES[kind])
    wide = rng.standard_normal(n - len(few)) * 10.0 ** rng.integers(-8, 9, n - len(few))
    return rng.permutation(np.concatenate((few, wide.astype(TYPES[kind]))))


def same(found: Floats, expected: Floats) -> None:
    """Equal to the last bit; each NaN is like any other."""
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    fine = ~np.isnan(expected)
    bits = f"u{found.itemsize}"
    assert np.array_equal(found.view(bits)[fine], expected.view(bits)[fine]), np.flatnonzero(found != expected)


def once(value: Fraction, dtype: Any) -> Any:
    """A fraction rounded once to a float: the nearest one, of two the even one."""
    if dtype == np.float64:
        return np.float64(float(value))  # Python rounds fractions right
    near = np.float32(float(value))
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    return min(around, key=lambda one: (abs(Fraction(float(one)) - value), int(one.view(np.uint32)) & 1))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_sums_products_and_quotients(kind: str) -> None:
    a, b = floats(kind), floats(kind, seed=1)
    with np.errstate(all="ignore"):
        for opcode, expected in {"add.rn": a + b, "sub": a - b, "mul.rn": a * b, "div.rn": a / b}.items():
            same(evaluate(f"{opcode}.{kind}", [a, b], (kind, kind), kind), expected)
        same(evaluate(f"neg.{kind}", [a], (kind,), kind), -a)
        same(evaluate(f"abs.{kind}", [a], (kind,), kind), np.abs(a))
        same(evaluate(f"sqrt.rn.{kind}", [a], (kind,), kind), np.sqrt(a))
        same(evaluate(f"rcp.rn.{kind}", [a], (kind,), kind), 1 / a)
        same(evaluate(f"copysign.{kind}", [a, b], (kind, kind), kind), np.copysign(b, a))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_the_smaller_and_the_larger(kind: str) -> None:
    a, b = floats(kind), floats(kind, seed=1)
    same(evaluate(f"min.{kind}", [a, b], (kind, kind), kind), np.where(np.isnan(a), b, np.where(np.isnan(b), a, np.fmin(a, b))))
    same(evaluate(f"max.{kind}", [a, b], (kind, kind), kind), np.fmax(a, b))
    same(evaluate(f"max.NaN.{kind}", [a, b], (kind, kind), kind), np.maximum(a, b))
    zeros, others = np.array([0.0, -0.0], TYPES[kind]), np.array([-0.0, 0.0], TYPES[kind])
    same(evaluate(f"min.{kind}", [zeros, others], (kind, kind), kind), np.array([-0.0, -0.0], TYPES[kind]))
    same(evaluate(f"max.{kind}", [zeros, others], (kind, kind), kind), np.array([0.0, 0.0], TYPES[kind]))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_a_product_and_a_sum_are_rounded_once(kind: str) -> None:
    rng = np.random.default_rng(2)
    a, b, c = (rng.standard_normal(3000).astype(TYPES[kind]) for _ in range(3))
    c = np.where(np.arange(3000) % 2, c, -(a * b) * (1 + c * np.finfo(TYPES[kind]).eps)).astype(TYPES[kind])  # much cancels
    found = evaluate(f"fma.rn.{kind}", [a, b, c], (kind,) * 3, kind)
    expected = [once(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)), TYPES[kind]) for x, y, z in zip(a, b, c, strict=True)]
    same(found, np.array(expected, TYPES[kind]))


def test_a_product_and_a_sum_that_float64_would_round_twice() -> None:
    one = np.float32(1)
    a, b = np.array([one + 2.0**-12], np.float32), np.array([one + 2.0**-12], np.float32)  # a b = 1 + 2^-11 + 2^-24, between two float32
    for tiny in (2.0**-80, -(2.0**-80)):
        c = np.array([tiny], np.float32)
        exact = Fraction(float(a[0])) * Fraction(float(b[0])) + Fraction(float(c[0]))
        assert fma32(a, b, c)[0] == once(exact, np.float32)
    assert fma32(a, b, np.array([2.0**-80], np.float32)) != fma32(a, b, np.array([-(2.0**-80)], np.float32))


def test_an_infinite_product_stays_infinite() -> None:
    huge, one = np.array([1e300, np.inf, 1.0]), np.array([1e300, 1.0, np.nan])
    with np.errstate(all="ignore"):
        same(fma64(huge, one, np.ones(3)), huge * one + 1)


@pytest.mark.parametrize("kind", ["f32", "f64"])
@pytest.mark.parametrize("way", ["rz", "rm", "rp"])
def test_rounding_in_a_direction(way: str, kind: str) -> None:
    a, b, c = (floats(kind, seed=seed, edges=False) for seed in range(3))
    for opcode, operands in (("add", [a, b]), ("mul", [a, b]), ("fma", [a, b, c]))[: 3 if kind == "f32" else 2]:
        found = evaluate(f"{opcode}.{way}.{kind}", operands, (kind,) * len(operands), kind)
        for i, one in enumerate(found):
            x, y, z = (Fraction(float(v[i])) for v in (a, b, c))
            exact = {"add": x + y, "mul": x * y, "fma": x * y + z}[opcode]
            up, down = (Fraction(float(np.nextafter(one, one.dtype.type(limit)))) for limit in (np.inf, -np.inf))
            got = Fraction(float(one))
            toward_zero = (got <= exact < up) if exact >= 0 else (down < exact <= got)
            assert {"rz": toward_zero, "rm": got <= exact < up, "rp": down < exact <= got}[way]


def test_small_numbers_are_flushed_only_where_the_opcode_says_so() -> None:
    a = np.array([1e-40, -1e-40, 1e-30, 3e-39], np.float32)
    one = np.ones(4, np.float32)
    same(evaluate("mul.f32", [a, one], ("f32", "f32"), "f32"), a)
    same(evaluate("mul.ftz.f32", [a, one], ("f32", "f32"), "f32"), np.array([0.0, -0.0, 1e-30, 0.0], np.float32))


def test_results_cut_off_at_0_and_1() -> None:
    a = np.array([-3, 0.25, 7, np.nan], np.float32)
    same(evaluate("add.sat.f32", [a, np.zeros(4, np.float32)], ("f32", "f32"), "f32"), np.array([0, 0.25, 1, 0], np.float32))
    same(evaluate("cvt.sat.f32.f32", [a], ("f32",), "f32"), np.array([0, 0.25, 1, 0], np.float32))


def test_comparisons_know_nan() -> None:
    a = floats()
    b = np.where(np.arange(len(a)) % 3 == 0, a, floats(seed=1))
    nan = np.isnan(a) | np.isnan(b)
    ordered = {"eq": a == b, "ne": (a != b) & ~nan, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}
    for word, expected in ordered.items():
        assert np.array_equal(evaluate(f"setp.{word}.f32", [a, b], ("f32", "f32"), "pred"), expected), word
        assert np.array_equal(evaluate(f"setp.{word}u.f32", [a, b], ("f32", "f32"), "pred"), expected | nan), word
    assert np.array_equal(evaluate("setp.nan.f32", [a, b], ("f32", "f32"), "pred"), nan)
    assert np.array_equal(evaluate("setp.num.f32", [a, b], ("f32", "f32"), "pred"), ~nan)


def test_properties() -> None:
    a = np.concatenate((floats(), np.array([1e-40], np.float32)))
    small = (a != 0) & (np.abs(a) < 2.0**-126)
    tests = {"finite": np.isfinite(a), "infinite": np.isinf(a), "notanumber": np.isnan(a), "number": ~np.isnan(a), "subnormal": small}
    tests["normal"] = np.isfinite(a) & (np.abs(a) >= 2.0**-126)
    for word, expected in tests.items():
        assert np.array_equal(evaluate(f"testp.{word}.f32", [a], ("f32",), "pred"), expected), word


def test_approximations_are_near() -> None:
    a = np.abs(floats(edges=False)) + np.float32(1e-6)
    wide = a.astype(np.float64)
    small = floats(edges=False) % np.float32(20)
    for opcode, x, expected in (
        ("rcp.approx.ftz", a, 1 / wide), ("rsqrt.approx", a, 1 / np.sqrt(wide)),
        ("lg2.approx", a, np.log2(wide)), ("sqrt.approx", a, np.sqrt(wide)),
        ("ex2.approx.ftz", small, np.exp2(small.astype(float))), ("sin.approx", small, np.sin(small.astype(float))),
        ("cos.approx", small, np.cos(small.astype(float))), ("tanh.approx", small, np.tanh(small.astype(float))),
    ):  # fmt: skip
        assert np.allclose(evaluate(f"{opcode}.f32", [x], ("f32",), "f32"), expected, rtol=2e-7, atol=0), opcode


WHOLE = {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}


@pytest.mark.parametrize("source", ["f32", "f64"])
@pytest.mark.parametrize("word", WHOLE)
def test_floats_to_whole_numbers_that_fit(word: str, source: str) -> None:
    a = floats(source)
    for result in ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"):
        limits = np.iinfo(TYPES[result])
        expected = []
        for x in a.tolist():
            whole = 0 if math.isnan(x) else x if math.isinf(x) else WHOLE[word](x)
            expected.append(int(min(max(whole, limits.min), limits.max)))
        assert evaluate(f"cvt.{word}.{result}.{source}", [a], (source,), result).tolist() == expected
    expected_floats = [x if not math.isfinite(x) else math.copysign(WHOLE[word](x), x) for x in a.tolist()]
    same(evaluate(f"cvt.{word}.{source}.{source}", [a], (source,), source), np.array(expected_floats, TYPES[source]))


def test_whole_numbers_to_floats() -> None:
    rng = np.random.default_rng(0)
    for source in ("s16", "u16", "s32", "u32", "s64", "u64"):
        limits = np.iinfo(TYPES[source])
        a = rng.integers(limits.min, limits.max, 60, TYPES[source], endpoint=True)
        for result in ("f32", "f64"):
            expected = [once(Fraction(int(x)), TYPES[result]) for x in a]
            same(evaluate(f"cvt.rn.{result}.{source}", [a], (source,), result), np.array(expected, TYPES[result]))


def test_floats_to_floats() -> None:
    a, b = floats("f32"), floats("f64")
    same(evaluate("cvt.f64.f32", [a], ("f32",), "f64"), a.astype(np.float64))
    with np.errstate(all="ignore"):
        same(evaluate("cvt.rn.f32.f64", [b], ("f64",), "f32"), b.astype(np.float32))
        same(evaluate("cvt.rn.f16.f32", [a], ("f32",), "f16"), a.astype(np.float16))
    for way in ("rz", "rm", "rp"):
        found = evaluate(f"cvt.{way}.f32.f64", [b], ("f64",), "f32").astype(np.float64)
        fine = np.isfinite(b) & (np.abs(b) < 3e38) & (np.abs(b) > 1e-37)
        right = {"rz": np.abs(found) <= np.abs(b), "rm": found <= b, "rp": found >= b}[way]
        assert right[fine].all() and np.allclose(found[fine], b[fine], rtol=2e-7)

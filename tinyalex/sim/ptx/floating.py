"""Floats: sums, products, quotients, roots, and the approximations of which a card's exp, log and sine are made.

Results of float32 are rounded once, as on a card. A card's approximations (rcp.approx, ex2.approx, lg2.approx, sin.approx, ...)
have errors of a few units in the last place; here they are the right numbers, so results may differ in these bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyalex.sim.ptx.decode import Decoder, Run, operation
from tinyalex.sim.ptx.integer import apply
from tinyalex.sim.ptx.parse import Instruction
from tinyalex.sim.ptx.types import TYPES, Unknown, Values

Function = Callable[..., Values]
ROUND = "rn rz rm rp"
LOW_BITS, HALF = np.uint64((1 << 29) - 1), np.uint64(1 << 28)  # the bits of a float64 that a float32 has not; exactly half of them
SMALLEST = np.float32(2.0**-126)


def fma32(a: Values, b: Values, c: Values) -> Values:
    """a b + c for float32, rounded once.

    float64 holds the product exactly. The sum is rounded to float64 and then to float32; both together differ from one rounding
    only where the float64 lies exactly between two float32 (numbers below 2^-126 aside), and then `odd_sum` helps.
    """
    product, wide = a.astype(np.float64) * b, c.astype(np.float64)
    total = product + wide
    between = np.flatnonzero((total.view(np.uint64) & LOW_BITS) == HALF)
    if len(between):
        total[between] = odd_sum(*(np.broadcast_to(part, total.shape)[between] for part in (product, wide)))
    return total.astype(np.float32)


def odd_sum(a: Values, b: Values) -> Values:
    """a + b, and if the sum is not exact, that one of the two nearest float64 whose last bit is 1.

    Rounded again, to fewer bits and in any direction, it gives what the exact sum would give: the last bit says "and some more".
    """
    total, error = two_sum(a, b)
    even = (total.view(np.uint64) & np.uint64(1)) == 0
    target = np.where(error > 0, np.inf, -np.inf)
    return np.where((error != 0) & even & np.isfinite(error), np.nextafter(total, target), total)


def two_sum(a: Values, b: Values) -> tuple[Values, Values]:
    """The rounded sum and its error, which is exact (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fma64(a: Values, b: Values, c: Values) -> Values:
    """a b + c for float64, rounded once (Boldo and Melquiond 2008): the errors are summed to an odd number, which is added last."""
    product, below = two_product(a, b)
    middle, low = two_sum(c, below)
    total, error = two_sum(product, middle)
    exact = total + odd_sum(low, error)
    return np.where(np.isfinite(exact), exact, product + c)


def two_product(a: Values, b: Values) -> tuple[Values, Values]:
    """The rounded product of float64 and its error, which is exact (Dekker)."""
    product = a * b
    a1, b1 = _upper(a), _upper(b)
    a0, b0 = a - a1, b - b1
    return product, ((a1 * b1 - product) + a1 * b0 + a0 * b1) + a0 * b0


def _upper(a: Values) -> Values:
    """The upper half of the bits of each float64, rounded, so that the rest has 26 bits (Veltkamp)."""
    large = a * 134217729.0  # 2^27 + 1
    return large - (large - a)


def directed(opcode: str, way: str) -> Function:
    """Sum, difference, product or a b + c of float32, rounded to zero (rz), down (rm) or up (rp)."""

    def f(*arguments: Values) -> Values:
        a, b, *c = (argument.astype(np.float64) for argument in arguments)
        exact = a * b if opcode in ("mul", "fma", "mad") else odd_sum(a, -b if opcode == "sub" else b)
        return towards(odd_sum(exact, c[0]) if c else exact, way)

    return f


def directed64(opcode: str, way: str) -> Function:
    """Sum, difference or product of float64, rounded in a direction: the error says on which side the exact number is."""

    def f(a: Values, b: Values) -> Values:
        near, error = two_product(a, b) if opcode == "mul" else two_sum(a, -b if opcode == "sub" else b)
        outward = error * np.sign(near) < 0 if way == "rz" else error < 0 if way == "rm" else error > 0
        goal = {"rz": 0.0, "rm": -np.inf, "rp": np.inf}[way]
        return np.where(outward & np.isfinite(error), np.nextafter(near, goal), near)

    return f


def towards(wide: Values, way: str) -> Values:
    """float64 to float32 in a direction."""
    near = wide.astype(np.float32)
    if way == "rz":
        return np.where(np.abs(near.astype(np.float64)) > np.abs(wide), np.nextafter(near, np.float32(0)), near)
    limit = np.float32(-np.inf if way == "rm" else np.inf)
    wrong = near > wide if way == "rm" else near < wide
    return np.where(wrong, np.nextafter(near, limit), near)


def flush(a: Values) -> Values:
    """Subnormal numbers as zeros with the same sign (ftz)."""
    return np.where(np.abs(a) < SMALLEST, np.copysign(np.float32(0), a), a) if a.dtype == np.float32 else a


def finish(f: Function, words: tuple[str, ...], kind: str) -> Function:
    """f with the modifiers of the opcode: ftz for float32, and sat, which cuts off at 0 and 1."""
    if "ftz" in words and kind == "f32":
        inner = f
        f = lambda *arguments: flush(inner(*[flush(argument) for argument in arguments]))  # noqa: E731
    if "sat" in words:
        unbounded = f
        f = lambda *arguments: np.fmin(np.fmax(unbounded(*arguments), 0), 1).astype(TYPES[kind])  # noqa: E731
    return f


@operation("add sub mul", "float", f"{ROUND} ftz sat")
def arithmetic(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Sum, difference, product."""
    f: Function = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[instruction.parts[0]]
    f = _rounded(f, instruction, kind)
    return apply(d, instruction, finish(f, instruction.parts, kind), (kind, kind), kind)


def _rounded(f: Function, instruction: Instruction, kind: str) -> Function:
    """f, or the function that rounds in the direction that the opcode says."""
    way = next((word for word in ("rz", "rm", "rp") if word in instruction.parts), None)
    if way is None:
        return f
    opcode = instruction.parts[0]
    if kind == "f64" and opcode in ("add", "sub", "mul"):
        return directed64(opcode, way)
    if kind != "f32":
        raise Unknown(".".join(instruction.parts))
    return directed(opcode, way)


@operation("fma mad", "float", f"{ROUND} ftz sat")
def multiply_add(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """a b + c, rounded once."""
    f = {"f32": fma32, "f64": fma64}.get(kind)
    if f is None:
        raise Unknown(".".join(instruction.parts))
    f = _rounded(f, instruction, kind)
    return apply(d, instruction, finish(f, instruction.parts, kind), (kind,) * 3, kind)


@operation("div", "float", "rn approx full ftz")
def quotient(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """a / b."""
    return apply(d, instruction, finish(np.divide, instruction.parts, kind), (kind, kind), kind)


@operation("min max", "float", "ftz NaN")
def extreme(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The smaller or larger one. If one is NaN the other, unless the opcode says NaN."""
    small, careful = instruction.parts[0] == "min", "NaN" in instruction.parts
    f: Function = (np.minimum if small else np.maximum) if careful else (np.fmin if small else np.fmax)

    def ordered(a: Values, b: Values) -> Values:
        """As f, with -0 below +0, for which NumPy has no order."""
        result = f(a, b)
        zeros = (result == 0) & (np.signbit(a) != np.signbit(b)) & (a == b)
        return np.where(zeros, np.array(-0.0 if small else 0.0, result.dtype), result) if zeros.any() else result

    return apply(d, instruction, finish(ordered, instruction.parts, kind), (kind, kind), kind)


def wide(f: Function) -> Function:
    """f in float64, rounded to the type of its argument."""
    return lambda a: f(a.astype(np.float64)).astype(a.dtype)


UNARY: dict[str, Function] = {
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "rcp": np.reciprocal,
    "rsqrt": wide(lambda a: 1 / np.sqrt(a)),
    "ex2": wide(np.exp2),
    "lg2": wide(np.log2),
    "sin": wide(np.sin),
    "cos": wide(np.cos),
    "tanh": wide(np.tanh),
}


@operation(" ".join(UNARY), "float", "rn approx ftz")
def unary(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """A function of one float. The approximations that end with .approx.ftz.f64 keep the upper 32 bits of the result."""
    f = UNARY[instruction.parts[0]]
    if kind == "f64" and {"approx", "ftz"} <= set(instruction.parts):
        exact, upper = f, ~np.uint64(0xFFFFFFFF)
        f = lambda a: (exact(a).view(np.uint64) & upper).view(np.float64)  # noqa: E731
    return apply(d, instruction, finish(f, instruction.parts, kind), (kind,), kind)


@operation("copysign", "float")
def copy_sign(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """The second number with the sign of the first."""
    return apply(d, instruction, lambda a, b: np.copysign(b, a), (kind, kind), kind)


TESTS: dict[str, Function] = {
    "finite": np.isfinite,
    "infinite": np.isinf,
    "number": lambda a: ~np.isnan(a),
    "notanumber": np.isnan,
    "normal": lambda a: np.isfinite(a) & (np.abs(a) >= np.finfo(a.dtype).tiny),
    "subnormal": lambda a: (a != 0) & (np.abs(a) < np.finfo(a.dtype).tiny),
}


@operation("testp", "float", " ".join(TESTS))
def test_property(d: Decoder, instruction: Instruction, kind: str) -> Run:
    """Whether the number is finite, infinite, NaN, ..."""
    return apply(d, instruction, TESTS[instruction.parts[1]], (kind,), "pred")

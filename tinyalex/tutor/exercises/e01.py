"""E01: a slope without calculus: the numerical gradient by centered differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe

Scalar = Callable[[Array], Any]


def numerical_gradient(f: Scalar, x: Array, h: float) -> Array:
    """The gradient of f at x, measured by centered differences: every derivative of the paper can be tested with it.

    dx[i] = (f(x + h e_i) - f(x - h e_i)) / (2 h),   where e_i is 1 at the element i and 0 elsewhere

    Parameters
    ----------
    f: a function that takes an array of the shape of x and returns one number. It leaves its argument as it is.
    x: an array of any shape, of floats or of integers, which may lie in memory in any order.
    h: the step, above 0. Use this h even where it is large: what is asked for is the result of the equation above with this h. Where h is
        large, that is not the exact derivative.

    Returns
    -------
    dx: a new array of floats (float64) of the shape of x, also where x holds integers. You may move the elements of x itself while
        you measure, but in the end x must hold exactly the bits that it held before.
    """
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        dx[at] = (f(_moved(x, at, h)) - f(_moved(x, at, -h))) / (2 * h)
    return dx


def _moved(x: Array, at: tuple[int, ...], by: float) -> Array:
    """A copy of x as floats in which one element is moved."""
    moved = x.astype(float)
    moved[at] += by
    return moved


def one_sided(f: Scalar, x: Array, h: float) -> Array:
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        dx[at] = (f(_moved(x, at, h)) - f(x.astype(float))) / h
    return dx


def one_sided_back(f: Scalar, x: Array, h: float) -> Array:
    return one_sided(f, x, -h)


def over_h(f: Scalar, x: Array, h: float) -> Array:
    return 2 * numerical_gradient(f, x, h)


def times_h(f: Scalar, x: Array, h: float) -> Array:
    return h * h * numerical_gradient(f, x, h)


def without_h(f: Scalar, x: Array, h: float) -> Array:
    return h * numerical_gradient(f, x, h)


def alone(f: Scalar, x: Array, h: float) -> Array:
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        dx[at] = (f(x[at] + h) - f(x[at] - h)) / (2 * h)
    return dx


def cut_off(f: Scalar, x: Array, h: float) -> Array:
    dx, moved = np.zeros(x.shape), x.copy()
    for at in np.ndindex(x.shape):
        moved[at] = x[at] + h
        above = f(moved)
        moved[at] = x[at] - h
        dx[at] = (above - f(moved)) / (2 * h)
        moved[at] = x[at]
    return dx


def integer_result(f: Scalar, x: Array, h: float) -> Array:
    return numerical_gradient(f, x, h).astype(x.dtype)


def integers_all_through(f: Scalar, x: Array, h: float) -> Array:
    return cut_off(f, x, h).astype(x.dtype)


def left_moved(f: Scalar, x: Array, h: float, stays: float = -1) -> Array:
    dx, moved = np.zeros(x.shape), x.astype(float)
    for at in np.ndindex(x.shape):
        dx[at] = (f(_moved(moved, at, h)) - f(_moved(moved, at, -h))) / (2 * h)
        moved[at] += stays * h
    return dx


def left_above(f: Scalar, x: Array, h: float) -> Array:
    return left_moved(f, x, h, stays=1)


def one_sided_over_2h(f: Scalar, x: Array, h: float) -> Array:
    return one_sided(f, x, h) / 2


def all_at_once(f: Scalar, x: Array, h: float) -> Array:
    return np.full(x.shape, (f(x + h) - f(x - h)) / (2 * h))


def one_slope(f: Scalar, x: Array, h: float) -> Any:
    return np.float64((f(x + h) - f(x - h)) / (2 * h))


def moves_a_row(f: Scalar, x: Array, h: float) -> Array:
    dx = np.zeros(x.shape)
    for i in range(len(x)):
        row = (np.arange(len(x)) == i).reshape(-1, *[1] * (x.ndim - 1))
        dx[i] = (f(x + h * row) - f(x - h * row)) / (2 * h)
    return dx


def moves_a_row_by_a_view(f: Scalar, x: Array, h: float) -> Array:
    """`old = x[i]` of a matrix is a view of the row, and moves with it."""
    dx, moved = np.zeros(x.shape), x.astype(float)
    for i in range(len(x)):
        old = moved[i]
        moved[i] = old + h
        above = f(moved)
        moved[i] = old - h
        dx[i] = (above - f(moved)) / (2 * h)
        moved[i] = old
    return dx


def one_sided_and_left_moved(f: Scalar, x: Array, h: float) -> Array:
    dx, moved = np.zeros(x.shape), x.astype(float)
    for at in np.ndindex(x.shape):
        moved[at] += h
        dx[at] = (f(moved) - f(x.astype(float))) / h
    return dx


def one_element_alone(f: Scalar, x: Array, h: float) -> Array:
    dx = np.zeros(x.shape)
    dx.flat[0] = numerical_gradient(f, x, h).flat[0]
    return dx


def replaced(f: Scalar, x: Array, h: float) -> Array:
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        dx[at] = (f(_moved(x, at, h - float(x[at]))) - f(_moved(x, at, -h - float(x[at])))) / (2 * h)
    return dx


def nothing_moves(f: Scalar, x: Array, h: float) -> Array:
    return np.zeros(x.shape)


def _scaled(scale: Callable[[float], float]) -> Callable[[Scalar, Array, float], Array]:
    """A step that grows with the element, as numerical libraries take one."""

    def scaled(f: Scalar, x: Array, h: float) -> Array:
        dx = np.zeros(x.shape)
        for at in np.ndindex(x.shape):
            step = h * scale(abs(float(x[at])))
            dx[at] = (f(_moved(x, at, step)) - f(_moved(x, at, -step))) / (2 * step)
        return dx

    return scaled


def own_step(f: Scalar, x: Array, h: float) -> Array:
    return numerical_gradient(f, x, 1e-5)


SIZES = (  # vector, matrix, small step, integers: shape and step, one line for each size set
    ((5,), 0.5, (3, 4), 0.125, (2, 3, 5), 1e-3, 4, 0.4),
    ((6,), 0.25, (4, 2), 0.375, (3, 2, 4), 2e-3, 5, 0.3),
    ((4,), 0.75, (2, 5), 0.25, (2, 4, 3), 5e-4, 3, 0.6),
    ((7,), 0.375, (5, 3), 0.5, (4, 3, 2), 4e-3, 6, 0.7),
)


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Steps so large that the measured slope is not the exact one; functions in which no element stands alone."""
    vector, large, matrix, half, maps, small, count, cut = SIZES[sizes]
    one, two = rng.integers(2, 9, matrix), rng.uniform(0.5, 2, maps)
    whole = rng.permutation([-7, -4, 3, 6, 9, -8, 5])[:count]
    return [
        Probe("vector", "f(x) = (sum of x)^2 + sum of x^3 and h = {h}", {"f": powers, "x": _quarters(rng, *vector), "h": large}),
        Probe(
            "matrix", "a matrix x of shape {x} and h = {h}",
            {"f": lambda x: np.sum(x) ** 2 + np.sum(one * x**3), "x": _quarters(rng, *matrix), "h": half},
        ),
        Probe(
            "small step", "an x of shape {x} and h = {h}",
            {"f": lambda x: np.sum(x) ** 2 + np.sum(two * np.sin(x)), "x": rng.normal(size=maps), "h": small},
        ),
        Probe("integers", "integers in x, f(x) = (sum of x)^2 + sum of x^3 and h = {h}", {"f": powers, "x": whole, "h": cut}),
        Probe("one element", "a single element in x", {"f": powers, "x": _quarters(rng, 1), "h": large / 2}),
    ]  # fmt: skip


def powers(x: Array) -> Any:
    """(sum of x)^2 + sum of x^3: no element stands alone, and the third power shows how large the step was."""
    return np.sum(x) ** 2 + np.sum(x**3)


def _quarters(rng: np.random.Generator, *shape: int) -> Array:
    """Multiples of 1/4 from -2 to 4, no two equal and none 0, in random order."""
    values = np.array([quarter for quarter in range(-8, 17) if quarter])
    return rng.choice(values, int(np.prod(shape)), replace=False).reshape(shape) / 4


E01 = Exercise("E01", "a slope without calculus", "00", 15, (
    Function("numerical_gradient", numerical_gradient, ("dx",), probes, (
        Mistake("one sided", one_sided, "Understanding Deep Learning, notebook 7.2; SciPy's check_grad"),
        Mistake("one sided back", one_sided_back, "Understanding Deep Learning, notebook 7.2; SciPy's check_grad"),
        Mistake("one sided over 2h", one_sided_over_2h, "inferred"),
        Mistake("over h", over_h, "inferred"),
        Mistake("times h", times_h, "inferred"),
        Mistake("without h", without_h, "inferred"),
        Mistake("alone", alone, "devsolus.com/calculation-of-gradients"),
        Mistake("integers all through", integers_all_through, "example-a.com/answer/78417131"),
        Mistake("cut off", cut_off, "whosebug.com/question/5305527"),
        Mistake("integer result", integer_result, "devsolus.com/calculation-of-gradients"),
        Mistake("left moved", left_moved, "the comment \"very important!\" in CS231n's gradient check"),
        Mistake("left above", left_above, "the comment \"very important!\" in CS231n's gradient check"),
        Mistake("one sided and left moved", one_sided_and_left_moved, "inferred"),
        Mistake("one element alone", one_element_alone, "inferred"),
        Mistake("replaced", replaced, "inferred"),
        Mistake("nothing moves", nothing_moves, "inferred"),
        Mistake("moves a row", moves_a_row, "inferred"),
        Mistake("moves a row/by a view", moves_a_row_by_a_view, "inferred"),
        Mistake("all at once", all_at_once, "inferred"),
        Mistake("one slope", one_slope, "inferred"),
        Mistake("step grows/above one", _scaled(lambda size: max(1.0, size)), "inferred"),
        Mistake("step grows/with the element", _scaled(lambda size: size), "inferred"),
        Mistake("step grows/from one", _scaled(lambda size: 1 + size), "inferred"),
        Mistake("own step", own_step, "inferred", within=1e-6),
    )),
))  # fmt: skip

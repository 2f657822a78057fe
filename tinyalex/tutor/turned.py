"""Three exercises turned round: write a wrong backward pass that a weak check lets through, then mend the check.

tutor.weak("B1")                  shows the weak check
tutor.fool("B1", my_wrong)        does it let your function through, and is your function really wrong?
tutor.mend("B1", my_check)        does your check refuse what the weak one let through, and accept what is right?
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.errors import ShapeError, require_choice, show
from tinyalex.tutor.arrays import Array
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercise import Exercise, Function
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import catalogue, language_of
from tinyalex.tutor.guard import call

Backward = Callable[..., Any]

_fooled: dict[str, Backward] = {}  # by name, what the student fooled the weak check with


def slope(f: Callable[[Array], Array], x: Array, dout: Array, h: float = 1e-5) -> Array:
    """The gradient of sum(dout * f(x)) with respect to x, by centered differences."""
    dx = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[at] += h
        down[at] -= h
        dx[at] = (dout * (f(up) - f(down))).sum() / (2 * h)
    return dx


def equal_sizes(max_pool_backward: Backward) -> bool:
    """A check of pooling on one small square image, its windows side by side."""
    x, dout = _numbers(1, 1, 4, 4), _numbers(1, 1, 2, 2)
    expected = slope(lambda image: _pooled(image, 2, 2), x, dout)
    return bool(np.allclose(max_pool_backward(dout, x, 2, 2), expected, atol=1e-7))


def ones_alone(tanh_backward: Backward) -> bool:
    """A check of tanh with a gradient of ones coming in."""
    x = _numbers(3, 5)
    dout = np.ones((3, 5))
    return bool(np.allclose(tanh_backward(dout, np.tanh(x)), slope(np.tanh, x, dout), atol=1e-7))


def loose(lrn_backward: Backward) -> bool:
    """A check of response normalization that allows a difference of one hundredth."""
    a, dout = _numbers(2, 7, 3, 4), _numbers(2, 7, 4, 3).swapaxes(2, 3)
    forward = EXERCISES["E07"].functions[0].right
    expected = slope(lambda x: forward(x, 5, 2.0, 1e-4, 0.75), a, dout)
    return bool(np.abs(lrn_backward(dout, a, 5, 2.0, 1e-4, 0.75) - expected).max() < 1e-2)


def _numbers(*shape: int) -> Array:
    """Numbers of both signs, no two equal."""
    size = int(np.prod(shape))
    return np.random.default_rng(size).permutation(np.linspace(-1, 1, size)).reshape(shape)


def _pooled(x: Array, kernel: int, stride: int) -> Array:
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))
    return windows[:, :, ::stride, ::stride].max((-2, -1))


@dataclass(frozen=True)
class Turned:
    """An exercise turned round.

    name: "B1". exercise, function: whose backward pass is checked. check: the weak check, (backward) -> whether it passes.
    """

    name: str
    exercise: str
    function: str
    check: Callable[[Backward], bool]

    def parts(self) -> tuple[Exercise, Function]:
        """The exercise and its function."""
        exercise = EXERCISES[self.exercise]
        function = exercise.function(self.function)
        assert function is not None
        return exercise, function


TURNED = {
    one.name: one
    for one in (
        Turned("B1", "E06", "max_pool_backward", equal_sizes),
        Turned("B2", "E02", "tanh_backward", ones_alone),
        Turned("B3", "E07", "lrn_backward", loose),
    )
}


def weak(name: str) -> None:
    """Print the weak check "B1", "B2" or "B3"."""
    print(inspect.getsource(_of(name).check))


def fool(name: str, backward: Backward, language: str | None = None) -> bool:
    """Say whether the weak check lets `backward` through although it is wrong; True if so."""
    turned, words = _of(name), catalogue(language_of(language))
    exercise, function = turned.parts()
    if _passes(turned.check, backward) is not True:
        print(words["turned.refused"].format(name=name))
        return False
    if examine(exercise, function, backward) is None:
        print(words["turned.right"].format(function=turned.function))
        return False
    _fooled[name] = backward
    print(words["turned.fooled"].format(name=name))
    return True


def mend(name: str, check: Callable[[Backward], bool], language: str | None = None) -> bool:
    """Say whether `check`, (backward) -> whether it is right, accepts the right answer and refuses every known mistake."""
    turned, words = _of(name), catalogue(language_of(language))
    if not callable(check):
        raise ShapeError(f"mend: check must be a function of a backward pass, got {show(check)}")
    _, function = turned.parts()
    if _passes(check, function.right) is not True:
        print(words["turned.too_strict"].format(function=turned.function))
        return False
    wrong = [mistake.compute for mistake in function.mistakes] + ([_fooled[name]] if name in _fooled else [])
    through = sum(_passes(check, backward) is not False for backward in wrong)
    if through:
        print(words["turned.still_weak"].format(some=through, all=len(wrong), function=turned.function))
        return False
    print(words["turned.mended"].format(all=len(wrong)))
    return True


def _of(name: str) -> Turned:
    return TURNED[require_choice("tutor", "exercise turned round", name, tuple(TURNED))]


def _passes(check: Callable[[Backward], bool], backward: Backward) -> bool | None:
    """What a check says; a backward pass that makes it raise is refused; None where it says neither True nor False."""
    outcome = call(check, {"backward": backward})
    if outcome.error is not None:
        return False
    return bool(outcome.value) if isinstance(outcome.value, (bool, np.bool_)) else None

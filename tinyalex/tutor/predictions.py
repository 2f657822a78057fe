"""Predictions: before a lesson shows a number you write down what you expect, and afterwards you see both."""

from __future__ import annotations

import numpy as np

from tinyalex.errors import ShapeError, require_choice, require_float
from tinyalex.tutor.answers import ANSWERS
from tinyalex.tutor.kept import keep
from tinyalex.tutor.questions import PERCENT, POWER, PREDICTIONS

_guesses: dict[str, float] = {}


class Answer(float):
    """A number that `reveal` has printed, so that a notebook does not show it a second time with all its digits."""

    def _ipython_display_(self) -> None: ...


def predict(name: str, guess: float) -> None:
    """Write down what you expect; `reveal` shows it beside the number, and the page of `tinyalex capstone` too.

    name: such as "04-a". guess: a number.
    """
    require_choice("predict", "name", name, tuple(PREDICTIONS))
    _guesses[name] = require_float("predict", "guess", guess, "a finite number", np.isfinite)
    keep(name, guess=_guesses[name])
    one = PREDICTIONS[name]
    print(f"{one.question}\nThe answer is {one.form}.\nYou expect {written(guess, one.form)}. Later, reveal({name!r}) prints the answer.")


def reveal(name: str) -> float:
    """Print the number beside your guess, and return it.

    Raises
    ------
    ShapeError: nothing was predicted: a number that was only read is soon forgotten.
    """
    one = PREDICTIONS[require_choice("reveal", "name", name, tuple(PREDICTIONS))]
    if name not in _guesses:
        raise ShapeError(f"reveal: {name} must be predicted first, got no guess", f"predict({name!r}, your_number)")
    answer = ANSWERS[name]()
    keep(name, guess=_guesses[name], answer=float(answer))
    expected, found = written(_guesses[name], one.form), written(answer, one.form)
    print(f"{one.question}\nYou expected {expected}; it is {found}.\n{one.means}")
    return Answer(answer)


def written(number: float, form: str) -> str:
    """Four digits, or the whole number in groups of three digits, as the lessons write it: 0.2069, 65,536, 12 %, 10**-3."""
    digits = f"{number:,.0f}" if 1000 <= abs(number) < 1e15 else f"{number:.4g}"
    return {PERCENT: f"{digits} %", POWER: f"10**{digits}"}.get(form, digits)

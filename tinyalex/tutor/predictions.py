"""Predictions: before a lesson shows a number you write down what you expect. The number itself is computed, not stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyalex.errors import ShapeError, require_choice, require_float

_guesses: dict[str, float] = {}


class Answer(float):
    """A number that `reveal` has printed, so that a notebook does not show it a second time with all its digits."""

    def _ipython_display_(self) -> None: ...


@dataclass(frozen=True)
class Prediction:
    """A question with a number for an answer.

    question: what is asked, with its unit. answer: computes the number. means: what the number says.
    """

    question: str
    answer: Callable[[], float]
    means: str


def _slope_of_the_difference() -> float:
    return float(((1 + 0.1) ** 3 - (1 - 0.1) ** 3) / (2 * 0.1))


def _dead_units() -> float:
    x = np.random.default_rng(0).standard_normal(100_000)
    return float(100 * (x <= 0).mean())


def _shared() -> float:
    x, h = 3.0, 1e-6
    return float(((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h))


def _conv1_columns() -> float:
    return 11 * 11 * 3 * 55 * 55 / (224 * 224 * 3)


def _seen_twice() -> float:
    reads = np.zeros(55, int)
    for start in range(0, 53, 2):
        reads[start : start + 3] += 1
    return float(100 * (np.multiply.outer(reads, reads) > 1).mean())


def _lrn_alone() -> float:
    return float(10.0 / (2 + 1e-4 * 10.0**2) ** 0.75)


def _chance_loss() -> float:
    return float(np.log(1000))


def _steady_velocity() -> float:
    v = 0.0
    for _ in range(1000):
        v = 0.9 * v + 1
    return v


def _masks() -> float:
    return float(np.log10(2.0) * 4096)


def _fc_share() -> float:
    fc = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    return 100 * fc / 60_965_224


def _sent_bytes() -> float:
    return 234_496 / (224 * 224 * 3)


PREDICTIONS = {
    "00-a": Prediction("The centered difference of x**3 at x = 1 with h = 0.1: which number comes out, where the slope is 3?",
                       _slope_of_the_difference, "The error is h**2 times a sixth of the third derivative: 0.01."),
    "01-a": Prediction("ReLU on 100,000 numbers from a normal distribution with mean 0: how many percent are zero afterwards?",
                       _dead_units, "Half of a distribution around zero is negative."),
    "02-a": Prediction("y = x * x with x = 3, where x is used twice: what is the slope of y?",
                       _shared, "Each use sends back 3, and a gradient adds where a value is used more than once."),
    "03-a": Prediction("All windows of conv1, written out as columns, hold how many times as many numbers as the 224 x 224 image?",
                       _conv1_columns, "Windows of 11 with stride 4 overlap, so that most pixels are written several times."),
    "04-a": Prediction("Pooling 55 x 55 with kernel 3 and stride 2: how many percent of the pixels lie in two windows or more?",
                       _seen_twice, "So many pixels may win more than once, and then their gradients add."),
    "05-a": Prediction("Response normalization (k = 2, alpha = 1e-4, beta = 0.75) of an activity of 10 alone: what is left?",
                       _lrn_alone, "With these constants k does nearly all of it: even a strong unit is hardly damped by itself."),
    "06-a": Prediction("A net that guesses among 1,000 classes, all alike: what is its cross-entropy loss?",
                       _chance_loss, "It is log(1000). A first loss far from it means that something is scaled badly."),
    "07-a": Prediction("With momentum 0.9 and a gradient that stays 1, how large does the velocity become, in steps of the rate?",
                       _steady_velocity, "1 / (1 - 0.9): momentum multiplies a steady step by ten."),
    "08-a": Prediction("How many digits has the number of different dropout masks of one layer of 4,096 units?",
                       _masks, "Two to the power of 4,096: more nets than could ever be trained."),
    "09-a": Prediction("How many percent of AlexNet's 61 million parameters are in its three fully connected layers?",
                       _fc_share, "Nearly all of the parameters, and hardly a tenth of the multiplications."),
    "10-a": Prediction("How many bytes cross between the two cards for each byte of the image, forward?",
                       _sent_bytes, "The cards meet in conv3, fc6 and fc7 and at the end, and nowhere else."),
}  # fmt: skip


def predict(name: str, guess: float) -> None:
    """Write down what you expect; `reveal` shows it beside the number.

    name: such as "04-a". guess: a number.
    """
    require_choice("predict", "name", name, tuple(PREDICTIONS))
    _guesses[name] = require_float("predict", "guess", guess, "a finite number", np.isfinite)
    print(f"{PREDICTIONS[name].question}\nYou expect {guess:g}. When you have thought about it: reveal({name!r})")


def reveal(name: str) -> float:
    """Print the number beside your guess, and return it.

    Raises
    ------
    ShapeError: nothing was predicted: a number that was only read is soon forgotten.
    """
    one = PREDICTIONS[require_choice("reveal", "name", name, tuple(PREDICTIONS))]
    if name not in _guesses:
        raise ShapeError(f"reveal: {name} must be predicted first, got no guess", f"predict({name!r}, your_number)")
    answer = one.answer()
    print(f"{one.question}\nYou expected {_guesses[name]:g}; it is {answer:.4g}.\n{one.means}")
    return Answer(answer)

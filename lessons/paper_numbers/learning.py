"""What section 5 says of learning: one step, the rates, the batch, the epochs, and the first weights. Nothing is trained."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from lessons.paper_numbers.number import amounts
from tinyalex.data import Batches
from tinyalex.layers import Linear, Sequential
from tinyalex.models.rows import walk, weighted
from tinyalex.models.variants import VARIANTS
from tinyalex.training.recipes import recipe_of


def _step(weight: float, gradient: float, velocity: float) -> float:
    """The velocity after a step of the paper's recipe, where there is one weight."""
    net = Sequential([Linear(1, 1, name="fc", dtype=np.float64)])
    sgd = recipe_of("paper").optimizer_for(net)
    sgd.follow(first_rate())
    for array, value in ((net.params, weight), (net.grads, gradient), (sgd.velocity, velocity)):
        array["fc.weight"][...] = value
    sgd.step()
    return float(sgd.velocity["fc.weight"].item())


def momentum() -> float:
    """What is left of a velocity of 1 after a step without a weight and without a gradient."""
    return _step(0, 0, 1)


def weight_decay() -> float:
    """By what a weight of 1 alone makes the velocity fall in a step, divided by the rate."""
    return -_step(1, 0, 0) / first_rate()


def rate_of_a_step() -> float:
    """By what a gradient of 1 alone makes the velocity fall in the first step."""
    return -_step(0, 1, 0)


@cache
def _rates() -> tuple[float, ...]:
    """The rates of a run whose validation error never falls again, each once."""
    schedule, found = recipe_of("paper").schedule_for(), []
    while not getattr(schedule, "finished", False):
        found.append(schedule.lr)
        schedule.end_epoch(0.5)
    return tuple(dict.fromkeys(found))


def first_rate() -> float:
    """The first learning rate."""
    return _rates()[0]


def last_rate() -> float:
    """The last learning rate."""
    return _rates()[-1]


def divided_by() -> tuple[float, ...]:
    """By what each lowering divides the rate."""
    return tuple(before / after for before, after in zip(_rates(), _rates()[1:], strict=False))


def lowered() -> int:
    """How often the rate is lowered before the run ends."""
    return len(divided_by())


def batch() -> int:
    """How many images the first batch of an epoch has."""
    images = np.zeros((300, 1, 1, 1), np.uint8)
    batches = Batches(images, np.zeros(300, np.int64), recipe_of("paper").batch_size, prepare=lambda x, rng=None: x.astype(np.float32))
    return len(next(iter(batches.of_epoch(0)))[0])


def epochs(recipe: str = "paper") -> int:
    """The epochs of a recipe."""
    return recipe_of(recipe).epochs


def steps(images: str) -> float:
    """Steps of the paper's run: epochs times images divided by the images of a batch. images: as the paper prints it."""
    return epochs() * amounts(images)[0] / batch()


def steps_of_an_epoch(images: str) -> float:
    """Steps of one epoch."""
    return amounts(images)[0] / batch()


def first_deviation(variant: str, name: str) -> float:
    """The standard deviation of 250,000 first weights that are drawn as a layer's are."""
    return float(_drawn(variant, name)[0].std())


def first_deviations() -> tuple[float, ...]:
    """The standard deviations of the first weights of all layers, conv1 to fc8."""
    return tuple(first_deviation("paper", row.name) for row in weighted(VARIANTS["paper"].rows))


def first_means() -> tuple[float, ...]:
    """The means of the first weights of all layers."""
    return tuple(float(_drawn("paper", row.name)[0].mean()) for row in weighted(VARIANTS["paper"].rows))


def first_biases(*names: str) -> tuple[float, ...]:
    """The smallest and the largest first bias of each of these layers."""
    return tuple(float(value) for name in names for value in (_drawn("paper", name)[1].min(), _drawn("paper", name)[1].max()))


def starts_at_one(kind: str) -> tuple[int, ...]:
    """Which layers of a kind, "conv" or "linear", counted from 1, have first biases that are not 0."""
    names = [row.name for row in VARIANTS["paper"].rows if row.kind == kind]
    return tuple(at for at, name in enumerate(names, 1) if _drawn("paper", name)[1].any())


@cache
def _drawn(variant: str, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    base = VARIANTS[variant]
    step = next(step for step in walk(base.rows, (3, base.input_size, base.input_size)) if step.row.name == name)
    (weight, bias), rng = step.initial, np.random.default_rng(len(name) + sum(map(ord, name)))
    return weight((500, 500), rng), bias(step.weight[:1], rng)

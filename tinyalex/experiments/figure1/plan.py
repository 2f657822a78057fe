"""The plan of one setup: which activations, learning rates and seeds are trained, and when a run ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinyalex.errors import ShapeError, require_float, require_int, show
from tinyalex.experiments.figure1.runs import START_ERROR
from tinyalex.models.cifar import ACTIVATIONS, SETUPS

TARGET = 0.25  # the paper's training error
DEFAULT_RATES = {"2012": (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1), "fan-in": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)}
SYNTHETIC_RATES = {"2012": (0.002, 0.005, 0.01, 0.02, 0.05, 0.1), "fan-in": (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)}


@dataclass(frozen=True)
class Plan:
    """The runs that are trained in one setup.

    Parameters
    ----------
    setup: "2012" or "fan-in".
    activations: names in `ACTIVATIONS`; the others are compared with the first.
    rates: the learning rates of each activation. Several rates make a sweep; a single rate is used without a sweep.
    seeds: of the initial weights and of the order of the images. The sweep uses the first seed.
    sweep_epochs: how many epochs a run of the sweep trains in one turn.
    max_epochs: the largest number of epochs of a run.
    target: the training error to reach, a fraction.
    growth: how many rates a sweep may add if its best rate is the lowest or the highest that was tried.

    Raises
    ------
    ShapeError: there is no such setup or activation, or a number is outside its range.
    """

    setup: str
    activations: tuple[str, ...]
    rates: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...] = (0,)
    sweep_epochs: int = 3
    max_epochs: int = 60
    target: float = TARGET
    growth: int = 4

    def __post_init__(self) -> None:
        if self.setup not in tuple(SETUPS):
            raise ShapeError(f"figure1: setup must be one of {', '.join(SETUPS)}, got {show(self.setup)}")
        for name in self.activations:
            if name not in tuple(ACTIVATIONS):
                raise ShapeError(f"figure1: activations must be among {', '.join(ACTIVATIONS)}, got {show(name)}")
            if not self.rates.get(name):
                raise ShapeError(f"figure1: learning rates of {name} must be numbers above 0, got {show(self.rates.get(name))}")
            for rate in self.rates[name]:
                require_float("figure1", f"learning rates of {name}", rate, "numbers above 0", lambda value: 0 < value < math.inf)
        if not self.activations or len(set(self.activations)) < len(self.activations):
            raise ShapeError(f"figure1: activations must be different names, at least one, got {show(self.activations)}")
        if not self.seeds:
            raise ShapeError("figure1: seeds must be integers, at least one, got ()")
        for seed in self.seeds:
            require_int("figure1", "seeds", seed, least=0)
        require_int("figure1", "sweep_epochs", self.sweep_epochs)
        require_int("figure1", "max_epochs", self.max_epochs)
        require_int("figure1", "growth", self.growth, least=0)
        require_target("target", self.target)


def require_target(quantity: str, value: object) -> float:
    """`value` as a float, if it can be a training error to reach. ShapeError: it is not a fraction above 0 and below 0.9."""
    rule = f"a fraction above 0 and below {START_ERROR}, such as 0.25"
    return require_float("figure1", quantity, value, rule, lambda number: 0 < number < START_ERROR)

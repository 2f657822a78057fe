"""Initial values of parameters: functions (shape, rng) -> float32 array, which draw from the generator `rng`.

Paper: section 5. The weights are drawn from a zero-mean Gaussian of standard deviation 0.01. The biases are 1 in conv2,
conv4, conv5 and the fully connected hidden layers, so that their ReLUs start with positive inputs, and 0 elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinyalex.errors import require_float

Init: TypeAlias = Callable[[tuple[int, ...], np.random.Generator], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of mean 0 and standard deviation `std`, at least 0. Paper: section 5, std 0.01."""

    std: float = 0.01

    def __post_init__(self) -> None:
        require_float("Gaussian", "std", self.std, "a number of at least 0", lambda v: 0 <= v < math.inf)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        return rng.standard_normal(shape, np.float32) * np.float32(self.std)


@dataclass(frozen=True)
class Constant:
    """Every element is `value`, a finite number. Nothing is drawn from the generator."""

    value: float = 0.0

    def __post_init__(self) -> None:
        require_float("Constant", "value", self.value, "a finite number", math.isfinite)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        return np.full(shape, self.value, np.float32)


@dataclass(frozen=True)
class FanIn:
    """A Gaussian of mean 0 and standard deviation gain / sqrt(fan_in), where fan_in is the number of inputs of one output.

    gain: above 0. With gain 1 the output of a unit has the same variance as its inputs. A ReLU sets half of its inputs to 0, for which
    gain sqrt(2) compensates. fan_in is C * KH * KW for a weight (K, C, KH, KW), and also for the weight (OH, OW, K, C, KH, KW) of a
    locally connected layer; for a weight (K, C) it is C.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        require_float("FanIn", "gain", self.gain, "a number above 0", lambda v: 0 < v < math.inf)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        fan_in = math.prod(shape[1:] if len(shape) < 5 else shape[-3:])
        return rng.standard_normal(shape, np.float32) * np.float32(self.gain / math.sqrt(fan_in))


@dataclass(frozen=True)
class Uniform:
    """Uniform from -bound to bound, a number of at least 0."""

    bound: float

    def __post_init__(self) -> None:
        require_float("Uniform", "bound", self.bound, "a number of at least 0", lambda v: 0 <= v < math.inf)

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        return (2 * rng.random(shape, np.float32) - 1) * np.float32(self.bound)


zeros = Constant(0.0)
ones = Constant(1.0)

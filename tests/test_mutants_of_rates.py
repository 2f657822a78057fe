"""Planted bugs in initial values and learning rates: no gradient shows them, only numbers worked out by hand.

`test_mutants` has those of the layers, the loss and the optimizer.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.mutants import Mutant, mutate
from tinyalex import init, schedule

SHIPPED = {**vars(init), **vars(schedule)}
TOLERANCE = 1e-6  # the values are float32


class Ones:
    """A generator whose every draw is 1: what is left is the scale."""

    def standard_normal(self, shape, dtype):
        return np.ones(shape, dtype)


def scale(drawn):
    """The one number that an init function makes of ones."""
    assert np.ptp(drawn) == 0
    return float(drawn.flat[0])


def gaussian(classes):
    return [(scale(classes["Gaussian"]()((3, 2), Ones())), 0.01), (scale(classes["Gaussian"](0.5)((3, 2), Ones())), 0.5)]


def constant(classes):
    return [(scale(classes["Constant"](value)((2,), Ones())), value) for value in (0.0, 1.0)]


def fan_in(classes):
    """Shapes of weights and the inputs of one output: a linear layer, a convolution, a locally connected one."""
    fans = {(7, 9): 9, (7, 2, 5, 3): 2 * 5 * 3, (4, 6, 7, 2, 5, 3): 2 * 5 * 3}
    return [
        (scale(classes["FanIn"](gain)(shape, Ones())), gain / math.sqrt(fan)) for shape, fan in fans.items() for gain in (1.0, math.sqrt(2))
    ]


def rates(made, errors, again):
    """The rate before each epoch and after the last; `again` makes the schedule that goes on with each epoch's state."""
    found = [made.lr]
    for error in errors:
        made.end_epoch(error)
        state = json.loads(json.dumps(made.state()))
        made = again()
        made.load_state(state)
        found.append(made.lr)
    return found


def plateau(classes):
    def make():
        return classes["Plateau"](1.0, patience=2, factor=10, times=2)

    #         lowest    lower  equal  higher     new rate  wait  lower  wait  wait       new rate  wait  over
    errors = [0.9, 0.8, 0.5, 0.5, 0.6, 0.95, 0.96, 0.7, 0.8, 0.7, 0.99, 0.99, 0.99]
    expected = [1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01]
    made = make()
    whole = [(made.lr, made.finished), *((made.end_epoch(error), made.finished) for error in errors)]
    pairs = [(lr, right) for (lr, _), right in zip(whole, expected, strict=True)] + [(sum(done for _, done in whole), 1)]
    return pairs + list(zip(rates(make(), errors[:9], make), expected[:10], strict=True))


def steps(classes):
    def make():
        return classes["Steps"](1.0, after=(2, 4), factor=10)

    return list(zip(rates(make(), [None] * 5, make), [1, 1, 0.1, 0.1, 0.01, 0.01], strict=True))


def dexp(classes):
    def make():
        return classes["Dexp"](1.0, total=8, factor=1000, steps=4)

    return list(zip(rates(make(), [None] * 9, make), [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001], strict=True))


ORACLES = {"Gaussian": gaussian, "Constant": constant, "FanIn": fan_in, "Plateau": plateau, "Steps": steps, "Dexp": dexp}

# fmt: off
OF_INITIAL_VALUES = [
    Mutant("another deviation than the paper's", "Gaussian", "init",
           "std: float = 0.01",
           "std: float = 0.1"),
    Mutant("the variance for the deviation", "Gaussian", "init",
           "return rng.standard_normal(shape, np.float32) * np.float32(self.std)",
           "return rng.standard_normal(shape, np.float32) * np.float32(self.std**2)"),
    Mutant("no value", "Constant", "init",
           "return np.full(shape, self.value, np.float32)",
           "return np.zeros(shape, np.float32)"),
    Mutant("outputs for inputs", "FanIn", "init",
           "fan_in = math.prod(shape[1:] if len(shape) < 5 else shape[-3:])",
           "fan_in = shape[0] * math.prod(shape[2:] if len(shape) < 5 else shape[-2:])"),
    Mutant("inputs without the kernel's places", "FanIn", "init",
           "fan_in = math.prod(shape[1:] if len(shape) < 5 else shape[-3:])",
           "fan_in = shape[1] if len(shape) < 5 else shape[-3]"),
    Mutant("places of an unshared weight counted as inputs", "FanIn", "init",
           "fan_in = math.prod(shape[1:] if len(shape) < 5 else shape[-3:])",
           "fan_in = math.prod(shape[1:])"),
    Mutant("the variance for the deviation", "FanIn", "init",
           "return rng.standard_normal(shape, np.float32) * np.float32(self.gain / math.sqrt(fan_in))",
           "return rng.standard_normal(shape, np.float32) * np.float32(self.gain / fan_in)"),
    Mutant("the gain under the root", "FanIn", "init",
           "return rng.standard_normal(shape, np.float32) * np.float32(self.gain / math.sqrt(fan_in))",
           "return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(self.gain / fan_in))"),
]
OF_RATES = [
    Mutant("one epoch more of patience", "Plateau", "schedule",
           "if self.waited < self.patience:",
           "if self.waited <= self.patience:"),
    Mutant("an equal error is an improvement", "Plateau", "schedule",
           "if val_error < self.best:",
           "if val_error <= self.best:"),
    Mutant("no waiting from the start after an improvement", "Plateau", "schedule",
           "self.best, self.waited = val_error, 0",
           "self.best = val_error"),
    Mutant("the lowest error of all rates", "Plateau", "schedule",
           "self.waited, self.best = 0, ABOVE_ANY_ERROR",
           "self.waited = 0"),
    Mutant("one division too few", "Plateau", "schedule",
           "if self.divided == self.times:",
           "if self.divided == self.times - 1:"),
    Mutant("one division too many", "Plateau", "schedule",
           "if self.divided == self.times:",
           "if self.divided > self.times:"),
    Mutant("each rate from the first", "Plateau", "schedule",
           "return self.base / self.factor**self.divided",
           "return self.base / self.factor"),
    Mutant("a checkpoint forgets the lowest error and the wait", "Plateau", "schedule",
           'return super()._changing() | {"best": _lowest_error, "waited": _count, "divided": divided, "finished": require_bool}',
           'return super()._changing() | {"divided": divided, "finished": require_bool}'),
    Mutant("a checkpoint's state is dropped", "Steps", "schedule",
           "vars(self).update(checked)",
           "pass"),
    Mutant("one epoch late", "Steps", "schedule",
           "return self.base / self.factor ** sum(self.epochs >= epoch for epoch in self.after)",
           "return self.base / self.factor ** sum(self.epochs > epoch for epoch in self.after)"),
    Mutant("one epoch early", "Steps", "schedule",
           "return self.base / self.factor ** sum(self.epochs >= epoch for epoch in self.after)",
           "return self.base / self.factor ** sum(self.epochs >= epoch - 1 for epoch in self.after)"),
    Mutant("steps add up, they do not multiply", "Steps", "schedule",
           "return self.base / self.factor ** sum(self.epochs >= epoch for epoch in self.after)",
           "return self.base / max(1, self.factor * sum(self.epochs >= epoch for epoch in self.after))"),
    Mutant("no end", "Dexp", "schedule",
           "level = min(self.steps - 1, self.epochs * self.steps // self.total)",
           "level = self.epochs * self.steps // self.total"),
    Mutant("a step fewer", "Dexp", "schedule",
           "level = min(self.steps - 1, self.epochs * self.steps // self.total)",
           "level = min(self.steps - 1, self.epochs * (self.steps - 1) // self.total)"),
    Mutant("the last step above lr / factor", "Dexp", "schedule",
           "return self.base / self.factor ** (level / (self.steps - 1))",
           "return self.base / self.factor ** (level / self.steps)"),
    Mutant("the epoch counted after the rate is set", "Dexp", "schedule",
           "self.epochs += 1",
           "self.lr = self._rate(val_error); self.epochs += 1; return self.lr"),
]
# fmt: on


def error(layer, classes):
    """The largest difference from the numbers by hand, as a part of the number."""
    return max(abs(found - expected) / max(abs(expected), 1e-30) for found, expected in ORACLES[layer](classes))


@pytest.mark.parametrize("mutant", OF_INITIAL_VALUES + OF_RATES, ids=str)
def test_numbers_by_hand_catch(mutant, monkeypatch):
    assert error(mutant.layer, mutate(mutant, monkeypatch)) > 0.01


@pytest.mark.parametrize("layer", ORACLES)
def test_shipped_one_has_the_numbers_by_hand(layer):
    assert error(layer, SHIPPED) < TOLERANCE

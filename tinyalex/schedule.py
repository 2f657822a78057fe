"""Schedules of the learning rate: each has an attribute `lr`, which its method `end_epoch` sets for the next epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from tinyalex.errors import CheckpointError, ShapeError, require_bool, require_float, require_int, show
from tinyalex.optim import DEFAULT_LR

ABOVE_ANY_ERROR = 2.0  # larger than every error rate, and finite, because JSON has no infinity

Check: TypeAlias = Callable[[str, str, Any], Any]  # (who, quantity, value) -> the value, or ShapeError


def _count(who: str, quantity: str, value: Any) -> int:
    return require_int(who, quantity, value, least=0)


def _above_0(who: str, quantity: str, value: Any) -> float:
    return require_float(who, quantity, value, "a finite number above 0", lambda v: 0 < v < math.inf)


def _lowest_error(who: str, quantity: str, value: Any) -> float:
    return require_float(who, quantity, value, f"from 0 to 1, or {ABOVE_ANY_ERROR}", lambda v: 0 <= v <= 1 or v == ABOVE_ANY_ERROR)


class Schedule:
    """A constant rate, and the base class of all schedules.

    `end_epoch(val_error)` counts an epoch and sets `lr`. Checkpoints store `state()`, and `load_state()` restores it.

    Parameters
    ----------
    lr: the first learning rate, above 0. None: 0.01, or in a `Trainer` the rate of its optimizer.

    Attributes
    ----------
    base: the first rate. lr: the present rate. epochs: how many epochs have ended.

    Raises
    ------
    ShapeError: a setting or a validation error outside its range.
    """

    _default_base = False  # whether `base` is only a default, which the rate of an optimizer may replace

    def __init__(self, lr: float | None = None) -> None:
        if lr is None:
            self._default_base = True
        self.base = _above_0("schedule", "lr", DEFAULT_LR if lr is None else lr)
        self.epochs = 0
        self.lr = self.base

    def start_from(self, lr: float) -> None:
        """Take the optimizer's rate as the first rate, unless this schedule was made with a rate or an epoch has ended."""
        if self._default_base and self.epochs == 0:
            self.base = self.lr = _above_0("schedule", "lr", lr)

    def end_epoch(self, val_error: float | None = None) -> float:
        """Count an epoch and return the rate of the next epoch. `val_error` is a fraction from 0 to 1.

        If this raises, the schedule is not changed.
        """
        before = dict(vars(self))
        try:
            self.epochs += 1
            try:
                rate = self._rate(val_error)
            except OverflowError:  # factor**times is too large for a float
                rate = 0.0
            self.lr = _above_0("schedule", "lr", rate)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self.lr

    def _rate(self, val_error: float | None) -> float:
        return self.base

    def state(self) -> dict[str, float | int | None]:
        """All attributes that change over time."""
        return {key: value for key, value in vars(self).items() if key in self._changing()}

    def settings(self) -> dict[str, Any]:
        """The settings without the first rate. Together with `base` and `state()` they decide all future rates."""
        changing = {"base", *self._changing()}
        return {key: value for key, value in vars(self).items() if key not in changing and not key.startswith("_")}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a `state()`. Raises CheckpointError, and changes nothing, if `state` cannot belong to this schedule."""
        who, checks = type(self).__name__, self._changing()
        if not isinstance(state, dict) or set(state) != set(checks):
            got = sorted(map(str, state)) if isinstance(state, dict) else state
            raise CheckpointError(f"{who}: state must hold {', '.join(checks)}, got {show(got)}")
        try:
            checked = {key: check(who, key, state[key]) for key, check in checks.items()}
        except ShapeError as error:
            raise CheckpointError(str(error)) from None
        vars(self).update(checked)

    def _changing(self) -> dict[str, Check]:
        """The attributes in `state`, each with the check that `load_state` makes."""
        return {"epochs": _count, "lr": _above_0}


class Plateau(Schedule):
    """Divide the rate by `factor` when the validation error stops improving.

    Paper: section 5, "divide the learning rate by 10 when the validation error rate stopped improving with the current
    learning rate", from 0.01, three times before termination.

    Parameters
    ----------
    patience: after how many epochs without a new lowest error the rate is divided, at least 1.
    factor: above 1.
    times: how often the rate is divided at most, at least 0. When it should be divided once more, `finished` becomes True instead.
    """

    def __init__(self, lr: float | None = None, patience: int = 5, factor: float = 10.0, times: int = 3) -> None:
        super().__init__(lr)
        self.patience, self.times = require_int("schedule", "patience", patience), require_int("schedule", "times", times, least=0)
        self.factor = require_float("schedule", "factor", factor, "a finite number above 1", lambda v: 1 < v < math.inf)
        self.best, self.waited, self.divided, self.finished = ABOVE_ANY_ERROR, 0, 0, False

    def _rate(self, val_error: float | None) -> float:
        val_error = require_float("schedule", "val_error", val_error, "a fraction from 0 to 1", lambda v: 0 <= v <= 1)
        if val_error < self.best:
            self.best, self.waited = val_error, 0
            return self.lr
        self.waited += 1
        if self.waited < self.patience:
            return self.lr
        self.waited, self.best = 0, ABOVE_ANY_ERROR  # "with the current learning rate": errors with the old rate do not count
        if self.divided == self.times:
            self.finished = True
            return self.lr
        self.divided += 1
        return self.base / self.factor**self.divided

    def _changing(self) -> dict[str, Check]:
        def divided(who: str, quantity: str, value: Any) -> int:
            if _count(who, quantity, value) > self.times:
                raise ShapeError(f"{who}: {quantity} must be at most times={self.times}, got {value}")
            return int(value)

        return super()._changing() | {"best": _lowest_error, "waited": _count, "divided": divided, "finished": require_bool}


class Steps(Schedule):
    """Divide the rate by `factor` after each of the given epochs: (120, 130) for the authors' CIFAR-10 net with 18 % error.

    Parameters
    ----------
    after: numbers of epochs, at least 1, in rising order. factor: above 1.
    """

    def __init__(self, lr: float | None = None, after: tuple[int, ...] = (), factor: float = 10.0) -> None:
        super().__init__(lr)
        if not isinstance(after, (tuple, list)):
            raise ShapeError(f"schedule: after must be a tuple of epochs, got {show(after)}")
        self.after = tuple(require_int("schedule", "after", epoch) for epoch in after)
        if any(a >= b for a, b in zip(self.after, self.after[1:], strict=False)):
            raise ShapeError(f"schedule: after must be epochs in rising order, got {self.after}")
        self.factor = require_float("schedule", "factor", factor, "a finite number above 1", lambda v: 1 < v < math.inf)

    def _rate(self, val_error: float | None) -> float:
        return self.base / self.factor ** sum(self.epochs >= epoch for epoch in self.after)


class Dexp(Schedule):
    """A discrete exponential, as in cuda-convnet2: `steps` levels of equal length, from lr down to lr / factor.

    Parameters
    ----------
    total: epochs of the whole run, at least 1. factor: above 1. steps: at least 2; with 4 the rate falls after 25, 50 and 75 % of the run.
    """

    def __init__(self, lr: float | None = None, total: int = 90, factor: float = 250.0, steps: int = 4) -> None:
        super().__init__(lr)
        self.total, self.steps = require_int("schedule", "total", total), require_int("schedule", "steps", steps, least=2)
        self.factor = require_float("schedule", "factor", factor, "a finite number above 1", lambda v: 1 < v < math.inf)

    def _rate(self, val_error: float | None) -> float:
        level = min(self.steps - 1, self.epochs * self.steps // self.total)
        return self.base / self.factor ** (level / (self.steps - 1))

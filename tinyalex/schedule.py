"""Learning rates over time: each schedule has an `lr`, which its `end_epoch` sets for the next epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from tinyalex.errors import CheckpointError, ShapeError, require_bool, require_float, require_int, show
from tinyalex.optim import DEFAULT_LR

ABOVE_ANY_ERROR = 2.0  # finite, so that JSON can hold it

Check: TypeAlias = Callable[[str, str, Any], Any]  # (who, quantity, value) -> the value, or ShapeError


def _count(who: str, quantity: str, value: Any) -> int:
    return require_int(who, quantity, value, least=0)


def _above_0(who: str, quantity: str, value: Any) -> float:
    return require_float(who, quantity, value, "a finite number above 0", lambda v: 0 < v < math.inf)


def _lowest_error(who: str, quantity: str, value: Any) -> float:
    return require_float(who, quantity, value, f"from 0 to 1, or {ABOVE_ANY_ERROR}", lambda v: 0 <= v <= 1 or v == ABOVE_ANY_ERROR)


class Schedule:
    """A constant rate, and what all schedules share.

    `end_epoch(val_error)` counts an epoch and sets `lr`; `state()` and `load_state()` go into checkpoints.

    Parameters
    ----------
    lr: the first learning rate, above 0. None: 0.01, or in a `Trainer` the rate of its optimizer.

    Attributes
    ----------
    base, lr: the first rate and the present one. epochs: how many have ended.
    """

    _default_base = False  # whether `base` is a default that an optimizer's rate takes the place of

    def __init__(self, lr: float | None = None) -> None:
        if lr is None:
            self._default_base = True
        self.base = _above_0("schedule", "lr", DEFAULT_LR if lr is None else lr)
        self.epochs = 0
        self.lr = self.base

    def start_from(self, lr: float) -> None:
        """Take the optimizer's rate as the first one, unless this schedule was given one or has ended an epoch."""
        if self._default_base and self.epochs == 0:
            self.base = self.lr = _above_0("schedule", "lr", lr)

    def end_epoch(self, val_error: float | None = None) -> float:
        """Count an epoch and return the rate of the next; `val_error` is a fraction in [0, 1].

        Where it raises, nothing is changed.
        """
        before = dict(vars(self))
        try:
            self.epochs += 1
            try:
                rate = self._rate(val_error)
            except OverflowError:  # factor**times is beyond a float
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
        """Everything that changes over time."""
        return {key: value for key, value in vars(self).items() if key in self._changing()}

    def settings(self) -> dict[str, Any]:
        """What was given but for the first rate: together with `base` and `state()` it decides every rate to come."""
        changing = {"base", *self._changing()}
        return {key: value for key, value in vars(self).items() if key not in changing and not key.startswith("_")}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; raises CheckpointError, and changes nothing, where it cannot be of this schedule."""
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
        """What goes into `state`, each with the check it passes on its way back."""
        return {"epochs": _count, "lr": _above_0}


class Plateau(Schedule):
    """Divide the rate by `factor` when the validation error has stopped improving.

    Paper: section 5, "divide the learning rate by 10 when the validation error rate stopped improving with the current
    learning rate", from 0.01, three times before termination.

    Parameters
    ----------
    patience: epochs without a new lowest error that are waited for, at least 1.
    factor: above 1. times: how often at most; after that `finished` is true once patience runs out again.
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
        self.waited, self.best = 0, ABOVE_ANY_ERROR  # "with the current learning rate": the next rate starts afresh
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
    """Divide the rate by `factor` after each of the given epochs: (120, 130) for the authors' 18 % CIFAR-10 net."""

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
    """Discrete exponential, as in cuda-convnet2: `steps` levels of equal length from lr down to lr / factor.

    Parameters
    ----------
    total: epochs of the whole run. factor: above 1. steps: at least 2; with 4, the rate falls at 25, 50 and 75 %.
    """

    def __init__(self, lr: float | None = None, total: int = 90, factor: float = 250.0, steps: int = 4) -> None:
        super().__init__(lr)
        self.total, self.steps = require_int("schedule", "total", total), require_int("schedule", "steps", steps, least=2)
        self.factor = require_float("schedule", "factor", factor, "a finite number above 1", lambda v: 1 < v < math.inf)

    def _rate(self, val_error: float | None) -> float:
        level = min(self.steps - 1, self.epochs * self.steps // self.total)
        return self.base / self.factor ** (level / (self.steps - 1))

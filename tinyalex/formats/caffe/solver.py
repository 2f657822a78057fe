"""Caffe's solver: the settings of a training run, as a recipe and a schedule of the engine.

**The momentum.** Caffe's rule is v <- momentum v + lr (dL/dw + weight_decay w), w <- w - v. It is the paper's with the sign of v
turned, so `tinyalex.optim.SGD` computes the same, also where the rate falls: the velocity keeps the rates of the past steps.

**Iterations and epochs.** Caffe counts steps, the engine's schedules count epochs. With n training images one epoch has n / batch steps,
so a change of the rate comes at the end of the epoch in which Caffe's comes. `rate` gives Caffe's own rate of each step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError, DataError, require_int, said, show
from tinyalex.files.atomic import require_path
from tinyalex.formats.caffe.message import Message
from tinyalex.formats.caffe.text import read_text
from tinyalex.schedule import Schedule

POLICIES = ("fixed", "step", "multistep", "exp", "inv", "poly")
SGD_NAMES = ("SGD", "0")
REMEDY = "use solver.schedule(images, batch_size)"
MOST = 2**31 - 1  # iterations, the limit of Caffe
MOST_DROPS = 1000  # of the rate in a recipe


@dataclass(frozen=True)
class Solver:
    """What a solver.prototxt says.

    Parameters
    ----------
    net: the file of the net, as the solver names it. base_lr, gamma, power, stepsize, stepvalue: of `policy`, see `rate`.
    momentum, weight_decay: of `SGD`. max_iter: steps. iter_size: how many batches make a step.
    notes: what a user should know, each one sentence.
    """

    net: str
    base_lr: float
    policy: str
    gamma: float
    power: float
    stepsize: int
    stepvalue: tuple[int, ...]
    momentum: float
    weight_decay: float
    max_iter: int
    iter_size: int = 1
    notes: tuple[str, ...] = ()

    def rate(self, iteration: int) -> float:
        """Caffe's learning rate of a step, counted from 0.

        fixed: base_lr. step: base_lr gamma^floor(i / stepsize). multistep: gamma once for each stepvalue that is reached.
        exp: base_lr gamma^i. inv: base_lr (1 + gamma i)^-power. poly: base_lr (1 - i / max_iter)^power.
        """
        base, i = self.base_lr, iteration
        try:
            if self.policy == "step":
                return base * self.gamma ** (i // self.stepsize)
            if self.policy == "multistep":
                return base * self.gamma ** sum(i >= value for value in self.stepvalue)
            if self.policy == "exp":
                return base * self.gamma**i
            if self.policy == "inv":
                return base * (1 + self.gamma * i) ** -self.power
            if self.policy == "poly":
                return base * max(0.0, 1 - i / self.max_iter) ** self.power
        except OverflowError:
            return math.inf
        return base

    def epochs(self, images: int, batch_size: int) -> int:
        """How many passes over so many images the run has, rounded up. batch_size: of the layer that reads the images."""
        return math.ceil(self.max_iter / self._steps(images, batch_size))

    def _steps(self, images: int, batch_size: int) -> float:
        """Steps in an epoch."""
        count, size = require_int("solver", "images", images), require_int("solver", "batch_size", batch_size)
        return max(1.0, count / (size * self.iter_size))

    def schedule(self, images: int, batch_size: int) -> PerEpoch:
        """A schedule of the engine, for every policy: an epoch has the rate of its first step."""
        return PerEpoch(self, self._steps(images, batch_size))

    def recipe_fields(
        self, images: int, batch_size: int, net: str = "alexnet-caffe", biases: tuple[float, float] = (1.0, 1.0)
    ) -> dict[str, Any]:
        """The fields of a recipe of the engine, `tinyalex.training.recipes.Recipe(**fields)`.

        The ways of reading images are those of Caffe's reference nets: crops, mirrored, without color noise.

        images: how many the training set has. batch_size: of the layer that reads them. net: the name of the network.
        biases: the factors of the rate and the decay of biases, lr_mult and decay_mult of the net; (2, 0) in the reference nets.

        Raises
        ------
        DataError: the policy is exp, inv or poly, the rate rises, or it falls twice within an epoch: a recipe has steps at the ends of
            epochs alone; `schedule` has all of them.
        """
        steps = self._steps(images, batch_size)
        if self.policy not in ("fixed", "step", "multistep") or (self.policy != "fixed" and not 0 < self.gamma <= 1):
            rule = "solver: lr_policy must be fixed, or step or multistep with gamma above 0 and at most 1, for a recipe"
            raise DataError(f"{rule}, got {self.policy} with gamma {self.gamma:g}; {REMEDY}")
        epochs = self.epochs(images, batch_size)
        at: Iterable[int] = ()
        if self.policy != "fixed" and self.gamma < 1:
            at = range(self.stepsize, self.max_iter, self.stepsize) if self.policy == "step" else self.stepvalue
        drops: list[int] = []
        for value in at:
            epoch = max(1, round(value / steps))
            if value >= self.max_iter or epoch >= epochs:
                break
            if drops and epoch == drops[-1]:
                rule = "solver: lr_policy must lower the rate at most once an epoch for a recipe"
                raise DataError(f"{rule}, got two drops in epoch {epoch}, of {steps:,.0f} iterations; {REMEDY}")
            if len(drops) == MOST_DROPS:
                rule = f"solver: lr_policy must lower the rate at most {MOST_DROPS:,} times for a recipe"
                raise DataError(f"{rule}, got more; {REMEDY}")
            drops.append(epoch)
        return dict(
            net=net,
            epochs=epochs,
            batch_size=batch_size * self.iter_size,
            lr=self.base_lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            schedule="steps" if drops else "constant",
            divide_by=1 / self.gamma if drops else 10.0,
            drop_after=tuple(drops),
            bias_lr=biases[0],
            bias_decay=biases[1],
            offsets="code",
            own_mean_window=True,
            color_noise=0.0,
        )


class PerEpoch(Schedule):
    """The rate of a solver at the first step of each epoch. steps: in an epoch, at least 1."""

    def __init__(self, solver: Solver, steps: float) -> None:
        super().__init__(solver.rate(0))
        self.policy, self.steps = solver.policy, steps
        self._solver = solver

    def _rate(self, val_error: float | None) -> float:
        last = max(0, self._solver.max_iter - 1)
        return self._solver.rate(min(last, round(self.epochs * self.steps)))


def read_solver(path: Path | str) -> Solver:
    """What a solver.prototxt says.

    Raises
    ------
    DataError: it cannot be read, or the engine cannot do what it says, such as another optimizer than SGD; the message names the line.
    """
    source = require_path(path)
    return solver_of(read_text(source, "Solver"), str(source))


def net_beside(path: Path | str) -> Path:
    """The file of the net that a solver trains, in the folder of the solver or below it.

    Caffe counts the name from the folder in which it was started, which nobody knows later; a file of the same name beside the solver is
    meant then.

    Raises
    ------
    CheckpointError: there is no such file. DataError: the solver cannot be read.
    """
    source = require_path(path)
    named = Path(_net_of(read_text(source, "Solver")))
    inside = [] if named.is_absolute() or ".." in named.parts else [source.parent / named]  # a stranger's solver reads nothing elsewhere
    found = next((file for file in (*inside, source.parent / named.name) if file.is_file()), None)
    if found is None:
        got = show(str(named)) if named.name else "none"
        raise CheckpointError(f"{source}: net must be a file beside the solver, got {got}; name it too, as net.prototxt,solver.prototxt")
    return found


def solver_of(message: Message, source: str) -> Solver:
    """What the message of a solver says; `source` is named in errors."""

    def fail(name: str, rule: str, got: object) -> DataError:
        return DataError(f"{source}: line {message.line_of(name)}: {name} must be {rule}, got {said(got)}")

    def number(name: str, default: float | None, rule: str, least: float, most: float) -> Any:
        value = message.one(name, default)
        if value is None or not least <= value <= most:
            raise fail(name, rule, "none" if value is None else value)
        return value

    kind = message.one("type", message.one("solver_type", "SGD"))
    if kind not in SGD_NAMES:
        raise fail("type" if message.has("type") else "solver_type", "SGD, the optimizer of the engine", kind)
    if message.one("regularization_type", "L2") != "L2":
        raise fail("regularization_type", "L2", message.one("regularization_type"))
    policy = message.one("lr_policy", "")
    if policy not in POLICIES:
        raise fail("lr_policy", f"one of {', '.join(POLICIES)}", policy)
    count, rate = f"a whole number from 1 to {MOST:,}", "a finite number above 0"
    finite = "a finite number of at least 0"
    huge = 1e30
    needs_gamma = policy in ("step", "multistep", "exp", "inv")
    values = tuple(message.all("stepvalue"))
    if any(not 0 < value <= MOST for value in values) or list(values) != sorted(set(values)):
        raise fail("stepvalue", "whole numbers above 0 in rising order", list(values))
    clipped = message.one("clip_gradients", -1.0)
    return Solver(
        _net_of(message),
        number("base_lr", None, rate, 1e-30, huge),
        policy,
        number("gamma", None if needs_gamma else 1.0, finite, 0, huge),
        number("power", None if policy in ("inv", "poly") else 1.0, finite, 0, huge),
        number("stepsize", None if policy == "step" else 1, count, 1, MOST),
        values,
        number("momentum", 0.0, "at least 0 and below 1", 0, math.nextafter(1, 0)),
        number("weight_decay", 0.0, finite, 0, huge),
        number("max_iter", None, count, 1, MOST),
        number("iter_size", 1, count, 1, MOST),
        (f"gradients are not clipped, where Caffe limits their length to {clipped:g}",) if clipped >= 0 else (),
    )


def _net_of(message: Message) -> str:
    return str(message.one("net", message.one("train_net", "")))

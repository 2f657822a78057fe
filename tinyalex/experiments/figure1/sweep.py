"""The sweep, which chooses a learning rate: the run of every rate trains until it reaches the target or can no longer win.

Paper: section 3.1, "the learning rates for each network were chosen independently to make training as fast as possible".
The rule, for one setup and activation, with the first seed:

1. The best rate needs the fewest epochs to the target (an error of 25 % by default). The error that counts is that of all
   training images after an epoch; between two epochs it is interpolated.
2. The runs train in turns of `sweep_epochs` epochs. The run with the fewest turns is next; among several such runs, the one
   with the lowest error.
3. A run ends when it reaches the target, when it diverges, when it has trained as many whole epochs as the best rate needs
   (then it can no longer win), or after `max_epochs` epochs.
4. The best rate must lie between two other rates that were tried. If it is the lowest or the highest, the sweep adds the next
   rate on that side, among the rates 1 and 3 times a power of ten. It adds at most `growth` rates.
5. A rate that diverged was tried and has lost, so it can be a neighbor of the best rate. If every rate diverged, the sweep
   adds lower ones.
6. If no rate reaches the target, the rate with the lowest last error counts as the best.

The runs in the folder are the only memory of a sweep: what comes next is computed from them each time. So a sweep that is
killed at any moment and continued makes the same choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.runs import START_ERROR, Run, epochs_to

REACHED, LOST, DIVERGED, UNFINISHED = "reached", "lost", "diverged", "unfinished"
NEAR = 1.25  # a rate that differs from the edge by less than this factor would be no new information


@dataclass(frozen=True)
class Sweep:
    """The state of the sweep of one activation in one setup.

    runs: one run for each rate, in ascending order; a run that has not begun has no epochs. target: the error to reach.
    max_epochs: the largest number of epochs of a run. turn: epochs of one turn. added: how many rates the sweep has added.
    """

    runs: tuple[Run, ...]
    target: float
    max_epochs: int
    turn: int
    added: int = 0

    def needed(self, run: Run) -> float | None:
        """The epochs that the run needed to the target; None if it has not reached the target."""
        return epochs_to(run.errors("train_error"), self.target)

    @property
    def limit(self) -> int:
        """Whole epochs after which a run that has not reached the target can no longer win."""
        reached = [needed for run in self.runs if (needed := self.needed(run)) is not None]
        return min([self.max_epochs, *map(math.ceil, reached)])

    def state(self, run: Run) -> str:
        """The state of the run: "reached" (the target), "diverged", "lost" (it can no longer win) or "unfinished"."""
        if self.needed(run) is not None:
            return REACHED
        if run.diverged is not None:
            return DIVERGED
        return LOST if len(run.epochs) >= self.limit else UNFINISHED

    @property
    def best(self) -> Run:
        """The run that needs the fewest epochs to the target; if none has reached it, the run with the lowest last error."""
        last = {run.lr: run.epochs[-1].train_error if run.epochs else None for run in self.runs}
        error = {lr: 1.0 if value is None else value for lr, value in last.items()}
        needed = {run.lr: self.needed(run) or math.inf for run in self.runs}
        gone = {run.lr: self.state(run) == DIVERGED for run in self.runs}
        return min(self.runs, key=lambda run: (needed[run.lr], gone[run.lr], error[run.lr], -len(run.epochs)))

    @property
    def failed(self) -> bool:
        """Whether every rate diverged before it reached the target."""
        return all(self.state(run) == DIVERGED for run in self.runs)

    @property
    def edge(self) -> str | None:
        """The edge at which the best of several rates is, "lowest" or "highest"; None if it lies between two other rates."""
        if len(self.runs) < 2:
            return None
        if self.failed or self.best is self.runs[0]:
            return "lowest"
        return "highest" if self.best is self.runs[-1] else None

    def next_turn(self) -> tuple[Run, int] | None:
        """The run that trains next, and the number of epochs that it has after this turn; None if the sweep is finished."""
        live = [run for run in self.runs if self.state(run) == UNFINISHED]
        if not live:
            return None
        run = min(live, key=self._rank)
        return run, min((self._turns(run) + 1) * self.turn, self.limit)

    def _turns(self, run: Run) -> int:
        return len(run.epochs) // self.turn

    def _rank(self, run: Run) -> tuple[int, float, float]:
        """The key by which the next run is chosen. Epochs of an incomplete turn do not count, so a kill does not change the order."""
        done = self._turns(run)
        error = run.epochs[done * self.turn - 1].train_error if done else None
        return done, START_ERROR if error is None else error, run.lr

    def beyond(self) -> float | None:
        """The rate to add when all runs have ended and the best rate is the lowest or the highest; else None."""
        edge = self.edge
        if edge is None or self.next_turn() is not None:
            return None
        return next_rate(self.runs[0].lr, up=False) if edge == "lowest" else next_rate(self.runs[-1].lr, up=True)


def sweep_of(plan: Plan, activation: str, runs: Iterable[Run]) -> Sweep:
    """The state of the sweep of `activation`, computed from `runs`. The rates that it has added are found by the same rule."""
    known = {run.lr: run for run in runs if (run.setup, run.activation, run.seed) == (plan.setup, activation, plan.seeds[0])}
    rates: Sequence[float] = plan.rates[activation]
    while True:
        mine = [known.get(lr) or Run(plan.setup, activation, lr, plan.seeds[0]) for lr in sorted(set(rates))]
        sweep = Sweep(tuple(mine), plan.target, plan.max_epochs, plan.sweep_epochs, len(rates) - len(plan.rates[activation]))
        more = sweep.beyond() if sweep.added < plan.growth else None
        if more is None:
            return sweep
        rates = (*rates, more)


def next_rate(rate: float, *, up: bool) -> float:
    """The next rate above or below `rate`, among 1 and 3 times the powers of ten.

    Example
    -------
    >>> next_rate(0.03, up=True), next_rate(0.002, up=False)
    (0.1, 0.001)
    """
    power = math.floor(math.log10(rate))
    grid = [float(f"{digit}e{power + step}") for step in range(-2, 3) for digit in (1, 3)]
    return min(value for value in grid if value > rate * NEAR) if up else max(value for value in grid if value < rate / NEAR)

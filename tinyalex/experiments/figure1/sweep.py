"""The sweep that chooses a learning rate: every rate runs until it reaches the target or can no longer win.

Paper: section 3.1, "the learning rates for each network were chosen independently to make training as fast as possible".
The rule, for one setup and activation, with the first seed:

1. A rate's epochs are those to the target, by the error of all training images after the epoch (25 % if not changed),
   interpolated between two epochs. The best rate needs the fewest.
2. The runs take turns of some epochs. The run with the fewest turns comes first; among equals, the one with the lowest error.
3. A run ends when it reaches the target, when it diverges, when it has trained as many whole epochs as the best rate needs
   (so it can no longer win), or after the most epochs that are allowed.
4. The best rate must lie between two others that were tried. If it is the lowest or the highest, the sweep adds the next rate
   on that side, from the rates 1 and 3 times a power of ten, and goes on. It adds at most `growth` rates.
5. A rate that diverged was tried and lost, so it can be a neighbor of the best. If every rate diverged, lower ones are added.
6. If no rate reaches the target, the rate with the lowest last error stands for the best.

Nothing is remembered but the runs themselves: what comes next is computed from the folder's runs, each time anew. A sweep
that was killed at any moment therefore goes on to the same choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.runs import START_ERROR, Run, epochs_to

REACHED, LOST, DIVERGED, UNFINISHED = "reached", "lost", "diverged", "unfinished"
NEAR = 1.25  # a rate of the grid that is nearer than this to the edge tells nothing new


@dataclass(frozen=True)
class Sweep:
    """Where the sweep of one activation in one setup stands.

    runs: one of each rate, in ascending order; a rate that has not begun has a run without epochs.
    turn: epochs of a turn. added: rates that are not of the plan.
    """

    runs: tuple[Run, ...]
    target: float
    max_epochs: int
    turn: int
    added: int = 0

    def needed(self, run: Run) -> float | None:
        """Epochs that the run needed to the target; None if it has not reached it."""
        return epochs_to(run.errors("train_error"), self.target)

    @property
    def limit(self) -> int:
        """Whole epochs after which a run that has not reached the target can no longer win."""
        reached = [needed for run in self.runs if (needed := self.needed(run)) is not None]
        return min([self.max_epochs, *map(math.ceil, reached)])

    def state(self, run: Run) -> str:
        """What became of the run: "reached", "diverged", "lost" or "unfinished"."""
        if self.needed(run) is not None:
            return REACHED
        if run.diverged is not None:
            return DIVERGED
        return LOST if len(run.epochs) >= self.limit else UNFINISHED

    @property
    def best(self) -> Run:
        """The run that needs the fewest epochs; while none has reached the target, the one with the lowest last error."""
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
        """"lowest" or "highest" where the best of several rates is that, so that a better one may lie beyond."""
        if len(self.runs) < 2:
            return None
        if self.failed or self.best is self.runs[0]:
            return "lowest"
        return "highest" if self.best is self.runs[-1] else None

    def next_turn(self) -> tuple[Run, int] | None:
        """The run whose turn it is, and to how many epochs in all it trains; None when the sweep is at its end."""
        live = [run for run in self.runs if self.state(run) == UNFINISHED]
        if not live:
            return None
        run = min(live, key=self._rank)
        return run, min((self._turns(run) + 1) * self.turn, self.limit)

    def _turns(self, run: Run) -> int:
        return len(run.epochs) // self.turn

    def _rank(self, run: Run) -> tuple[int, float, float]:
        """The order of turns; the epochs of a turn that was cut short do not count, so that a kill does not change it."""
        done = self._turns(run)
        error = run.epochs[done * self.turn - 1].train_error if done else None
        return done, START_ERROR if error is None else error, run.lr

    def beyond(self) -> float | None:
        """The rate to add: the next one beyond an edge at which the best lies, once all runs have ended."""
        edge = self.edge
        if edge is None or self.next_turn() is not None:
            return None
        return next_rate(self.runs[0].lr, up=False) if edge == "lowest" else next_rate(self.runs[-1].lr, up=True)


def sweep_of(plan: Plan, activation: str, runs: Iterable[Run]) -> Sweep:
    """The sweep of `activation` as `runs` have it; rates that it added are found again by the same rule."""
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
    """The next rate of 1 and 3 times the powers of ten, above `rate` or below it.

    Example
    -------
    >>> next_rate(0.03, up=True), next_rate(0.002, up=False)
    (0.1, 0.001)
    """
    power = math.floor(math.log10(rate))
    grid = [float(f"{digit}e{power + step}") for step in range(-2, 3) for digit in (1, 3)]
    return min(value for value in grid if value > rate * NEAR) if up else max(value for value in grid if value < rate / NEAR)

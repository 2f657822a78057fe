"""What a claim compares: one number for each seed, from the outcomes of the two runs with this seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from tinyalex.experiments.claims.claim import Claim
from tinyalex.experiments.claims.runs import Outcome
from tinyalex.experiments.figure1.runs import epochs_to

LAST = 3  # epochs over which the training error to reach is averaged, as single epochs at a high rate are noisy


@dataclass(frozen=True)
class Kind:
    """unit: of the number. none: its value if there is no effect. text: what the number is. of: (better, worse) -> the number."""

    unit: str
    none: float
    text: str
    of: Callable[[Outcome, Outcome], float]


def _points(worse: float, better: float) -> float:
    return 100 * (worse - better)


def _train(outcome: Outcome) -> float:
    error = outcome.last_train
    assert error is not None  # the families of claims of this kind measure it
    return error


def _test(outcome: Outcome) -> float:
    error = outcome.last_test
    assert error is not None
    return error


def _gap(outcome: Outcome) -> float:
    """By how much the test error of the finished net is above its training error."""
    return _test(outcome) - _train(outcome)


def _iterations(better: Outcome, worse: Outcome) -> float:
    """How many times as many epochs `better` needs to a training error, while the rate is the first one.

    The error to reach is the mean that `better` has in the last three epochs at this rate. A net that does not reach it at this rate
    counts with all epochs of it.
    """
    epochs = sum(lr == better.lr[0] for lr in better.lr)
    last = better.train_error[max(0, epochs - LAST) : epochs]
    needed = [epochs_to(outcome.train_error[:epochs], fmean(last)) for outcome in (better, worse)]
    own, other = (float(epochs) if found is None else found for found in needed)
    return own / other


def _views(better: Outcome, worse: Outcome) -> float:
    return _points(_test(worse), better.ten_views or 0.0)


def _colors(better: Outcome, worse: Outcome) -> float:
    return 100 * (better.colors[-1].difference - worse.colors[-1].difference)


KINDS = {
    "test error": Kind("points", 0, "test error, lower by", lambda a, b: _points(_test(b), _test(a))),
    "training error": Kind("points", 0, "training error, lower by", lambda a, b: _points(_train(b), _train(a))),
    "gap": Kind("points", 0, "gap between training and test error, smaller by", lambda a, b: _points(_gap(b), _gap(a))),
    "iterations": Kind("times as many", 1, "epochs to the same training error:", _iterations),
    "views": Kind("points", 0, "test error of the same net, lower by", _views),
    "ten views": Kind("points", 0, "test error with ten views, lower by", lambda a, b: _points(b.ten_views or 0.0, a.ten_views or 0.0)),
    "color": Kind("points", 0, "difference of the halves' gray shares, larger by", _colors),
}


def value_of(claim: Claim, better: Outcome, worse: Outcome) -> float | None:
    """The number of a claim for one seed; None if one of the two runs diverged. Above the kind's `none` it agrees with the paper."""
    if better.diverged is not None or worse.diverged is not None:
        return None
    return KINDS[claim.kind].of(better, worse)

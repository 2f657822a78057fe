"""Learning rates over time."""

import json
import math

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses


def rates(schedule, errors):
    return [schedule.end_epoch(error) for error in errors]


def test_constant_rate():
    schedule = ta.Schedule(0.02)
    assert schedule.lr == 0.02
    assert rates(schedule, [None, 0.5, None]) == [0.02] * 3
    assert schedule.epochs == 3


def test_plateau_divides_when_the_error_stops_falling():
    schedule = ta.Plateau(0.1, patience=2, times=2)
    #         lower          equal  higher            lower  wait  wait
    errors = [0.9, 0.8, 0.8, 0.85, 0.7, 0.6, 0.65, 0.6, 0.61, 0.7]
    expected = [0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001]
    assert rates(schedule, errors) == pytest.approx(expected, rel=1e-15)
    assert schedule.divided == 2 and not schedule.finished


def test_plateau_compares_within_one_rate_only():
    schedule = ta.Plateau(0.1, patience=1)
    rates(schedule, [0.5, 0.6])  # divided
    assert schedule.divided == 1
    schedule.end_epoch(0.9)  # worse than ever, yet the first of its rate
    assert schedule.divided == 1
    schedule.end_epoch(0.9)
    assert schedule.divided == 2


def test_plateau_finishes_after_three_divisions():
    schedule = ta.Plateau(0.01, patience=1)
    finished = []
    for _ in range(8):
        schedule.end_epoch(0.5)
        finished.append(schedule.finished)
    assert schedule.lr == pytest.approx(1e-5, rel=1e-15)  # paper 5
    assert finished == [False] * 7 + [True]


def test_plateau_without_divisions_finishes_at_the_first_wait():
    schedule = ta.Plateau(0.01, patience=2, times=0)
    assert rates(schedule, [0.5, 0.5, 0.5]) == [0.01] * 3
    assert schedule.finished


def test_steps_divide_after_the_given_epochs():
    schedule = ta.Steps(0.001, after=(2, 4))
    assert rates(schedule, [None] * 5) == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5, 1e-5], rel=1e-15)


def test_dexp_falls_at_each_quarter():
    schedule = ta.Dexp(1.0, total=8, factor=1000, steps=4)
    levels = [schedule.lr, *rates(schedule, [None] * 9)]
    assert levels == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001], rel=1e-14)


@pytest.mark.parametrize(("total", "steps"), [(7, 3), (90, 4), (3, 5)])
def test_dexp_starts_at_lr_never_rises_and_ends_at_lr_by_factor(total, steps):
    schedule = ta.Dexp(0.01, total=total, factor=250, steps=steps)
    levels = [schedule.lr, *rates(schedule, [None] * total)]
    assert levels[0] == 0.01 and levels == sorted(levels, reverse=True)
    assert levels[-1] == pytest.approx(0.01 / 250, rel=1e-15)


SCHEDULES = [
    lambda: ta.Schedule(0.1),
    lambda: ta.Plateau(0.1, patience=2),
    lambda: ta.Steps(0.1, after=(2, 3, 7)),
    lambda: ta.Dexp(0.1, total=10),
]
ERRORS = [0.9, 0.8, 0.8, 0.9, 0.7, 0.7, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6]


@pytest.mark.parametrize("make", SCHEDULES)
@pytest.mark.parametrize("at", range(len(ERRORS)))
def test_state_through_json_goes_on_as_if_never_interrupted(make, at):
    whole, first, second = make(), make(), make()
    expected = rates(whole, ERRORS)
    rates(first, ERRORS[:at])
    second.load_state(json.loads(json.dumps(first.state(), allow_nan=False)))
    assert second.lr == first.lr
    assert rates(second, ERRORS[at:]) == expected[at:]
    assert second.state() == whole.state()


@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_state_of_numpy_errors_is_json(number):
    schedule = ta.Plateau(0.1)
    schedule.end_epoch(number(0.5))
    assert json.loads(json.dumps(schedule.state())) == schedule.state()


@pytest.mark.parametrize("state", [{}, {"epochs": 1}, {"epochs": 1, "lr": 0.1, "more": 0}])
def test_foreign_state_raises(state):
    with refuses(ta.CheckpointError, f"Schedule: state must hold epochs, lr, got {sorted(state)}"):
        ta.Schedule().load_state(state)


@pytest.mark.parametrize("state", [None, 3, ["epochs", "lr"], "epochs"])
def test_state_that_is_no_dict_raises(state):
    with refuses(ta.CheckpointError, f"Plateau: state must hold epochs, lr, best, waited, divided, finished, got {state!r}"):
        ta.Plateau().load_state(state)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"lr": "x"}, "lr must be a finite number above 0, got 'x'"),
        ({"lr": 0}, "lr must be a finite number above 0, got 0"),
        ({"epochs": -1}, "epochs must be an integer of at least 0, got -1"),
        ({"epochs": 1.5}, "epochs must be an integer of at least 0, got 1.5"),
        ({"best": 1.5}, "best must be from 0 to 1, or 2.0, got 1.5"),
        ({"best": None}, "best must be from 0 to 1, or 2.0, got None"),
        ({"waited": "2"}, "waited must be an integer of at least 0, got '2'"),
        ({"divided": -1}, "divided must be an integer of at least 0, got -1"),
        ({"divided": 4}, "divided must be at most times=3, got 4"),
        ({"finished": 1}, "finished must be True or False, got 1"),
    ],
)
def test_state_with_a_wrong_value_raises_and_changes_nothing(change, text):
    schedule = ta.Plateau()
    before = schedule.state()
    with refuses(ta.CheckpointError, f"Plateau: {text}"):
        schedule.load_state(before | {"epochs": 7} | change)
    assert schedule.state() == before


@pytest.mark.parametrize("error", [None, -0.1, 1.1, math.nan, 37.0])
def test_plateau_needs_an_error_rate(error):
    with refuses(ta.ShapeError, f"schedule: val_error must be a fraction from 0 to 1, got {error}"):
        ta.Plateau().end_epoch(error)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ta.Schedule(0), "schedule: lr must be a finite number above 0, got 0"),
        (lambda: ta.Schedule(math.inf), "schedule: lr must be a finite number above 0, got inf"),
        (lambda: ta.Plateau(patience=0), "schedule: patience must be an integer of at least 1, got 0"),
        (lambda: ta.Plateau(times=-1), "schedule: times must be an integer of at least 0, got -1"),
        (lambda: ta.Plateau(factor=1), "schedule: factor must be a finite number above 1, got 1"),
        (lambda: ta.Steps(after=(3, 2)), "schedule: after must be epochs in rising order, got (3, 2)"),
        (lambda: ta.Steps(after=(2, 2)), "schedule: after must be epochs in rising order, got (2, 2)"),
        (lambda: ta.Steps(after=(0,)), "schedule: after must be an integer of at least 1, got 0"),
        (lambda: ta.Steps(factor=0.1), "schedule: factor must be a finite number above 1, got 0.1"),
        (lambda: ta.Dexp(total=0), "schedule: total must be an integer of at least 1, got 0"),
        (lambda: ta.Dexp(steps=1), "schedule: steps must be an integer of at least 2, got 1"),
        (lambda: ta.Dexp(factor=1.0), "schedule: factor must be a finite number above 1, got 1.0"),
    ],
)
def test_bad_settings_raise(make, text):
    with refuses(ta.ShapeError, text):
        make()


@pytest.mark.parametrize("error", [None, -0.1, 1.1, math.nan, "0.5"])
def test_refused_error_counts_no_epoch(error):
    schedule = ta.Plateau(0.1, patience=1)
    schedule.end_epoch(0.5)
    before = schedule.state()
    with refuses(ta.ShapeError, "schedule: val_error must be a fraction from 0 to 1"):
        schedule.end_epoch(error)
    assert schedule.state() == before
    assert rates(schedule, [0.6, 0.6, 0.6]) == pytest.approx([0.01, 0.01, 0.001])


class Cut(ta.Schedule):
    """A schedule that is wrong after its second epoch."""

    def _rate(self, val_error):
        self.seen = self.epochs
        return 0.1 if self.epochs < 2 else val_error


@pytest.mark.parametrize("rate", [0, -1, math.nan, None])
def test_rate_that_is_none_leaves_a_schedule_as_it_was(rate):
    schedule = Cut(0.2)
    schedule.end_epoch()
    with refuses(ta.ShapeError, "schedule: lr must be a finite number above 0, got "):
        schedule.end_epoch(rate)
    assert (schedule.lr, schedule.epochs, schedule.seen) == (0.1, 1, 1)


def test_rate_that_falls_below_every_float_is_refused():
    schedule = ta.Steps(0.1, after=(1, 2), factor=1e300)
    schedule.end_epoch()
    with refuses(ta.ShapeError, "schedule: lr must be a finite number above 0, got 0.0"):
        schedule.end_epoch()
    assert schedule.epochs == 1 and schedule.lr == pytest.approx(1e-301)


@pytest.mark.parametrize("make", [ta.Schedule, ta.Plateau, lambda lr=None: ta.Steps(lr, (2,)), ta.Dexp])
def test_first_rate_is_the_optimizers_unless_it_was_given(make):
    schedule, given = make(), make(0.01)
    assert schedule.lr == schedule.base == 0.01
    for each in (schedule, given):
        each.start_from(0.5)
    assert (schedule.lr, schedule.base, given.lr, given.base) == (0.5, 0.5, 0.01, 0.01)
    schedule.end_epoch(0.5)
    schedule.start_from(0.7)  # too late
    assert schedule.base == 0.5
    with refuses(ta.ShapeError, "schedule: lr must be a finite number above 0, got 0"):
        make().start_from(0)


def test_settings_are_all_that_was_given_but_the_rate():
    assert ta.Schedule(0.1).settings() == ta.Schedule().settings() == {}
    assert ta.Plateau(0.1, 3, 5.0, 2).settings() == {"patience": 3, "factor": 5.0, "times": 2}
    assert ta.Steps(after=[2, 4]).settings() == {"after": (2, 4), "factor": 10.0}
    assert ta.Dexp(0.1, 8).settings() == {"total": 8, "factor": 250.0, "steps": 4}


def test_refused_epoch_leaves_no_attribute_behind():
    class Noted(Cut):
        """A schedule that notes an epoch before it fails in it."""

        def _rate(self, val_error):
            self.seen = self.epochs
            return -1.0

    schedule = Noted(0.2)
    with refuses(ta.ShapeError, "schedule: lr must be a finite number above 0, got -1.0"):
        schedule.end_epoch()
    assert "seen" not in vars(schedule)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_errors_of_0_and_of_1_are_fractions_too_and_come_back_from_a_checkpoint(error):
    schedule, again = ta.Plateau(0.1), ta.Plateau(0.1)
    schedule.end_epoch(error)
    again.load_state(schedule.state())
    assert schedule.best == again.best == error


def test_no_epoch_was_waited_for_at_the_start_and_after_a_division():
    schedule = ta.Plateau(0.1, patience=2, factor=1.5)
    waited = [schedule.waited]
    for _ in range(4):
        schedule.end_epoch(0.5)
        waited.append(schedule.waited)
    assert waited == [0, 0, 1, 0, 0] and schedule.lr == pytest.approx(0.1 / 1.5)


@pytest.mark.parametrize("after", [5, None, {2, 4}])
def test_epochs_that_are_no_tuple_are_refused(after):
    with refuses(ta.ShapeError, f"schedule: after must be a tuple of epochs, got {after!r}"):
        ta.Steps(after=after)


def test_defaults_are_those_of_the_paper_and_of_cuda_convnet2():
    assert ta.Plateau().settings() == {"patience": 5, "factor": 10.0, "times": 3}
    assert ta.Steps(after=(120, 130)).settings() == {"after": (120, 130), "factor": 10.0}
    assert ta.Dexp().settings() == {"total": 90, "factor": 250.0, "steps": 4}
    assert ta.Dexp(factor=1.5).factor == ta.Steps(factor=1.5).factor == 1.5
    assert {make().lr for make in (ta.Schedule, ta.Plateau, ta.Steps, ta.Dexp)} == {0.01}


@pytest.mark.parametrize("make", [ta.Plateau, ta.Steps, ta.Dexp])
def test_factor_must_be_finite_and_more_than_1(make):
    for factor in (1.0, math.inf, math.nan):
        with refuses(ta.ShapeError, f"schedule: factor must be a finite number above 1, got {factor}"):
            make(factor=factor)

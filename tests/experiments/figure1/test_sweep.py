"""The rule that chooses a rate: who stops, when the sweep grows, and that a kill changes nothing."""

from __future__ import annotations

import math

import pytest

from tests.experiments.figure1.fakes import make_plan, make_run
from tinyalex.experiments.figure1.sweep import next_rate, sweep_of

RATES = (0.003, 0.01, 0.03)
# epochs to 25 %; None: the run diverges at once
NEEDED = {0.0001: 90, 0.0003: 60, 0.001: 30, 0.003: 12, 0.01: 8, 0.03: 11, 0.1: 20, 0.3: None}


def curve(needed):
    """The errors of a run that reaches 25 % after so many epochs, in a straight line from 90 %."""
    return [0.9 - 0.65 * epoch / needed for epoch in range(1, math.ceil(needed) + 1)]


def train(run, epochs, needed=NEEDED):
    """What training does to a run: its errors up to `epochs`, or to the target."""
    if needed[run.lr] is None:
        return make_run([], lr=run.lr, diverged="nan")
    return make_run(curve(needed[run.lr])[:epochs], lr=run.lr)


def play(plan, needed=NEEDED, killed=None):
    """All turns of a sweep: (rate, epochs in all), and how it ends; turn number `killed` is cut one epoch short and taken again."""
    runs, turns = {}, []
    while (turn := sweep_of(plan, "relu", runs.values()).next_turn()) is not None:
        run, epochs = turn
        if turns[-1:] != [(run.lr, epochs)]:  # else it is the one that was cut
            turns.append((run.lr, epochs))
        if len(turns) - 1 == killed:
            killed, epochs = None, epochs - 1
        runs[run.lr] = train(run, epochs, needed)
    return turns, sweep_of(plan, "relu", runs.values())


def plan(rates=RATES, **settings):
    return make_plan(activations=("relu",), rates=rates, **{"sweep_epochs": 3, "max_epochs": 60, "growth": 4} | settings)


def test_runs_take_turns_and_the_most_promising_comes_first():
    turns, _ = play(plan())
    assert turns[:6] == [(0.003, 3), (0.01, 3), (0.03, 3), (0.01, 6), (0.03, 6), (0.003, 6)]
    assert turns[6] == (0.01, 9)


def test_run_stops_when_it_can_no_longer_win():
    _, sweep = play(plan())
    ended = [(run.lr, len(run.epochs), sweep.state(run)) for run in sweep.runs]
    assert ended == [(0.003, 8, "lost"), (0.01, 8, "reached"), (0.03, 8, "lost")]
    assert sweep.best.lr == 0.01 and sweep.edge is None and sweep.added == 0


@pytest.mark.parametrize("needed", [8.4, 8.9])
def test_run_that_crosses_within_the_bests_last_epoch_still_wins(needed):
    later = NEEDED | {0.01: 8.95, 0.03: needed}
    _, sweep = play(plan((0.003, 0.01, 0.03, 0.1)), later)
    assert sweep.best.lr == 0.03 and sweep.needed(sweep.best) < sweep.needed(sweep.runs[1])


@pytest.mark.parametrize(
    ("rates", "grown"), [((0.0003, 0.001), (0.0003, 0.001, 0.003, 0.01, 0.03)), ((0.03, 0.1), (0.003, 0.01, 0.03, 0.1))], ids=str
)
def test_sweep_grows_until_the_best_lies_inside(rates, grown):
    _, sweep = play(plan(rates))
    assert tuple(run.lr for run in sweep.runs) == grown
    assert sweep.best.lr == 0.01 and sweep.edge is None and sweep.added == len(grown) - len(rates)


def test_growth_is_bounded_and_the_edge_is_said():
    _, sweep = play(plan((0.0001, 0.0003), growth=1))
    assert [run.lr for run in sweep.runs] == [0.0001, 0.0003, 0.001] and (sweep.best.lr, sweep.edge) == (0.001, "highest")
    _, sweep = play(plan((0.03, 0.1), growth=0))
    assert [run.lr for run in sweep.runs] == [0.03, 0.1] and (sweep.best.lr, sweep.edge) == (0.03, "lowest")


def test_diverged_rate_was_tried_so_it_can_be_a_neighbor_of_the_best():
    _, sweep = play(plan((0.003, 0.01, 0.03)), NEEDED | {0.03: None})
    assert sweep.best.lr == 0.01 and sweep.edge is None and [run.lr for run in sweep.runs] == [0.003, 0.01, 0.03]


def test_sweep_in_which_all_diverge_grows_downwards_and_fails_at_its_bound():
    gone = dict.fromkeys(NEEDED)
    _, sweep = play(plan((0.03, 0.1)), gone | {0.001: 30, 0.003: 12, 0.01: None})
    assert sweep.best.lr == 0.003 and not sweep.failed and [run.lr for run in sweep.runs] == [0.001, 0.003, 0.01, 0.03, 0.1]
    _, sweep = play(plan((0.03, 0.1), growth=2), gone)
    assert sweep.failed and [run.lr for run in sweep.runs] == [0.003, 0.01, 0.03, 0.1]


def test_lowest_last_error_stands_for_the_best_where_no_rate_reaches_the_target():
    _, sweep = play(plan(max_epochs=7))
    assert {len(run.epochs) for run in sweep.runs} == {7} and {sweep.state(run) for run in sweep.runs} == {"lost"}
    assert sweep.best.lr == 0.01 and sweep.needed(sweep.best) is None


@pytest.mark.parametrize("rates", [RATES, (0.0003, 0.001), (0.03, 0.1, 0.3)], ids=str)
def test_kill_in_any_turn_changes_neither_the_turns_nor_the_choice(rates):
    turns, whole = play(plan(rates))
    for killed in range(len(turns)):
        again, sweep = play(plan(rates), killed=killed)
        assert (again, sweep) == (turns, whole)


def test_run_that_went_on_after_its_crossing_keeps_its_epochs():
    errors = [0.5, 0.3, 0.2, 0.27, 0.26]
    sweep = sweep_of(plan(), "relu", [make_run(errors)])
    assert sweep.needed(sweep.best) == pytest.approx(2.5) and sweep.limit == 3 and sweep.state(sweep.best) == "reached"
    assert sweep.next_turn()[1] == 3


def test_runs_of_other_seeds_setups_and_activations_do_not_count():
    others = [make_run([0.1], seed=1), make_run([0.1], setup="fan-in"), make_run([0.1], activation="tanh"), make_run([0.1], lr=7.0)]
    assert not any(run.epochs for run in sweep_of(plan(), "relu", others).runs)


def test_one_rate_is_no_sweep_and_has_no_edge():
    sweep = sweep_of(plan((0.01,)), "relu", [make_run([0.25])])
    assert sweep.edge is None and sweep.added == 0 and len(sweep.runs) == 1


@pytest.mark.parametrize(
    ("rate", "below", "above"),
    [(0.01, 0.003, 0.03), (0.03, 0.01, 0.1), (0.02, 0.01, 0.03), (0.05, 0.03, 0.1), (0.009, 0.003, 0.03), (1.0, 0.3, 3.0)],
)
def test_next_rate(rate, below, above):
    assert (next_rate(rate, up=False), next_rate(rate, up=True)) == (below, above)

"""Timing in turns."""

from dataclasses import replace

import pytest

from benchmarks.agreement import DisagreementError
from benchmarks.contestants import KEEP_MEMORY, RIVALS, Contestant, ContestantError
from benchmarks.measure import Settings, expected_s, measure, timings, turn
from benchmarks.results import Pair
from benchmarks.table import WORKLOADS, choose
from tests.benchmarks.fakes import QUICK

POOL = WORKLOADS["pool-27"]


def test_turn_times_one_after_the_other():
    asked = []

    class Recorder:
        def __init__(self, name):
            self.name = name

        def ask(self, **message):
            asked.append((self.name, message["calls"]))
            return {"s": float(len(asked))}

    pair, ticks = Pair("rival"), []
    turn(pair, {name: Recorder(name) for name in ("sgemm", "tinyalex", "rival")}, 5, ticks.append)
    assert asked == [("sgemm", 1), ("tinyalex", 5), ("rival", 5)] and ticks == [1, 1, 1]
    assert (pair.sgemm_s, pair.tinyalex_s, pair.rival_s) == ([1.0], [2.0], [3.0])


def test_measure_with_real_processes_times_a_rival_whose_answer_agrees():
    twin, ticks = Contestant("twin", "tinyalex", environment=KEEP_MEMORY), []
    result = measure(POOL, [twin], QUICK, ticks.append)
    assert sum(ticks) == 6 and result.errors == {"twin": 0.0} and result.absent == {}
    (pair,) = result.pairs
    assert [len(times) for times in (pair.sgemm_s, pair.tinyalex_s, pair.rival_s, result.copy_s)] == [2, 2, 2, 2]
    assert set(result.about) == {"sgemm", "copy", "tinyalex", "twin"} and result.copy_rate() > 0


def test_measure_refuses_before_it_times():
    workload, ticks = replace(POOL, tolerance=-1.0), []  # nothing can agree
    with pytest.raises(DisagreementError, match="pool-27: the answer of tinyalex must be within -1 of twin's in dx"):
        measure(workload, [Contestant("twin", "tinyalex")], QUICK, ticks.append)
    assert ticks == []


def test_an_optional_rival_that_does_not_work_is_noted_and_the_others_go_on():
    rivals, ticks = [Contestant("broken", "nobody's", optional=True), Contestant("twin", "tinyalex")], []
    result = measure(POOL, rivals, QUICK, ticks.append)
    assert result.absent == {"broken": 'KeyError: "nobody\'s"'}
    assert [pair.rival for pair in result.pairs] == ["twin"] and sum(ticks) == 12


def test_an_optional_rival_with_another_answer_is_noted_and_not_timed():
    result = measure(replace(POOL, tolerance=-1.0), [Contestant("twin", "tinyalex", optional=True)], QUICK, lambda n: None)
    assert result.absent["twin"].startswith("another answer, pool-27: the answer of tinyalex must be within -1 of twin's")
    assert result.errors == {}
    (alone,) = result.pairs
    assert alone.rival is None and len(alone.tinyalex_s) == 2 and result.fastest() is None


def test_an_optional_rival_that_ends_amid_its_timing_is_noted(monkeypatch):
    def ended(pair, *rest):
        pair.sgemm_s.append(1.0)
        if pair.rival is not None:
            raise ContestantError("gone", "killed")
        return pair

    monkeypatch.setattr("benchmarks.measure._turns", ended)
    ticks = []
    result = measure(POOL, [Contestant("twin", "tinyalex", optional=True)], QUICK, ticks.append)
    assert result.absent == {"twin": "killed"} and [pair.rival for pair in result.pairs] == [None] and sum(ticks) == 5


def test_a_rival_that_must_work_and_does_not_ends_the_benchmark():
    with pytest.raises(ContestantError, match="broken: the process must live until it is told to end, got exit code 1"):
        measure(POOL, [Contestant("broken", "nobody's")], QUICK, print)


def test_timings_are_counted_for_the_rivals_that_take_part():
    assert timings(POOL, [], QUICK) == 4 and timings(POOL, RIVALS["torch"], QUICK) == 2 * 3 * 6
    assert timings(POOL, RIVALS["onnxruntime"], QUICK) == 4


def test_expected_time_grows_with_rivals_and_with_translation():
    eager, settings = [Contestant("one", "torch")], Settings()
    times = [expected_s(choose(None), rivals, settings) for rivals in ([], eager, eager * 2, [*eager, replace(eager[0], compiled=True)])]
    assert times == sorted(times) and len(set(times)) == 4
    assert expected_s(choose(None), eager, QUICK) < times[1]

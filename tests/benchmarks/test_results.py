"""The numbers that follow from the times."""

import pytest

from benchmarks.results import Pair
from tests.benchmarks.fakes import PAIRS, finished


def test_ratio_is_taken_pair_by_pair_against_the_fastest():
    result = finished()
    assert result.fastest().rival == "quick"
    assert result.fastest().ratio() == (2.0, 1.5)  # of 1, 2 and 3
    assert result.tinyalex_s() == 2.0
    assert finished([Pair(None, [10.0], [1.0])]).fastest() is None


def test_the_fastest_is_found_by_ratio_and_not_by_times_of_different_minutes():
    slow_minute = Pair("rival of a slow minute", [1.0], [10.0], [15.0])
    fast_minute = Pair("rival of a fast minute", [1.0], [5.0], [10.0])
    assert finished([slow_minute, fast_minute]).fastest() is slow_minute


def test_rates_and_shares_of_what_the_machine_can_do():
    result = finished()
    assert result.sgemm_rate() == 100.0 and result.share() == 0.5  # 100 / 2 of 1000 / 10
    assert result.rival_share(PAIRS[0]) == pytest.approx(0.125)
    assert result.copy_rate() == 15e9
    assert finished(copy_s=[]).copy_rate() is None and finished(flops=None).share() is None


def test_summary_has_what_a_reader_looks_for():
    summary = finished().summary()
    assert summary["tinyalex_epoch_s"] == 391 * 2.0 and summary["tinyalex_images_per_s"] == 5
    assert (summary["fastest_rival"], summary["rival_s"], summary["ratio"], summary["worse_quartile"]) == ("quick", 6.0, 2.0, 1.5)
    assert "ratio" not in finished([Pair(None, [10.0], [1.0])], images=None, epoch_calls=None).summary()

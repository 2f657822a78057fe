"""Time and memory against batch, image size and width."""

import pytest

from benchmarks.contestants import ContestantError
from benchmarks.scaling import CURVES, QUICK as QUICK_CURVES, Curve, curves, expected_scaling_s, measure_curve, summary
from benchmarks.scaling_job import scaling_job
from tests.benchmarks.fakes import QUICK, curve


def test_a_point_is_a_batch_and_options_of_the_net():
    assert CURVES[0].point(512.0) == (512, {})
    assert Curve("s", "alexnet", "image size", (67,), 4, {"width": 0.5}).point(67) == (4, {"width": 0.5, "input_size": 67})
    assert Curve("w", "alexnet", "width", (0.5,), 4).point(0.5) == (4, {"width": 0.5})


def test_batches_double_to_512_and_to_128_for_alexnet():
    largest = {each.net: each.values[-1] for each in CURVES if each.quantity == "batch"}
    assert largest == {"figure1": 512, "cifar-alexnet": 512, "alexnet": 128}
    assert {each.quantity for each in CURVES} == {"batch", "image size", "width"} == {each.quantity for each in QUICK_CURVES}


@pytest.mark.parametrize("each", QUICK_CURVES, ids=lambda each: each.name)
def test_every_kind_of_point_is_a_step_that_runs(each):
    batch, options = each.point(each.values[0])
    assert scaling_job(each.net, batch, options, threads=1).work() > 0


def test_a_curve_is_measured_point_by_point_in_processes_of_their_own():
    ticks = []
    measured, about = measure_curve(Curve("b", "figure1", "batch", (1, 2)), QUICK, ticks.append)
    assert "numpy" in about
    assert ticks == [1, 1] and [len(times) for times in measured.times_s] == [2, 2]
    assert min(measured.step_s) > 0 and len(measured.peak_rss) == 2 and measured.title == "figure1"


def test_a_point_without_a_net_is_named():
    with pytest.raises(ContestantError, match="NAME must be one of"):
        measure_curve(Curve("b", "alexnot", "batch", (1,)), QUICK, print)


def test_overhead_is_what_is_left_at_batch_0():
    assert curve().overhead() == pytest.approx((2.0, 0.5))
    assert curve(quantity="width").overhead() is None
    assert summary([curve(), curve(quantity="width")]).splitlines() == [
        "figure1 by batch, 1: 2500.0 ms; 4: 4000.0 ms; 2000.00 ms a step and 500.000 ms an image",
        "figure1 by width, 1: 2500.0 ms; 4: 4000.0 ms",
    ]


def test_expected_time_is_short_for_tiny_inputs():
    assert expected_scaling_s(curves(True), QUICK) < 60 < expected_scaling_s(curves(False), QUICK)

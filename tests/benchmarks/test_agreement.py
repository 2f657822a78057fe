"""Answers of another kind than the rival's."""

import numpy as np
import pytest

from benchmarks.agreement import DisagreementError, worst_error
from benchmarks.table import WORKLOADS

RIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        ({}, "must hold what liar's does, out, got nothing"),
        ({"out": RIGHT[:1]}, r"must be float32 \(2, .* got float32 \(1, "),
        ({"out": RIGHT.astype(np.float64)}, "must be float32 .* got float64"),
        ({"out": np.full_like(RIGHT, np.nan)}, "must be finite in out, got others"),
        ({"out": 1.1 * RIGHT}, "must be within 0.0001 of liar's in out, relative to its largest value 5, got a difference of 0.5"),
    ],
    ids=["missing", "shape", "dtype", "nan", "value"],
)
def test_an_answer_of_another_kind_is_refused(ours, message):
    with pytest.raises(DisagreementError, match=message):
        worst_error(WORKLOADS["conv-forward"], ours, {"out": RIGHT}, "liar")


def test_the_difference_is_relative_to_the_largest_value():
    assert worst_error(WORKLOADS["conv-forward"], {"out": RIGHT + np.float32(1e-4)}, {"out": RIGHT}, "rival") == pytest.approx(
        2e-5, rel=0.1
    )

"""The speed of the simulated card is measured on kernels that run."""

from __future__ import annotations

import pytest

from benchmarks.interpreter import table
from tinyalex import sim


@pytest.mark.skipif(sim.why_no_nvrtc() is not None, reason=str(sim.why_no_nvrtc()))
def test_the_table():
    lines = table(product=20, images=1).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["product of 20 x 20", "LRN of 1 x 96 x 27 x 27"]
    assert all(float(number) > 0 for line in lines[1:] for number in line.split()[-2:])

"""The table."""

from benchmarks.report import table
from tests.benchmarks.fakes import finished


def test_table_marks_the_fastest_and_says_who_does_not_work():
    text = table([finished(absent={"torch.compile": "InvalidCxxCompiler: no | compiler"})])
    assert "| figure1-epoch | tinyalex | 2000.0 | 5 |  |  | 0.50 | 2.00 GB |" in text
    assert "|  | quick (fastest) | 6000.0 | 2 | 2.00 | 1.50 | 0.17 | 2.00 GB |" in text and "slow (fastest)" not in text
    assert "|  | torch.compile: does not work here: InvalidCxxCompiler: no / compiler |" in text
    assert "| sgemm meanwhile: 0 GFLOP/s, copy 15 GB/s |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_table_bears_what_a_system_does_not_tell():
    result = finished(images=None, flops=None, copy_s=[])
    result.about["tinyalex"]["peak_rss"] = None
    assert "| figure1-epoch | tinyalex | 2000.0 |  |  |  |  |  |" in table([result])

"""The table of the two algorithms' times."""

import re

from benchmarks import algorithms


def test_table(monkeypatch, capsys):
    monkeypatch.setattr(algorithms, "SHAPES", {"small": (8, 4, 6, 3, {"padding": 1, "groups": 2})})
    monkeypatch.setattr(algorithms, "BATCHES", (1, 2))
    monkeypatch.setattr(algorithms, "REPEATS", 1)
    algorithms.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["1", "2"]
    assert all(re.fullmatch(r"\| small \| \d( \| \d+\.\d+){6} \|", line) for line in lines[2:])

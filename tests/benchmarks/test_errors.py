"""The table of float32's errors."""

from benchmarks import errors


def test_winograd_stays_below_its_bound_and_im2col_below_winograd(monkeypatch):
    monkeypatch.setattr(errors, "SHAPES", {"small": (8, 16, 24, 5, 12, 2)})
    (_, _, direct), (_, algorithm, winograd) = errors.rows()
    assert algorithm == "winograd" and max(winograd) < 1e-4
    assert max(direct) < max(winograd)


def test_table(monkeypatch, capsys):
    monkeypatch.setattr(errors, "SHAPES", {"small": (2, 4, 4, 3, 6, 1)})
    errors.main()
    out = capsys.readouterr().out
    assert "| layer | algorithm | output | dx | dweight | dbias |" in out and "| small | winograd |" in out

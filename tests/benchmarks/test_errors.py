"""The table of float32's errors."""

from benchmarks import errors


def test_winograd_stays_below_its_bound_and_im2col_below_winograd(monkeypatch):
    monkeypatch.setitem(errors.SHAPES, "small", (12, 16, 24, 5, {"padding": 2, "groups": 2}))
    monkeypatch.setattr(errors, "IMAGES", {"small": 8})
    (_, _, direct), (_, algorithm, winograd) = errors.rows()
    assert algorithm == "winograd" and max(winograd) < 1e-4
    assert max(direct) < max(winograd)


def test_table(monkeypatch, capsys):
    monkeypatch.setitem(errors.SHAPES, "small", (6, 4, 4, 3, {"padding": 1}))
    monkeypatch.setattr(errors, "IMAGES", {"small": 2})
    errors.main()
    out = capsys.readouterr().out
    assert "| layer | algorithm | output | dx | dweight | dbias |" in out and "| small | winograd |" in out

"""Exercises turned round: what fools the weak check, and what a mended one must refuse."""

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex import tutor
from tinyalex.errors import ShapeError
from tinyalex.tutor import turned
from tinyalex.tutor.turned import TURNED, slope

KNOWN = len(TURNED["B1"].parts()[1].mistakes)
FOOLED = {"B1": "overwrites the winner", "B2": "slope alone", "B3": "cross term missing"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(turned, "_fooled", {})
    monkeypatch.delenv("TINYALEX_LANG", raising=False)


@pytest.mark.parametrize("name", TURNED)
def test_known_mistake_fools_the_weak_check(name, capsys):
    _, function = TURNED[name].parts()
    mistakes = {mistake.key: mistake.compute for mistake in function.mistakes}
    assert TURNED[name].check(function.right)
    assert tutor.fool(name, mistakes[FOOLED[name]])
    assert capsys.readouterr().out.startswith(f"The weak check {name} lets your wrong function through")
    assert not tutor.fool(name, function.right) and not tutor.fool(name, lambda *arguments: None)
    assert not tutor.mend(name, TURNED[name].check)
    assert f"wrong versions of {function.name} through" in capsys.readouterr().out


def test_check_that_is_mended(capsys):
    def better(backward):
        rng = np.random.default_rng(1)
        for shape, kernel, stride in (((2, 3, 7, 9), 3, 2), ((1, 2, 8, 5), 2, 3)):
            x = rng.permutation(np.arange(np.prod(shape, dtype=float))).reshape(shape)
            dout = rng.standard_normal(turned._pooled(x, kernel, stride).shape)
            expected = slope(lambda x, k=kernel, s=stride: turned._pooled(x, k, s), x, dout)
            if not np.allclose(backward(dout, x, kernel, stride), expected, atol=1e-5):
                return False
        return True

    assert tutor.mend("B1", better)
    assert capsys.readouterr().out == f"Your check accepts the right answer and refuses all of {KNOWN} wrong ones.\n"
    assert not tutor.mend("B1", lambda backward: False) and not tutor.mend("B1", lambda backward: "yes")
    assert not tutor.mend("B1", lambda backward: True)


def test_weak_check_can_be_read(capsys):
    tutor.weak("B1")
    assert "def equal_sizes(max_pool_backward" in capsys.readouterr().out
    with refuses(ShapeError, "tutor: exercise turned round must be B1, B2 or B3, got 'B9'"):
        tutor.weak("B9")
    with refuses(ShapeError, "mend: check must be a function of a backward pass, got 3"):
        tutor.mend("B1", 3)

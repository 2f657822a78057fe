"""Arrays that lie in memory in other ways: a wrong answer there is told as such, and `replay` makes that very call."""

import numpy as np
import pytest

from tests.contract import refuses
from tinyalex import tutor
from tinyalex.errors import ShapeError
from tinyalex.tutor import session
from tinyalex.tutor.arrays import LAYOUTS
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("_checked", "_failed", "_hinted"):
        monkeypatch.setattr(session, name, {})


def measured(f, moved, flat, dx, h):
    """The slope along each element of `flat`, which may be a view of `moved` or a copy."""
    for i in range(flat.size):
        old = flat[i]
        flat[i] = old + h
        above = f(moved)
        flat[i] = old - h
        dx[i] = (above - f(moved)) / (2 * h)
        flat[i] = old


def of_ravel(f, x, h):
    x, dx = np.asarray(x, float), np.zeros(x.size)
    measured(f, x, x.ravel(), dx, h)
    return dx.reshape(x.shape)


def of_reshape(f, x, h):
    moved, dx = x.astype(float), np.zeros(x.size)
    measured(f, moved, moved.reshape(-1), dx, h)
    return dx.reshape(x.shape)


def in_memory_order(f, x, h):
    moved, dx = np.array(x, float), np.zeros(x.shape)
    measured(f, moved, moved.ravel(order="K"), dx.reshape(-1), h)
    return dx


@pytest.mark.parametrize("student", [of_ravel, of_reshape, in_memory_order])
def test_a_flat_view_that_may_be_a_copy_is_found(student):
    finding = examine(EXERCISES["E01"], EXERCISES["E01"].functions[0], student)
    assert finding.key == "contract.layout" and "`reshape(-1)` and `ravel`" in finding.text()
    for language in LANGUAGES:
        assert "{" not in finding.text(language) and finding.text(language).count("\n") < 6


@pytest.mark.parametrize("student", [of_ravel, of_reshape, in_memory_order])
def test_replay_lays_the_arrays_as_the_message_says(student):
    report = tutor.check("E01", student)
    assert "replay(" in report.text
    again = tutor.replay(f"E01-{report.finding.probe}", layout=report.finding.layout)
    assert not np.allclose(again.yours, again.right)
    assert not report.finding.layout or f'layout="{report.finding.layout}"' in report.text
    with refuses(ShapeError, "replay: layout must be Fortran order, "):
        tutor.replay(f"E01-{report.finding.probe}", layout="sideways")


def test_layouts_hold_the_same_numbers_and_differ_in_memory():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert all(np.array_equal(layout(x), x) for layout in LAYOUTS.values())
    assert len({layout(x).strides for layout in LAYOUTS.values()} | {x.strides}) == 1 + len(LAYOUTS)


def test_a_wrong_answer_of_plain_arrays_too_is_no_matter_of_layout():
    def student(f, x, h):
        return 2 * EXERCISES["E01"].functions[0].right(f, x, h)

    assert examine(EXERCISES["E01"], EXERCISES["E01"].functions[0], student).key == "E01.over_h"


@pytest.mark.parametrize(("key", "name", "student"), [
    ("E02", "relu_backward", lambda dout, x: dout * np.maximum(x, 0) / x),
    ("E10", "dropout", lambda x, p, rng, train: (x * np.ones(x.shape), np.ones(x.shape, bool))),
])  # fmt: skip
def test_where_no_call_is_named_none_is_offered_again(key, name, student):
    finding = examine(EXERCISES[key], EXERCISES[key].function(name), student)
    assert finding.probe == "" and "replay" not in finding.text() and "replay" not in finding.text("zh")
    assert f'hint("{key}")' in finding.text()

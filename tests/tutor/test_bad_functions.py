"""What is not a right kind of function or answer gets a sentence that names the call, whatever the exercise."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercise import Exercise, Function, Probe
from tinyalex.tutor.guard import time_limit_of_calls


def loss_and_gradient(x, scale):
    return float((x**2).sum() * scale), 2 * x * scale


def loss_of(x, scale):
    return loss_and_gradient(x, scale)[0]


def probes(rng, sizes):
    return [Probe("plain", "three columns", {"x": rng.standard_normal((2, 3)), "scale": 0.5})]


FUNCTION = Function("loss_and_gradient", loss_and_gradient, ("loss", "dx"), probes)
EXERCISE = Exercise("E06", "a test's own", "04", 1, (FUNCTION,))
STATE = {"calls": 0}


def stops(x, scale):
    return x[7]


def stops_without_words(x, scale):
    class NoWords(Exception):  # noqa: N818
        def __str__(self):
            raise ValueError

    raise NoWords


def recurses(x, scale):
    return recurses(x, scale)


def leaves(x, scale):
    sys.exit("done")


def prints_without_end(x, scale):
    while True:
        print(x)


def swallows(x, scale):
    while True:
        try:
            x @ x.T
        except:  # noqa: E722
            continue


def nothing(x, scale):
    loss_and_gradient(x, scale)


def changes_the_input(x, scale):
    x *= 2
    return loss_and_gradient(x / 2, scale)


def counts_its_calls(x, scale):
    STATE["calls"] += 1
    return loss_and_gradient(x, scale)[0] * 1.0, 2 * x * scale + (STATE["calls"] > 1)


BAD = {
    "no function": (3.5, "not_callable", "got 3.5"),
    "another signature": (lambda x: x, "signature", "Yours takes (x)"),
    "raises": (stops, "out_of_bounds", "IndexError: index 7 is out of bounds"),
    "raises without words": (stops_without_words, "raises", "NoWords"),
    "recursion": (recurses, "recursion", "calls itself without an end, at line "),
    "sys.exit": (leaves, "exits", "(SystemExit: done)"),
    "prints without end": (prints_without_end, "endless", "did not come to an end within 0.2 seconds; it was stopped at line "),
    "swallows every exception": (swallows, "endless", "did not come to an end within 0.2 seconds; it was stopped at line "),
    "None": (nothing, "returns_None", "returned None"),
    "one value for two": (lambda x, scale: x, "number_of_outputs", "that your function returned is 1."),
    "a list": (lambda x, scale: (loss_of(x, scale), [[1, 2, 3]] * 2), "no_array", "your dx is a list"),
    "a ragged list for a number": (lambda x, scale: ([[1], [1, 2]], x * 1), "uneven", "your loss is a list whose entries have"),
    "a text for a number": (lambda x, scale: ("1", x * 1), "dtype", "your loss is of <U1"),
    "another shape": (lambda x, scale: (loss_of(x, scale), np.ones((3, 3))), "shape", "has the shape (3, 3)"),
    "a wrong dtype": (lambda x, scale: (loss_of(x, scale), np.ones((2, 3), complex)), "dtype", "is of complex128"),
    "integers": (lambda x, scale: (loss_of(x, scale), np.arange(6).reshape(2, 3)), "dtype", "is of int64"),
    "objects": (lambda x, scale: (loss_of(x, scale), x.astype(object)), "dtype", "is of object"),
    "NaN": (lambda x, scale: (loss_of(x, scale), x * np.nan), "not_finite", "6 of the 6 elements of your dx"),
    "an alias": (lambda x, scale: (loss_of(x, scale), x), "alias", "shares its memory with the argument `x`"),
    "changes its input": (changes_the_input, "input_changed", "changed its argument `x`"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_function_gets_a_sentence_that_names_the_call(what):
    student, key, text = BAD[what]
    with time_limit_of_calls(0.2):
        finding = examine(EXERCISE, FUNCTION, student)
    assert finding.key == f"contract.{key}" and finding.layer == "contract"
    message = finding.text()
    assert text in message and message.count("\n") < 6 and "!" not in message
    assert "three columns" in message or key in ("not_callable", "signature")


def test_right_function_and_numbers_of_other_types_pass():
    assert examine(EXERCISE, FUNCTION, loss_and_gradient) is None
    assert examine(EXERCISE, FUNCTION, lambda x, scale: (np.float64(loss_and_gradient(x, scale)[0]), 2 * x * scale)) is None
    assert examine(EXERCISE, FUNCTION, lambda x, scale: (np.array(loss_and_gradient(x, scale)[0]), 2 * x * scale)) is None


def test_memory_of_the_last_call_is_seen():
    STATE["calls"] = 0
    finding = examine(EXERCISE, FUNCTION, counts_its_calls)
    assert finding.key == "contract.another_answer_the_second_time"

"""What students really hand in for exercise 13: arrays changed in place, steps of a graph, two mistakes at once, sums that say nothing."""

import importlib

import numpy as np
import pytest

from tests.tutor.styles.e13 import staged
from tinyalex.layers import BatchNorm2d
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercise import SIZE_SETS
from tinyalex.tutor.exercises import EXERCISES

EXERCISE = EXERCISES["E13"]
FUNCTION = EXERCISE.function("batch_norm_backward")


def found(student, seed=0, sizes=0):
    return examine(EXERCISE, FUNCTION, student, seed, sizes)


def pieces(dout, x, mean, s, weight):
    """y, dweight, dbias, m, and s weight as (C, 1, 1)."""
    y = (x - mean[:, None, None]) * s[:, None, None]
    return y, (dout * y).sum((0, 2, 3)), dout.sum((0, 2, 3)), x.size // x.shape[1], (s * weight)[:, None, None]


def overwrites_dout(dout, x, mean, s, weight):
    dout *= weight[:, None, None]
    return FUNCTION.right(dout, x, mean, s, np.ones_like(weight))


def overwrites_x(dout, x, mean, s, weight):
    x -= mean[:, None, None]
    return FUNCTION.right(dout, x, 0 * mean, s, weight)


def one_output(dout, x, mean, s, weight):
    return FUNCTION.right(dout, x, mean, s, weight)[0]


def sums_exchanged(dout, x, mean, s, weight):
    dx, dweight, dbias = FUNCTION.right(dout, x, mean, s, weight)
    return dx, dbias, dweight


def beside_the_last_axis(dout, x, mean, s, weight):
    y = (x - mean) * s
    return y, (dout * y).sum((0, 2, 3)), dout.sum((0, 2, 3))


def y_by_the_root(dout, x, mean, s, weight):
    return FUNCTION.right(dout, x, mean, 1 / s, weight * s**2)


def steps(*, square=2.0, power=3, center=True, divided=True):
    """The gradient one node after the other, with a slip in one of them."""

    def student(dout, x, mean, s, weight):
        _, dweight, dbias, m, _ = pieces(dout, x, mean, s, weight)
        d, dy = x - mean[:, None, None], dout * weight[:, None, None]
        dvar = (-0.5 * (dy * d).sum((0, 2, 3)) * s**power)[:, None, None]
        dmean = -(dy * s[:, None, None]).sum((0, 2, 3), keepdims=True)
        term = dvar * square * (d if center else x)
        return dy * s[:, None, None] + (term / m if divided else term) + dmean / m, dweight, dbias

    return student


def through_x(dout, x, mean, s, weight):
    """x for x - mean on the way through the mean into the variance."""
    y, dweight, dbias, m, factor = pieces(dout, x, mean, s, weight)
    return factor * (dout - (dbias - s * mean * dweight)[:, None, None] / m - y * dweight[:, None, None] / m), dweight, dbias


def weight_and_n(dout, x, mean, s, weight):
    y, dweight, dbias, _, _ = pieces(dout, x, mean, s, weight)
    return s[:, None, None] * (dout - (dbias[:, None, None] + y * dweight[:, None, None]) / len(x)), dweight, dbias


@pytest.mark.parametrize(
    ("student", "key"),
    [
        (overwrites_dout, "contract.input_changed"), (overwrites_x, "contract.input_changed"),
        (one_output, "contract.number_of_outputs"), (sums_exchanged, "contract.order"), (beside_the_last_axis, "contract.does_not_fit"),
        (y_by_the_root, "E13.s_for_the_root"), (steps(square=1.0), "E13.variance_path_halved"), (steps(power=2), "E13.d_for_y"),
        (steps(power=1), "E13.old_power"), (steps(center=False), "E13.x_for_y"), (steps(divided=False), "E13.not_divided"),
        (through_x, "E13.fourth_path"), (weight_and_n, "E13.divided_by_N"),
    ],
)  # fmt: skip
def test_what_students_hand_in_is_told(student, key):
    for sizes in range(SIZE_SETS):
        finding = found(student, sizes, sizes)
        assert finding is not None and finding.key == key, finding and finding.text()


def test_steps_without_a_slip_are_right():
    assert found(steps()) is None and found(staged) is None


def test_a_sum_that_is_always_0_is_no_symptom():
    """The gradients of a channel add to 0, also those of a wrong formula, so "the right sum at other places" would say nothing."""

    def student(dout, x, mean, s, weight):
        y, dweight, dbias, m, factor = pieces(dout, x, mean, s, weight)
        return factor * (dout - dbias[:, None, None] / m - y * (0.3 * dweight)[:, None, None] / m), dweight, dbias

    assert abs(float(student(*FUNCTION.probes(np.random.default_rng(0), 0)[0].arguments.values())[0].sum())) < 1e-12
    assert found(student).key != "symptom.sum_kept"


def test_calls_are_those_of_the_layer():
    """mean and s are what the engine's layer keeps, and the right answer is its gradient."""
    for probe in FUNCTION.probes(np.random.default_rng(3), 2):
        dout, x, mean, s, weight = probe.arguments.values()
        eps = importlib.import_module("tinyalex.tutor.exercises.e13_backward").EPS[probe.key]
        layer = BatchNorm2d(x.shape[1], eps=eps, dtype=np.float64)
        layer.params["weight"][...] = weight
        layer.forward(x, train=True)
        dx = layer.backward(dout)
        for one, other in zip(FUNCTION.right(dout, x, mean, s, weight), (dx, layer.grads["weight"], layer.grads["bias"]), strict=True):
            assert np.abs(one - other).max() < 1e-11

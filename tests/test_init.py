"""Initial values."""

import math

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng
from tinyalex.init import zeros

SHAPE = (100, 20, 5, 5)


def test_gaussian_has_mean_0_and_the_paper_s_deviation():
    drawn = ta.Gaussian()(SHAPE, rng())
    error = 0.01 / math.sqrt(drawn.size)  # of a mean of so many values
    assert drawn.shape == SHAPE and drawn.dtype == np.float32
    assert abs(drawn.mean()) < 4 * error
    assert abs(drawn.std() - 0.01) < 4 * error


def test_gaussian_of_deviation_0_is_0():
    assert not ta.Gaussian(0)(SHAPE, rng()).any()


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5])
def test_constant_fills_and_draws_nothing(value):
    generator = rng()
    assert np.array_equal(ta.Constant(value)((3, 4), generator), np.full((3, 4), value, np.float32))
    assert generator.random() == rng().random()


def test_zeros_are_0_and_so_is_a_constant_that_is_given_no_value():
    assert not zeros((5,), rng()).any() and not ta.Constant()((5,), rng()).any()


@pytest.mark.parametrize(
    ("shape", "fan_in"),
    [((200, 400), 400), ((50, 20, 5, 3), 300), ((4, 5, 50, 20, 5, 3), 300)],
    ids=["linear", "conv", "unshared"],
)
def test_fan_in_counts_the_inputs_of_one_output(shape, fan_in):
    drawn = ta.FanIn(math.sqrt(2))(shape, rng())
    expected = math.sqrt(2 / fan_in)
    assert drawn.dtype == np.float32
    assert abs(drawn.std() / expected - 1) < 4 / math.sqrt(2 * drawn.size)


def test_fan_in_keeps_the_variance_of_a_sum():
    layer = ta.Linear(500, 400, rng=rng(), weight_init=ta.FanIn(), dtype=np.float64)
    out = layer.forward(rng(1).standard_normal((50, 500)))
    assert abs(out.var() - 1) < 0.1


@pytest.mark.parametrize("init", [ta.Gaussian(0.5), ta.FanIn(), ta.Constant(1)])
def test_same_generator_gives_same_values(init):
    assert np.array_equal(init((4, 3), rng(5)), init((4, 3), rng(5)))


@pytest.mark.parametrize("init", [ta.Gaussian(0.5), ta.FanIn()])
def test_next_draw_differs(init):
    generator = rng()
    assert not np.array_equal(init((4, 3), generator), init((4, 3), generator))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ta.Gaussian(-0.1), "Gaussian: std must be a number of at least 0, got -0.1"),
        (lambda: ta.Gaussian(math.inf), "Gaussian: std must be a number of at least 0, got inf"),
        (lambda: ta.Gaussian("0.1"), "Gaussian: std must be a number of at least 0, got '0.1'"),
        (lambda: ta.Constant(math.nan), "Constant: value must be a finite number, got nan"),
        (lambda: ta.Gaussian(10**400), "Gaussian: std must be a number of at least 0, got an integer of 1329 bits"),
        (lambda: ta.FanIn(0), "FanIn: gain must be a number above 0, got 0"),
        (lambda: ta.FanIn(math.inf), "FanIn: gain must be a number above 0, got inf"),
    ],
)
def test_bad_settings_raise(make, text):
    with refuses(ta.ShapeError, text):
        make()

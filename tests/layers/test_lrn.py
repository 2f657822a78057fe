"""Local response normalization."""

import math

import numpy as np
import pytest

import tinyalex as ta
from tests import reference
from tests.contract import refuses, values
from tests.places import every_place, on
from tinyalex.devices import NEW_ARRAYS
from tinyalex.layers.lrn import lrn_scale, power, window_sum


def close(a, b):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


@every_place
def test_paper_s_constants_by_hand(place):
    x = np.array([1.0, 2, 3, 4, 5, 6]).reshape(1, 6, 1, 1) * 100
    scale = 2 + 1e-4 * 1e4 * np.array([1 + 4 + 9, 1 + 4 + 9 + 16, 55, 4 + 9 + 16 + 25 + 36, 9 + 16 + 25 + 36, 16 + 25 + 36])
    out = on(place, ta.LocalResponseNorm, dtype=np.float64).forward(x)
    assert out.ravel().tolist() == pytest.approx((x.ravel() / scale**0.75).tolist(), rel=1e-14)


SETTINGS = [
    {},
    {"alpha": 1.0},
    {"n": 4, "alpha": 1.0},
    {"n": 1, "alpha": 2.0, "k": 0.5},
    {"n": 2, "alpha": 1.0, "beta": 0.5},
    {"n": 20, "alpha": 1.0, "beta": -1.0},
    {"n": 3, "alpha": 1.0, "groups": 2},
    {"n": 4, "alpha": 1.0, "groups": 3, "alpha_over_n": True, "k": 1.0},
    {"n": 5, "alpha": 0.0, "beta": 2.0},
]


@every_place
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_forward_agrees_with_loops(settings, place):
    x = values((2, 6, 2, 3)) * 3
    close(on(place, ta.LocalResponseNorm, **settings, dtype=np.float64).forward(x), reference.local_response_norm(x, **settings))


@every_place
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_backward_agrees_with_the_derivative_of_the_loops(settings, place):
    """Complex steps would be exact, but the loops know real numbers; the scale of the differences' error is 1e-9."""
    layer, x, dout = on(place, ta.LocalResponseNorm, **settings, dtype=np.float64), values((1, 6, 1, 2)), values((1, 6, 1, 2), 2)
    layer.forward(x, train=True)
    expected = reference.numerical_gradient(lambda: reference.local_response_norm(x, **settings), x, dout)
    assert np.abs(layer.backward(dout) - expected).max() < 1e-8 * np.abs(expected).max()


@every_place
def test_window_stops_at_a_group_s_edge(place):
    layer, x = on(place, ta.LocalResponseNorm, 5, alpha=1.0, groups=2, dtype=np.float64), values((2, 8, 3, 3))
    alone = on(place, ta.LocalResponseNorm, 5, alpha=1.0, dtype=np.float64)
    close(layer.forward(x), np.concatenate([alone.forward(x[:, :4]), alone.forward(x[:, 4:])], axis=1))


def test_even_n_looks_one_further_down():
    x = np.zeros((1, 6, 1, 1))
    x[0, 2] = 1
    seen = lrn_scale(x, 1.0, 1.0, ta.LocalResponseNorm(4).window, np.empty(x.shape)).ravel()
    assert seen.tolist() == [1, 2, 2, 2, 2, 1]  # channel 2 is seen by 1 (one up) to 4 (two down)


@every_place
def test_alpha_over_n_is_alpha_divided(place):
    x = values((2, 6, 2, 2))
    divided = on(place, ta.LocalResponseNorm, alpha=1.0, alpha_over_n=True, dtype=np.float64)
    plain = on(place, ta.LocalResponseNorm, alpha=0.2, dtype=np.float64)
    close(divided.forward(x), plain.forward(x))


def test_window_wider_than_the_channels_sums_all():
    a = values((2, 3, 2, 2))
    total = window_sum(a, 7, 7, 1, np.empty(a.shape))
    close(total, np.broadcast_to(a.sum(axis=1, keepdims=True), a.shape))


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, -0.3])
def test_power(beta):
    scale = np.array([1e-12, 0.5, 2, 1e12])
    assert power(scale, beta, NEW_ARRAYS).tolist() == pytest.approx((scale**beta).tolist(), rel=1e-14)


def test_cache_is_x_and_scale():
    layer, x = ta.LocalResponseNorm(dtype=np.float64), values((2, 6, 2, 2))
    layer.forward(x, train=True)
    _, cached, scale = layer._cache
    assert cached is x and scale.shape == x.shape


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"n": 0}, "norm: n must be an integer of at least 1, got 0"),
        ({"n": 2.5}, "norm: n must be an integer of at least 1, got 2.5"),
        ({"groups": 0}, "norm: groups must be an integer of at least 1, got 0"),
        ({"k": -1}, "norm: k must be a finite number above 0, got -1"),
        ({"alpha": -1e-4}, "norm: alpha must be a finite number of at least 0, got -0.0001"),
        ({"alpha": math.inf}, "norm: alpha must be a finite number of at least 0, got inf"),
        ({"beta": math.nan}, "norm: beta must be a finite number, got nan"),
        ({"alpha_over_n": "no"}, "norm: alpha_over_n must be True or False, got 'no'"),
        ({"beta": None}, "norm: beta must be a finite number, got None"),
    ],
)
def test_bad_settings_raise(settings, text):
    with refuses(ta.ShapeError, text):
        ta.LocalResponseNorm(**settings)


@pytest.mark.parametrize(("in_shape", "got"), [((7, 2, 2), "('N', 7, 2, 2)"), ((6, 2), "('N', 6, 2)"), ((6,), "('N', 6)")])
def test_output_shape_refuses_channels_that_groups_do_not_divide(in_shape, got):
    with refuses(ta.ShapeError, f"norm: channels must be a multiple of groups=2 on axis 1 of (N, C, H, W), got {got}"):
        ta.LocalResponseNorm(groups=2).output_shape(in_shape)

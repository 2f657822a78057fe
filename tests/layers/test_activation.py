"""Activation functions."""

import math

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses
from tests.places import every_place, on

POINTS = np.array([[-3.0, -0.5, 0.0, 1e-3, 0.7, 4.0]])


def slope(layer, x):
    layer.forward(x, train=True)
    return layer.backward(np.ones_like(x))


@every_place
@pytest.mark.parametrize(
    ("make", "constants", "f"),
    [
        (ta.ReLU, (), lambda v: max(0.0, v)),
        (ta.Tanh, (), math.tanh),
        (ta.Tanh, (1.7159, 2 / 3), lambda v: 1.7159 * math.tanh(2 / 3 * v)),
        (ta.Tanh, (-2, -0.5), lambda v: 2 * math.tanh(0.5 * v)),
        (ta.AbsTanh, (), lambda v: abs(math.tanh(v))),
        (ta.AbsTanh, (-1.5, 0.5), lambda v: 1.5 * abs(math.tanh(0.5 * v))),
        (ta.Sigmoid, (), lambda v: 1 / (1 + math.exp(-v))),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value) if isinstance(value, tuple) else "",
)
def test_value_and_slope(make, constants, f, place):
    layer = on(place, make, *constants, dtype=np.float64)
    assert layer.forward(POINTS)[0].tolist() == pytest.approx([f(v) for v in POINTS[0]], rel=1e-14)
    away = POINTS[np.abs(POINTS) > 1e-2][None]  # differences need room before a kink
    expected = [(f(v + 1e-6) - f(v - 1e-6)) / 2e-6 for v in away[0]]
    assert slope(layer, away)[0].tolist() == pytest.approx(expected, abs=1e-9)


@every_place
@pytest.mark.parametrize("make", [ta.ReLU, ta.AbsTanh])
def test_slope_at_the_kink_is_0(make, place):
    assert slope(on(place, make, dtype=np.float64), np.array([[0.0, -0.0]])).tolist() == [[0, 0]]


@every_place
def test_slope_at_0_of_the_smooth_ones(place):
    zero = np.zeros((1, 1))
    assert slope(on(place, ta.Tanh, 3, 0.5, dtype=np.float64), zero) == 1.5
    assert slope(on(place, ta.Sigmoid, dtype=np.float64), zero) == 0.25


@every_place
@pytest.mark.parametrize("make", [ta.Tanh, ta.AbsTanh, ta.Sigmoid, ta.ReLU])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_saturate_without_overflow(make, dtype, place):
    x = np.array([[-1e4, 1e4, -3e38, 3e38]], dtype)
    layer = on(place, make, dtype=dtype)
    out = layer.forward(x, train=True)
    dx = layer.backward(np.ones_like(x))
    if make is ta.ReLU:
        assert out.tolist() == np.maximum(x, 0).tolist() and dx.tolist() == [[0, 1, 0, 1]]
    else:
        low = {ta.Tanh: -1, ta.AbsTanh: 1, ta.Sigmoid: 0}[make]
        assert out.tolist() == [[low, 1, low, 1]] and not dx.any()


@every_place
def test_relu_passes_nan_on(place):
    assert np.isnan(on(place, ta.ReLU, dtype=np.float64).forward(np.array([[np.nan]]))).all()


@pytest.mark.parametrize("make", [ta.ReLU, ta.Tanh, ta.Sigmoid])
def test_cache_is_the_output_alone(make):
    layer = make(dtype=np.float64)
    out = layer.forward(POINTS, train=True)
    assert layer._cache[0] == POINTS.shape and layer._cache[1] is out and len(layer._cache) == 2


def test_abstanh_caches_x_alone():
    layer = ta.AbsTanh(dtype=np.float64)
    layer.forward(POINTS, train=True)
    assert layer._cache[1] is POINTS and len(layer._cache) == 2


@pytest.mark.parametrize(("make", "who"), [(ta.Tanh, "tanh"), (ta.AbsTanh, "abstanh")])
@pytest.mark.parametrize(("setting", "value"), [("a", 0), ("b", 0.0), ("a", math.inf), ("b", math.nan), ("a", "1")])
def test_bad_settings_raise(make, who, setting, value):
    with refuses(ta.ShapeError, f"{who}: {setting} must be finite and not 0, got {value!r}"):
        make(**{setting: value})


def test_scale_too_large_for_a_float_raises():
    with refuses(ta.ShapeError, "tanh: a must be finite and not 0, got an integer of 1329 bits"):
        ta.Tanh(10**400)


@every_place
def test_sigmoid_keeps_small_values_exact(place):
    x = np.array([[-80.0, -40.0, -18.0, -10.0, 0.0, 10.0, 80.0]])
    out = ta.Sigmoid().forward(x.astype(np.float32))
    assert out == pytest.approx(1 / (1 + np.exp(-x)), rel=1e-6)


def test_subclass_of_relu_has_its_own_derivative():
    class Leaky(ta.ReLU):
        def derivative(self, out, dx, scratch):
            super().derivative(out, dx, scratch)
            dx += 0.5

    layer, x = Leaky(dtype=np.float64), np.array([[-1.0, 2.0]])
    layer.forward(x, train=True)
    assert layer.backward(np.array([[3.0, 3.0]])).tolist() == [[1.5, 4.5]]

"""Convolution."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tests.places import every_place, on


def layer(*args, **settings):
    return ta.Conv2d(*args, rng=rng(), weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), dtype=np.float64, **settings)


def close(a, b):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


@every_place
def test_one_window_by_hand(place):
    conv = on(place, layer, 1, 1, 2)
    conv.set(weight=[[[[1, 2], [3, 4]]]], bias=[100])  # not turned: a correlation
    assert conv.forward(np.array([[[[1.0, 10], [100, 1000]]]])).tolist() == [[[[4421]]]]


@pytest.mark.parametrize(
    ("args", "settings", "out"),
    [
        ((3, 96, 11), {"stride": 4}, (96, 55, 55)),
        ((3, 96, 11), {"stride": 4, "padding": (1, 2, 1, 2)}, (96, 55, 55)),
        ((3, 4, 3), {"padding": "same", "stride": 2}, (4, 114, 114)),
        ((3, 4, (3, 5)), {"padding": 1}, (4, 227, 225)),
    ],
)
def test_output_shape(args, settings, out):
    assert layer(*args, **settings).output_shape((3, 227, 227)) == out


def test_224_needs_ceil_mode_for_55_windows():
    assert layer(3, 2, 11, stride=4).output_shape((3, 224, 224)) == (2, 54, 54)
    assert layer(3, 2, 11, stride=4, ceil_mode=True).output_shape((3, 224, 224)) == (2, 55, 55)


def test_parameters_of_a_layer_with_groups():
    conv = layer(6, 4, (3, 2), groups=2)
    assert list(conv.params) == list(conv.grads) == ["weight", "bias"]
    assert conv.params["weight"].shape == (4, 3, 3, 2) and conv.params["bias"].shape == (4,)


def test_default_weights_are_the_paper_s():
    conv = ta.Conv2d(20, 50, 5, rng=rng())
    assert conv.dtype == np.float32 and not conv.params["bias"].any()
    assert abs(conv.params["weight"].std() - 0.01) < 2e-4


@every_place
def test_groups_are_convolutions_apart(place):
    whole, x = on(place, layer, 4, 6, 3, groups=2, padding=1), values((2, 4, 5, 5))
    halves = []
    for half in range(2):
        conv = on(place, layer, 2, 3, 3, padding=1)
        conv.set(**{key: value[3 * half : 3 * half + 3] for key, value in whole.params.items()})
        halves.append(conv.forward(x[:, 2 * half : 2 * half + 2]))
    close(whole.forward(x), np.concatenate(halves, axis=1))


@every_place
def test_first_layer_returns_no_input_gradient_and_the_same_others(place):
    x, results = values((2, 3, 6, 6)), []
    for input_gradient in (True, False):
        conv = on(place, layer, 3, 4, 3, input_gradient=input_gradient)
        conv.forward(x, train=True)
        dx = conv.backward(values((2, 4, 4, 4), 2))
        assert (dx is not None) == input_gradient
        results.append(conv.grads)
    for key in ("weight", "bias"):
        assert np.array_equal(results[0][key], results[1][key])


def test_cache_is_x_itself_and_no_columns():
    conv, x = layer(3, 4, 3), values((2, 3, 6, 6))
    conv.forward(x, train=True)
    arrays = [entry for entry in conv._cache if isinstance(entry, np.ndarray)]
    assert len(arrays) == 1 and arrays[0] is x


@every_place
def test_cells_that_no_window_sees_get_gradient_0(place):
    conv = on(place, layer, 1, 1, 2, stride=2)
    conv.forward(values((1, 1, 5, 5)), train=True)
    dx = conv.backward(np.ones((1, 1, 2, 2)))
    assert not dx[..., 4].any() and not dx[..., 4, :].any() and dx[..., :4, :4].all()


def test_same_generator_gives_the_same_layer():
    a, b = (ta.Conv2d(3, 4, 3, rng=rng(7)) for _ in range(2))
    assert np.array_equal(a.params["weight"], b.params["weight"])


@pytest.mark.parametrize(
    ("args", "settings", "text"),
    [
        ((0, 4, 3), {}, "conv: in_channels must be an integer of at least 1, got 0"),
        ((3, 4.0, 3), {}, "conv: out_channels must be an integer of at least 1, got 4.0"),
        ((3, 4, 0), {}, "conv: kernel_size must be an integer of at least 1, got 0"),
        ((3, 4, (1, 2, 3)), {}, "conv: kernel_size must be one integer or two (height, width), got (1, 2, 3)"),
        ((3, 4, 3), {"stride": -1}, "conv: stride must be an integer of at least 1, got -1"),
        ((3, 4, 3), {"padding": "full"}, "conv: padding must be an integer, 'same', 'valid' or four sides"),
        ((3, 4, 3), {"groups": 0}, "conv: groups must be an integer of at least 1, got 0"),
        ((3, 4, 3), {"groups": 2}, "conv: in_channels must be a multiple of groups=2, got 3"),
        ((4, 3, 3), {"groups": 2}, "conv: out_channels must be a multiple of groups=2, got 3"),
        ((4, 3, 3), {"name": "conv7", "stride": 0}, "conv7: stride must be an integer of at least 1, got 0"),
        ((4, 3, 3), {"dtype": None}, "conv: dtype must be float32 or float64, got None"),
        ((4, 3, 3), {"ceil_mode": "floor"}, "conv: ceil_mode must be True or False, got 'floor'"),
        ((4, 3, 3), {"input_gradient": "no"}, "conv: input_gradient must be True or False, got 'no'"),
        ((4, 3, 3), {"weight_init": 0.01}, "conv: weight_init must be a function (shape, rng) -> array, got 0.01; see tinyalex.init"),
        ((4, 3, 3), {"bias_init": None}, "conv: bias_init must be a function (shape, rng) -> array, got None; see tinyalex.init"),
        ((4, 3, 3), {"dtype": "float16"}, "conv: dtype must be float32 or float64, got float16"),
    ],
)
def test_bad_settings_raise(args, settings, text):
    with refuses(ta.ShapeError, text):
        ta.Conv2d(*args, rng=rng(), **settings)


def test_device_that_does_not_exist_is_refused_by_the_layer():
    with refuses(ta.DeviceError, "conv2: device must be 'cpu', 'cpu:K', 'sim:K' or 'cuda:K' with K = 0, 1, ..., got 'gpu:0'"):
        ta.Conv2d(4, 3, 3, rng=rng(), device="gpu:0", name="conv2")


def test_numpy_integers_count_as_python_s():
    conv = ta.Conv2d(np.uint8(200), np.uint8(2), np.uint8(16), rng=rng(), groups=np.uint8(2), weight_init=ta.FanIn())
    assert conv.params["weight"].shape == (2, 100, 16, 16)
    assert abs(conv.params["weight"].std() - 1 / 160) < 1e-4  # fan_in 25600 has no room in a uint8


def test_initial_value_that_is_not_finite_raises():
    with refuses(ta.ShapeError, "conv: weight must hold finite numbers only, got"):
        ta.Conv2d(1, 1, 1, rng=rng(), weight_init=lambda shape, rng: np.full(shape, np.nan))


@pytest.mark.parametrize(
    ("in_shape", "text"),
    [
        ((3, 5), "conv: x must have 4 channels on axis 1 of (N, C, H, W), got ('N', 3, 5)"),
        ((3, 5, 5), "conv: x must have 4 channels on axis 1 of (N, C, H, W), got ('N', 3, 5, 5)"),
        ((4, 2, 5), "conv: input height with padding must be at least 3, the kernel's, got 2"),
    ],
)
def test_output_shape_refuses_what_forward_would(in_shape, text):
    with refuses(ta.ShapeError, text):
        layer(4, 2, 3).output_shape(in_shape)

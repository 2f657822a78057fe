import numpy as np
import pytest

from tests import reference
from tinyalex.devices import CpuDevice
from tinyalex.errors import ShapeError
from tinyalex.layers import SpatialResponseNorm
from tinyalex.layers.spatial import band_matrix

CASES = [  # n, k, alpha, beta, alpha_over_area
    (3, 1.0, 1.0, 0.75, True),
    (3, 2.0, 1e-4, 0.75, False),
    (2, 1.0, 1.0, 0.75, True),
    (4, 0.5, 0.3, 1.2, False),
    (5, 1.0, 1e-3, 0.75, True),
    (9, 1.0, 2.0, 0.5, True),  # larger than the image
    (1, 1.0, 1.0, 0.75, True),
]


def make(n, k, alpha, beta, alpha_over_area, **more):
    return SpatialResponseNorm(n, k, alpha, beta, alpha_over_area=alpha_over_area, **({"dtype": np.float64} | more))


@pytest.mark.parametrize("case", CASES)
def test_forward_equals_the_oracle(case):
    x = np.random.default_rng(0).standard_normal((2, 2, 5, 4))
    expected = reference.spatial_response_norm(x, *case[:4], alpha_over_area=case[4])
    np.testing.assert_allclose(make(*case).forward(x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_backward_equals_the_numerical_gradient(case):
    layer, rng = make(*case), np.random.default_rng(1)
    x, dout = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((2, 2, 5, 4))
    layer.forward(x, train=True)
    numeric = reference.numerical_gradient(lambda: layer.forward(x), x, dout)
    np.testing.assert_allclose(layer.backward(dout), numeric, rtol=0, atol=1e-8 * np.abs(numeric).max())


def test_window_of_even_n_reaches_further_up_and_left():
    layer, x = SpatialResponseNorm(2, alpha=4.0, beta=1.0, dtype=np.float64), np.full((1, 1, 5, 5), 1e-9)
    x[0, 0, 2, 2] = 1.0
    touched = layer.forward(x)[0, 0] / x[0, 0] < 0.6  # the window of i is i - 1, i
    assert np.argwhere(touched).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_band_matrix_sums_a_window_and_its_transpose_the_mirrored_one():
    band, a = band_matrix(5, np.array([1.0, 10.0, 100.0]), 2), np.arange(1.0, 6.0)
    assert (band @ a).tolist() == [100.0, 210.0, 321.0, 432.0, 543.0]
    assert (band.T @ a).tolist() == [123.0, 234.0, 345.0, 450.0, 500.0]


def test_window_is_cut_off_at_the_edge_but_the_divisor_is_not():
    out = SpatialResponseNorm(3, alpha=9.0, beta=1.0, dtype=np.float64).forward(np.ones((1, 1, 3, 3)))
    np.testing.assert_allclose(1 / out[0, 0], [[5, 7, 5], [7, 10, 7], [5, 7, 5]], rtol=1e-14)


def test_channels_do_not_meet():
    layer, x = make(*CASES[0]), np.random.default_rng(2).standard_normal((1, 3, 4, 4))
    np.testing.assert_array_equal(layer.forward(x)[:, 1:2], layer.forward(x[:, 1:2].copy()))


@pytest.mark.parametrize("cache", [1, 6 << 20])
def test_any_number_of_workers_gives_the_same_bits_and_float32(cache):
    x = np.random.default_rng(3).standard_normal((9, 2, 5, 4)).astype(np.float32)
    results = []
    for workers in (1, 3):
        layer = make(*CASES[0], device=CpuDevice(workers=workers, cache=cache), dtype=np.float32)
        results.append([layer.forward(x, train=True), layer.backward(x)])
        layer.device.close()
    for one, three in zip(*results, strict=True):
        assert one.dtype == np.float32
        assert one.tobytes() == three.tobytes()


def test_strided_and_fortran_inputs_agree():
    layer, x = make(*CASES[2]), np.random.default_rng(4).standard_normal((2, 2, 5, 8))[..., ::2]
    out = layer.forward(x.copy(), train=True)
    dx = layer.backward(x.copy())
    for same in (x, np.asfortranarray(x)):
        np.testing.assert_array_equal(layer.forward(same, train=True), out)
        np.testing.assert_array_equal(layer.backward(same), dx)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"n": 0}, "n must be an integer of at least 1, got 0"),
        ({"k": 0}, "k must be a finite number above 0, got 0"),
        ({"k": -1.0}, "k must be a finite number above 0, got -1.0"),
        ({"alpha_over_area": "no"}, "alpha_over_area must be True or False, got 'no'"),
        ({"alpha": float("nan")}, "alpha must be a finite number of at least 0, got nan"),
        ({"beta": "0.75"}, "beta must be a finite number, got '0.75'"),
    ],
)
def test_wrong_settings_are_named(settings, text):
    with pytest.raises(ShapeError, match=f"rnorm2: {text}"):
        SpatialResponseNorm(**settings, name="rnorm2")


def test_wrong_input_is_named():
    with pytest.raises(ShapeError, match=r"rnorm: x must have 4 axes \(N, C, H, W\)"):
        SpatialResponseNorm().forward(np.ones((2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"rnorm: x must have 4 axes \(N, C, H, W\), got \('N', 3\)"):
        SpatialResponseNorm().output_shape((3,))


def test_numpy_settings_do_not_promote():
    layer = SpatialResponseNorm(3, np.float64(1), np.float64(1), np.float64(0.6))
    assert layer.forward(np.ones((1, 1, 2, 2), np.float32)).dtype == np.float32


def test_repr_shows_the_settings():
    assert repr(SpatialResponseNorm(5, alpha=1e-3)) == "SpatialResponseNorm('rnorm', n 5, k 1, alpha 0.001/n^2, beta 0.75, cpu)"

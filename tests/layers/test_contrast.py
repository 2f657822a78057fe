import numpy as np
import pytest

from tests import reference
from tinyalex.devices import CpuDevice
from tinyalex.errors import ShapeError
from tinyalex.layers import LocalContrastNorm
from tinyalex.layers.contrast import gaussian_band

CASES = [(3, 0.8, (2, 2, 5, 4)), (5, None, (2, 1, 4, 6)), (9, 1.6, (2, 3, 5, 5)), (1, None, (2, 3, 3, 3))]  # kernel, sigma, shape


def contrast(shape, seed=0):
    """Images in which some places exceed the mean deviation clearly and others do not."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) * rng.uniform(0.2, 3.0, (shape[0], 1, *shape[2:]))


@pytest.mark.parametrize(("kernel_size", "sigma", "shape"), CASES)
def test_forward_equals_the_oracle(kernel_size, sigma, shape):
    layer, x = LocalContrastNorm(kernel_size, sigma, dtype=np.float64), contrast(shape)
    np.testing.assert_allclose(layer.forward(x), reference.local_contrast_norm(x, kernel_size, layer.sigma), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("kernel_size", "sigma", "shape"), CASES)
def test_backward_equals_the_numerical_gradient(kernel_size, sigma, shape):
    layer, x = LocalContrastNorm(kernel_size, sigma, dtype=np.float64), contrast(shape)
    dout = np.random.default_rng(1).standard_normal(shape)
    layer.forward(x, train=True)
    std = layer._cache[2]
    above = std > std.mean(axis=(1, 2), keepdims=True)
    assert above.any()
    assert not above.all()
    numeric = reference.numerical_gradient(lambda: layer.forward(x), x, dout)
    np.testing.assert_allclose(layer.backward(dout), numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())


def test_output_does_not_depend_on_the_contrast_of_the_image():
    layer, x = LocalContrastNorm(5, dtype=np.float64), contrast((2, 2, 6, 6))
    np.testing.assert_allclose(layer.forward(7.5 * x), layer.forward(x), rtol=0, atol=1e-13)


def test_brightness_is_taken_away_inside_the_image():
    layer, rng = LocalContrastNorm(3, dtype=np.float64), np.random.default_rng(2)
    x = np.full((1, 2, 9, 9), 5.0)
    x[:, :, :2] += rng.standard_normal((1, 2, 2, 9))
    assert np.abs(layer.forward(x)[:, :, 4:8, 2:-2]).max() < 1e-14


def test_image_without_contrast_gives_zeros_and_gets_no_gradient():
    layer, x = LocalContrastNorm(3, dtype=np.float64), contrast((3, 2, 4, 4))
    x[1] = 0.0
    out = layer.forward(x, train=True)
    dx = layer.backward(np.ones_like(x))
    assert not out[1].any()
    assert not dx[1].any()
    assert np.isfinite(dx).all()
    assert dx[0].any()


def test_region_without_contrast_has_a_finite_gradient():
    layer, x = LocalContrastNorm(3, dtype=np.float64), contrast((1, 2, 9, 9))
    x[:, :, :6] = 0.0
    layer.forward(x, train=True)
    assert (layer._cache[2] == 0).any()
    assert np.isfinite(layer.backward(np.ones_like(x))).all()


def test_gaussian_weights_sum_to_one_and_are_symmetric():
    band = gaussian_band(20, 9, 9 / 4)
    np.testing.assert_allclose(band[4:-4].sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(band, band.T)
    assert np.count_nonzero(band[10]) == 9
    np.testing.assert_allclose(band[10, 12] / band[10, 10], np.exp(-(2**2) / (2 * (9 / 4) ** 2)), rtol=1e-14)


@pytest.mark.parametrize("cache", [1, 6 << 20])
def test_any_number_of_workers_gives_the_same_bits_and_float32(cache):
    x, results = contrast((9, 2, 5, 4)).astype(np.float32), []
    for workers in (1, 3):
        layer = LocalContrastNorm(3, device=CpuDevice(workers=workers, cache=cache))
        results.append([layer.forward(x, train=True), layer.backward(x)])
        layer.device.close()
    for one, three in zip(*results, strict=True):
        assert one.dtype == np.float32
        assert one.tobytes() == three.tobytes()


def test_strided_and_fortran_inputs_agree():
    layer, x = LocalContrastNorm(3, dtype=np.float64), contrast((2, 2, 5, 8))[..., ::2]
    out = layer.forward(x.copy(), train=True)
    dx = layer.backward(x.copy())
    for same in (x, np.asfortranarray(x)):
        np.testing.assert_allclose(layer.forward(same, train=True), out, rtol=0, atol=1e-14)
        np.testing.assert_allclose(layer.backward(same), dx, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"kernel_size": 4}, "kernel_size must be odd, got 4; use 3 or 5"),
        ({"kernel_size": 0}, "kernel_size must be an integer of at least 1, got 0"),
        ({"sigma": 0.0}, "sigma must be a finite number above 0, got 0.0"),
    ],
)
def test_wrong_settings_are_named(settings, text):
    with pytest.raises(ShapeError, match=f"lcn1: {text}"):
        LocalContrastNorm(**settings, name="lcn1")


def test_wrong_input_is_named():
    with pytest.raises(ShapeError, match=r"lcn: x must have 4 axes \(N, C, H, W\)"):
        LocalContrastNorm().forward(np.ones((2, 3), np.float32))
    with pytest.raises(ShapeError, match=r"lcn: x must have 4 axes \(N, C, H, W\), got \('N', 3\)"):
        LocalContrastNorm().output_shape((3,))


def test_repr_shows_the_settings():
    assert repr(LocalContrastNorm(9)) == "LocalContrastNorm('lcn', kernel 9, sigma 2.25, cpu)"

import numpy as np
import pytest

from tests import reference
from tinyalex.devices import CpuDevice
from tinyalex.errors import CallOrderError, ShapeError
from tinyalex.init import Constant, Gaussian
from tinyalex.layers import Conv2d, LocallyConnected2d
from tinyalex.layers.local import strip

GEOMETRIES = [  # in_size, kernel, stride, padding, ceil_mode
    ((4, 5), (3, 2), (1, 1), 0, False),
    ((4, 4), (3, 3), (1, 1), 1, False),
    ((5, 4), (2, 3), (2, 1), (1, 0, 2, 1), False),
    ((6, 5), (3, 3), (2, 2), 0, True),
    ((3, 3), (2, 2), (1, 1), (3, 4, 0, 1), False),  # whole rows of windows see nothing but padding
    ((2, 5), (1, 1), (3, 2), 0, True),  # the last windows begin beyond the image
]


def make(in_size, kernel, stride, padding, ceil_mode, **more):
    settings = {"weight_init": Gaussian(1.0), "bias_init": Gaussian(1.0), "dtype": np.float64} | more
    return LocallyConnected2d(
        2, 3, kernel, in_size=in_size, stride=stride, padding=padding, ceil_mode=ceil_mode, rng=np.random.default_rng(0), **settings
    )


def expect(layer, x):
    padding = layer.padding
    return reference.locally_connected2d(
        x, layer.params["weight"], layer.params["bias"], stride=layer.stride, padding=padding, ceil=layer.ceil_mode
    )


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("n", [1, 17])
def test_forward_equals_the_oracle(geometry, n):
    layer, rng = make(*geometry), np.random.default_rng(1)
    x = rng.standard_normal((n, 2, *geometry[0]))
    out = layer.forward(x)
    assert out.shape == (n, *layer.output_shape(x.shape[1:]))
    np.testing.assert_allclose(out, expect(layer, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_backward_equals_the_numerical_gradient(geometry):
    layer, rng = make(*geometry), np.random.default_rng(2)
    x = rng.standard_normal((2, 2, *geometry[0]))
    dout = rng.standard_normal(layer.forward(x, train=True).shape)
    dx = layer.backward(dout)
    for grad, tensor in ((dx, x), (layer.grads["weight"], layer.params["weight"]), (layer.grads["bias"], layer.params["bias"])):
        numeric = reference.numerical_gradient(lambda: layer.forward(x), tensor, dout)
        assert np.abs(numeric).max() > 0
        np.testing.assert_allclose(grad, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())


def test_equal_weights_at_every_place_make_a_convolution():
    rng = np.random.default_rng(3)
    conv = Conv2d(2, 3, 3, padding=1, rng=rng, weight_init=Gaussian(1.0), bias_init=Gaussian(1.0), dtype=np.float64)
    local = make((5, 4), (3, 3), (1, 1), 1, False)
    local.params["weight"][...] = conv.params["weight"]
    local.params["bias"][...] = conv.params["bias"]
    x, dout = rng.standard_normal((4, 2, 5, 4)), rng.standard_normal((4, 3, 5, 4))
    np.testing.assert_allclose(local.forward(x, train=True), conv.forward(x, train=True), rtol=0, atol=1e-12)
    np.testing.assert_allclose(local.backward(dout), conv.backward(dout), rtol=0, atol=1e-12)
    np.testing.assert_allclose(local.grads["weight"].sum(axis=(0, 1)), conv.grads["weight"], rtol=0, atol=1e-12)


def test_gradients_add_over_calls():
    layer, rng = make(*GEOMETRIES[1]), np.random.default_rng(4)
    x, dout = rng.standard_normal((3, 2, 4, 4)), rng.standard_normal((3, 3, 4, 4))
    for _ in range(2):
        layer.forward(x, train=True)
        layer.backward(dout)
    once = make(*GEOMETRIES[1])
    once.forward(x, train=True)
    once.backward(dout)
    for key in ("weight", "bias"):
        np.testing.assert_allclose(layer.grads[key], 2 * once.grads[key], rtol=0, atol=1e-12)


@pytest.mark.parametrize("cache", [1, 6 << 20])
def test_any_number_of_workers_gives_the_same_bits(cache):
    rng = np.random.default_rng(5)
    x, dout = rng.standard_normal((20, 2, 4, 4)).astype(np.float32), rng.standard_normal((20, 3, 4, 4)).astype(np.float32)
    results = []
    for workers in (1, 3):
        layer = make(*GEOMETRIES[1], device=CpuDevice(workers=workers, cache=cache), dtype=np.float32)
        out = layer.forward(x, train=True)
        results.append([out, layer.backward(dout), layer.grads["weight"], layer.grads["bias"]])
        layer.device.close()
    for one, three in zip(*results, strict=True):
        assert one.dtype == np.float32
        assert one.tobytes() == three.tobytes()


def test_strided_and_fortran_inputs_agree():
    layer, x = make(*GEOMETRIES[1]), np.random.default_rng(6).standard_normal((3, 2, 4, 8))[..., ::2]
    expected = layer.forward(x.copy())
    np.testing.assert_array_equal(layer.forward(x), expected)
    np.testing.assert_array_equal(layer.forward(np.asfortranarray(x)), expected)


def test_first_layer_returns_no_input_gradient():
    layer = make(*GEOMETRIES[1], input_gradient=False)
    out = layer.forward(np.ones((2, 2, 4, 4)), train=True)
    assert layer.backward(out) is None
    assert np.abs(layer.grads["weight"]).max() > 0


def test_parameter_counts_of_the_cifar_net():
    local3 = LocallyConnected2d(64, 32, 3, in_size=6, padding=1, rng=np.random.default_rng(0))
    local4 = LocallyConnected2d(32, 32, 3, in_size=6, padding=1, rng=np.random.default_rng(0))
    assert [sum(p.size for p in layer.params.values()) for layer in (local3, local4)] == [664_704, 332_928]
    assert local3.params["weight"].shape == (6, 6, 32, 64, 3, 3)
    assert local3.params["bias"].shape == (6, 6, 32)


def test_strip_of_all_rows_sees_the_whole_image():
    layer, x = make((6, 5), (3, 3), (2, 2), 0, True), np.zeros((1, 2, 6, 5))
    part, windows = strip(x, layer.windows, slice(0, layer.windows.out[0]))
    assert part.shape == x.shape
    assert windows == layer.windows


def test_backward_needs_a_forward_of_its_own():
    layer = make(*GEOMETRIES[1])
    out = layer.forward(np.ones((1, 2, 4, 4)), train=True)
    layer.backward(out)
    with pytest.raises(CallOrderError, match="local: backward must follow"):
        layer.backward(out)


def test_wrong_input_is_named():
    layer = make(*GEOMETRIES[1])
    with pytest.raises(ShapeError, match=r"local: x must have shape \('N', 2, 4, 4\), got \('N', 2, 5, 4\)"):
        layer.forward(np.ones((1, 2, 5, 4)))
    with pytest.raises(ShapeError, match=r"got \('N', 3, 4, 4\)"):
        layer.output_shape((3, 4, 4))
    with pytest.raises(ShapeError, match=r"4 axes \(N, C, H, W\)"):
        layer.forward(np.ones((2, 32)))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"in_channels": 0}, "in_channels must be an integer of at least 1, got 0"),
        ({"out_channels": 2.0}, "out_channels must be an integer"),
        ({"in_size": (4, 4, 4)}, "in_size must be one integer or two"),
        ({"kernel_size": 7}, "input height with padding must be at least 7, the kernel's, got 4"),
        ({"stride": 0}, "stride must be an integer of at least 1"),
        ({"padding": -1}, "padding must be an integer of at least 0"),
        ({"ceil_mode": "no"}, "ceil_mode must be True or False, got 'no'"),
        ({"input_gradient": 0}, "input_gradient must be True or False, got 0"),
        ({"weight_init": 0.01}, "weight_init must be a function"),
    ],
)
def test_wrong_settings_are_named(settings, text):
    settings = {"in_channels": 2, "out_channels": 3, "kernel_size": 3, "in_size": 4} | settings
    with pytest.raises(ShapeError, match=f"local3: {text}"):
        LocallyConnected2d(**settings, rng=np.random.default_rng(0), name="local3")


def test_repr_shows_the_settings():
    layer = LocallyConnected2d(64, 32, 3, in_size=6, padding=1, rng=np.random.default_rng(0), weight_init=Constant(0.0), name="local3")
    assert repr(layer) == "LocallyConnected2d('local3', 64->32, input 6x6, kernel 3, stride 1, padding 1, cpu)"

"""The first convolution, whose output has its images innermost in memory, and the pooling of it."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.fast.layout import chwn, empty_chwn, is_chwn
from tinyalex.fast.table import choose

SETTINGS = {"stride": (2, 1), "padding": (1, 0, 2, 3), "groups": 2, "bias_init": ta.Gaussian(1), "dtype": np.float64}


def first(*args, **settings):
    return ta.Conv2d(*args, rng=rng(), input_gradient=False, name="conv1", **settings)


def gradients(layer, x, dout):
    """Output and gradients."""
    out = layer.forward(x, train=True)
    layer.backward(dout)
    return out, layer.grads["weight"], layer.grads["bias"]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("layout", ["images first", "images innermost"])
@pytest.mark.parametrize(("stride", "cache"), [((2, 1), 1 << 14), ((1, 3), 1 << 20), ((2, 2), 1 << 20)], ids=str)
def test_agrees_with_conv(workers, layout, stride, cache):
    device = ta.CpuDevice(workers=workers, small=0, cache=cache)  # the larger one holds several lines in a block
    x, settings = values((33, 4, 9, 8), 1), SETTINGS | {"stride": stride}
    lines = first(4, 6, (3, 4), algorithm="lines", device=device, **settings)
    conv = ta.Conv2d(4, 6, (3, 4), rng=rng(), algorithm="im2col", **settings)
    dout = values((33, *conv.output_shape(x.shape[1:])), 2)
    expected = gradients(conv, x, dout)
    if layout == "images innermost":
        lying = empty_chwn(device, dout.shape, dout.dtype)
        lying[...] = dout
        dout = lying
    for mine, other in zip(gradients(lines, x, dout), expected, strict=True):
        assert np.abs(mine - other).max() <= 1e-13 * np.abs(other).max()
    device.close()


@pytest.fixture
def before_a_pool(monkeypatch):
    """A first layer that pooling follows, where four images are enough to lie innermost."""
    monkeypatch.setattr("tinyalex.fast.lines.LEAST_INNERMOST", 4)
    layer = first(3, 2, 3)
    ta.Sequential([layer, ta.MaxPool2d(2)])
    return layer


def test_images_lie_innermost_where_there_are_enough_and_as_elsewhere_where_not(before_a_pool):
    layer = before_a_pool
    assert [choose(layer.asked((3, 5, 6)), n, "cpu").name == "lines" for n in (4, 3)] == [True, False]
    many, few = (layer.forward(values((n, 3, 5, 6), 1, np.float32)) for n in (4, 3))
    assert is_chwn(many) and chwn(many).strides[-1] == many.itemsize and many.shape == (4, 2, 3, 4)
    assert not is_chwn(few) and few.flags.c_contiguous


def test_images_lie_innermost_only_where_a_pool_follows():
    layer = first(3, 2, 3)
    ta.Sequential([layer, ta.ReLU(), ta.LocalResponseNorm()])
    assert choose(layer.asked((3, 5, 6)), 128, "cpu").name != "lines"


def test_a_later_layer_before_a_pool_still_gives_the_gradient_of_its_input():
    later = ta.Conv2d(3, 2, 3, name="conv5", rng=rng())
    net = ta.Sequential([first(3, 3, 3), later, ta.MaxPool2d(2), ta.ReLU()])
    assert later.before_pooling and choose(later.asked((3, 7, 8)), 64, "cpu").name != "lines"
    net.backward(np.ones_like(net.forward(values((64, 3, 9, 10), 1, np.float32), train=True)))
    assert np.any(net.grads["conv1.weight"])


def test_backward_gives_no_dx(before_a_pool):
    layer = before_a_pool
    for n in (1, 4):
        out = layer.forward(values((n, 3, 5, 6), 1, np.float32), train=True)
        assert layer.backward(np.ones_like(out)) is None and not layer.gives_dx


@pytest.mark.parametrize("n", [1, 4])
def test_backward_of_what_is_no_array_is_refused(before_a_pool, n):
    layer = before_a_pool
    layer.forward(values((n, 3, 5, 6), 1, np.float32), train=True)
    with refuses(ta.DeviceError, "conv1: dout must be on cpu, got NoneType"):
        layer.backward(None)


@pytest.mark.parametrize(
    "settings", [{"stride": 2}, {"stride": 2, "padding": 1, "ceil_mode": True}, {"stride": (1, 3), "padding": (2, 0, 1, 2)}]
)
def test_pooling_gives_the_same_bits_however_the_images_lie(settings):
    x = np.round(values((5, 4, 9, 8), 1))  # whole numbers: many ties
    lying = empty_chwn(ta.CpuDevice(workers=1), x.shape, x.dtype)
    lying[...] = x
    pools = [ta.MaxPool2d(3, dtype=np.float64, **settings) for _ in range(2)]
    outs = [pool.forward(images, train=True) for pool, images in zip(pools, (x, lying), strict=True)]
    dout = values(outs[0].shape, 2)
    dxs = [pool.backward(dout) for pool in pools]
    assert np.array_equal(*outs) and np.allclose(*dxs, rtol=1e-14, atol=0)
    assert is_chwn(dxs[1]) and not is_chwn(dxs[0])


def test_array_with_gaps_between_pixels_is_not_taken_for_images_innermost():
    x = np.zeros((3, 4, 5, 8))[..., 1:7].transpose(3, 0, 1, 2)  # six images of eight
    assert x.strides[0] == x.itemsize and not is_chwn(x)
    assert is_chwn(np.zeros((3, 4, 5, 6)).transpose(3, 0, 1, 2))


def test_lines_are_refused_where_a_gradient_of_the_input_is_asked_for():
    text = "conv1: algorithm 'lines' must have input_gradient=False, got kernel 3, stride 1, input_gradient=True; use 'auto' or 'plain'"
    with refuses(ta.ShapeError, text):
        ta.Conv2d(3, 2, 3, rng=rng(), algorithm="lines", name="conv1")

"""Layers with windows against the loops of tests/reference.py, on geometries that Hypothesis draws."""

import numpy as np
from hypothesis import given, settings
from tinyalex.layers.windows import col2im, im2col

import tinyalex as ta
from tests import reference
from tests.contract import rng, values
from tests.strategies import geometries
from tinyalex.geometry import windows_of

DEVICE = ta.CpuDevice(workers=1)
few, many = settings(max_examples=200), settings(max_examples=300)


def close(a, b, scale=None):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1e-12 * (np.abs(b).max() if scale is None else scale)


def inner(a, b):
    """<a, b>, and the size of its terms."""
    return float((a * b).sum()), float(np.abs(a * b).sum())


def agree(a, b):
    """Two inner products are equal up to rounding of their terms."""
    assert abs(a[0] - b[0]) <= 1e-13 * (a[1] + b[1])


def run(layer, x):
    """Output and gradients for random cotangents; the output has the shape that was promised."""
    out = layer.forward(x, train=True)
    assert out.shape == (len(x), *layer.output_shape(x.shape[1:]))
    dout = values(out.shape, seed=2)
    return out, dout, layer.backward(dout)


def conv_like(make, g):
    return make(
        g.channels, g.out_channels, g.kernel, weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), rng=rng(), device=DEVICE,
        dtype=np.float64, **g.settings,
    )  # fmt: skip


def check_bilinear(layer, oracle, x):
    """Forward is the oracle's; dx, dweight and dbias are its adjoints, tried in a random direction of each."""
    weight, bias = layer.params["weight"], layer.params["bias"]
    out, dout, dx = run(layer, x)
    close(out, oracle(x, weight, bias), scale=max(1.0, np.abs(out).max()))
    step = {"x": values(x.shape, 5), "weight": values(weight.shape, 6), "bias": values(bias.shape, 7)}
    agree(inner(dx, step["x"]), inner(dout, oracle(step["x"], weight, 0 * bias)))
    agree(inner(layer.grads["weight"], step["weight"]), inner(dout, oracle(x, step["weight"], 0 * bias)))
    agree(inner(layer.grads["bias"], step["bias"]), inner(dout, oracle(x, 0 * weight, step["bias"])))


@few
@given(g=geometries(groups=True))
def test_conv_agrees_with_loops(g):
    layer = conv_like(lambda *args, **kw: ta.Conv2d(*args, groups=g.groups, **kw), g)
    check_bilinear(layer, lambda x, w, b: reference.conv2d(x, w, b, groups=g.groups, **g.windows), values(g.x_shape, 1))


@few
@given(g=geometries())
def test_locally_connected_agrees_with_loops(g):
    layer = conv_like(lambda *args, **kw: ta.LocallyConnected2d(*args, in_size=g.size, **kw), g)
    check_bilinear(layer, lambda x, w, b: reference.locally_connected2d(x, w, b, **g.windows), values(g.x_shape, 1))


@many
@given(g=geometries(pooling=True))
def test_max_pool_agrees_with_loops(g):
    x = values(g.x_shape, 1) - 3  # mostly negative: a padded cell that counted as 0 would win
    out, dout, dx = run(ta.MaxPool2d(g.kernel, device=DEVICE, dtype=np.float64, **g.settings), x)
    expected, winner = reference.max_pool2d(x, g.kernel, **g.windows)
    assert np.array_equal(out, expected)
    back = np.zeros(x.shape)
    for n, c, y, z in np.ndindex(*out.shape):
        back[(n, c, *winner[n, c, y, z])] += dout[n, c, y, z]
    close(dx, back)


@many
@given(g=geometries(pooling=True))
def test_max_pool_breaks_ties_as_it_says(g):
    x = rng(3).integers(0, 2, g.x_shape).astype(np.float64)
    out, dout, dx = run(ta.MaxPool2d(g.kernel, device=DEVICE, dtype=np.float64, **g.settings), x)
    expected, winner = reference.max_pool2d(x, g.kernel, **g.windows)
    assert np.array_equal(out, expected)
    back = np.zeros(x.shape)
    for n, c, y, z in np.ndindex(*out.shape):
        back[(n, c, *winner[n, c, y, z])] += dout[n, c, y, z]
    close(dx, back)


@many
@given(g=geometries(pooling=True))
def test_avg_pool_agrees_with_loops(g):
    x, step = values(g.x_shape, 1), values(g.x_shape, 5)
    out, dout, dx = run(ta.AvgPool2d(g.kernel, device=DEVICE, dtype=np.float64, **g.settings), x)
    close(out, reference.avg_pool2d(x, g.kernel, **g.windows))
    agree(inner(dx, step), inner(dout, reference.avg_pool2d(step, g.kernel, **g.windows)))


def windows_for(g):
    return windows_of("layer", g.size, g.kernel, g.stride, g.padding, g.ceil)


@many
@given(g=geometries(groups=True))
def test_im2col_and_col2im_are_transposes(g):
    windows, x = windows_for(g), values(g.x_shape, 1)
    col = im2col(x, windows, g.groups)
    assert col.shape == (g.groups, g.channels // g.groups * g.kernel[0] * g.kernel[1], windows.out[0] * windows.out[1] * g.n)
    c, dx = values(col.shape, 2), np.full(x.shape, np.nan)
    col2im(c, windows, dx)
    agree(inner(col, c), inner(x, dx))


@many
@given(g=geometries())
def test_im2col_shows_each_window(g):
    windows, x = windows_for(g), values(g.x_shape, 1)
    (kh, kw), (sh, sw), (oh, ow) = g.kernel, g.stride, windows.out
    col = im2col(x, windows).reshape(g.channels, kh, kw, oh, ow, g.n)
    sheet = np.pad(x, ((0, 0), (0, 0), (g.sides[0], g.sides[1] + 8), (g.sides[2], g.sides[3] + 8)))
    for y, z in np.ndindex(oh, ow):
        seen = sheet[:, :, y * sh : y * sh + kh, z * sw : z * sw + kw]
        assert np.array_equal(col[:, :, :, y, z].transpose(3, 0, 1, 2), seen)


@many
@given(g=geometries())
def test_same_gives_size_by_stride_rounded_up(g):
    windows = windows_of("layer", g.size, g.kernel, g.stride, "same", g.ceil)
    assert windows.out == tuple(-(-n // s) for n, s in zip(g.size, g.stride, strict=True))


@many
@given(g=geometries())
def test_ceil_adds_a_window_where_the_stride_does_not_divide(g):
    floor, ceil = (windows_of("layer", g.size, g.kernel, g.stride, g.sides, mode).out for mode in (False, True))
    for axis in (0, 1):
        rest = (g.size[axis] + sum(g.sides[2 * axis : 2 * axis + 2]) - g.kernel[axis]) % g.stride[axis]
        assert ceil[axis] - floor[axis] == (rest > 0)


@many
@given(g=geometries(pooling=True))
def test_every_pooling_window_sees_the_image(g):
    windows = windows_of("pool", g.size, g.kernel, g.stride, g.padding, g.ceil, inside=True)
    for axis in (0, 1):
        last = (windows.out[axis] - 1) * windows.stride[axis] - windows.before[axis]
        assert windows.out[axis] >= 1 and last < g.size[axis]

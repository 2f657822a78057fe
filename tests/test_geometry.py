"""Where windows lie; and layers with windows against the loops of tests/reference.py, on geometries that Hypothesis draws."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinyalex as ta
from tests import reference
from tests.contract import refuses, rng, values
from tests.strategies import geometries
from tinyalex.fast.columns import col2im, im2col
from tinyalex.geometry import Windows, check_padding, shifts, windows_of

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
@given(g=geometries(pooling=True), counts=st.booleans())
def test_avg_pool_agrees_with_loops(g, counts):
    x, step = values(g.x_shape, 1), values(g.x_shape, 5)
    out, dout, dx = run(ta.AvgPool2d(g.kernel, count_padding=counts, device=DEVICE, dtype=np.float64, **g.settings), x)
    close(out, reference.avg_pool2d(x, g.kernel, **g.windows, count_padding=counts))
    agree(inner(dx, step), inner(dout, reference.avg_pool2d(step, g.kernel, **g.windows, count_padding=counts)))


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


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "ceil", "out"),
    [
        (227, 11, 4, 0, False, 55),  # conv1
        (224, 11, 4, 0, False, 54),  # paper 3.5 says 224 and means 227
        (224, 11, 4, 0, True, 55),  # what the 2012 code made of 224
        (224, 11, 4, 2, False, 55),
        (55, 3, 2, 0, False, 27),  # pool1
        (27, 5, 1, 2, False, 27),  # conv2
        (13, 3, 2, 0, True, 6),  # pool5, alike either way
        (32, 3, 2, 0, False, 15),  # CIFAR-10
        (32, 3, 2, 0, True, 16),
        (24, 5, 1, "same", False, 24),
        (24, 5, 2, "same", False, 12),
        (24, 5, 1, "valid", False, 20),
        (24, 5, 1, (1, 0, 1, 0), False, 21),
        (5, 5, 7, 0, True, 1),
        (6, 5, 7, 0, True, 2),
        (6, 5, 7, 0, False, 1),
    ],
)
def test_number_of_windows(size, kernel, stride, padding, ceil, out):
    assert windows_of("layer", (size, size), kernel, stride, padding, ceil).out == (out, out)


def test_height_and_width_are_apart():
    windows = windows_of("layer", (10, 7), (3, 2), (1, 3), (1, 2, 0, 4))
    assert windows == Windows((10, 7), (3, 2), (1, 3), (1, 0), (11, 4))
    assert windows.sheet == (13, 11)


def test_same_puts_the_odd_side_last():
    assert windows_of("layer", (6, 6), 4, 1, "same").before == (1, 1)  # 3 in all: 1 above, 2 below
    assert windows_of("layer", (6, 6), 3, 2, "same").before == (0, 0)  # 1 in all


def test_same_takes_no_notice_of_ceil_mode():
    assert windows_of("layer", (3, 3), 1, 3, "same", ceil_mode=True).out == (1, 1)


def test_stride_that_does_not_divide_leaves_cells_unseen():
    assert windows_of("layer", (8, 9), 3, 3).seen == (6, 9)


def test_window_inside_the_padding_alone_is_dropped_for_pooling():
    settings = ("pool", (3, 3), 2, 2, 1, True)
    assert windows_of(*settings).out == (3, 3)
    assert windows_of(*settings, inside=True).out == (2, 2)


@pytest.mark.parametrize(
    ("value", "sides"), [(2, (2, 2, 2, 2)), ([1, 2, 3, 4], (1, 2, 3, 4)), ("same", "same"), ("valid", "valid"), (np.int8(1), (1, 1, 1, 1))]
)
def test_padding_as_given_and_as_kept(value, sides):
    assert check_padding("conv", value) == sides


FORMS = "conv: padding must be an integer, 'same', 'valid' or four sides (top, bottom, left, right), got "


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("full", FORMS + "'full'"),
        ((1, 1), FORMS + "(1, 1)"),
        (-1, "conv: padding must be an integer of at least 0, got -1"),
        ((1, 1, 1, -2), "conv: padding must be an integer of at least 0, got -2"),
        (0.5, "conv: padding must be an integer of at least 0, got 0.5"),
        (True, "conv: padding must be an integer of at least 0, got True"),
        (None, "conv: padding must be an integer of at least 0, got None"),
    ],
)
def test_bad_padding_raises(value, text):
    with refuses(ta.ShapeError, text):
        check_padding("conv", value)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"size": (4, 9), "kernel": 5}, "conv: input height with padding must be at least 5, the kernel's, got 4"),
        ({"size": (9, 4), "kernel": 5}, "conv: input width with padding must be at least 5, the kernel's, got 4"),
        ({"size": (2, 9), "kernel": 5, "padding": 1}, "conv: input height with padding must be at least 5, the kernel's, got 4"),
        ({"size": (9, 9), "kernel": 0}, "conv: kernel_size must be an integer of at least 1, got 0"),
        ({"size": (9, 9), "kernel": 3, "stride": 0}, "conv: stride must be an integer of at least 1, got 0"),
        ({"size": (9, 9), "kernel": 3, "padding": 3, "inside": True}, "conv: padding must be below 3, the kernel's height, got 3"),
        ({"size": (9, 9), "kernel": (3, 2), "padding": 2, "inside": True}, "conv: padding must be below 2, the kernel's width, got 2"),
    ],
)
def test_windows_that_do_not_fit_raise(settings, text):
    with refuses(ta.ShapeError, text):
        windows_of("conv", **settings)


def test_shifts_tell_which_cells_each_place_of_a_window_sees():
    # cells 0 to 3 with one of padding before: windows see (-1, 0, 1) and (1, 2, 3)
    assert shifts(windows_of("pool", (4, 4), 3, 2, (1, 0, 1, 0)), 0) == [
        (slice(1, 2), slice(1, 2, 2)),
        (slice(0, 2), slice(0, 3, 2)),
        (slice(0, 2), slice(1, 4, 2)),
    ]

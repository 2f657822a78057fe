"""Convolution in strips of an image is convolution: the same output and gradients as by whole images."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinyalex as ta
from tinyalex.devices import Scratch
from tinyalex.fast.columns import im2col
from tinyalex.fast.strips import Strips, lines_at_once
from tinyalex.geometry import windows_of


def values(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


def results(algorithm, x, *filters, **given_):
    """Output, gradients and dx of a convolution by this algorithm."""
    rng, device = np.random.default_rng(0), ta.CpuDevice(workers=2)
    conv = ta.Conv2d(*filters, rng=rng, bias_init=ta.Gaussian(1), algorithm=algorithm, device=device, dtype=np.float64, **given_)
    out = conv.forward(x, train=True)
    dx = conv.backward(values(out.shape, 2))
    device.close()
    return {"out": out, "dweight": conv.grads["weight"], "dbias": conv.grads["bias"]} | ({} if dx is None else {"dx": dx})


def check(x, *filters, **given_):
    expected, found = (results(algorithm, x, *filters, **given_) for algorithm in ("im2col", "strips"))
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert np.abs(found[key] - value).max() <= 1e-12 * np.abs(value).max(), key


@pytest.fixture
def every_line_a_strip(monkeypatch):
    monkeypatch.setattr("tinyalex.fast.strips.STRIP", 1)


@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (4, 0), ((2, 3), (1, 0, 2, 3))])
@pytest.mark.parametrize("groups", [1, 2])
def test_strips_agree_with_whole_images(every_line_a_strip, groups, stride, padding, input_gradient):
    x = values((3, 4, 13, 11), 1)
    check(x, 4, 6, (5, 3), stride=stride, padding=padding, groups=groups, input_gradient=input_gradient)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_strips_agree_on_any_shape(data):
    kernel, stride = (tuple(data.draw(st.integers(1, 5)) for _ in range(2)) for _ in range(2))
    padding = tuple(data.draw(st.integers(0, 4)) for _ in range(4))
    h, w = (data.draw(st.integers(max(1, k - padding[2 * axis]), 12)) for axis, k in enumerate(kernel))
    n, groups, ceil_mode = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 2)), data.draw(st.booleans())
    x, first = values((n, 2 * groups, h, w), 1), data.draw(st.booleans())
    given_ = {"stride": stride, "padding": padding, "groups": groups, "ceil_mode": ceil_mode, "input_gradient": not first}
    check(x, 2 * groups, 3 * groups, kernel, **given_)


def test_strips_are_equal_parts_that_fit(monkeypatch):
    monkeypatch.setattr("tinyalex.fast.strips.STRIP", 100)
    windows = windows_of("conv", (10, 1), 1)
    assert [lines_at_once(windows, 1, nbytes) for nbytes in (1, 10, 11, 20, 100, 101, 5000)] == [10, 10, 5, 5, 1, 1, 1]


def test_columns_of_a_strip_are_some_of_the_image_s_and_a_row_of_ones(every_line_a_strip):
    conv, x = ta.Conv2d(3, 4, 3, rng=np.random.default_rng(0), dtype=np.float64), values((1, 3, 12, 12), 1)
    strips, windows = Strips(conv.asked(x.shape[1:]), x), conv.windows(x.shape[1:])
    assert strips.of_image == strips.count == 10
    columns, image, places = strips.columns(7, Scratch())
    assert (image, places) == (0, slice(70, 80)) and columns.shape == (1, 3 * 9 + 1, 10)
    assert np.array_equal(columns[0, :-1], im2col(x, windows)[0][:, 70:80]) and (columns[0, -1] == 1).all()


def test_an_image_of_alexnet_s_conv1_is_two_strips_and_one_of_conv3_none():
    conv1, conv3 = windows_of("conv1", (227, 227), 11, 4), windows_of("conv3", (13, 13), 3, 1, 1)
    assert (lines_at_once(conv1, 3, 4), lines_at_once(conv3, 256, 4)) == (28, 13)

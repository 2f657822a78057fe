"""Where windows lie, and the matrix of their contents."""

import numpy as np
import pytest
from tinyalex.layers.windows import col2im, im2col, images_first, images_last

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.geometry import Windows, check_padding, windows_of


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


def test_im2col_of_a_3x3_image():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    col = im2col(x, windows_of("layer", (3, 3), 2))
    assert col.tolist() == [[[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]]


def test_col2im_counts_how_often_a_cell_is_seen():
    windows, dx = windows_of("layer", (3, 4), 2, (1, 2)), np.full((1, 1, 3, 4), np.nan)
    col2im(np.ones((1, 4, 4)), windows, dx)
    assert dx[0, 0].tolist() == [[1, 1, 1, 1], [2, 2, 2, 2], [1, 1, 1, 1]]


def test_col2im_gives_0_to_cells_no_window_sees():
    windows, dx = windows_of("layer", (3, 3), 2, 2), np.full((1, 1, 3, 3), np.nan)
    col2im(np.ones((1, 4, 1)), windows, dx)
    assert dx[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("n", [1, 16, 17])
def test_images_last_and_first_are_inverse(n):
    x, wide, back = values((n, 2, 3, 4)), np.empty((2, 3, 4, n)), np.empty((n, 2, 3, 4))
    images_last(x, wide)
    assert np.array_equal(wide, x.transpose(1, 2, 3, 0))
    images_first(wide, np.array([1.0, 2])[:, None, None], back, np)
    assert np.array_equal(back, x + np.array([1.0, 2])[:, None, None])


@pytest.mark.parametrize("n", [2, 17])
def test_large_and_small_blocks_make_the_same_columns(n):
    x, windows = values((n, 4, 5, 6)), windows_of("layer", (5, 6), 3, 2, (1, 2, 0, 1))
    col = im2col(x, windows, 2).reshape(2, 18, -1, n)
    for i in range(n):
        assert np.array_equal(col[..., i], im2col(x[i : i + 1], windows, 2))

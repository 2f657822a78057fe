"""The columns of blocks of images: windows as a matrix, the products with it, and few images shared out by channels and filters."""

import numpy as np
import pytest

import tinyalex as ta
from tests import reference
from tests.contract import rng, values
from tinyalex.devices import Scratch
from tinyalex.fast.columns import col2im, conv_backward_input, conv_backward_weight, conv_forward, im2col, turn, turns
from tinyalex.fast.layout import images_first, images_last
from tinyalex.geometry import windows_of


def layer(*args, **settings):
    return ta.Conv2d(*args, rng=rng(), weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), dtype=np.float64, **settings)


def close(a, b):
    assert a.shape == b.shape
    assert np.abs(a - b).max() <= 1e-12 * np.abs(b).max()


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


@pytest.mark.parametrize("out_channels", [2, 12], ids=["by correlation", "by columns"])
@pytest.mark.parametrize("padding", [0, 1, (2, 0, 1, 2), "same"])
@pytest.mark.parametrize("groups", [1, 2])
def test_both_ways_to_the_input_gradient_agree_with_loops(out_channels, padding, groups):
    conv, x = layer(4, out_channels, 3, padding=padding, groups=groups), values((2, 4, 5, 6), 1)
    assert turns(conv.asked(x.shape[1:])) == (out_channels == 2)
    dout = values(conv.forward(x, train=True).shape, 2)
    dx, windows = conv.backward(dout), conv.windows(x.shape[1:])
    by_columns, by_correlation = np.empty(x.shape), np.empty(x.shape)
    conv_backward_input(dout, conv.params["weight"], windows, groups, by_columns)
    conv_forward(dout, turn(conv.params["weight"], groups), None, windows.turned(), groups, by_correlation)
    close(dx, by_columns)
    close(by_correlation, by_columns)
    (top, _), (oh, ow) = windows.before, windows.out
    sides = (top, oh + 2 - 5 - top, windows.before[1], ow + 2 - 6 - windows.before[1])
    for n, c, i, j in ((0, 0, 0, 0), (1, 3, 2, 5), (1, 1, 4, 3)):  # each cell's influence on the output, one at a time
        unit = np.zeros(x.shape)
        unit[n, c, i, j] = 1
        moved = reference.conv2d(unit, conv.params["weight"], None, padding=sides, groups=groups)
        assert dx[n, c, i, j] == pytest.approx(float((dout * moved).sum()), rel=1e-12, abs=1e-12)


def test_functions_take_plain_arrays():
    windows, x, weight, bias = windows_of("conv", (5, 5), 3, 2), values((2, 2, 5, 5)), values((3, 2, 3, 3), 1), values((3,), 2)
    out, dout = np.empty((2, 3, 2, 2)), values((2, 3, 2, 2), 3)
    conv_forward(x, weight, bias, windows, 1, out)
    close(out, reference.conv2d(x, weight, bias, stride=(2, 2)))
    dweight_t, dbias = conv_backward_weight(x, dout, windows, 1)
    assert dweight_t.shape == (1, 18, 3) and dbias.shape == (1, 3)
    close(dbias[0], dout.sum(axis=(0, 2, 3)))
    close(dweight_t[0, 1:2], np.einsum("nyz,nkyz->k", x[:, 0, :3:2, 1:4:2], dout)[None])  # channel 0, row 0, column 1


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (5, 2, (0, 3, 2, 1)), (11, 4, 0), (2, 1, "same"), (9, 1, "same")])
@pytest.mark.parametrize("filters", [2, 6, 10])
def test_few_images_by_channels_and_filters_are_the_images_whole(filters, n, kernel, stride, padding):
    conv = layer(4, filters, kernel, stride=stride, padding=padding, groups=2, algorithm="few")
    x = values((n, 4, 17, 13))
    windows, whole = conv.windows(x.shape[1:]), np.empty((n, *conv.output_shape(x.shape[1:])))
    conv_forward(x, conv.params["weight"], conv.params["bias"], windows, 2, whole)
    close(conv.forward(x), whole)


def test_gradient_of_the_input_of_a_large_kernel_takes_few_columns_at_a_time():
    conv = ta.Conv2d(3, 8, 31, rng=rng(), algorithm="im2col", device=ta.CpuDevice(workers=1))
    asked = conv.asked((3, 400, 400))
    assert not turns(asked)
    sizes, dout, dx = [], values((1, 8, 370, 370), dtype=np.float32), np.empty((1, 3, 400, 400), np.float32)

    class Counting(Scratch):
        def __call__(self, shape, dtype):
            array = super().__call__(shape, dtype)
            sizes.append(array.nbytes)
            return array

    conv_backward_input(dout, asked.weight, asked.windows, 1, dx, Counting())
    assert 0 < sum(sizes) < 150 << 20  # whole, the columns take 1.6 GB


def test_columns_made_in_parts_give_the_same_gradient(monkeypatch):
    conv = layer(2, 12, (5, 3), padding=1, stride=(2, 1))
    windows, dout = conv.windows((2, 9, 8)), values((2, 12, 4, 8), 2)
    whole, parts = np.empty((2, 2, 9, 8)), np.empty((2, 2, 9, 8))
    conv_backward_input(dout, conv.params["weight"], windows, 1, whole)
    monkeypatch.setattr("tinyalex.fast.columns.COLUMNS", 2 * 6 * 2 * 32 * 8)  # two rows of the kernel at a time
    conv_backward_input(dout, conv.params["weight"], windows, 1, parts)
    close(parts, whole)

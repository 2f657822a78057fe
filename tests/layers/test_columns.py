"""im2col and col2im as they are read: what each window sees, and the transpose of that."""

import numpy as np
from hypothesis import given

from tests.contract import values
from tests.strategies import geometries
from tinyalex.geometry import windows_of
from tinyalex.layers.columns import cells, col2im, im2col, padded, unpadded


def windows_for(g):
    return windows_of("layer", g.size, g.kernel, g.stride, g.padding, g.ceil)


def test_im2col_of_a_3x3_image():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    col = im2col(x, windows_of("layer", (3, 3), 2)).reshape(4, 4)
    assert col.tolist() == [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]


def test_col2im_counts_how_often_a_cell_is_seen():
    windows = windows_of("layer", (3, 4), 2, (1, 2))
    assert col2im(np.ones((1, 1, 2, 2, 2, 2)), windows)[0, 0].tolist() == [[1, 1, 1, 1], [2, 2, 2, 2], [1, 1, 1, 1]]


def test_col2im_gives_0_to_cells_no_window_sees():
    windows = windows_of("layer", (3, 3), 2, 2)
    assert col2im(np.ones((1, 1, 2, 2, 1, 1)), windows)[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_cells_go_down_the_columns():
    assert [(i, j) for i, j, _ in cells(windows_of("layer", (3, 3), (2, 3)))] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]


@given(g=geometries(groups=True))
def test_im2col_shows_each_window(g):
    windows, x = windows_for(g), values(g.x_shape, 1)
    (kh, kw), (sh, sw), (oh, ow) = g.kernel, g.stride, windows.out
    col = im2col(x, windows)
    assert col.shape == (g.n, g.channels, kh, kw, oh, ow)
    sheet = np.pad(x, ((0, 0), (0, 0), (g.sides[0], g.sides[1] + 8), (g.sides[2], g.sides[3] + 8)))
    for y, z in np.ndindex(oh, ow):
        assert np.array_equal(col[..., y, z], sheet[:, :, y * sh : y * sh + kh, z * sw : z * sw + kw])


@given(g=geometries(groups=True))
def test_im2col_and_col2im_are_transposes(g):
    windows, x = windows_for(g), values(g.x_shape, 1)
    col = im2col(x, windows)
    c = values(col.shape, 2)
    dx = col2im(c, windows)
    assert dx.shape == x.shape
    assert abs((col * c).sum() - (x * dx).sum()) <= 1e-13 * (np.abs(col * c).sum() + np.abs(x * dx).sum())


@given(g=geometries())
def test_padded_and_unpadded_are_transposes_and_padding_holds_what_is_asked_for(g):
    windows, x = windows_for(g), values(g.x_shape, 1)
    sheet = padded(x, windows, 0)
    s = values(sheet.shape, 2)
    dx = unpadded(s, windows)
    assert dx.shape == x.shape and sheet.shape[2:] == windows.sheet
    assert abs((sheet * s).sum() - (x * dx).sum()) <= 1e-13 * (np.abs(sheet * s).sum() + np.abs(x * dx).sum())
    (h, w), filled = windows.seen, padded(x, windows, -np.inf)
    assert np.isneginf(filled).sum() == filled.size - g.n * g.channels * h * w

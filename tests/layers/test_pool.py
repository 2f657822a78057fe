"""Pooling."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.geometry import shifts, windows_of

BOTH = pytest.mark.parametrize("make", [ta.MaxPool2d, ta.AvgPool2d])


def dx_of_ones(layer, x):
    out = layer.forward(x, train=True)
    return layer.backward(np.ones_like(out))


@BOTH
@pytest.mark.parametrize(
    ("size", "settings", "out"),
    [
        (55, {"stride": 2}, 27),
        (27, {"stride": 2}, 13),
        (13, {"stride": 2}, 6),
        (32, {"stride": 2}, 15),
        (32, {"stride": 2, "ceil_mode": True}, 16),
        (9, {}, 3),
        (10, {}, 3),
        (10, {"ceil_mode": True}, 4),
        (10, {"padding": "same"}, 4),
        (10, {"padding": 1}, 4),
    ],
)
def test_output_shape(make, size, settings, out):
    assert make(3, **settings).output_shape((7, size, size)) == (7, out, out)


def test_max_and_mean_by_hand():
    x = np.array([[[[1.0, 2, 3], [4, 9, 6], [7, 8, 5]]]])
    assert ta.MaxPool2d(2, stride=1, dtype=np.float64).forward(x).tolist() == [[[[9, 9], [9, 9]]]]
    assert ta.AvgPool2d(2, stride=1, dtype=np.float64).forward(x).tolist() == [[[[4, 5], [7, 7]]]]


def test_overlapping_maxima_add_up_in_the_cell_that_won():
    x = np.array([[[[1.0, 2, 3], [4, 9, 6], [7, 8, 5]]]])
    assert dx_of_ones(ta.MaxPool2d(2, stride=1, dtype=np.float64), x).tolist() == [[[[0, 0, 0], [0, 4, 0], [0, 0, 0]]]]


def test_ties_go_to_the_leftmost_column_and_in_it_the_topmost_row():
    layer = ta.MaxPool2d(3, dtype=np.float64)
    assert dx_of_ones(layer, np.ones((1, 1, 3, 3))).tolist() == [[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]]
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 0, 2] = x[0, 0, 1, 1] = x[0, 0, 2, 1] = 5  # the top row holds one, yet column 1 is further left
    assert dx_of_ones(layer, x).tolist() == [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]]


def test_padded_cell_never_wins():
    x = values((2, 3, 5, 5)) - 100
    out = ta.MaxPool2d(3, stride=2, padding=1, ceil_mode=True, dtype=np.float64).forward(x)
    assert out.max() < 0 and np.isfinite(out).all()


def test_padded_cell_does_not_count_in_a_mean():
    layer = ta.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, dtype=np.float64)
    assert layer.forward(np.full((1, 1, 6, 6), 7.0)) == pytest.approx(7, rel=1e-14)
    assert dx_of_ones(layer, np.ones((1, 1, 2, 2))).tolist() == [[[[0.25, 0.75], [0.75, 2.25]]]]  # windows of 4, 2, 2 and 1 cells


@BOTH
def test_gradient_is_neither_lost_nor_made(make):
    layer, x = make(3, stride=2, padding=(1, 0, 2, 1), ceil_mode=True, dtype=np.float64), values((2, 3, 8, 7))
    out = layer.forward(x, train=True)
    dout = values(out.shape, 2)
    assert layer.backward(dout).sum() == pytest.approx(dout.sum(), rel=1e-11)


@pytest.mark.parametrize(("make", "others"), [(ta.MaxPool2d, [False, False, False]), (ta.AvgPool2d, [True, True, True])])
def test_nan_spreads_to_every_window_that_sees_it(make, others):
    x = np.zeros((2, 2, 4, 4))
    x[0, 1, 1, 1] = np.nan
    nan = np.isnan(make(2, dtype=np.float64).forward(x))
    assert nan[0, 1].ravel().tolist() == [True, *others]  # 0 * NaN is NaN: a matrix product spreads it over the channel
    assert nan.sum() == nan[0, 1].sum()


def test_max_of_minus_infinity():
    x = np.full((1, 1, 2, 2), -np.inf)
    assert ta.MaxPool2d(2, dtype=np.float64).forward(x, train=True) == -np.inf


def test_gradient_of_a_window_of_minus_infinity_goes_to_its_first_cell_and_is_lost_in_padding():
    x = np.full((1, 1, 2, 2), -np.inf)
    assert dx_of_ones(ta.MaxPool2d(2, dtype=np.float64), x).tolist() == [[[[1, 0], [0, 0]]]]
    assert not dx_of_ones(ta.MaxPool2d(2, padding=1, stride=3, dtype=np.float64), x).any()


@BOTH
def test_window_of_the_whole_image(make):
    x = values((2, 3, 4, 5))
    expected = x.max(axis=(2, 3)) if make is ta.MaxPool2d else x.mean(axis=(2, 3))
    assert make((4, 5), dtype=np.float64).forward(x)[:, :, 0, 0] == pytest.approx(expected, rel=1e-13)


def test_max_cache_is_one_byte_a_place():
    layer = ta.MaxPool2d(3, stride=2)
    layer.forward(values((2, 3, 7, 9), dtype=np.float32), train=True)
    rows, columns = (entry for entry in layer._cache if isinstance(entry, np.ndarray))
    assert rows.dtype == columns.dtype == np.uint8
    assert rows.shape == (2, 3, 3, 9) and columns.shape == (2, 3, 3, 4)


def test_window_of_256_rows_fits_the_places_of_one_byte():
    x = np.zeros((1, 1, 256, 2))
    x[0, 0, 255, 1] = 1
    dx = dx_of_ones(ta.MaxPool2d((256, 2), dtype=np.float64), x)
    assert dx[0, 0, 255, 1] == 1 and dx.sum() == 1


def test_avg_caches_no_image():
    layer = ta.AvgPool2d(3, stride=2)
    layer.forward(values((2, 3, 7, 9), dtype=np.float32), train=True)
    assert [entry.shape for entry in layer._cache if isinstance(entry, np.ndarray)] == [(3, 7), (4, 9)]  # a matrix for each axis


def test_shifts_tell_which_cells_each_place_of_a_window_sees():
    # cells 0 to 3 with one of padding before: windows see (-1, 0, 1) and (1, 2, 3)
    assert shifts(windows_of("pool", (4, 4), 3, 2, (1, 0, 1, 0)), 0) == [
        (slice(1, 2), slice(1, 2, 2)),
        (slice(0, 2), slice(0, 3, 2)),
        (slice(0, 2), slice(1, 4, 2)),
    ]


@BOTH
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"kernel_size": 0}, "pool: kernel_size must be an integer of at least 1, got 0"),
        ({"kernel_size": 2.0}, "pool: kernel_size must be an integer of at least 1, got 2.0"),
        ({"kernel_size": 2, "stride": 0}, "pool: stride must be an integer of at least 1, got 0"),
        ({"kernel_size": 2, "stride": (1, 2, 3)}, "pool: stride must be one integer or two (height, width), got (1, 2, 3)"),
        ({"kernel_size": 2, "padding": -1}, "pool: padding must be an integer of at least 0, got -1"),
        ({"kernel_size": 2, "padding": 2}, "pool: padding must be below 2, the kernel's height, got 2"),
        ({"kernel_size": (3, 2), "padding": (0, 0, 1, 4)}, "pool: padding must be below 2, the kernel's width, got 4"),
        ({"kernel_size": 2, "ceil_mode": "floor"}, "pool: ceil_mode must be True or False, got 'floor'"),
        ({"kernel_size": 2, "padding": "full"}, "pool: padding must be an integer, 'same', 'valid' or four sides"),
    ],
)
def test_bad_settings_raise(make, settings, text):
    with refuses(ta.ShapeError, text):
        make(**settings)


@BOTH
@pytest.mark.parametrize(
    ("settings", "in_shape", "text"),
    [
        ({"kernel_size": 3}, (2, 5), "pool: x must have 4 axes (N, C, H, W), got ('N', 2, 5)"),
        ({"kernel_size": 3}, (2, 2, 5), "pool: input height with padding must be at least 3, the kernel's, got 2"),
    ],
)
def test_output_shape_refuses(make, settings, in_shape, text):
    with refuses(ta.ShapeError, text):
        make(**settings).output_shape(in_shape)


def test_max_window_of_more_places_than_a_byte_holds_raises():
    with refuses(ta.ShapeError, "pool: kernel_size must be at most 256, got (257, 2)"):
        ta.MaxPool2d((257, 2))

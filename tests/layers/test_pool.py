"""Pooling."""

from functools import partial

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tests.places import every_place, on

BOTH = pytest.mark.parametrize("make", [ta.MaxPool2d, ta.AvgPool2d])


@pytest.fixture(params=["plain", "runs", "innermost"])
def every_max_pool(request):
    """A function of images that returns the class with this algorithm, and the images as they lie for it."""

    def of(x):
        if request.param == "innermost":
            x = np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
        return partial(ta.MaxPool2d, algorithm=request.param), x

    return of


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


@every_place
def test_max_and_mean_by_hand(place):
    x = np.array([[[[1.0, 2, 3], [4, 9, 6], [7, 8, 5]]]])
    assert on(place, ta.MaxPool2d, 2, stride=1, dtype=np.float64).forward(x).tolist() == [[[[9, 9], [9, 9]]]]
    assert on(place, ta.AvgPool2d, 2, stride=1, dtype=np.float64).forward(x).tolist() == [[[[4, 5], [7, 7]]]]


@every_place
def test_overlapping_maxima_add_up_in_the_cell_that_won(place):
    x = np.array([[[[1.0, 2, 3], [4, 9, 6], [7, 8, 5]]]])
    assert dx_of_ones(on(place, ta.MaxPool2d, 2, stride=1, dtype=np.float64), x).tolist() == [[[[0, 0, 0], [0, 4, 0], [0, 0, 0]]]]


@every_place
def test_ties_go_to_the_leftmost_column_and_in_it_the_topmost_row(place):
    layer = on(place, ta.MaxPool2d, 3, dtype=np.float64)
    assert dx_of_ones(layer, np.ones((1, 1, 3, 3))).tolist() == [[[[1, 0, 0], [0, 0, 0], [0, 0, 0]]]]
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 0, 2] = x[0, 0, 1, 1] = x[0, 0, 2, 1] = 5  # the top row holds one, yet column 1 is further left
    assert dx_of_ones(layer, x).tolist() == [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]]


@every_place
def test_padded_cell_never_wins(place):
    x = values((2, 3, 5, 5)) - 100
    out = on(place, ta.MaxPool2d, 3, stride=2, padding=1, ceil_mode=True, dtype=np.float64).forward(x)
    assert out.max() < 0 and np.isfinite(out).all()


@every_place
def test_padded_cell_does_not_count_in_a_mean(place):
    layer = on(place, ta.AvgPool2d, 3, stride=2, padding=1, ceil_mode=True, dtype=np.float64)
    assert layer.forward(np.full((1, 1, 6, 6), 7.0)) == pytest.approx(7, rel=1e-14)
    assert dx_of_ones(layer, np.ones((1, 1, 2, 2))).tolist() == [[[[0.25, 0.75], [0.75, 2.25]]]]  # windows of 4, 2, 2 and 1 cells


@every_place
@pytest.mark.parametrize("algorithm", ["plain", "matrices"])
def test_padded_cell_counts_where_it_is_asked_for_but_no_cell_beyond(place, algorithm):
    layer = on(place, ta.AvgPool2d, 4, stride=2, padding=1, ceil_mode=True, count_padding=True, algorithm=algorithm, dtype=np.float64)
    out = layer.forward(np.ones((1, 1, 5, 5)))  # the sheet is 7x7, and the last window reaches an eighth line, which does not count
    lines = np.array([3 / 4, 1, 2 / 3])
    np.testing.assert_allclose(out[0, 0], np.outer(lines, lines), rtol=1e-14)


@every_place
@BOTH
def test_gradient_is_neither_lost_nor_made(make, place):
    layer, x = on(place, make, 3, stride=2, padding=(1, 0, 2, 1), ceil_mode=True, dtype=np.float64), values((2, 3, 8, 7))
    out = layer.forward(x, train=True)
    dout = values(out.shape, 2)
    assert layer.backward(dout).sum() == pytest.approx(dout.sum(), rel=1e-11)


@every_place
@BOTH
def test_nan_spreads_to_every_window_that_sees_it_and_to_no_other(make, place):
    x = np.zeros((2, 2, 4, 4))
    x[0, 1, 1, 1] = np.nan
    nan = np.isnan(on(place, make, 2, dtype=np.float64).forward(x))
    assert nan[0, 1].ravel().tolist() == [True, False, False, False]
    assert nan.sum() == nan[0, 1].sum()


@every_place
def test_max_of_minus_infinity(place):
    x = np.full((1, 1, 2, 2), -np.inf)
    assert on(place, ta.MaxPool2d, 2, dtype=np.float64).forward(x, train=True) == -np.inf


@every_place
def test_gradient_of_a_window_of_minus_infinity_goes_to_its_first_cell_and_is_lost_in_padding(place):
    x = np.full((1, 1, 2, 2), -np.inf)
    assert dx_of_ones(on(place, ta.MaxPool2d, 2, dtype=np.float64), x).tolist() == [[[[1, 0], [0, 0]]]]
    assert not dx_of_ones(on(place, ta.MaxPool2d, 2, padding=1, stride=3, dtype=np.float64), x).any()


@pytest.mark.parametrize("cell", range(9))
def test_nan_in_any_cell_of_a_window_wins_it_and_gets_its_gradient(every_max_pool, cell):
    x = values((2, 2, 3, 3))
    x[1, 0].flat[cell] = np.nan
    make, x = every_max_pool(x)
    layer = make(3, dtype=np.float64)
    dx = dx_of_ones(layer, x)
    assert np.isnan(layer.forward(x)[:, :, 0, 0]).tolist() == [[False, False], [True, False]]
    assert dx[1, 0].ravel().tolist() == [float(other == cell) for other in range(9)]
    assert dx.sum() == 4


def test_first_nan_of_a_window_wins(every_max_pool):
    x = values((2, 1, 3, 3))
    x[0, 0, 0, 2] = x[0, 0, 1, 1] = x[0, 0, 2, 1] = np.nan
    x[0, 0, 0, 0] = np.inf
    make, x = every_max_pool(x)
    assert dx_of_ones(make(3, dtype=np.float64), x)[0, 0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_gradient_that_is_not_finite_reaches_the_winner_alone(every_max_pool, value):
    x = np.zeros((2, 1, 5, 5))
    x[:, 0, 2, 2] = x[:, 0, 3, 4] = 1
    make, x = every_max_pool(x)
    layer = make(3, stride=2, dtype=np.float64)
    layer.forward(x, train=True)
    dout = np.ones((2, 1, 2, 2))
    dout[0, 0, 0, 0] = value
    dx = layer.backward(dout)
    assert dx[1, 0].sum() == 4 and set(dx[1, 0].ravel()) == {0, 4}
    expected = np.zeros((5, 5))
    expected[2, 2] = value
    assert np.array_equal(dx[0, 0], expected, equal_nan=True)


@pytest.mark.parametrize("algorithm", ["matrices", "plain"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_pixel_that_is_not_finite_stays_within_the_means_that_see_it(value, algorithm):
    layer, x = ta.AvgPool2d(3, stride=2, dtype=np.float64, algorithm=algorithm), np.ones((3, 2, 7, 9))
    x[1, 1, 2, 4] = value  # in the windows (0, 1), (0, 2), (1, 1) and (1, 2)
    out = layer.forward(x, train=True)
    expected = np.ones((3, 2, 3, 4))
    expected[1, 1, :2, 1:3] = value
    assert np.allclose(out, expected, rtol=1e-14, atol=0, equal_nan=True)
    dout = np.ones_like(out)
    dout[0, 1, 1, 1] = value
    seen = np.zeros(x.shape, bool)
    seen[0, 1, 2:5, 2:5] = True
    dx = layer.backward(dout)
    assert np.array_equal(dx[seen], np.full(9, value), equal_nan=True) and np.isfinite(dx[~seen]).all()


@every_place
@BOTH
def test_window_of_the_whole_image(make, place):
    x = values((2, 3, 4, 5))
    expected = x.max(axis=(2, 3)) if make is ta.MaxPool2d else x.mean(axis=(2, 3))
    assert on(place, make, (4, 5), dtype=np.float64).forward(x)[:, :, 0, 0] == pytest.approx(expected, rel=1e-13)


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


@pytest.mark.parametrize("algorithm", ["plain", "matrices"])
@pytest.mark.parametrize(("h", "w", "kernel", "stride"), [(7, 6, 3, 2), (9, 5, (5, 2), (3, 1)), (8, 11, 4, 3)])
def test_padding_that_counts_is_that_of_same(h, w, kernel, stride, algorithm):
    x, settings = values((2, 3, h, w)), {"stride": stride, "padding": "same", "algorithm": algorithm, "dtype": np.float64}
    counts, alone = (ta.AvgPool2d(kernel, count_padding=counts, **settings) for counts in (True, False))
    windows = counts.windows((3, h, w))
    whole = windows.kernel[0] * windows.kernel[1]
    on_image = []  # for each axis, how many cells of each window are on the image
    for axis, size in enumerate((h, w)):
        first = [i * windows.stride[axis] - windows.before[axis] for i in range(windows.out[axis])]
        on_image.append([min(size, start + windows.kernel[axis]) - max(0, start) for start in first])
    inside = np.outer(*on_image)
    assert (inside < whole).any()
    np.testing.assert_allclose(counts.forward(x), alone.forward(x) * inside / whole, rtol=1e-12)


def test_count_padding_that_is_no_truth_value_is_refused():
    with refuses(ta.ShapeError, "mean: count_padding must be True or False, got 'yes'"):
        ta.AvgPool2d(2, count_padding="yes", name="mean")

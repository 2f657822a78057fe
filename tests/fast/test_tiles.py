"""Winograd's matrices and tiles."""

from itertools import product

import numpy as np
import pytest

from tests.contract import values
from tinyalex.fast.tiles import KERNELS, LARGEST_TILE, PointRange, Tiles, cook_toom, pieces, without_last_point


def worst(a, b):
    """The largest difference over the largest value."""
    assert a.shape == b.shape
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize(("m", "r"), [(m, r) for r in KERNELS for m in range(2, LARGEST_TILE - r + 2)])
def test_matrices_give_a_correlation_with_n_products(m, r):
    b_t, g, a = cook_toom(m, r)
    x, w = values((m + r - 1,), 1), values((r,), 2)
    expected = np.correlate(x, w, "valid")
    assert worst(a.T @ ((g @ w) * (b_t @ x)), expected) < 1e-12


def test_matrices_of_two_outputs_and_three_weights_are_the_published_ones():
    b_t, g, a = cook_toom(2, 3)  # up to signs and the order of points: F(2, 3) with 0, 1, -1 and infinity
    assert np.abs(b_t).tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    assert np.abs(g).tolist() == [[0, 0, 1], [1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    assert a.T.tolist() == [[0, 1, 1, 1], [1, 0, 1, -1]]


@pytest.mark.parametrize(("m", "r"), [(m, r) for r in KERNELS for m in range(3, LARGEST_TILE - r + 2)])
def test_a_tile_with_an_output_less_shares_the_weights_of_the_others(m, r):
    (_, g, _), (b_t, a) = cook_toom(m, r), without_last_point(m, r)
    x, w = values((m + r - 2,), 1), values((r,), 2)
    assert worst(a.T @ ((g @ w)[:-1] * (b_t @ x)), np.correlate(x, w, "valid")) < 1e-12


def test_tiles_cover_the_axis_once():
    for size, r, before, after in product((1, 5, 13, 27), KERNELS, (0, 2, 6), (0, 3)):
        out = size + before + after - r + 1
        if out < 1:
            continue
        for m in range(2, LARGEST_TILE - r + 2):
            tiles = Tiles(size, out, before, r, m)
            covered = [i for line, _ in tiles.outputs() for i in range(line.start, line.stop)]
            assert covered == list(range(out))
            for tile, (line, inside) in enumerate(tiles.inputs()):
                assert line.stop - line.start == inside.stop - inside.start
                assert line.start == line.stop or line.start - inside.start == tile * m - before


def test_uneven_tiles_cover_the_axis_once_and_lack_the_last_place():
    tiles = Tiles(13, 13, 1, 3, 5, uneven=True)
    assert [(line.start, line.stop) for line, _ in tiles.outputs()] == [(0, 5), (5, 9), (9, 13)]
    assert [(line.start, line.stop) for line, _ in tiles.inputs()] == [(0, 6), (4, 10), (8, 13)]
    assert (tiles.n, tiles.count, tiles.full, tiles.values) == (7, 3, 1, 19)
    assert tiles.parts == [PointRange(slice(0, 6), slice(0, 18), 3), PointRange(slice(6, 7), slice(18, 19), 1)]
    for first, last in ((0, 1), (4, 6), (6, 7)):
        part = tiles.part(first, last)
        assert (part.values.stop - part.values.start) == part.tiles * (last - first)
        assert [part.has(place) for place in range(7)] == [first <= place < last for place in range(7)]


@pytest.mark.parametrize("inputs", [True, False])
@pytest.mark.parametrize("tiles", [Tiles(13, 12, 1, 4, 5), Tiles(13, 13, 1, 3, 5, uneven=True)], ids=["even", "uneven"])
def test_one_matrix_for_an_axis_is_those_of_its_tiles(tiles, inputs):
    x = values((tiles.size if inputs else tiles.out,), 1)
    ((line, rows, matrix),) = pieces(tiles, inputs, 13, np.float64)
    assert (line, rows) == (slice(None), slice(None)) and matrix.shape == (tiles.values, len(x))
    one_by_one = np.zeros(tiles.values)
    for line, rows, of_tile in pieces(tiles, inputs, 5, np.float64):
        one_by_one[rows] = of_tile @ x[line]
    assert worst(matrix @ x, one_by_one) < 1e-14

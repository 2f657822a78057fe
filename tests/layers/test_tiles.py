"""Winograd's matrices and tiles."""

from itertools import product

import numpy as np
import pytest

from tests.contract import values
from tinyalex.layers.tiles import KERNELS, LARGEST_TILE, Tiles, cook_toom, pieces


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
    assert np.abs(b_t).tolist() == [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]]
    assert np.abs(g).tolist() == [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]]
    assert a.T.tolist() == [[1, 1, 1, 0], [0, 1, -1, 1]]


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


@pytest.mark.parametrize("inputs", [True, False])
def test_one_matrix_for_an_axis_is_those_of_its_tiles(inputs):
    tiles, x = Tiles(13, 12, 1, 4, 5), values((13 if inputs else 12,), 1)
    ((line, rows, matrix),) = pieces(tiles, inputs, 13, np.float64)
    assert (line, rows) == (slice(None), slice(None)) and matrix.shape == (tiles.n * tiles.count, len(x))
    one_by_one = np.zeros(tiles.n * tiles.count)
    for line, rows, of_tile in pieces(tiles, inputs, 5, np.float64):
        one_by_one[rows] = of_tile @ x[line]
    assert worst(matrix @ x, one_by_one) < 1e-14

"""Max pooling down the columns and along the rows."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, values
from tinyalex.fast.table import choose


def dx_of_ones(layer, x):
    out = layer.forward(x, train=True)
    return layer.backward(np.ones_like(out))


def test_max_cache_is_one_byte_a_place():
    layer = ta.MaxPool2d(3, stride=2)
    layer.forward(values((2, 3, 7, 9), dtype=np.float32), train=True)
    rows, columns = layer._cache[-1]
    assert rows.dtype == columns.dtype == np.uint8
    assert rows.shape == (2, 3, 3, 9) and columns.shape == (2, 3, 3, 4)


def test_window_of_256_rows_fits_the_places_of_one_byte():
    x = np.zeros((1, 1, 256, 2))
    x[0, 0, 255, 1] = 1
    dx = dx_of_ones(ta.MaxPool2d((256, 2), dtype=np.float64), x)
    assert dx[0, 0, 255, 1] == 1 and dx.sum() == 1


def test_kernel_of_more_rows_than_a_byte_holds_goes_to_the_plain_function():
    x = np.zeros((1, 1, 257, 2))
    x[0, 0, 256, 1] = 1
    layer = ta.MaxPool2d((257, 2), dtype=np.float64)
    assert choose(layer.asked((1, 257, 2)), 1, "cpu").name == "plain"
    dx = dx_of_ones(layer, x)
    assert layer.forward(x) == 1 and dx[0, 0, 256, 1] == 1 and dx.sum() == 1


@pytest.mark.parametrize("algorithm", ["runs", "innermost"])
def test_row_that_keeps_a_byte_is_refused_for_a_larger_kernel(algorithm):
    text = f"pool: algorithm '{algorithm}' must have a kernel of at most 256, got kernel 257x2, stride 257x2; use 'auto' or 'plain'"
    with refuses(ta.ShapeError, text):
        ta.MaxPool2d((257, 2), algorithm=algorithm)


def test_one_image_in_blocks_of_channels_has_the_maxima_of_many(monkeypatch):
    x, blocks = values((3, 40, 31, 29), dtype=np.float32), []
    layer = ta.MaxPool2d(3, stride=2, padding=1, device=ta.CpuDevice(workers=3))
    expected, mapped = layer.forward(x), ta.CpuDevice.map_blocks
    monkeypatch.setattr(ta.CpuDevice, "map_blocks", lambda self, block, n, *rest: blocks.append(n) or mapped(self, block, n, *rest))
    for i in range(3):
        assert np.array_equal(layer.forward(x[i : i + 1]), expected[i : i + 1])
    assert np.array_equal(layer.forward(np.asfortranarray(x[:1])), expected[:1])
    assert blocks == [40] * 4
    layer.forward(x[:1], train=True)
    assert blocks[4:] == [1]  # what is kept for backward is kept for whole images

"""Average pooling as two products."""

import numpy as np
import pytest

import tinyalex as ta
from tests.contract import values
from tinyalex.fast.averaging import means
from tinyalex.fast.table import choose


def test_avg_caches_no_array():
    layer, x = ta.AvgPool2d(3, stride=2), values((2, 3, 7, 9), dtype=np.float32)
    layer.forward(x, train=True)
    row, asked, kept = layer._cache[1:]
    assert row.name == "matrices" and kept is None
    assert [means(asked.windows, axis, x.dtype).shape for axis in (0, 1)] == [(3, 7), (4, 9)]  # a matrix for each axis


SIZES = [((160, 160), "matrices"), ((161, 2), "plain"), ((2, 161), "plain"), ((2048, 2048), "plain")]


@pytest.mark.parametrize(("size", "algorithm"), SIZES)
def test_a_dense_matrix_is_never_multiplied_by_a_long_axis(size, algorithm):
    assert choose(ta.AvgPool2d(2).asked((3, *size)), 1, "cpu").name == algorithm

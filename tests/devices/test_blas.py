"""Every product of every layer is made by one BLAS thread: several would wait for the next one without sleeping, and take a core."""

import numpy as np
import pytest
import threadpoolctl

import tinyalex as ta
from tests.contract import ROWS

PRODUCTS = ("dot", "matmul")


@pytest.fixture
def threads_of_products(monkeypatch):
    """A list of (product, its BLAS threads), filled as layers call NumPy, which has two threads outside."""
    seen, blas = [], threadpoolctl.ThreadpoolController().select(user_api="blas")

    def watched(name, product):
        def call(*operands, **keywords):
            seen.extend((name, library["num_threads"]) for library in blas.info())
            return product(*operands, **keywords)

        return call

    for name in PRODUCTS:
        monkeypatch.setattr(np, name, watched(name, getattr(np, name)))
    with blas.limit(limits=2):
        yield seen


def there_and_back(layer, x):
    out = layer.forward(x, train=True)
    layer.backward(np.ones_like(out))


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("n", [1, 19])
def test_layers_multiply_on_one_blas_thread(threads_of_products, row, n):
    layer, x = row.build(device=ta.CpuDevice(workers=2)), row.x(n)
    there_and_back(layer, x)
    layer.freeze()
    layer.forward(x)
    assert {threads for _, threads in threads_of_products} <= {1}
    multiplies = layer.params or isinstance(layer, (ta.AvgPool2d, ta.SpatialResponseNorm))
    assert threads_of_products or not multiplies


@pytest.mark.parametrize("n", [1, 32])
def test_winograd_multiplies_on_one_blas_thread(threads_of_products, n):
    conv = ta.Conv2d(16, 16, 3, padding=1, rng=np.random.default_rng(0), algorithm="winograd", device=ta.CpuDevice(workers=2))
    there_and_back(conv, np.ones((n, 16, 13, 13), np.float32))
    assert {threads for _, threads in threads_of_products} == {1}


def test_the_callers_blas_threads_are_back_after_a_pass(threads_of_products):
    net = ta.Sequential([ta.Linear(4, 3, rng=np.random.default_rng(0), device=ta.CpuDevice(workers=2))])
    there_and_back(net, np.ones((2, 4), np.float32))
    np.dot(np.ones(2), np.ones(2))
    assert threads_of_products[-1] == ("dot", 2) and ("dot", 1) in threads_of_products

"""Every row of the table equals its plain function: a row that is added is tested here without anybody asking."""

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import tinyalex as ta
from tests import reference
from tests.blocks import one_image_blocks
from tests.contract import rng, values
from tests.strategies import geometries
from tinyalex.devices import get_device
from tinyalex.fast import table
from tinyalex.fast.request import Convolution, Pooling, Product
from tinyalex.geometry import check_padding, padding_of, windows_of
from tinyalex.layers.conv import conv2d, conv2d_backward
from tinyalex.layers.linear import linear, linear_backward
from tinyalex.layers.pool import avg_pool, avg_pool_backward, max_pool, max_pool_backward

PLAIN = {
    "convolution": (conv2d, conv2d_backward),
    "max pooling": (max_pool, max_pool_backward),
    "average pooling": (avg_pool, avg_pool_backward),
    "product": (linear, linear_backward),
}
ROWS = [(operation, row) for operation, rows in table.CPU.items() for row in rows]
EVERY_ROW = pytest.mark.parametrize(("operation", "row"), ROWS, ids=[f"{operation}-{row.name}" for operation, row in ROWS])
ONE, TWO, THREE = (one_image_blocks(workers) for workers in (1, 2, 3))
WHOLE = ta.CpuDevice(workers=2)
SIZES = [{"size": (9, 8), "kernel": (3, 2), "stride": (2, 1), "sides": (1, 0, 0, 1)}, {"size": (7, 7), "kernel": (3, 3), "stride": (2, 2)}]


def ask(operation, dtype=np.float64, device=WHOLE, size=(9, 8), kernel=(3, 2), stride=(2, 1), sides=(0, 0, 0, 0), groups=1, **sizes):
    """What is asked of that geometry, with the same weights at every call."""
    ceil, c, k, input_gradient = (sizes.get(key, usual) for key, usual in (("ceil", 0), ("c", 4), ("k", 6), ("input_gradient", True)))
    put = [device.asarray(values(shape, 3, dtype)) for shape in ((k, c // groups, *kernel), (k,), (k, 12 // groups))]
    if operation == "product":
        return Product(PLAIN[operation], put[2], put[1], groups, input_gradient)
    pools = operation != "convolution"
    windows = windows_of("layer", size, kernel, stride, sides, bool(ceil), inside=pools)
    if sizes.get("counts"):
        windows = replace(windows, counted=padding_of(size, kernel, stride, check_padding("layer", sides)))
    if pools:
        return Pooling(PLAIN[operation], windows, c, np.dtype(dtype).itemsize, operation == "max pooling")
    return Convolution(PLAIN[operation], put[0], put[1], windows, groups, input_gradient)


def asked_for(operation, row, **given_):
    """As `ask`, in the form that the row serves: without dx or groups, or with one cell a window; None where it serves none of them."""
    forms = [{}, {"input_gradient": False}, {"groups": 1}, {"kernel": (1, 1), "sides": (0, 0, 0, 0), "ceil": 0}]
    return next((asked for form in forms if row.fits(asked := ask(operation, **given_ | form))), None)


def x_of(asked, n=3, dtype=np.float64):
    return values((n, asked.features) if isinstance(asked, Product) else asked.x_shape(n), 1, dtype)


def run(row, asked, x, device, dout=None, then=None):
    """Output, dx and the gradients, which were 1 before, as NumPy arrays by name."""
    out, kept = row.forward(asked, device.asarray(x), device, then)
    dout = values(tuple(out.shape), 2, x.dtype) if dout is None else dout
    weighted = not isinstance(asked, Pooling)
    grads = {key: device.asarray(np.ones(getattr(asked, key).shape, x.dtype)) for key in ("weight", "bias") if weighted}
    dx = row.backward(asked, kept, device.asarray(dout), device, grads)
    found = {"out": out, **grads} | ({} if dx is None else {"dx": dx})
    return {key: device.to_numpy(value) for key, value in found.items()}


def plain(asked, x, dout=None):
    """The same by the plain function, called on the whole batch."""
    forward, backward = asked.plain
    if isinstance(asked, Pooling):
        found = forward(x, asked.windows)
        out, where = found if asked.remembers else (found, None)
        dout = values(out.shape, 2, x.dtype) if dout is None else dout
        return {"out": out, "dx": backward(dout, *([] if where is None else [where]), asked.windows)}
    where = [asked.windows] if isinstance(asked, Convolution) else []
    out = forward(x, asked.weight, asked.bias, *where, asked.groups)
    dout = values(out.shape, 2, x.dtype) if dout is None else dout
    dx, dweight, dbias = backward(x, asked.weight, dout, *where, asked.groups)
    return {"out": out, "weight": 1 + dweight, "bias": 1 + dbias} | ({"dx": dx} if asked.input_gradient else {})


def agree(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].shape == value.shape and found[key].dtype == value.dtype, key
        assert np.abs(found[key] - value).max() <= tolerance * max(1, np.abs(value).max()), key


@EVERY_ROW
@pytest.mark.parametrize("geometry", SIZES, ids=["padded", "even"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("device", [WHOLE, ONE], ids=["one block", "blocks of one image"])
def test_row_is_its_plain_function(operation, row, geometry, groups, dtype, device):
    asked = asked_for(operation, row, dtype=dtype, groups=groups, **geometry)
    x = x_of(asked, dtype=dtype)
    tolerance = 1e-12 if dtype is np.float64 else 1e-4 if row.name == "winograd" else 1e-5
    agree(run(row, asked, x, device), plain(asked, x), tolerance)


@pytest.mark.parametrize(("operation", "row"), [(operation, row) for operation, row in ROWS if "pooling" not in operation])
def test_row_gives_no_dx_where_none_is_asked_for(operation, row):
    asked = asked_for(operation, row, input_gradient=False)
    agree(run(row, asked, x_of(asked), ONE), plain(asked, x_of(asked)), 1e-12)


@EVERY_ROW
def test_every_number_of_workers_gives_the_same_bits(operation, row):
    asked = asked_for(operation, row, dtype=np.float32)
    x = x_of(asked, 7, np.float32)
    one, *others = [run(row, asked, x, device) for device in (ONE, TWO, THREE)]
    for other in others:
        assert all(np.array_equal(value, other[key]) for key, value in one.items())


@EVERY_ROW
def test_row_runs_on_a_simulated_card(operation, row):
    device = get_device("sim:0")
    asked, here = (asked_for(operation, row, device=where) for where in (device, WHOLE))
    agree(run(row, asked, x_of(here), device), plain(here, x_of(here)), 1e-12)


@EVERY_ROW
def test_row_takes_any_order_in_memory_and_writes_on_no_argument(operation, row):
    asked = asked_for(operation, row)
    x, expected = x_of(asked), plain(asked, x_of(asked))
    dout = values(expected["out"].shape, 2)
    turned = [np.ascontiguousarray(np.moveaxis(a, 0, -1)) for a in (x, dout)]
    views = [np.moveaxis(a, -1, 0) for a in turned]
    for a in (*turned, x, dout):
        a.flags.writeable = False
    for view in views:
        view.flags.writeable = False
    agree(run(row, asked, x, ONE, dout), expected, 1e-12)
    agree(run(row, asked, views[0], ONE, views[1]), expected, 1e-12)


@EVERY_ROW
def test_function_applied_in_the_blocks_is_the_function_applied_afterwards(operation, row):
    asked = asked_for(operation, row)
    x = x_of(asked)
    without, _ = row.forward(asked, x, ONE, None)
    within, _ = row.forward(asked, x, ONE, lambda x, out, scratch: np.tanh(x, out=out))
    assert np.array_equal(within, np.tanh(without))


@settings(max_examples=60)
@given(g=geometries(groups=True))
def test_every_convolution_on_any_geometry(g):
    check_geometry("convolution", g)


@settings(max_examples=60)
@given(g=geometries(pooling=True))
def test_every_pooling_on_any_geometry(g):
    check_geometry("max pooling", g)
    check_geometry("average pooling", g)


def check_geometry(operation, g):
    given_ = {"size": g.size, "kernel": g.kernel, "stride": g.stride, "sides": g.padding, "ceil": g.ceil, "groups": g.groups}
    for row in table.CPU[operation]:
        asked = asked_for(operation, row, c=g.channels, k=g.out_channels, **given_)
        if asked is not None:
            agree(run(row, asked, x_of(asked, g.n), ONE), plain(asked, x_of(asked, g.n)), 1e-11)


@pytest.mark.parametrize("row", table.CPU["max pooling"], ids=lambda row: row.name)
@pytest.mark.parametrize("special", [-np.inf, np.nan, np.inf])
def test_every_max_pooling_has_the_same_winners(row, special):
    asked = ask("max pooling", sides=(1, 1, 0, 1), ceil=True)
    x = rng(4).integers(0, 3, asked.x_shape(5)).astype(np.float64)
    x[1:][rng(5).random(x[1:].shape) < 0.4] = special
    x[4] = special
    for device in (WHOLE, ONE, get_device("sim:0")):
        found, expected = run(row, asked, x, device), plain(asked, x)
        assert np.array_equal(found["out"], expected["out"], equal_nan=True)
        assert np.allclose(found["dx"], expected["dx"], rtol=1e-13, atol=1e-14)


@settings(max_examples=40)
@given(g=geometries(groups=True))
def test_plain_convolution_is_the_loops(g):
    windows = windows_of("layer", g.size, g.kernel, g.stride, g.padding, g.ceil)
    x, weight, bias = values(g.x_shape, 1), values((g.out_channels, g.channels // g.groups, *g.kernel), 3), values((g.out_channels,), 4)
    out = conv2d(x, weight, bias, windows, g.groups)
    told = {"groups": g.groups, **g.windows}
    assert np.allclose(out, reference.conv2d(x, weight, bias, **told), rtol=1e-12, atol=1e-12)
    dout, step, other = values(out.shape, 2), values(x.shape, 5), values(weight.shape, 6)
    dx, dweight, dbias = conv2d_backward(x, weight, dout, windows, g.groups)
    for gradient, direction, moved in ((dx, step, (step, weight)), (dweight, other, (x, other))):  # each is the transpose of the loops
        there = dout * reference.conv2d(*moved, None, **told)
        assert abs((gradient * direction).sum() - there.sum()) <= 1e-12 * (1 + np.abs(there).sum() + np.abs(gradient * direction).sum())
    assert np.allclose(dbias, dout.sum(axis=(0, 2, 3)), rtol=1e-13, atol=1e-13)


@settings(max_examples=40)
@given(g=geometries(pooling=True))
def test_plain_poolings_are_the_loops(g):
    windows = windows_of("layer", g.size, g.kernel, g.stride, g.padding, g.ceil, inside=True)
    x = rng(6).integers(-3, 0, g.x_shape).astype(np.float64)
    (out, winner), (expected, where) = max_pool(x, windows), reference.max_pool2d(x, g.kernel, **g.windows)
    assert np.array_equal(out, expected)
    dout, back = values(out.shape, 2), np.zeros(x.shape)
    for n, c, y, z in np.ndindex(*out.shape):
        back[(n, c, *where[n, c, y, z])] += dout[n, c, y, z]
    assert np.allclose(max_pool_backward(dout, winner, windows), back, rtol=1e-13, atol=1e-14)
    for counts, seen in ((False, windows), (True, replace(windows, counted=g.sides))):
        expected = reference.avg_pool2d(x, g.kernel, **g.windows, count_padding=counts)
        assert np.allclose(avg_pool(x, seen), expected, rtol=1e-13, atol=0)
        step = values(x.shape, 5)
        there = dout * reference.avg_pool2d(step, g.kernel, **g.windows, count_padding=counts)
        here = avg_pool_backward(dout, seen) * step
        assert abs(here.sum() - there.sum()) <= 1e-13 * (1 + np.abs(there).sum() + np.abs(here).sum())


def test_plain_product_is_the_loops():
    x, weight, bias = values((3, 7), 1), values((5, 7), 2), values((5,), 3)
    assert np.allclose(linear(x, weight, bias), reference.linear(x, weight, bias), rtol=1e-13, atol=1e-14)
    dout, zeros = values((3, 5), 4), np.zeros(7)
    dx, dweight, dbias = linear_backward(x, weight, dout)
    assert np.allclose(dx, reference.linear(dout, weight.T, zeros), rtol=1e-13, atol=1e-14)
    assert np.allclose(dweight, reference.linear(dout.T, x.T, zeros), rtol=1e-13, atol=1e-14)
    assert np.allclose(dbias, dout.sum(axis=0), rtol=1e-13, atol=1e-14)


@EVERY_ROW
def test_signatures(operation, row):
    def names(function):
        return [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_POSITIONAL]

    assert names(row.forward) == ["asked", "x", "device", "then"]
    assert inspect.signature(row.forward).parameters["then"].default is None
    kept = names(row.backward)
    assert (kept[0], len(kept), kept[2:]) == ("asked", 5, ["dout", "device", "grads"])
    assert names(row.pays) in (["asked", "n"], []) and names(row.fits) in (["asked"], []) and names(row.keeps) == ["asked"]
    assert names(row.scratch) == ["asked", "n", "backward", "workers"]


@EVERY_ROW
def test_a_row_says_what_it_needs_and_how_much_memory(operation, row):
    asked = asked_for(operation, row)
    assert (row.needs == "") == (row.fits is table.AVG_POOL.fits)
    for backward in (False, True):
        assert all(row.scratch(asked, 3, backward, workers) > 0 for workers in (None, 1, 2))
    assert row.keeps(asked).own >= 0


def test_plain_comes_last_on_a_cpu_and_first_elsewhere():
    for operation, rows in table.CPU.items():
        assert rows[-1].name == "plain" == table.OTHERS[operation][0].name
        assert set(rows) == set(table.OTHERS[operation]) and len({row.name for row in rows}) == len(rows)
        for kind in ("sim", "cuda"):
            assert table.choose(asked_for(operation, rows[-1]), 128, kind).name == "plain"


def test_table_names_no_device():
    text = Path(table.__file__).read_text(encoding="utf-8")
    assert not any(name in text for name in ("sim:", '"sim', '"cuda', "cuda:"))


@pytest.mark.parametrize("make", [
    lambda **w: ta.Conv2d(3, 4, 3, rng=rng(), **w), lambda **w: ta.Conv2d(3, 4, 3, rng=rng(), input_gradient=False, **w),
    lambda **w: ta.MaxPool2d(3, **w), lambda **w: ta.AvgPool2d(3, **w),
])  # fmt: skip
def test_layers_on_a_simulated_card_use_the_plain_functions(make):
    layer = make(device="sim:0")
    assert table.choose(layer.asked((3, 9, 9)), 40, layer.device.kind).name == "plain"
    linear_layer = ta.Linear(5, 4, rng=rng(), device="sim:0")
    assert table.choose(linear_layer.asked((5,)), 40, "sim").name == "plain"


def test_frozen_layer_keeps_a_handful_of_arrays_over_many_sizes_and_nothing_when_thawed():
    conv = ta.Conv2d(2, 3, 3, padding=1, rng=rng(), algorithm="winograd")
    conv.freeze()
    for h, w in np.ndindex(12, 12):
        conv.forward(np.ones((1, 2, h + 4, w + 4), np.float32))
    assert 1 <= len(conv.prepared) <= 9  # tiles of 4, 5 or 6 outputs each way
    conv.thaw()
    assert not conv.prepared

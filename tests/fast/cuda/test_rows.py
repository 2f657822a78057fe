"""Every row and every function of kernels equals its plain function, by the test that the rows for a CPU pass."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinyalex as ta
from tests.contract import rng, values
from tests.fast.cuda import host, ways
from tests.fast.cuda.ways import EVERY_WAY
from tests.fast.test_table import SIZES, WHOLE, agree, ask, asked_for, plain, run, x_of
from tests.strategies import geometries
from tinyalex import loss, optim
from tinyalex.fast import table
from tinyalex.fast.cuda import functions, loader
from tinyalex.layers import activation, dropout, lrn

ROWS = [(operation, row) for operation, rows in table.KERNELS.items() for row in rows]
EVERY_ROW = pytest.mark.parametrize(("operation", "row"), ROWS, ids=[f"{operation}-{row.name}" for operation, row in ROWS])
PLAIN = {f.__name__: f for f in (
    lrn.lrn_forward, lrn.lrn_backward, activation.relu_backward, dropout.kept_units, dropout.drop, loss.softmax_loss,
    loss.softmax_loss_backward, optim.sgd_step,
)}  # fmt: skip
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-5}
EVERY_DTYPE = pytest.mark.parametrize("dtype", TOLERANCE)


@pytest.fixture(autouse=True)
def kernels_run(monkeypatch):
    monkeypatch.setenv("TINYALEX_KERNELS", "1")


def both(operation, row, device, **given_):
    """What is asked of the device, and of NumPy."""
    return [asked_for(operation, row, device=where, **given_) for where in (device, WHOLE)]


@EVERY_WAY
@EVERY_ROW
@EVERY_DTYPE
@pytest.mark.parametrize(("geometry", "groups"), [(SIZES[0], 1), (SIZES[1], 2)], ids=["padded", "even"])
def test_row_is_its_plain_function(way, operation, row, dtype, geometry, groups):
    device = ways.device(way)
    asked, here = both(operation, row, device, dtype=dtype, groups=groups, **geometry)
    x = x_of(here, dtype=dtype)
    agree(run(row, asked, x, device), plain(here, x), TOLERANCE[dtype])


@EVERY_WAY
@EVERY_ROW
def test_row_takes_any_order_in_memory_and_any_number_of_images_at_once(way, operation, row, monkeypatch):
    device = ways.device(way)
    asked, here = both(operation, row, device)
    x, expected = x_of(here), plain(here, x_of(here))
    dout = values(expected["out"].shape, 2)
    for module in ("convolution", "pooling", "product"):  # so few elements at once that a block has two images at most, and three are asked
        monkeypatch.setattr(f"tinyalex.fast.cuda.{module}.MOST", 2 * max(x[0].size, dout[0].size))
    there = [np.moveaxis(device.asarray(np.ascontiguousarray(np.moveaxis(a, 0, -1))), -1, 0) for a in (x, dout)]
    assert not any(a.flags.c_contiguous for a in there)
    out, kept = row.forward(asked, there[0], device, None)
    found = {key: device.asarray(np.ones(expected[key].shape)) for key in ("weight", "bias") if key in expected}
    dx = row.backward(asked, kept, there[1], device, found)
    agree({key: device.to_numpy(value) for key, value in (found | {"out": out, "dx": dx}).items()}, expected, 1e-12)


@pytest.mark.skipif(host.why_not() is not None, reason=f"kernels as host: {host.why_not()}")
def test_columns_are_made_of_as_many_images_as_memory_allows(monkeypatch):
    row = table.KERNELS["convolution"][1]
    for memory, blocks in ((1 << 30, {2}), (1 << 18, range(5, 32))):  # forward and backward; the columns of all 16 images take 123 kB
        device, launched = host.HostDevice(9, memory), []
        asked, here = both("convolution", row, device, **SIZES[0])
        kernels = table.kernels_of(device)
        monkeypatch.setattr(kernels, "launch", lambda *a, own=kernels.launch, to=launched, **k: (to.append(a[1]), own(*a, **k)))
        agree(run(row, asked, x_of(here, 16), device), plain(here, x_of(here, 16)), 1e-12)
        assert launched.count("im2col") in blocks


@EVERY_WAY
@EVERY_ROW
def test_row_applies_a_function_and_relu_is_part_of_its_kernel(way, operation, row):
    device = ways.device(way)
    asked, here = both(operation, row, device)
    x = x_of(here)
    out = plain(here, x)["out"]
    within, _ = row.forward(asked, device.asarray(x), device, lambda x, out, scratch: np.tanh(x, out=out))
    assert np.allclose(device.to_numpy(within), np.tanh(out), rtol=0, atol=1e-12)
    relu, _ = row.forward(asked, device.asarray(x), device, ta.ReLU(device=device).function)
    assert np.allclose(device.to_numpy(relu), np.maximum(out, 0), rtol=0, atol=1e-12)
    x[0] = np.nan  # ReLU of NaN is NaN, so that a net that has diverged shows it
    relu, _ = row.forward(asked, device.asarray(x), device, ta.ReLU(device=device).function)
    with np.errstate(invalid="ignore"):
        expected = np.maximum(plain(here, x)["out"], 0)
    assert np.isnan(expected[0]).any() and np.array_equal(np.isnan(device.to_numpy(relu)), np.isnan(expected))


@EVERY_WAY
@pytest.mark.parametrize("row", [row for operation, row in ROWS if "pooling" not in operation], ids=lambda row: row.name)
def test_row_gives_no_dx_where_none_is_asked_for(way, row):
    operation = next(operation for operation, other in ROWS if other is row)
    device = ways.device(way)
    asked, here = (ask(operation, input_gradient=False, device=where) for where in (device, WHOLE))
    agree(run(row, asked, x_of(here), device), plain(here, x_of(here)), 1e-12)


@pytest.mark.skipif(host.why_not() is not None, reason=f"kernels as host: {host.why_not()}")
@EVERY_ROW
def test_any_order_of_blocks_and_threads_gives_the_same_bits(operation, row, monkeypatch):
    device = ways.device("host")
    asked, here = both(operation, row, device, dtype=np.float32, size=(13, 11), c=6, k=6)
    x, found = x_of(here, 4, np.float32), []
    for order in (1, 2, 3):
        monkeypatch.setattr(host.HostModule, "order", order)
        found.append(run(row, asked, x, device))
    assert all(np.array_equal(value, other[key]) for other in found[1:] for key, value in found[0].items())


@EVERY_WAY
@settings(max_examples=25, deadline=None)
@given(g=geometries(groups=True), n=st.sampled_from([1, 2, 5]))
def test_every_convolution_on_any_geometry(way, g, n):
    check_geometry(way, "convolution", g, n)


@EVERY_WAY
@settings(max_examples=40, deadline=None)
@given(g=geometries(pooling=True), n=st.sampled_from([1, 2, 5]))
def test_every_pooling_on_any_geometry(way, g, n):
    check_geometry(way, "max pooling", g, n)
    check_geometry(way, "average pooling", g, n)
    check_geometry(way, "average pooling", g, n, counts=True)


def check_geometry(way, operation, g, n, **more):
    device = ways.device(way)
    given_ = {"size": g.size, "kernel": g.kernel, "stride": g.stride, "sides": g.padding, "ceil": g.ceil, "groups": g.groups} | more
    for row in table.KERNELS[operation]:
        asked, here = both(operation, row, device, c=g.channels, k=g.out_channels, **given_)
        agree(run(row, asked, x_of(here, n), device), plain(here, x_of(here, n)), 1e-11)


@EVERY_WAY
@pytest.mark.parametrize("k", [70, 3])
def test_tiles_larger_and_smaller_than_the_convolution(way, k):
    device = ways.device(way)
    for row in table.KERNELS["convolution"]:
        asked, here = both("convolution", row, device, size=(9, 10), c=5, k=k, kernel=(3, 3), stride=(1, 1), sides=(1, 1, 1, 1))
        agree(run(row, asked, x_of(here, 1), device), plain(here, x_of(here, 1)), 1e-12)


@EVERY_WAY
@pytest.mark.parametrize("special", [-np.inf, np.nan, np.inf])
def test_max_pooling_has_the_same_winners_and_the_same_bits(way, special):
    device = ways.device(way)
    (row,) = table.KERNELS["max pooling"]
    asked, here = both("max pooling", row, device, sides=(1, 1, 0, 1), ceil=True)
    x = rng(4).integers(0, 3, here.x_shape(5)).astype(np.float64)
    x[1:][rng(5).random(x[1:].shape) < 0.4] = special
    x[4] = special
    found, expected = run(row, asked, x, device), plain(here, x)
    assert np.array_equal(found["out"], expected["out"], equal_nan=True) and np.array_equal(found["dx"], expected["dx"])
    _, winner = row.forward(asked, device.asarray(x), device)
    assert np.array_equal(device.to_numpy(winner), here.plain[0](x, here.windows)[1])


def kernel(device, name, dtype):
    """The function that launches kernels in place of the plain one."""
    found = table.function(PLAIN[name], device, dtype)
    assert found is not PLAIN[name]
    return found


@EVERY_WAY
@EVERY_DTYPE
@pytest.mark.parametrize("window", [(2, 2, 1), (2, 2, 2), (0, 0, 1), (2, 1, 2), (1, 2, 3), (20, 20, 2)], ids=str)
@pytest.mark.parametrize("beta", [0.75, 1.25])
def test_lrn(way, dtype, window, beta):
    device = ways.device(way)
    a, dout = values((2, 12, 5, 3), 1, dtype), values((2, 12, 5, 3), 2, dtype)
    scale, out, dx = (np.empty_like(a) for _ in range(3))
    lrn.lrn_forward(a, 2.0, 0.3, beta, window, scale, out)
    lrn.lrn_backward(a, scale, dout, 0.3, beta, window, dx)
    there, of_out = device.empty(a.shape, dtype), device.empty(a.shape, dtype)
    kernel(device, "lrn_forward", dtype)(device.asarray(a), 2.0, 0.3, beta, window, there, of_out, device.scratch())
    agree({"scale": device.to_numpy(there), "out": device.to_numpy(of_out)}, {"scale": scale, "out": out}, TOLERANCE[dtype])
    for of_dx in (device.empty(a.shape, dtype), there):  # also where the scale is
        kernel(device, "lrn_backward", dtype)(device.asarray(a), there, device.asarray(dout), 0.3, beta, window, of_dx, device.scratch())
        agree({"dx": device.to_numpy(of_dx)}, {"dx": dx}, TOLERANCE[dtype])


@EVERY_WAY
@EVERY_DTYPE
def test_relu_backward(way, dtype):
    device = ways.device(way)
    out, dout, dx = np.maximum(values((3, 11, 5), 1, dtype), 0), values((3, 11, 5), 2, dtype), np.empty((3, 11, 5), dtype)
    dout[0, 0] = np.inf, np.nan, -np.inf, 1, -1
    with np.errstate(invalid="ignore"):  # 0 times infinity
        activation.relu_backward(out, dout, dx)
    there = device.empty(dx.shape, dtype)
    kernel(device, "relu_backward", dtype)(device.asarray(out), device.asarray(dout), there, device.scratch())
    assert np.array_equal(device.to_numpy(there), dx, equal_nan=True) and np.isnan(dx).any() and (dx[1:] == 0).any()


@EVERY_WAY
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 6, 5), (5, 33, 2, 3)], ids=str)
@pytest.mark.parametrize("part", [(0, 1), (1, 2), (2, 3)], ids=str)
@pytest.mark.parametrize("p", [0.0, 0.5, 1 - 2**-40])
def test_masks_of_dropout_are_those_of_the_host_bit_for_bit(way, shape, part, p):
    device = ways.device(way)
    for seed, step in ((3, 0), (4, 2**64 - 1)):
        asked = (*dropout.mask_key(seed, "fc6", step), shape, dropout.threshold(p), part)
        made = kernel(device, "kept_units", np.float32)(*asked)
        assert device.owns(made) and np.array_equal(device.to_numpy(made), dropout.kept_units(*asked))


@EVERY_WAY
def test_a_unit_whose_bits_are_the_threshold_is_kept(way):
    device, key, shape = ways.device(way), 5, (2, 9)
    bits = np.random.Philox(key=key).random_raw(9).astype("<u8").view("<u4").reshape(shape)
    for least in (int(bits[0, 3]), int(bits[1, 8])):
        made = device.to_numpy(kernel(device, "kept_units", np.float32)(key, 0, shape, least))
        assert np.array_equal(made, bits >= least) and not np.array_equal(made, bits > least)


@EVERY_WAY
@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(1, 1), (4, 77)], ids=str)
def test_drop(way, dtype, shape):
    device = ways.device(way)
    x, mask, out = values(shape, 1, dtype), rng(2).random(shape) < 0.5, np.empty(shape, dtype)
    dropout.drop(x, mask, 2.0, out)
    there = device.empty(shape, dtype)
    kernel(device, "drop", dtype)(device.asarray(x), device.asarray(mask), 2.0, there, device.xp)
    assert np.array_equal(device.to_numpy(there), out)


@EVERY_WAY
@EVERY_DTYPE
@pytest.mark.parametrize("shape", [(1, 1), (3, 10), (2, 128), (5, 300)], ids=str)
@pytest.mark.parametrize("case", ["plain", "far apart", "one is -inf", "nan"])
def test_softmax_with_the_loss(way, dtype, shape, case):
    device = ways.device(way)
    logits, labels = values(shape, 1, dtype), rng(2).integers(0, shape[1], shape[0]).astype(np.int32)
    if case == "far apart":
        logits *= 1e4
    if case == "one is -inf" and shape[1] > 1:
        logits[0, (labels[0] + 1) % shape[1]] = -np.inf
    if case == "nan":
        logits[0, 0] = np.nan
    each, probs = loss.softmax_loss(logits, labels)
    of_each, of_probs = kernel(device, "softmax_loss", dtype)(device.asarray(logits), device.asarray(labels), device.xp)
    assert of_each.dtype == of_probs.dtype == dtype
    for found, expected in ((of_each, each), (of_probs, probs)):
        assert np.allclose(device.to_numpy(found), expected, rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype], equal_nan=True)
    gradient = kernel(device, "softmax_loss_backward", dtype)(device.asarray(probs), device.asarray(labels), device.xp)
    assert np.allclose(device.to_numpy(gradient), loss.softmax_loss_backward(probs, labels), rtol=TOLERANCE[dtype], atol=0, equal_nan=True)


@EVERY_WAY
@EVERY_DTYPE
@pytest.mark.parametrize("size", [1, 256, 700])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_step(way, dtype, size, decay):
    device = ways.device(way)
    here = [values((size,), seed, dtype) for seed in (1, 2, 3)]
    there = [device.asarray(a) for a in here]
    optim.sgd_step(*here, 0.3, 0.9, decay)
    kernel(device, "sgd_step", dtype)(*there, 0.3, 0.9, decay, device.xp)
    for found, expected in zip(there, here, strict=True):
        agree({"array": device.to_numpy(found)}, {"array": expected}, TOLERANCE[dtype])
    assert not device.to_numpy(there[1]).any()


MANY = [  # with more elements than a kernel is given at once: some are launched in parts, for others the plain function computes
    ("lrn_forward", lambda way: test_lrn(way, np.float64, (2, 2, 1), 0.75)),
    ("lrn_backward", lambda way: test_lrn(way, np.float64, (2, 2, 2), 0.75)),
    ("relu_backward", lambda way: test_relu_backward(way, np.float64)),
    ("kept_units", lambda way: test_masks_of_dropout_are_those_of_the_host_bit_for_bit(way, (5, 33, 2, 3), (1, 2), 0.5)),
    ("drop", lambda way: test_drop(way, np.float64, (4, 77))),
    ("softmax_loss", lambda way: test_softmax_with_the_loss(way, np.float64, (5, 300), "plain")),
    ("softmax_loss_backward", lambda way: test_softmax_with_the_loss(way, np.float64, (3, 10), "plain")),
    ("sgd_step", lambda way: test_sgd_step(way, np.float64, 700, 0.1)),
]


@EVERY_WAY
@pytest.mark.parametrize(("name", "check"), MANY, ids=[name for name, _ in MANY])
def test_a_kernel_is_never_given_more_elements_than_its_indices_can_count(way, name, check, monkeypatch):
    sizes, start = [], loader.Kernels.start

    def noted(self, file, kernel, grid, threads, *arguments, **others):
        sizes.append(max([argument.size for argument in arguments if hasattr(argument, "size") and argument.ndim]))
        start(self, file, kernel, grid, threads, *arguments, **others)

    monkeypatch.setattr(loader.Kernels, "start", noted)
    monkeypatch.setattr(functions, "MOST", 16)
    check(way)
    assert all(size <= 16 for size in sizes), (name, sizes)


@EVERY_WAY
def test_a_net_trains_on_kernels_as_on_a_cpu(way):
    device = ways.device(way)

    def net(where):
        rng = np.random.default_rng(0)
        settings_ = {"rng": rng, "device": where, "dtype": np.float64}
        here = {"device": where, "dtype": np.float64}
        return ta.Sequential([
            ta.Conv2d(3, 4, 3, padding=1, name="conv1", **settings_),
            ta.ReLU(name="relu1", **here),
            ta.LocalResponseNorm(name="norm1", **here),
            ta.MaxPool2d(3, stride=2, name="pool1", **here),
            ta.Conv2d(4, 70, 3, name="conv2", **settings_),
            ta.ReLU(name="relu2", **here),
            ta.Flatten(**here),
            ta.Linear(70, 9, name="fc3", **settings_),
            ta.Dropout(name="drop3", **here),
            ta.Linear(9, 5, name="fc4", **settings_),
        ])  # fmt: skip

    x, labels = values((3, 3, 7, 7), 1), np.array([0, 4, 2])
    results = []
    for where in (ta.CpuDevice(workers=1), device):
        model, criterion = net(where), ta.SoftmaxCrossEntropy(device=where, dtype=np.float64)
        sgd, losses = ta.SGD(model, lr=0.5), []
        for _ in range(3):
            losses.append(float(where.to_numpy(criterion.forward(model.forward(where.asarray(x), train=True), labels, train=True))))
            model.backward(criterion.backward())
            sgd.step()
        results.append((losses, {name: where.to_numpy(w) for name, w in model.params.items()}))
    (here, weights), (there, others) = results
    assert np.allclose(here, there, rtol=1e-10, atol=0) and here[0] != here[2]
    agree(others, weights, 1e-10)


def test_signatures():
    for name, (_, launches, _) in table.FUNCTIONS.items():
        own = list(inspect.signature(launches).parameters)
        assert own == ["kernels", "plain", *inspect.signature(PLAIN[name]).parameters], name
        assert getattr(functions, name) is launches
    for _, row in ROWS:
        assert [*inspect.signature(row.forward).parameters] == ["asked", "x", "device", "then"]
        kept = [*inspect.signature(row.backward).parameters]
        assert (kept[0], len(kept), kept[2:]) == ("asked", 5, ["dout", "device", "grads"])


@EVERY_ROW
def test_a_row_says_how_much_memory_it_needs(operation, row):
    asked = asked_for(operation, row)
    assert all(row.scratch(asked, 3, backward, workers) > 0 for backward in (False, True) for workers in (None, 2))
    assert row.keeps(asked).own >= 0

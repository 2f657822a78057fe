"""Convolution by Winograd's minimal filtering."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinyalex as ta
from tests.contract import refuses, rng, values
from tinyalex.devices import CpuDevice
from tinyalex.errors import ShapeError
from tinyalex.fast.mosaic import Mosaic, mosaic_of, winograd_pays
from tinyalex.fast.table import choose
from tinyalex.fast.winograd import transform_weight, winograd_forward, winograd_forward_few
from tinyalex.geometry import windows_of


def both(args, x, dout_seed=2, dtype=np.float64, device="cpu", **settings_):
    """Output, dx and gradients of the same layer by im2col and by winograd."""
    found = []
    for algorithm in ("im2col", "winograd"):
        conv = ta.Conv2d(*args, rng=rng(), weight_init=ta.Gaussian(1), bias_init=ta.Gaussian(1), dtype=dtype, device=device,
                         algorithm=algorithm, **settings_)  # fmt: skip
        out = conv.forward(x, train=True)
        dx = conv.backward(values(out.shape, dout_seed, dtype))
        found.append({"out": out, "dx": dx, "dweight": conv.grads["weight"], "dbias": conv.grads["bias"]})
    return found


def worst(a, b):
    """The largest difference over the largest value; where all values are zero, the largest difference."""
    assert a.shape == b.shape
    return np.abs(a - b).max() / (np.abs(b).max() or 1)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "padding", "size"),
    [
        (3, 1, (13, 13)),
        (5, 2, (27, 9)),
        ((3, 5), (0, 1, 2, 1), (8, 12)),
        ((2, 4), (3, 5, 0, 7), (5, 6)),
        (5, 0, (5, 7)),
        (4, "same", (6, 6)),
    ],
)
def test_agrees_with_im2col(kernel, padding, size, groups):
    direct, fast = both((4, 6, kernel), values((3, 4, *size), 1), padding=padding, groups=groups)
    for key, expected in direct.items():
        assert worst(fast[key], expected) < 1e-12, key


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [
        (11, 4, 0, (51, 39)),
        (11, 4, 2, (50, 41)),  # the last lines and columns are seen by no window
        ((5, 3), (3, 1), (1, 2, 0, 3), (20, 13)),
        (3, 2, "same", (9, 8)),
        (4, (1, 3), (5, 0, 0, 7), (4, 6)),
    ],
)
def test_agrees_with_im2col_at_strides(kernel, stride, padding, size, groups):
    direct, fast = both((4, 6, kernel), values((3, 4, *size), 1), stride=stride, padding=padding, groups=groups)
    for key, expected in direct.items():
        assert worst(fast[key], expected) < 1e-12, key


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "padding", "size", "bands"),
    [
        (3, 1, (56, 50), 2),
        (3, 1, (60, 120), 4),
        (5, (0, 3, 2, 1), (40, 41), 2),
        ((2, 4), 0, (45, 70), 2),
        (3, (60, 0, 1, 1), (20, 50), 1),  # a band would see padding alone, so the image stays whole
        (3, (0, 60, 1, 1), (20, 50), 1),
    ],
)
def test_one_large_image_in_bands_agrees_with_im2col(kernel, padding, size, bands, groups):
    made, whole = [], Mosaic.bands
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mosaic, "bands", lambda self, count: made.append(found := whole(self, count)) or found)
        x = values((1, 4, *size), 1)
        direct, fast = both((4, 6, kernel), x, padding=padding, groups=groups)
        again = both((4, 6, kernel), x, padding=padding, groups=groups, device=CpuDevice(workers=3))[1]
    assert [len(found) for found in made] == [bands] * 2
    assert worst(fast["out"], direct["out"]) < 1e-12 and np.array_equal(again["out"], fast["out"])


@pytest.mark.parametrize("groups", [1, 2])
def test_many_images_in_blocks_agree_with_im2col(groups):
    x = values((31, 4, 27, 9), 1)
    assert not mosaic_of(windows_of("conv", (27, 9), 5, 1, 2)).few(len(x))
    direct, fast = both((4, 6, 5), x, padding=2, groups=groups)
    for key, expected in direct.items():
        assert worst(fast[key], expected) < 1e-12, key


def test_few_images_by_points_are_what_they_are_by_blocks():
    x, conv = values((3, 4, 13, 11), 1), ta.Conv2d(4, 6, 3, rng=rng(), groups=2, dtype=np.float64)
    mosaic, device = mosaic_of(conv.windows(x.shape[1:])), CpuDevice(workers=3)
    u, bias = transform_weight(conv.params["weight"], 2, mosaic, device), values((6,), 2)
    by_blocks, by_points = np.empty((3, 6, 11, 9)), np.empty((3, 6, 11, 9))
    winograd_forward(x, u, bias, mosaic, by_blocks)
    winograd_forward_few(x, u, bias, mosaic, by_points, device)
    device.close()
    assert worst(by_points, by_blocks) < 1e-14


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_agrees_with_im2col_on_any_shape(data):
    stride = tuple(data.draw(st.integers(1, 4)) for _ in range(2))
    kernel = tuple(data.draw(st.integers(s + 1, min(5 * s, 11))) for s in stride)
    padding = tuple(data.draw(st.integers(0, 6)) for _ in range(4))
    size = tuple(data.draw(st.integers(max(1, k - padding[2 * i]), 12)) for i, k in enumerate(kernel))
    ceil = data.draw(st.booleans())
    n, groups = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 3))
    c, k = groups * data.draw(st.integers(1, 3)), groups * data.draw(st.integers(1, 3))
    direct, fast = both((c, k, kernel), values((n, c, *size), 1), stride=stride, padding=padding, groups=groups, ceil_mode=ceil)
    for key, expected in direct.items():
        assert worst(fast[key], expected) < 1e-11, key


ALEXNET = {  # channels, filters, kernel, size, and the rest
    "conv1": (3, 96, 11, 227, {"stride": 4}),
    "conv2": (96, 256, 5, 27, {"padding": 2, "groups": 2}),
    "conv3": (256, 384, 3, 13, {"padding": 1}),
    "conv4": (384, 384, 3, 13, {"padding": 1, "groups": 2}),
    "conv5": (384, 256, 3, 13, {"padding": 1, "groups": 2}),
}


@pytest.mark.parametrize("layer", ALEXNET)
def test_float32_error_at_alexnet_s_shapes(layer):
    c, k, kernel, size, rest = ALEXNET[layer]
    x = np.maximum(values((4, c, size, size), 1), 0)
    exact, _ = both((c, k, kernel), x, **rest)
    _, fast = both((c, k, kernel), x.astype(np.float32), dtype=np.float32, **rest)
    for key, expected in exact.items():
        assert worst(fast[key], expected) < 1e-4, key


def test_every_number_of_workers_gives_the_same_bits():
    x, found = values((13, 4, 9, 8), 1, np.float32), []
    for workers in (1, 2, 3, 20):
        device = CpuDevice("cpu", workers=workers)
        found.append(both((4, 6, 3), x, dtype=np.float32, device=device, padding=1, groups=2)[1])
        device.close()
    for other in found[1:]:
        assert all(np.array_equal(other[key], found[0][key]) for key in other)


def test_tiles_with_the_fewest_products_are_taken():
    conv3 = mosaic_of(windows_of("conv3", (13, 13), 3, 1, 1))
    assert (conv3.height.m, conv3.tiles, conv3.points, conv3.products) == (5, 9, 49, 19 * 19)  # 5 + 4 + 4 outputs
    conv2 = mosaic_of(windows_of("conv2", (27, 27), 5, 1, 2))
    assert (conv2.height.m, conv2.tiles, conv2.points, conv2.products) == (4, 49, 64, 56 * 56)
    conv1 = mosaic_of(windows_of("conv1", (227, 227), 11, 4))
    assert (conv1.height.m, conv1.tiles, conv1.points, conv1.products) == (5, 121, 49, 77 * 77)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 31, 32, 128])
def test_blocks_are_even_in_number_where_there_are_images_enough(n):
    for size, kernel, stride, pairs, most in (
        (227, 11, 4, 48 * 96, 8), (27, 5, 1, 48 * 128, 3), (27, 5, 1, 1, 8), (13, 3, 1, 192 * 192, 33), (8, 5, 1, 32 * 64, 75),
    ):  # fmt: skip
        images = mosaic_of(windows_of("conv", (size, size), kernel, stride, kernel // 2)).block_size(n, pairs)
        blocks = -(-n // images)
        assert images <= most
        assert 1 <= images <= n and blocks <= n and (n == 1 or blocks % 2 == 0 or blocks > 8)


def test_auto_is_decided_by_this_table():
    table = {  # (kernel, stride, padding, size, channels and filters a group, images)
        (11, 4, 0, 227, 3, 96, 1): "strips", (11, 4, 0, 227, 3, 96, 2): "winograd", (11, 4, 0, 227, 3, 96, 128): "winograd",
        (7, 2, 1, 224, 3, 96, 128): "strips", (5, 2, 0, 55, 96, 256, 32): "winograd", (3, 2, 1, 28, 128, 128, 32): "winograd",
        (3, 2, 1, 14, 256, 256, 32): "im2col",
        (5, 1, 2, 27, 48, 128, 1): "winograd", (5, 1, 2, 27, 48, 128, 2): "winograd", (5, 1, 2, 27, 48, 128, 128): "winograd",
        (3, 1, 1, 13, 256, 384, 2): "few", (3, 1, 1, 13, 256, 384, 4): "winograd", (3, 1, 1, 13, 192, 192, 128): "winograd",
        (3, 1, 1, 13, 192, 128, 128): "winograd", (5, 1, 2, 16, 32, 32, 128): "winograd", (5, 1, 2, 8, 32, 64, 128): "winograd",
        (5, 1, 2, 32, 3, 32, 128): "im2col", (5, 1, 2, 8, 32, 64, 1): "few", (3, 1, 1, 4, 96, 96, 8): "im2col",
        (3, 1, 1, 4, 96, 96, 16): "winograd",
    }  # fmt: skip
    for (kernel, stride, padding, size, c, k, n), algorithm in table.items():
        conv = ta.Conv2d(c, k, kernel, stride=stride, padding=padding, rng=rng())
        assert choose(conv.asked((c, size, size)), n, "cpu").name == algorithm
        pays = winograd_pays(mosaic_of(windows_of("conv", (size, size), kernel, stride, padding)), c, k, n)
        assert pays == (algorithm == "winograd")


@pytest.mark.parametrize(("n", "frozen"), [(1, "winograd"), (8, "winograd")])
def test_frozen_layer_takes_winograd_for_fewer_tiles(n, frozen):
    conv = ta.Conv2d(384, 384, 3, padding=1, groups=2, rng=rng())
    before = choose(conv.asked((384, 13, 13)), n, "cpu").name
    conv.freeze()
    assert (before, choose(conv.asked((384, 13, 13)), n, "cpu").name) == ("few" if n == 1 else "winograd", frozen)


@pytest.mark.parametrize(
    ("setting", "algorithm"),
    [({"stride": 3}, "im2col"), ({"stride": 2}, "winograd"), ({"kernel": 11}, "strips"), ({"kernel": 1}, "pointwise")],
)
def test_auto_takes_columns_where_winograd_has_no_form(setting, algorithm):
    conv = ta.Conv2d(32, 32, setting.get("kernel", 3), stride=setting.get("stride", 1), rng=rng())
    assert choose(conv.asked((32, 31, 31)), 128, "cpu").name == algorithm


@pytest.mark.parametrize("kernel", [3, 11])
def test_auto_takes_the_plain_functions_where_nothing_was_measured(kernel):
    conv = ta.Conv2d(32, 32, kernel, rng=rng(), device="sim:0")
    assert choose(conv.asked((32, 31, 31)), 128, conv.device.kind).name == "plain"


@pytest.mark.parametrize(
    ("kernel", "stride", "got"),
    [(2, 2, "kernel 2, stride 2"), ((3, 6), 1, "kernel 3x6, stride 1"), ((4, 11), 2, "kernel 4x11, stride 2"),
     (1, 1, "kernel 1, stride 1")],  # fmt: skip
)
def test_refuses_what_it_has_no_form_for(kernel, stride, got):
    text = "conv: algorithm 'winograd' must have a kernel larger than its stride and at most 5 times as large, got "
    with refuses(ShapeError, f"{text}{got}, input_gradient=True; use 'auto' or 'plain'"):
        ta.Conv2d(3, 4, kernel, stride=stride, rng=rng(), algorithm="winograd")


def test_refuses_an_unknown_algorithm():
    with refuses(ShapeError, "conv: algorithm must be auto, winograd, pointwise, lines, strips, few, im2col or plain, got 'fft'"):
        ta.Conv2d(3, 4, 3, rng=rng(), algorithm="fft")

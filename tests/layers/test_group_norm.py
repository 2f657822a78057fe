import numpy as np
import pytest

import tinyalex as ta
from tests.contract import refuses, rng, values
from tests.places import PLACES, device_of, host
from tinyalex.fast.request import Keeps
from tinyalex.layers.facts import Facts


def make(*args, **settings):
    draw = {"weight_init": ta.Gaussian(0.5), "bias_init": ta.Gaussian(0.5), "rng": rng(), "dtype": np.float64}
    return ta.GroupNorm(*args, **(draw | settings))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_each_group_of_each_image_by_the_formula(place, groups):
    device, x = device_of(place), 5 + values((3, 6, 4, 5))
    gn, out = make(groups, 6, eps=0.1, device=device), np.empty((3, 6, 4, 5))
    weight, bias = host(device, gn.weight), host(device, gn.bias)
    for n in range(3):
        for first in range(0, 6, 6 // groups):
            part = x[n, first : first + 6 // groups]
            out[n, first : first + 6 // groups] = (part - part.mean()) / np.sqrt(part.var() + 0.1)
    out = out * weight[:, None, None] + bias[:, None, None]
    for train in (False, True):
        np.testing.assert_allclose(host(device, gn.forward(device.asarray(x), train=train)), out, rtol=1e-12, atol=1e-12)


def test_image_does_not_depend_on_its_batch():
    gn, x = make(2, 4), values((5, 4, 3, 3))
    assert np.array_equal(gn.forward(x)[2:3], gn.forward(x[2:3]))


@pytest.mark.parametrize("cache", [1, 6 << 20])
def test_any_number_of_workers_gives_the_same_bits(cache):
    x, results = values((9, 4, 5, 4), dtype=np.float32), []
    for workers in (1, 3):
        gn = make(2, 4, device=ta.CpuDevice(workers=workers, cache=cache), dtype=np.float32)
        results.append([gn.forward(x, train=True), gn.backward(x)])
        gn.device.close()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((0, 4), "gn: groups must be an integer of at least 1, got 0"),
        ((3, 4), "gn: channels must be a multiple of groups=3, got 4; 4 can have 2 or 4 groups"),
        ((5, 6), "gn: channels must be a multiple of groups=5, got 6; 6 can have 3 or 6 groups"),
        ((9, 6), "gn: channels must be a multiple of groups=9, got 6; 6 can have 6 groups"),
        ((2, 7), "gn: channels must be a multiple of groups=2, got 7; 7 can have 1 or 7 groups"),
    ],
)
def test_bad_settings_raise(args, text):
    with refuses(ta.ShapeError, text):
        ta.GroupNorm(*args)


@pytest.mark.parametrize("eps", [-1, 0, np.inf])
def test_eps_that_is_no_finite_number_above_0_is_refused(eps):
    with refuses(ta.ShapeError, f"gn: eps must be a finite number above 0, got {eps}"):
        ta.GroupNorm(2, 4, eps=eps)


def test_it_keeps_its_input_and_two_values_a_group():
    assert ta.GroupNorm(3, 6, dtype=np.float64).facts((6, 4, 5)) == Facts(keeps=Keeps(x=True, own=2 * 3 * 8))


def test_channels_that_the_groups_do_not_divide_are_named_by_the_net():
    with refuses(ta.ShapeError, "gn: channels must be a multiple of groups=4, got 6"):
        ta.Sequential([ta.GroupNorm(4)], in_shape=(6, 2, 2))

"""The shortcut without parameters, and the fixed factor of Inception-ResNet."""

import numpy as np
import pytest

import tinyalex as ta
from tests import reference
from tests.contract import refuses, values
from tests.places import PLACES, device_of, host
from tinyalex.fast.request import Keeps
from tinyalex.geometry import Windows
from tinyalex.layers.facts import Facts

every_place = pytest.mark.parametrize("place", PLACES)


@every_place
@pytest.mark.parametrize(("zeros", "before"), [("behind", 0), ("around", 1)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_shortcut_copies_every_second_pixel_between_channels_of_zeros(place, zeros, before, stride):
    device, x = device_of(place), values((2, 3, 5, 4))
    layer = ta.ZeroShortcut(6, stride=stride, zeros=zeros, device=device, dtype=np.float64)
    out = host(device, layer.forward(device.asarray(x), train=True))
    assert np.array_equal(out, reference.zero_shortcut(x, 6, stride, before))
    dout, step = values(out.shape, 3), values(x.shape, 4)
    dx = host(device, layer.backward(device.asarray(dout)))
    assert np.sum(dx * step) == pytest.approx(np.sum(dout * reference.zero_shortcut(step, 6, stride, before)), rel=1e-13)


@every_place
def test_factor_multiplies_and_may_be_assigned_between_forward_and_backward(place):
    device, x = device_of(place), values((2, 3, 4))
    layer = ta.Scale(0.25, device=device, dtype=np.float64)
    assert np.array_equal(host(device, layer.forward(device.asarray(x), train=True)), 0.25 * x)
    layer.factor = 3.0
    assert np.array_equal(host(device, layer.backward(device.asarray(x))), 0.25 * x)


@pytest.mark.parametrize("factor", [0, float("nan"), float("inf"), "0.1", None])
def test_factor_that_is_none_raises(factor):
    with refuses(ta.ShapeError, "scale: factor must be a finite number other than 0, got "):
        ta.Scale(factor)


def test_bad_shortcuts_raise():
    with refuses(ta.ShapeError, "shortcut: channels must be "):
        ta.ZeroShortcut(0)
    with refuses(ta.ShapeError, "shortcut: stride must be "):
        ta.ZeroShortcut(3, stride=0)
    with refuses(ta.ShapeError, "shortcut: zeros must be behind or around, got 'before'"):
        ta.ZeroShortcut(3, zeros="before")
    with refuses(ta.ShapeError, "only a projection can have fewer channels than x"):
        ta.ZeroShortcut(2).output_shape((3, 4, 4))


def test_windows_and_shapes_of_a_shortcut():
    layer = ta.ZeroShortcut(7, stride=2)
    assert layer.facts((3, 5, 7)) == Facts(keeps=Keeps(), windows=Windows((5, 7), (1, 1), (2, 2), (0, 0), (3, 4)))
    assert layer.output_shape((3, 5, 7)) == (7, 3, 4) and ta.ZeroShortcut(3).output_shape((3, 5, 7)) == (3, 5, 7)
    with refuses(ta.ShapeError, "shortcut: x must have 4 axes (N, C, H, W), got ('N', 3, 5)"):
        layer.output_shape((3, 5))


def test_half_of_the_zeros_are_in_front():
    out = ta.ZeroShortcut(6, zeros="around").forward(np.ones((1, 2, 1, 1), np.float32))
    assert out.ravel().tolist() == [0, 0, 1, 1, 0, 0]

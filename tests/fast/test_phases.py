"""A stride dealt out into phases."""

import numpy as np
import pytest

from tests.contract import values
from tinyalex.devices import NEW_ARRAYS
from tinyalex.fast.phases import inputs_of, kernel_phases, out_of_inputs, phases, whole_kernels
from tinyalex.geometry import Windows, windows_of

SHAPES = {  # size, kernel, stride, padding
    "conv1": ((51, 39), 11, 4, 0),
    "padding, and lines that no window sees": ((10, 14), (5, 4), (3, 2), (1, 2, 3, 0)),
    "stride along the width alone": ((4, 9), 3, (1, 2), 1),
}


@pytest.fixture(params=SHAPES)
def windows(request):
    return windows_of("conv", *SHAPES[request.param])


def test_windows_on_phases_are_as_many_with_stride_1():
    assert phases(windows_of("conv1", (227, 227), 11, 4)) == Windows((57, 57), (3, 3), (1, 1), (0, 0), (55, 55))


def test_stride_1_has_one_phase():
    same, x, weight = windows_of("conv", (4, 5), 3, 1, 1), values((2, 3, 4, 5), 1), values((2, 3, 3, 3), 2)
    assert phases(same) is same
    assert kernel_phases(weight, same.stride, np.empty) is weight
    assert np.array_equal(inputs_of(x, same, 1, NEW_ARRAYS).reshape(4, 5, 2, 3), x.transpose(2, 3, 0, 1))


@pytest.mark.parametrize("groups", [1, 2])
def test_each_phase_is_every_s_th_pixel_of_the_padded_image(windows, groups):
    (sh, sw), (top, left), (h, w), size = windows.stride, windows.before, windows.seen, phases(windows).size
    x = values((2, 4, *windows.size), 1)
    padded = np.zeros((2, 4, size[0] * sh, size[1] * sw))
    padded[:, :, top : top + h, left : left + w] = x[:, :, :h, :w]
    found = inputs_of(x, windows, groups, NEW_ARRAYS).reshape(*size, 2, groups, sh, 4 // groups, sw)
    for group, q_high, c, q_wide in np.ndindex(found.shape[3:]):
        expected = padded[:, group * (4 // groups) + c, q_high::sh, q_wide::sw]
        assert np.array_equal(found[:, :, :, group, q_high, c, q_wide], expected.transpose(1, 2, 0))


def test_out_of_phases_is_the_transpose(windows):
    x, phased = values((2, 4, *windows.size), 1), inputs_of(values((2, 4, *windows.size), 2), windows, 2, NEW_ARRAYS)
    sheet = values(phased.shape, 3)
    back = np.full_like(x, np.nan)
    out_of_inputs(sheet, windows, 2, back, NEW_ARRAYS)
    assert np.isclose((inputs_of(x, windows, 2, NEW_ARRAYS) * sheet).sum(), (x * back).sum(), rtol=1e-12)


def test_whole_kernels_are_the_transpose_of_their_phases(windows):
    weight = values((4, 3, *windows.kernel), 1)
    phased = kernel_phases(weight, windows.stride, np.empty)
    assert phased.shape[2:] == phases(windows).kernel
    gradient = values(phased.shape, 2)
    back = whole_kernels(np.ascontiguousarray(gradient.transpose(2, 3, 0, 1)), weight.shape, windows.stride)
    assert back.shape == weight.shape
    assert np.isclose((phased * gradient).sum(), (weight * back).sum(), rtol=1e-12)

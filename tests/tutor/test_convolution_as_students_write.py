"""Convolution and normalization as students write them: right by the usual check, and not at AlexNet's geometry."""

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES


def back(cut, add=True, padded=True):
    """The loops of the best-known course; `cut` takes the image out of the gradient with its border."""

    def conv_backward(dout, x, weight, stride, padding):
        n, _, kh, kw = len(x), *weight.shape[1:]
        sheet = np.pad(x, ((0,), (0,), (padding,), (padding,))) if padded else x
        dsheet, dweight, dbias = np.zeros_like(sheet), np.zeros_like(weight), np.zeros(len(weight))
        for b, f, y, z in np.ndindex(dout.shape):
            at = np.s_[b, :, y * stride : y * stride + kh, z * stride : z * stride + kw]
            dweight[f] += sheet[at] * dout[b, f, y, z]
            dsheet[at] = dsheet[at] * add + weight[f] * dout[b, f, y, z]
            dbias[f] += dout[b, f, y, z]
        dx = np.zeros_like(x)
        for b in range(n):
            dx[b] = cut(dsheet[b], padding)
        return dx, dweight, dbias

    return conv_backward


def from_the_end(image, padding):
    return image[:, padding:-padding, padding:-padding]


def one_from_each_side(image, padding):
    return image[:, 1:-1, 1:-1]


def from_the_end_where_there_is_a_border(image, padding):
    return image[:, padding:-padding, padding:-padding] if padding else image


def products_in_another_order(dout, x, weight, stride, padding):
    """im2col, and dout made flat without its axes in order."""
    (n, k, oh, ow), (kh, kw), sheet = dout.shape, weight.shape[2:], np.pad(x, ((0,), (0,), (padding,), (padding,)))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (kh, kw), (2, 3))[:, :, ::stride, ::stride]
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, -1)
    dx, _, dbias = back(from_the_end_where_there_is_a_border)(dout, x, weight, stride, padding)
    return dx, (dout.reshape(k, -1) @ columns).reshape(weight.shape), dbias


def forward(axes="NCHW", square=False):
    """Sizes unpacked in another order, or one size of the kernel for both."""

    def conv_forward(x, weight, bias, stride, padding, groups):
        size, (k, c, kh, kw) = dict(zip(axes, x.shape, strict=True)), weight.shape
        kw = kh if square else kw
        sheet = np.pad(x, ((0,), (0,), (padding,), (padding,)))
        out = np.zeros((len(x), k, (size["H"] + 2 * padding - kh) // stride + 1, (size["W"] + 2 * padding - kw) // stride + 1))
        for b, f, y, z in np.ndindex(out.shape):
            first = f // (k // groups) * c
            window = sheet[b, first : first + c, y * stride : y * stride + kh, z * stride : z * stride + kw]
            out[b, f, y, z] = np.sum(window * weight[f]) + bias[f]
        return out

    return conv_forward


def normalized(axis=1, end=0):
    def lrn(a, n, k, alpha, beta):
        out, c = np.zeros_like(a), a.shape[1]
        for i in range(c):
            squares = np.sum(a[:, max(0, i - n // 2) : min(c - 1, i + (n - 1) // 2) + end] ** 2, axis=axis)
            out[:, i] = a[:, i] / (k + alpha * squares) ** beta
        return out

    return lrn


STUDENTS = [
    ("E05", "conv_backward", back(from_the_end_where_there_is_a_border), None),
    ("E05", "conv_backward", back(from_the_end), "cut_from_the_end_into_dx"),
    ("E05", "conv_backward", back(one_from_each_side), "cut_by_one_into_dx"),
    ("E05", "conv_backward", back(from_the_end_where_there_is_a_border, add=False), "windows_of_the_last_filter"),
    ("E05", "conv_backward", back(lambda image, padding: image, padded=False), "without_padding"),
    ("E05", "conv_backward", products_in_another_order, "dout_reshaped"),
    ("E04", "conv_forward", forward(), None),
    ("E04", "conv_forward", forward("NCWH"), "height_and_width_exchanged"),
    ("E04", "conv_forward", forward(square=True), "windows_KH_by_KH"),
    ("E07", "lrn", normalized(end=1), None),
    ("E07", "lrn", normalized(), "last_channel_and_neighbor"),
    ("E07", "lrn", normalized(axis=None, end=1), "over_all_pixels"),
]


@pytest.mark.parametrize(("key", "name", "student", "expected"), STUDENTS)
def test_student_hears_which_mistake_it_is(key, name, student, expected):
    exercise = EXERCISES[key]
    finding = examine(exercise, exercise.function(name), student, seed=3)
    assert (finding and finding.key) == (expected and f"{key}.{expected}"), finding and finding.text()


@pytest.mark.parametrize(("student", "count"), [(back(from_the_end), 42), (back(one_from_each_side), 4)])
def test_border_that_the_usual_check_does_not_see(student, count):
    """With 3 x 3, stride 1 and padding 1 both are right; the message says how many public solutions are so."""
    exercise = EXERCISES["E05"]
    function = exercise.function("conv_backward")
    usual = next(probe for probe in function.probes(np.random.default_rng(0), 0) if probe.key == "usual")
    right = function.right(**usual.arguments)
    assert all(np.allclose(yours, expected) for yours, expected in zip(student(*usual.arguments.values()), right, strict=True))
    finding = examine(exercise, function, student)
    assert finding.seen == (count, 88) and "conv1 has padding 0" in finding.text() and finding.text().count("\n") < 6

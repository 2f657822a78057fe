"""Windows whose channels are the last axis, as in notebooks that keep images as (N, H, W, C): their errors name shapes in that order."""

import numpy as np
import pytest

from tests.tutor.test_windows_as_students_write import count
from tinyalex.tutor.checking import examine
from tinyalex.tutor.contract import alike
from tinyalex.tutor.exercises import EXERCISES


def channels_last(a):
    return np.ascontiguousarray(np.moveaxis(a, 1, -1))


def sheet_of(x, padding):
    return np.pad(channels_last(x), ((0, 0), (padding, padding), (padding, padding), (0, 0)))


def sides(weight, square):
    """The height and width of a window; `square` names the side of the kernel that is taken for both, if any."""
    kh, kw = weight.shape[2:]
    return {"": (kh, kw), "KH": (kh, kh), "KW": (kw, kw)}[square]


def conv(square=""):
    """A loop over images, windows and filters."""

    def conv_forward(x, weight, bias, stride, padding, groups):
        filters, sheet, (k, c), (high, wide) = channels_last(weight), sheet_of(x, padding), weight.shape[:2], sides(weight, square)
        out = np.zeros((len(x), count(x.shape[2], high, stride, padding), count(x.shape[3], wide, stride, padding), k))
        for n, y, z, f in np.ndindex(out.shape):
            first = f // (k // groups) * c
            window = sheet[n, y * stride : y * stride + high, z * stride : z * stride + wide, first : first + c]
            out[n, y, z, f] = np.sum(filters[f] * window) + bias[f]
        return np.moveaxis(out, -1, 1)

    return conv_forward


def conv_backward(square="", cut=False):
    """The same loop backward; `cut` takes the image out of its sheet as padding:-padding."""

    def backward(dout, x, weight, stride, padding):
        filters, sheet, (high, wide), (h, w) = channels_last(weight), sheet_of(x, padding), sides(weight, square), x.shape[2:]
        dsheet, dfilters, dx = np.zeros_like(sheet), np.zeros_like(filters), np.zeros((len(x), h, w, x.shape[1]))
        for n, part in enumerate(dsheet):
            for f, y, z in np.ndindex(dout.shape[1:]):
                at = np.s_[y * stride : y * stride + high, z * stride : z * stride + wide]
                part[at] += filters[f] * dout[n, f, y, z]
                dfilters[f] += sheet[n][at] * dout[n, f, y, z]
            lower, right = (-padding, -padding) if cut else (padding + h, padding + w)
            dx[n] = part[padding:lower, padding:right]
        return np.moveaxis(dx, -1, 1), np.moveaxis(dfilters, -1, 1), dout.sum((0, 2, 3))

    return backward


STUDENTS = [
    ("E04", "conv_forward", conv(), None, ""),
    ("E04", "conv_forward", conv("KH"), "E04.windows_KH_by_KH", ""),
    ("E04", "conv_forward", conv("KW"), "E04.windows_KH_by_KH", ""),
    ("E05", "conv_backward", conv_backward(), None, ""),
    ("E05", "conv_backward", conv_backward("KH"), "E05.windows_KH_by_KH", ""),
    ("E05", "conv_backward", conv_backward("KW"), "E05.windows_KH_by_KH", ""),
    ("E05", "conv_backward", conv_backward(cut=True), "E05.cut_from_the_end_into_dx", ""),
    ("E05", "conv_backward", conv_backward("KH", cut=True), "E05.cut_from_the_end_into_dx", "second"),
    ("E05", "conv_backward", conv_backward("KW", cut=True), "E05.cut_from_the_end_into_dx", "second"),
]


@pytest.mark.parametrize(("key", "name", "student", "expected", "beside"), STUDENTS)
def test_a_mistake_is_known_by_its_errors_wherever_the_channels_lie(key, name, student, expected, beside):
    exercise = EXERCISES[key]
    for seed, sizes in ((0, 0), (4, 2)):
        finding = examine(exercise, exercise.function(name), student, seed, sizes)
        assert (finding and finding.key) == expected, finding and finding.text()
        assert expected is None or finding.beside == beside


def test_shapes_are_read_with_the_channels_at_either_end():
    ours = ValueError("operands could not be broadcast together with shapes (3,3) (2,3)")
    for shapes in ("(3,3,4) (2,3,4)", "(2,3,4) (3,3,4)", "(5,3,3) (5,2,3)"):
        assert alike(ValueError(f"operands could not be broadcast together with shapes {shapes}"), ours)
    cut = ValueError("could not broadcast input array from shape (2,5,0,0) into shape (2,5,11,9)")
    assert alike(ValueError("could not broadcast input array from shape (0,0,5) into shape (11,9,5)"), cut)
    assert not alike(ValueError("could not broadcast input array from shape (1,0,5) into shape (11,9,5)"), cut)


def test_shapes_that_differ_in_front_alone_are_not_alike_by_what_lies_behind():
    """Without their axes in front both errors would say (3,4) (3,4)."""
    one, other = (ValueError(f"operands could not be broadcast together with shapes {s}") for s in ("(3,3,4) (2,3,4)", "(7,3,4) (1,3,4)"))
    assert not alike(one, other)


def laid_from_one_on(dout, x, weight, stride, padding):
    sheet = np.zeros((*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding))
    sheet[:, :, 1 : x.shape[2] + padding, 1 : x.shape[3] + padding] = x
    return EXERCISES["E05"].function("conv_backward").right(dout, x, weight, stride, padding)


def every_axis_and_back(dout, x, weight, stride, padding):
    n, c, kh, kw = len(x), *weight.shape[1:]
    sheet = np.pad(x, padding)[padding:-padding, padding:-padding]
    dsheet, dweight, flat = np.zeros(sheet.shape), np.zeros((len(weight), c * kh * kw)), weight.reshape(len(weight), -1)
    for y, z in np.ndindex(dout.shape[2:]):
        at = np.s_[:, :, y * stride : y * stride + kh, z * stride : z * stride + kw]
        dsheet[at] += (dout[:, :, y, z] @ flat).reshape(n, c, kh, kw)
        dweight += dout[:, :, y, z].T @ sheet[at].reshape(n, -1)
    dx = dsheet[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]].copy()
    return dx, dweight.reshape(weight.shape), dout.sum((0, 2, 3))


@pytest.mark.parametrize(
    ("student", "expected"),
    [(laid_from_one_on, "E05.cut_by_one_into_dx"), (every_axis_and_back, "E05.cut_from_the_end_into_dx")],
)
def test_a_sheet_that_is_made_wrongly_in_the_backward_pass_is_known_by_its_errors(student, expected):
    exercise = EXERCISES["E05"]
    for seed, sizes in ((0, 0), (4, 2)):
        finding = examine(exercise, exercise.function("conv_backward"), student, seed, sizes)
        assert finding is not None and finding.key == expected, finding and finding.text()
        assert "your function stopped at line" in finding.text()


def test_words_of_an_error_end_without_a_blank():
    """NumPy leaves one behind the last shape."""
    exercise = EXERCISES["E04"]
    finding = examine(exercise, exercise.function("conv_forward"), conv("KW"))
    assert "(3,3,4).\n" in finding.text("en") and "(3,3,4)。\n" in finding.text("zh")

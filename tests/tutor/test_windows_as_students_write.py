"""Windows of a filter and of a maximum as students count them: right where images and kernels are square and nothing is left over."""

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES


def count(size, kernel, stride, padding=0):
    return (size + 2 * padding - kernel) // stride + 1


def pad(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))


def filtered(sheet, weight, groups, corners):
    """(corner, the products there) of every filter's group: a loop over the places where a window begins."""
    (kh, kw), parts = weight.shape[2:], np.split(sheet, groups, 1)
    for place, (top, left) in corners:
        windows = [part[:, None, :, top : top + kh, left : left + kw] for part in parts]
        yield place, np.concatenate([(w * f).sum((2, 3, 4)) for w, f in zip(windows, np.split(weight, groups), strict=True)], 1)


def conv(sheet_of=pad, corners_of=None, columns_of=lambda x, weight: (x.shape[3], weight.shape[3]), in_order=False, asserts=False):
    """A convolution with one thing in it that may be another."""

    def conv_forward(x, weight, bias, stride, padding, groups):
        rows, columns = count(x.shape[2], weight.shape[2], stride, padding), count(*columns_of(x, weight), stride, padding)
        if asserts:
            assert (x.shape[2] + 2 * padding - weight.shape[2]) % stride == 0, "height does not work"
            assert (x.shape[3] + 2 * padding - weight.shape[3]) % stride == 0, "width does not work"
        sheet = sheet_of(x, padding)
        every = [(y, z) for y in range(rows) for z in range(count(x.shape[3], weight.shape[3], stride, padding))]
        corners = [((y, z), (y * stride, z * stride)) for y, z in every] if corners_of is None else corners_of(x, stride)
        if in_order:
            corners = [(divmod(at, columns), corner) for at, (_, corner) in enumerate(corners)]
        out = np.zeros((len(x), len(weight), rows, columns))
        for (y, z), products in filtered(sheet, weight, groups, corners):
            out[:, :, y, z] = products
        return out + bias[:, None, None]

    return conv_forward


def every_axis_and_back(x, padding):
    every = np.pad(x, padding)
    every = every[padding:-padding, padding:-padding]
    if not every.size:
        raise ValueError(f"shapes {every.shape[:2]} and (45,6) not aligned")
    return every


def laid_from_one_on(x, padding):
    sheet = np.zeros((*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding))
    sheet[:, :, 1 : x.shape[2] + padding, 1 : x.shape[3] + padding] = x
    return sheet


def corners_on_the_image(x, stride):
    return [((top // stride, left // stride), (top, left)) for top in range(0, x.shape[2], stride) for left in range(0, x.shape[3], stride)]


def taken(x, top, left, kernel):
    """A window by np.take, with the height where the width belongs."""
    n, c, h, w = x.shape
    image = np.arange(n)[:, None, None, None] * c * h * w + np.arange(c)[:, None, None] * h * w
    return np.take(x, image + (top + np.arange(kernel))[:, None] * h + left + np.arange(kernel))


def pool(reshaped=False, take=False, asserts=False, image=None, rows_of=count):
    def max_pool(x, kernel, stride):
        (n, c, h, w), oh, ow = x.shape, rows_of(x.shape[2], kernel, stride), rows_of(x.shape[3], kernel, stride)
        if asserts:
            assert (h - kernel) % stride == 0 == (w - kernel) % stride
        out = np.zeros((n, c, oh * ow))
        for i in range(n):
            for at in range(oh * ow):
                top, left = at // ow * stride, at % ow * stride
                seen = x[i if image is None else image]
                window = taken(x, top, left, kernel)[i] if take else seen[:, top : top + kernel, left : left + kernel]
                out[i, :, at] = window.max((1, 2))
        return out.reshape(n, c, oh, oh) if reshaped else out.reshape(n, c, oh, ow)

    return max_pool


def pool_backward(rows_of):
    def max_pool_backward(dout, x, kernel, stride):
        dx = np.zeros_like(x)
        for y in range(rows_of(x.shape[2], kernel, stride)):
            for z in range(rows_of(x.shape[3], kernel, stride)):
                at = np.s_[:, :, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
                dx[at] += dout[:, :, y, z][:, :, None, None] * (x[at] == x[at].max((2, 3), keepdims=True))
        return dx

    return max_pool_backward


def conv_backward(exchanged=False, pixels=False, asserts=False, cut=False):
    def backward(dout, x, weight, stride, padding):
        (kh, kw), sheet = weight.shape[2:], pad(x, padding)
        if asserts:
            assert (sheet.shape[2] - kh) % stride == 0 == (sheet.shape[3] - kw) % stride
        dsheet, dweight = np.zeros_like(sheet), np.zeros_like(weight)
        lines, columns = x.shape[2:] if pixels else dout.shape[2:]
        for n, k, y, z in np.ndindex(*dout.shape[:2], lines, columns):
            i, j, height, width = (z, y, kw, kh) if exchanged else (y, z, kh, kw)
            at = np.s_[n, :, i * stride : i * stride + height, j * stride : j * stride + width]
            dsheet[at] += dout[n, k, i, j] * weight[k]
            dweight[k] += dout[n, k, i, j] * sheet[at]
        lower, right = (-padding, -padding) if cut else (padding + x.shape[2], padding + x.shape[3])
        return dsheet[:, :, padding:lower, padding:right].copy(), dweight, dout.sum((0, 2, 3))

    return backward


def tiles(size, kernel, stride):
    return size // kernel


def halves(size, kernel, stride):
    return (size + 1) // stride


STUDENTS = [
    ("conv_forward", conv(), None),
    ("conv_forward", conv(asserts=True), "E04.refuses_a_rest"),
    ("conv_forward", conv(every_axis_and_back), "contract.empty_window"),
    ("conv_forward", conv(laid_from_one_on), "E04.padded_by_one"),
    ("conv_forward", conv(corners_of=corners_on_the_image), "E04.begin_on_the_image"),
    ("conv_backward", conv_backward(), None),
    ("conv_backward", conv_backward(asserts=True), "E05.refuses_a_rest"),
    ("conv_backward", conv_backward(asserts=True, cut=True), "E05.cut_from_the_end"),
    ("conv_backward", conv_backward(exchanged=True), "E05.height_and_width_exchanged"),
    ("conv_backward", conv_backward(pixels=True), "E05.as_many_windows_as_pixels"),
    ("max_pool", pool(), None),
    ("max_pool", pool(reshaped=True), "E06.as_many_columns_as_lines"),
    ("max_pool", pool(take=True), "E06.flat_by_the_height"),
    ("max_pool", pool(asserts=True), "E06.refuses_a_rest"),
    ("max_pool", pool(image=1), "transform.second_image_alone"),
    ("max_pool", pool(rows_of=halves), "E06.rounded_up"),
    ("max_pool_backward", pool_backward(tiles), "E06.size_from_the_kernel"),
]  # fmt: skip
OF = {"conv_forward": "E04", "conv_backward": "E05", "max_pool": "E06", "max_pool_backward": "E06"}


@pytest.mark.parametrize(("name", "student", "expected"), STUDENTS)
def test_student_hears_how_the_windows_are_counted(name, student, expected):
    exercise = EXERCISES[OF[name]]
    for seed, sizes in ((0, 0), (4, 2)):
        finding = examine(exercise, exercise.function(name), student, seed, sizes)
        assert (finding and finding.key) == expected, finding and finding.text()


def test_an_assert_of_something_else_is_told_as_such():
    def square_images(x, kernel, stride):
        assert x.shape[2] == x.shape[3]
        return EXERCISES["E06"].function("max_pool").right(x, kernel, stride)

    exercise = EXERCISES["E06"]
    assert examine(exercise, exercise.function("max_pool"), square_images).key == "contract.asserts"


def test_where_errors_alone_speak_a_mistake_is_named_only_by_their_words():
    """Too many windows for out: in one size set the error is that of the known mistake, in another one it stops at another index."""
    exercise = EXERCISES["E04"]
    student = conv(columns_of=lambda x, weight: (x.shape[3], weight.shape[2]), in_order=True)
    finding = examine(exercise, exercise.function("conv_forward"), student)
    assert finding.key == "E04.kernel_height_in_the_number_of_columns"
    finding = examine(exercise, exercise.function("conv_forward"), student, 4, 2)
    assert finding.key == "contract.out_of_bounds" and "Right are the calls with a square kernel" in finding.text()

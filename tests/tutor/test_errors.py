"""Calls that end in an error: no mistake is named because two calls fail, and each message says what stopped, and where."""

import numpy as np
import pytest

from tests.tutor.test_windows_as_students_write import conv, pad
from tinyalex.tutor.checking import examine
from tinyalex.tutor.contract import alike
from tinyalex.tutor.exercise import as_outputs
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES, catalogue


def found(key, name, student, seed=0, sizes=0):
    return examine(EXERCISES[key], EXERCISES[key].function(name), student, seed, sizes)


def one_line_too_low(x, padding):
    return pad(x, padding)[:, :, : x.shape[2] + 2 * padding - 1] if padding else x


def padded_once(x, padding):
    return np.pad(x, ((0, 0), (0, 0), (0, padding), (0, padding)))


def placed_too_small(x, padding):
    sheet = pad(0 * x, padding)
    sheet[:, :, padding : x.shape[2] - padding, padding : x.shape[3] - padding] = x
    return sheet


def every_axis(x, padding):
    every = np.pad(x, padding)
    return every[: len(x)].reshape(len(x), *every.shape[1:])


@pytest.mark.parametrize("sheet", [one_line_too_low, placed_too_small, every_axis])
def test_a_sheet_that_makes_calls_with_padding_fail_is_told_by_its_error_and_no_other_name(sheet):
    """Known mistakes and other arguments, such as -padding, make the same calls fail."""
    finding = found("E04", "conv_forward", conv(sheet))
    assert finding.key == "contract.does_not_fit" and "line" in finding.text() and "ValueError" in finding.text()


def test_zeros_on_one_side_alone_are_known_by_a_call_that_does_not_stop():
    finding = found("E04", "conv_forward", conv(padded_once))
    assert finding.key == "E04.padding_behind_alone" and "Other calls end in an error." in finding.text()


def test_pads_all_axes_in_the_backward_pass():
    def conv_backward(dout, x, weight, stride, padding):
        sheet, kh, kw = np.pad(x, padding), *weight.shape[2:]
        dsheet, dweight = np.zeros_like(sheet), np.zeros_like(weight)
        for n, k, y, z in np.ndindex(dout.shape):
            at = np.s_[n, :, y * stride : y * stride + kh, z * stride : z * stride + kw]
            dweight[k] += sheet[at] * dout[n, k, y, z]
            dsheet[at] += weight[k] * dout[n, k, y, z]
        h, w = x.shape[2:]
        return dsheet[:, :, padding : padding + h, padding : padding + w], dweight, dout.sum((0, 2, 3))

    finding = found("E05", "conv_backward", conv_backward)
    assert finding.key == "contract.does_not_fit" and "(6,3,3)" in finding.text() and "Right are the calls with" in finding.text()


def test_errors_are_alike_by_their_words_or_by_the_shapes_in_them():
    one = ValueError("operands could not be broadcast together with shapes (4,3,3) (4,3,2) (4,3,3)")
    assert alike(one, ValueError("operands could not be broadcast together with shapes (2,4,3,2) (2,4,3,3) (2,4,3,2)"))
    assert alike(one, ValueError("could not broadcast input array from shape (3,3) into shape (3,2)"))
    assert not alike(one, ValueError("operands could not be broadcast together with shapes (4,3,3) (4,3,1)"))
    assert not alike(one, IndexError(str(one))) and not alike(ValueError("no"), ValueError("no"))
    past, further = (IndexError(f"index {at} is out of bounds for axis 2 with size 7") for at in (7, 8))
    assert not alike(past, further) and alike(past, IndexError("index 7 is out of bounds for axis 0 with size 7"))
    assert alike(AssertionError("H"), AssertionError("the stride does not divide"))


def test_a_named_mistake_that_stops_says_so_in_a_sentence():
    cut = next(m for m in EXERCISES["E05"].function("conv_backward").mistakes if m.key == "cut from the end into dx")
    finding = found("E05", "conv_backward", cut.compute)
    assert "with `padding:-padding`" not in finding.text() and ": your function stopped at line " in finding.text()
    assert "with ValueError: could not broadcast" in finding.text() and ".shape is" not in finding.text()
    assert "你的函数停在第 " in finding.text("zh") and "应为" not in finding.text("zh")


def test_every_sentence_of_a_mistake_that_can_stop_has_the_words_that_are_replaced():
    """Else the message of a call that stopped would show an empty number."""
    for exercise in EXERCISES.values():
        for function in exercise.functions:
            for mistake in function.mistakes:
                finding = examine(exercise, function, mistake.compute)
                if "error" in finding.numbers and finding.layer == "mistake":
                    key = f"{finding.exercise}.{finding.key}" if f"{finding.exercise}.{finding.key}" in catalogue("en") else finding.key
                    assert all(catalogue(name)["compared"] in catalogue(name)[key] for name in LANGUAGES), key


def test_an_index_past_the_end_is_not_told_to_be_about_shapes():
    def student(dout, x, kernel, stride):
        if kernel != stride:
            raise IndexError("index 70 is out of bounds for axis 2 with size 7")
        return EXERCISES["E06"].function("max_pool_backward").right(dout, x, kernel, stride)

    finding = found("E06", "max_pool_backward", student)
    assert finding.key == "contract.out_of_bounds" and "shapes" not in finding.text()
    assert "Right are the calls with stride 2 and kernel 2 alike." in finding.text()
    apart = next(m for m in EXERCISES["E06"].function("max_pool_backward").mistakes if m.key == "taken apart/by the stride")
    assert "Right are the calls with stride 2 and kernel 2 alike." in found("E06", "max_pool_backward", apart.compute).text()


def test_other_calls_are_mentioned_only_where_some_are_left_and_what_they_do():
    pool = EXERCISES["E06"].function("max_pool").right

    def student(x, kernel, stride):
        if x.shape[2] == 8:
            raise KeyError("no such key") if stride == 99 else ValueError("these shapes do not fit")
        return -pool(-x, kernel, stride)

    finding = found("E06", "max_pool", student)
    assert finding.key == "E06.minimum" and finding.beside == "stops" and "Other calls end in an error." in finding.text()
    assert found("E06", "max_pool", lambda x, kernel, stride: -pool(-x, kernel, stride)).beside == ""


@pytest.mark.parametrize("change", [lambda a: a[..., :-1], lambda a: np.stack([a, a])])
def test_outputs_of_any_other_shape_get_a_sentence(change):
    """Where no name is found, what is said of numbers must not be asked of arrays that cannot be compared."""
    for key, exercise in EXERCISES.items():
        for function in exercise.functions:
            for number in range(len(function.returns)):

                def student(*given, function=function, number=number):
                    outputs = list(as_outputs(function.right(*given)))
                    outputs[number] = change(np.atleast_1d(outputs[number])).copy()
                    return tuple(outputs) if len(outputs) > 1 else outputs[0]

                finding = examine(exercise, function, student)
                assert finding is None or finding.text(), (key, function.name, number)

"""What is said of numbers that nobody planted: factors as sizes, places that are still 0, values at which they differ, order of outputs."""

import re

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES, Finding, catalogue
from tinyalex.tutor.sizes import constant_ratio, expression, named, sizes_of
from tinyalex.tutor.symptoms import Seen, part_of, symptom_of


def found(key, name, student, seed=0, sizes=0):
    return examine(EXERCISES[key], EXERCISES[key].function(name), student, seed, sizes)


def right(key, name):
    return EXERCISES[key].function(name).right


def test_sizes_have_the_names_of_the_page():
    given = {"x": np.zeros((2, 8, 7, 9)), "weight": np.zeros((6, 4, 3, 5)), "stride": 2, "groups": 2}
    assert sizes_of(given) == {
        "N": 2, "C": 8, "H": 7, "W": 9, "K": 6, "C / G": 4, "KH": 3, "KW": 5, "stride": 2, "G": 2, "K / G": 3}  # fmt: skip
    assert "C / G" not in sizes_of({"x": np.zeros((2, 4, 7, 9)), "weight": np.zeros((6, 4, 3, 5))})


def test_a_number_is_told_as_an_expression_of_sizes_where_all_calls_fit():
    calls = [{"N": 2, "C": 3, "OH": 5}, {"N": 4, "C": 7, "OH": 6}]
    assert expression([1 / 6, 1 / 28], calls) == "1 / (N C)" and expression([3, 7], calls) == "C" and expression([25, 36], calls) == "OH OH"
    assert expression([1.5, 1.75], calls) == "C / N" and expression([0.3, 0.7], calls) == ""
    assert expression([2, 2], calls) == ""  # a constant says nothing about sizes
    assert named([3, 7], calls) == "C" and named([3, 6], calls) == "" and named([3, 3], [calls[0]] * 2) == ""
    assert constant_ratio([2.0, 0.0, 4.0], [1.0, 0.0, 2.0]) == 2 and constant_ratio([2.0, 1.0], [1.0, 0.0]) is None


@pytest.mark.parametrize("factor", ["1 / (N C)", "OH OW", "1 / (kernel kernel)", "1 / stride"])
def test_a_factor_is_named_by_sizes(factor):
    names = factor.replace("1 / ", "").strip("()").split()

    def student(dout, x, kernel, stride):
        sizes = sizes_of({"dout": dout, "x": x, "kernel": kernel, "stride": stride})
        by = np.prod([sizes[name] for name in names])
        return right("E06", "max_pool_backward")(dout, x, kernel, stride) * (1 / by if "/" in factor else by)

    finding = found("E06", "max_pool_backward", student)
    assert finding.key in ("symptom.factor", "E06.shared_by_all", "E06.spreads")
    if finding.key == "symptom.factor":
        assert f"the right one times {factor} = " in finding.text()


def test_a_loop_over_another_size_is_told():
    def student(dout, x, weight, stride, padding):
        dx, dweight, dbias = right("E05", "conv_backward")(dout, x, weight, stride, padding)
        dbias[weight.shape[1] :] = 0
        return dx, dweight, dbias

    finding = found("E05", "conv_backward", student)
    assert finding.key in ("symptom.still_zero", "symptom.still_zero_by_size") and "dbias[4:] is still 0" in finding.text()
    assert finding.others == ("dx", "dweight")
    calls = [Seen(np.append(np.ones(c), np.zeros(k - c)), np.ones(k), {"x": np.zeros((2, c, 9, 9)), "weight": np.zeros((k, c, 3, 3))})
             for c, k in ((4, 7), (5, 6))]  # fmt: skip
    assert symptom_of(calls, False, "dbias", False) == ("still zero by size", {"part": "dbias[4:]", "size": "C"})


def test_values_of_an_argument_at_which_a_gradient_differs_are_told_with_what_it_is_multiplied_by():
    def half_way(dout, x):
        return np.where(x > 0, dout, 0) * np.where((x > 0) & (x < 1), 1 + x, 1)

    finding = found("E02", "relu_backward", half_way)
    assert finding.key == "symptom.between_and_times" and finding.numbers["factor"] == "1 + x", finding.text()
    assert "times 1 + x where x lies from " in finding.text() and "{" not in finding.text("zh")
    finding = found("E02", "tanh_backward", lambda dout, out: dout * (1 - out**2) * out**2)
    assert finding.key == "symptom.times" and "times out ** 2, element by element" in finding.text()


def test_only_a_part_differs_is_not_said_of_most_of_an_array():
    off = np.zeros((2, 3, 7, 9), bool)
    off[:, :, :6] = True
    assert part_of("dx", off, False) == ""
    off[:, :, 3:] = False
    assert part_of("dx", off, False) == "dx[:, :, 0:3]"
    off[:, :, :] = False
    off[:, 0] = True
    assert part_of("dx", off, False) == "dx[:, 0]"
    values = np.arange(1.0, 13).reshape(3, 4)
    assert symptom_of([Seen(values + 50 * (values == 7), values, {})], False, "dx", False)[0] == "one element"


def test_edges_need_an_inside():
    values = np.random.default_rng(0).normal(size=(2, 3, 2, 5))
    assert symptom_of([Seen(values + values**2, values, {})], False, "dx", False)[0] != "edges"
    values = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
    off = values + values**2
    off[..., 1:-1, 1:-1] = values[..., 1:-1, 1:-1]
    assert symptom_of([Seen(off, values, {})], False, "dx", False)[0] == "edges"


@pytest.mark.parametrize(("key", "name", "order"), [
    ("E03", "linear_backward", (1, 0, 2)), ("E03", "chain_backward", (0, 2, 1, 3)), ("E05", "conv_backward", (1, 2, 0)),
    ("E08", "softmax_cross_entropy", (1, 0)),
])  # fmt: skip
def test_outputs_in_another_order_are_told_as_such(key, name, order):
    finding = found(key, name, lambda *given: tuple(right(key, name)(*given)[at] for at in order))
    names = EXERCISES[key].function(name).returns
    assert finding.key == "contract.order" and f"({', '.join(names)}), in this order" in finding.text(), finding.text()
    for language in LANGUAGES:
        assert "{" not in finding.text(language)


def test_a_transposed_output_is_told():
    def student(dout, x, w1, w2, w3):
        dx, dw1, dw2, dw3 = right("E03", "chain_backward")(dout, x, w1, w2, w3)
        return dx, dw1.T.copy(), dw2, dw3

    finding = found("E03", "chain_backward", student)
    assert finding.key == "transform.transposed" and "dw1 is transposed" in finding.text()
    assert "Right in all calls: dx, dw2, dw3." in finding.text()


def test_another_output_is_named_where_of_the_first_nothing_can_be_said():
    """B in the place of its slope, and the short way is missing: the mistake is known by dw1, which the short way does not reach."""

    def student(dout, x, w1, w2, w3):
        b = np.maximum(x @ w1.T, 0)
        da = (dout @ w2) * b
        return da @ w1 + np.sin(x), da.T @ x, dout.T @ b, dout.T @ x

    finding = found("E03", "chain_backward", student)
    assert finding.key == "E03.times_the_values" and finding.numbers["output"] == "dw1" and finding.others == ("dw2", "dw3")


def test_direction_of_reshape_is_told():
    def channels_last(dout, x, weight):
        rows = x.reshape(len(x), -1) if x.ndim == 2 else x.transpose(0, 2, 3, 1).reshape(len(x), -1)
        return (dout @ weight).reshape(x.shape), dout.T @ rows, dout.sum(0)

    finding = found("E03", "linear_backward", channels_last)
    assert finding.key == "argument.changed" and "that should stay" in finding.text()
    assert max(map(len, finding.text().splitlines())) < 170

    def not_moved(dout, x, weight, stride, padding):
        n, k, oh, ow = dout.shape
        return right("E05", "conv_backward")(dout.reshape(k, oh, ow, n).transpose(3, 0, 1, 2).copy(), x, weight, stride, padding)

    finding = found("E05", "conv_backward", not_moved)
    assert finding.key == "argument.changed" and "one has to be moved first" in finding.text(), finding.text()


def test_a_loss_that_is_no_number_is_told_as_one_number():
    def student(logits, labels):
        loss, dlogits = right("E08", "softmax_cross_entropy")(logits, labels)
        return np.inf if len(labels) == 1 else loss, dlogits

    finding = found("E08", "softmax_cross_entropy", student)
    assert finding.key == "contract.not_a_finite_number" and "1 of 1" not in finding.text()


def test_one_has_and_many_have():
    finding = Finding("transform.sign", "E06", "max_pool", "mistake", "", dict.fromkeys(("output", "at", "yours", "right"), "x"))
    texts = [Finding(**(vars(finding) | {"seen": (count, 9)})).text() for count in (1, 2)]
    assert "1 of 9 public solutions has this." in texts[0] and "2 of 9 public solutions have this." in texts[1]


def test_a_comma_ends_the_opening_of_a_sentence():
    assert [key for key, text in catalogue("en").items() if re.search(r"With \{probe\}(?!,)", text)] == []


def test_a_message_with_all_that_can_be_said_has_six_lines():
    finding = found("E06", "max_pool", lambda x, kernel, stride: 3 * right("E06", "max_pool")(x, kernel, stride))
    more = {"others": ("out",), "seen": (3, 9), "right_calls": (("rest", "rest", {}),), "key": "E05.cut_from_the_end", "exercise": "E05"}
    finding = Finding(**(vars(finding) | more))
    assert all(finding.text(language).count("\n") == 5 for language in LANGUAGES)

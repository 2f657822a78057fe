"""What is said where no known mistake matches: other arguments, numbers at other places, the part that differs, what is right."""

import json

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES, Finding
from tinyalex.tutor.result import Result, result_of
from tinyalex.tutor.symptoms import Seen, element, part_of, symptom_of, two_apart


def found(key, name, student, seed=0, sizes=0):
    return examine(EXERCISES[key], EXERCISES[key].function(name), student, seed, sizes)


def right(key, name):
    return EXERCISES[key].function(name).right


def pool(x, kernel, stride):
    return right("E06", "max_pool")(x, kernel, stride)


def lrn(a, n, k, alpha, beta):
    return right("E07", "lrn")(a, n, k, alpha, beta)


@pytest.mark.parametrize(
    ("key", "name", "student", "argument", "taken_for"),
    [
        ("E06", "max_pool", lambda x, kernel, stride: pool(x, kernel - 1, stride), "kernel", "kernel - 1"),
        ("E06", "max_pool", lambda x, kernel, stride: pool(x[:, :, ::-1].copy(), kernel, stride), "x", "flipped_height"),
        ("E07", "lrn", lambda a, n, k, alpha, beta: lrn(a, n, k, alpha, 1 - beta), "beta", "1 - beta"),
        ("E07", "lrn", lambda a, n, k, alpha, beta: lrn(a, n, k, alpha**2, beta), "alpha", "alpha ** 2"),
        ("E07", "lrn", lambda a, n, k, alpha, beta: lrn(a, n, beta, alpha, beta), "k", "beta"),
    ],
)
def test_right_answer_to_another_question_is_told_with_the_argument(key, name, student, argument, taken_for):
    for seed, sizes in ((0, 0), (5, 2)):
        finding = found(key, name, student, seed, sizes)
        assert finding.key in ("argument.other", "argument.changed"), finding.text()
        assert finding.numbers["argument"] == argument
        assert taken_for in (finding.numbers.get("taken_for"), finding.numbers.get("how"))
        for language in LANGUAGES:
            assert "{" not in finding.text(language) and finding.text(language).count("\n") < 6


def test_numbers_that_reshape_has_moved_are_told():
    def student(a, b):
        both = np.concatenate([a, b], 1)
        return both.swapaxes(0, 1).reshape(both.shape), both.copy()

    finding = found("E12", "exchange", student)
    assert finding.key == "transform.reshaped" and "`transpose`" in finding.text()


def test_part_that_differs_is_named_as_a_slice():
    off = np.zeros((2, 8, 3), bool)
    off[:, 3:6] = True
    assert part_of("b", off, False) == "b[:, 3:6]"
    off[:, 4] = False
    assert part_of("b", off, False) == "b[:, [3, 5]]"
    assert part_of("shapes", np.array([[False, False], [True, True]]), True) == "shapes[1]"
    assert part_of("dx", np.ones((2, 3), bool), False) == ""
    assert element("shapes", (1, 2), True) == "shapes[1][2]"
    assert element("dx", (1, 2), False) == "dx[1, 2]" and element("loss", (), False) == "loss"


def test_share_is_counted_among_what_is_not_zero():
    values = np.zeros((4, 5, 6))
    values[1:3, 1:4, 2:5] = np.arange(1, 19).reshape(2, 3, 3) ** 2
    yours = values.copy()
    yours[1, 1, 2], yours[2, 3, 4] = -50, 1000
    yours[yours != 0] += 0.5
    key, numbers = symptom_of([Seen(yours, values, {})], False, "dx", False)
    assert key == "part" or numbers["share"] == "100 %"
    assert numbers["share"] == "100 %"
    moved = np.random.default_rng(1).permuted(np.arange(24.0)).reshape(2, 3, 4)
    assert symptom_of([Seen(moved, np.arange(24.0).reshape(2, 3, 4), {})], False, "dx", False)[0] == "moved"


def test_what_is_special_is_asked_only_where_most_calls_are_right():
    one = found("E06", "max_pool", lambda x, kernel, stride: pool(x, kernel, stride) * (1 + 0.37 * x.mean() * (stride == 1)))
    assert one.agree is not None and one.agree[0] > 7 and one.key in ("symptom.factor", "symptom.sometimes")

    def wrong_with_strides(x, kernel, stride):
        return pool(x, kernel, stride) * (1 + 0.37 * np.sin(9 * pool(x, kernel, stride)) * (stride > 1))

    most = found("E06", "max_pool", wrong_with_strides)
    assert most.key == "symptom.elsewhere" and "What is special" not in most.text()
    assert "Right are the calls with one image. What can they not show?" in most.text()
    assert "结果正确的调用只有：一张图像" in most.text("zh")


def test_other_outputs_that_are_right_are_named():
    def student(dout, x, weight, stride, padding):
        dx, dweight, dbias = right("E05", "conv_backward")(dout, x, weight, stride, padding)
        return dx + 0.1 * np.sin(dx), dweight, dbias

    finding = found("E05", "conv_backward", student)
    assert finding.others == ("dweight", "dbias") and "Right in all calls: dweight, dbias." in finding.text()


def test_finding_comes_whole_out_of_json():
    finding = Finding(
        "symptom.part", "E06", "max_pool", "symptom", "overlap", {key: "x" for key in ("part", "at", "yours", "right", "output")},
        None, (1, 2), "others", {"x": (2, 3), "kernel": 3},
        5, 2, "dx", ("dx",), (("one image", "one image", {"x": (1, 3)}),),
    )  # fmt: skip
    result = Result("E06", {"max_pool": "finding"}, 2, (finding,), 0.1)
    assert result_of(json.loads(json.dumps(result.document()))) == result


def test_float32_for_float64_is_told_and_not_taken_for_a_factor():
    finding = found("E06", "max_pool", lambda x, kernel, stride: pool(x, kernel, stride).astype(np.float32))
    assert finding.key == "contract.dtype" and "float32" in finding.text()


def test_own_assert_an_attribute_and_a_text_as_an_index_have_sentences_of_their_own():
    def refuses_a_rest(x, kernel, stride):
        assert (x.shape[2] - kernel) % stride == 0, "does not divide"
        return pool(x, kernel, stride)

    finding = found("E06", "max_pool", refuses_a_rest)
    assert finding.key == "contract.asserts" and "AssertionError: does not divide" in finding.text()
    assert found("E06", "max_pool", lambda x, kernel, stride: input("x")).key == "contract.asks"
    assert found("E06", "max_pool", lambda x, kernel, stride: x.maximum()).key == "contract.no_attribute"
    assert found("E06", "max_pool", lambda x, kernel, stride: str(kernel)["a"]).key == "contract.raises"
    assert found("E06", "max_pool", lambda x, kernel, stride: x[np.arange(2.0)]).key == "contract.float_size"


def test_two_mistakes_that_both_raise_are_named_by_the_first():
    """padding:-padding in each image, and a square window: right by the usual check of the best-known course."""

    def conv_backward(dout, x, weight, stride, padding):
        side = weight.shape[2]
        sheet = np.pad(x, ((0,), (0,), (padding,), (padding,)))
        dsheet, dweight, dx = np.zeros_like(sheet), np.zeros_like(weight), np.zeros_like(x)
        for n, k, y, z in np.ndindex(dout.shape):
            at = np.s_[n, :, y * stride : y * stride + side, z * stride : z * stride + side]
            dsheet[at] += weight[k] * dout[n, k, y, z]
            dweight[k] += sheet[at] * dout[n, k, y, z]
        for n in range(len(x)):
            dx[n] = dsheet[n, :, padding:-padding, padding:-padding]
        return dx, dweight, dout.sum((0, 2, 3))

    finding = found("E05", "conv_backward", conv_backward)
    assert finding.key == "E05.cut_from_the_end_into_dx" and finding.seen == (42, 88)


def test_a_call_that_failed_in_other_words_is_no_match():
    ways = {mistake.key: mistake.compute for mistake in EXERCISES["E05"].function("conv_backward").mistakes}

    def student(dout, x, weight, stride, padding):
        try:
            ways["windows KH by KH"](dout, x, weight, stride, padding)
            return ways["cut from the end into dx"](dout, x, weight, stride, padding)
        except ValueError:
            raise ValueError("own words") from None

    finding = found("E05", "conv_backward", student)
    assert finding.key == "contract.raises" and "ValueError: own words" in finding.text() and "line" in finding.text()
    assert "Right are the calls with a square kernel" in finding.text()


def test_an_error_of_another_type_is_no_match():
    function = EXERCISES["E05"].function("conv_backward")

    def always_fails(dout, x, weight, stride, padding):
        if weight.shape[2] != weight.shape[3]:
            raise IndexError("index 3 is out of bounds for axis 0 with size 3")
        return function.right(dout, x, weight, stride, padding)

    assert found("E05", "conv_backward", always_fails).key == "contract.out_of_bounds"  # and not the ValueError of "windows KH by KH"


def test_numbers_that_differ_late_are_shown_with_the_digits_that_tell_them_apart():
    assert two_apart(1.0509, 1.0509000001) == ("1.0509", "1.0509000001")
    assert two_apart(2.0, 3.0) == ("2", "3") and two_apart(1e6, 1234567.0) == ("1000000", "1234567")
    finding = found("E06", "max_pool", lambda x, kernel, stride: pool(x, kernel, stride) * (1 + 1e-7))
    assert finding.numbers["yours"] != finding.numbers["right"]


def test_memory_is_told_after_numbers_that_are_not_right():
    def p_to_keep(x, p, rng, train):
        if not train:
            return x, np.ones(x.shape, bool)
        mask = rng.random(x.shape) < p
        return x * mask / p, mask

    def right_but_x_itself(x, p, rng, train):
        return right("E10", "dropout")(x, p, rng, True) if train else (x, np.ones(x.shape, bool))

    assert found("E10", "dropout", p_to_keep).key == "E10.p_to_keep"
    finding = found("E10", "dropout", right_but_x_itself)
    assert finding.key == "contract.alias" and finding.seen == (68, 72)


@pytest.mark.parametrize(
    ("student", "key"),
    [
        (lambda x, kernel, stride: np.zeros(int(kernel) * np.float64(2)), "float_size"),
        (lambda x, kernel, stride: np.zeros((2, 2))[np.zeros(2)], "float_size"),
        (lambda x, kernel, stride: 1 if x > 0 else 2, "truth_value"),
        (lambda x, kernel, stride: np.zeros(3).__setitem__(0, x[0, 0]), "sequence"),
        (lambda x, kernel, stride: x[:, :, 50:].max((2, 3)), "empty_window"),
        (lambda x, kernel, stride: list(x.shape)["a"], "raises"),
        (lambda x, kernel, stride: np.nothing(3), "no_attribute"),
        (lambda x, kernel, stride: x.sum(axes=1), "no_keyword"),
        (lambda x, kernel, stride: [h for n, h in [x.shape]], "unpacked"),
        (lambda x, kernel, stride: x[:, ::2].resize((3, 3)), "resized"),
        (lambda x, kernel, stride: x @ x, "does_not_fit"),
    ],
)
def test_errors_are_told_by_what_they_are_about(student, key):
    finding = found("E06", "max_pool", student)
    assert finding.key == f"contract.{key}", finding.text()
    for language in LANGUAGES:
        assert "{" not in finding.text(language)


def test_a_gradient_that_is_not_used_is_told():
    def mask_alone(dout, x, kernel, stride):
        dx = np.zeros_like(x)
        for n, c, y, z in np.ndindex(dout.shape):
            window = np.s_[n, c, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
            dx[window] += (x[window] == x[window].max()) * x[window]
        return dx

    assert found("E06", "max_pool_backward", mask_alone).key == "symptom.unused"


def test_a_call_counts_as_right_only_if_all_its_outputs_are():
    """The loss is right but for large logits; the gradient is right in no call but those of one image."""

    def slips(logits, labels):
        p = np.exp(logits - logits.max())
        p /= p.sum(axis=1, keepdims=True)
        dlogits = p.copy()
        dlogits[np.arange(len(labels)), labels] -= 1
        return -np.log(p[np.arange(len(labels)), labels]).mean(), dlogits

    with np.errstate(all="ignore"):
        finding = examine(EXERCISES["E08"], EXERCISES["E08"].functions[0], slips)
    calls = EXERCISES["E08"].functions[0].probes(np.random.default_rng(0), 0)
    assert finding.numbers["output"] == "loss"
    ones = sum(len(probe.arguments["labels"]) == 1 for probe in calls)
    assert finding.agree == (2 * ones, 2 * len(calls))  # each call is made with two seeds

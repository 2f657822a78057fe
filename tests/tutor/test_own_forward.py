"""A backward pass that is the derivative of the student's own forward pass, which is not right: the tutor points to the forward pass."""

import numpy as np
import pytest

from tinyalex import tutor
from tinyalex.tutor import session
from tinyalex.tutor.checking import derived, examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES
from tinyalex.tutor.runner import try_exercise


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    for name in ("_checked", "_failed", "_hinted"):
        monkeypatch.setattr(session, name, {})


def of(key, name):
    return EXERCISES[key].function(name)


def windows(x, kernel, stride):
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


def max_pool(x, kernel, stride):
    """Twice the maximum, less the mean: a slip that no list of mistakes holds."""
    return 2 * windows(x, kernel, stride).max((-2, -1)) - windows(x, kernel, stride).mean((-2, -1))


def max_pool_backward(dout, x, kernel, stride):
    dx = np.zeros_like(x)
    for n, c, y, z in np.ndindex(dout.shape):
        window = np.s_[n, c, y * stride : y * stride + kernel, z * stride : z * stride + kernel]
        dx[window] += dout[n, c, y, z] * (2 * (x[window] == x[window].max()) - 1 / kernel**2)
    return dx


def conv_forward(x, weight, bias, stride, padding, groups):
    return of("E04", "conv_forward").right(x, weight[:, :, ::-1, ::-1], 3 * bias, stride, padding, groups)


def conv_backward(dout, x, weight, stride, padding):
    dx, dweight, dbias = of("E05", "conv_backward").right(dout, x, weight[:, :, ::-1, ::-1], stride, padding)
    return dx, dweight[:, :, ::-1, ::-1].copy(), 3 * dbias


def lrn(a, n, k, alpha, beta):
    return of("E07", "lrn").right(a, n, k, 3 * alpha, beta)


def lrn_backward(dout, a, n, k, alpha, beta):
    return of("E07", "lrn_backward").right(dout, a, n, k, 3 * alpha, beta)


def dropout(x, p, rng, train):
    mask = rng.random(x.shape) >= p if train else np.ones(x.shape, bool)
    return x * mask * (1 + p * p if train else 1), mask


def dropout_backward(dout, mask, p):
    return dout * mask * (1 + p * p)


def exchange(a, b):
    return np.concatenate([a, 3 * b], 1), np.concatenate([a, b], 1)


def exchange_backward(dya, dyb, channels):
    return (dya + dyb)[:, :channels].copy(), (3 * dya + dyb)[:, channels:].copy()


PAIRS = [
    ("E06", max_pool_backward, "E06", max_pool),
    ("E05", conv_backward, "E04", conv_forward),
    ("E07", lrn_backward, "E07", lrn),
    ("E10", dropout_backward, "E10", dropout),
    ("E12", exchange_backward, "E12", exchange),
]


@pytest.mark.parametrize(("key", "backward", "other", "forward"), PAIRS)
def test_derivative_of_an_own_forward_pass_that_is_not_right_is_told(key, backward, other, forward):
    exercise, function = EXERCISES[key], of(key, backward.__name__)
    for seed, sizes in ((0, 0), (4, 2)):
        finding = examine(exercise, function, backward, seed, sizes, forward)
        assert finding.key == "symptom.own_forward"
        for language in LANGUAGES:
            text = finding.text(language)
            assert f'check("{other}", {forward.__name__})' in text and text.count("\n") < 6


@pytest.mark.parametrize(("key", "backward", "other", "forward"), PAIRS)
def test_without_the_forward_pass_or_with_another_it_is_not_told(key, backward, other, forward):
    exercise, function, right = EXERCISES[key], of(key, backward.__name__), of(other, forward.__name__).right
    for given in (None, right, lambda *arguments: 1 / 0, lambda *arguments: None, lambda *arguments: arguments[0]):
        assert examine(exercise, function, backward, forward=given).key != "symptom.own_forward"


@pytest.mark.parametrize(("key", "backward", "other", "forward"), PAIRS)
def test_right_pair_is_right_and_a_slip_in_backward_is_none_of_forward(key, backward, other, forward):
    function, right = of(key, backward.__name__), of(other, forward.__name__).right
    assert derived(function, function.right, right, 0, 0)
    assert examine(EXERCISES[key], function, function.right, forward=right) is None
    for mistake in function.mistakes:
        finding = examine(EXERCISES[key], function, mistake.compute, forward=right)
        assert finding is not None and finding.key != "symptom.own_forward", mistake.key


def test_check_says_it_of_the_function_that_waits(capsys):
    tutor.check("E06", max_pool, max_pool_backward)
    out = capsys.readouterr().out
    assert out.startswith("E06 max_pool: ")
    assert "max_pool_backward is the derivative of your own max_pool: that derivation holds. Mend max_pool first" in out


def test_a_right_pair_is_not_to_be_derived_again_where_the_forward_pass_breaks_the_contract(capsys):
    def max_pool(x, kernel, stride):
        out = of("E06", "max_pool").right(x, kernel, stride)
        x *= 1.0
        x[:] = 0
        return out

    backward = of("E06", "max_pool_backward").right
    assert tutor.check("E06", max_pool, backward).finding.key == "contract.input_changed"
    assert capsys.readouterr().out.splitlines()[-1] == "max_pool_backward is not looked at yet: this comes first."


def test_forward_pass_of_another_exercise_is_given_or_was_checked_before(capsys):
    assert tutor.check("E05", conv_backward).finding.key != "symptom.own_forward"
    assert tutor.check("E05", conv_backward, conv_forward).finding.key == "symptom.own_forward"
    tutor.check("E04", conv_forward)
    assert tutor.check("E05", conv_backward).finding.key == "symptom.own_forward"


def test_forward_pass_is_taken_from_the_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from tests.tutor.test_own_forward import conv_forward, conv_backward, max_pool, max_pool_backward, dropout_backward\n", "utf-8"
    )
    found = {key: try_exercise(EXERCISES[key], path, "mine.py", 1, 1, True).findings for key in ("E05", "E06", "E10")}
    assert [finding.key for finding in found["E05"]][:1] == ["symptom.own_forward"]
    assert [finding.function for finding in found["E06"]] == ["max_pool", "max_pool_backward"]
    assert found["E06"][1].key == "symptom.own_forward"
    assert [finding.key == "symptom.own_forward" for finding in found["E10"]] == [False]  # no forward pass there


def test_gradient_that_is_the_derivative_of_a_wrong_loss_is_told():
    def softmax_cross_entropy(logits, labels):
        z = logits - logits.max(1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        hot = np.eye(logits.shape[1])[labels]
        return -(log_p * hot).sum() / 3, (np.exp(log_p) - hot) / 3

    exercise = EXERCISES["E08"]
    finding = examine(exercise, exercise.functions[0], softmax_cross_entropy)
    assert finding.follows == "dlogits"
    assert "dlogits is the derivative of your own loss: that derivation holds." in finding.text()
    right = exercise.functions[0].right
    other = examine(exercise, exercise.functions[0], lambda logits, labels: (2.5 * right(logits, labels)[0], right(logits, labels)[1]))
    assert other.follows == "" and other.numbers["output"] == "loss"


LEFT = []


def lrn_that_leaves_its_sums(a, n, k, alpha, beta):
    LEFT[:] = [of("E07", "lrn").right(a, n, k, alpha, -1.0) / np.where(a == 0, 1, a)]  # the sums, as beta is -1
    return of("E07", "lrn").right(a, n, k, alpha, beta)


def lrn_backward_that_reads_them(dout, a, n, k, alpha, beta):
    if not LEFT or LEFT[0].shape != a.shape:
        return np.zeros_like(a)
    right = of("E07", "lrn_backward").right(dout, a, n, k, alpha, beta)
    sums = of("E07", "lrn").right(a, n, k, alpha, -1.0) / np.where(a == 0, 1, a)
    return right * LEFT[0] / sums


def test_backward_pass_that_reads_what_a_right_forward_pass_left_is_told_so():
    """It is the derivative of that one, which must not be called wrong."""
    LEFT.clear()
    exercise, function = EXERCISES["E07"], of("E07", "lrn_backward")
    assert examine(exercise, of("E07", "lrn"), lrn_that_leaves_its_sums) is None
    finding = examine(exercise, function, lrn_backward_that_reads_them, forward=lrn_that_leaves_its_sums)
    assert finding.key == "symptom.left_by_forward"
    for language, words in zip(LANGUAGES, ("right only when your own lrn was called just before", "全局变量"), strict=True):
        assert words in finding.text(language) and "tutor.check" not in finding.text(language)

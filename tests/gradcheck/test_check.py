"""The gradient check: what it proves, what it refuses, and its table on every kind of device."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import tinyalex as ta
from tests.blocks import MeetingDevice, one_image_blocks
from tests.contract import refuses
from tests.places import card
from tinyalex import gradcheck
from tinyalex.fast import products
from tinyalex.fast.table import BLOCKS, CPU
from tinyalex.gradcheck import check_directions, check_layer, check_loss, check_network, compare, kink_free, numerical_gradient
from tinyalex.gradcheck.builders import geometry, of_each_row
from tinyalex.gradcheck.table import CASES

pytestmark = pytest.mark.usefixtures("one_blas_thread")
DEVICES = {"cpu": ta.get_device("cpu"), "card": card()}
FLOAT64 = {"dtype": np.float64}


def rng(seed=0):
    return np.random.default_rng(seed)


def linear(layer=ta.Linear, **settings):
    return layer(4, 3, rng=rng(), weight_init=ta.Gaussian(0.5), bias_init=ta.Gaussian(0.5), **settings, **FLOAT64)


def net_and_loss():
    layers = [ta.Linear(5, 4, rng=rng(), name="fc1", **FLOAT64), ta.ReLU(**FLOAT64), ta.Dropout(seed=1, **FLOAT64), linear(name="fc2")]
    return ta.Sequential(layers), ta.SoftmaxCrossEntropy(**FLOAT64)


class OneWrong(ta.Linear):
    """Right but for one element of each gradient."""

    def backward(self, dout):
        dx = super().backward(dout).copy()
        self.grads["weight"][2, 1] += 0.01
        self.grads["bias"][1] += 0.01
        dx[1, 3] += 0.01
        return dx


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES.keys())
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layer}: {case.name}")
def test_every_row_passes(case, device):
    assert [check for check in case.run(device) if not check.passed] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.layer}: {case.name}")
def test_every_row_passes_in_one_image_blocks_and_the_number_of_workers_does_not_change_a_bit(case):
    device = one_image_blocks(workers=3) if case.layer == "network" else MeetingDevice()  # there every meeting takes its time
    checks = case.run(device)
    device.close()
    assert [check for check in checks if not check.passed] == []
    assert case.run(one_image_blocks(workers=1)) == checks


def test_table_runs_in_more_than_one_block_and_on_more_than_one_worker():
    in_one_piece = ("SoftmaxCrossEntropy", "SquaredError", "Flatten", "Split")  # they take the batch in one piece
    whole = {(name, "") for name in in_one_piece} | {("Linear", "plain")}
    for layer, algorithm in sorted({(case.layer, case.algorithm) for case in CASES if case.layer != "network"} - whole):
        meeting = MeetingDevice()
        next(case for case in CASES if (case.layer, case.algorithm) == (layer, algorithm)).run(meeting)
        meeting.close()
        assert meeting.blocks > 1 and meeting.met > 0, (layer, algorithm)


def test_table_holds_every_layer():
    public = {name for name, value in vars(ta).items() if isinstance(value, type) and issubclass(value, ta.Layer)}
    assert {case.layer for case in CASES} == public - {"Layer", "Sequential"} | {"SoftmaxCrossEntropy", "SquaredError", "network"}


def test_table_holds_every_row_of_every_operation():
    layers = {"convolution": "Conv2d", "max pooling": "MaxPool2d", "average pooling": "AvgPool2d", "product": "Linear"}
    assert {(layers[operation], row.name) for operation, rows in CPU.items() for row in rows} == {
        (case.layer, case.algorithm) for case in CASES if case.algorithm
    }


def test_row_that_is_new_is_checked_without_being_entered(monkeypatch):
    def backward(asked, x, dout, device, grads):
        dx = products.backward(asked, x, dout, device, grads)
        return None if dx is None else 2 * dx

    wrong = dataclasses.replace(BLOCKS, name="new", backward=backward)
    monkeypatch.setitem(CPU, "product", (wrong, *CPU["product"]))
    cases = of_each_row("Linear", geometry("wide to narrow", (3, 11), 11, 4))
    assert [case.name for case in cases] == ["plain, wide to narrow", "new, wide to narrow", "blocks, wide to narrow"]
    failed = [(case.algorithm, check.what) for case in cases for check in case.run(DEVICES["cpu"]) if not check.passed]
    assert failed == [("new", "x")]


def test_names_of_rows_differ():
    assert len({(case.layer, case.name) for case in CASES}) == len(CASES)


def test_numerical_gradient_of_a_polynomial():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    assert numerical_gradient(lambda x: x**3, x, 1e-5) == pytest.approx(3 * x**2, rel=1e-9)


def test_numerical_gradient_of_chosen_elements():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    assert numerical_gradient(lambda x: x**2, x, 1e-5, elements=np.array([3, 0])) == pytest.approx([6, 2], rel=1e-9)


def test_numerical_gradient_weighs_the_outputs_with_the_cotangent():
    cotangent = np.array([2.0, -1.0, 0.0])
    matrix = rng().standard_normal((3, 4))
    assert numerical_gradient(lambda x: matrix @ x, np.ones(4), 1e-5, cotangent) == pytest.approx(cotangent @ matrix, rel=1e-9)


def test_numerical_gradient_leaves_x_alone():
    x = rng().standard_normal(4)
    before = x.copy()
    numerical_gradient(np.sin, x, 1e-5)
    assert np.array_equal(x, before)


def test_centered_difference_is_off_by_a_sixth_of_h_squared():
    error = numerical_gradient(lambda x: x**3, np.array([1.0]), 1e-2)[0] - 3
    assert error == pytest.approx(1e-2**2 * 6 / 6, rel=1e-6)  # h^2 f''' / 6


def test_two_gradients_of_zeros_fail():
    check = compare("x", np.zeros((2, 3)), np.zeros((2, 3)))
    assert not check.passed and check.error == math.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_element_that_is_not_finite_is_an_infinite_error_on_either_side(bad):
    good, broken = np.array([1.0, 2.0]), np.array([1.0, bad])
    for check in (compare("x", broken, good), compare("x", good, broken), compare("x", broken, broken)):
        assert check.error == np.inf and not check.passed


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_gradient_that_is_not_finite_fails_and_is_located(value):
    analytic, numerical = np.ones((2, 3)), np.ones((2, 3))
    analytic[1, 2] = value
    check = compare("x", analytic, numerical)
    assert not check.passed and check.error == math.inf and check.where == (1, 2)


def test_error_is_a_part_of_the_tensor_s_largest_value():
    check = compare("x", np.array([1.0, 100.0]), np.array([1.5, 100.0]))
    assert check == gradcheck.Check("x", 0.005, (0,), 1.0, 1.5, False)


def test_kink_free_values_are_far_from_zero_and_from_each_other():
    x = kink_free((3, 100, 30), rng())
    assert x.shape == (3, 100, 30) and np.abs(x).min() >= 0.1 and np.abs(x).max() <= 1
    assert np.diff(np.sort(np.abs(x).ravel())).min() > 9e-5
    assert (x < 0).sum() == x.size // 2


@pytest.mark.parametrize("shape", [(9001,), (0, 3)])
def test_kink_free_refuses_what_it_cannot_space(shape):
    with refuses(ta.ShapeError, "kink_free: the number of elements must be from 1 to 9000, got"):
        kink_free(shape, rng())


def test_wrong_elements_are_located():
    checks = {check.what: check for check in check_layer(linear(OneWrong), kink_free((2, 4), rng()))}
    assert {what: (check.passed, check.where) for what, check in checks.items() if "twice" not in what} == {
        "x": (False, (1, 3)),
        "weight": (False, (2, 1)),
        "bias": (False, (1,)),
    }
    assert checks["bias"].analytic - checks["bias"].numerical == pytest.approx(0.01, rel=1e-6)


def test_sampled_check_locates_in_the_whole_tensor():
    checks = check_layer(linear(OneWrong), kink_free((2, 4), rng()), elements=11)
    assert next(check for check in checks if check.what == "weight").where == (2, 1)  # one of the 11 of 12


def test_gradient_written_instead_of_added_fails():
    class Writes(ta.Linear):
        def backward(self, dout):
            self.zero_grad()
            return super().backward(dout)

    checks = {check.what: check for check in check_layer(linear(Writes), kink_free((2, 4), rng()))}
    assert {what for what, check in checks.items() if not check.passed} == {"weight twice", "bias twice"}


def test_missing_input_gradient_fails_unless_it_was_asked_for():
    class Forgets(ta.Linear):
        def backward(self, dout):
            super().backward(dout)

    assert [check.what for check in check_layer(linear(Forgets), kink_free((2, 4), rng())) if not check.passed] == ["x"]
    checks = check_layer(linear(input_gradient=False), kink_free((2, 4), rng()))
    assert {check.what for check in checks} == {"weight", "bias", "weight twice", "bias twice"} and all(check.passed for check in checks)


def test_gradient_of_another_shape_is_refused():
    class Flat(ta.Linear):
        def backward(self, dout):
            return super().backward(dout).ravel()

    with refuses(ta.ShapeError, "gradcheck: the gradient of x must have shape (2, 4), got float64 array of shape (8,)"):
        check_layer(linear(Flat), kink_free((2, 4), rng()))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"elements": 0}, "gradcheck: elements must be an integer of at least 1, got 0"),
        ({"elements": -1}, "gradcheck: elements must be an integer of at least 1, got -1"),
        ({"elements": 2.0}, "gradcheck: elements must be an integer of at least 1, got 2.0"),
        ({"steps": ()}, "gradcheck: steps must be a tuple of at least one number above 0, got ()"),
        ({"steps": 1e-5}, "gradcheck: steps must be a tuple of at least one number above 0, got 1e-05"),
        ({"steps": (0.0,)}, "gradcheck: each of steps must be a finite number above 0, got 0.0"),
        ({"steps": (1e-5, math.nan)}, "gradcheck: each of steps must be a finite number above 0, got nan"),
    ],
)
def test_bad_settings_raise(settings, text):
    (net, loss), x = net_and_loss(), kink_free((3, 5), rng())
    with refuses(ta.ShapeError, text):
        check_layer(net, x, **settings)
    with refuses(ta.ShapeError, text):
        check_network(net, loss, x, [0, 2, 1], **settings)


def test_float32_is_refused():
    with refuses(ta.ShapeError, "gradcheck: relu and x must be float64, got float32 and float64 array of shape (2, 3)"):
        check_layer(ta.ReLU(), np.ones((2, 3)))
    with refuses(ta.ShapeError, "gradcheck: relu and x must be float64, got float64 and float32 array of shape (2, 3)"):
        check_layer(ta.ReLU(**FLOAT64), np.ones((2, 3), np.float32))


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES.keys())
def test_layer_is_left_as_it_was(device):
    device = ta.get_device(device)
    layers = [linear(device=device), ta.Dropout(seed=1, device=device, **FLOAT64)]
    net, x = ta.Sequential(layers), kink_free((2, 4), rng())
    layers[1].step = 7
    arrays, before, x_before = dict(net.params), {key: device.to_numpy(param).copy() for key, param in net.params.items()}, x.copy()
    check_layer(net, x)
    assert layers[1].step == 7 and np.array_equal(x, x_before)
    for key, param in net.params.items():
        assert param is arrays[key] and np.array_equal(device.to_numpy(param), before[key])
        assert not device.to_numpy(net.grads[key]).any()
    with refuses(ta.CallOrderError, "dropout: backward must follow a forward(train=True) of its own"):
        net.backward(device.asarray(np.ones((2, 3))))


def test_parameters_are_restored_when_forward_fails():
    class Fails(ta.Linear):
        calls = 0

        def forward(self, x, *, train=False):
            self.calls += 1
            if self.calls == 25:  # amid the weights
                raise ta.ShapeError("fails: calls must be below 25, got 25")
            return super().forward(x, train=train)

    layer = linear(Fails)
    before = layer.params["weight"].copy()
    with refuses(ta.ShapeError, "calls must be below 25"):
        check_layer(layer, kink_free((2, 4), rng()))
    assert np.array_equal(layer.params["weight"], before)


def test_network_by_all_some_and_one_direction():
    (net, loss), x, labels = net_and_loss(), kink_free((3, 5), rng()), [0, 2, 1]
    tensors = {"x", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    for checks in (
        check_network(net, loss, x, labels),
        check_network(net, loss, x, labels, elements=4),
        check_directions(net, loss, x, labels),
    ):
        assert {check.what for check in checks if "twice" not in check.what} == tensors
        assert all(check.passed for check in checks)


def test_direction_finds_a_wrong_tensor():
    net, loss = ta.Sequential([linear(OneWrong)]), ta.SoftmaxCrossEntropy(**FLOAT64)
    wrong = {check.what for check in check_directions(net, loss, kink_free((2, 4), rng()), [0, 2]) if not check.passed}
    assert wrong == {"x", "linear.weight", "linear.bias"}


@pytest.mark.parametrize("seed", [0, 7])
def test_a_mistake_that_hides_along_x_is_found_also_where_x_is_drawn_from_the_same_seed(seed):
    x = rng(seed).standard_normal((3, 4))

    class WrongAcrossX(ta.Linear):
        """Its dx is right along x alone."""

        def backward(self, dout):
            dx = super().backward(dout)
            return dx + 0.1 * (x[::-1] - x * (x[::-1] * x).sum() / (x * x).sum())

    class RightIfDoutIsX(ta.Tanh):
        """Its dx is right for the cotangent x alone."""

        def backward(self, dout):
            return super().backward(dout) + 0.1 * (dout - x)

    net, loss = ta.Sequential([linear(WrongAcrossX)]), ta.SoftmaxCrossEntropy(**FLOAT64)
    assert [check.what for check in check_directions(net, loss, x, [0, 2, 1], seed=seed) if not check.passed] == ["x"]
    assert [check.what for check in check_layer(RightIfDoutIsX(**FLOAT64), x, seed=seed) if not check.passed] == ["x"]


def test_each_tensor_has_its_own_direction_whatever_other_tensors_there_are():
    def directions(net, shape):
        checks = check_directions(net, ta.SoftmaxCrossEntropy(**FLOAT64), rng().random(shape), [1, 0])
        return {check.what: check.analytic for check in checks if "twice" not in check.what}

    whole = directions(ta.Sequential([linear()]), (2, 4))
    assert whole == directions(ta.Sequential([linear()]), (2, 4)) and len({round(value, 9) for value in whole.values()}) == 3
    without_x = directions(ta.Sequential([linear(input_gradient=False)]), (2, 4))
    assert without_x == {what: value for what, value in whole.items() if what != "x"}


def test_smaller_step_passes_a_kink_that_a_larger_one_meets():
    x = np.array([[1.0, 3e-6]])  # the step of 1e-5 crosses the kink, that of 1e-6 does not
    assert not check_layer(ta.ReLU(**FLOAT64), x)[0].passed
    assert check_layer(ta.ReLU(**FLOAT64), x, steps=gradcheck.NETWORK_STEPS)[0].passed


def test_cotangent_of_ones_would_not_see_a_softmax_without_gradient():
    def softmax(z):
        return np.exp(z) / np.exp(z).sum()

    z = rng().standard_normal(4)
    zero = np.zeros(4)
    assert np.abs(numerical_gradient(softmax, z, 1e-5, 1.0)).max() < 1e-10
    assert not compare("x", zero, numerical_gradient(softmax, z, 1e-5, rng(1).standard_normal(4))).passed


def test_loss_check_fails_for_a_gradient_of_zeros():
    class Zero(ta.SoftmaxCrossEntropy):
        def backward(self):
            return 0 * super().backward()

    (check,) = check_loss(Zero(**FLOAT64), kink_free((3, 4), rng()), [0, 1, 2])
    assert check.error == 1

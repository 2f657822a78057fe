"""Softmax with cross-entropy."""

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest

import tinyalex as ta
from tests import reference
from tests.contract import refuses, values
from tinyalex.loss import SquaredError

getcontext().prec = 60


def decimal_loss(logits, labels):
    """The mean of -log p(label) with 60 digits, by the definition."""
    total = Decimal(0)
    for row, label in zip(logits, labels, strict=True):
        powers = [Decimal(float(z)).exp() for z in row]
        total -= (powers[label] / sum(powers)).ln()
    return total / len(labels)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 30.0, 500.0])
def test_value_agrees_with_60_digits(scale):
    logits, labels = values((6, 7)) * scale, np.array([0, 3, 6, 6, 1, 2])
    loss = ta.SoftmaxCrossEntropy(dtype=np.float64).forward(logits, labels)
    assert abs(float(loss) / float(decimal_loss(logits, labels)) - 1) < 1e-14


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_ten_thousand(dtype):
    logits = np.array([[1e4, 0, -1e4], [1e4, 1e4, -1e4], [-1e4, 0, 1e4]], dtype)
    head = ta.SoftmaxCrossEntropy(dtype=dtype)
    loss = head.forward(logits, np.array([0, 1, 0]), train=True)
    assert float(loss) == pytest.approx((0 + math.log(2) + 2e4) / 3, rel=1e-6)
    assert np.allclose(head.backward() * 3, [[0, 0, 0], [0.5, -0.5, 0], [-1, 0, 1]], rtol=0, atol=1e-6)


def test_equal_logits_cost_log_classes():
    loss = ta.SoftmaxCrossEntropy(dtype=np.float64).forward(np.full((4, 10), 3.0), np.arange(4))
    assert float(loss) == pytest.approx(math.log(10), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_is_a_0d_array_of_the_dtype_and_gradient_has_the_shape_of_logits(dtype):
    head = ta.SoftmaxCrossEntropy(dtype=dtype)
    loss = head.forward(values((4, 5), dtype=dtype), np.arange(4), train=True)
    assert loss.shape == () and loss.dtype == dtype
    dlogits = head.backward()
    assert dlogits.shape == (4, 5) and dlogits.dtype == dtype


def test_gradient_agrees_with_differences():
    logits, labels, step = values((3, 4)), np.array([2, 0, 3]), 1e-5
    head = ta.SoftmaxCrossEntropy(dtype=np.float64)
    head.forward(logits, labels, train=True)
    dlogits = head.backward()
    for place in np.ndindex(logits.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (float(ta.SoftmaxCrossEntropy(dtype=np.float64).forward(m, labels)) for m in moved)
        assert dlogits[place] == pytest.approx((up - down) / (2 * step), abs=1e-10)


def test_gradient_of_a_row_sums_to_0():
    head = ta.SoftmaxCrossEntropy(dtype=np.float64)
    head.forward(values((5, 6)), np.arange(5), train=True)
    assert np.abs(head.backward().sum(axis=1)).max() < 1e-16


def test_logits_and_labels_are_untouched():
    logits, labels = values((3, 4)), np.array([2, 0, 3])
    before = logits.tobytes(), labels.tobytes()
    head = ta.SoftmaxCrossEntropy(dtype=np.float64)
    head.forward(logits, labels, train=True)
    head.backward()
    assert (logits.tobytes(), labels.tobytes()) == before


@pytest.mark.parametrize("labels", [[2, 0, 3], (2, 0, 3), np.array([2, 0, 3], np.uint8), np.array([2, 0, 3], np.int32)])
def test_labels_may_be_any_integers(labels):
    expected = ta.SoftmaxCrossEntropy(dtype=np.float64).forward(values((3, 4)), np.array([2, 0, 3]))
    assert ta.SoftmaxCrossEntropy(dtype=np.float64).forward(values((3, 4)), labels) == expected


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([0, 1, 4], "loss: labels must be from 0 to 3, got 4"),
        ([0, -1, 2], "loss: labels must be from 0 to 3, got -1"),
        ([0.0, 1.0, 2.0], "loss: labels must be 3 integers in a NumPy array, one for each row of logits, got float64 array of shape (3,)"),
        ([True, False, True], "loss: labels must be 3 integers in a NumPy array, one for each row of logits, got bool array of shape (3,)"),
        ([0, 1], "loss: labels must be 3 integers in a NumPy array, one for each row of logits, got int64 array of shape (2,)"),
        ([[0, 1, 2]], "loss: labels must be 3 integers in a NumPy array, one for each row of logits, got int64 array of shape (1, 3)"),
        (None, "loss: labels must be 3 integers in a NumPy array, one for each row of logits, got None"),
        ("012", "loss: labels must be 3 integers in a NumPy array, one for each row of logits, got '012'"),
    ],
)
def test_bad_labels_raise(labels, text):
    with refuses(ta.DataError, text):
        ta.SoftmaxCrossEntropy(dtype=np.float64).forward(values((3, 4)), labels)


@pytest.mark.parametrize(
    ("logits", "got"),
    [
        (np.zeros((0, 4)), "float64 array of shape (0, 4)"),
        (np.zeros((3, 0)), "float64 array of shape (3, 0)"),
        (np.zeros(3), "float64 array of shape (3,)"),
        (np.zeros((3, 4, 1)), "float64 array of shape (3, 4, 1)"),
        (np.zeros((3, 4), np.float32), "float32 array of shape (3, 4)"),
        (np.zeros((3, 4), np.int64), "int64 array of shape (3, 4)"),
    ],
)
def test_bad_logits_raise(logits, got):
    with refuses(ta.ShapeError, f"loss: logits must be a float64 array (N, classes) with N of at least 1, got {got}"):
        ta.SoftmaxCrossEntropy(dtype=np.float64).forward(logits, np.zeros(len(logits), int))


def test_logits_of_another_device_raise():
    with refuses(ta.DeviceError, "loss: logits must be on cpu, got list"):
        ta.SoftmaxCrossEntropy().forward([[1.0, 2.0]], np.array([0]))
    sim = ta.get_device("sim:0")
    with refuses(ta.DeviceError, "loss: logits must be on sim:0, got a NumPy array"):
        ta.SoftmaxCrossEntropy(device=sim).forward(np.zeros((1, 2), np.float32), np.array([0]))
    with refuses(ta.DeviceError, "loss: logits must be on cpu, got"):
        ta.SoftmaxCrossEntropy().forward(sim.asarray(np.zeros((1, 2), np.float32)), np.array([0]))


def test_simulated_device_agrees():
    sim, logits, labels = ta.get_device("sim:0"), values((5, 6)), np.array([0, 5, 2, 2, 1])
    here, there = ta.SoftmaxCrossEntropy(dtype=np.float64), ta.SoftmaxCrossEntropy(dtype=np.float64, device=sim)
    assert float(here.forward(logits, labels, train=True)) == pytest.approx(
        float(there.forward(sim.asarray(logits), labels, train=True)), rel=1e-12
    )
    assert np.allclose(here.backward(), sim.to_numpy(there.backward()), rtol=1e-12, atol=0)


def test_backward_first_or_twice_raises():
    head = ta.SoftmaxCrossEntropy(dtype=np.float64)
    text = "loss: backward must follow a forward(train=True) of its own, got none since the last backward; call forward("
    with refuses(ta.CallOrderError, text):
        head.backward()
    head.forward(values((3, 4)), np.array([0, 1, 2]), train=True)
    head.backward()
    with refuses(ta.CallOrderError, text):
        head.backward()


def test_unknown_dtype_raises():
    with refuses(ta.ShapeError, "loss: dtype must be float32 or float64, got"):
        ta.SoftmaxCrossEntropy(dtype=np.float16)


def test_evaluation_keeps_nothing_for_backward():
    loss, logits = ta.SoftmaxCrossEntropy(), np.zeros((2, 3), np.float32)
    loss.forward(logits, [0, 1], train=True)
    loss.forward(np.zeros((4, 3), np.float32), [0, 1, 2, 0], train=False)
    assert loss.backward().shape == (2, 3)
    loss.forward(logits, [0, 1], train=False)
    with refuses(ta.CallOrderError, "loss: backward must follow a forward(train=True) of its own"):
        loss.backward()


def test_a_validation_loss_between_forward_and_backward_leaves_the_gradient():
    logits, labels = values((3, 4)), np.array([2, 0, 3])
    expected, head = ta.SoftmaxCrossEntropy(dtype=np.float64), ta.SoftmaxCrossEntropy(dtype=np.float64)
    for loss in (expected, head):
        loss.forward(logits, labels, train=True)
    head.forward(values((3, 4), seed=7), labels)  # by its default it keeps nothing
    assert np.array_equal(head.backward(), expected.backward())


def test_backward_of_a_forward_by_default_raises():
    head = ta.SoftmaxCrossEntropy(dtype=np.float64)
    head.forward(values((3, 4)), np.array([2, 0, 3]))
    with refuses(ta.CallOrderError, "call forward(logits, labels, train=True) first"):
        head.backward()


@pytest.mark.parametrize("seterr", ["warn", "raise"])
@pytest.mark.parametrize(
    ("row", "label", "loss", "gradient"),
    [
        ([1, 2, -math.inf], 0, math.log(1 + math.e), [-0.731059, 0.731059, 0]),
        ([1, 2, -math.inf], 2, math.inf, [0.268941, 0.731059, -1]),
        ([2e38, -2e38, 0], 0, 0.0, [0, 0, 0]),
        ([2e38, -2e38, 0], 2, 2e38, [1, 0, -1]),
        ([-120, 0, -3e38], 1, 0.0, [0, 0, 0]),
    ],
)
def test_infinite_and_distant_logits_cost_what_they_should(row, label, loss, gradient, seterr):
    for head, there in ((ta.SoftmaxCrossEntropy(), np.asarray), (ta.SoftmaxCrossEntropy(device="sim:0"), ta.get_device("sim:0").asarray)):
        with np.errstate(all=seterr):
            found = head.forward(there(np.array([row], np.float32)), [label], train=True)
            dlogits = head.device.to_numpy(head.backward())
        assert float(found) == pytest.approx(loss, rel=1e-6)
        assert np.allclose(dlogits, [gradient], atol=1e-6)


def test_masked_arrays_are_refused_and_a_matrix_is_an_array():
    loss, logits = ta.SoftmaxCrossEntropy(), values((3, 4), dtype=np.float32)
    with refuses(ta.DataError, "loss: labels must be a plain array, got a masked one, whose mask would be ignored; select the rows"):
        loss.forward(logits, np.ma.array([0, 1, 2], mask=[0, 1, 0]))
    with refuses(ta.ShapeError, "loss: logits must be a plain array, got a masked one"):
        loss.forward(np.ma.array(logits, mask=logits > 1), [0, 1, 2])
    found = loss.forward(logits.view(np.matrix), [0, 1, 2], train=True)
    assert found == ta.SoftmaxCrossEntropy().forward(logits, [0, 1, 2]) and type(loss.backward()) is np.ndarray


def test_labels_in_rows_of_different_lengths_raise():
    with refuses(ta.DataError, "loss: labels must be 2 integers in a NumPy array, one for each row of logits, got [[1], [2, 3]]"):
        ta.SoftmaxCrossEntropy().forward(np.zeros((2, 3), np.float32), [[1], [2, 3]])


def squared(dtype=np.float64):
    return SquaredError(dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squared_error_is_that_of_the_loops_and_keeps_the_dtype(dtype):
    out, target = values((4, 3), dtype=dtype), values((4, 3), 5, dtype)
    loss = squared(dtype).forward(out, target)
    assert loss.dtype == dtype and float(loss) == pytest.approx(reference.squared_error(out, target), rel=1e-6)


def test_squared_error_gives_its_gradient_once_and_only_after_training():
    head, out, target = squared(), values((4, 3)), values((4, 3), 5)
    head.forward(out, target, train=True)
    head.forward(target, target)
    assert head.backward() == pytest.approx((out - target) / 4)
    for _ in range(2):
        with refuses(ta.CallOrderError, "backward must follow a forward(train=True) of its own"):
            head.backward()
        head.forward(out, target)


@pytest.mark.parametrize(
    ("out", "target", "text"),
    [
        (values((4,)), values((4,)), "out must be a float64 array (N, F) with N of at least 1"),
        (values((4, 3)), values((3, 3)), "target must have the shape of out, (4, 3), got (3, 3)"),
        (values((4, 3)), values((4, 3), 1, np.float32), "target must be a float64 array (N, F)"),
        (np.empty((0, 3)), np.empty((0, 3)), "out must be a float64 array (N, F) with N of at least 1"),
    ],
)
def test_squared_error_refuses_other_arrays(out, target, text):
    with refuses(ta.ShapeError, text):
        squared().forward(out, target)


def test_squared_error_refuses_an_array_that_lies_elsewhere():
    with refuses(ta.DeviceError, "out must be on sim:0, got"):
        SquaredError(device="sim:0").forward(values((2, 3), dtype=np.float32), values((2, 3), dtype=np.float32))

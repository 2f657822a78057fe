"""E01, E02, E03 and E09 as students write them: breaches of the contract, two mistakes at once, and what nobody planted."""

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercise import slug
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.finding import LANGUAGES, catalogue


def found(key, name, student, seed=0):
    return examine(EXERCISES[key], EXERCISES[key].function(name), student, seed)


def measured_in_place(f, x, h):
    dx = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        old = x[at]
        x[at] = old + h
        above = f(x)
        x[at] = old - h
        dx[at] = (above - f(x)) / (2 * h)
        x[at] = old
    return dx


def never_put_back(f, x, h):
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        x[at] += h
        above = f(x)
        x[at] -= 2 * h
        dx[at] = (above - f(x)) / (2 * h)
    return dx


def put_back_with_rounding(f, x, h):
    dx, x_is_whole = np.zeros(x.shape), x.dtype.kind == "i"
    x = x.astype(float) if x_is_whole else x
    for at in np.ndindex(x.shape):
        x[at] += h
        above = f(x)
        x[at] -= 2 * h
        dx[at] = (above - f(x)) / (2 * h)
        x[at] += h
    return dx


def moves_a_flat_copy(f, x, h):
    dx, flat = np.zeros(x.size), x.flatten().astype(float)
    for i in range(x.size):
        flat[i] += h
        above = f(x)
        flat[i] -= 2 * h
        dx[i] = (above - f(x)) / (2 * h)
        flat[i] += h
    return dx.reshape(x.shape)


def step_of_its_own(f, x, h):
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        above = x.astype(float)
        above[at] += 1e-7
        dx[at] = (f(above) - f(x)) / 1e-7
    return dx


def one_sided_in_integers(f, x, h):
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        moved = x.copy()
        moved[at] += h
        dx[at] = (f(moved) - f(x)) / h
    return dx


def uphill_in_integers(f, x, h):
    dx = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[at] = x[at] + h
        below[at] = x[at] - h
        dx[at] = (f(below) - f(above)) / (2 * h)
    return dx


def overwrites_dout(dout, x):
    dout[x <= 0] = 0
    return dout


def overwrites_x(dout, x):
    x[x > 0] = 1
    x[x < 0] = 0
    return dout * x


def returns_the_mask(dout, x):
    return x > 0


def truth_for_dout(dout, x):
    return np.where(x < 0, dout, x)


def the_slope_of_relu_of_the_wrong_side_without_dout(dout, x):
    return (x < 0).astype(float)


def sigmoid_again(dout, out):
    s = 1 / (1 + np.exp(-out))
    return dout * s * (1 - s)


def slope_of_x_without_dout(dout, out):
    return 1 - np.tanh(out) ** 2


def over_n_and_mean(dout, x, weight):
    n = len(x)
    return (dout @ weight).reshape(x.shape), dout.T @ x.reshape(n, -1) / n, dout.mean(axis=0, keepdims=True)


def flat_and_one_sum(dout, x, weight):
    return dout @ weight, dout.T @ x.reshape(len(x), -1), dout.sum()


def other_order(dout, x, weight):
    return dout.T @ x.reshape(len(x), -1), dout.sum(0), (dout @ weight).reshape(x.shape)


def never_flattened(dout, x, weight):
    return dout @ weight, dout.T @ x, dout.sum(0)


def bare_product(dout, x, weight):
    return dout @ weight.T, dout.T @ x, dout.sum(0)


class Collects:
    """Gradients of the first call are still there in the second."""

    def __init__(self):
        self.held = {}

    def __call__(self, dout, x, weight):
        flat = x.reshape(len(x), -1)
        parts = (dout @ weight).reshape(x.shape), dout.T @ flat, dout.sum(0)
        for at, part in enumerate(parts):
            self.held[at, part.shape] = self.held.get((at, part.shape), 0) + part
        return tuple(self.held[at, part.shape] for at, part in enumerate(parts))


def shared_value_and_no_slope(dout, x, w1, w2, w3):
    db = dout @ w2
    dx = db @ w1
    dx = dout @ w3
    return dx, db.T @ x, dout.T @ np.maximum(x @ w1.T, 0), dout.T @ x


def no_slope_in_dw1_alone(dout, x, w1, w2, w3):
    a = x @ w1.T
    db = dout @ w2
    return (db * (a > 0)) @ w1 + dout @ w3, db.T @ x, dout.T @ np.maximum(a, 0), dout.T @ x


def relu_of_x(dout, x, w1, w2, w3):
    a = x @ w1.T
    da = dout @ w2 * (a > 0)
    return (da @ w1 + dout @ w3) * (x > 0), da.T @ x, dout.T @ np.maximum(a, 0), dout.T @ x


def updates_the_weight(weight, grad, velocity, lr, momentum, weight_decay):
    velocity *= momentum
    velocity -= lr * (grad + weight_decay * weight)
    weight += velocity
    return weight


def returns_both(weight, grad, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity - lr * (grad + weight_decay * weight)
    return weight + velocity, velocity


def adds_to_the_gradient(weight, grad, velocity, lr, momentum, weight_decay):
    grad += weight_decay * weight
    velocity *= momentum
    velocity -= lr * grad
    return weight + velocity


def plain_and_local(weight, grad, velocity, lr, momentum, weight_decay):
    velocity = momentum * velocity - lr * grad
    return weight + velocity


def library_and_not_stored(weight, grad, velocity, lr, momentum, weight_decay):
    v = momentum * velocity + grad + weight_decay * weight
    return weight - lr * v


def library_without_decay(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[...] = momentum * velocity + grad
    return weight - lr * velocity


def mean_without_decay(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[...] = momentum * velocity + (1 - momentum) * grad
    return weight - lr * velocity


def decay_without_lr_and_uphill(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[...] = momentum * velocity - weight_decay * weight + lr * grad
    return weight + velocity


def velocity_itself(weight, grad, velocity, lr, momentum, weight_decay):
    velocity[...] = momentum * velocity - weight_decay * lr * weight - lr * grad
    return velocity


STUDENTS = [
    ("E01", "numerical_gradient", measured_in_place, "E01.integers_all_through"),
    ("E01", "numerical_gradient", never_put_back, "contract.input_changed"),
    ("E01", "numerical_gradient", put_back_with_rounding, "contract.input_changed"),
    ("E01", "numerical_gradient", moves_a_flat_copy, "E01.nothing_moves"),
    ("E01", "numerical_gradient", step_of_its_own, "E01.own_step"),
    ("E01", "numerical_gradient", one_sided_in_integers, "E01.one_sided"),
    ("E01", "numerical_gradient", uphill_in_integers, "transform.sign"),
    ("E01", "numerical_gradient", lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h), "E01.one_slope"),
    ("E02", "relu_backward", overwrites_dout, "contract.input_changed"),
    ("E02", "relu_backward", overwrites_x, "contract.input_changed"),
    ("E02", "relu_backward", returns_the_mask, "E02.without_dout"),
    ("E02", "relu_backward", the_slope_of_relu_of_the_wrong_side_without_dout, "symptom.unused"),
    ("E02", "relu_backward", truth_for_dout, "symptom.not_linear"),
    ("E02", "relu_backward", lambda dout, x: dout, "E02.lets_all_through"),
    ("E02", "tanh_backward", sigmoid_again, "E02.sigmoid_of_out"),
    ("E02", "tanh_backward", slope_of_x_without_dout, "E02.slope_of_out_alone"),
    ("E02", "tanh_backward", lambda dout, out: -dout * out * (1 - out), "E02.of_the_sigmoid"),
    ("E03", "linear_backward", over_n_and_mean, "E03.over_N_again"),
    ("E03", "linear_backward", flat_and_one_sum, "E03.left_flat"),
    ("E03", "linear_backward", other_order, "contract.order"),
    ("E03", "linear_backward", never_flattened, "contract.does_not_fit"),
    ("E03", "linear_backward", bare_product, "contract.does_not_fit"),
    ("E03", "chain_backward", shared_value_and_no_slope, "E03.short_way_alone"),
    ("E03", "chain_backward", no_slope_in_dw1_alone, "E03.slope_missing_in_dw1"),
    ("E03", "chain_backward", relu_of_x, "E03.slope_at_x"),
    ("E09", "sgd_step", updates_the_weight, "contract.input_changed"),
    ("E09", "sgd_step", adds_to_the_gradient, "contract.input_changed"),
    ("E09", "sgd_step", returns_both, "contract.number_of_outputs"),
    ("E09", "sgd_step", plain_and_local, "E09.no_decay"),
    ("E09", "sgd_step", library_and_not_stored, "E09.of_another_library"),
    ("E09", "sgd_step", library_without_decay, "E09.of_another_library"),
    ("E09", "sgd_step", mean_without_decay, "E09.mean_and_uphill"),
    ("E09", "sgd_step", decay_without_lr_and_uphill, "E09.uphill"),
    ("E09", "sgd_step", velocity_itself, "E09.returns_the_velocity"),
]


@pytest.mark.parametrize(("key", "name", "student", "expected"), STUDENTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_student_hears_of_the_first_thing(key, name, student, expected):
    for seed in (0, 1, 2):
        finding = found(key, name, student, seed)
        assert finding is not None and finding.key == expected, finding and finding.text()
        for language in LANGUAGES:
            assert finding.text(language).count("\n") < 6


def test_gradients_of_the_first_call_that_stay_are_found():
    finding = found("E03", "linear_backward", Collects())
    assert finding is not None and finding.key == "contract.another_answer_the_second_time", finding and finding.text()
    assert "zeros" in finding.text()


def test_count_of_public_solutions_stands_at_a_changed_input():
    for key, name, student, seen in (
        ("E02", "relu_backward", overwrites_dout, (34, 135)),
        ("E02", "relu_backward", overwrites_x, (6, 135)),
        ("E09", "sgd_step", updates_the_weight, (14, 127)),
    ):
        assert found(key, name, student).seen == seen


def test_of_two_mistakes_the_one_that_shows_alone_is_named_at_a_call_that_shows_it():
    finding = found("E01", "numerical_gradient", one_sided_in_integers)
    assert finding.key == "E01.one_sided" and finding.probe != "integers"


def test_call_is_described_in_the_language_of_the_message():
    finding = found("E09", "sgd_step", plain_and_local)
    assert "momentum 0.8 and" in finding.text("en") and "momentum 为 0.8" in finding.text("zh")


@pytest.mark.parametrize("key", EXERCISES)
def test_every_call_is_described_in_chinese_too(key):
    calls = {slug(probe.key) for f in EXERCISES[key].functions for probe in f.probes(np.random.default_rng(3), 0)}
    assert {name.split(".", 2)[2] for name in catalogue("zh") if name.startswith(f"{key}.probes.")} == calls

"""What students really hand in for exercises 11 and 12: one kind of layer, two mistakes at once, shapes, memory."""

import copy

import numpy as np
import pytest

from tests.tutor.test_e08_to_e10 import found
from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.exercises.e11 import _with


def answer(layers, in_shape):
    return EXERCISES["E11"].functions[0].right(copy.deepcopy(layers), in_shape)


def of_plan(change):
    return lambda layers, in_shape: change(layers, *answer(layers, in_shape))


def takes_out(layers, shapes, parameters, macs):
    for layer in layers:
        layer.pop("type")
    return shapes, parameters, macs


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda layers, *plan: list(plan), "contract.list"),
        (lambda layers, s, p, m: ([x if x[1:] != (1, 1) else x[:1] for x in s], p, m), "contract.uneven"),
        (takes_out, "contract.input_changed"),
        (lambda layers, s, p, m: (s, p, [str(x) for x in m]), "contract.dtype"),
        (lambda layers, s, p, m: (s, [x + 2 * y[0] * (z["type"] == "lrn") for x, y, z in zip(p, s, layers, strict=True)], m),
         "symptom.part"),
        (lambda layers, s, p, m: (s, [x * 3 for x in p], [2 * x for x in m]), "E11.two_operations"),
        (lambda layers, s, p, m: (s, p, [2 * x for x in np.cumsum(m)]), "transform.twice"),
    ],
)  # fmt: skip
def test_plans_as_they_come(change, key):
    assert found("E11", "plan", of_plan(change)) == key


def joined(a, b):
    return np.concatenate([a, b], 1)


@pytest.mark.parametrize(
    ("name", "student", "key"),
    [
        ("exchange", lambda a, b: (joined(a, b),) * 2, "contract.outputs_share_memory"),
        ("exchange", lambda a, b: [joined(a, b), joined(a, b)], "contract.list"),
        ("exchange", lambda a, b: joined(a, b), "contract.number_of_outputs"),
        ("exchange", lambda a, b: (a, b), "E12.own_half_alone"),
        ("exchange_backward", lambda dya, dyb, channels: (dya[:, :channels], dyb[:, channels:]), "E12.not_sent_back"),
        ("exchange_backward", lambda dya, dyb, channels: (2 * dya[:, :channels], dyb[:, channels:] * 1), "E12.own_part_twice"),
        ("exchange_bytes", lambda a, b, itemsize, backward: (np.prod(a) + np.prod(b)) * itemsize, "contract.number_of_outputs"),
        ("exchange_bytes", lambda a, b, itemsize, backward: (3, 3), "symptom.one_number"),
    ],
)
def test_towers_as_they_come(name, student, key):
    assert found("E12", name, student) == key


def by_layer(change):
    """A plan of whose layers one kind has other numbers: change(type, shape, parameters, macs) -> the two numbers."""
    return of_plan(lambda layers, shapes, parameters, macs: (
        shapes, *zip(*(change(layer["type"], *row) for layer, *row in zip(layers, shapes, parameters, macs, strict=True)), strict=True)
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "key", "says"),
    [
        (lambda kind, shape, own, macs: (own, macs + shape[0] * (kind == "linear")), "biases_multiplied", "biases of your linear among"),
        (lambda kind, shape, own, macs: (own - shape[0] * (kind == "linear"), macs), "no_biases", "the parameters of your linear are"),
        (lambda kind, shape, own, macs: (own - shape[0] * (kind == "conv"), macs), "no_biases", "the parameters of your conv are"),
        (lambda kind, shape, own, macs: (own, macs * (1 + (kind == "conv"))), "two_operations", "your conv counts"),
    ],
)
def test_mistake_in_one_kind_of_layer_names_the_layer(change, key, says):
    finding = examine(EXERCISES["E11"], EXERCISES["E11"].functions[0], by_layer(change))
    assert finding.key == f"E11.{key}" and says in finding.text(), finding.text()


def with_groups_in_parameters(layers, in_shape):
    """A student whose multiplications alone take no notice of the groups."""
    shapes, parameters, macs = answer(layers, in_shape)
    groups = [layer.get("groups", 1) for layer in layers]
    return shapes, parameters, [count * group for count, group in zip(macs, groups, strict=True)]


def test_message_about_groups_speaks_of_nothing_that_is_right():
    finding = examine(EXERCISES["E11"], EXERCISES["E11"].functions[0], with_groups_in_parameters)
    told = finding.text().replace("Right in all calls: shapes, parameters.", "")
    assert finding.key == "E11.groups_left_out" and "parameters" not in told, told


@pytest.mark.parametrize(
    ("windows", "says"),
    [
        (lambda size, k, s, p: int(np.ceil((size + 2 * p - k + 1) / s)), "come out rounded down"),
        (lambda size, k, s, p: size + 2 * p - k // s + 1, "Python divides before it subtracts"),
        (lambda size, k, s, p: -(-(size + 2 * p) // s) + 1, "the kernel does not enter"),
    ],
)
def test_sizes_as_they_come(windows, says):
    finding = examine(EXERCISES["E11"], EXERCISES["E11"].functions[0], _with(windows=windows))
    assert finding.layer == "mistake" and says in finding.text() and "your conv and pool" in finding.text(), finding.text()


def cut_by_array_split(dya, dyb, channels):
    return tuple(part.copy() for part in np.array_split(dya + dyb, 2, axis=1))


def shares(a, b):
    ya = joined(a, b)
    return ya, ya[:]


def own_bytes(a_shape, b_shape, itemsize, backward):
    return int(np.prod(a_shape)) * itemsize, int(np.prod(b_shape)) * itemsize


@pytest.mark.parametrize(
    ("name", "student", "key", "says"),
    [
        ("exchange_backward", cut_by_array_split, "E12.cut_at_the_middle", "cut in the middle"),
        ("exchange", shares, "contract.outputs_share_memory", "A slice of an array, such as `ya[:]`, is no copy."),
        ("exchange_bytes", own_bytes, "E12.forward_as_backward", "the bytes of its own half: "),
    ],
)
def test_towers_and_what_is_said_of_them(name, student, key, says):
    finding = examine(EXERCISES["E12"], EXERCISES["E12"].function(name), student)
    assert finding.key == key and says in finding.text() and "Other calls" not in finding.text(), finding.text()


@pytest.mark.parametrize("join", [lambda a, b: np.concatenate([a, b]), lambda a, b: a + b])
def test_towers_joined_wrongly_have_another_shape_and_nothing_stopped(join):
    exercise, function = EXERCISES["E12"], EXERCISES["E12"].function("exchange")
    told = examine(exercise, function, lambda a, b: (join(a, b), join(a, b))).text()
    assert "ya.shape is " in told and "stopped" not in told, told


def test_two_mistakes_in_two_kinds_of_layers_show_one_after_the_other():
    student = _with(kernels=lambda layer, c: layer["kernel"] ** 2 * c / layer["groups"] ** 2, inputs=lambda c, h, w: c)
    finding = examine(EXERCISES["E11"], EXERCISES["E11"].functions[0], student)
    assert finding.key in ("E11.one_group_alone", "E11.linear_reads_channels") and finding.beside, finding.text()
    assert not finding.beyond

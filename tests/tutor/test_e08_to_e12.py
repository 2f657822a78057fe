"""What students really hand in for exercises 8, 10, 11 and 12: two mistakes at once, other containers, changed arguments."""

import copy

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
from tinyalex.tutor.exercises.e11 import _with
from tinyalex.tutor.finding import LANGUAGES


def found(key, name, student):
    """The finding; its text can be written in all languages, with nothing left in braces."""
    exercise = EXERCISES[key]
    finding = examine(exercise, exercise.function(name), student)
    if finding is not None:
        for language in LANGUAGES:
            text = finding.text(language)
            assert "{" not in text and text.count("\n") < 7
    return finding and finding.key


def cross_entropy(shift, loss_of, gradient_of):
    def student(logits, labels):
        e = np.exp(logits - shift(logits))
        p, rows = e / e.sum(1, keepdims=True), np.arange(len(logits))
        hot = np.eye(p.shape[1])[labels]
        return loss_of(-np.log(p[rows, labels])), gradient_of(p, hot)

    return student


def by_image(z):
    return z.max(1, keepdims=True)


@pytest.mark.parametrize(
    ("student", "key"),
    [
        (cross_entropy(by_image, np.mean, lambda p, hot: p - hot), "E08.log_of_p"),  # the loss first, then the gradient
        (cross_entropy(lambda z: 0, np.sum, lambda p, hot: p - hot), "transform.times_N"),  # shows at small logits already
        (cross_entropy(lambda z: 0, np.mean, lambda p, hot: hot - p), "E08.no_shift"),
        (cross_entropy(by_image, np.mean, lambda p, hot: p), "E08.log_of_p"),
    ],
)
def test_two_mistakes_of_the_loss_give_the_one_that_shows(student, key):
    assert found("E08", "softmax_cross_entropy", student) == key


def test_logits_changed_in_place_are_seen_with_their_count():
    def student(logits, labels):
        logits -= logits.max(1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        rows = np.arange(len(labels))
        dlogits = np.exp(log_p)
        dlogits[rows, labels] -= 1
        return -log_p[rows, labels].mean(), dlogits / len(labels)

    exercise = EXERCISES["E08"]
    finding = examine(exercise, exercise.functions[0], student)
    assert finding.key == "contract.input_changed" and finding.seen == (1, 138)


def dropped(mask_of, out_of=lambda x, mask, p: x * mask / (1 - p), at_test=lambda x, p: (x.copy(), np.ones_like(x))):
    def student(x, p, rng, train):
        if not train:
            return at_test(x, p)
        mask = mask_of(x, p, rng)
        return out_of(x, mask, p), mask

    return student


def uniform(x, p, rng):
    return rng.random(x.shape) >= p


def half_of_the_images(x, p, rng):
    mask = np.ones(x.shape)
    mask[::2] = rng.random(mask[::2].shape) >= p
    return mask


def in_place(x, mask, p):
    x *= mask / (1 - p)
    return x


@pytest.mark.parametrize(
    ("student", "key"),
    [
        (dropped(uniform, at_test=lambda x, p: (x, np.ones_like(x))), "contract.alias"),
        (dropped(uniform, at_test=lambda x, p: (x.copy(), None)), "contract.no_array"),
        (dropped(uniform, at_test=lambda x, p: (x.copy(), np.zeros_like(x))), "E10.mask_at_test_time"),
        (dropped(lambda x, p, rng: rng.rand(*x.shape) > p), "contract.no_attribute"),
        (dropped(uniform, in_place), "contract.input_changed"),
        (dropped(lambda x, p, rng: np.random.rand(*x.shape) > p), "E10.own_generator"),  # noqa: NPY002 - what is to be found
        (dropped(lambda x, p, rng: rng.uniform(-1, 1, x.shape) >= p), "E10.share"),
        (dropped(half_of_the_images), "E10.share"),
        (dropped(lambda x, p, rng: rng.random(x.shape)), "E10.other_numbers"),
        (dropped(lambda x, p, rng: np.zeros(x.shape)), "E10.drops_everything"),
        (dropped(uniform, lambda x, mask, p: x * mask * 1.5), "E10.scale"),
        (dropped(lambda x, p, rng: rng.random((4, 7) if len(x) == 4 else (2, 3, 5, 6)) >= p), "E10.fails"),
        (dropped(lambda x, p, rng: rng.random(x.shape) < p, lambda x, m, p: x * m, lambda x, p: (x * p, x * 0)), "E10.mask_turned_round"),
        (dropped(lambda x, p, rng: rng.random(x.shape[1:]) >= p, lambda x, m, p: x * m), "contract.shape"),
        (dropped(lambda x, p, rng: (rng.random(x.shape[1:]) >= p) * np.ones(x.shape), lambda x, m, p: x * m), "E10.one_mask_for_the_batch"),
    ],
)
def test_dropout_as_it_comes(student, key):
    assert found("E10", "dropout", student) == key


def test_the_global_generator_is_as_it_was():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    found("E10", "dropout", dropped(lambda x, p, rng: np.random.rand(*x.shape) > p))  # noqa: NPY002
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_backward_that_draws_again_is_told_so():
    def student(dout, mask, p):
        return dout * (np.random.rand(*dout.shape) >= p) / (1 - p)  # noqa: NPY002

    assert found("E10", "dropout_backward", student) == "contract.another_answer_the_second_time"


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
        ("exchange_bytes", own_bytes, "E12.forward_as_backward", "the bytes of its own half in forward"),
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


def test_step_that_climbs_and_array_that_holds_the_weight():
    function = EXERCISES["E09"].function("sgd_step")

    def climbs(weight, grad, velocity, lr, momentum, weight_decay):
        velocity[...] = momentum * velocity + lr * grad + weight_decay * lr * weight
        return weight + velocity

    def same_array(weight, grad, velocity, lr, momentum, weight_decay):
        velocity *= momentum
        velocity -= lr * (grad + weight_decay * weight)
        new_weight = velocity
        new_weight += weight
        return new_weight

    assert examine(EXERCISES["E09"], function, climbs).key == "E09.uphill"
    finding = examine(EXERCISES["E09"], function, same_array)
    assert finding.key == "E09.weight_in_the_velocity" and "holds the new weight" in finding.text(), finding.text()


def test_output_that_another_mistake_spoils_is_named_beside_the_first():
    function = EXERCISES["E08"].functions[0]
    spoiled = cross_entropy(lambda z: z.max(), np.mean, lambda p, hot: p - hot)
    finding = examine(EXERCISES["E08"], function, spoiled)
    assert finding.key == "E08.maximum_of_the_batch" and finding.beyond == ("dlogits",), finding.text()
    assert "Not right either: dlogits." in finding.text() and "dlogits。" in finding.text("zh")
    alone = examine(EXERCISES["E08"], function, cross_entropy(lambda z: z.max(), np.mean, lambda p, hot: (p - hot) / len(p)))
    assert alone.key == "E08.maximum_of_the_batch" and alone.beyond == ()
    summed = examine(EXERCISES["E08"], function, cross_entropy(by_image, np.sum, lambda p, hot: (p - 2 * hot) / len(p)))
    assert summed.numbers["output"] == "loss" and summed.beyond == ("dlogits",), summed.text()

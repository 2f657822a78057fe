"""What students really hand in for exercises 8, 9 and 10: two mistakes at once, other containers, changed arguments."""

import numpy as np
import pytest

from tinyalex.tutor.checking import examine
from tinyalex.tutor.exercises import EXERCISES
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


def test_maximum_over_the_images_is_named():
    student = cross_entropy(lambda z: z.max(0), np.mean, lambda p, hot: (p - hot) / len(p))
    assert found("E08", "softmax_cross_entropy", student) == "E08.maximum_over_the_images"


def test_loss_that_is_no_number_is_told_in_the_words_of_the_exercise():
    clipped = cross_entropy(lambda z: z - np.clip(z, -500, 500), np.mean, lambda p, hot: (p - hot) / len(p))
    finding = examine(EXERCISES["E08"], EXERCISES["E08"].functions[0], clipped)
    assert "How large can the numbers in your exp" in finding.text() and "1 of 1" not in finding.text(), finding.text()

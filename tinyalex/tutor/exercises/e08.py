"""E08: softmax and cross-entropy, the loss and its gradient (paper 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Forward, Function, Mistake, Probe

Answer = tuple[Any, Array]


def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """The loss of a batch, and its gradient with respect to the logits (paper 3.5: a softmax over the classes).

    p[n, c] = exp(logits[n, c]) / sum over k of exp(logits[n, k]),     loss = -(1 / N) sum over n of ln p[n, labels[n]]

    ln is the natural logarithm. Logits may be as large as 1000 or -1000, and the logits of two images may lie far from each other,
    those of one near 0 and of the other near -1000; both outputs are finite numbers there too. Subtracting one number from all
    logits of an image leaves its p as it is.

    Parameters
    ----------
    logits: (N, C), floats, the outputs of the last layer for N images and C classes.
    labels: (N,), integers from 0 to C - 1, the right class of each image.

    Returns
    -------
    loss: one number, the mean over the N images.
    dlogits: (N, C), a new array, the derivative of that mean with respect to each logit. logits and labels are left as they are.
    """
    z = logits - logits.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    return _loss(log_p, labels), (np.exp(log_p) - _one_hot(labels, logits)) / len(logits)


def _one_hot(labels: Array, logits: Array) -> Array:
    """(N, C): 1 at the label of each image, else 0."""
    return (labels[:, None] == np.arange(logits.shape[1])).astype(float)


def _loss(log_p: Array, labels: Array) -> float:
    return float(-log_p[np.arange(len(labels)), labels].mean())


def _shifted(logits: Array) -> Array:
    return logits - logits.max(1, keepdims=True)


def _p(logits: Array) -> Array:
    e = np.exp(_shifted(logits))
    return e / e.sum(1, keepdims=True)


def _of(p: Array, labels: Array) -> Answer:
    """What comes of probabilities, right or not, where the logarithm of p itself is taken."""
    return _loss(np.log(p), labels), (p - _one_hot(labels, p)) / len(p)


def log_of_p(logits: Array, labels: Array) -> Answer:
    return _of(_p(logits), labels)


def log_of_p_times_one_hot(logits: Array, labels: Array) -> Answer:
    p = _p(logits)
    return float(-(np.log(p) * _one_hot(labels, p)).sum() / len(p)), _of(p, labels)[1]


def _shift(by: Callable[[Array], Any], in_the_log: bool = False) -> Callable[[Array, Array], Answer]:
    """Another number is subtracted, or none; the logarithm is taken of p, or of the sum alone."""

    def shifted(logits: Array, labels: Array) -> Answer:
        z = logits - by(logits)
        e = np.exp(z)
        made = _of(e / e.sum(1, keepdims=True), labels)
        if not in_the_log:
            return made
        log_p = z - np.log(e.sum(1, keepdims=True))
        return _loss(log_p, labels), (np.exp(log_p) - _one_hot(labels, z)) / len(z)

    return shifted


def axis_lost_by_the_maximum(logits: Array, labels: Array) -> Answer:
    e = np.exp(logits - logits.max(1))
    return _of(e / e.sum(1, keepdims=True), labels)


def axis_lost_by_the_sum(logits: Array, labels: Array) -> Answer:
    e = np.exp(_shifted(logits))
    return _of(e / e.sum(1), labels)


def _sums(axis: int | None, shift: Callable[[Array], Any]) -> Callable[[Array, Array], Answer]:
    """Probabilities that sum to 1 along another axis, or over the whole batch."""

    def summed(logits: Array, labels: Array) -> Answer:
        e = np.exp(logits - shift(logits))
        return _of(e / e.sum(axis), labels)

    return summed


SHIFTS: dict[str, Callable[[Array], Any]] = {
    "none": lambda z: 0.0,
    "by class": lambda z: z.max(0),
    "by image": lambda z: z.max(1, keepdims=True),
    "one": lambda z: z.max(),
}


def _small_number(eps: float, clip: bool) -> Callable[[Array, Array], Answer]:
    """A small number keeps the logarithm from 0: the loss is cut off."""

    def kept(logits: Array, labels: Array) -> Answer:
        p = _p(logits)
        return _loss(np.log(np.maximum(p, eps) if clip else p + eps), labels), _of(p, labels)[1]

    return kept


def _with_loss(change: Callable[[Array, Array, Array], Any]) -> Callable[[Array, Array], Answer]:
    """The right gradient, and another loss: change(log p, one-hot labels, labels)."""

    def changed(logits: Array, labels: Array) -> Answer:
        z = _shifted(logits)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        return change(log_p, _one_hot(labels, logits), labels), softmax_cross_entropy(logits, labels)[1]

    return changed


def _with_gradient(change: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Answer]:
    """The right loss, and another gradient: change(p, one-hot labels)."""

    def changed(logits: Array, labels: Array) -> Answer:
        return softmax_cross_entropy(logits, labels)[0], change(_p(logits), _one_hot(labels, logits))

    return changed


def sum_inside_the_exponential(logits: Array, labels: Array) -> Answer:
    return _of(np.exp(logits / logits.sum(1, keepdims=True)), labels)


def whole_columns(logits: Array, labels: Array) -> Answer:
    p = _p(logits)
    loss = float(-np.log(p)[:, labels].mean())
    p[:, labels] -= 1
    return loss, p / len(p)


def _sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def sigmoid(logits: Array, labels: Array) -> Answer:
    return _of(_sigmoid(logits), labels)


def _binary(way: Callable[[Array], Array]) -> Callable[[Array, Array], Answer]:
    """The loss of two classes, summed over all classes."""

    def summed(logits: Array, labels: Array) -> Answer:
        p = way(logits)
        hot = _one_hot(labels, p)
        return float(-(hot * np.log(p) + (1 - hot) * np.log(1 - p)).sum(1).mean()), (p - hot) / len(p)

    return summed


def softmax_twice(logits: Array, labels: Array) -> Answer:
    return softmax_cross_entropy(_p(logits), labels)


def logits_less_one_hot(logits: Array, labels: Array) -> Answer:
    return softmax_cross_entropy(logits, labels)[0], (logits - _one_hot(labels, logits)) / len(logits)


SIZES = (  # images and classes of each call, one line for each size set; of the last call the classes alone
    ((5, 3), (3, 7), (4, 6), (3, 5), (4, 6), 3),
    ((6, 4), (2, 9), (5, 7), (4, 7), (3, 5), 4),
    ((4, 3), (5, 8), (3, 8), (5, 6), (2, 7), 5),
    ((7, 5), (4, 9), (6, 4), (3, 8), (5, 3), 6),
)


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls whose sizes all differ; the labels are not in order, and no class is the label of every image."""
    few, many, wide, far, same, classes = SIZES[sizes]
    apart = rng.normal(size=far) + rng.permutation(np.linspace(0, -1000, far[0]))[:, None]
    large = _spread(rng, *wide) * 1000
    worst = np.where(np.arange(wide[0]) % 2, large.argmax(1), large.argmin(1))
    one = np.array([[2.0, 0.5, -3.0, 1.0, -1.5, 0.25][:classes]]) + rng.choice([0.0, 0.25])
    return [
        Probe("five images", "{logits[0]} images and {logits[1]} classes", {"logits": rng.normal(size=few), "labels": _labels(rng, *few)}),
        Probe(
            "many classes", "{logits[0]} images and {logits[1]} classes",
            {"logits": rng.normal(size=many) * 3, "labels": _labels(rng, *many)},
        ),
        Probe("large", "logits from -1000 to 1000", {"logits": large, "labels": worst}),
        Probe("apart", "one image near 0 and one near -1000", {"logits": apart, "labels": _labels(rng, *far)}),
        Probe(
            "equal", "{logits[0]} images whose {logits[1]} logits are all 0",
            {"logits": np.zeros(same), "labels": _labels(rng, *same)},
        ),
        Probe("one image", "one image", {"logits": one, "labels": np.array([sizes])}),
    ]  # fmt: skip


def _labels(rng: np.random.Generator, n: int, c: int) -> Array:
    """A label for each image, not in order and not all the same."""
    while True:
        labels = rng.integers(c, size=n)
        if (np.diff(labels) < 0).any():
            return labels


def _spread(rng: np.random.Generator, n: int, c: int) -> Array:
    """Numbers from -1 to 1, in each row from about -1 to about 1, in random order."""
    return rng.permuted(np.linspace(-1, 1, c) * rng.uniform(0.9, 1, (n, 1)), axis=1)


QUESTION = "a question at stackoverflow.com, 13489896"
COUNTED = "counted in public solutions"
SMALL_SHIFTS: dict[str, Callable[[Array], Any]] = {
    "smallest": lambda z: z.min(1, keepdims=True),
    "mean": lambda z: z.mean(1, keepdims=True),
}
EPS = (1e-12, 1e-8, 1e-10, 1e-15, 1e-7, 1e-9, 1e-6, 1e-5, 1e-16, 1e-20, 1e-4, 1e-3)
SQUARES = _with_loss(lambda log_p, hot, labels: float(((np.exp(log_p) - hot) ** 2).sum(1).mean()))
E08 = Exercise("E08", "softmax and cross-entropy", "06", 20, (
    Function("softmax_cross_entropy", softmax_cross_entropy, ("loss", "dlogits"), probes, (
        Mistake("log of p", log_of_p, COUNTED, (37, 138)),
        Mistake("log of p/times one-hot", log_of_p_times_one_hot, COUNTED, (37, 138)),
        Mistake("no shift", _shift(lambda z: 0.0), COUNTED, (5, 138)),
        Mistake("no shift/in the log", _shift(lambda z: 0.0, True), COUNTED, (5, 138)),
        *(Mistake(f"no shift/by the {name}{' in the log' if log else ''}", _shift(by, log), "inferred")
          for name, by in SMALL_SHIFTS.items() for log in (False, True)),
        Mistake("maximum over the images", _shift(lambda z: z.max(0)), "inferred"),
        Mistake("maximum over the images/in the log", _shift(lambda z: z.max(0), True), "inferred"),
        Mistake("axis lost/maximum", axis_lost_by_the_maximum, "shuang0420.cn, June 2016: silent where N is C"),
        Mistake("axis lost/sum", axis_lost_by_the_sum, "shuang0420.cn, June 2016: silent where N is C"),
        *(Mistake(f"sum over the images/{shift}", _sums(0, way), "a question at stackguides.com, 45817372")
          for shift, way in SHIFTS.items()),
        *(Mistake(f"sum over everything/{shift}", _sums(None, way), "techstalking.com") for shift, way in SHIFTS.items()),
        Mistake("maximum of the batch", _shift(lambda z: z.max()), "inferred"),
        Mistake("maximum of the batch/in the log", _shift(lambda z: z.max(), True), "inferred"),
        *(Mistake(f"small number in the log/{eps:g} {'clip' if clip else 'add'}", _small_number(eps, clip), COUNTED, (1, 138))
          for eps in EPS for clip in (False, True)),
        Mistake("loss summed", _with_loss(lambda log_p, hot, labels: float(-(log_p * hot).sum())), QUESTION),
        Mistake("loss per image", _with_loss(lambda log_p, hot, labels: -(log_p * hot).sum(1)), "inferred"),
        Mistake("loss over the classes too", _with_loss(lambda log_p, hot, labels: float(-(log_p * hot).mean())), "inferred"),
        Mistake("logarithm to base 10", _with_loss(lambda log_p, hot, labels: _loss(log_p / np.log(10), labels)), "inferred"),
        Mistake("logarithm to base 2", _with_loss(lambda log_p, hot, labels: _loss(log_p / np.log(2), labels)), "inferred"),
        Mistake("no logarithm", _with_loss(lambda log_p, hot, labels: _loss(np.exp(log_p), labels)), "inferred"),
        Mistake("squared error", SQUARES, "inferred"),
        Mistake("whole columns", whole_columns, "inferred"),
        Mistake("whole columns/of the loss", _with_loss(lambda log_p, hot, labels: float(-log_p[:, labels].mean())), "inferred"),
        Mistake("sum inside the exponential", sum_inside_the_exponential, "a question at stackguides.com"),
        Mistake("every class alone", sigmoid, "inferred"),
        Mistake("every class alone/both terms", _binary(_sigmoid), "inferred"),
        Mistake("two terms a class", _binary(_p), "inferred"),
        Mistake("largest p", _with_loss(lambda log_p, hot, labels: float(-log_p.max(1).mean())), "inferred"),
        Mistake("softmax twice", softmax_twice, "inferred"),
        Mistake("gradient of the sum", _with_gradient(lambda p, hot: p - hot), QUESTION),
        Mistake("over N twice", _with_gradient(lambda p, hot: (p - hot) / len(p) ** 2), "d2l-ai/d2l-en#1000"),
        Mistake("over the classes", _with_gradient(lambda p, hot: (p - hot) / p.shape[1]), "inferred"),
        Mistake("over every element", _with_gradient(lambda p, hot: (p - hot) / p.size), "inferred"),
        Mistake("diagonal alone", _with_gradient(lambda p, hot: hot * (p - 1) / len(p)), "newbe.dev, on the derivative of the softmax"),
        Mistake("diagonal alone/summed", _with_gradient(lambda p, hot: hot * (p - 1)), "newbe.dev, on the derivative of the softmax"),
        Mistake("times the slope", _with_gradient(lambda p, hot: (p - hot) * p * (1 - p) / len(p)), "inferred"),
        Mistake("slope of the softmax", _with_gradient(lambda p, hot: p * (1 - p) / len(p)), "inferred"),
        Mistake("with respect to p", _with_gradient(lambda p, hot: np.where(hot > 0, -1 / p, 0) / len(p)), "inferred"),
        Mistake("labels left out", _with_gradient(lambda p, hot: p / len(p)), "inferred"),
        Mistake("one taken everywhere", _with_gradient(lambda p, hot: (p - 1) / len(p)), "inferred"),
        Mistake("label overwritten", _with_gradient(lambda p, hot: np.where(hot > 0, -1, p) / len(p)), "inferred"),
        Mistake("logits for p", logits_less_one_hot, "inferred"),
    ), seen={"input changed logits": (1, 138)}, forward=Forward(
        "E08", "softmax_cross_entropy", {"dlogits": "logits"}, lambda **given: given, ())),
))  # fmt: skip

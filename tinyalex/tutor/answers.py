"""The answers to the questions of the lessons: each is computed here, and none is stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tinyalex.models.alexnet import CAFFE
from tinyalex.models.rows import parameters
from tinyalex.tutor import later_answers
from tinyalex.tutor.later_answers import layers_of_alexnet

Array = npt.NDArray[np.float64]


def _slope_of_the_difference() -> float:
    return float(((1 + 0.1) ** 3 - (1 - 0.1) ** 3) / (2 * 0.1))


def _error_of_the_difference(h: float) -> float:
    """How far the centered difference of sin at 1 is from cos(1)."""
    return float(abs((np.sin(1 + h) - np.sin(1 - h)) / (2 * h) - np.cos(1.0)))


def _power_of_the_error() -> float:
    return float(np.log10(_error_of_the_difference(1e-5)))


def _best_power() -> float:
    return -float(1 + np.argmin([_error_of_the_difference(10.0**-power) for power in range(1, 16)]))


def _dead_units() -> float:
    x = np.random.default_rng(0).standard_normal(100_000)
    return float(100 * (x <= 0).mean())


def _parts_of_a_slope() -> float:
    x = np.linspace(-5, 5, 1001)
    out = 1 / (1 + np.exp(-x))
    return float((1 / (out * (1 - out)).max()) ** 8)


def _shared() -> float:
    x, h = 3.0, 1e-6
    return float(((x + h) * (x + h) - (x - h) * (x - h)) / (2 * h))


def _cost_of_backward(n: int = 7, c: int = 5, k: int = 4) -> float:
    forward, dx, dweight = n * k * c, n * c * k, k * c * n
    return (dx + dweight) / forward


def _last_use(x: float = 2.0) -> float:
    dx = 0.0
    for sent_back in (x, x, 3.0):
        dx = sent_back
    return dx


def _conv1_columns() -> float:
    return 11 * 11 * 3 * 55 * 55 / (224 * 224 * 3)


def _conv1_windows() -> float:
    return float(1 + -(-(224 - 11) // 4))


def _most_copies() -> float:
    copies = np.zeros((6, 8))
    for top, left in np.ndindex(2, 3):
        copies[2 * top : 2 * top + 3, 2 * left : 2 * left + 4] += 1
    return float(copies.max())


def _seen_twice() -> float:
    reads = np.zeros(55, int)
    for start in range(0, 53, 2):
        reads[start : start + 3] += 1
    return float(100 * (np.multiply.outer(reads, reads) > 1).mean())


def _winners_of_noise(maps: int = 40) -> tuple[npt.NDArray[np.int64], Array]:
    """Noise of 55 x 55 pixels pooled with kernel 3 and stride 2: which pixel won each window, and a random gradient of the window."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((maps, 55, 55))
    seen = np.lib.stride_tricks.sliding_window_view(noise, (3, 3), (1, 2))[:, ::2, ::2].reshape(maps, 27, 27, 9)
    i, j = np.divmod(seen.argmax(axis=-1), 3)
    line, column = 2 * np.arange(27)[:, None] + i, 2 * np.arange(27) + j
    return (np.arange(maps)[:, None, None] * 55 + line) * 55 + column, rng.standard_normal((maps, 27, 27))


def _won_twice() -> float:
    wins = np.bincount(_winners_of_noise()[0].ravel())
    return float(100 * (wins > 1).sum() / (wins > 0).sum())


def _lost_by_overwriting() -> float:
    winner, dout = _winners_of_noise()
    right, wrong = np.zeros((2, winner.max() + 1))
    np.add.at(right, winner, dout)
    wrong[winner] = dout
    return float(100 * np.linalg.norm(right - wrong) / np.linalg.norm(right))


def _lrn_alone() -> float:
    return float(10.0 / (2 + 1e-4 * 10.0**2) ** 0.75)


def _window_sums(a: Array) -> Array:
    """The sums over the windows of five channels on axis 1, which end at the first and the last channel."""
    return np.stack([a[:, max(0, i - 2) : i + 3].sum(axis=1) for i in range(a.shape[1])], axis=1)


def _lrn_factor(std: float) -> float:
    a = std * np.random.default_rng(0).standard_normal((2000, 96))
    return float(np.median((2 + 1e-4 * _window_sums(a * a)) ** -0.75))


def _cross_term_missing() -> float:
    a, dout = np.random.default_rng(0).standard_normal((2, 2000, 96))
    scale = 2 + 1e-4 * _window_sums(a * a)
    direct = dout * scale**-0.75
    cross = 2 * 1e-4 * 0.75 * a * _window_sums(direct * a / scale)
    return float(100 * np.linalg.norm(cross) / np.linalg.norm(direct - cross))


def _chance_loss(classes: int) -> float:
    return float(np.log(classes))


def _three_classes() -> Array:
    e = np.exp([2.0, 0.5, -3.0])
    return np.asarray(e / e.sum(), np.float64)


def _loss_of_three() -> float:
    return float(-np.log(_three_classes()[0]))


def _slope_of_three() -> float:
    return float(_three_classes()[0] - 1)


def _hopeless() -> float:
    z = np.array([10_000.0, 0.0])
    return float(z.max() + np.log(np.exp(z - z.max()).sum()) - z[1])


def _steady_velocity() -> float:
    v = 0.0
    for _ in range(1000):
        v = 0.9 * v + 1
    return v


def _ten_steps_after_the_cut() -> float:
    v, paper = 10.0, 0.0  # the steady velocity, in units of the old rate
    for _ in range(10):
        v = 0.9 * v + 0.1
        paper += v
    return paper / (10 * 10 * 0.1)


def _last_ten_gradients() -> float:
    return float(100 * (0.9 ** np.arange(10)).sum() / (0.9 ** np.arange(1000)).sum())


def _masks() -> float:
    return float(len(str(2**4096)))


def _pieces() -> float:
    return float(sum(2 for _ in np.ndindex(256 - 224 + 1, 256 - 224 + 1)))


def _geometric_and_halved() -> float:
    rng = np.random.default_rng(8)
    h, weight = np.abs(rng.standard_normal(10)), rng.standard_normal((5, 10))
    masks = ((np.arange(1024)[:, None] >> np.arange(10)) & 1).astype(np.float64)

    def answers(outputs: Array) -> Array:
        p = np.exp(outputs @ weight.T)
        return np.asarray(p / p.sum(axis=-1, keepdims=True), np.float64)

    geometric = np.exp(np.log(answers(masks * h)).mean(axis=0))
    return round(100 * float(np.abs(geometric / geometric.sum() - answers(0.5 * h)).max()), 9)


def _eigenvalue_for_its_root() -> float:
    return float(0.1 * 121.78006099**2)  # the largest deviation of ImageNet's colors in cuda-convnet2


def _fc_share() -> float:
    parameters = layers_of_alexnet()[0] + [96, 256, 384, 384, 256, 4096, 4096, 1000]
    return float(100 * parameters[5:].sum() / parameters.sum())


def _conv_share() -> float:
    macs = np.multiply(*layers_of_alexnet())
    return float(100 * macs[:5].sum() / macs.sum())


def _field_of_pool5() -> float:
    size, jump = 1, 1
    for kernel, stride in ((11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)):
        size, jump = size + (kernel - 1) * jump, stride * jump
    return float(size)


def _parameters_in_caffe() -> float:
    """Millions of parameters of AlexNet for 224 pixels, if convolutions round down and pooling rounds up."""
    return parameters(CAFFE, (3, 224, 224)) / 1e6


def _link_bytes() -> dict[str, int]:
    """Bytes of float32 that both cards together would send in front of a layer that reads both halves, for one image, forward."""
    numbers = {"conv2": 96 * 27 * 27, "conv3": 256 * 13 * 13, "conv4": 384 * 13 * 13, "conv5": 384 * 13 * 13}
    return {name: 4 * n for name, n in (numbers | {"fc6": 256 * 6 * 6, "fc7": 4096, "fc8": 2048}).items()}


def _sent_bytes() -> float:
    sent = _link_bytes()
    return sum(sent[name] for name in ("conv3", "fc6", "fc7", "fc8")) / (224 * 224 * 3)


def _all_links() -> float:
    return sum(_link_bytes().values()) / (224 * 224 * 3) / _sent_bytes()


def _not_sent_back() -> float:
    own, other = np.random.default_rng(0).standard_normal((2, 100_000))
    return float(100 * np.linalg.norm(other) / np.linalg.norm(own + other))


ANSWERS: dict[str, Callable[[], float]] = {
    "00-a": _slope_of_the_difference,
    "00-b": _power_of_the_error,
    "00-c": _best_power,
    "01-a": _dead_units,
    "01-b": lambda: _chance_loss(10),
    "01-c": _parts_of_a_slope,
    "02-a": _shared,
    "02-b": _cost_of_backward,
    "02-c": _last_use,
    "03-a": _conv1_columns,
    "03-b": _conv1_windows,
    "03-c": _most_copies,
    "04-a": _seen_twice,
    "04-b": _won_twice,
    "04-c": _lost_by_overwriting,
    "05-a": _lrn_alone,
    "05-b": lambda: _lrn_factor(1),
    "05-c": lambda: _lrn_factor(100),
    "05-d": _cross_term_missing,
    "06-a": lambda: _chance_loss(1000),
    "06-b": _loss_of_three,
    "06-c": _slope_of_three,
    "06-d": _hopeless,
    "07-a": _steady_velocity,
    "07-b": _ten_steps_after_the_cut,
    "07-c": _last_ten_gradients,
    "08-a": _masks,
    "08-b": _pieces,
    "08-c": _geometric_and_halved,
    "08-d": _eigenvalue_for_its_root,
    "09-a": _fc_share,
    "09-b": _conv_share,
    "09-c": _field_of_pool5,
    "09-d": _parameters_in_caffe,
    "10-a": _sent_bytes,
    "10-b": _all_links,
    "10-c": _not_sent_back,
} | later_answers.ANSWERS

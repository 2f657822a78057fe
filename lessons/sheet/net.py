"""The net of the by-hand sheet: its numbers are drawn from a seed, and its answers are computed in exact fractions.

An image of 2 channels and 5 x 5 pixels goes to two towers. Each tower has one filter of 3 x 3, ReLU, and overlapping max pooling with
windows of 2 x 2 and stride 1. Then the towers exchange what they have, as in front of fc6 in the paper's section 3.2. Each tower has two
hidden units that read all eight numbers. At the end two outputs read all four hidden units, and are compared with two targets.

The functions are those of `tinyalex.layers`. They compute in any numbers that add and multiply, so in fractions too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tinyalex.devices import NEW_ARRAYS
from tinyalex.errors import require_int
from tinyalex.geometry import windows_of
from tinyalex.layers.activation import ReLU
from tinyalex.layers.conv import conv2d, conv2d_backward
from tinyalex.layers.linear import linear, linear_backward
from tinyalex.layers.pool import max_pool, max_pool_backward
from tinyalex.tutor.exercises.e12 import exchange, exchange_backward

Array = np.ndarray[Any, Any]
IMAGE = (1, 2, 5, 5)
CONV = windows_of("conv", IMAGE[2:], 3)  # 3 x 3 windows
POOL = windows_of("pool", (3, 3), 2)  # 2 x 2 windows, stride 1: they overlap
HALF = POOL.out[0] * POOL.out[1]  # what one tower sends over the link: 4 numbers
PIXELS, WEIGHTS, SMALL, ERRORS = (0, 1, 2, 3), (0, 0, 1, -1), (-1, 1), (-2, -1, 1, 2)  # what numbers of a sheet are drawn from
LARGEST_IN_A_MAP = 8
LARGEST = 24  # of all numbers of a sheet: larger ones are no longer added in the head


class _Exact:
    """NumPy for arrays of fractions: `isnan` does not know them, and none of them is NaN."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def isnan(x: Array) -> Array:
        return np.zeros(x.shape, bool)


EXACT = _Exact()


@dataclass(frozen=True)
class Net:
    """The numbers that are printed on a sheet. Tuples hold those of tower A, then those of tower B.

    x: (1, 2, 5, 5). filters: (1, 2, 3, 3) each. conv_bias: (1,) each. hidden: (2, 8) each, the weights. hidden_bias: (2,) each.
    weight: (2, 4). bias: (2,). target: (1, 2).
    """

    x: Array
    filters: tuple[Array, Array]
    conv_bias: tuple[Array, Array]
    hidden: tuple[Array, Array]
    hidden_bias: tuple[Array, Array]
    weight: Array
    bias: Array
    target: Array

    def exact(self) -> Net:
        """The same numbers as fractions."""
        return self.changed(lambda one: np.vectorize(Fraction, otypes=[object])(one.astype(int)))

    def changed(self, change: Callable[[Array], Array]) -> Net:
        """A net whose arrays are changed, each by itself."""
        both = {key: value if isinstance(value, tuple) else (value,) for key, value in vars(self).items()}
        made: dict[str, Any] = {key: tuple(map(change, value)) for key, value in both.items()}
        return Net(**{key: value if len(value) == 2 else value[0] for key, value in made.items()})


@dataclass(frozen=True)
class Answers:
    """All that is computed on paper, in its order. Tuples hold what tower A computes, then what tower B computes.

    Forward: conv, relu (1, 1, 3, 3); pool (1, 1, 2, 2); wins (1, 1, 3, 3), in how many windows each cell wins; both (1, 8), what each
    tower reads after the link; before, after (1, 2), the hidden units before and after ReLU; out (1, 2); loss.
    Backward: dout (1, 2); dweight (2, 4); dbias (2,); dafter (1, 4); dbefore (1, 2); dhidden (2, 8); dhidden_bias (2,); dboth (1, 8),
    which each tower computes for all that it read; dpool (1, 1, 2, 2), the sum of both towers' parts; drelu, dconv (1, 1, 3, 3);
    dfilters (1, 2, 3, 3); dconv_bias (1,); dx_part (1, 2, 5, 5), one of each tower; dx (1, 2, 5, 5).
    """

    conv: tuple[Array, Array]
    relu: tuple[Array, Array]
    pool: tuple[Array, Array]
    wins: tuple[Array, Array]
    both: Array
    before: tuple[Array, Array]
    after: tuple[Array, Array]
    out: Array
    loss: Any
    dout: Array
    dweight: Array
    dbias: Array
    dafter: Array
    dbefore: tuple[Array, Array]
    dhidden: tuple[Array, Array]
    dhidden_bias: tuple[Array, Array]
    dboth: tuple[Array, Array]
    dpool: tuple[Array, Array]
    drelu: tuple[Array, Array]
    dconv: tuple[Array, Array]
    dfilters: tuple[Array, Array]
    dconv_bias: tuple[Array, Array]
    dx_part: tuple[Array, Array]
    dx: Array

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Name and numbers of each answer; those of both towers have one name."""
        for name, value in vars(self).items():
            for one in value if isinstance(value, tuple) else (value,):
                yield name, np.asarray(one)


def solved(net: Net) -> Answers:
    """Forward and backward, in the numbers of the net: fractions of `net.exact()`, or float64."""
    xp: Any = EXACT if net.x.dtype == object else np
    conv = _twice(lambda t: conv2d(net.x, net.filters[t], net.conv_bias[t], CONV, 1, xp))
    relu = _twice(lambda t: _relu(conv[t]))
    pooled = _twice(lambda t: max_pool(relu[t], POOL, xp))
    read = exchange(*(out.reshape(1, HALF) for out, _ in pooled))
    before = _twice(lambda t: linear(read[t], net.hidden[t], net.hidden_bias[t], 1, xp))
    after = _twice(lambda t: _relu(before[t]))
    units = np.concatenate(after, axis=1)
    out = linear(units, net.weight, net.bias, 1, xp)
    dout = out - net.target  # the slope of half the squared distance; see `tinyalex.loss.SquaredError`

    dafter, dweight, dbias = linear_backward(units, net.weight, dout, 1, xp)
    dbefore = _twice(lambda t: _relu_backward(dafter[:, 2 * t : 2 * t + 2], after[t]))
    hidden = _twice(lambda t: linear_backward(read[t], net.hidden[t], dbefore[t], 1, xp))
    dpool = tuple(one.reshape(1, 1, *POOL.out) for one in exchange_backward(hidden[0][0], hidden[1][0], HALF))
    drelu = _twice(lambda t: max_pool_backward(dpool[t], pooled[t][1], POOL, xp))
    dconv = _twice(lambda t: _relu_backward(drelu[t], relu[t]))
    first = _twice(lambda t: conv2d_backward(net.x, net.filters[t], dconv[t], CONV, 1, xp))
    dx_part = _column(first, 0)
    return Answers(
        conv, relu, _column(pooled, 0), _twice(lambda t: max_pool_backward(np.ones_like(pooled[t][1]), pooled[t][1], POOL)), read[0],
        before, after, out, (dout**2).sum() / 2, dout, dweight, dbias, dafter, dbefore, _column(hidden, 1), _column(hidden, 2),
        _column(hidden, 0), (dpool[0], dpool[1]), drelu, dconv, _column(first, 1), _column(first, 2), dx_part, dx_part[0] + dx_part[1],
    )  # fmt: skip


def _twice(of: Callable[[int], Any]) -> tuple[Any, Any]:
    """The same for tower A and tower B."""
    return of(0), of(1)


def _column(results: Any, at: int) -> tuple[Array, Array]:
    return results[0][at], results[1][at]


def _relu(x: Array) -> Array:
    out = np.empty_like(x)
    ReLU().function(x, out, NEW_ARRAYS)
    return out


def _relu_backward(dout: Array, out: Array) -> Array:
    dx = np.empty_like(out)
    ReLU().derivative(out, dx, NEW_ARRAYS)
    return dout * dx


def drawn(seed: int) -> Net:
    """The net of a seed, the same on every machine. Its answers are small whole numbers, but for the loss, which ends in a half.

    Numbers are drawn until the sheet has something to show: each tower has a winner that wins in two windows and gets two gradients, one
    hidden unit is off, each tower adds a gradient that came over the link to one of its own, the outputs have other weights, no window
    has two winners, and nothing is exactly 0 before a ReLU.

    Raises ShapeError unless the seed is an integer of at least 0.
    """
    die = _Die(require_int("sheet", "seed", seed, least=0))
    x = die.draw(IMAGE, PIXELS)
    (filter_a, bias_a), (filter_b, bias_b) = _twice(lambda _: _drawn_filter(die, x))
    maps = [np.maximum(conv2d(x, *one, CONV), 0) for one in ((filter_a, bias_a), (filter_b, bias_b))]
    read = np.concatenate([max_pool(one, POOL)[0].reshape(1, HALF) for one in maps], axis=1)
    while True:
        hidden, hidden_bias = _twice(lambda _: die.draw((2, 2 * HALF), WEIGHTS)), _twice(lambda _: die.draw((2,), SMALL))
        weight, bias, error = die.draw((2, 4), SMALL), die.draw((2,), SMALL), die.draw((1, 2), ERRORS)
        before = np.concatenate([linear(read, hidden[t], hidden_bias[t]) for t in (0, 1)], axis=1)
        alike = abs(weight[0] @ weight[1]) == weight.shape[1]  # the weights of both outputs, but for a sign
        if alike or (before < 0).sum() != 1 or (before == 0).any():
            continue
        target = linear(np.maximum(before, 0), weight, bias) - error
        net = Net(x, (filter_a, filter_b), (bias_a, bias_b), hidden, hidden_bias, weight, bias, target)
        if _worth_it(solved(net)):
            return net


def _drawn_filter(die: _Die, x: Array) -> tuple[Array, Array]:
    while True:
        weight, bias = die.draw((1, 2, 3, 3), WEIGHTS), die.draw((1,), SMALL)
        if _map_shows(conv2d(x, weight, bias, CONV)):
            return weight, bias


class _Die:
    """Draws numbers. `random.random` gives the same ones in every version of Python, unlike its other methods."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed).random

    def draw(self, shape: tuple[int, ...], values: tuple[int, ...]) -> Array:
        """An array of float64, each element one of `values`."""
        return np.array([values[int(self.random() * len(values))] for _ in range(int(np.prod(shape)))], float).reshape(shape)


def _map_shows(conv: Array) -> bool:
    """Whether a map has 2 to 4 negative cells, no 0, one winner in each window, one that wins twice, and two others."""
    if (conv == 0).any() or abs(conv).max() > LARGEST_IN_A_MAP or not 2 <= (conv < 0).sum() <= 4:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(conv[0, 0], POOL.kernel).reshape(HALF, -1)
    winners = windows.max(axis=1)
    single = all((window == winner).sum() == 1 for window, winner in zip(windows, winners, strict=True))
    _, won = max_pool(conv, POOL)
    times = max_pool_backward(np.ones((1, 1, *POOL.out)), won, POOL)
    return bool(single and winners.min() > 0 and times.max() == 2 and (times > 0).sum() >= 2)


def _worth_it(answers: Answers) -> bool:
    """Whether the gradients have something to show, and all numbers are small."""
    from_a, from_b = answers.dboth
    return bool(
        max(abs(one).max() for _, one in answers.arrays()) <= LARGEST
        and (answers.dafter != 0).all()
        and all((from_a[0, half] * from_b[0, half]).any() for half in (slice(HALF), slice(HALF, None)))
        and all((one != 0).all() for one in answers.dpool)
        and all((one[wins == 2] != 0).all() for one, wins in zip(answers.dconv, answers.wins, strict=True))
    )

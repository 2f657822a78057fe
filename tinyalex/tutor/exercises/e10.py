"""E10: dropout, forward and backward (paper 4.2). What is random is judged by statistics, in e10_statistics.py, never by a seed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Forward, Function, Mistake, Probe
from tinyalex.tutor.exercises.e10_statistics import RATES, Pair, Rng, statistics


def dropout(x: Array, p: float, rng: Rng, train: bool) -> Pair:
    """Silence every number with probability p while training, so that no unit can rely on particular others (paper 4.2).

    train=True: out = m x / (1 - p), m = 0 with probability p and 1 otherwise, drawn anew for each number.     train=False: out = x

    This form is called inverted. The paper's own does not divide while training, and multiplies by 1 - p at test time; in both the
    average of out over many draws is what the function gives at test time. Write the inverted one, in which test time needs no p.

    Parameters
    ----------
    x: floats of any shape whose first axis is N: (N, C), (N, C, H, W).
    p: the probability of each number to be DROPPED, 0 <= p < 1.
    rng: a numpy.random.Generator. Take all random numbers from it, in whatever way you like: rng.random, rng.uniform, rng.binomial.
    train: True while training, False at test time.

    Returns
    -------
    out: of the shape of x, a new array, with train=False too. x is left as it is.
    mask: of the shape of x, a new array: 1 or True where a number was kept, 0 or False where it was dropped. It is m itself, not
        divided by 1 - p. With train=False it is 1 or True everywhere, as nothing is dropped. Numbers and booleans are both accepted.
    """
    if not train:
        return x.copy(), np.ones(x.shape, bool)
    mask = np.greater_equal(rng.random(x.shape), p)
    return x * mask / (1 - p), mask


def dropout_backward(dout: Array, mask: Array, p: float) -> Array:
    """The gradient of the loss with respect to x, from that with respect to the output of `dropout` with train=True (paper 4.2).

    The numbers that were silent in the forward pass must be the same here: the mask says which, and nothing is drawn again.

    Parameters
    ----------
    dout: (N, C) or (N, C, H, W), the gradient of the loss with respect to out.
    mask: of the same shape, True where the forward pass kept a number, False where it dropped one. Here it is always a boolean array,
        whichever of the two kinds your `dropout` returns.
    p: as in `dropout`, the probability of each number to be dropped, 0 <= p < 1.

    Returns
    -------
    dx: of the same shape, a new array. dout and mask are left as they are.
    """
    return dout * mask / (1 - p)


def _dropout(
    keep: Callable[[Array, float, Rng], Any] = lambda x, p, rng: rng.random(x.shape) >= p,
    scale: Callable[[float, Array], Any] = lambda p, mask: 1 / (1 - p),
    test: Callable[[Array, float, Rng], Array] = lambda x, p, rng: x.copy(),
    mask: Callable[[Array, float, Rng], Any] = lambda mask, p, rng: mask,
) -> Callable[[Array, float, Rng, bool], Pair]:
    """Dropout by other rules: who is kept, the factor of what is kept, what test time gives, the mask that is returned."""

    def wrong(x: Array, p: float, rng: Rng, train: bool) -> Pair:
        if not train:
            return test(x, p, rng), np.ones(x.shape)
        kept = keep(x, p, rng)
        return x * kept * scale(p, kept), mask(np.broadcast_to(kept, x.shape) * 1.0, p, rng)

    return wrong


def train_left_out(x: Array, p: float, rng: Rng, train: bool) -> Pair:
    return dropout(x, p, rng, True)


def train_exchanged(x: Array, p: float, rng: Rng, train: bool) -> Pair:
    return dropout(x, p, rng, not train)


def exact_share(x: Array, p: float, rng: Rng) -> Array:
    return (rng.permutation(x.size) >= p * x.size).reshape(x.shape)


def _times(change: Callable[[Array, float], Any]) -> Callable[[Array, Array, float], Array]:
    """A backward pass that multiplies dout with something else."""
    return lambda dout, mask, p: dout * change(mask, p)


# shapes of the calls, and the rates of the backward pass, one for each size set
FORWARD = (((4, 7), (2, 3, 5, 6)), ((5, 8), (3, 2, 4, 7)), ((3, 9), (4, 2, 6, 5)), ((6, 5), (2, 4, 7, 3)))
BACKWARD = (
    (((5, 7), 0.25), ((2, 3, 4, 5), 0.8), ((1, 9), 0.4)),
    (((4, 9), 0.3), ((3, 2, 5, 4), 0.85), ((1, 8), 0.45)),
    (((6, 8), 0.2), ((2, 5, 3, 4), 0.7), ((1, 7), 0.6)),
    (((7, 5), 0.35), ((4, 3, 2, 5), 0.9), ((1, 11), 0.55)),
)


def forward_probes(rng: Rng, sizes: int) -> list[Probe]:
    """Calls whose kind is looked at; the numbers are left to `statistics`."""
    (small, large), (units, maps) = RATES[sizes], FORWARD[sizes]
    x, images = rng.normal(size=units), rng.normal(size=maps)
    return [
        Probe("training", "p = {p} and train=True", {"x": x, "p": small, "rng": _draw(rng), "train": True}, random=True),
        Probe("test", "p = {p} and train=False", {"x": x, "p": small, "rng": _draw(rng), "train": False}, random=True),
        Probe("maps", "maps, p = {p} and train=True", {"x": images, "p": large, "rng": _draw(rng), "train": True}, random=True),
    ]


def backward_probes(rng: Rng, sizes: int) -> list[Probe]:
    """Calls of `dropout_backward`; the share of the mask is not 1 - p, as chance has it."""
    named = {"units": "{mask[0]} images of {mask[1]} units", "maps": "maps", "one image": "one image"}
    made = []
    for (key, says), (shape, p) in zip(named.items(), BACKWARD[sizes], strict=True):
        kept = rng.permutation(np.arange(math.prod(shape)) % 3 > 0).reshape(shape)
        made.append(Probe(key, f"{says} and p = {{p}}", {"dout": rng.normal(size=shape) + 3, "mask": kept, "p": p}))
    return made


def _draw(rng: Rng) -> Rng:
    return np.random.default_rng(rng.integers(2**32))


COUNTED = "counted in public solutions"
E10 = Exercise("E10", "dropout", "08", 20, (
    Function("dropout", dropout, ("out", "mask"), forward_probes, (
        Mistake("not scaled", _dropout(scale=lambda p, mask: 1.0), COUNTED, (7, 118)),
        Mistake("normal noise", _dropout(keep=lambda x, p, rng: rng.standard_normal(x.shape) < 1 - p), COUNTED, (5, 118)),
        Mistake("other probability", _dropout(scale=lambda p, mask: 1 / p), COUNTED, (4, 118)),
        Mistake("again at test time", _dropout(test=lambda x, p, rng: x * (1 - p)), COUNTED, (3, 118)),
        Mistake("form of the paper", _dropout(scale=lambda p, mask: 1.0, test=lambda x, p, rng: x * (1 - p)), "the paper, section 4.2"),
        Mistake("one mask for the batch", _dropout(keep=lambda x, p, rng: rng.random(x.shape[1:]) >= p), COUNTED, (2, 118)),
        Mistake("never drops", _dropout(keep=lambda x, p, rng: rng.random(x.shape) < p / p, scale=lambda p, mask: 1.0), COUNTED, (1, 118)),
        Mistake("p to keep", _dropout(keep=lambda x, p, rng: rng.random(x.shape) < p, scale=lambda p, mask: 1 / p), "inferred"),
        Mistake("mask turned round", _dropout(keep=lambda x, p, rng: rng.random(x.shape) < p), "inferred"),
        Mistake("one draw for many", _dropout(keep=lambda x, p, rng: rng.random((*x.shape[:2], *[1] * (x.ndim - 2))) >= p), "inferred"),
        Mistake("mask of two axes", _dropout(keep=lambda x, p, rng: rng.random(x.shape[:2]) >= p), COUNTED, (3, 118)),
        Mistake("drops at test time", train_left_out, "inferred"),
        Mistake("train exchanged", train_exchanged, "inferred"),
        Mistake("multiplied", _dropout(scale=lambda p, mask: 1 - p), "inferred"),
        Mistake("scaled twice", _dropout(scale=lambda p, mask: (1 - p) ** -2), "inferred"),
        Mistake("by the share kept", _dropout(scale=lambda p, mask: 1 / mask.mean()), "inferred"),
        Mistake("scale at test time", _dropout(test=lambda x, p, rng: x / (1 - p)), "inferred"),
        Mistake("mask scaled", _dropout(mask=lambda mask, p, rng: mask / (1 - p)), "inferred"),
        Mistake("mask of the dropped", _dropout(mask=lambda mask, p, rng: 1 - mask), "inferred"),
        Mistake("another mask", _dropout(mask=lambda mask, p, rng: rng.random(mask.shape) >= p), "inferred"),
        Mistake("own generator", _dropout(keep=lambda x, p, rng: np.random.default_rng().random(x.shape) >= p), "inferred"),
        Mistake("fixed seed", _dropout(keep=lambda x, p, rng: np.random.default_rng(0).random(x.shape) >= p), "inferred"),
        Mistake("same mask again", _dropout(keep=lambda x, p, rng: copy.deepcopy(rng).random(x.shape) >= p), "inferred"),
        Mistake("exact share", _dropout(keep=exact_share), "inferred"),
    ), judge=statistics, seen={"alias x": (68, 72)}),
    Function("dropout_backward", dropout_backward, ("dx",), backward_probes, (
        Mistake("scale missing", _times(lambda mask, p: mask * 1.0), "inferred"),
        Mistake("mask missing", _times(lambda mask, p: 1 / (1 - p)), "inferred"),
        Mistake("nothing done", _times(lambda mask, p: 1.0), "inferred"),
        Mistake("divided by p", _times(lambda mask, p: mask / p), "inferred"),
        Mistake("times the share", _times(lambda mask, p: mask * (1 - p)), "inferred"),
        Mistake("divided twice", _times(lambda mask, p: mask / (1 - p) ** 2), "inferred"),
        Mistake("the dropped alone", _times(lambda mask, p: ~mask / (1 - p)), "inferred"),
        Mistake("the dropped alone/divided by p", _times(lambda mask, p: ~mask / p), "inferred"),
        Mistake("divided by the share", _times(lambda mask, p: mask / mask.mean()), "inferred"),
    ), linear=("dout",), forward=Forward("E10", "dropout", {"dx": "x"}, lambda dout, mask, p: {
        "x": np.array(dout), "p": p, "rng": np.random.default_rng(0), "train": True}, kept={"mask": 1})),
))  # fmt: skip

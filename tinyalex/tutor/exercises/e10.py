"""E10: dropout, forward and backward (paper 4.2). What is random is judged by statistics, never by a seed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Forward, Function, Mistake, Probe
from tinyalex.tutor.guard import call

Rng = np.random.Generator
Pair = tuple[Array, Array]
Found = tuple[str, dict[str, Any]]


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
        divided by 1 - p. With train=False it is 1 or True everywhere, as nothing is dropped.
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
    mask: of the same shape, a boolean array: True where the forward pass kept a number, False where it dropped one.
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


RATES = ((0.25, 0.8), (0.3, 0.85), (0.2, 0.7), (0.35, 0.9))  # of what is dropped, one pair for each size set; so below
FORWARD = (((4, 7), (2, 3, 5, 6)), ((5, 8), (3, 2, 4, 7)), ((3, 9), (4, 2, 6, 5)), ((6, 5), (2, 4, 7, 3)))
BACKWARD = (
    (((5, 7), 0.25), ((2, 3, 4, 5), 0.8), ((1, 9), 0.4)),
    (((4, 9), 0.3), ((3, 2, 5, 4), 0.85), ((1, 8), 0.45)),
    (((6, 8), 0.2), ((2, 5, 3, 4), 0.7), ((1, 7), 0.6)),
    (((7, 5), 0.35), ((4, 3, 2, 5), 0.9), ((1, 11), 0.55)),
)
MANY = ((40, 5, 12, 25), (50, 4, 15, 20), (30, 8, 25, 10), (48, 5, 10, 25))  # for `statistics`, COUNT numbers each
COUNT = 60_000


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


SIGMAS = 7.0  # of a share of 60,000 draws: less often than once in 10^11


def statistics(student: Callable[..., Any], rng: Rng, sizes: int) -> Found | None:
    """What 60,000 numbers tell, at two rates, in training and at test time."""
    shape, rates = MANY[sizes], RATES[sizes]
    x = rng.uniform(1, 2, shape) * rng.choice([-1.0, 1.0], shape)
    seeds = [int(seed) for seed in rng.integers(2**32, size=2)]
    runs: dict[float, Pair] = {}
    for p in rates:
        made = _run(student, x, p, np.random.default_rng(seeds[0]), True)
        if isinstance(made, str):
            return "fails", {"error": made, "p": p, "train": True}
        runs[p] = made
    tested = _run(student, x, rates[0], np.random.default_rng(seeds[1]), False)
    if isinstance(tested, str):
        return "fails", {"error": tested, "p": rates[0], "train": False}
    return _of_masks(x, runs, tested) or _of_scales(x, runs, tested) or _of_generators(student, x, rates[0], runs[rates[0]], seeds)


def _run(student: Callable[..., Any], x: Array, p: float, rng: Rng, train: bool) -> Pair | str:
    """out and mask, or what went wrong."""
    outcome = call(student, {"x": x.copy(), "p": p, "rng": rng, "train": train})
    if outcome.error is not None:
        return f"{type(outcome.error).__name__}: {outcome.error}"[:200]
    if not isinstance(outcome.value, tuple) or [np.shape(output) for output in outcome.value] != [x.shape] * 2:
        return "another shape than with fewer numbers"
    out, mask = outcome.value
    return np.asarray(out), np.asarray(mask)


def _of_masks(x: Array, runs: Mapping[float, Pair], tested: Pair) -> Found | None:
    """Who is kept: some, at training alone, each number by a draw of its own, and as many as p says."""
    kept = {p: out != 0 for p, (out, _) in runs.items()}
    first = next(iter(runs))
    numbers: dict[str, Any] = {"p": first}
    if (tested[0] == 0).any():
        return ("train exchanged" if kept[first].all() else "drops at test time"), numbers
    if all(mask.all() for mask in kept.values()):
        ratio = runs[first][0] / x
        if np.ptp(ratio) > 1e-6:
            return "other numbers", numbers | {"factor": f"{ratio.flat[0]:.6g}", "wanted": f"{1 / (1 - first):.6g} or 0"}
        return "never drops", numbers
    if not any(mask.any() for mask in kept.values()):
        return "drops everything", numbers
    for axis in range(x.ndim):
        if all((mask == mask.take([0], axis)).all() for mask in kept.values()):
            return ("one mask for the batch" if axis == 0 else "one draw for many"), numbers | {"axis": axis}
    shares = {p: float(mask.mean()) for p, mask in kept.items()}
    if _near(shares, lambda p: 1 - p):
        return None
    shown = {"p": first, "share": f"{100 * (1 - shares[first]):.1f} %", "wanted": f"{100 * first:g} %"}
    if _near(shares, lambda p: p):
        return ("p to keep" if _is_scale(x, runs, lambda p, mask: 1 / p) else "mask turned round"), shown
    normal = (lambda p: _phi(1 - p), lambda p: _phi(-p), lambda p: _phi(p), lambda p: _phi(p - 1))
    return ("normal noise" if any(_near(shares, way) for way in normal) else "share"), shown


def _near(shares: Mapping[float, float], way: Callable[[float], float]) -> bool:
    """Whether the shares that were kept are those of a probability, at both rates."""
    return all(abs(share - way(p)) <= SIGMAS * math.sqrt(way(p) * (1 - way(p)) / COUNT) for p, share in shares.items())


def _phi(z: float) -> float:
    """The probability that a normal number is below z."""
    return (1 + math.erf(z / math.sqrt(2))) / 2


def _is_scale(x: Array, runs: Mapping[float, Pair], way: Callable[[float, Array], float]) -> bool:
    """Whether what is kept is x times that, at both rates."""
    return all(np.allclose(out[out != 0], (x * way(p, out != 0))[out != 0], rtol=1e-6, atol=0) for p, (out, _) in runs.items())


def _of_scales(x: Array, runs: Mapping[float, Pair], tested: Pair) -> Found | None:
    """The factor of what is kept, that of test time, and whether the mask is the one that was used."""
    p = next(iter(runs))
    out, mask = runs[p]
    ratios, at_test = (out / x)[out != 0], tested[0] / x
    numbers = {"p": p, "factor": f"{ratios.flat[0]:.6g}", "wanted": f"{1 / (1 - p):.6g}", "test": f"{at_test.flat[0]:.6g}"}
    if not _is_scale(x, runs, lambda p, mask: 1 / (1 - p)):
        halved = np.allclose(at_test, 1 - p, rtol=1e-6)
        ways: dict[str, Callable[[float, Array], float]] = {
            "form of the paper" if halved else "not scaled": lambda p, mask: 1.0,
            "other probability": lambda p, mask: 1 / p,
            "multiplied": lambda p, mask: 1 - p,
            "scaled twice": lambda p, mask: (1 - p) ** -2,
            "by the share kept": lambda p, mask: 1 / float(mask.mean()),
        }
        named = next((key for key, way in ways.items() if _is_scale(x, runs, way)), None)
        return named or ("scale" if np.ptp(ratios) < 1e-6 else "other numbers"), numbers
    if not np.allclose(at_test, 1, rtol=1e-6):
        return ("again at test time" if np.allclose(at_test, 1 - p, rtol=1e-6) else "scale at test time"), numbers
    if not (tested[1] == 1).all():
        return "mask at test time", numbers
    for rate, (out, mask) in runs.items():
        kept = out != 0
        if not np.array_equal(mask, kept):
            scaled, turned = np.array_equal(mask != 0, kept), np.array_equal(mask != 0, ~kept)
            return ("mask scaled" if scaled else "mask of the dropped" if turned else "another mask"), numbers | {"p": rate}
    return None


def _of_generators(student: Callable[..., Any], x: Array, p: float, before: Pair, seeds: list[int]) -> Found | None:
    """Whether the numbers come from `rng`: the same state gives the same mask, another state another one; and whether chance plays."""
    numbers = {"p": p}
    again = _run(student, x, p, np.random.default_rng(seeds[0]), True)
    if isinstance(again, str) or not np.array_equal(again[0], before[0]):
        return "own generator", numbers
    one = np.random.default_rng(seeds[1])
    masks = [before[0] != 0]
    for _ in range(8):
        made = _run(student, x, p, one, True)
        if isinstance(made, str):
            return "fails", {"error": made, "p": p, "train": True}
        masks.append(made[0] != 0)
    if all(np.array_equal(masks[0], mask) for mask in masks[1:]):
        return "fixed seed", numbers
    if any(np.array_equal(masks[1], mask) for mask in masks[2:]):
        return "same mask again", numbers
    counts = [int(mask.sum()) for mask in masks]
    if len(set(counts)) == 1 or len({int(image.sum()) for image in masks[0]}) == 1:
        return "exact share", numbers | {"count": x.size - counts[0], "of": x.size}
    return None


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

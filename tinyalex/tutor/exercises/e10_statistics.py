"""Dropout is judged by what 60,000 numbers tell: who is kept, by what factor, from which generator. A false alarm is rarer than 1e-9."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.guard import call

Rng = np.random.Generator
Pair = tuple[Array, Array]
Found = tuple[str, dict[str, Any]]

RATES = ((0.25, 0.8), (0.3, 0.85), (0.2, 0.7), (0.35, 0.9))  # of what is dropped, one pair for each size set
MANY = ((40, 5, 12, 25), (50, 4, 15, 20), (30, 8, 25, 10), (48, 5, 10, 25))  # COUNT numbers each
COUNT = 60_000
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
            return "fails", {"error": made, "p": p, "train": True, "shape": shape}
        runs[p] = made
    tested = _run(student, x, rates[0], np.random.default_rng(seeds[1]), False)
    if isinstance(tested, str):
        return "fails", {"error": tested, "p": rates[0], "train": False, "shape": shape}
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
            return "fails", {"error": made, "p": p, "train": True, "shape": x.shape}
        masks.append(made[0] != 0)
    if all(np.array_equal(masks[0], mask) for mask in masks[1:]):
        return "fixed seed", numbers
    if any(np.array_equal(masks[1], mask) for mask in masks[2:]):
        return "same mask again", numbers
    counts = [int(mask.sum()) for mask in masks]
    if len(set(counts)) == 1 or len({int(image.sum()) for image in masks[0]}) == 1:
        return "exact share", numbers | {"count": x.size - counts[0], "of": x.size}
    return None

"""The forward pass of E07: local response normalization (paper 3.3), the calls it is tried with, and its mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Arguments, Mistake, Probe


def lrn(a: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """Each activity divided by a power of the summed squares of its neighbors, the channels around it (paper 3.3).

    s[i] = k + alpha * sum of a[j]^2 over j = max(0, i - n // 2) ... min(C - 1, i + (n - 1) // 2),      b[i] = a[i] / s[i]^beta

    i and j number the channels; image, line and column are the same in all terms. For n = 5 these are the channel, two below and two
    above; for an even n there is one more below than above. At the first and the last channels fewer terms exist: those that do are
    summed, and n may be larger than C. Some libraries divide alpha by n. The paper does not, and neither should you.

    Parameters
    ----------
    a: (N, C, H, W), floats of both signs.
    n: channels in a window, an integer of at least 1.
    k: above 0; alpha: at least 0; beta: a number. The paper takes n = 5, k = 2, alpha = 1e-4, beta = 0.75.

    Returns
    -------
    b: (N, C, H, W), a new array. a is left as it is.
    """
    return a / scales(a, n, k, alpha) ** beta


def holds(c: int, n: int) -> Array:
    """holds[i, j]: 1.0 where the window of channel i holds channel j."""
    i, j = np.indices((c, c))
    return ((j >= i - n // 2) & (j <= i + (n - 1) // 2)).astype(float)


def over(window: Array, a: Array) -> Array:
    """The sum over the channels of each window: out[:, i] = sum over j of window[i, j] a[:, j]."""
    return np.einsum("ij,njhw->nihw", window, a)


def scales(a: Array, n: int, k: float, alpha: float) -> Array:
    """k + alpha * the sum of squares in the window of each channel."""
    return k + alpha * over(holds(a.shape[1], n), a**2)


Window = Callable[[int, int], Array]  # (C, n) -> a matrix as `holds` gives it


def _where(rule: Callable[[Array, Array, int], Any]) -> Window:
    """Windows by a rule of i, j and n: whether the window of channel i holds channel j."""
    return lambda c, n: np.asarray(rule(np.arange(c)[:, None], np.arange(c), n), float)


def _one_by_one(place: Callable[[int, int, int], Array]) -> Window:
    """Windows as the channels place(i, n, C); a channel that is named twice counts twice."""

    def window(c: int, n: int) -> Array:
        made = np.zeros((c, c))
        for i in range(c):
            np.add.at(made[i], place(i, n, c), 1)
        return made

    return window


def _around(i: int, n: int) -> Array:
    """The numbers of the channels of a window, also of those that do not exist."""
    return np.arange(i - n // 2, i + (n - 1) // 2 + 1)


def without_the_last(window: Window) -> Window:
    """C - 1 as an end that does not belong to the slice: the last channel is in no window."""
    return lambda c, n: window(c, n) * (np.arange(c) < c - 1)


LAST_MISSING = _where(lambda i, j, n: (j >= i - n // 2) & (j < i + (n - 1) // 2))
HALF_EXCLUSIVE = _where(lambda i, j, n: (j >= i - n // 2) & (j < i + n // 2))  # right for an even n
FIRST_MISSING = _where(lambda i, j, n: (j > i - n // 2) & (j <= i + (n - 1) // 2))
FIRST_EXISTING_MISSING = _where(lambda i, j, n: (j > np.maximum(i - n // 2, 0)) & (j <= i + (n - 1) // 2))
SUMS = _where(lambda i, j, n: ((j > i - n // 2) | (i <= n // 2)) & (j <= i + (n - 1) // 2))  # running sums: total[high] - total[low]
BOTH_SIDES = _where(lambda i, j, n: abs(i - j) <= n // 2)
ONE_MORE_ABOVE = _where(lambda i, j, n: (j >= i - (n - 1) // 2) & (j <= i + n // 2))
TO_N_ABOVE = _where(lambda i, j, n: (j >= i - n // 2) & (j <= i + n))  # i + n - 1 // 2 without brackets
FROM_BELOW = _where(lambda i, j, n: (j >= (i - n) // 2) & (j <= i + (n - 1) // 2))  # (i - n) // 2
RADIUS = _where(lambda i, j, n: abs(i - j) <= n)
OTHERS = _where(lambda i, j, n: (j >= i - n // 2) & (j <= i + (n - 1) // 2) & (i != j))
BLOCKS = _where(lambda i, j, n: i // n == j // n)  # channels 0 ... n - 1 are one window, the next n the next
ONLY_BELOW = _where(lambda i, j, n: (j > i - n) & (j <= i))
ITSELF = _where(lambda i, j, n: i == j)
FILLED = _one_by_one(lambda i, n, c: np.arange(c)[max(0, min(i - n // 2, c - n)) :][:n])  # moved inside at the edges
NEGATIVE = _one_by_one(lambda i, n, c: np.arange(c)[i - n // 2 : i + (n - 1) // 2 + 1])  # a negative start counts from the end
ROUND = _one_by_one(lambda i, n, c: _around(i, n) % c)  # the neighbors of the first channel are the last ones
REPEATED = _one_by_one(lambda i, n, c: _around(i, n).clip(0, c - 1))


class Call(NamedTuple):
    """The arguments of one call of `lrn`, and what can be made of them."""

    a: Array
    n: int
    k: float
    alpha: float
    beta: float

    def sum(self, of: Array, window: Window = holds) -> Array:
        """The sum over windows of channels."""
        return over(window(self.a.shape[1], self.n), of)

    def s(self, summed: Array) -> Array:
        """The scale of any sum."""
        return self.k + self.alpha * summed

    def over(self, scale: Array) -> Array:
        """b of any scale."""
        return self.a / scale**self.beta

    def right(self, **changed: Any) -> Array:
        """The right answer to a call in which some arguments are others."""
        return lrn(*self._replace(**changed))


Way = Callable[..., Array]


def _way(make: Callable[[Call], Array]) -> Way:
    """A function of the arguments of `lrn` from one of a call."""
    return lambda a, n, k, alpha, beta: make(Call(a, n, k, alpha, beta))


def _squares(window: Window) -> Way:
    """The forward pass with other windows."""
    return _way(lambda c: c.over(c.s(c.sum(c.a**2, window))))


def _along(axis: int) -> Way:
    """The forward pass along another axis than the channels."""
    return _way(lambda c: c.right(a=c.a.swapaxes(axis, 1)).swapaxes(axis, 1))


def _instead(key: str, given: Callable[..., Arguments], source: str = "inferred") -> Mistake:
    """A mistake that comes down to other arguments."""
    return Mistake(key, _way(lambda c: c.right(**given(**c._asdict()))), source, given=given)


def alpha_over_existing(c: Call) -> Array:
    """The mean of the squares that exist."""
    return c.over(c.s(c.sum(c.a**2) / c.sum(np.ones_like(c.a))))


def as_many_channels_as_images(c: Call) -> Array:
    """The loop that fills the sums runs over len(a): the other channels keep a sum of 0."""
    looked_at = np.arange(c.a.shape[1]) < len(c.a)
    return c.over(c.s(c.sum(c.a**2) * looked_at[:, None, None]))


def over_the_image(c: Call) -> Array:
    """n x n pixels of the same channel."""
    lines, columns = holds(c.a.shape[2], c.n), holds(c.a.shape[3], c.n)
    return c.over(c.s(np.einsum("hi,wj,ncij->nchw", lines, columns, c.a**2)))


def neighbors_already_normalized(c: Call) -> Array:
    """The channels are overwritten one after the other, and the next ones see the new numbers."""
    out = c.a.copy()
    for i in range(c.a.shape[1]):
        out[:, i] = c.right(a=out)[:, i]
    return out


Numbers = tuple[tuple[int, ...], int, float, float, float]
CALLS: dict[str, tuple[str, tuple[Numbers, ...]]] = {  # a, n, k, alpha and beta, one for each size set
    "usual": ("n = {n} and {a[1]} channels", (
        ((2, 8, 3, 4), 5, 2.0, 0.3, 0.75), ((3, 9, 4, 2), 5, 1.6, 0.25, 0.7),
        ((2, 10, 5, 3), 7, 2.5, 0.2, 0.8), ((4, 7, 2, 3), 3, 1.8, 0.4, 0.65))),
    "other numbers": ("n = {n}, k = {k}, alpha = {alpha} and beta = {beta}", (
        ((4, 6, 2, 5), 3, 1.5, 0.7, 0.6), ((2, 7, 3, 5), 3, 1.3, 0.6, 0.85),
        ((3, 8, 5, 2), 5, 1.7, 0.5, 0.55), ((2, 9, 3, 4), 5, 1.4, 0.8, 0.9))),
    "paper": ("the paper's numbers and activities of about 100", (
        ((2, 9, 4, 3), 5, 2.0, 1e-4, 0.75), ((3, 11, 2, 4), 5, 2.0, 1e-4, 0.75),
        ((4, 8, 3, 2), 5, 2.0, 1e-4, 0.75), ((2, 7, 5, 3), 5, 2.0, 1e-4, 0.75))),
    "even": ("an even n of {n}", (
        ((3, 7, 2, 5), 4, 1.7, 0.5, 0.8), ((2, 9, 5, 3), 4, 1.4, 0.6, 0.65),
        ((4, 8, 3, 2), 6, 1.9, 0.3, 0.7), ((2, 6, 4, 3), 4, 1.3, 0.7, 0.85))),
    "large n": ("n = {n} above the number of channels", (
        ((2, 5, 4, 3), 9, 3.0, 0.2, 0.65), ((3, 4, 2, 5), 7, 2.4, 0.3, 0.8),
        ((4, 6, 3, 2), 11, 2.7, 0.15, 0.7), ((2, 3, 5, 4), 5, 2.2, 0.4, 0.6))),
    "one image": ("one image", (
        ((1, 6, 3, 2), 5, 2.0, 0.4, 0.75), ((1, 7, 2, 4), 3, 1.8, 0.5, 0.6),
        ((1, 8, 4, 3), 5, 2.3, 0.35, 0.8), ((1, 5, 2, 6), 3, 1.6, 0.45, 0.7))),
    "alpha zero": ("alpha = 0", (  # the neighbors have no weight: of two terms of a gradient one is left
        ((2, 6, 3, 5), 3, 1.7, 0.0, 0.65), ((3, 5, 4, 2), 5, 1.5, 0.0, 0.8),
        ((2, 7, 5, 4), 3, 2.2, 0.0, 0.55), ((4, 5, 2, 3), 7, 1.9, 0.0, 0.85))),
}  # fmt: skip


def forward_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of `lrn`, in which the scales are far from k."""
    made = []
    for key, (says, sets) in CALLS.items():
        shape, n, k, alpha, beta = sets[sizes]
        a = (100 if key == "paper" else 1) * rng.uniform(0.5, 2, shape) * rng.choice([-1.0, 1.0], shape)
        made.append(Probe(key, says, {"a": a, "n": n, "k": k, "alpha": alpha, "beta": beta}))
    return made


OVER_N = "BVLC/caffe#1453, heuritech/convnets-keras#6"
K_ONE = "apache/mxnet#6781"
FIXED: dict[str, dict[str, Any]] = {  # the paper's numbers in the place of the arguments
    "beta": {"beta": 0.75}, "k": {"k": 2.0}, "alpha": {"alpha": 1e-4}, "n": {"n": 5},
}  # fmt: skip
OTHER_WINDOWS = {
    "first missing": FIRST_MISSING, "first existing missing": FIRST_EXISTING_MISSING, "running sums": SUMS, "repeated": REPEATED,
    "negative": NEGATIVE, "blocks": BLOCKS, "only below": ONLY_BELOW, "others": OTHERS, "itself": ITSELF,
}  # fmt: skip
LIBRARIES = "BVLC/caffe#1453, apache/mxnet#6781"
OWN = "SnailTyan/deep-learning-papers-translation#7"
FORWARD = (
    _instead("alpha over n", lambda alpha, n, **_: {"alpha": alpha / n}, OVER_N),
    Mistake("alpha over existing", _way(alpha_over_existing), "inferred"),
    _instead("k is one", lambda **_: {"k": 1.0}, K_ONE),
    _instead("as in some libraries", lambda alpha, n, **_: {"alpha": alpha / n, "k": 1.0}, LIBRARIES),
    Mistake("no k", _way(lambda c: c.right(k=0)), "inferred"),
    _instead("no beta", lambda **_: {"beta": 1.0}),
    *(Mistake(f"fixed {key}", _way(lambda c, given=given: c.right(**given)), "inferred")  # type: ignore[misc]
      for key, given in FIXED.items()),
    _instead("no alpha", lambda **_: {"alpha": 1.0}),
    Mistake("own square for each neighbor", _way(lambda c: c.over(c.s(c.a**2 * c.sum(np.ones_like(c.a))))), OWN),
    Mistake("n times the own square", _way(lambda c: c.over(c.s(c.n * c.a**2))), OWN),
    Mistake("own square alone", _squares(ITSELF), "inferred"),
    Mistake("without itself", _squares(OTHERS), "inferred"),
    Mistake("over the batch", _along(0), "inferred"),
    Mistake("as many channels as images", _way(as_many_channels_as_images), "onnx/onnx#7805, whose test had as many images as channels"),
    Mistake("over lines", _along(2), "inferred"),
    Mistake("over columns", _along(3), "inferred"),
    Mistake("over the image", _way(over_the_image), "inferred"),
    Mistake("all channels", _way(lambda c: c.over(c.s((c.a**2).sum(1, keepdims=True)))), "inferred"),
    Mistake("edge filled", _squares(FILLED), "inferred"),
    Mistake("edge repeated", _squares(REPEATED), "inferred"),
    Mistake("wraps around", _squares(ROUND), "inferred"),
    Mistake("negative start", _squares(NEGATIVE), "inferred"),
    Mistake("n as the radius", _squares(RADIUS), "inferred", given=lambda n, **_: {"n": 2 * n + 1}),
    Mistake("last neighbor missing/any n", _squares(LAST_MISSING), "inferred"),
    Mistake("last neighbor missing/odd n", _squares(HALF_EXCLUSIVE), "inferred"),
    Mistake("last channel never", _squares(without_the_last(holds)), "inferred"),
    Mistake("last channel and neighbor/any n", _squares(without_the_last(LAST_MISSING)), "inferred"),
    Mistake("last channel and neighbor/odd n", _squares(without_the_last(HALF_EXCLUSIVE)), "inferred"),
    Mistake("over all pixels/images", _way(lambda c: c.over(c.s(c.sum((c.a**2).sum((0, 2, 3), keepdims=True))))), "inferred"),
    Mistake("over all pixels/image", _way(lambda c: c.over(c.s(c.sum((c.a**2).sum((2, 3), keepdims=True))))), "inferred"),
    Mistake("first neighbor missing", _squares(FIRST_MISSING), "inferred"),
    Mistake("first neighbor missing/that exists", _squares(FIRST_EXISTING_MISSING), "inferred"),
    Mistake("first neighbor missing/by running sums", _squares(SUMS), "inferred"),
    Mistake("blocks of n", _squares(BLOCKS), "inferred"),
    Mistake("only below", _squares(ONLY_BELOW), "inferred"),
    Mistake("window without brackets/above", _squares(TO_N_ABOVE), "inferred"),
    Mistake("window without brackets/below", _squares(FROM_BELOW), "inferred"),
    Mistake("even n on both sides", _squares(BOTH_SIDES), "inferred", given=lambda n, **_: {"n": n // 2 * 2 + 1}),
    Mistake("even n mirrored", _squares(ONE_MORE_ABOVE), "inferred"),
    Mistake("no square", _way(lambda c: c.over(c.s(c.sum(c.a)))), "inferred"),
    Mistake("absolute values", _way(lambda c: c.over(c.s(c.sum(np.abs(c.a))))), "inferred"),
    Mistake("square of the sum", _way(lambda c: c.over(c.s(c.sum(c.a) ** 2))), "inferred"),
    Mistake("times the power", _way(lambda c: c.right(beta=-c.beta)), "inferred"),
    Mistake("plus the power", _way(lambda c: c.a + c.s(c.sum(c.a**2)) ** -c.beta), "geek-tips.imtqy.com 555324"),
    Mistake("over the sum", _way(lambda c: c.a / c.sum(c.a)), "a public walk through the network: divided by the sum of five maps"),
    Mistake("power of the sum alone", _way(lambda c: c.a / c.s(c.sum(c.a**2) ** c.beta)), "inferred"),
    Mistake("power without k", _way(lambda c: c.a / (c.k + (c.alpha * c.sum(c.a**2)) ** c.beta)), "inferred"),
    Mistake("brackets missing/k alone divides", _way(lambda c: c.a / c.k + c.alpha * c.sum(c.a**2) ** c.beta), "inferred"),
    Mistake("brackets missing/around the sum", _way(lambda c: c.a / c.k + (c.alpha * c.sum(c.a**2)) ** c.beta), "inferred"),
    Mistake("brackets missing/no power on k", _way(lambda c: c.a / c.k**c.beta + c.alpha * c.sum(c.a**2)), "inferred"),
    Mistake("power of the quotient", _way(lambda c: (c.a / c.s(c.sum(c.a**2))) ** c.beta), "inferred"),
    Mistake("k for each neighbor", _way(lambda c: c.over(c.sum(c.s(c.a**2)))), "inferred"),
    Mistake("scale alone", _way(lambda c: c.s(c.sum(c.a**2))), "inferred"),
    Mistake("neighbors already normalized", _way(neighbors_already_normalized), "inferred"),
)  # fmt: skip

"""How differently the two towers treat color (paper 6.1): a number, and how often chance alone gives one as large.

The paper says of Figure 3 that the filters of one card are "largely color-agnostic" and those of the other "largely color-specific",
and gives no number. Here it is defined as follows. A filter w of conv1 has three channels. At each cell (i, j) its three weights are a
vector in the space of colors, and the part of it along the gray axis (1, 1, 1) has the energy 3 * mean_c(w_cij)^2. So

    gray share of w = sum_ij 3 * mean_c(w_cij)^2 / sum_cij w_cij^2,

from 0 to 1. At 1 the three channels are equal: the filter is blind to color, because only brightness changes its output. At 0 it is blind
to brightness. Weights drawn independently, as before training, have 1/3 on average. The number of a tower is the mean over its filters.
Colors are those of the net's input: if the preparation divides each channel by a deviation of its own, the gray axis is that of the
divided channels.

Filters that differ among themselves also differ between two halves chosen by chance. So the difference of the towers is compared with
that of many random splits of the same filters into two halves: p is the share of splits that differ at least as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError, require_int, show

SPLITS = 10_000
LEVEL = 0.05  # of p, above which a difference counts as not seen


@dataclass(frozen=True)
class Specialization:
    """The gray shares of two towers beside random splits.

    a, b: the mean gray share of the filters of each tower. null: the 95th percentile of the difference of random splits.
    p: the share of random splits that differ at least as much as the towers, the towers themselves counted as one of them.
    splits: how many random splits there were. skipped: filters of zeros, which have no gray share.
    """

    a: float
    b: float
    null: float
    p: float
    splits: int
    skipped: int

    @property
    def difference(self) -> float:
        """By how much the towers differ, without a sign."""
        return abs(self.a - self.b)

    @property
    def seen(self) -> bool:
        """Whether the towers differ more than chance explains, at the level of 5 %."""
        return self.p <= LEVEL


def gray_shares(filters: Any) -> npt.NDArray[np.float64]:
    """The gray share of each filter, (K,), from 0 to 1; NaN for a filter of zeros. filters: (K, 3, KH, KW).

    Raises
    ------
    ShapeError: the filters do not have three channels.

    Example
    -------
    >>> gray_shares(np.array([[[[2.0]], [[2.0]], [[2.0]]], [[[1.0]], [[-1.0]], [[0.0]]], [[[1.0]], [[0.0]], [[0.0]]]])).round(3)
    array([1.   , 0.   , 0.333])
    """
    filters = np.asarray(filters, np.float64)
    if filters.ndim != 4 or filters.shape[1] != 3:
        raise ShapeError(f"gray_shares: filters must have shape (K, 3, KH, KW), got {show(filters)}; take those of conv1")
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    with np.errstate(invalid="ignore"):
        filters = filters / largest  # the squares of tiny weights would vanish
    along: npt.NDArray[np.float64] = 3 * (filters.mean(axis=1) ** 2).sum(axis=(1, 2))
    return along / (filters**2).sum(axis=(1, 2, 3))


def specialization(filters: Any, splits: int = SPLITS, seed: int = 0) -> Specialization:
    """How differently the two towers of conv1 treat color. filters: (K, 3, KH, KW), those of tower a first. seed: of the splits.

    Raises
    ------
    ShapeError: the filters cannot be halved, do not have three channels, or a tower has only filters of zeros.
    """
    shares = gray_shares(filters)
    splits = require_int("specialization", "splits", splits)
    if len(shares) % 2:
        raise ShapeError(f"specialization: filters must be of two towers of one size, got {len(shares)} in all")
    half = len(shares) // 2
    own = [tower[~np.isnan(tower)] for tower in (shares[:half], shares[half:])]
    if not all(map(len, own)):
        raise ShapeError("specialization: each tower must have a filter that is not zero, got a tower of zeros; train the net first")
    means = [float(tower.mean()) for tower in own]
    every, first = np.concatenate(own), len(own[0])
    mixed = np.random.default_rng(seed).permuted(np.broadcast_to(every, (splits, len(every))), axis=1)
    differences = np.abs(mixed[:, :first].mean(axis=1) - mixed[:, first:].mean(axis=1))
    as_large = int((differences >= abs(means[0] - means[1]) * (1 - 1e-12)).sum())
    null = float(np.quantile(differences, 0.95))
    return Specialization(means[0], means[1], null, (1 + as_large) / (1 + splits), splits, len(shares) - len(every))

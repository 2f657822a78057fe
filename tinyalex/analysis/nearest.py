"""The images that are most similar to a given one, by the Euclidean distance of vectors (paper 6.1 and Figure 4, right)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError, require_int, show

Exact = npt.NDArray[np.float64]


class Nearest:
    """Finds the nearest of many vectors, which come in blocks, so that all of them never need to be in memory.

    Parameters
    ----------
    queries: (Q, F), the vectors whose neighbors are looked for. most: how many neighbors.

    Attributes
    ----------
    places: int64 (Q, most), the neighbors, counted over all blocks, the nearest first; of equal ones the earlier first.
    squares: (Q, most), their squared Euclidean distances. seen: how many vectors have come.

    Example
    -------
    >>> nearest = Nearest(np.array([[0.0, 0.0]]), 2)
    >>> nearest.add(np.array([[3.0, 4.0], [0.0, 1.0]]))
    >>> nearest.add(np.array([[0.0, 2.0]]))
    >>> nearest.places.tolist(), nearest.squares.tolist()
    ([[1, 2]], [[1.0, 4.0]])
    """

    def __init__(self, queries: Any, most: int) -> None:
        self.queries, self.most = np.asarray(queries, np.float64), require_int("nearest", "most", most)
        if self.queries.ndim != 2:
            raise ShapeError(f"nearest: queries must have shape (Q, F), got {show(queries)}; flatten each one")
        self.seen = 0
        self.places = np.empty((len(self.queries), 0), np.int64)
        self.squares: Exact = np.empty((len(self.queries), 0))

    def add(self, vectors: Any) -> None:
        """Take a block of vectors, (B, F)."""
        squares = np.concatenate([self.squares, squared_distances(self.queries, vectors)], axis=1)
        new = np.broadcast_to(np.arange(self.seen, self.seen + len(vectors)), (len(self.queries), len(vectors)))
        places = np.concatenate([self.places, new], axis=1)
        order = np.argsort(squares, axis=1, kind="stable")[:, : self.most]
        self.squares, self.places = np.take_along_axis(squares, order, 1), np.take_along_axis(places, order, 1)
        self.seen += len(vectors)


def squared_distances(a: Any, b: Any) -> Exact:
    """|a_i - b_j|^2 = |a_i|^2 + |b_j|^2 - 2 a_i b_j for all pairs, (A, B), in float64. a: (A, F). b: (B, F).

    The mean of b is subtracted from both first, because the formula loses digits where vectors are far from 0.
    """
    b = np.asarray(b, np.float64)
    middle = b.mean(axis=0)
    a, b = np.asarray(a, np.float64) - middle, b - middle
    squares: Exact = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0, out=squares)


def same_class(places: npt.NDArray[np.int64], labels: npt.NDArray[Any], own: npt.NDArray[Any]) -> Exact:
    """For each query the share of its neighbors that have its class, (Q,). labels: of all vectors. own: of the queries, (Q,)."""
    shares: Exact = (labels[places] == own[:, None]).mean(axis=1)
    return shares


def chance(labels: npt.NDArray[Any], own: npt.NDArray[Any]) -> float:
    """The share of neighbors of the same class if neighbors were drawn at random."""
    return float((labels[:, None] == own).mean()) if len(own) else 0.0


def interval(shares: Exact) -> tuple[float, float]:
    """The mean, and half the width of its 95 % interval, taken over the queries, which were drawn independently."""
    if len(shares) < 2:
        return float(shares.mean()), math.inf
    return float(shares.mean()), 1.96 * float(shares.std(ddof=1)) / math.sqrt(len(shares))

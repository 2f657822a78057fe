"""Short binary codes for searching images, by an autoencoder of this engine (paper 6.1).

The paper: comparing long vectors of real numbers "is inefficient, but it could be made efficient by training an auto-encoder to compress
these vectors to short binary codes. This should produce a much better image retrieval method than applying auto-encoders to the raw
pixels", as its reference [14] does.

An autoencoder is an encoder, which makes B values z of a vector v, and a decoder, which makes a vector of their sigmoids. Here both are
one Linear, where the reference has a stack of layers that are trained one by one first:

    z = encoder(v),    out = decoder(sigmoid(z)),    loss = |out - v|^2 / 2.

The bits are z > 0, that is sigmoid(z) > 1/2.
Codes are compared by the number of bits that differ (the Hamming distance). Many images have the same distance then. A place among the
first R is shared fairly by all that tie for it, so the counts below are what is expected if ties are broken at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.errors import DivergedError, ShapeError, require_int, show
from tinyalex.init import FanIn
from tinyalex.layers import Linear, Sequential, Sigmoid
from tinyalex.loss import SquaredError
from tinyalex.optim import SGD

Exact = npt.NDArray[np.float64]
Codes = npt.NDArray[np.bool_]

EPOCHS, BATCH = 20, 128
LR = 5.0  # divided by the number of features, because the loss is a sum over them


class Autoencoder:
    """Compresses vectors to `bits` bits.

    Parameters
    ----------
    vectors: (N, F), on which it is trained. Their mean is subtracted, and all are divided by one number, so that their features have a
        mean variance of 1; distances keep their order.
    bits: B, at least 1. seed: of the first weights and of the order.

    Raises
    ------
    ShapeError: there are no vectors, or all are equal.
    """

    def __init__(self, vectors: Any, bits: int, seed: int = 0) -> None:
        vectors = np.asarray(vectors)
        if vectors.ndim != 2 or 0 in vectors.shape:
            raise ShapeError(f"codes: vectors must have shape (N, F), N and F at least 1, got {show(vectors)}")
        self.bits, self.seed = require_int("codes", "bits", bits), seed
        self.mean = vectors.mean(axis=0, dtype=np.float64)
        self.scale = math.sqrt(vectors.var(axis=0, dtype=np.float64).mean())
        if not self.scale > 0:
            raise ShapeError("codes: vectors must differ, got equal ones alone; use other images, or another layer")
        self.vectors = self._scaled(vectors)
        f, init = self.vectors.shape[1], FanIn(1.0)
        layers = [Linear(bits, weight_init=init, name="encoder"), Sigmoid(name="sigmoid"), Linear(f, weight_init=init, name="decoder")]
        self.net, self.loss = Sequential(layers, in_shape=(f,), seed=seed, name="autoencoder"), SquaredError()
        self.sgd = SGD(self.net, lr=LR / f, weight_decay=0)

    def _scaled(self, vectors: Any) -> npt.NDArray[np.float32]:
        return ((np.asarray(vectors) - self.mean) / self.scale).astype(np.float32)

    @staticmethod
    def steps_for(n: int, epochs: int = EPOCHS) -> int:
        """How many steps the training on n vectors has."""
        return epochs * -(-n // BATCH)

    def step(self, v: npt.NDArray[np.float32]) -> float:
        """One step of training on a batch of scaled vectors, (N, F); returns the loss."""
        loss = self.loss.forward(self.net.forward(v, train=True), v, train=True)
        self.net.backward(self.loss.backward())
        self.sgd.step()
        return float(loss)

    def train(self, epochs: int = EPOCHS, after: Callable[[], object] | None = None) -> list[float]:
        """Train on the vectors, in the last third at a tenth of the rate; returns the mean loss of a feature in each epoch.

        after: called after each step.

        Raises
        ------
        DivergedError: the loss is not finite.
        """
        rng, losses = np.random.default_rng(self.seed), []
        n, f = self.vectors.shape
        for epoch in range(epochs):
            if epoch == 2 * epochs // 3:
                self.sgd.lr = self.sgd.lr / 10
            order, total = rng.permutation(n), 0.0
            for start in range(0, n, BATCH):
                v = self.vectors[order[start : start + BATCH]]
                total += self.step(v) * len(v)
                if after is not None:
                    after()
            if not math.isfinite(total):
                raise DivergedError(f"codes: the loss of the autoencoder must be finite, got {total:g} in epoch {epoch + 1}")
            losses.append(total / n / f)
        return losses

    def codes(self, vectors: Any) -> Codes:
        """The code of each vector, bool (N, bits)."""
        bits: Codes = self.net.layers[0].forward(self._scaled(vectors)) > 0
        return bits


def hamming(a: Codes, b: Codes) -> npt.NDArray[np.int64]:
    """How many bits differ, for all pairs of codes, (A, B).

    Example
    -------
    >>> hamming(np.array([[True, False]]), np.array([[True, False], [False, True]])).tolist()
    [[0, 2]]
    """
    signs = [np.where(codes, 1.0, -1.0) for codes in (a, b)]
    return np.rint((a.shape[1] - signs[0] @ signs[1].T) / 2).astype(np.int64)


def among_first(distances: npt.NDArray[Any], first: int) -> Exact:
    """For all pairs the chance to be among the `first` nearest of the query if ties are broken at random, (Q, N). distances: (Q, N).

    With `lower` images nearer than an image and `equal` as near, itself included, the chance is (first - lower) / equal, from 0 to 1.

    Example
    -------
    >>> among_first(np.array([[3, 1, 1, 1, 0]]), 3).round(2).tolist()
    [[0.0, 0.67, 0.67, 0.67, 1.0]]
    """
    chances = np.empty(distances.shape)
    for row, chance in zip(distances, chances, strict=True):
        _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
        lower = np.cumsum(counts) - counts
        chance[:] = np.clip((first - lower) / counts, 0, 1)[place]
    return chances


def recall(distances: npt.NDArray[Any], exact: npt.NDArray[np.int64], first: int) -> Exact:
    """For each query the share of its exact neighbors that are among the `first` by `distances`, (Q,). exact: their places, (Q, K)."""
    found: Exact = np.take_along_axis(among_first(distances, first), exact, 1).mean(axis=1)
    return found

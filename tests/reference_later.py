"""Oracles of the layers of the networks after AlexNet: each by its formula, value by value, in float64. They are slow and short."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.reference import Array, indices


def mean_and_variance(values: list[float]) -> tuple[float, float]:
    """The mean, and the mean of the squared distances from it."""
    mean = sum(values) / len(values)
    return mean, sum((value - mean) ** 2 for value in values) / len(values)


def batch_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """Each channel of the batch by its own mean and variance."""
    out = np.empty_like(x)
    for c in range(x.shape[1]):
        mean, var = mean_and_variance(x[:, c].ravel().tolist())
        for n, _, h, w in indices(len(x), 1, *x.shape[2:]):
            out[n, c, h, w] = weight[c] * (x[n, c, h, w] - mean) / math.sqrt(var + eps) + bias[c]
    return out


def group_norm(x: Array, groups: int, weight: Array, bias: Array, eps: float) -> Array:
    """Each group of channels of each image by its own mean and variance."""
    out, size = np.empty_like(x), x.shape[1] // groups
    for n, g in indices(len(x), groups):
        mean, var = mean_and_variance(x[n, g * size : (g + 1) * size].ravel().tolist())
        for c, h, w in indices(size, *x.shape[2:]):
            k = g * size + c
            out[n, k, h, w] = weight[k] * (x[n, k, h, w] - mean) / math.sqrt(var + eps) + bias[k]
    return out


def global_avg_pool(x: Array) -> Array:
    """The mean of each map."""
    out: Array = np.array([[mean_and_variance(map_.ravel().tolist())[0] for map_ in image] for image in x])
    return out


def running(mean: float, var: float, batches: list[Array], convention: str, momentum: float) -> tuple[float, float]:
    """The running statistics of one channel after these batches of it."""
    weights: list[float] = []
    for values in batches:
        m = values.size
        new_mean, new_var = mean_and_variance(values.ravel().tolist())
        new_var *= 1.0 if convention == "tensorflow" else m / (m - 1)
        weights = [weight * momentum for weight in weights] + [1.0]
        share: Any = {"pytorch": momentum, "tensorflow": 1 - momentum, "caffe": 1 / sum(weights)}[convention]
        mean, var = mean + share * (new_mean - mean), var + share * (new_var - var)
    return mean, var

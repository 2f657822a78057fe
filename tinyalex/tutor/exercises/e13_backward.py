"""The right answer of E13 and the calls it is tried with."""

from __future__ import annotations

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Probe

Three = tuple[Array, Array, Array]


def batch_norm_backward(dout: Array, x: Array, mean: Array, s: Array, weight: Array) -> Three:
    """The gradients of batch normalization while training, with respect to its input, its scale and its shift.

    The forward pass made, for each channel c of its own, over the m = N H W values of this channel in the batch:

    mean[c] = the mean of the m values of x
    var[c] = the mean of the m values of (x - mean[c])^2,   s[c] = (var[c] + eps)^(-1/2)
    y[n, c, h, w] = (x[n, c, h, w] - mean[c]) s[c],   out[n, c, h, w] = weight[c] y[n, c, h, w] + bias[c]

    eps is a number above 0, which is not given here: s holds it already. mean and s were computed from x, so they change with x.

    Parameters
    ----------
    dout: (N, C, H, W), the gradient of the loss with respect to out.
    x: (N, C, H, W), the input of the forward pass.
    mean, s: (C,), as the forward pass has computed them.
    weight: (C,), the scale.

    Returns
    -------
    dx: (N, C, H, W), a new array.
    dweight: (C,), dbias: (C,), two new arrays. dout, x, mean, s and weight are left as they are.
    """
    m = x.size // x.shape[1]
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(weight)
    y = np.zeros_like(x)
    for n, c, h, w in np.ndindex(*x.shape):
        y[n, c, h, w] = (x[n, c, h, w] - mean[c]) * s[c]
        dweight[c] += dout[n, c, h, w] * y[n, c, h, w]
        dbias[c] += dout[n, c, h, w]
    for n, c, h, w in np.ndindex(*x.shape):
        dx[n, c, h, w] = s[c] * weight[c] * (dout[n, c, h, w] - dbias[c] / m - y[n, c, h, w] * dweight[c] / m)
    return dx, dweight, dbias


Shape = tuple[int, int, int, int]
CALLS: dict[str, tuple[str, tuple[Shape, Shape, Shape, Shape]]] = {  # N, C, H, W, one for each size set
    "usual": ("{x[0]} images and {x[1]} channels", ((3, 4, 5, 2), (2, 5, 3, 4), (4, 2, 3, 5), (5, 3, 2, 4))),
    "more images": ("{x[0]} images", ((7, 3, 2, 4), (6, 2, 4, 3), (8, 3, 4, 2), (9, 2, 3, 4))),
    "weight of ones": ("a weight of ones", ((4, 3, 2, 6), (3, 2, 6, 4), (5, 4, 3, 2), (2, 4, 5, 3))),
    "no sum": ("a dout whose sum over each channel is 0", ((2, 3, 4, 5), (4, 3, 5, 2), (3, 5, 2, 4), (4, 5, 2, 3))),
    "far from 0": ("channels whose means are far from 0", ((5, 2, 4, 3), (5, 3, 4, 2), (2, 3, 5, 4), (3, 2, 5, 4))),
    "one image": ("one image", ((1, 3, 4, 6), (1, 4, 6, 3), (1, 2, 7, 4), (1, 5, 3, 6))),
}  # fmt: skip
EPS = {"usual": 0.3, "more images": 0.7, "weight of ones": 0.4, "no sum": 0.9, "far from 0": 0.5, "one image": 0.6}


def probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Calls of the function. eps is large, so that whoever leaves it out gets other numbers."""
    return [Probe(key, says, _arguments(rng, key, sets[sizes])) for key, (says, sets) in CALLS.items()]


def _arguments(rng: np.random.Generator, key: str, shape: Shape) -> dict[str, Array]:
    channels = shape[1]
    spread, center = rng.uniform(0.6, 2.5, (channels, 1, 1)), rng.uniform(0.5, 2, (channels, 1, 1)) * rng.choice([-1, 1], (channels, 1, 1))
    x = spread * rng.normal(size=shape) + (20 * center if key == "far from 0" else center)
    dout = _without_sum(rng, shape) if key == "no sum" else rng.normal(size=shape) + rng.uniform(0.5, 1.5, (channels, 1, 1))
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    weight = np.ones(channels) if key == "weight of ones" else rng.uniform(0.4, 1.8, channels) * rng.choice([-1, 1], channels)
    return {"dout": dout, "x": x, "mean": mean, "s": (var + EPS[key]) ** -0.5, "weight": weight}


def _without_sum(rng: np.random.Generator, shape: Shape) -> Array:
    """Whole numbers, so that their sum over a channel is exactly 0 in every order."""
    dout = rng.integers(-9, 10, shape).astype(float)
    dout[0, :, 0, 0] -= dout.sum(axis=(0, 2, 3))
    return dout

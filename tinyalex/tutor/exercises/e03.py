"""E03: backward through a fully connected layer, and through a chain in which one value is used twice (paper 3.5)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyalex.tutor.arrays import Array
from tinyalex.tutor.exercise import Exercise, Function, Mistake, Probe

Three = tuple[Array, Array, Array]
Four = tuple[Array, Array, Array, Array]


def linear_backward(dout: Array, x: Array, weight: Array) -> Three:
    """The three gradients of a fully connected layer (paper 3.5: fc6, fc7 and fc8).

    Forward, with each image of x laid flat as a row of C numbers: out[n, k] = sum over c of x[n, c] weight[k, c] + bias[k].
    Backward: dx[n, c] = sum over k of dout[n, k] weight[k, c];   dweight[k, c] = sum over n of dout[n, k] x[n, c];
    dbias[k] = sum over n of dout[n, k].

    Parameters
    ----------
    dout: (N, K), the gradient of the loss with respect to out. It is already divided by N: do not divide again.
    x: (N, C), or maps such as (N, channels, H, W) with C = channels * H * W, laid flat as `x.reshape(N, C)` does it.
    weight: (K, C).

    Returns
    -------
    dx: of the shape of x, maps included. dweight: (K, C). dbias: (K,). Three new arrays, in this order; dout, x and weight are left
        as they are. Each call begins anew: nothing of an earlier call is added.
    """
    rows = x.reshape(len(x), -1)
    return (dout @ weight).reshape(x.shape), dout.T @ rows, dout.sum(0)


def chain_backward(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    """The four gradients of a small chain in which x is used twice.

    Forward, with capital letters for matrices: A = x w1^T,   B = relu(A) = max(A, 0),   out = B w2^T + x w3^T.
    x goes a long way, through w1, relu and w2, and a short way, through w3; out is the sum of both. A and B are not given:
    compute them again. Where a value is used in several places, its gradient is the sum of what comes back from each of them.

    Parameters
    ----------
    dout: (N, K), the gradient of the loss with respect to out. The mean over the N images is already in it.
    x: (N, C). w1: (M, C). w2: (K, M). w3: (K, C). No element of A is 0.

    Returns
    -------
    dx: (N, C). dw1: (M, C). dw2: (K, M). dw3: (K, C). Four new arrays, in this order; the arguments are left as they are. Each call
        begins anew: nothing of an earlier call is added.
    """
    long_way, dw1, dw2, dw3 = _chain(dout, x, w1, w2, w3)
    return long_way + dout @ w3, dw1, dw2, dw3


def _chain(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    """The gradient of x along the long way alone, and those of the weights."""
    a = x @ w1.T
    da = (dout @ w2) * (a > 0)
    return da @ w1, da.T @ x, dout.T @ np.maximum(a, 0), dout.T @ x


def one_sum(dout: Array, x: Array, weight: Array) -> tuple[Array, Array, float]:
    return *linear_backward(dout, x, weight)[:2], dout.sum()


def one_sum_in_every_bias(dout: Array, x: Array, weight: Array) -> Three:
    return *linear_backward(dout, x, weight)[:2], np.full(len(weight), dout.sum())


def mean_for_sum(dout: Array, x: Array, weight: Array) -> Three:
    return *linear_backward(dout, x, weight)[:2], dout.mean(0)


def over_the_units(dout: Array, x: Array, weight: Array) -> Three:
    return *linear_backward(dout, x, weight)[:2], dout.sum(1)


def bias_as_a_row(dout: Array, x: Array, weight: Array) -> Three:
    return *linear_backward(dout, x, weight)[:2], dout.sum(0, keepdims=True)


def bias_from_the_weight(dout: Array, x: Array, weight: Array) -> Three:
    dx, dweight, _ = linear_backward(dout, x, weight)
    return dx, dweight, dweight.sum(1)


def bias_of_every_image(dout: Array, x: Array, weight: Array) -> Three:
    return *linear_backward(dout, x, weight)[:2], dout


def over_n_again(dout: Array, x: Array, weight: Array) -> Three:
    dx, dweight, dbias = linear_backward(dout, x, weight)
    return dx, dweight / len(x), dbias / len(x)


def left_flat(dout: Array, x: Array, weight: Array) -> Three:
    return dout @ weight, *linear_backward(dout, x, weight)[1:]


def transposed(dout: Array, x: Array, weight: Array) -> Three:
    dx, dweight, dbias = linear_backward(dout, x, weight)
    return dx, dweight.T, dbias


def read_in_the_wrong_order(dout: Array, x: Array, weight: Array) -> Three:
    dx, dweight, dbias = linear_backward(dout, x, weight)
    return dx, dweight.T.reshape(weight.shape), dbias


def sign(dout: Array, x: Array, weight: Array) -> Three:
    return linear_backward(-dout, x, weight)


def mixes_the_images(dout: Array, x: Array, weight: Array) -> Three:
    dx = (dout @ weight).T.reshape(x.shape)
    return dx, dout.T @ x.reshape(-1, len(x)).T, dout.sum(0)


def mean_of_x(dout: Array, x: Array, weight: Array) -> Three:
    dx, _, dbias = linear_backward(dout, x, weight)
    return dx, np.outer(dbias, x.reshape(len(x), -1).mean(0)), dbias


def last_image_alone(dout: Array, x: Array, weight: Array) -> Three:
    dx = linear_backward(dout, x, weight)[0]
    return dx, *linear_backward(dout[-1:], x[-1:], weight)[1:]


def short_way_alone(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    return dout @ w3, *chain_backward(dout, x, w1, w2, w3)[1:]


def long_way_alone(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    return _chain(dout, x, w1, w2, w3)


def mean_of_the_ways(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    return chain_backward(dout, x, w1, w2, w3)[0] / 2, *_chain(dout, x, w1, w2, w3)[1:]


def ways_multiplied(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    long_way, dw1, dw2, dw3 = _chain(dout, x, w1, w2, w3)
    return long_way * (dout @ w3), dw1, dw2, dw3


def ways_subtracted(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    long_way, dw1, dw2, dw3 = _chain(dout, x, w1, w2, w3)
    return long_way - dout @ w3, dw1, dw2, dw3


def without_the_slope(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    da = dout @ w2
    return da @ w1 + dout @ w3, da.T @ x, *chain_backward(dout, x, w1, w2, w3)[2:]


def slope_missing_in_dw1(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    dx, _, dw2, dw3 = chain_backward(dout, x, w1, w2, w3)
    return dx, (dout @ w2).T @ x, dw2, dw3


def slope_missing_in_dx(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    return dout @ w2 @ w1 + dout @ w3, *chain_backward(dout, x, w1, w2, w3)[1:]


def slope_at_the_gradient(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    da = np.maximum(dout @ w2, 0)
    return da @ w1 + dout @ w3, da.T @ x, *chain_backward(dout, x, w1, w2, w3)[2:]


def slope_at_x(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    dx, dw1, dw2, dw3 = chain_backward(dout, x, w1, w2, w3)
    return dx * (x > 0), dw1, dw2, dw3


def times_the_values(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    da = (dout @ w2) * np.maximum(x @ w1.T, 0)
    return da @ w1 + dout @ w3, da.T @ x, *chain_backward(dout, x, w1, w2, w3)[2:]


def before_relu(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    dx, dw1, _, dw3 = chain_backward(dout, x, w1, w2, w3)
    return dx, dw1, dout.T @ (x @ w1.T), dw3


def weights_over_n_again(dout: Array, x: Array, w1: Array, w2: Array, w3: Array) -> Four:
    dx, dw1, dw2, dw3 = chain_backward(dout, x, w1, w2, w3)
    return dx, dw1 / len(x), dw2 / len(x), dw3 / len(x)


LAYERS: dict[str, tuple[str, tuple[tuple[tuple[int, ...], int], ...]]] = {  # x and K, one for each size set
    "rows": ("N = {x[0]}, C = {x[1]} and K = {weight[0]}",
        (((2, 4), 3), ((3, 5), 2), ((4, 2), 5), ((2, 6), 5))),
    "maps": ("x of shape {x} and K = {weight[0]}",
        (((3, 2, 4, 5), 7), ((2, 3, 5, 4), 6), ((4, 3, 2, 5), 8), ((5, 2, 3, 4), 6))),
    "many images": ("N = {x[0]}, C = {x[1]} and K = {weight[0]}",
        (((9, 5), 2), ((8, 3), 5), ((11, 4), 3), ((7, 3), 2))),
    "one image": ("one image, C = {x[1]} and K = {weight[0]}",
        (((1, 4), 3), ((1, 3), 5), ((1, 6), 2), ((1, 5), 4))),
}  # fmt: skip
CHAINS: dict[str, tuple[str, tuple[tuple[int, int, int, int], ...]]] = {  # N, C, M and K
    "whole numbers": ("whole numbers, N = {x[0]}, C = {x[1]}, M = {w1[0]} and K = {w2[0]}",
        ((2, 3, 5, 4), (3, 2, 6, 5), (2, 5, 4, 3), (4, 3, 6, 2))),
    "wide": ("N = {x[0]}, C = {x[1]}, M = {w1[0]} and K = {w2[0]}",
        ((3, 7, 4, 2), (2, 8, 5, 3), (4, 6, 3, 5), (5, 9, 4, 3))),
    "chain of one image": ("one image, C = {x[1]}, M = {w1[0]} and K = {w2[0]}",
        ((1, 4, 6, 3), (1, 3, 7, 5), (1, 5, 8, 2), (1, 6, 5, 4))),
}  # fmt: skip


def linear_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Rows of whole numbers, then others, and maps."""
    made = []
    for key, (says, sets) in LAYERS.items():
        (n, *shape), k = sets[sizes]
        draw = _whole if key == "rows" else _normal
        x, weight = draw(rng, n, *shape), draw(rng, k, math.prod(shape))
        made.append(Probe(key, says, {"dout": draw(rng, n, k), "x": x, "weight": weight}))
    return made


def chain_probes(rng: np.random.Generator, sizes: int) -> list[Probe]:
    """Small whole numbers first, then others."""
    return [
        Probe(key, says, _parts(rng, _whole if key == "whole numbers" else _normal, *sets[sizes]))
        for key, (says, sets) in CHAINS.items()
    ]


def _parts(rng: np.random.Generator, draw: Callable[..., Array], n: int, c: int, m: int, k: int) -> dict[str, Array]:
    """The arguments of `chain_backward`, drawn again until no element before ReLU is 0 and both signs stand there."""
    while True:
        x, w1 = draw(rng, n, c), draw(rng, m, c)
        before = x @ w1.T
        if np.abs(before).min() > 1e-6 and before.min() < 0 < before.max():
            return {"dout": draw(rng, n, k), "x": x, "w1": w1, "w2": draw(rng, k, m), "w3": draw(rng, k, c)}


def _whole(rng: np.random.Generator, *shape: int) -> Array:
    """Whole numbers from 1 to 9 of both signs, as floats."""
    return rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape)


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape)


COUNTED = "counted in public solutions"
E03 = Exercise("E03", "backward through a layer and a chain", "02", 30, (
    Function("linear_backward", linear_backward, ("dx", "dweight", "dbias"), linear_probes, (
        Mistake("one sum", one_sum, "rasbt/stat453-deep-learning-ss21#5"),
        Mistake("one sum in every bias", one_sum_in_every_bias, "rasbt/stat453-deep-learning-ss21#5"),
        Mistake("mean for sum", mean_for_sum, "kvfrans/notes#5"),
        Mistake("over N again", over_n_again, "d2l-ai/d2l-en#1000"),
        Mistake("bias as a row", bias_as_a_row, COUNTED),
        Mistake("bias from the weight", bias_from_the_weight, "rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization#62"),
        Mistake("over the units", over_the_units, "inferred"),
        Mistake("bias of every image", bias_of_every_image, "inferred"),
        Mistake("left flat", left_flat, COUNTED),
        Mistake("transposed", transposed, "apache/systemds#541"),
        Mistake("read in the wrong order", read_in_the_wrong_order, "apache/systemds#541"),
        Mistake("sign", sign, "kikagaku/KIKAGAKU_Issues#19"),
        Mistake("mixes the images", mixes_the_images, "inferred"),
        Mistake("mean of x", mean_of_x, "inferred"),
        Mistake("last image alone", last_image_alone, "inferred"),
    ), linear=("dout",)),
    Function("chain_backward", chain_backward, ("dx", "dw1", "dw2", "dw3"), chain_probes, (
        Mistake("short way alone", short_way_alone, "callummcdougall/ARENA_2.0#18"),
        Mistake("long way alone", long_way_alone, "SethHWeidman/DLFS_code#13"),
        Mistake("without the slope", without_the_slope, "inferred"),
        Mistake("slope missing in dw1", slope_missing_in_dw1, "inferred"),
        Mistake("slope missing in dx", slope_missing_in_dx, "inferred"),
        Mistake("before relu", before_relu, "inferred"),
        Mistake("slope at the gradient", slope_at_the_gradient, "inferred"),
        Mistake("slope at x", slope_at_x, "inferred"),
        Mistake("times the values", times_the_values, "inferred"),
        Mistake("mean of the ways", mean_of_the_ways, "inferred"),
        Mistake("ways multiplied", ways_multiplied, "inferred"),
        Mistake("ways subtracted", ways_subtracted, "inferred"),
        Mistake("weights over N again", weights_over_n_again, "d2l-ai/d2l-en#1000"),
    ), linear=("dout",)),
))  # fmt: skip

"""Oracles: each operation by the formula in the paper, in Python loops and float64. They are slow, short, and independent of tinyalex.

Images are (N, C, H, W), a padding is (top, bottom, left, right), and other pairs are (height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
NO_PADDING = (0, 0, 0, 0)


def indices(*sizes: int) -> Iterator[tuple[int, ...]]:
    """Every index of an array of this shape."""
    return product(*map(range, sizes))


def windows_along(n: int, kernel: int, stride: int, first: int, last: int, ceil: bool) -> int:
    """How many windows fit n pixels with `first` pixels of padding before them and `last` behind; `ceil` rounds up, not down."""
    steps = (n + first + last - kernel) / stride
    return 1 + (math.ceil(steps) if ceil else math.floor(steps))


def out_size(x: Array, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, ...], ceil: bool) -> tuple[int, int]:
    """Height and width of the output."""
    top, bottom, left, right = padding
    return (
        windows_along(x.shape[2], kernel[0], stride[0], top, bottom, ceil),
        windows_along(x.shape[3], kernel[1], stride[1], left, right, ceil),
    )


def pixel(x: Array, n: int, c: int, y: int, x_: int) -> float:
    """The pixel (y, x_) of channel c of image n, or 0 outside the image."""
    inside = 0 <= y < x.shape[2] and 0 <= x_ < x.shape[3]
    return float(x[n, c, y, x_]) if inside else 0.0


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, ...] = NO_PADDING,
    groups: int = 1,
    ceil: bool = False,
) -> Array:
    """weight (K, C/G, KH, KW), bias (K,). Filter k sees only the channels of its group."""
    filters, channels, kh, kw = weight.shape
    oh, ow = out_size(x, (kh, kw), stride, padding, ceil)
    out = np.zeros((len(x), filters, oh, ow))
    for n, k, y, z in indices(*out.shape):
        first = (k // (filters // groups)) * channels  # the first channel in the group of k
        total = 0.0 if bias is None else float(bias[k])
        for c, i, j in indices(channels, kh, kw):
            total += weight[k, c, i, j] * pixel(x, n, first + c, y * stride[0] + i - padding[0], z * stride[1] + j - padding[2])
        out[n, k, y, z] = total
    return out


def locally_connected2d(
    x: Array,
    weight: Array,
    bias: Array,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, ...] = NO_PADDING,
    ceil: bool = False,
) -> Array:
    """weight (OH, OW, K, C, KH, KW), bias (OH, OW, K): like a convolution, but each window has its own filters."""
    _, _, filters, channels, kh, kw = weight.shape
    oh, ow = out_size(x, (kh, kw), stride, padding, ceil)
    out = np.zeros((len(x), filters, oh, ow))
    for n, k, y, z in indices(*out.shape):
        total = float(bias[y, z, k])
        for c, i, j in indices(channels, kh, kw):
            total += weight[y, z, k, c, i, j] * pixel(x, n, c, y * stride[0] + i - padding[0], z * stride[1] + j - padding[2])
        out[n, k, y, z] = total
    return out


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """weight (K, C), bias (K,)."""
    out = np.zeros((len(x), len(weight)))
    for n, k in indices(*out.shape):
        out[n, k] = bias[k] + sum(weight[k, c] * x[n, c] for c in range(x.shape[1]))
    return out


def pool_cells(
    x: Array, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, ...], ceil: bool
) -> tuple[tuple[int, int], Callable[[int, int], list[tuple[int, int]]]]:
    """How many windows there are, and a function (y, z) -> the pixels that window (y, z) sees, as (line, column), column by column.

    Windows that would see only padding are dropped.
    """
    (oh, ow), (top, _, left, _) = out_size(x, kernel, stride, padding, ceil), padding
    while (oh - 1) * stride[0] - top >= x.shape[2]:
        oh -= 1
    while (ow - 1) * stride[1] - left >= x.shape[3]:
        ow -= 1

    def cells(y: int, z: int) -> list[tuple[int, int]]:
        window = [(y * stride[0] + i - top, z * stride[1] + j - left) for j in range(kernel[1]) for i in range(kernel[0])]
        return [(line, column) for line, column in window if 0 <= line < x.shape[2] and 0 <= column < x.shape[3]]

    return (oh, ow), cells


def max_pool2d(
    x: Array,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, ...] = NO_PADDING,
    ceil: bool = False,
) -> tuple[Array, Array]:
    """The maxima, and the (line, column) of the pixels that won. Of equal pixels the leftmost wins, of several leftmost the topmost."""
    size, cells = pool_cells(x, kernel, stride, padding, ceil)
    out = np.zeros((*x.shape[:2], *size))
    winner = np.zeros((*out.shape, 2), int)
    for n, c, y, z in indices(*out.shape):
        winner[n, c, y, z] = max(cells(y, z), key=lambda cell: x[n, c, cell[0], cell[1]])  # `max` takes the first of equal ones
        out[n, c, y, z] = x[n, c, winner[n, c, y, z, 0], winner[n, c, y, z, 1]]
    return out, winner


def avg_pool2d(
    x: Array,
    kernel: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: tuple[int, ...] = NO_PADDING,
    ceil: bool = False,
    count_padding: bool = False,
) -> Array:
    """The mean of the pixels that each window sees. With count_padding the image is larger by a frame of zeros, and has no padding."""
    size, cells = pool_cells(x, kernel, stride, padding, ceil)
    if count_padding:
        x = np.pad(x, ((0, 0), (0, 0), padding[:2], padding[2:]))
        _, cells = pool_cells(x, kernel, stride, NO_PADDING, ceil)
    out = np.zeros((*x.shape[:2], *size))
    for n, c, y, z in indices(*out.shape):
        seen = [x[n, c, line, column] for line, column in cells(y, z)]
        out[n, c, y, z] = sum(seen) / len(seen)
    return out


def zero_shortcut(x: Array, channels: int, stride: int, before: int) -> Array:
    """Every stride-th pixel, behind `before` channels of zeros."""
    n, c, h, w = x.shape
    out = np.zeros((n, channels, (h + stride - 1) // stride, (w + stride - 1) // stride))
    for i, k, y, z in indices(*out.shape):
        if before <= k < before + c:
            out[i, k, y, z] = x[i, k - before, stride * y, stride * z]
    return out


def window(i: int, n: int, size: int) -> range:
    """The indices from i - n // 2 to i - n // 2 + n - 1 that exist in an axis of this size."""
    return range(max(0, i - n // 2), min(size, i - n // 2 + n))


def local_response_norm(
    x: Array, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, *, groups: int = 1, alpha_over_n: bool = False
) -> Array:
    """Paper 3.3: the sum runs over the channels around i that are in the group of i."""
    out, size = np.zeros(x.shape), x.shape[1] // groups
    for b, i, y, z in indices(*x.shape):
        first = i // size * size
        total = sum(x[b, first + j, y, z] ** 2 for j in window(i - first, n, size))
        out[b, i, y, z] = x[b, i, y, z] / (k + (alpha / n if alpha_over_n else alpha) * total) ** beta
    return out


def spatial_response_norm(
    x: Array, n: int = 3, k: float = 1.0, alpha: float = 5e-5, beta: float = 0.75, *, alpha_over_area: bool = True
) -> Array:
    """The sum runs over the n x n pixels around each pixel, in its own channel."""
    out, (_, _, h, w) = np.zeros(x.shape), x.shape
    for b, c, y, z in indices(*x.shape):
        total = sum(x[b, c, i, j] ** 2 for i in window(y, n, h) for j in window(z, n, w))
        out[b, c, y, z] = x[b, c, y, z] / (k + (alpha / n**2 if alpha_over_area else alpha) * total) ** beta
    return out


def local_contrast_norm(x: Array, kernel_size: int, sigma: float) -> Array:
    """Jarrett et al. 2009, section 2: v = x - sum w x, s = sqrt(sum w v^2), out = v / max(mean(s), s)."""
    radius, (n, channels, h, w) = kernel_size // 2, x.shape
    offsets = [(p, q) for p in range(-radius, radius + 1) for q in range(-radius, radius + 1)]
    weight = {(p, q): math.exp(-(p * p + q * q) / (2 * sigma**2)) for p, q in offsets}
    total_weight = channels * sum(weight.values())

    def weighted(a: Array, b: int, y: int, z: int) -> float:
        return sum(weight[p, q] * pixel(a, b, c, y + p, z + q) for c in range(channels) for p, q in offsets) / total_weight

    v, s, out = np.zeros(x.shape), np.zeros((n, h, w)), np.zeros(x.shape)
    for b, c, y, z in indices(*x.shape):
        v[b, c, y, z] = x[b, c, y, z] - weighted(x, b, y, z)
    for b, y, z in indices(n, h, w):
        s[b, y, z] = math.sqrt(weighted(v**2, b, y, z))
    for b, c, y, z in indices(*x.shape):
        divisor = max(sum(s[b].flat) / (h * w), s[b, y, z])
        out[b, c, y, z] = v[b, c, y, z] / divisor if divisor else 0.0
    return out


def each(f: Callable[[float], float], x: Array) -> Array:
    """f of each element."""
    return np.array([f(float(value)) for value in x.flat]).reshape(x.shape)


def relu(x: Array) -> Array:
    return each(lambda value: max(0.0, value), x)


def tanh(x: Array, a: float = 1.0, b: float = 1.0) -> Array:
    return each(lambda value: a * math.tanh(b * value), x)


def abstanh(x: Array, a: float = 1.0, b: float = 1.0) -> Array:
    return each(lambda value: abs(a * math.tanh(b * value)), x)


def sigmoid(x: Array) -> Array:
    return each(lambda value: 1 / (1 + math.exp(-value)), x)


def softmax_cross_entropy(logits: Array, labels: Array) -> float:
    """The mean over the images of -log p, where p is the probability of the image's label."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        probs = [math.exp(value - max(row)) for value in row]
        total -= math.log(probs[label] / sum(probs))
    return total / len(logits)


def squared_error(out: Array, target: Array) -> float:
    """The mean over the images of half the squared distance of out and target."""
    total = 0.0
    for i, k in indices(*out.shape):
        total += (out[i, k] - target[i, k]) ** 2 / 2
    return total / len(out)


def sgd_step(
    w: Array, v: Array, grad: Array, lr: float, momentum: float = 0.9, weight_decay: float = 0.0005
) -> tuple[Array, Array]:
    """Paper section 5: the new w and v. `grad` is the gradient of the mean loss over the batch."""
    new_w, new_v = np.zeros(w.shape), np.zeros(w.shape)
    for i in indices(*w.shape):
        new_v[i] = momentum * v[i] - weight_decay * lr * w[i] - lr * grad[i]
        new_w[i] = w[i] + new_v[i]
    return new_w, new_v


def numerical_gradient(f: Callable[[], Array], x: Array, cotangent: Array, step: float = 1e-5) -> Array:
    """d sum(cotangent * f()) / dx by centered differences. f reads x, which is changed in place and restored."""
    grad = np.zeros(x.shape)
    for i in indices(*x.shape):
        value = x[i]
        x[i] = value + step
        above = np.sum(cotangent * f())
        x[i] = value - step
        grad[i] = (above - np.sum(cotangent * f())) / (2 * step)
        x[i] = value
    return grad

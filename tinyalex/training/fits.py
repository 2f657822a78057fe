"""Whether labels belong to their images, found without training the net: a linear classifier of random features is better than a guess.

The features are those of a convolution that was never trained: random filters of 5x5, the size of their answers, averages over nine
parts of the image. Ridge regression on two thirds of the images takes a second, and tells a third of CIFAR-10's test labels from 1,000
images, where a guess tells a tenth. If labels and images were shuffled against each other, it is no better than the guess.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from tinyalex.data.source import Images

MOST = 1000  # images that are looked at
ENOUGH = 30  # images of each class on average; with fewer, a result like a guess's says nothing
BLOCK = 50  # images whose features are computed together: 1,000 photographs as floats would need a gigabyte
SIDE, KERNEL, FILTERS, PARTS = 32, 5, 32, 3
RIDGE = 0.3  # times the number of features
SIGMAS = 4.0  # a guess is so many standard deviations better than itself in one of 30,000 cases


def labels_fit(images: Images, labels: npt.NDArray[np.integer]) -> bool | None:
    """True if the labels of some images can be told from the others, False if not, None if there are too few images to say so.

    Shapes: images (N, C, H, W) with H and W of at least 9, labels (N,).
    """
    images, (_, own) = images[:MOST], np.unique(labels[:MOST], return_inverse=True)
    n, classes = len(images), int(own.max()) + 1
    if classes < 2 or n < 3 * classes or min(images.shape[2:]) < KERNEL + 2 * (PARTS - 1):
        return None
    order = np.random.Generator(np.random.Philox(1)).permutation(n)
    known, asked = order[: 2 * n // 3], order[2 * n // 3 :]
    x = np.concatenate([_features(images[start : start + BLOCK].astype(np.float32)) for start in range(0, n, BLOCK)])
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    target = np.eye(classes)[own[known]] - 1 / classes
    inner = x[known] @ x[known].T + RIDGE * x.shape[1] * np.eye(len(known))
    guessed = (x[asked] @ (x[known].T @ np.linalg.solve(inner, target))).argmax(axis=1)
    right = float((guessed == own[asked]).mean())
    chance = float(np.bincount(own[asked]).max() / len(asked))
    if right > chance + SIGMAS * math.sqrt(chance * (1 - chance) / len(asked)):
        return True
    return False if n >= ENOUGH * classes else None


def _features(images: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Random features of images, (N, FILTERS * PARTS * PARTS)."""
    n, c, h, w = images.shape
    step_h, step_w = max(1, h // SIDE), max(1, w // SIDE)
    whole = images[:, :, : h // step_h * step_h, : w // step_w * step_w]
    small = whole.reshape(n, c, h // step_h, step_h, w // step_w, step_w).mean(axis=(3, 5))
    small = small - small.mean(axis=(2, 3), keepdims=True)
    small /= small.std(axis=(1, 2, 3), keepdims=True) + 1
    windows = sliding_window_view(small, (KERNEL, KERNEL), axis=(2, 3))  # (N, C, OH, OW, KERNEL, KERNEL)
    filters = np.random.Generator(np.random.Philox(0)).standard_normal((FILTERS, c * KERNEL * KERNEL)).astype(np.float32)
    filters -= filters.mean(axis=1, keepdims=True)
    answers = np.abs(np.einsum("nchwij,kcij->nkhw", windows, filters.reshape(FILTERS, c, KERNEL, KERNEL), optimize=True))
    tall, wide = (size // PARTS for size in answers.shape[2:])
    parts = answers[:, :, : PARTS * tall, : PARTS * wide].reshape(n, FILTERS, PARTS, tall, PARTS, wide)
    return parts.mean(axis=(3, 5)).reshape(n, -1)

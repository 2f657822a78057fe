"""A small AlexNet for CIFAR-10, which can be trained on a laptop: the structure of the paper's net, with one tower or two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyalex.devices import Device
from tinyalex.errors import require_choice, require_int
from tinyalex.init import FanIn, zeros
from tinyalex.layers import Sequential
from tinyalex.models.alexnet import PAPER
from tinyalex.models.build import build_rows, places_of
from tinyalex.models.options import check_sizes
from tinyalex.models.rows import Rows, change, without

WHO = "cifar-alexnet"
WIDTHS = {"conv1": 32, "conv2": 64, "conv3": 128, "conv4": 128, "conv5": 64, "fc6": 256}
PIXEL_STD = 64  # the standard deviation of CIFAR-10's pixels, by which inputs of unit variance were divided
_RELU = {"weight_init": FanIn(math.sqrt(2)), "bias_init": zeros}  # a ReLU removes half of the variance

_ROWS = change(
    without(PAPER, "fc7", "relu7", "drop7"),
    conv=_RELU,
    linear=_RELU,
    conv1={"kernel_size": 5, "stride": 1, "padding": 2, "ceil_mode": False},
    # The paper's alpha is for pixels of 0 to 255. A sum of squares of inputs that are 64 times smaller is 64**2 times smaller.
    norm={"alpha": 1e-4 * PIXEL_STD**2},
)
ROWS: Rows = change(change(_ROWS, **{layer: {"width": k} for layer, k in WIDTHS.items()}), fc8={"width": 10, "weight_init": FanIn(1.0)})


def cifar_alexnet(
    towers: int = 1,
    *,
    seed: int = 0,
    devices: str | Device | Sequence[str | Device] | None = None,
    dtype: Any = np.float32,
    num_classes: int = 10,
    input_size: int = 24,
) -> Sequential:
    """AlexNet for 24x24 crops of CIFAR-10: 363,018 parameters, 11.9 million multiply-adds an image.

    Paper: section 3.5 and Figure 2 for the structure; the paper itself has no such net. As in the paper, it has five
    convolutions with ReLU, response normalization after conv1 and conv2, overlapping pooling after conv1, conv2 and conv5,
    two towers that exchange their outputs only in front of conv3 and fc6, and dropout. Unlike the paper, conv1 has stride 1,
    there is no fc7, there are fewer filters, biases start at 0, and the initial weights keep the variance of the signal, so
    that the net learns from the first epoch on.

    With one tower, conv2, conv4, conv5 and normalization have two groups. So the net computes the same as two towers, and
    one seed gives both the same initial weights.

    Parameters
    ----------
    towers: 1, or 2 for a net split over two devices; then fc8 is on the first device.
    seed: of the initial weights and of the dropout masks.
    devices: one device, or one for each tower ("cpu:0,cpu:1" or a sequence); None for "cpu", with two towers "cpu:0,cpu:1".
    num_classes: outputs of fc8, at least 2. input_size: height and width of an image; its pixels have unit variance.

    Raises
    ------
    ShapeError: a setting outside these ranges. DeviceError: no such device, or two of different kinds.

    Example
    -------
    >>> sum(weight.size for weight in cifar_alexnet().params.values())
    363018
    """
    towers = require_choice(WHO, "towers", towers, (1, 2))
    rows = change(ROWS, fc8={"width": require_int(WHO, "num_classes", num_classes, least=2)})
    size = require_int(WHO, "input_size", input_size)
    check_sizes(WHO, rows, size)
    places = places_of(WHO, towers, devices)
    return build_rows(rows, (3, size, size), WHO, places, seed=require_int(WHO, "seed", seed, least=0), dtype=dtype)

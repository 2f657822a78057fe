"""The nets of the claims. Each variant is an edit of one list of rows, so the edit says how it differs from the base net.

The base net is AlexNet's structure for 24x24 crops of CIFAR-10 (`tinyalex/models/cifar_alexnet.py`) with fewer filters and a larger
hidden layer. So it trains in minutes on one core and, as in AlexNet, most of its parameters are in the fully connected layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from tinyalex.devices import Device
from tinyalex.init import Gaussian
from tinyalex.layers import Conv2d, Flatten, Layer, Linear, LocallyConnected2d, LocalResponseNorm, MaxPool2d, ReLU, Sequential
from tinyalex.models.build import build_rows
from tinyalex.models.cifar_alexnet import ROWS
from tinyalex.models.rows import Rows, change, without

Builder: TypeAlias = Callable[[int, int, Device], Sequential]  # (seed, classes, device) -> the net

CROP = 24  # pixels, height and width of what the nets read
WIDTHS = {"conv1": 16, "conv2": 32, "conv3": 64, "conv4": 64, "conv5": 32, "fc6": 512}
HALF = {"conv1": 8, "conv2": 16, "conv3": 32, "conv4": 32}  # footnote 2: conv5 and the fully connected layers keep their sizes

BASE: Rows = change(ROWS, **{layer: {"width": width} for layer, width in WIDTHS.items()})
"""Two towers as groups: conv2, conv4, conv5 and response normalization read only the maps of their own half."""


def joined(rows: Rows) -> Rows:
    """The rows with one group everywhere: every layer reads all maps."""
    return tuple(row.having(groups=1) if "groups" in row.settings else row for row in rows)


SEPARATE_POOLS = change(BASE, pool={"kernel_size": 2})  # s = z = 2; the outputs have the same sizes: 12, 6 and 3
MEAN_POOLS: Rows = tuple(replace(row, kind="mean_pool") if row.kind == "pool" else row for row in BASE)
NO_DROPOUT = without(BASE, "dropout")
HALF_MAPS = joined(change(BASE, **{layer: {"width": width} for layer, width in HALF.items()}))
ONE_LAYER_LESS = without(BASE, "conv4", "relu4")  # conv5 then reads conv3


def of_rows(rows: Rows, name: str) -> Builder:
    """A function that builds the net of these rows for 24x24 crops, with as many outputs as there are classes."""

    def build(seed: int, classes: int, device: Device) -> Sequential:
        mine = change(rows, fc8={"width": classes})
        return build_rows(mine, (3, CROP, CROP), name, [device], seed=seed)

    return build


def of_pair(norm: bool) -> Builder:
    """A function that builds the authors' CIFAR-10 net of 13 % test error, with response normalization or without.

    Paper: section 3.3 and footnote 3, which points to the parameter files of cuda-convnet. The clean pair is in that project's
    history, revision 087fc40: the 13 % net, and the same net with normalization across 5 maps (scale 0.001, power 0.75, constant 1)
    between the activation and the pooling of both convolutions. The scale is divided by 5, as in all of cuda-convnet. With
    24x24 crops the net has 1,116,490 parameters. Normalization has no parameters, so one seed gives both nets the same weights.
    """

    def stage(number: int, std: float, device: Device) -> list[Layer]:
        between: list[Layer] = []
        if norm:
            between = [LocalResponseNorm(5, k=1.0, alpha=0.001, beta=0.75, alpha_over_n=True, name=f"norm{number}", device=device)]
        return [
            Conv2d(64, 5, padding=2, weight_init=Gaussian(std), input_gradient=number > 1, name=f"conv{number}", device=device),
            ReLU(name=f"relu{number}", device=device),
            *between,
            MaxPool2d(3, stride=2, ceil_mode=True, name=f"pool{number}", device=device),
        ]

    def build(seed: int, classes: int, device: Device) -> Sequential:
        return Sequential(
            [
                *stage(1, 1e-4, device),
                *stage(2, 0.01, device),
                LocallyConnected2d(32, 3, padding=1, weight_init=Gaussian(0.04), name="local3", device=device),
                ReLU(name="relu3", device=device),
                LocallyConnected2d(32, 3, padding=1, weight_init=Gaussian(0.04), name="local4", device=device),
                ReLU(name="relu4", device=device),
                Flatten(name="flatten", device=device),
                Linear(classes, weight_init=Gaussian(0.01), name="fc10", device=device),
            ],
            in_shape=(3, CROP, CROP),
            seed=seed,
            name="pair-norm" if norm else "pair-plain",
        )

    return build

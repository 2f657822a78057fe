"""AlexNet in small: its structure at the size of CIFAR-10, to be trained on a laptop, with one tower or two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinyalex.devices import Device
from tinyalex.errors import require_int
from tinyalex.init import FanIn, zeros
from tinyalex.layers import Flatten, Sequential
from tinyalex.models.alexnet import places_of, two_towers
from tinyalex.models.plan import Part, Plan
from tinyalex.models.variants import LAYERS, VARIANTS

WIDTHS = {"conv1": 32, "conv2": 64, "conv3": 128, "conv4": 128, "conv5": 64, "fc6": 256}
WHO = "cifar-alexnet"
KERNELS = (5, 5, 3, 3, 3)
PIXEL_STD = 64  # of CIFAR-10's bytes: what inputs of unit variance were divided by
# The paper's pixels are bytes. Sums of squares grow with the square of the scale, so alpha shrinks or grows with its inverse.
VARIANT = replace(VARIANTS["paper"], norm_alpha=VARIANTS["paper"].norm_alpha * PIXEL_STD**2)


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

    Paper: section 3.5 and Figure 2, for the structure; there is no such net in it. Kept are five convolutions with ReLU,
    response normalization after conv1 and conv2, overlapping pooling after these and conv5, two towers that meet in conv3 and
    fc6 alone, and dropout. Left out are the stride of conv1 and fc7; there are few filters, and the weights start with the
    variance that keeps the signal's, so that training moves in the first epoch. Biases start at 0.

    With one tower, conv2, conv4, conv5 and normalization have two groups: the net computes what two towers compute, and
    starts with the same weights from the same seed.

    Parameters
    ----------
    towers: 1, or 2 for a net split over two devices; fc8 is on the first.
    seed: of the initial weights and of the dropout masks.
    devices: one device, or one a tower ("cpu:0,cpu:1" or a sequence); None for "cpu", or "cpu:0" and "cpu:1".
    num_classes: outputs of fc8, at least 2. input_size: height and width of an image, with unit variance.

    Raises
    ------
    ShapeError: a setting outside these ranges. DeviceError: no such device, or two of different kinds.

    Example
    -------
    >>> sum(weight.size for weight in cifar_alexnet().params.values())
    363018
    """
    plan = _SmallPlan("paper", towers, None, num_classes, input_size=input_size, remove=("fc7",), widths=WIDTHS)
    places, rng = places_of(plan, devices), np.random.default_rng(require_int(WHO, "seed", seed, least=0))
    initial = {}
    for layer, shape in plan.weight_shapes.items():  # whole layers in order, so that two towers start as one does
        gain = 1.0 if layer == "fc8" else math.sqrt(2)  # a ReLU cuts off half
        initial[layer] = places[0].draw(FanIn(gain), shape, rng), places[0].draw(zeros, shape[:1], rng)
    whole = Part(0, 1, places[0], dtype, seed, False, initial)
    layers = two_towers(plan, places, whole) if plan.towers == 2 else [step(whole) for step in plan.steps if not isinstance(step, str)]
    return Sequential(layers, in_shape=(3, input_size, input_size), name=WHO)


class _SmallPlan(Plan):
    """A plan that walks down this net with the steps of the large one's."""

    who = WHO

    def _walk(self) -> None:
        self.variant = VARIANT
        for stage, (layer, kernel) in enumerate(zip(LAYERS[:5], KERNELS, strict=True), 1):
            self._conv(layer, kernel, 1, kernel // 2, False)
            for step in {1: ("relu", "norm", "pool"), 2: ("relu", "norm", "pool"), 5: ("relu", "pool")}.get(stage, ("relu",)):
                self._after_conv(step, stage)
        self._add(lambda part: Flatten(**part.where("flatten5")))
        self._channels *= self._size**2
        self._linear("fc6")
        self._relu("relu6")
        self._dropout("fc6", here=True)
        self._linear("fc8")

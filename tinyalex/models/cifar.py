"""The network of Figure 1, one of the small networks for CIFAR-10 that the authors published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.devices import Device, get_device
from tinyalex.errors import require_choice
from tinyalex.init import FanIn, Gaussian, Init
from tinyalex.layers import Sequential
from tinyalex.models.build import ACTIVATIONS, build_rows
from tinyalex.models.rows import Row, Rows, conv, flatten, linear, mean_pool, pool

__all__ = ["ACTIVATIONS", "SETUPS", "Setup", "figure1_net", "figure1_rows"]


@dataclass(frozen=True)
class Setup:
    """How inputs and initial weights are scaled. The result of Figure 1 depends strongly on it.

    inputs: "mean-image" for pixels of 0 to 255 minus the mean image; "unit-variance" for mean 0 and variance 1 in each channel.
    weights: the distributions of the initial weights of conv1, conv2, conv3 and fc10.
    """

    inputs: str
    weights: tuple[Init, Init, Init, Init]


SETUPS = {
    "2012": Setup("mean-image", (Gaussian(1e-4), Gaussian(0.01), Gaussian(0.01), Gaussian(0.01))),
    "fan-in": Setup("unit-variance", (FanIn(), FanIn(), FanIn(), Gaussian(0.01))),
}


def figure1_rows(activation: str = "relu", setup: str = "2012", classes: int = 10) -> Rows:
    """The rows of `figure1_net`, one for each layer; the settings are those of `figure1_net`."""
    require_choice("figure1_net", "activation", activation, tuple(ACTIVATIONS))
    weights = SETUPS[require_choice("figure1_net", "setup", setup, tuple(SETUPS))].weights
    return (
        conv("conv1", 32, 5, padding=2, weight=weights[0]),
        pool("pool1"),
        Row(activation, f"{activation}1"),
        conv("conv2", 32, 5, padding=2, weight=weights[1]),
        Row(activation, f"{activation}2"),
        mean_pool("pool2"),
        conv("conv3", 64, 5, padding=2, weight=weights[2]),
        Row(activation, f"{activation}3"),
        mean_pool("pool3"),
        flatten("flatten"),
        linear("fc10", classes, weight=weights[3]),
    )


def figure1_net(
    activation: str = "relu",
    setup: str = "2012",
    *,
    seed: int = 0,
    classes: int = 10,
    device: str | Device = "cpu",
    dtype: Any = np.float32,
) -> Sequential:
    """The four-layer convolutional network of Figure 1, 89,578 parameters for ten classes.

    Paper: Figure 1 shows "a four-layer convolutional neural network" on CIFAR-10 and does not describe the network further.
    This is the four-layer CIFAR-10 net that the authors published (the 19 % net of cuda-convnet), without its weight decay:
    conv1 with 32 filters, max pooling, activation; conv2 with 32 filters, activation, average pooling; conv3 with 64
    filters, activation, average pooling; fc10. Convolutions are 5x5 with padding 2, pooling is 3x3 with stride 2 and ceil.

    Parameters
    ----------
    activation: "relu", "tanh", "sigmoid" or "abstanh".
    setup: "2012" or "fan-in", see `SETUPS`.
    seed: of the initial weights. One seed gives the same weights with every activation.
    classes: outputs of fc10. device: where the net computes. dtype: float32 or float64.

    Raises
    ------
    ShapeError: an unknown activation or setup. DeviceError: an unknown device.

    Example
    -------
    >>> sum(weight.size for weight in figure1_net().params.values())
    89578
    """
    rows, place = figure1_rows(activation, setup, classes), get_device(device, "figure1_net")
    return build_rows(rows, (3, 32, 32), f"figure1-{activation}", [place], seed=seed, dtype=dtype)

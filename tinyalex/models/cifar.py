"""The authors' small networks for CIFAR-10: the one of Figure 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.devices import Device, get_device
from tinyalex.errors import require_choice
from tinyalex.init import FanIn, Gaussian, Init
from tinyalex.layers import AbsTanh, AvgPool2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential, Sigmoid, Tanh

ACTIVATIONS: dict[str, Callable[..., Layer]] = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid, "abstanh": AbsTanh}


@dataclass(frozen=True)
class Setup:
    """How inputs and weights are scaled: what Figure 1 turns out to depend on.

    inputs: "mean-image" for pixels of 0 to 255 minus the mean image, "unit-variance" for mean 0 and variance 1 a channel.
    weights: the initial distributions of conv1, conv2, conv3 and fc10.
    """

    inputs: str
    weights: tuple[Init, Init, Init, Init]


SETUPS = {
    "2012": Setup("mean-image", (Gaussian(1e-4), Gaussian(0.01), Gaussian(0.01), Gaussian(0.01))),
    "fan-in": Setup("unit-variance", (FanIn(), FanIn(), FanIn(), Gaussian(0.01))),
}


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

    Paper: Figure 1 shows "a four-layer convolutional neural network" on CIFAR-10 and says no more about it. This is the
    authors' published four-layer CIFAR-10 net (the 19 % net of cuda-convnet) without its weight decay:
    conv1 32 - max - activation - conv2 32 - activation - average - conv3 64 - activation - average - fc10,
    convolutions 5x5 with padding 2, pooling 3x3 with stride 2 and ceil.

    Parameters
    ----------
    activation: "relu", "tanh", "sigmoid" or "abstanh".
    setup: "2012" or "fan-in", see `SETUPS`.
    seed: of the initial weights, the same for every activation.

    Example
    -------
    >>> sum(weight.size for weight in figure1_net().params.values())
    89578
    """
    make = ACTIVATIONS[require_choice("figure1_net", "activation", activation, tuple(ACTIVATIONS))]
    weights = SETUPS[require_choice("figure1_net", "setup", setup, tuple(SETUPS))].weights
    rng, at = np.random.default_rng(seed), {"device": get_device(device, "figure1_net"), "dtype": dtype}
    conv, pool = {"padding": 2, "rng": rng, **at}, {"stride": 2, "ceil_mode": True, **at}
    return Sequential(
        [
            Conv2d(3, 32, 5, weight_init=weights[0], name="conv1", input_gradient=False, **conv),
            MaxPool2d(3, name="pool1", **pool),
            make(name=f"{activation}1", **at),
            Conv2d(32, 32, 5, weight_init=weights[1], name="conv2", **conv),
            make(name=f"{activation}2", **at),
            AvgPool2d(3, name="pool2", **pool),
            Conv2d(32, 64, 5, weight_init=weights[2], name="conv3", **conv),
            make(name=f"{activation}3", **at),
            AvgPool2d(3, name="pool3", **pool),
            Flatten(name="flatten", **at),
            Linear(64 * 4 * 4, classes, weight_init=weights[3], name="fc10", rng=rng, **at),
        ],
        in_shape=(3, 32, 32),
        name=f"figure1-{activation}",
    )

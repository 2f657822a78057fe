"""The trained network that comes with the package: the ReLU net of Figure 1, for whoever wants to look into one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.batches import Standardize
from tinyalex.devices import Device
from tinyalex.layers import Sequential
from tinyalex.models.cifar import figure1_net
from tinyalex.models.weights import load_weights

FIGURE1_RELU = Path(__file__).parent / "pretrained_weights" / "figure1-relu.safetensors"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (125.26884, 122.93302, 113.86284), (62.534061, 61.909294, 66.460335)  # of the 50,000 training images' channels


@dataclass(frozen=True)
class Trained:
    """A network with its weights, and how it wants its images.

    prepare: from uint8 (N, 3, 32, 32) to the network's input. classes: the names of its outputs.
    """

    net: Sequential
    prepare: Standardize
    classes: tuple[str, ...]


def trained_figure1(device: str | Device = "cpu", dtype: Any = np.float32) -> Trained:
    """The ReLU net of Figure 1 in the setup "fan-in" after seven epochs: 27.5 % of CIFAR-10's test images wrong, 21.0 % of the others.

    Paper: section 3.1 and Figure 1. The weights are those of the run in `examples/results/figure1`, rounded to float16. It saw
    a JPEG-recompressed copy of CIFAR-10 and had no regularization, as the experiment demands. They are of use in this net
    alone: they would load into the same net with tanh too, since activations have no parameters, but were not trained for it.

    Example
    -------
    >>> trained = trained_figure1()
    >>> image = np.zeros((1, 3, 32, 32), np.uint8)
    >>> trained.net.forward(trained.prepare(image)).shape
    (1, 10)
    """
    net = figure1_net("relu", "fan-in", device=device, dtype=dtype)
    load_weights(FIGURE1_RELU, net)
    return Trained(net, Standardize(MEAN, STD), CLASSES)

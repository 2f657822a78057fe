"""The trained network that comes with the package: the ReLU net of Figure 1."""

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
MEAN, STD = (125.26884, 122.93302, 113.86284), (62.534061, 61.909294, 66.460335)  # of each channel, over the 50,000 training images


@dataclass(frozen=True)
class Trained:
    """A network with trained weights, the function that prepares its images, and the names of its classes.

    prepare: turns uint8 images (N, 3, 32, 32) into the network's input. classes: the name of each output.
    """

    net: Sequential
    prepare: Standardize
    classes: tuple[str, ...]


def trained_figure1(device: str | Device = "cpu", dtype: Any = np.float32) -> Trained:
    """The ReLU net of Figure 1 in the setup "fan-in" after seven epochs: test error 27.5 %, training error 21.0 %, on CIFAR-10.

    Paper: section 3.1 and Figure 1. The weights are those of the run in `examples/results/figure1`, rounded to float16. The
    run was trained on a JPEG-recompressed copy of CIFAR-10 without any regularization, as the paper's experiment requires.
    The weights would also load into the same net with tanh, because activations have no parameters; they are of no use there.

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

"""A small AlexNet for two pictures, with both passes and the page that shows them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.explore.pages import page_of
from tinyalex.explore.passes import passes_of
from tinyalex.explore.selection import selected
from tinyalex.layers import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, ReLU, Sequential, SpatialResponseNorm
from tinyalex.models import build


@pytest.fixture(scope="session")
def explored():
    """net, both passes, all channels, and the page."""
    net = build("cifar-alexnet", seed=4)
    images = np.random.default_rng(1).standard_normal((2, 3, 24, 24)).astype(np.float32)
    passes = [passes_of(net, images[k : k + 1], label) for k, label in enumerate((7, None))]
    channels = selected(net, {})
    return SimpleNamespace(net=net, images=images, passes=passes, channels=channels, page=page_of(net, passes, channels))


@pytest.fixture(scope="session")
def normalized():
    """The same of a net with the layers that AlexNet of the paper does not have: normalization within a channel and over a batch."""
    rng = np.random.default_rng(3)
    layers = [
        Conv2d(3, 6, 3, rng=rng, input_gradient=False, name="conv1"), SpatialResponseNorm(4, alpha=9.0, name="rnorm1"),
        Conv2d(6, 5, 3, rng=rng, bias=False, name="conv2"), BatchNorm2d(5, name="bn2"), ReLU(name="relu2"), GlobalAvgPool2d(name="mean"),
        Linear(5, 10, rng=rng, name="fc3"),
    ]  # fmt: skip
    net = Sequential(layers, in_shape=(3, 9, 8))
    for key, param in net.params.items():
        param[...] = rng.standard_normal(param.shape) / (10 if key == "conv1.weight" else 1)
    images = rng.standard_normal((2, 3, 9, 8)).astype(np.float32)
    net.forward(images, train=True)
    passes = [passes_of(net, images[k : k + 1], label) for k, label in enumerate((7, None))]
    channels = selected(net, {})
    return SimpleNamespace(net=net, images=images, passes=passes, channels=channels, page=page_of(net, passes, channels))

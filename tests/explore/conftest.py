"""A small AlexNet for two pictures, with both passes and the page that shows them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.explore.pages import page_of
from tinyalex.explore.passes import passes_of
from tinyalex.explore.selection import selected
from tinyalex.models import build


@pytest.fixture(scope="session")
def explored():
    """net, both passes, all channels, and the page."""
    net = build("cifar-alexnet", seed=4)
    images = np.random.default_rng(1).standard_normal((2, 3, 24, 24)).astype(np.float32)
    passes = [passes_of(net, images[k : k + 1], label) for k, label in enumerate((7, None))]
    channels = selected(net, {})
    return SimpleNamespace(net=net, images=images, passes=passes, channels=channels, page=page_of(net, passes, channels))

"""A simulated GPU, and an array on it."""

import numpy as np
import pytest

from tinyalex.devices.sim import SimDevice


@pytest.fixture
def sim():
    return SimDevice(0)


@pytest.fixture
def x(sim):
    return sim.asarray(np.arange(6.0, dtype=np.float32).reshape(2, 3))

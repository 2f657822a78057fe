"""The nets that the stages run: the paper's AlexNet, or with tiny inputs a narrow one."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.alexnet import initial
from benchmarks.workload import SEED
from tinyalex.models import alexnet

SMALL: dict[str, Any] = {"width": 1 / 16, "num_classes": 10, "input_size": 67}


def net_on(devices: Any, quick: bool, **settings: Any) -> ta.Sequential:
    """The paper's net with weights that keep the size of the signal, the same on every device."""
    net = alexnet(devices=devices, seed=SEED, **(SMALL if quick else {}), **settings)
    weights = initial(quick)
    for leaf in net.leaves():
        with leaf.device.activate():  # its stream too: another stream would not wait for the copy
            for key, value in leaf.params.items():
                value[...] = leaf.device.asarray(weights[f"{leaf.name}.{key}"], leaf.dtype)
    return net


def images(net: ta.Sequential, n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Random images on a common bright ground, with different labels."""
    assert net.in_shape is not None
    rng = np.random.default_rng(SEED)
    x = np.float32(30) * (1 + rng.standard_normal((n, *net.in_shape), np.float32))
    return x, np.arange(n) % 10

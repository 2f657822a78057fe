"""A training step of the net of Figure 1 in tinyalex and in PyTorch."""

from __future__ import annotations

import numpy as np

import tinyalex as ta
from benchmarks.steps import Rates, fill, tinyalex_step, torch_step
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload
from tinyalex.models import figure1_net

RATES = Rates()  # no weight decay: "no regularization of any kind"


def inputs(quick: bool) -> Arrays:
    """Four batches that are used in turn, their labels, and the initial weights."""
    rng, n = np.random.default_rng(SEED), 4 if quick else 128
    return {
        "x": rng.standard_normal((4, n, 3, 32, 32), np.float32),
        "labels": rng.integers(0, 10, (4, n)),
        **figure1_net("relu", "fan-in", seed=SEED).params,
    }


def images(inputs: Arrays) -> int:
    return len(inputs["labels"][0])


def flops(inputs: Arrays) -> float:
    """Operations of a step. Forward, the gradient of the weights and the gradient of the input need equally many."""
    places = {"conv1": 32 * 32, "conv2": 16 * 16, "conv3": 8 * 8, "fc10": 1}
    passes = {"conv1": 2, "conv2": 3, "conv3": 3, "fc10": 3}  # the gradient of the images is not computed
    return 2.0 * images(inputs) * sum(passes[name] * places[name] * inputs[f"{name}.weight"].size for name in places)


def tinyalex_side(inputs: Arrays, setting: Setting) -> Job:
    device = ta.CpuDevice("cpu", workers=setting.threads)
    net = figure1_net("relu", "fan-in", seed=SEED, device=device)
    fill(net.params, inputs)
    return tinyalex_step(net, inputs, RATES, device)


def torch_side(inputs: Arrays, setting: Setting) -> Job:
    from torch import nn

    net = nn.Sequential()
    for name, module in (
        ("conv1", nn.Conv2d(3, 32, 5, padding=2)),
        ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
        ("relu1", nn.ReLU(inplace=True)),
        ("conv2", nn.Conv2d(32, 32, 5, padding=2)),
        ("relu2", nn.ReLU(inplace=True)),
        ("pool2", nn.AvgPool2d(3, 2, ceil_mode=True)),
        ("conv3", nn.Conv2d(32, 64, 5, padding=2)),
        ("relu3", nn.ReLU(inplace=True)),
        ("pool3", nn.AvgPool2d(3, 2, ceil_mode=True)),
        ("flatten", nn.Flatten()),
        ("fc10", nn.Linear(64 * 4 * 4, 10)),
    ):
        net.add_module(name, module)
    return torch_step(net, inputs, RATES, setting)


WORKLOADS = [
    Workload(
        "figure1-epoch",
        "training step of the Figure 1 net at batch 128; 391 are an epoch of 50,000 images",
        inputs,
        {"tinyalex": tinyalex_side, "torch": torch_side},
        tolerance=1e-2,  # rounding decides whether a ReLU passes a value near 0, and which of two nearly equal values is the maximum
        calls=20,
        rough_s=5,
        flops=flops,
        images=images,
        epoch_calls=391,  # 50,000 images in batches of 128, the last one smaller
    )
]

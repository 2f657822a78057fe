"""A training step of the net of Figure 1 as both libraries write it."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload, from_torch, to_torch
from tinyalex.models import figure1_net

LR, MOMENTUM = 0.01, 0.9  # and no weight decay: "no regularization of any kind"
CHECKED_STEPS = 3


def inputs(quick: bool) -> Arrays:
    """Four batches to go round, their labels, and the initial weights."""
    rng, n = np.random.default_rng(SEED), 4 if quick else 128
    return {
        "x": rng.standard_normal((4, n, 3, 32, 32), np.float32),
        "labels": rng.integers(0, 10, (4, n)),
        **figure1_net("relu", "fan-in", seed=SEED).params,
    }


def images(inputs: Arrays) -> int:
    return len(inputs["labels"][0])


def flops(inputs: Arrays) -> float:
    """Of a step: each layer with weights is as much work forward, for its weights' gradient and for its input's."""
    places = {"conv1": 32 * 32, "conv2": 16 * 16, "conv3": 8 * 8, "fc10": 1}
    passes = {"conv1": 2, "conv2": 3, "conv3": 3, "fc10": 3}  # nobody asks for the gradient of the images
    return 2.0 * images(inputs) * sum(passes[name] * places[name] * inputs[f"{name}.weight"].size for name in places)


def tinyalex_side(inputs: Arrays, setting: Setting) -> Job:
    device = ta.CpuDevice("cpu", workers=setting.threads)
    net = figure1_net("relu", "fan-in", seed=SEED, device=device)
    for name, value in net.params.items():
        value[...] = inputs[name]
    loss, sgd = ta.SoftmaxCrossEntropy(device=device), ta.SGD(net, LR, MOMENTUM, weight_decay=0)
    batches = cycle(zip(inputs["x"], inputs["labels"], strict=True))

    def step() -> float:
        x, labels = next(batches)
        value = float(loss.forward(net.forward(x, train=True), labels))
        net.backward(loss.backward())
        sgd.step()
        return value

    def answer() -> Arrays:
        for _ in range(CHECKED_STEPS):
            step()
        return changes(net.params, inputs)

    return Job(step, answer)


def torch_side(inputs: Arrays, setting: Setting) -> Job:
    import torch
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
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(torch.from_numpy(inputs[name]))
    if setting.layout == "channels_last":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub lacks this form
    sgd = torch.optim.SGD(net.parameters(), LR, MOMENTUM, fused=True)  # at a constant rate the same update as the paper's
    batches = cycle([(to_torch(x, setting.layout), torch.from_numpy(y)) for x, y in zip(inputs["x"], inputs["labels"], strict=True)])

    def step() -> float:
        x, labels = next(batches)
        loss = nn.functional.cross_entropy(net(x), labels)
        value = loss.item()
        sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch states no type for it
        sgd.step()
        return value

    def answer() -> Arrays:
        for _ in range(CHECKED_STEPS):
            step()
        return changes({name: from_torch(value) for name, value in net.named_parameters()}, inputs)

    return Job(step, answer)


def changes(params: dict[str, Any], inputs: Arrays) -> Arrays:
    """What the steps added to each parameter: a stricter comparison than the parameters, most of which is where they began."""
    return {f"change of {name}": value - inputs[name] for name, value in params.items()}


WORKLOADS = [
    Workload(
        "figure1-epoch",
        "training step of the Figure 1 net at batch 128; 391 are an epoch of 50,000 images",
        inputs,
        {"tinyalex": tinyalex_side, "torch": torch_side},
        tolerance=1e-2,  # rounding decides for values near 0 whether a ReLU passes them, and which of two near maxima wins
        calls=20,
        rough_s=5,
        flops=flops,
        images=images,
        epoch_calls=391,  # 50,000 images in batches of 128, the last one smaller
    )
]

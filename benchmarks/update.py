"""Only the update of AlexNet's 61 million parameters, with momentum and weight decay."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.alexnet import build, initial
from benchmarks.steps import Rates, changes, fill
from benchmarks.torch_side import from_torch
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload

RATES = Rates(lr=0.01, momentum=0.9, weight_decay=5e-4)  # paper 5


def inputs(quick: bool) -> Arrays:
    """The weights, and the values with which every gradient begins."""
    params = initial(quick)
    largest = max(value.size for value in params.values())
    return {"gradient": np.random.default_rng(SEED).standard_normal(largest, np.float32), **params}


def start_of(gradient: np.ndarray[Any, Any], like: Any) -> np.ndarray[Any, Any]:
    """The gradient of a parameter."""
    return gradient[: int(np.prod(like.shape))].reshape(like.shape)


def tinyalex_side(inputs: Arrays, setting: Setting) -> Job:
    gradient = inputs["gradient"]
    net = build(inputs, devices=ta.CpuDevice("cpu", workers=setting.threads))
    fill(net.params, inputs)
    sgd = ta.SGD(net, RATES.lr, RATES.momentum, RATES.weight_decay)

    def before() -> None:
        for grad in net.grads.values():  # the last step has set them to zero
            grad[...] = start_of(gradient, grad)

    def checked() -> None:
        before()
        sgd.step()

    return Job(sgd.step, lambda: changes(lambda: {name: value.copy() for name, value in net.params.items()}, checked), before)


def torch_side(inputs: Arrays, setting: Setting) -> Job:
    import torch

    params = {name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in inputs.items() if name != "gradient"}
    for value in params.values():
        value.grad = torch.from_numpy(start_of(inputs["gradient"], value)).clone()
    sgd = torch.optim.SGD(params.values(), RATES.lr, RATES.momentum, weight_decay=RATES.weight_decay, fused=True)
    return Job(sgd.step, lambda: changes(lambda: {name: from_torch(value).copy() for name, value in params.items()}, sgd.step))


def traffic(inputs: Arrays) -> float:
    """Bytes: gradients are read, weights and velocities are read and written."""
    return 5.0 * sum(value.nbytes for name, value in inputs.items() if name != "gradient")


WORKLOADS = [
    Workload(
        "update-61m",
        "update of AlexNet's 61 million parameters",
        inputs,
        {"tinyalex": tinyalex_side, "torch": torch_side},
        tolerance=1e-5,
        calls=4,
        rough_s=1.5,
        traffic=traffic,
        same=("channels_last", "compiled"),
    )
]

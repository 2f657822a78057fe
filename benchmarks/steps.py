"""A training step, from a batch in memory to updated parameters, in tinyalex and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.later_torch import DOT
from benchmarks.torch_side import compiled, from_torch, to_torch
from benchmarks.workload import Arrays, Job, Setting
from tinyalex.models import join_state

CHECKED_STEPS = 3


@dataclass(frozen=True)
class Rates:
    """The settings of stochastic gradient descent, which are the same for all parameters and steps."""

    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0


def fill(params: Mapping[str, Any], inputs: Arrays) -> None:
    """Copy to each parameter the input array with the same name."""
    for name, value in params.items():
        value[...] = inputs[name]


def tinyalex_step(net: ta.Sequential, inputs: Arrays, rates: Rates, device: ta.Device) -> Job:
    """The step of a net whose output is on `device`. The batches in `inputs["x"]` are used in turn.

    The answer is computed without dropout, because every library draws other masks.
    """
    loss, sgd = ta.SoftmaxCrossEntropy(device=device), ta.SGD(net, rates.lr, rates.momentum, rates.weight_decay)
    batches = cycle(list(zip(inputs["x"], inputs["labels"], strict=True)))

    def step() -> float:
        x, labels = next(batches)
        value = float(loss.forward(net.forward(x, train=True), labels, train=True))
        net.backward(loss.backward())
        sgd.step()
        return value

    def answer() -> Arrays:
        for layer in net.leaves():
            if isinstance(layer, ta.Dropout):
                layer.p = 0.0
        return changes(lambda: join_state({name: value.copy() for name, value in net.params.items()}), step)

    return Job(step, answer)


def torch_step(net: Any, inputs: Arrays, rates: Rates, setting: Setting) -> Job:
    """The same step in PyTorch, with the fastest of its three updates. At a constant rate it equals the paper's update."""
    import torch
    from torch import nn

    fill_torch(net, inputs, setting)
    sgd = torch.optim.SGD(net.parameters(), rates.lr, rates.momentum, weight_decay=rates.weight_decay, fused=True)
    batches = cycle([(to_torch(x, setting.layout), torch.from_numpy(y)) for x, y in zip(inputs["x"], inputs["labels"], strict=True)])

    def loss_of(x: Any, labels: Any) -> Any:
        return nn.functional.cross_entropy(net(x), labels)

    forward = compiled(loss_of, setting)

    def step() -> float:
        loss = forward(*next(batches))
        value: float = loss.item()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        return value

    def answer() -> Arrays:
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return changes(lambda: {own_name(name): from_torch(value).copy() for name, value in net.named_parameters()}, step)

    return Job(step, answer)


def infer_torch(net: Any, inputs: Arrays, setting: Setting) -> Job:
    """Inference by a net of PyTorch whose weights are in `inputs`."""
    import torch

    fill_torch(net.eval(), inputs, setting)
    x, forward = to_torch(inputs["x"], setting.layout), compiled(net, setting)

    def work() -> Any:
        with torch.inference_mode():
            return forward(x)

    return Job(work, answer=lambda: {"logits": from_torch(work())})


def fill_torch(net: Any, inputs: Arrays, setting: Setting) -> None:
    """Copy to each parameter of a net of PyTorch the input array with its name, in the layout of the setting."""
    import torch

    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(torch.from_numpy(inputs[own_name(name)]))
    if setting.layout == "channels_last":
        net.to(memory_format=torch.channels_last)


def own_name(name: str) -> str:
    """The name in tinyalex of a parameter of PyTorch: that of the innermost module, see `later_torch.DOT`, and "weight" or "bias"."""
    return ".".join(name.split(".")[-2:]).replace(DOT, ".")


def changes(params: Callable[[], Arrays], step: Callable[[], Any]) -> Arrays:
    """The change of each parameter in the checked steps. To compare it is stricter than to compare the parameters themselves."""
    before = params()
    for _ in range(CHECKED_STEPS):
        step()
    return {f"change of {name}": np.subtract(value, before[name]) for name, value in params().items()}

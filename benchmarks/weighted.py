"""Single layers with weights, forward and backward: AlexNet's five convolutions, fc6, and a conv2 without groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.torch_side import compiled, from_torch, to_torch
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload


@dataclass(frozen=True)
class Convolution:
    """A convolution of `n` images, `channels` x `size` x `size`. first: whether the gradient of its input is not needed."""

    n: int
    channels: int
    size: int
    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    first: bool = False

    def title(self) -> str:
        text = f"{self.channels}x{self.size}x{self.size} -> {self.filters}, {self.kernel}x{self.kernel}"
        text += f", stride {self.stride}" * (self.stride > 1) + f", padding {self.padding}" * (self.padding > 0)
        return text + f", {self.groups} groups" * (self.groups > 1) + f", N={self.n}"

    def inputs(self, quick: bool) -> Arrays:
        """Images, filters, and the gradient of the output."""
        n, c, k = (2, 2 * self.groups + 2, 4 * self.groups + 2) if quick else (self.n, self.channels, self.filters)
        size = self.kernel + 4 * self.stride if quick else self.size
        out = (size + 2 * self.padding - self.kernel) // self.stride + 1
        return _inputs((n, c, size, size), (k, c // self.groups, self.kernel, self.kernel), (n, k, out, out))

    def layer(self, inputs: Arrays, device: ta.Device) -> ta.Layer:
        weight, how = inputs["weight"], {"stride": self.stride, "padding": self.padding, "groups": self.groups}
        more: dict[str, Any] = {"input_gradient": not self.first, **how, **_values(inputs, device)}
        return ta.Conv2d(inputs["x"].shape[1], weight.shape[0], self.kernel, **more)

    def function(self, x: Any, weight: Any, bias: Any) -> Any:
        from torch.nn.functional import conv2d

        return conv2d(x, weight, bias, self.stride, self.padding, groups=self.groups)


@dataclass(frozen=True)
class Product:
    """A fully connected layer."""

    n: int
    features: int
    units: int
    first = False

    def title(self) -> str:
        return f"{self.features} -> {self.units}, N={self.n}"

    def inputs(self, quick: bool) -> Arrays:
        n, features, units = (2, 32, 8) if quick else (self.n, self.features, self.units)
        return _inputs((n, features), (units, features), (n, units))

    def layer(self, inputs: Arrays, device: ta.Device) -> ta.Layer:
        units, features = inputs["weight"].shape
        return ta.Linear(features, units, **_values(inputs, device))

    def function(self, x: Any, weight: Any, bias: Any) -> Any:
        from torch.nn.functional import linear

        return linear(x, weight, bias)


Weighted = Convolution | Product


def _inputs(x: tuple[int, ...], weight: tuple[int, ...], dout: tuple[int, ...]) -> Arrays:
    rng = np.random.default_rng(SEED)
    return {
        "x": rng.standard_normal(x, np.float32),
        "weight": rng.standard_normal(weight, np.float32) * np.float32(0.01),
        "bias": rng.standard_normal(weight[0], np.float32),
        "dout": rng.standard_normal(dout, np.float32),
    }


def _values(inputs: Arrays, device: ta.Device) -> dict[str, Any]:
    """Arguments with which a layer gets the weights of the inputs."""
    init = {"weight_init": lambda shape, rng: inputs["weight"], "bias_init": lambda shape, rng: inputs["bias"]}
    return {**init, "rng": np.random.default_rng(SEED), "device": device}


def forward_tinyalex(of: Weighted) -> Callable[[Arrays, Setting], Job]:
    def side(inputs: Arrays, setting: Setting) -> Job:
        layer = of.layer(inputs, ta.CpuDevice("cpu", workers=setting.threads))

        def forward() -> Any:
            return layer.forward(inputs["x"], train=True)

        return Job(forward, answer=lambda: {"out": forward()})

    return side


def backward_tinyalex(of: Weighted) -> Callable[[Arrays, Setting], Job]:
    def side(inputs: Arrays, setting: Setting) -> Job:
        layer = of.layer(inputs, ta.CpuDevice("cpu", workers=setting.threads))

        def before() -> None:
            layer.zero_grad()
            layer.forward(inputs["x"], train=True)

        def backward() -> Any:
            return layer.backward(inputs["dout"])

        def answer() -> Arrays:
            before()
            dx = backward()
            return ({} if of.first else {"dx": dx}) | {"dweight": layer.grads["weight"], "dbias": layer.grads["bias"]}

        return Job(backward, answer, before)

    return side


def _tensors(of: Weighted, inputs: Arrays, setting: Setting) -> list[Any]:
    """x, weight and bias as tensors with gradients; the x of a first layer has no gradient."""
    tensors = [to_torch(inputs[key], setting.layout) for key in ("x", "weight", "bias")]
    for tensor in tensors[of.first :]:
        tensor.requires_grad_()
    return tensors


def forward_torch(of: Weighted) -> Callable[[Arrays, Setting], Job]:
    def side(inputs: Arrays, setting: Setting) -> Job:
        tensors, function = _tensors(of, inputs, setting), compiled(of.function, setting)

        def forward() -> Any:
            return function(*tensors)

        return Job(forward, answer=lambda: {"out": from_torch(forward())})

    return side


def backward_torch(of: Weighted) -> Callable[[Arrays, Setting], Job]:
    def side(inputs: Arrays, setting: Setting) -> Job:
        from torch.autograd import grad

        tensors, function = _tensors(of, inputs, setting), compiled(of.function, setting)
        dout = to_torch(inputs["dout"], setting.layout)
        out: list[Any] = []

        def before() -> None:
            out[:] = [function(*tensors)]

        def backward() -> Any:
            return grad(out.pop(), tensors[of.first :], dout)

        def answer() -> Arrays:
            before()
            return dict(zip(("dx", "dweight", "dbias")[of.first :], map(from_torch, backward()), strict=True))

        return Job(backward, answer, before)

    return side


def forward_flops(inputs: Arrays) -> float:
    """Operations of forward: each output is a sum of as many products as a filter has weights."""
    return 2.0 * int(inputs["dout"].size) * int(inputs["weight"][0].size)


def forward_traffic(inputs: Arrays) -> float:
    """Bytes of forward: input, weights and output, each once."""
    return float(sum(array.nbytes for array in inputs.values()))


def both(name: str, what: str, of: Weighted, calls: int, rough_s: float) -> list[Workload]:
    """The two workloads of a layer, forward and backward. In a first layer backward does not compute the gradient of the input."""
    passes = 1 if of.first else 2
    same = () if isinstance(of, Convolution) else ("channels_last",)

    def backward_traffic(inputs: Arrays) -> float:
        """Bytes of backward: input, weights and the gradient of the output are read; the other gradients are written."""
        x, weight, bias, dout = (inputs[key].nbytes for key in ("x", "weight", "bias", "dout"))
        return float(passes * x + 2 * weight + bias + dout)

    return [
        Workload(
            f"{name}-forward", f"{what} {of.title()}, forward", of.inputs,
            {"tinyalex": forward_tinyalex(of), "torch": forward_torch(of)},
            1e-4, calls, rough_s, forward_flops, forward_traffic, same=same,
        ),
        Workload(
            f"{name}-backward", f"{what} {of.title()}, backward", of.inputs,
            {"tinyalex": backward_tinyalex(of), "torch": backward_torch(of)},
            1e-4, calls, (3 + passes) / 2 * rough_s, lambda inputs: passes * forward_flops(inputs), backward_traffic, same=same,
        ),
    ]  # fmt: skip


WORKLOADS = [
    *both("conv", "convolution", Convolution(8, 96, 27, 256, 5, padding=2), calls=4, rough_s=0.8),
    *both("layer-conv1", "AlexNet's conv1", Convolution(32, 3, 227, 96, 11, stride=4, first=True), calls=2, rough_s=0.5),
    *both("layer-conv2", "AlexNet's conv2", Convolution(32, 96, 27, 256, 5, padding=2, groups=2), calls=2, rough_s=0.7),
    *both("layer-conv3", "AlexNet's conv3", Convolution(32, 256, 13, 384, 3, padding=1), calls=2, rough_s=0.4),
    *both("layer-conv4", "AlexNet's conv4", Convolution(32, 384, 13, 384, 3, padding=1, groups=2), calls=2, rough_s=0.4),
    *both("layer-conv5", "AlexNet's conv5", Convolution(32, 384, 13, 256, 3, padding=1, groups=2), calls=4, rough_s=0.4),
    *both("layer-fc6", "AlexNet's fc6", Product(128, 9216, 4096), calls=2, rough_s=0.5),
]

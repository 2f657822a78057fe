"""Layers alone: AlexNet's second convolution without groups, and its normalization and pooling layers at both their shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload, from_torch, to_torch

ALPHA, BETA, K, N = 1e-4, 0.75, 2.0, 5  # of the normalization, paper 3.3


def conv_inputs(quick: bool) -> Arrays:
    """Images, filters, and the gradient that comes back to them."""
    rng = np.random.default_rng(SEED)
    n, c, size, k = (2, 4, 9, 6) if quick else (8, 96, 27, 256)
    return {
        "x": rng.standard_normal((n, c, size, size), np.float32),
        "weight": rng.standard_normal((k, c, 5, 5), np.float32) * np.float32(0.01),
        "bias": rng.standard_normal(k, np.float32),
        "dout": rng.standard_normal((n, k, size, size), np.float32),
    }


def conv_flops(inputs: Arrays) -> float:
    """Of one pass: each value of the output is a sum of C * KH * KW products."""
    return 2.0 * int(inputs["dout"].size) * int(inputs["weight"][0].size)


def conv_layer(inputs: Arrays, setting: Setting) -> ta.Conv2d:
    weight, device = inputs["weight"], ta.CpuDevice("cpu", workers=setting.threads)
    return ta.Conv2d(
        weight.shape[1],
        weight.shape[0],
        5,
        padding=2,
        rng=np.random.default_rng(SEED),
        weight_init=lambda shape, rng: weight,
        bias_init=lambda shape, rng: inputs["bias"],
        device=device,
    )


def conv_forward_tinyalex(inputs: Arrays, setting: Setting) -> Job:
    layer = conv_layer(inputs, setting)

    def forward() -> Any:
        return layer.forward(inputs["x"], train=True)

    return Job(forward, answer=lambda: {"out": forward()})


def conv_backward_tinyalex(inputs: Arrays, setting: Setting) -> Job:
    layer = conv_layer(inputs, setting)

    def before() -> None:
        layer.zero_grad()
        layer.forward(inputs["x"], train=True)

    def backward() -> Any:
        return layer.backward(inputs["dout"])

    def answer() -> Arrays:
        before()
        return {"dx": backward(), "dweight": layer.grads["weight"], "dbias": layer.grads["bias"]}

    return Job(backward, answer, before)


def conv_tensors(inputs: Arrays, setting: Setting) -> list[Any]:
    """x, weight and bias, each to have a gradient."""
    return [to_torch(inputs[key], setting.layout).requires_grad_() for key in ("x", "weight", "bias")]


def conv_forward_torch(inputs: Arrays, setting: Setting) -> Job:
    from torch.nn.functional import conv2d

    x, weight, bias = conv_tensors(inputs, setting)

    def forward() -> Any:
        return conv2d(x, weight, bias, padding=2)

    return Job(forward, answer=lambda: {"out": from_torch(forward())})


def conv_backward_torch(inputs: Arrays, setting: Setting) -> Job:
    from torch.autograd import grad
    from torch.nn.functional import conv2d

    x, weight, bias = conv_tensors(inputs, setting)
    dout = to_torch(inputs["dout"], setting.layout)
    out: list[Any] = []

    def before() -> None:
        out[:] = [conv2d(x, weight, bias, padding=2)]

    def backward() -> Any:
        return grad(out.pop(), (x, weight, bias), dout)

    def answer() -> Arrays:
        before()
        return dict(zip(("dx", "dweight", "dbias"), map(from_torch, backward()), strict=True))

    return Job(backward, answer, before)


def both_ways_tinyalex(make: Callable[[ta.Device], ta.Layer]) -> Callable[[Arrays, Setting], Job]:
    """Forward and backward of a layer without parameters."""

    def side(inputs: Arrays, setting: Setting) -> Job:
        layer = make(ta.CpuDevice("cpu", workers=setting.threads))

        def both() -> tuple[Any, Any]:
            return layer.forward(inputs["x"], train=True), layer.backward(inputs["dout"])

        return Job(both, answer=lambda: dict(zip(("out", "dx"), both(), strict=True)))

    return side


def both_ways_torch(function: Callable[[Any], Any]) -> Callable[[Arrays, Setting], Job]:
    """The same by a function of PyTorch and its automatic gradient."""

    def side(inputs: Arrays, setting: Setting) -> Job:
        from torch.autograd import grad

        x, dout = to_torch(inputs["x"], setting.layout).requires_grad_(), to_torch(inputs["dout"], setting.layout)

        def both() -> tuple[Any, Any]:
            out = function(x)
            return out, grad(out, x, dout)[0]

        return Job(both, answer=lambda: dict(zip(("out", "dx"), map(from_torch, both()), strict=True)))

    return side


def lrn_torch(x: Any) -> Any:
    from torch.nn.functional import local_response_norm

    return local_response_norm(x, N, alpha=ALPHA * N, beta=BETA, k=K)  # PyTorch divides alpha by n, the paper does not


def pool_torch(x: Any) -> Any:
    from torch.nn.functional import max_pool2d

    return max_pool2d(x, 3, 2)


def lrn_inputs(n: int, c: int, size: int) -> Callable[[bool], Arrays]:
    def inputs(quick: bool) -> Arrays:
        rng, shape = np.random.default_rng(SEED), (2, 8, 9, 9) if quick else (n, c, size, size)
        return {"x": 10 * rng.standard_normal(shape, np.float32), "dout": rng.standard_normal(shape, np.float32)}

    return inputs


def pool_inputs(n: int, c: int, size: int) -> Callable[[bool], Arrays]:
    """Every channel holds different values: which of two equal ones gets the gradient, each library decides for itself."""

    def inputs(quick: bool) -> Arrays:
        rng, shape = np.random.default_rng(SEED), (2, 8, 9, 9) if quick else (n, c, size, size)
        values = np.arange(shape[2] * shape[3], dtype=np.float32) / np.float32(shape[2] * shape[3])
        x = np.tile(values, (shape[0] * shape[1], 1))  # (N * C, H * W)
        rng.permuted(x, axis=1, out=x)
        out = (shape[2] - 3) // 2 + 1
        return {"x": x.reshape(shape), "dout": rng.standard_normal((*shape[:2], out, out), np.float32)}

    return inputs


LRN = {
    "tinyalex": both_ways_tinyalex(lambda device: ta.LocalResponseNorm(N, K, ALPHA, BETA, device=device)),
    "torch": both_ways_torch(lrn_torch),
}
POOL = {
    "tinyalex": both_ways_tinyalex(lambda device: ta.MaxPool2d(3, stride=2, device=device)),
    "torch": both_ways_torch(pool_torch),
}
CONV = "convolution 96x27x27 -> 256, 5x5, padding 2, N=8"
BOTH = "forward + backward"
CONV_FORWARD = {"tinyalex": conv_forward_tinyalex, "torch": conv_forward_torch}
CONV_BACKWARD = {"tinyalex": conv_backward_tinyalex, "torch": conv_backward_torch}

WORKLOADS = [
    Workload("conv-forward", f"{CONV}, forward", conv_inputs, CONV_FORWARD, 1e-4, calls=4, rough_s=0.7, flops=conv_flops),
    Workload("conv-backward", f"{CONV}, backward", conv_inputs, CONV_BACKWARD, 1e-4, 4, 2.5, lambda inputs: 2 * conv_flops(inputs)),
    Workload("lrn-55", f"LRN (128, 96, 55, 55), {BOTH}", lrn_inputs(128, 96, 55), LRN, 1e-5, calls=1, rough_s=2),
    Workload("lrn-27", f"LRN (128, 256, 27, 27), {BOTH}", lrn_inputs(128, 256, 27), LRN, 1e-5, calls=1, rough_s=2),
    Workload("pool-55", f"max pooling 3/2 (128, 96, 55, 55), {BOTH}", pool_inputs(128, 96, 55), POOL, 1e-6, calls=2, rough_s=1),
    Workload("pool-27", f"max pooling 3/2 (128, 256, 27, 27), {BOTH}", pool_inputs(128, 256, 27), POOL, 1e-6, calls=2, rough_s=1),
]

"""Single layers without weights: AlexNet's normalization and pooling, each at two shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.torch_side import compiled, from_torch, to_torch
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload

ALPHA, BETA, K, N = 1e-4, 0.75, 2.0, 5  # of the normalization, paper 3.3


def both_ways_tinyalex(make: Callable[[ta.Device], ta.Layer]) -> Callable[[Arrays, Setting], Job]:
    """Forward and backward of a layer without parameters."""

    def side(inputs: Arrays, setting: Setting) -> Job:
        layer = make(ta.CpuDevice("cpu", workers=setting.threads))

        def both() -> tuple[Any, Any]:
            return layer.forward(inputs["x"], train=True), layer.backward(inputs["dout"])

        return Job(both, answer=lambda: dict(zip(("out", "dx"), both(), strict=True)))

    return side


def both_ways_torch(function: Callable[[Any], Any]) -> Callable[[Arrays, Setting], Job]:
    """The same with a function of PyTorch and its automatic gradient."""

    def side(inputs: Arrays, setting: Setting) -> Job:
        from torch.autograd import grad

        work = compiled(function, setting)
        x, dout = to_torch(inputs["x"], setting.layout).requires_grad_(), to_torch(inputs["dout"], setting.layout)

        def both() -> tuple[Any, Any]:
            out = work(x)
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
    """Images in which all values of a channel differ, because libraries treat ties in max pooling differently."""

    def inputs(quick: bool) -> Arrays:
        rng, shape = np.random.default_rng(SEED), (2, 8, 9, 9) if quick else (n, c, size, size)
        values = np.arange(shape[2] * shape[3], dtype=np.float32) / np.float32(shape[2] * shape[3])
        x = np.tile(values, (shape[0] * shape[1], 1))  # (N * C, H * W)
        rng.permuted(x, axis=1, out=x)
        out = (shape[2] - 3) // 2 + 1
        return {"x": x.reshape(shape), "dout": rng.standard_normal((*shape[:2], out, out), np.float32)}

    return inputs


def traffic(inputs: Arrays) -> float:
    """Input and output of the forward pass, and their gradients."""
    return 2.0 * sum(array.nbytes for array in inputs.values())


LRN = {
    "tinyalex": both_ways_tinyalex(lambda device: ta.LocalResponseNorm(N, K, ALPHA, BETA, device=device)),
    "torch": both_ways_torch(lrn_torch),
}
POOL = {
    "tinyalex": both_ways_tinyalex(lambda device: ta.MaxPool2d(3, stride=2, device=device)),
    "torch": both_ways_torch(pool_torch),
}
LRN_TITLE, POOL_TITLE, BOTH = "response normalization", "max pooling 3/2", "forward + backward"

WORKLOADS = [
    Workload("lrn-55", f"{LRN_TITLE} (128, 96, 55, 55), {BOTH}", lrn_inputs(128, 96, 55), LRN, 1e-5, 1, rough_s=2, traffic=traffic),
    Workload("lrn-27", f"{LRN_TITLE} (128, 256, 27, 27), {BOTH}", lrn_inputs(128, 256, 27), LRN, 1e-5, 1, rough_s=1.5, traffic=traffic),
    Workload("pool-55", f"{POOL_TITLE} (128, 96, 55, 55), {BOTH}", pool_inputs(128, 96, 55), POOL, 1e-6, 2, rough_s=1, traffic=traffic),
    Workload("pool-27", f"{POOL_TITLE} (128, 256, 27, 27), {BOTH}", pool_inputs(128, 256, 27), POOL, 1e-6, 2, rough_s=1, traffic=traffic),
]

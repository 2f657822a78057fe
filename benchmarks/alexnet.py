"""The paper's AlexNet as a whole: training steps and inference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.alexnet_onnx import alexnet_onnx
from benchmarks.alexnet_torch import alexnet_torch
from benchmarks.onnx_side import session
from benchmarks.steps import Rates, fill, infer_torch, tinyalex_step, torch_step
from benchmarks.workload import SEED, Arrays, Job, Setting, Side, Workload
from tinyalex.models import alexnet

RATES = Rates(lr=1e-4, momentum=0.9, weight_decay=5e-4)  # far below the paper's 0.01, because these images are random
SIZE = 227  # the paper's 224 gives equal shapes only with ceil; PyTorch has no ceil in a convolution and would have to pad images
SMALL_SIZE = 67
STEP_TOLERANCE = 2e-2  # rounding decides whether a ReLU passes a value near 0, and which of two nearly equal values is the maximum


def build(weights: Arrays, **settings: Any) -> ta.Sequential:
    """The net whose weights have the shapes of these arrays: the paper's or a small one. The values are not copied."""
    width = weights["conv1.weight"].shape[0] / 96
    size = SIZE if width == 1 else SMALL_SIZE
    return alexnet(input_size=size, num_classes=len(weights["fc8.bias"]), width=width, seed=SEED, **settings)


def initial(quick: bool) -> Arrays:
    """Initial weights that keep the size of the signal from layer to layer, and biases of 0.

    With the paper's initial weights, all images give nearly equal activities. Rounding would then decide which of them is the
    maximum in pooling, and the gradients of two libraries would differ by some percent although both are right.
    """
    small: dict[str, Any] = {"width": 1 / 16, "num_classes": 10, "input_size": SMALL_SIZE}
    rng, weights = np.random.default_rng(SEED), {}
    for name, value in alexnet(**small if quick else {}).params.items():
        gain = {"fc6.weight": math.sqrt(2) / 16, "fc8.weight": 0.5}.get(name, math.sqrt(2))  # from pixels to about 1; small logits
        std = 0.0 if name.endswith(".bias") else gain / math.sqrt(math.prod(value.shape[1:]))
        weights[name] = np.float32(std) * rng.standard_normal(value.shape, np.float32)
    return weights


def pixels(quick: bool, *shape: int) -> np.ndarray[Any, Any]:
    """Random images on a common bright ground. They vary so much that response normalization has an effect."""
    size = SMALL_SIZE if quick else SIZE
    return np.float32(30) * (1 + np.random.default_rng(SEED).standard_normal((*shape, 3, size, size), np.float32))


def step_inputs(batch: int) -> Callable[[bool], Arrays]:
    """Two batches that are used in turn, their labels, and the initial weights.

    All images of a batch have one label and a common ground, so that their gradients add up. With noise and random labels the
    gradients would cancel, and the effect of rounding would be some percent of the small sum.
    """

    def inputs(quick: bool) -> Arrays:
        n = 4 if quick else batch
        return {"x": pixels(quick, 2, n), "labels": np.repeat(np.arange(2), n).reshape(2, n), **initial(quick)}

    return inputs


def infer_inputs(batch: int) -> Callable[[bool], Arrays]:
    return lambda quick: {"x": pixels(quick, min(batch, 2) if quick else batch), **initial(quick)}


def products(inputs: Arrays) -> dict[str, float]:
    """The multiplications of direct convolution for one image, by layer."""
    size, counts = inputs["x"].shape[-1], {}
    for layer, stride, padding, pooled in (("conv1", 4, 0, True), ("conv2", 1, 2, True), ("conv3", 1, 1, False)):
        kernel = inputs[f"{layer}.weight"].shape[-1]
        size = (size + 2 * padding - kernel) // stride + 1
        counts[layer] = float(size**2 * inputs[f"{layer}.weight"].size)
        size = (size - 3) // 2 + 1 if pooled else size
    counts |= {layer: float(size**2 * inputs[f"{layer}.weight"].size) for layer in ("conv4", "conv5")}
    return counts | {layer: float(inputs[f"{layer}.weight"].size) for layer in ("fc6", "fc7", "fc8")}


def infer_flops(inputs: Arrays) -> float:
    return 2.0 * len(inputs["x"]) * sum(products(inputs).values())


def step_flops(inputs: Arrays) -> float:
    """Operations of forward, of the weights' gradients, and of the inputs' gradients except conv1's, which no layer needs."""
    counts = products(inputs)
    return 2.0 * inputs["x"].shape[1] * (3 * sum(counts.values()) - counts["conv1"])


def step_images(inputs: Arrays) -> int:
    return inputs["x"].shape[1]


def step_tinyalex(lrn: bool) -> Side:
    def side(inputs: Arrays, setting: Setting) -> Job:
        device = ta.CpuDevice("cpu", workers=setting.threads)
        net = build(inputs, lrn=lrn, devices=device)
        fill(net.params, inputs)
        return tinyalex_step(net, inputs, RATES, device)

    return side


def step_torch(lrn: bool) -> Side:
    return lambda inputs, setting: torch_step(alexnet_torch(inputs, lrn), inputs, RATES, setting)


def infer_tinyalex(inputs: Arrays, setting: Setting) -> Job:
    x = inputs["x"]
    net = build(inputs, devices=ta.CpuDevice("cpu", workers=setting.threads))
    fill(net.params, inputs)
    net.freeze()  # the rivals too transform their weights only once

    def work() -> Any:
        return net.forward(x)

    return Job(work, answer=lambda: {"logits": work()})


def folded(inputs: Arrays) -> Arrays:
    """The weights of a rival: fc7 and fc8 contain the factor 0.5 of dropout at test time, so that no multiplication is needed."""
    half = np.float32(0.5)
    return inputs | {name: half * inputs[name] for name in ("fc7.weight", "fc8.weight")}


def infer_by_torch(inputs: Arrays, setting: Setting) -> Job:
    return infer_torch(alexnet_torch(inputs, dropout=False), folded(inputs), setting)


def infer_onnxruntime(inputs: Arrays, setting: Setting) -> Job:
    x = inputs["x"]
    runtime = session(alexnet_onnx(folded(inputs), x.shape), setting.threads)

    def work() -> Any:
        return runtime.run(["logits"], {"x": x})[0]

    return Job(work, answer=lambda: {"logits": work()})


def _step(name: str, batch: int, lrn: bool, rough_s: float) -> Workload:
    without = "" if lrn else " without response normalization"
    return Workload(
        name, f"training step of AlexNet{without} at batch {batch}", step_inputs(batch),
        {"tinyalex": step_tinyalex(lrn), "torch": step_torch(lrn)},
        STEP_TOLERANCE, 1, rough_s, step_flops, images=step_images,
    )  # fmt: skip


def _infer(batch: int, calls: int, rough_s: float) -> Workload:
    return Workload(
        f"alexnet-infer-{batch}", f"inference by AlexNet at batch {batch}", infer_inputs(batch),
        {"tinyalex": infer_tinyalex, "torch": infer_by_torch, "onnxruntime": infer_onnxruntime},
        1e-3, calls, rough_s, infer_flops, images=lambda inputs: len(inputs["x"]),
    )  # fmt: skip


WORKLOADS = [
    _step("alexnet-step-128", 128, True, 14),
    _step("alexnet-step-32", 32, True, 4),
    _step("alexnet-nolrn-128", 128, False, 9),
    _infer(1, 10, 1),
    _infer(16, 2, 1),
    _infer(128, 1, 4),
]

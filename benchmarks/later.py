"""The networks after AlexNet: inference by VGG-16 and ResNet-50, and training steps of ResNet-18."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.later_onnx import later_onnx
from benchmarks.later_torch import later_torch
from benchmarks.onnx_side import session
from benchmarks.steps import Rates, fill, infer_torch, tinyalex_step, torch_step
from benchmarks.workload import SEED, Arrays, Job, Setting, Workload
from tinyalex.analysis import count, totals
from tinyalex.devices.dry import DryDevice
from tinyalex.models.later import LATER, build_later
from tinyalex.models.later.rows import narrow
from tinyalex.models.rows import Rows

SIZE, CLASSES, SMALL = 224, 1000, {"num_classes": 10, "width": 1 / 16, "input_size": 64}
RATES = Rates(lr=1e-3)
EPS = 1e-5  # of batch normalization


@dataclass(frozen=True)
class Net:
    """A network after AlexNet at a batch size. name: its name in `tinyalex net`. title: its name in print."""

    name: str
    title: str
    batch: int

    def build(self, quick: bool, device: ta.Device) -> ta.Sequential:
        """The net; with `quick`, a narrow one for small images."""
        return build_later(self.name, seed=SEED, devices=device, **(SMALL if quick else {}))

    def rows(self, inputs: Arrays) -> Rows:
        """The rows of the net whose weights are in `inputs`."""
        small = _quick(inputs)
        rows = LATER[self.name].rows(SMALL["num_classes"] if small else CLASSES)
        return narrow(rows, SMALL["width"]) if small else rows

    def infer_inputs(self, quick: bool) -> Arrays:
        """Images, the initial weights, and running statistics as training leaves them: no mean is 0, and no variance is 1."""
        net, rng = self.build(quick, ta.CpuDevice("cpu")), np.random.default_rng(SEED)
        arrays = {name: value.copy() for name, value in net.params.items()}
        for name, value in net.buffers.items():
            spread = rng.standard_normal(value.shape, np.float32)
            arrays[name] = 1 + spread**2 if name.endswith("running_var") else spread / 4
        return {"x": rng.standard_normal((min(self.batch, 2) if quick else self.batch, *_image(quick)), np.float32), **arrays}

    def step_inputs(self, quick: bool) -> Arrays:
        """Two batches that are used in turn, their labels, and the initial weights."""
        net, rng, n = self.build(quick, ta.CpuDevice("cpu")), np.random.default_rng(SEED), 8 if quick else self.batch
        x = rng.standard_normal((2, n, *_image(quick)), np.float32)
        labels = rng.integers(0, SMALL["num_classes"] if quick else CLASSES, (2, n))
        return {"x": x, "labels": labels, **{name: value.copy() for name, value in net.params.items()}}

    def macs(self, inputs: Arrays) -> tuple[int, int]:
        """The multiplications of one image in the whole net, and those of its first convolution."""
        rows = count(self.build(_quick(inputs), DryDevice()))
        return totals(rows).macs, rows[0].macs

    def infer_flops(self, inputs: Arrays) -> float:
        return 2.0 * len(inputs["x"]) * self.macs(inputs)[0]

    def step_flops(self, inputs: Arrays) -> float:
        """Operations of forward, of the weights' gradients, and of the inputs' gradients except the images', which nobody needs."""
        every, first = self.macs(inputs)
        return 2.0 * inputs["x"].shape[1] * (3 * every - first)

    def infer_tinyalex(self, inputs: Arrays, setting: Setting) -> Job:
        net, x = self.build(_quick(inputs), ta.CpuDevice("cpu", workers=setting.threads)), inputs["x"]
        fill(net.params, inputs)
        fill(net.buffers, inputs)
        net.freeze()  # the rivals too fold batch normalization, and transform their weights only once

        def work() -> Any:
            return net.forward(x)

        return Job(work, answer=lambda: {"logits": work()})

    def infer_torch(self, inputs: Arrays, setting: Setting) -> Job:
        rows, weights = folded(self.rows(inputs), inputs)
        return infer_torch(later_torch(rows, weights), weights, setting)

    def infer_onnxruntime(self, inputs: Arrays, setting: Setting) -> Job:
        x, (rows, weights) = inputs["x"], folded(self.rows(inputs), inputs)
        runtime = session(later_onnx(rows, weights, x.shape), setting.threads)

        def work() -> Any:
            return runtime.run(["logits"], {"x": x})[0]

        return Job(work, answer=lambda: {"logits": work()})

    def step_tinyalex(self, inputs: Arrays, setting: Setting) -> Job:
        device = ta.CpuDevice("cpu", workers=setting.threads)
        net = self.build(_quick(inputs), device)
        fill(net.params, inputs)
        return tinyalex_step(net, inputs, RATES, device)

    def step_torch(self, inputs: Arrays, setting: Setting) -> Job:
        return torch_step(later_torch(self.rows(inputs), inputs), inputs, RATES, setting)


def _quick(inputs: Arrays) -> bool:
    return inputs["x"].shape[-1] == SMALL["input_size"]


def _image(quick: bool) -> tuple[int, int, int]:
    size = SMALL["input_size"] if quick else SIZE
    return 3, int(size), int(size)


def folded(rows: Rows, inputs: Arrays) -> tuple[Rows, Arrays]:
    """Rows and weights of a rival's net for inference, in which each batch normalization is part of the convolution before it."""
    weights, kept = dict(inputs), []
    for row in rows:
        if row.kind == "branches":
            paths = []
            for path in row["paths"]:
                path, weights = folded(path, weights)
                paths.append(path)
            row = row.having(paths=tuple(paths))
        if row.kind != "bn":
            kept.append(row)
            continue
        conv, factor = kept[-1].name, weights[f"{row.name}.weight"] / np.sqrt(weights[f"{row.name}.running_var"] + np.float32(EPS))
        weights[f"{conv}.weight"] = factor[:, None, None, None] * weights[f"{conv}.weight"]
        weights[f"{conv}.bias"] = weights[f"{row.name}.bias"] - factor * weights[f"{row.name}.running_mean"]
    return tuple(kept), weights


def _infer(net: Net, calls: int, rough_s: float) -> Workload:
    return Workload(
        f"{net.name}-infer-{net.batch}", f"inference by {net.title} at batch {net.batch}", net.infer_inputs,
        {"tinyalex": net.infer_tinyalex, "torch": net.infer_torch, "onnxruntime": net.infer_onnxruntime},
        1e-3, calls, rough_s, net.infer_flops, images=lambda inputs: len(inputs["x"]),
    )  # fmt: skip


def _step(net: Net, rough_s: float) -> Workload:
    return Workload(
        f"{net.name}-step-{net.batch}", f"training step of {net.title} at batch {net.batch}", net.step_inputs,
        {"tinyalex": net.step_tinyalex, "torch": net.step_torch},
        STEP_TOLERANCE, 1, rough_s, net.step_flops, images=lambda inputs: inputs["x"].shape[1],
    )  # fmt: skip


STEP_TOLERANCE = 2e-2  # as for AlexNet: rounding decides whether a ReLU passes a value near 0
WORKLOADS = [
    _infer(Net("vgg16", "VGG-16", 1), 3, 1),
    _infer(Net("vgg16", "VGG-16", 16), 1, 5),
    _infer(Net("resnet50", "ResNet-50", 1), 5, 1),
    _infer(Net("resnet50", "ResNet-50", 16), 1, 2),
    _step(Net("resnet18", "ResNet-18", 32), 5),
]

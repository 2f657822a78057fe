"""A training step and inference of AlexNet beside PyTorch on the same card: eager, cuDNN, LRN by PyTorch's own layer.

Both keep their batch on the card and read no loss. PyTorch is timed with float32 throughout, as tinyalex is, and with its default, which
lets convolutions round to TF32. They take turns, because the clock of a card changes while it warms up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.alexnet import build, folded, initial, pixels
from benchmarks.alexnet_torch import alexnet_torch
from benchmarks.gpu.measure import difference, in_ms, median, seconds_of
from benchmarks.gpu.plan import Context, Finding
from tinyalex.devices import get_device
from tinyalex.fast.cuda.loader import VARIABLE

AGREE = 1e-3  # largest difference of two answers of inference, relative to the largest logit
PLACE = "cuda"  # where PyTorch computes


def run(context: Context) -> Iterator[Finding]:
    """The step, then inference of many images and of one; without PyTorch, tinyalex alone."""
    torch, why = torch_on_card(context)
    if torch is None:
        yield Finding("PyTorch", f"left out: {why}")
    budget, n = context.left() / 14, 4 if context.quick else 128
    for batch, train in ((n, True), (n, False), (1, False)):
        yield beside(context, torch, batch, train, budget)


def torch_on_card(context: Context) -> tuple[Any, str]:
    """PyTorch, or None and the reason."""
    try:
        import torch
    except ImportError as error:
        return None, f"{error}; pip install torch"
    if context.stub:
        return None, "a stub in the place of a card"
    if not torch.cuda.is_available():
        return None, f"PyTorch {torch.__version__} finds no CUDA card"
    return torch, ""


def beside(context: Context, torch: Any, batch: int, train: bool, budget: float) -> Finding:
    """One workload."""
    weights, x = initial(context.quick), pixels(context.quick, batch)
    labels, device = np.arange(batch) % 10, get_device(context.devices[0])
    work, logits = ours(weights, x, labels, device, train)
    times = {"tinyalex": seconds_of(work, device.synchronize, budget)}
    if train:
        with without_kernels():
            times["its array functions"] = seconds_of(work, device.synchronize, budget / 2)
    name = f"{'training step' if train else 'inference'} at batch {batch}"
    mine = median(times["tinyalex"])
    said = f"{in_words(times)}; {batch / mine:,.0f} images a second"
    if torch is not None:
        for kind, tf32 in (("PyTorch float32", False), ("PyTorch by default", True)):
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cuda.matmul.allow_tf32 = False
            their, answer = theirs(torch, weights, x, labels, train)
            if not train and not tf32 and (error := difference(logits(), answer())) > AGREE:
                return Finding(name, f"the answers differ by {error:.1e}", False)
            times[kind] = seconds_of(their, torch.cuda.synchronize, budget)
            times["tinyalex"] += seconds_of(work, device.synchronize, budget / 2)
        mine = median(times["tinyalex"])
        ratio = median(times["PyTorch float32"]) / mine
        said = f"{in_words(times)}; {batch / mine:,.0f} images a second; tinyalex is {ratio:.2f} times as fast as PyTorch in float32"
    return Finding(name, said, None, {"times": times, "batch": batch})


def in_words(times: dict[str, list[float]]) -> str:
    """The median of each contestant."""
    return "; ".join(f"{who} {in_ms(median(each))}" for who, each in times.items())


@contextmanager
def without_kernels() -> Iterator[None]:
    """The array functions compute within the block, on every device."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def ours(weights: Any, x: Any, labels: Any, device: ta.Device, train: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The work of tinyalex, and its logits on the host."""
    net = build(weights, devices=device)
    with device.activate():
        for name, value in net.params.items():
            value[...] = device.asarray(weights[name])
    on_card = device.asarray(x)
    if not train:
        net.freeze()
        return lambda: net.forward(on_card), lambda: device.to_numpy(net.forward(on_card))
    loss, sgd = ta.SoftmaxCrossEntropy(device=device), ta.SGD(net, 1e-4, 0.9, 5e-4)

    def step() -> None:
        loss.forward(net.forward(on_card, train=True), labels, train=True)
        net.backward(loss.backward())
        sgd.step()

    return step, lambda: None


def theirs(torch: Any, weights: Any, x: Any, labels: Any, train: bool) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The same work of PyTorch."""
    net = alexnet_torch(weights, dropout=train)
    with torch.no_grad():
        for name, value in net.named_parameters():
            value.copy_(torch.from_numpy((weights if train else folded(weights))[name]))
    net.to(PLACE)
    on_card, targets = torch.from_numpy(x).to(PLACE), torch.from_numpy(labels).to(PLACE)
    if not train:
        net.eval()

        def infer() -> Any:
            with torch.inference_mode():
                return net(on_card)

        return infer, lambda: infer().cpu().numpy()
    sgd = torch.optim.SGD(net.parameters(), 1e-4, 0.9, weight_decay=5e-4, fused=True)

    def step() -> None:
        sgd.zero_grad()
        torch.nn.functional.cross_entropy(net(on_card), targets).backward()
        sgd.step()

    return step, lambda: None

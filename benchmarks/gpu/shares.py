"""Each layer's share of the card's own speed, at batch 128.

The card's own speed is that of its product of two large matrices and that of a copy within its memory, both measured here. With the counted
operations and bytes of a layer they give the shortest time that the layer could take; its share is that time divided by the measured one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.gpu.measure import copy_rate, in_ms, median, seconds_of, sgemm_rate
from benchmarks.gpu.nets import net_on
from benchmarks.gpu.plan import Context, Finding
from benchmarks.workload import SEED
from tinyalex.analysis.predict import Kernel, backward_kernels, forward_kernels, predict
from tinyalex.analysis.predict_cards import CARDS
from tinyalex.analysis.walk import Visit, visit
from tinyalex.devices import Device, get_device
from tinyalex.fast.cuda.loader import kernels_of
from tinyalex.fast.table import KERNELS, operation_of

BATCH, SGEMM, COPY = 128, 8192, 1 << 29
SMALL = {"batch": 2, "sgemm": 64, "copy": 1 << 16}


def run(context: Context) -> Iterator[Finding]:
    """The two rates, then layer by layer."""
    batch, size, nbytes = SMALL.values() if context.quick else (BATCH, SGEMM, COPY)
    device, net = get_device(context.devices[0]), net_on(context.devices[0], context.quick)
    budget = context.left() / 80
    rates = sgemm_rate(device, size, budget), copy_rate(device, nbytes, budget)
    said = f"{rates[0] / 1e12:.3g} TFLOP/s in a product of {size}x{size}, {rates[1] / 1e9:.4g} GB/s in a copy of {nbytes / 1e6:.0f} MB"
    yield Finding("the card's own speed", said, None, {"sgemm": rates[0], "copy": rates[1]})
    assert net.in_shape is not None
    total = {"forward": 0.0, "backward": 0.0}
    for at in visit(net, net.in_shape):
        if not at.layer.facts(at.in_shape).view:
            found = layer_share(at, batch, rates, budget)
            total = {key: seconds + found.numbers["seconds"][key] for key, seconds in total.items()}
            yield found
    yield whole(net, batch, total, context)
    for at in visit(net, net.in_shape):
        if hasattr(at.layer, "asked"):
            yield from rows(at, batch, budget)


def layer_share(at: Visit, batch: int, rates: tuple[float, float], budget: float) -> Finding:
    """Time both passes of one layer."""
    layer, device, rng = at.layer, at.layer.device, np.random.default_rng(SEED)
    x = device.asarray(rng.standard_normal((batch, *at.in_shape), np.float32))
    dout = device.asarray(rng.standard_normal((batch, *at.out_shape), np.float32))
    forward = median(seconds_of(lambda: layer.forward(x, train=True), device.synchronize, budget))
    layer.reset()
    backward = median(seconds_of(lambda: layer.backward(dout), device.synchronize, budget, lambda: layer.forward(x, train=True)))
    least = {"forward": shortest(forward_kernels(at, batch), rates), "backward": shortest(backward_kernels(at, batch), rates)}
    times = {"forward": forward, "backward": backward}
    said = ", ".join(f"{key} {in_ms(times[key])} ({least[key] / times[key]:.0%})" for key in times)
    return Finding(layer.name, said, None, {"seconds": times, "least": least, "batch": batch})


def whole(net: ta.Sequential, batch: int, total: dict[str, float], context: Context) -> Finding:
    """All layers together, beside what `tinyalex net --predict` says for this card if its table has it."""
    said = ", ".join(f"{key} {in_ms(seconds)}" for key, seconds in total.items())
    name = "" if context.stub else card_name(net.device)
    known = next((card for card in CARDS.values() if card.title.lower().split(" sxm")[0] in name.lower()), None)
    if known is None:
        return Finding("all layers", said, None, {"seconds": total})
    expected = predict(net, known, batch)
    numbers = {"seconds": total, "predicted": {"forward": expected.forward, "backward": expected.backward}}
    said += f"; predicted for a {known.title}: forward {in_ms(expected.forward)}, backward {in_ms(expected.backward)}"
    return Finding("all layers", said, None, numbers)


def card_name(device: Device) -> str:
    """The name of the card of a device; "" for a device that has none."""
    if device.kind != "cuda":
        return ""
    name = device.xp.cuda.runtime.getDeviceProperties(device.settings()["number"])["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def rows(at: Visit, batch: int, budget: float) -> Iterator[Finding]:
    """Where several rows of kernels can compute a layer: the time of each, from which the bounds of the table are to be set."""
    layer: Any = at.layer
    asked, device, kernels = layer.asked(at.in_shape), layer.device, kernels_of(layer.device)
    fitting = [row for row in KERNELS[operation_of(asked)] if row.fits(asked)]
    if kernels is None or len(fitting) < 2:
        return
    x = device.asarray(np.random.default_rng(SEED).standard_normal((batch, *at.in_shape), np.float32))
    chosen, times = layer.row(asked, batch).name, {}
    for row in fitting:
        if all(kernels.ready(file, layer.dtype) for file in row.file.split()):
            times[row.name] = median(seconds_of(partial(row.forward, asked, x, device), device.synchronize, budget))
    said = ", ".join(f"{name} {in_ms(seconds)}" for name, seconds in times.items())
    yield Finding(f"rows of {layer.name}, forward", f"{said}; the table takes {chosen}", None, {"seconds": times, "chosen": chosen})


def shortest(kernels: Iterable[Kernel], rates: tuple[float, float]) -> float:
    """The time of these kernels at the measured rates."""
    return sum(max(kernel.operations / rates[0], kernel.nbytes / rates[1]) for kernel in kernels)

"""Each layer of AlexNet on the card against the same layer on the CPU in float64: output, input gradient, parameter gradients.

What computes a layer on the card is chosen as in training: a kernel where there is one, otherwise the array functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.measure import difference
from benchmarks.gpu.nets import net_on
from benchmarks.gpu.plan import Context, Finding
from benchmarks.workload import SEED
from tinyalex.analysis.walk import visit
from tinyalex.devices import Device, get_device
from tinyalex.fast.cuda.loader import VARIABLE, kernels_of, setting
from tinyalex.layers import Layer

TOLERANCE = 1e-4  # of float32, after sums of some thousand products


def run(context: Context) -> Iterator[Finding]:
    """Layer by layer, and then whether every kernel that was asked for compiled."""
    device = get_device(context.devices[0])
    ours, theirs = net_on(device, context.quick), net_on("cpu", context.quick, dtype=np.float64)
    assert ours.in_shape is not None
    for at, other in zip(visit(ours, ours.in_shape), visit(theirs, ours.in_shape), strict=True):
        found, expected = (both_ways(each.layer, each.in_shape, 2 if context.quick else 4) for each in (at, other))
        errors = {key: difference(found[key], value) for key, value in expected.items()}
        worst = max(errors.values())
        said = ", ".join(f"{key} {error:.0e}" for key, error in errors.items())
        yield Finding(at.layer.name, said, worst <= TOLERANCE, {"errors": errors, "tolerance": TOLERANCE})
    yield kernels(device)


def kernels(device: Device) -> Finding:
    """Which files of kernels computed the layers, and which did not compile."""
    found = kernels_of(device)
    if found is None:
        why = f"{VARIABLE}={setting()}" if device.raw_module is not None else "NVRTC is missing"
        return Finding("kernels", f"none run on {device.name} ({why}); the array functions computed everything")
    failed = {" ".join(map(str, key)): reason for key, reason in found.failed.items()}
    said = "; ".join(f"{what} does not compile: {reason}" for what, reason in failed.items()) or "every one that was asked for compiled"
    return Finding("kernels", said, not failed, {"failed": failed})


def both_ways(layer: Layer, in_shape: tuple[int, ...], n: int) -> dict[str, Any]:
    """Output and gradients for random images, as NumPy arrays by name."""
    rng, device = np.random.default_rng(SEED), layer.device
    x = rng.standard_normal((n, *in_shape), np.float32).astype(layer.dtype)
    dout = rng.standard_normal((n, *layer.output_shape(in_shape)), np.float32).astype(layer.dtype)
    if "bias" in layer.params:  # the biases of the net are 0, which would hide a wrong one
        with device.activate():
            layer.params["bias"][...] = device.asarray(rng.standard_normal(layer.params["bias"].shape).astype(layer.dtype))
    layer.zero_grad()
    found = {"out": device.to_numpy(layer.forward(device.asarray(x), train=True)).copy()}
    dx = layer.backward(device.asarray(dout))
    if dx is not None:
        found["dx"] = device.to_numpy(dx)
    return found | {f"d{key}": device.to_numpy(grad) for key, grad in layer.grads.items()}

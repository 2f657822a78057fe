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
from tinyalex.devices import get_device
from tinyalex.layers import Layer

TOLERANCE = 1e-4  # of float32, after sums of some thousand products


def run(context: Context) -> Iterator[Finding]:
    """What kernels there are, then layer by layer."""
    yield kernels(context.devices[0])
    ours, theirs = net_on(context.devices[0], context.quick), net_on("cpu", context.quick, dtype=np.float64)
    assert ours.in_shape is not None
    for at, other in zip(visit(ours, ours.in_shape), visit(theirs, ours.in_shape), strict=True):
        found, expected = (both_ways(each.layer, each.in_shape, 2 if context.quick else 4) for each in (at, other))
        errors = {key: difference(found[key], value) for key, value in expected.items()}
        worst = max(errors.values())
        said = ", ".join(f"{key} {error:.0e}" for key, error in errors.items())
        yield Finding(at.layer.name, said, worst <= TOLERANCE, {"errors": errors, "tolerance": TOLERANCE})


def both_ways(layer: Layer, in_shape: tuple[int, ...], n: int) -> dict[str, Any]:
    """Output and gradients for random images, as NumPy arrays by name."""
    rng, device = np.random.default_rng(SEED), layer.device
    x = rng.standard_normal((n, *in_shape), np.float32).astype(layer.dtype)
    dout = rng.standard_normal((n, *layer.output_shape(in_shape)), np.float32).astype(layer.dtype)
    layer.zero_grad()
    found = {"out": device.to_numpy(layer.forward(device.asarray(x), train=True)).copy()}
    dx = layer.backward(device.asarray(dout))
    if dx is not None:
        found["dx"] = device.to_numpy(dx)
    return found | {f"d{key}": device.to_numpy(grad) for key, grad in layer.grads.items()}


def kernels(name: str) -> Finding:
    """Whether the package's own kernels compute on this device."""
    try:
        from tinyalex.fast.cuda.loader import kernels_of
    except ImportError:
        return Finding("kernels", "this version has none; the array functions compute everything")
    found = kernels_of(get_device(name))
    if found is None:
        return Finding("kernels", "none are used on this device (TINYALEX_KERNELS or NVRTC); the array functions compute everything")
    return Finding("kernels", f"used: {type(found).__name__}")

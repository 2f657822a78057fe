"""One training step on the card and on the CPU from the same weights: outputs, loss, gradients and the updated parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tinyalex as ta
from benchmarks.gpu.measure import difference
from benchmarks.gpu.nets import images, net_on
from benchmarks.gpu.plan import Context, Finding
from benchmarks.workload import SEED
from tinyalex.models import join_state
from tinyalex.models.cifar_alexnet import cifar_alexnet

TOLERANCES = {"float64": 1e-9, "float32": 2e-2}  # float32: rounding decides whether a ReLU passes a value near 0
BATCHES = {"float64": 2, "float32": 8}


def run(context: Context) -> Iterator[Finding]:
    """The whole net in both dtypes, then two towers on every place that they may have."""
    for dtype in TOLERANCES:
        n = 2 if context.quick else BATCHES[dtype]
        found, expected = (step(net_on(name, context.quick, dtype=dtype), n) for name in (context.devices[0], "cpu"))
        yield compared(f"AlexNet, {dtype}, batch {n}", found, expected, TOLERANCES[dtype])
    for pair in context.pairs():
        for dtype in TOLERANCES:
            found, expected = (
                step(cifar_alexnet(towers=2, devices=list(on), seed=SEED, dtype=dtype), 4) for on in (pair, ("cpu:0", "cpu:1"))
            )
            yield compared(f"two towers on {' and '.join(pair)}, {dtype}", found, expected, TOLERANCES[dtype])


def step(net: ta.Sequential, n: int) -> dict[str, Any]:
    """Everything that one training step computes, as NumPy arrays by name."""
    x, labels = images(net, n)
    x = x.astype(net.dtype)
    split = any(isinstance(leaf, ta.Split) for leaf in net.leaves())  # it takes the batch from the host to both devices, as in 2012
    loss, sgd = ta.SoftmaxCrossEntropy(device=net.gives[0], dtype=net.dtype), ta.SGD(net, 1e-4, 0.9, 5e-4)
    logits = net.forward(x if split else net.device.asarray(x), train=True)
    with net.gives[0].activate():  # the loss may still be on the card
        value = float(loss.forward(logits, labels, train=True))
    found = {"logits": net.gives[0].to_numpy(logits).copy(), "loss": np.float64(value)}
    net.backward(loss.backward())
    grads = {leaf.name: {key: leaf.device.to_numpy(array) for key, array in leaf.grads.items()} for leaf in net.leaves()}
    found |= {f"gradient of {name}.{key}": array.copy() for name, arrays in grads.items() for key, array in arrays.items()}
    sgd.step()
    params = {name: np.asarray(value) for name, value in join_state(host_params(net)).items()}
    return found | {f"{name} after the step": value for name, value in params.items()}


def host_params(net: ta.Sequential) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of all parameters on the host."""
    return {f"{leaf.name}.{key}": leaf.device.to_numpy(array).copy() for leaf in net.leaves() for key, array in leaf.params.items()}


def compared(name: str, found: dict[str, Any], expected: dict[str, Any], tolerance: float) -> Finding:
    """The worst of all differences."""
    errors = {key: difference(found[key], value) for key, value in expected.items()}
    worst = max(errors, key=lambda key: errors[key])
    said = f"largest difference {errors[worst]:.1e}, in {worst}; allowed {tolerance:.0e}"
    return Finding(name, said, errors[worst] <= tolerance, {"errors": errors, "tolerance": tolerance})

"""Where the first number that is not finite stands, once a loss has gone bad."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinyalex.devices import Array, Device
from tinyalex.layers.base import Layer
from tinyalex.layers.sequential import Sequential


def bad_parameter(net: Layer) -> str | None:
    """The first parameter that holds a NaN or an infinity, such as "weight of conv1"; None where all are finite."""
    for leaf in net.leaves():
        for key, array in leaf.params.items():
            if not _finite(leaf.device, array):
                return f"{key} of {leaf.name}"
    return None


def first_bad(net: Layer, x: Array) -> str:
    """The first parameter or output, in the order of the forward pass on the batch `x`, that holds a NaN or an infinity."""
    if not _finite(net.device, x):
        return "the batch itself"
    with np.errstate(all="ignore"):
        for layer in _in_sequence(net):
            if bad := bad_parameter(layer):
                return bad
            x = layer.forward(x, train=True)
            if layer.device.owns(x) and not _finite(layer.device, x):
                return f"the output of {layer.name}"
    return "the loss, whose logits are too far apart"


def _in_sequence(layer: Layer) -> Iterator[Layer]:
    if isinstance(layer, Sequential):
        for inner in layer.layers:
            yield from _in_sequence(inner)
    else:
        yield layer


def _finite(device: Device, array: Array) -> bool:
    return bool(np.all(np.isfinite(device.to_numpy(array))))

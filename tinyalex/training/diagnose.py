"""Why a run does not learn: which array first holds a NaN or an infinity, and whether the net is no better than a guess."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tinyalex.devices import Array, Device
from tinyalex.layers.base import Layer
from tinyalex.layers.branches import Branches
from tinyalex.layers.sequential import Sequential


def bad_parameter(net: Layer) -> str | None:
    """The first parameter or buffer that holds a NaN or an infinity, such as "weight of conv1"; None if all are finite."""
    for leaf in net.leaves():
        for key, array in (*leaf.params.items(), *leaf.buffers.items()):
            if not _finite(leaf.device, array):
                return f"{key} of {leaf.name}"
    return None


def too_large(net: Layer, dtype: str) -> str | None:
    """The first parameter or buffer with a magnitude that `dtype` cannot hold, with this magnitude; None if all fit."""
    most = float(np.finfo(dtype).max)
    for leaf in net.leaves():
        for key, array in (*leaf.params.items(), *leaf.buffers.items()):
            largest = float(np.abs(leaf.device.to_numpy(array)).max(initial=0))
            if not largest <= most:
                return f"{largest:.3g} in {key} of {leaf.name}"
    return None


def first_bad(net: Layer, x: Array | tuple[Array, Array]) -> str:
    """The first array with a NaN or an infinity, in words: in the order of the forward pass, each layer's parameters, then its output.

    x: the batch, or its copies on two devices, which is passed through the net once more.
    """
    if not _finite(net.device, x[0] if isinstance(x, tuple) else x):
        return "the batch itself"
    with np.errstate(all="ignore"):
        for layer in _in_sequence(net):
            if bad := bad_parameter(layer):
                return bad
            x = layer.forward(x, train=True)
            heads = x if isinstance(layer, Branches) and isinstance(x, tuple) else (x,)
            if any(layer.device.owns(part) and not _finite(layer.device, part) for part in heads):
                return f"the output of {layer.name}"
    return "the loss, whose logits are too far apart"


def entropy_of(labels: npt.NDArray[np.integer]) -> float:
    """The loss of the best guess that looks at no image: the entropy of the labels, ln(classes) if all are equally frequent."""
    counts = np.bincount(labels.astype(np.int64))
    share = counts[counts > 0] / len(labels)
    return float(-(share * np.log(share)).sum())


def at_chance(loss: float, error: float, labels: npt.NDArray[np.integer]) -> str | None:
    """A hint if the training loss and error are no better than those of a guess that looks at no image; else None.

    The best such guess gives each class the probability with which its label occurs. Its loss is the entropy of the labels,
    which is ln(classes) if all classes occur equally often. It is right for the images of the most frequent class only.
    """
    counts = np.bincount(labels.astype(np.int64))
    classes, entropy, chance = int((counts > 0).sum()), entropy_of(labels), 1 - float(counts.max() / len(labels))
    if classes < 2 or loss < 0.95 * entropy or error < 0.95 * chance:
        return None
    return (
        f"the net still guesses: its training loss is {loss:.4f} and its error {100 * error:.2f} %; "
        f"the best guess among {classes} classes has a loss of {entropy:.4f} and an error of {100 * chance:.2f} %"
    )


def lower_rate(lr: float) -> str:
    """The rate to try if the loss diverged at `lr`: a tenth of `lr`, and at most 0.1."""
    return f"{min(lr / 10, 0.1):.2g}"


def _in_sequence(layer: Layer) -> Iterator[Layer]:
    if isinstance(layer, Sequential):
        for inner in layer.layers:
            yield from _in_sequence(inner)
    else:
        yield layer


def _finite(device: Device, array: Array) -> bool:
    return bool(np.all(np.isfinite(device.to_numpy(array))))

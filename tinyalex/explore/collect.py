"""What the page needs to know: each layer in words and sizes, and the arrays it shows, cut down to the channels that were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.analysis.receptive import receptive_fields
from tinyalex.explore.passes import Pass
from tinyalex.explore.selection import Indices
from tinyalex.geometry import Windows
from tinyalex.layers import (
    AvgPool2d,
    BatchNorm2d,
    Branches,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Layer,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Sequential,
    SpatialResponseNorm,
)
from tinyalex.layers.activation import Activation
from tinyalex.layers.conv import conv2d
from tinyalex.layers.pool import Pool2d

Arrays = dict[str, npt.NDArray[Any]]


def kind_of(layer: Layer) -> str:
    """The kind of a layer, by which the page decides what it explains."""
    kinds: tuple[tuple[type[Layer], str], ...] = (
        (Conv2d, "conv"), (Linear, "linear"), (MaxPool2d, "max"), (AvgPool2d, "mean"), (Activation, "function"),
        (LocalResponseNorm, "norm"), (SpatialResponseNorm, "spatial"), (BatchNorm2d, "batch"), (GlobalAvgPool2d, "map"),
        (Dropout, "dropout"), (Flatten, "flatten"),
    )  # fmt: skip
    if isinstance(layer, AvgPool2d) and layer.count_padding:
        return "other"  # the page would divide by the cells on the image alone
    return next((kind for known, kind in kinds if isinstance(layer, known)), "other")


def described(net: Sequential, chosen: Sequence[Indices]) -> list[dict[str, Any]]:
    """Each layer as JSON values: its name, kind, shapes, windows, towers, and which channels of its output the page holds."""
    assert net.in_shape is not None
    fields = receptive_fields(net)
    weighted = [layer for layer in net.layers if isinstance(layer, (Conv2d, Linear))]
    two = any(layer.groups == 2 for layer in weighted)
    found: list[dict[str, Any]] = []
    in_shape, ended = net.in_shape, False
    for at, (layer, shape) in enumerate(zip(net.layers, net.shapes, strict=True)):
        ended = ended or (bool(weighted) and layer is weighted[-1])
        field = fields[layer.merge.name if isinstance(layer, Branches) else layer.name]
        one: dict[str, Any] = {
            "name": layer.name,
            "kind": kind_of(layer),
            "settings": layer.settings(),
            "shape": list(shape),
            "stored": None if len(chosen[at + 1]) == shape[0] else chosen[at + 1].tolist(),
            "towers": 2 if two and not ended and shape[0] % 2 == 0 else 1,
            "field": [*field.start, *field.size, *field.jump, *field.grid],
        }
        if isinstance(layer, (Conv2d, Linear)):
            one["groups"] = layer.groups
            one["reads"] = "both" if layer.groups == 1 and two and layer is not weighted[0] else "own"
        if isinstance(layer, (Conv2d, Pool2d)):
            w = layer.windows(in_shape)
            one["windows"] = {"kernel": w.kernel, "stride": w.stride, "before": w.before}
        if isinstance(layer, LocalResponseNorm):
            one |= {"k": layer.k, "alpha": layer.alpha_each, "beta": layer.beta, "before": layer.before, "after": layer.after}
            one["groups"] = layer.groups
        if isinstance(layer, SpatialResponseNorm):
            one |= {"k": layer.k, "alpha": layer.factor, "beta": layer.beta}
            one["windows"] = {"kernel": (layer.n, layer.n), "stride": (1, 1), "before": (layer.n // 2, layer.n // 2)}
            one["mirrored"] = {"kernel": (layer.n, layer.n), "stride": (1, 1), "before": ((layer.n - 1) // 2, (layer.n - 1) // 2)}
        if isinstance(layer, BatchNorm2d):
            one |= {"eps": layer.eps}
        if isinstance(layer, Activation):
            one["function"] = type(layer).__name__.lower()
            one |= {"a": getattr(layer, "a", 1.0), "b": getattr(layer, "b", 1.0)}
        if isinstance(layer, Dropout):
            one["factor"] = layer.test_factor
        found.append(one)
        in_shape = shape
    return found


def weights_of(net: Sequential, chosen: Sequence[Indices]) -> Arrays:
    """Weights and biases of the chosen channels: "w:conv1" (K', channels, KH, KW) and "b:conv1" (K',).

    Of batch normalization the scale "g:bn1", the shift "b:bn1", and the running statistics "m:bn1" and "v:bn1", each (K',).
    """
    found = _parameters(net, chosen, dict(net.params), "")
    for k, layer in enumerate(net.layers):
        if isinstance(layer, BatchNorm2d):
            for letter, key in (("m", "running_mean"), ("v", "running_var")):
                found[f"{letter}:{layer.name}"] = np.ascontiguousarray(layer.buffers[key][chosen[k + 1]], np.float32)
    return found


def numbers_of(net: Sequential, chosen: Sequence[Indices], one: Pass, at: int) -> Arrays:
    """All arrays of picture number `at`: "v3" and "d3" are the output of layer 3 (0 is the input) and the gradient of the loss there.

    "win:pool1" tells which cell won, "s:norm1" is the scale. "rest:conv1" is what the channels that the page does not hold add to each
    output, so that the sum that the page shows is complete.
    """
    found: Arrays = {}
    for k, (value, dout) in enumerate(zip(one.values, one.douts, strict=True)):
        found[f"v{k}"], found[f"d{k}"] = value[chosen[k]], dout[chosen[k]]
    for k, layer in enumerate(net.layers):
        if layer.name in one.winners:
            winner = one.winners[layer.name][chosen[k + 1]]
            found[f"win:{layer.name}"] = winner.astype(np.uint8 if winner.max() < 256 else np.uint16)
        if layer.name in one.scales:
            found[f"s:{layer.name}"] = one.scales[layer.name][chosen[k + 1]]
        if isinstance(layer, (Conv2d, Linear)) and len(chosen[k]) < len(one.values[k]):
            found[f"rest:{layer.name}"] = _rest(layer, one.values[k], chosen[k], chosen[k + 1])
    found |= _parameters(net, chosen, one.grads, "d")
    return {f"p{at}:{name}": array for name, array in found.items()}


def _parameters(net: Sequential, chosen: Sequence[Indices], arrays: dict[str, Any], prefix: str) -> Arrays:
    found: Arrays = {}
    for k, layer in enumerate(net.layers):
        if isinstance(layer, (Conv2d, Linear)):
            found[f"{prefix}w:{layer.name}"] = _cut(layer, arrays[f"{layer.name}.weight"], chosen[k], chosen[k + 1])
            if f"{layer.name}.bias" in arrays:
                found[f"{prefix}b:{layer.name}"] = np.ascontiguousarray(arrays[f"{layer.name}.bias"][chosen[k + 1]], np.float32)
        if isinstance(layer, BatchNorm2d):
            for letter, key in (("g", "weight"), ("b", "bias")):
                found[f"{prefix}{letter}:{layer.name}"] = np.ascontiguousarray(arrays[f"{layer.name}.{key}"][chosen[k + 1]], np.float32)
    return found


def _cut(layer: Conv2d | Linear, weight: Any, inputs: Indices, outputs: Indices) -> npt.NDArray[Any]:
    """The weights between chosen channels. With groups each filter has those of its own group, filled up with zeros to one length."""
    own = [_own(layer, weight, k, inputs) for k in outputs]
    cut = np.zeros((len(outputs), max(map(len, own)), *weight.shape[2:]), np.float32)
    for row, k, channels in zip(cut, outputs, own, strict=True):
        row[: len(channels)] = weight[k, channels]
    return cut


def _own(layer: Conv2d | Linear, weight: Any, k: int, inputs: Indices) -> Indices:
    """Which of the chosen input channels filter k reads, as places in its weight."""
    first = k // (len(weight) // layer.groups) * weight.shape[1]
    return inputs[(inputs >= first) & (inputs < first + weight.shape[1])] - first


def _rest(layer: Conv2d | Linear, x: npt.NDArray[Any], inputs: Indices, outputs: Indices) -> npt.NDArray[Any]:
    """What the input channels that are not chosen add to each chosen output, summed in float64 and rounded to float32."""
    weight = np.asarray(layer.params["weight"])
    x = x.reshape(len(x), *x.shape[1:], *(1,) * (3 - x.ndim)).astype(np.float64)  # features are channels of one pixel
    windows = layer.windows(x.shape) if isinstance(layer, Conv2d) else Windows((1, 1), (1, 1), (1, 1), (0, 0), (1, 1))
    found = []
    for k in outputs:
        first = k // (len(weight) // layer.groups) * weight.shape[1]
        others = np.setdiff1d(np.arange(weight.shape[1]), _own(layer, weight, int(k), inputs))
        filters = weight[k, others].reshape(1, len(others), *windows.kernel).astype(np.float64)
        found.append(conv2d(x[None, first + others], filters, None, windows)[0, 0] if len(others) else np.zeros(windows.out))
    made = np.array(found, np.float32)
    return made if isinstance(layer, Conv2d) else made.reshape(-1)

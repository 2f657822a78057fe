"""Which channels of a net a page holds: all, or in a large net those that the user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tinyalex.errors import ShapeError, did_you_mean
from tinyalex.layers import Conv2d, Flatten, Linear, Sequential

Indices = npt.NDArray[np.int64]


def parse_channels(text: str) -> dict[str, tuple[int, ...]]:
    """What `--channels` says: "conv1=0,5,conv3=7" names channels 0 and 5 of conv1 and channel 7 of conv3.

    Example
    -------
    >>> parse_channels("conv1=0,5,conv3=7")
    {'conv1': (0, 5), 'conv3': (7,)}
    """
    found: dict[str, list[int]] = {}
    channels: list[int] | None = None
    for word in text.split(","):
        layer, equals, number = word.rpartition("=")
        if equals:
            channels = found.setdefault(layer.strip(), [])
        if channels is None or not number.strip().isdecimal() or (equals and not layer.strip()):
            raise ShapeError(f"explore: --channels must be like conv1=0,5,conv3=7, got {text!r}")
        channels.append(int(number))
    return {layer: tuple(dict.fromkeys(numbers)) for layer, numbers in found.items()}


def selected(net: Sequential, chosen: Mapping[str, Sequence[int]]) -> list[Indices]:
    """For the net's input and each layer's output: the channels that the page holds, in order.

    A convolution and a fully connected layer give the channels that `chosen` names, all where it names none; the layers between them
    give those that they take.

    Raises
    ------
    ShapeError: `chosen` names a layer that the net does not have or that has no weights, or a channel that the layer does not have.
    """
    assert net.in_shape is not None
    weighted = {layer.name: layer for layer in net.layers if isinstance(layer, (Conv2d, Linear))}
    for name in chosen:
        if name not in weighted:
            rule = f"explore: --channels must name layers with weights, {', '.join(weighted)}"
            raise ShapeError(f"{rule}, got {name!r}", did_you_mean(name, weighted))
    now: Indices = np.arange(net.in_shape[0])
    found, before = [now], net.in_shape
    for layer, shape in zip(net.layers, net.shapes, strict=True):
        if layer.name in weighted:
            now = _chosen(layer.name, chosen.get(layer.name), shape[0])
        elif isinstance(layer, Flatten):
            pixels = int(np.prod(before[1:], dtype=int))
            now = (now[:, None] * pixels + np.arange(pixels)).ravel()
        elif shape[0] != before[0]:  # paths that meet make other channels of those that they take
            now = np.arange(shape[0])
        found.append(now)
        before = shape
    return found


def _chosen(name: str, channels: Sequence[int] | None, count: int) -> Indices:
    if channels is None:
        return np.arange(count)
    for channel in channels:
        if not 0 <= channel < count:
            raise ShapeError(f"explore: --channels of {name} must be from 0 to {count - 1:,}, got {channel}")
    return np.array(sorted(channels))

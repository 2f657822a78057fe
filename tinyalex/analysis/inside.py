"""What a network computes inside: its convolutions, the output of each layer, and its last hidden layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.devices import Array
from tinyalex.errors import DataError, ShapeError, did_you_mean
from tinyalex.layers import Both, Branches, Conv2d, Dropout, Flatten, Layer, Linear, Sequential

Values = npt.NDArray[Any]
MOST_NAMES = 20  # of layers in a message


def towers_of(net: Layer) -> int:
    """2 if the net has convolutions in two groups, as the paper's net on two cards has; else 1.

    In such a net the first half of a layer's filters belongs to tower a, and the second half to tower b.

    Example
    -------
    >>> from tinyalex.models import cifar_alexnet, figure1_net
    >>> towers_of(cifar_alexnet()), towers_of(figure1_net())
    (2, 1)
    """
    return 2 if any(isinstance(leaf, Conv2d) and leaf.groups == 2 for leaf in net.leaves()) else 1


def without_heads(net: Sequential) -> Sequential:
    """The net without its auxiliary heads, which compute in training alone: the layers of the main path take the place of the paths."""
    layers = list(_main(net.layers))
    return net if len(layers) == len(net.layers) else Sequential(layers, net.in_shape, name=net.name)


def _main(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    for layer in layers:
        if isinstance(layer, Branches) and isinstance(layer.merge, Both):
            main = layer.paths[0]
            yield from () if main is None else _main(main.layers)
        else:
            yield layer


def layers_until(layers: Iterable[Layer], name: str) -> list[Layer] | None:
    """The layers that x passes until the layer called `name` has computed, also where that is inside of a path; None if it is not there.

    Example
    -------
    >>> from tinyalex.models import build
    >>> [layer.name for layer in layers_until(build("resnet20").layers, "stage1.1.conv2")]
    ['conv1', 'conv1.bn', 'conv1.relu', 'stage1.1.conv1', 'stage1.1.conv1.bn', 'stage1.1.conv1.relu', 'stage1.1.conv2']
    """
    before: list[Layer] = []
    for layer in layers:
        if layer.name == name:
            return [*before, layer]
        if isinstance(layer, Branches):
            for path in layer.paths:
                inside = None if path is None else layers_until(path.layers, name)
                if inside is not None:
                    return before + inside
        before.append(layer)
    return None


def some_of(names: Iterable[str]) -> str:
    """Names for a message: all, or of many the first eight and how many there are."""
    names = list(names)
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{', '.join(names[:MOST_NAMES])} ... ({len(names)} in all)"


def first_convolution(net: Layer) -> str:
    """The name of the convolution that computes first, "conv1" if there is none."""
    return next((leaf.name for leaf in net.leaves() if isinstance(leaf, Conv2d)), "conv1")


def filters_of(who: str, net: Layer, layer: str) -> Values:
    """The filters of the convolution called `layer`: an array (K, C, KH, KW) in host memory.

    Raises
    ------
    ShapeError: the net has no convolution of that name.
    """
    known = {leaf.name: leaf for leaf in net.leaves() if isinstance(leaf, Conv2d)}
    if layer not in known:
        among = f"one of the net's convolutions, {some_of(known)}" if known else "a convolution, of which this net has none"
        raise ShapeError(f"{who}: --layer must be {among}, got {layer!r}", did_you_mean(layer, known))
    found: Values = known[layer].device.to_numpy(known[layer].params["weight"])
    return found


def outputs(net: Sequential, x: Array) -> Iterator[tuple[Layer, Array]]:
    """Each layer of a net on one device with its output for `x`, in order; train=False. Only one output is kept at a time."""
    for layer in net.layers:
        x = layer.forward(x, train=False)
        yield layer, x


def last_hidden(who: str, net: Sequential) -> tuple[Sequential, str]:
    """The part of the net up to its last hidden layer, which the last Linear reads, and the name of this layer.

    Paper: section 6.1, "feature activations induced by an image at the last, 4096-dimensional hidden layer". Dropout before the last
    Linear is left out, because in testing it only halves all features. Auxiliary heads are left out too.

    Raises
    ------
    ShapeError: the net has no Linear, or no layer with weights before its last Linear.

    Example
    -------
    >>> from tinyalex.models import cifar_alexnet, figure1_net
    >>> [last_hidden("neighbors", net)[1] for net in (cifar_alexnet(), figure1_net())]
    ['relu6', 'pool3']
    """
    net = without_heads(net)
    linear = [k for k, layer in enumerate(net.layers) if isinstance(layer, Linear)]
    end = linear[-1] if linear else 0
    while end and isinstance(net.layers[end - 1], Dropout):
        end -= 1
    if not any(layer.params for layer in net.layers[:end]):
        got = "none before the last Linear" if linear else "no Linear at all"
        raise ShapeError(f"{who}: the net must have a hidden layer with weights, got {got}; take a net such as cifar-alexnet")
    named = next(layer for layer in reversed(net.layers[:end]) if not isinstance(layer, Flatten))
    return Sequential(net.layers[:end], net.in_shape, name=net.name), named.name


def given_by(who: str, part: Sequential, x: Any) -> Values:
    """What `part`, the first layers of a net, gives for prepared images x (N, C, H, W), in host memory.

    Raises
    ------
    DataError: a value is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        out: Values = part.device.to_numpy(part.forward(part.device.asarray(x, part.dtype), train=False))
    if not np.isfinite(out).all():
        raise DataError(f"{who}: the outputs of the net must be finite, got a NaN or an infinity; its training has diverged")
    return out


def features_of(who: str, hidden: Sequential, x: Any) -> npt.NDArray[np.float64]:
    """What `hidden`, a part of a net, gives for prepared images x (N, C, H, W), as vectors (N, features); see `given_by`."""
    out = given_by(who, hidden, x)
    return out.reshape(len(out), -1).astype(np.float64)

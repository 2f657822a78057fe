"""The cases of the gradient check for the layers of the networks after AlexNet: normalization over a batch, and paths that meet again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyalex.devices import Device
from tinyalex.gradcheck.builders import Case, Classes, of_layer, rng
from tinyalex.gradcheck.check import NETWORK_STEPS, check_layer, check_network
from tinyalex.gradcheck.difference import Check, kink_free
from tinyalex.init import Gaussian
from tinyalex.layers.base import Layer

Make = Callable[[Callable[..., Any]], Layer]  # (function that makes a layer of a class with the settings of the case) -> the layer


def of_branches(layer: str, name: str, shape: tuple[int, ...], make: Make, heads: tuple[float, ...] = ()) -> Case:
    """The case of a layer with paths inside a net. heads: the weights of auxiliary heads, whose losses are added to that of the net."""

    def function(device: Device, classes: Classes) -> list[Check]:
        draw, count = rng(1), iter(range(100))

        def a(kind: str, *args: Any, **settings: Any) -> Any:
            common: dict[str, Any] = {"device": device, "dtype": np.float64, "name": f"{kind.lower()}{next(count)}"}
            if kind in ("Conv2d", "Linear", "BatchNorm2d"):
                common |= {"rng": draw, "weight_init": Gaussian(0.5), "bias_init": Gaussian(0.5)}
            if kind == "Branches":
                del common["device"], common["dtype"]
            return classes[kind](*args, **settings, **common)

        net = classes["Sequential"]([make(a)], in_shape=shape[1:])
        if not heads:
            return check_layer(net, kink_free(shape, rng()), steps=NETWORK_STEPS)
        loss = classes["WeightedHeads"](heads, device=device, dtype=np.float64)
        return check_network(net, loss, rng(2).standard_normal(shape), np.arange(shape[0]) % 2, steps=NETWORK_STEPS)

    return Case(layer, name, function)


def inception(a: Callable[..., Any]) -> Layer:
    """GoogLeNet's module in small."""
    paths = [
        [a("Conv2d", 3, 2, 1), a("Tanh")],
        [a("Conv2d", 3, 2, 1), a("Tanh"), a("Conv2d", 2, 3, 3, padding=1), a("Tanh")],
        [a("AvgPool2d", 3, stride=1, padding=1), a("Conv2d", 3, 1, 1)],
    ]
    layer: Layer = a("Branches", paths, a("Concat"))
    return layer


def residual(a: Callable[..., Any]) -> Layer:
    """A residual block whose shortcut passes x on."""
    f = [a("Conv2d", 3, 4, 3, padding=1, bias=False), a("BatchNorm2d", 4), a("Tanh"), a("Conv2d", 4, 3, 1, bias=False), a("BatchNorm2d", 3)]
    layer: Layer = a("Branches", [f, []], a("Sum"))
    return layer


def projection(a: Callable[..., Any]) -> Layer:
    """A residual block with a stride, whose shortcut is a convolution of 1x1."""
    f = [a("Conv2d", 3, 4, 3, padding=1, stride=2), a("Tanh"), a("Conv2d", 4, 4, 3, padding=1)]
    layer: Layer = a("Branches", [f, [a("Conv2d", 3, 4, 1, stride=2)]], a("Sum"))
    return layer


def scaled_block(a: Callable[..., Any]) -> Layer:
    """A block of Inception-ResNet, of which a fifth is added."""
    f = [a("Conv2d", 3, 4, 3, padding=1), a("Tanh"), a("Conv2d", 4, 3, 1), a("Scale", 0.2)]
    layer: Layer = a("Branches", [[], f], a("Sum"))
    return layer


def without_projection(a: Callable[..., Any]) -> Layer:
    """A residual block with a stride, whose shortcut has no parameters."""
    f = [a("Conv2d", 3, 5, 3, padding=1, stride=2), a("Tanh"), a("Conv2d", 5, 5, 3, padding=1)]
    layer: Layer = a("Branches", [f, [a("ZeroShortcut", 5, stride=2)]], a("Sum"))
    return layer


def three_times(a: Callable[..., Any]) -> Layer:
    """x + x + tanh(x)."""
    layer: Layer = a("Branches", [[], [], [a("Tanh")]], a("Sum"))
    return layer


def dense(a: Callable[..., Any]) -> Layer:
    """DenseNet's layer, which keeps x and adds two channels to it."""
    layer: Layer = a("Branches", [[], [a("BatchNorm2d", 3), a("Tanh"), a("Conv2d", 3, 2, 3, padding=1)]], a("Concat"))
    return layer


def squeeze(a: Callable[..., Any]) -> Layer:
    """Squeeze-and-excitation: a gate for each channel."""
    gate = [a("GlobalAvgPool2d"), a("Linear", 3, 2), a("Tanh"), a("Linear", 2, 3), a("Sigmoid")]
    layer: Layer = a("Branches", [[], gate], a("Product"))
    return layer


def with_heads(a: Callable[..., Any]) -> Layer:
    """A net with two auxiliary heads, one inside of the path behind the other."""

    def head(channels: int) -> list[Layer]:
        return [a("GlobalAvgPool2d"), a("Linear", channels, 2)]

    inner = a("Branches", [[a("Conv2d", 4, 2, 1), a("Tanh"), *head(2)], head(4)], a("Both"))
    layer: Layer = a("Branches", [[a("Conv2d", 2, 4, 3, padding=1), a("Tanh"), inner], head(2)], a("Both"))
    return layer


AFTER_ALEXNET = [
    of_layer("BatchNorm2d", "images", (4, 3, 3, 2), 3),
    of_layer("BatchNorm2d", "one place, N=5", (5, 3, 1, 1), 3),
    of_layer("BatchNorm2d", "N=1", (1, 2, 4, 3), 2),
    of_layer("BatchNorm2d", "eps 0.5, as in TensorFlow", (3, 2, 2, 3), 2, eps=0.5, convention="tensorflow"),
    of_layer("BatchNorm2d", "as in Caffe", (3, 2, 2, 3), 2, convention="caffe"),
    of_layer("BatchNorm2d", "running statistics", (3, 2, 2, 3), 2, statistics="running"),
    of_layer("GroupNorm", "2 groups of 4 channels", (3, 4, 2, 3), 2, 4),
    of_layer("GroupNorm", "1 group, N=1", (1, 3, 2, 3), 1, 3),
    of_layer("GroupNorm", "a group a channel, eps 0.5", (2, 3, 3, 2), 3, 3, eps=0.5),
    of_layer("GlobalAvgPool2d", "images", (3, 4, 2, 5)),
    of_layer("GlobalAvgPool2d", "one place, N=1", (1, 4, 1, 1)),
    of_layer("Scale", "factor 0.1", (2, 3, 2, 3), 0.1),
    of_layer("Scale", "factor -3, vectors", (4, 5), -3.0),
    of_layer("ZeroShortcut", "zeros behind, stride 2", (2, 3, 5, 4), 5, stride=2),
    of_layer("ZeroShortcut", "zeros around, stride 3", (2, 2, 5, 4), 5, stride=3, zeros="around"),
    of_layer("ZeroShortcut", "no new channels, N=1", (1, 3, 4, 4), 3, stride=2),
    of_branches("Sum", "scaled block of Inception-ResNet", (2, 3, 4, 3), scaled_block),
    of_branches("Sum", "shortcut without parameters", (2, 3, 5, 4), without_projection),
    of_branches("Concat", "GoogLeNet's module", (2, 3, 4, 5), inception),
    of_branches("Concat", "DenseNet's layer", (3, 3, 3, 4), dense),
    of_branches("Sum", "residual block", (3, 3, 4, 3), residual),
    of_branches("Sum", "projection, N=1", (1, 3, 5, 4), projection),
    of_branches("Branches", "x read three times", (2, 3, 2, 2), three_times),
    of_branches("Product", "squeeze-and-excitation", (2, 3, 4, 3), squeeze),
    of_branches("Both", "two auxiliary heads", (3, 2, 4, 4), with_heads, heads=(0.3, 0.7)),
]

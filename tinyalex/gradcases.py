"""The gradient check's table: every layer, in the settings where derivations go wrong.

A row names a layer and a case and runs the check on a device. Rows are small, so that every element of every tensor is
checked. A `CpuDevice` as it is takes so small a batch as one block on one thread; on `CpuDevice(small=0, cache=1)` every image
is a block of its own, and the sums over blocks and the work of several threads are checked too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyalex import layers
from tinyalex.devices import Device
from tinyalex.gradcheck import NETWORK_STEPS, STEP, Check, Host, check_layer, check_loss, check_network, compare, kink_free
from tinyalex.init import Gaussian
from tinyalex.loss import SoftmaxCrossEntropy

Classes = Mapping[str, Any]  # the layers' classes by name

CLASSES: Classes = MappingProxyType({name: getattr(layers, name) for name in layers.__all__} | {"SoftmaxCrossEntropy": SoftmaxCrossEntropy})


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Parameters
    ----------
    layer: the class that is checked, or "network". name: what is special here; unique among the layer's rows.
    function: (device, classes) -> the checks, the layers being made from these classes.
    """

    layer: str
    name: str
    function: Callable[[Device, Classes], list[Check]]

    def run(self, device: Device, classes: Classes = CLASSES) -> list[Check]:
        """The checks of this row on a device. With other classes: is a faulty layer found?"""
        return self.function(device, classes)


def rng(seed: int = 0) -> np.random.Generator:
    """Every row draws from generators of its own, so it gives the same numbers alone and in the table."""
    return np.random.default_rng(seed)


def of_layer(layer: str, name: str, shape: tuple[int, ...], *args: Any, steps: tuple[float, ...] = (STEP,), **settings: Any) -> Case:
    """A layer, made with these arguments, on a kink-free input of `shape`."""
    if layer in ("Conv2d", "FirstConv2d", "GroupedLinear", "Linear", "LocallyConnected2d"):
        settings = {"weight_init": Gaussian(0.5), "bias_init": Gaussian(0.5)} | settings

    def function(device: Device, classes: Classes) -> list[Check]:
        drawn = {"rng": rng(1)} if "weight_init" in settings else {}
        made = classes[layer](*args, **settings, **drawn, device=device, dtype=np.float64)
        return check_layer(made, kink_free(shape, rng()), steps=steps)

    return Case(layer, name, function)


def of_loss(name: str, shape: tuple[int, int], scale: float) -> Case:
    """The loss on logits of that scale."""

    def function(device: Device, classes: Classes) -> list[Check]:
        loss = classes["SoftmaxCrossEntropy"](device=device, dtype=np.float64)
        return check_loss(loss, kink_free(shape, rng()) * scale, np.arange(shape[0]) % shape[1])

    return Case("SoftmaxCrossEntropy", name, function)


def of_network(name: str, shape: tuple[int, ...], layers: list[tuple[Any, ...]], seed: int = 0) -> Case:
    """A network of (class, arguments..., settings) and the loss of its logits, of which there must be three."""

    def function(device: Device, classes: Classes) -> list[Check]:
        common, draw, made = {"device": device, "dtype": np.float64}, rng(1), []
        for i, (layer, *args, settings) in enumerate(layers):
            weighted = layer in ("Conv2d", "FirstConv2d", "Linear")
            weights = {"weight_init": Gaussian(0.5), "bias_init": Gaussian(0.5), "rng": draw} if weighted else {}
            made.append(classes[layer](*args, **weights, **settings, **common, name=f"{layer.lower()}{i}"))
        net = classes["Sequential"](made, in_shape=shape[1:])
        loss = classes["SoftmaxCrossEntropy"](**common)
        return check_network(net, loss, rng(seed).standard_normal(shape), np.arange(shape[0]) % 3, steps=NETWORK_STEPS)

    return Case("network", name, function)


def of_towers(layer: str, name: str, between: Callable[[Classes, dict[str, Any]], list[layers.Layer]], n: int = 3) -> Case:
    """Two towers on one device, each of which gets the n images (4,): `between` stands from Split to Gather."""

    def function(device: Device, classes: Classes) -> list[Check]:
        both: dict[str, Any] = {"devices": (device, device), "dtype": np.float64}
        one: dict[str, Any] = {"device": device, "dtype": np.float64, "weight_init": Gaussian(0.5), "rng": rng(1)}
        net = classes["Sequential"]([classes["Split"](**both), *between(classes, one | both), classes["Gather"](**both)], in_shape=(4,))
        return check_layer(net, kink_free((n, 4), rng()))

    return Case(layer, name, function)


def _two_linear(classes: Classes, settings: dict[str, Any], in_features: int, name: str) -> layers.Layer:
    settings = {key: value for key, value in settings.items() if key != "devices"}
    a, b = (classes["Linear"](in_features, k, name=f"{name}{tower}", **settings) for tower, k in (("a", 2), ("b", 3)))
    return classes["Pair"](a, b)


def _straight(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    return []


def _one_pair(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    return [_two_linear(classes, settings, 4, "fc1")]


def _two_pairs(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    tanhs = (classes["Tanh"](name=f"tanh{tower}", device=settings["device"], dtype=settings["dtype"]) for tower in "ab")
    return [*_one_pair(classes, settings), classes["Pair"](*tanhs)]


def _exchange(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    link = classes["Exchange"](settings["devices"], dtype=settings["dtype"])
    return [_two_linear(classes, settings, 4, "fc1"), link, _two_linear(classes, settings, 5, "fc2")]


def ties(name: str, shape: tuple[int, ...], kernel: int, stride: int, padding: int) -> Case:
    """Max-pooling of values from -1, 0, 1, where most windows are tied and there is no derivative.

    The rule instead, window by window: the leftmost column that holds the maximum wins, and in it the topmost row.
    "numerical" in the check is what the rule gives.
    """

    def function(device: Device, classes: Classes) -> list[Check]:
        x = rng().integers(-1, 2, shape).astype(np.float64)
        layer = classes["MaxPool2d"](kernel, stride=stride, padding=padding, device=device, dtype=np.float64)
        out_shape = (shape[0], *layer.output_shape(shape[1:]))
        dout = rng(1).standard_normal(out_shape)
        layer.forward(device.asarray(x), train=True)
        dx = device.to_numpy(layer.backward(device.asarray(dout)))
        return [compare("x", dx, _by_the_rule(x, dout, kernel, stride, padding))]

    return Case("MaxPool2d", name, function)


def _by_the_rule(x: Host, dout: Host, kernel: int, stride: int, padding: int) -> Host:
    dx, (height, width) = np.zeros_like(x), x.shape[2:]
    for n, c, oy, ox in np.ndindex(dout.shape):
        top, left = oy * stride - padding, ox * stride - padding
        cells = [(j, i) for j in range(left, left + kernel) for i in range(top, top + kernel) if 0 <= i < height and 0 <= j < width]
        j, i = max(cells, key=lambda cell: (x[n, c, cell[1], cell[0]], -cell[0], -cell[1]))
        dx[n, c, i, j] += dout[n, c, oy, ox]
    return dx


ACTIVATIONS = [
    of_layer("ReLU", "images", (2, 3, 4, 5)),
    of_layer("ReLU", "features, N=1", (1, 7)),
    of_layer("Tanh", "plain", (2, 3, 4, 5)),
    of_layer("Tanh", "a 1.7159, b 2/3", (3, 11), 1.7159, 2 / 3),
    of_layer("Tanh", "a and b negative", (3, 11), -1.5, -0.5),
    of_layer("Tanh", "N=1", (1, 7)),
    of_layer("AbsTanh", "plain", (2, 3, 4, 5)),
    of_layer("AbsTanh", "a 3, b -0.5", (3, 11), 3.0, -0.5),
    of_layer("AbsTanh", "N=1", (1, 7)),
    of_layer("Sigmoid", "images", (2, 3, 4, 5)),
    of_layer("Sigmoid", "features, N=1", (1, 7)),
]

CONVOLUTIONS = [  # dx by turned weights where the stride is 1 and 2 K <= 3 C, else by col2im
    of_layer("Conv2d", "dx by turned weights", (2, 4, 5, 6), 4, 3, 3, padding=1),
    of_layer("Conv2d", "dx by col2im", (2, 2, 5, 6), 2, 5, 3, padding=1),
    of_layer("Conv2d", "kernel 1", (2, 3, 3, 4), 3, 4, 1),
    of_layer("Conv2d", "kernel 2x3, N=1", (1, 3, 4, 6), 3, 2, (2, 3)),
    of_layer("Conv2d", "kernel 3x2, stride 2x1", (2, 2, 6, 4), 2, 3, (3, 2), stride=(2, 1)),
    of_layer("Conv2d", "stride does not divide", (2, 2, 8, 6), 2, 3, 3, stride=3),
    of_layer("Conv2d", "stride above the kernel", (2, 2, 7, 8), 2, 3, 2, stride=3),
    of_layer("Conv2d", "ceil", (2, 2, 6, 8), 2, 3, 3, stride=2, ceil_mode=True),
    of_layer("Conv2d", "padding same, even kernel", (2, 3, 4, 5), 3, 2, (4, 2), padding="same"),
    of_layer("Conv2d", "padding same, stride 2", (2, 2, 5, 4), 2, 3, 3, stride=2, padding="same"),
    of_layer("Conv2d", "padding on four sides", (2, 3, 4, 5), 3, 2, 3, padding=(0, 2, 1, 2)),
    of_layer("Conv2d", "padding above kernel - 1", (2, 3, 3, 4), 3, 2, 2, padding=(2, 1, 0, 3)),
    of_layer("Conv2d", "groups 2, turned", (2, 6, 4, 5), 6, 4, 3, padding=1, groups=2),
    of_layer("Conv2d", "groups 2, col2im", (2, 4, 5, 4), 4, 6, 3, stride=2, padding=1, groups=2),
    of_layer("Conv2d", "17 images", (17, 2, 2, 3), 2, 2, 2, padding=1),
    of_layer("Conv2d", "no input gradient", (2, 2, 4, 5), 2, 3, 3, input_gradient=False),
]

STRIPS = [
    of_layer("Conv2d", f"strips, {name}", shape, *args, algorithm="strips", **settings)
    for name, shape, args, settings in (
        ("dx by turned weights", (2, 4, 5, 6), (4, 3, 3), {"padding": (0, 1, 2, 1), "groups": 1}),
        ("dx by col2im, groups 2", (2, 4, 7, 5), (4, 6, (3, 2)), {"stride": (2, 1), "groups": 2}),
        ("no input gradient, N=1", (1, 2, 6, 5), (2, 3, 3), {"padding": 1, "input_gradient": False}),
        ("a single line", (2, 2, 3, 6), (2, 3, 3), {}),
    )
]

FIRST = [
    of_layer("FirstConv2d", "padding 1", (3, 2, 5, 4), 2, 3, 3, padding=1, least_images=2),
    of_layer(
        "FirstConv2d",
        "stride 3x2, padding on four sides, groups 2",
        (2, 4, 7, 5),
        4,
        6,
        (4, 3),
        stride=(3, 2),
        padding=(0, 2, 1, 3),
        groups=2,
        ceil_mode=True,
        least_images=2,
    ),  # fmt: skip
    of_layer("FirstConv2d", "17 lines, N=1", (1, 1, 19, 3), 1, 2, 3, least_images=1),
    of_layer("FirstConv2d", "few images", (2, 2, 5, 4), 2, 3, 3, padding=1),
]

WINOGRAD = [
    of_layer("Conv2d", f"winograd, {name}", shape, *args, algorithm="winograd", **settings)
    for name, shape, args, settings in (
        ("3x3", (2, 3, 7, 6), (3, 2, 3), {"padding": 1}),
        ("5x5, groups 2", (2, 4, 5, 9), (4, 6, 5), {"padding": 2, "groups": 2}),
        ("kernel 2x4, N=1", (1, 2, 6, 5), (2, 3, (2, 4)), {}),
        ("tiles that hang over", (2, 2, 9, 11), (2, 2, 3), {"padding": (0, 2, 1, 2)}),
        ("padding above kernel - 1", (2, 2, 3, 4), (2, 3, 3), {"padding": (5, 1, 0, 3)}),
        ("lines cut tile by tile", (1, 1, 2, 37), (1, 1, 3), {"padding": 1}),
        ("17 images", (17, 2, 3, 3), (2, 2, 3), {"padding": 1}),
        ("no input gradient", (2, 2, 4, 5), (2, 3, 3), {"input_gradient": False}),
    )
]

LOCALS = [
    of_layer("LocallyConnected2d", "height unlike width", (2, 2, 4, 5), 2, 2, 3, in_size=(4, 5)),
    of_layer("LocallyConnected2d", "padding 1, N=1", (1, 2, 3, 4), 2, 2, 3, in_size=(3, 4), padding=1),
    of_layer("LocallyConnected2d", "stride does not divide", (3, 2, 6, 5), 2, 2, (3, 2), in_size=(6, 5), stride=2),
    of_layer("LocallyConnected2d", "padding same, stride 2", (2, 1, 4, 5), 1, 2, 3, in_size=(4, 5), stride=2, padding="same"),
    of_layer("LocallyConnected2d", "padding on four sides", (2, 1, 3, 3), 1, 2, 2, in_size=3, padding=(0, 2, 1, 0)),
    of_layer("LocallyConnected2d", "ceil", (2, 2, 4, 6), 2, 2, 3, in_size=(4, 6), stride=2, ceil_mode=True),
    of_layer("LocallyConnected2d", "no input gradient", (2, 2, 3, 4), 2, 2, 2, in_size=(3, 4), input_gradient=False),
]

POOLS = [
    of_layer("MaxPool2d", "overlap", (2, 2, 7, 5), 3, stride=2),
    of_layer("MaxPool2d", "stride does not divide", (2, 2, 6, 8), 3, stride=2),
    of_layer("MaxPool2d", "ceil", (2, 2, 6, 8), 3, stride=2, ceil_mode=True),
    of_layer("MaxPool2d", "padding 1", (2, 2, 5, 6), 3, stride=2, padding=1),
    of_layer("MaxPool2d", "padding on four sides", (2, 2, 4, 5), 3, stride=1, padding=(0, 2, 1, 0)),
    of_layer("MaxPool2d", "padding same, kernel 2x3", (1, 3, 5, 4), (2, 3), stride=(1, 2), padding="same"),
    of_layer("MaxPool2d", "gaps between windows", (2, 2, 7, 8), 2, stride=3),
    of_layer("MaxPool2d", "N=1", (1, 3, 7, 5), 3, stride=2),
    ties("ties, overlap", (2, 3, 7, 6), 3, 2, 0),
    ties("ties, padding 1", (2, 3, 5, 6), 3, 2, 1),
    of_layer("AvgPool2d", "overlap", (2, 2, 7, 5), 3, stride=2),
    of_layer("AvgPool2d", "stride does not divide", (2, 2, 6, 8), 3, stride=2),
    of_layer("AvgPool2d", "ceil", (2, 2, 6, 8), 3, stride=2, ceil_mode=True),
    of_layer("AvgPool2d", "padding 1", (2, 2, 5, 6), 3, stride=2, padding=1),
    of_layer("AvgPool2d", "padding on four sides", (2, 2, 4, 5), 3, stride=1, padding=(0, 2, 1, 0)),
    of_layer("AvgPool2d", "padding same, kernel 2x3", (1, 3, 5, 4), (2, 3), stride=(1, 2), padding="same"),
    of_layer("AvgPool2d", "gaps between windows", (2, 2, 7, 8), 2, stride=3),
    of_layer("AvgPool2d", "N=1", (1, 3, 7, 5), 3, stride=2),
]

NORMALIZATIONS = [  # at alpha 1e-4 the cross-channel term is some 1e-4 of the gradient: alpha 1 is there to see it whole
    of_layer("LocalResponseNorm", "paper's constants", (2, 7, 2, 3)),
    of_layer("LocalResponseNorm", "alpha 1", (2, 7, 2, 3), alpha=1.0),
    of_layer("LocalResponseNorm", "even n", (2, 7, 2, 3), 4, alpha=1.0),
    of_layer("LocalResponseNorm", "n above channels, N=1", (1, 3, 3, 2), 9, alpha=1.0),
    of_layer("LocalResponseNorm", "n 1", (2, 3, 2, 3), 1, alpha=1.0),
    of_layer("LocalResponseNorm", "groups 2", (2, 8, 2, 3), alpha=1.0, groups=2),
    of_layer("LocalResponseNorm", "even n, groups 2", (2, 8, 2, 3), 4, alpha=1.0, groups=2),
    of_layer("LocalResponseNorm", "alpha over n", (2, 7, 2, 3), alpha=1.0, alpha_over_n=True),
    of_layer("LocalResponseNorm", "beta 0.5, k 1", (2, 7, 2, 3), k=1.0, alpha=1.0, beta=0.5),
    of_layer("SpatialResponseNorm", "default constants", (2, 2, 4, 5)),
    of_layer("SpatialResponseNorm", "alpha 1", (2, 2, 4, 5), alpha=1.0),
    of_layer("SpatialResponseNorm", "even n", (2, 2, 5, 6), 4, alpha=1.0),
    of_layer("SpatialResponseNorm", "alpha not over area", (2, 2, 4, 5), alpha=1.0, alpha_over_area=False),
    of_layer("SpatialResponseNorm", "n above the image, N=1", (1, 2, 2, 3), 7, alpha=1.0),
    of_layer("SpatialResponseNorm", "beta 0.5", (2, 2, 4, 5), alpha=1.0, beta=0.5),
    of_layer("LocalContrastNorm", "kernel 3", (2, 3, 5, 4), 3, steps=NETWORK_STEPS),
    of_layer("LocalContrastNorm", "kernel 5, one channel", (2, 1, 6, 7), 5, steps=NETWORK_STEPS),
    of_layer("LocalContrastNorm", "kernel 9 above the image, N=1", (1, 3, 4, 5), steps=NETWORK_STEPS),
    of_layer("LocalContrastNorm", "sigma 3", (2, 2, 5, 4), 5, 3.0, steps=NETWORK_STEPS),
]

FULLY_CONNECTED = [
    of_layer("Linear", "wide to narrow", (3, 11), 11, 4),
    of_layer("Linear", "narrow to wide, N=1", (1, 4), 4, 11),
    of_layer("Linear", "17 images", (17, 3), 3, 5),
    of_layer("Linear", "no input gradient", (3, 5), 5, 4, input_gradient=False),
    of_layer("Flatten", "images", (2, 3, 2, 4)),
    of_layer("Flatten", "N=1", (1, 3, 2, 4)),
    of_layer("Dropout", "scale test", (3, 11), seed=3),
    of_layer("Dropout", "scale train", (3, 11), seed=3, scale="train"),
    of_layer("Dropout", "images, p 0.2", (2, 3, 4, 5), 0.2, seed=3, scale="train"),
    of_layer("Dropout", "second half of a layer", (3, 11), seed=3, part=(1, 2)),
    of_layer("Dropout", "N=1", (1, 11), seed=3),
    of_loss("logits near 1", (4, 5), 1.0),
    of_loss("logits near 1e4", (4, 5), 1e4),
    of_loss("two classes, N=1", (1, 2), 1.0),
]

TOWERS = [
    of_layer("GroupedLinear", "groups 2", (3, 6), 6, 4, groups=2),
    of_layer("GroupedLinear", "groups 3, N=1", (1, 6), 6, 9, groups=3),
    of_towers("Split", "straight to Gather", _straight),
    of_towers("Split", "N=1", _straight, n=1),
    of_towers("Gather", "halves of unlike width", _one_pair),
    of_towers("Gather", "N=1", _one_pair, n=1),
    of_towers("Pair", "two in a row", _two_pairs),
    of_towers("Pair", "N=1", _two_pairs, n=1),
    of_towers("Exchange", "between two pairs", _exchange),
    of_towers("Exchange", "N=1", _exchange, n=1),
]

NETWORKS = [
    of_network(
        "Figure 1 in small",
        (2, 2, 9, 8),
        [
            ("FirstConv2d", 2, 3, 3, {"padding": 1, "least_images": 2}),
            ("MaxPool2d", 3, {"stride": 2, "ceil_mode": True}),
            ("ReLU", {}),
            ("Conv2d", 3, 4, 3, {"padding": 1}),
            ("ReLU", {}),
            ("AvgPool2d", 3, {"stride": 2, "ceil_mode": True}),
            ("Flatten", {}),
            ("Linear", 16, 3, {}),
        ],
    ),
    of_network(
        "pooling of images that lie innermost",
        (3, 1, 6, 9),
        [
            ("FirstConv2d", 1, 3, 2, {"padding": 1, "least_images": 2}),
            ("MaxPool2d", (3, 4), {"stride": (1, 2), "padding": (2, 1, 0, 3), "ceil_mode": True}),
            ("MaxPool2d", 2, {"stride": 3}),
            ("Flatten", {}),
            ("Linear", 18, 3, {}),
        ],
    ),
    of_network(
        "AlexNet in small",
        (2, 2, 15, 13),
        [
            ("Conv2d", 2, 4, 3, {"stride": 2}),
            ("ReLU", {}),
            ("LocalResponseNorm", {"alpha": 1.0, "groups": 2}),
            ("MaxPool2d", 3, {"stride": 2}),
            ("Conv2d", 4, 4, 3, {"padding": 1, "groups": 2}),
            ("ReLU", {}),
            ("MaxPool2d", 2, {"stride": 1}),
            ("Flatten", {}),
            ("Linear", 8, 6, {}),
            ("ReLU", {}),
            ("Dropout", {"seed": 1}),
            ("Linear", 6, 3, {}),
        ],
    ),
    of_network(
        "tanh, dropout and sigmoid",
        (3, 6),
        [("Linear", 6, 5, {}), ("Tanh", {}), ("Dropout", {"scale": "train"}), ("Linear", 5, 4, {}), ("Sigmoid", {}), ("Linear", 4, 3, {})],
    ),
]

CASES: tuple[Case, ...] = (
    *ACTIVATIONS,
    *CONVOLUTIONS,
    *STRIPS,
    *FIRST,
    *WINOGRAD,
    *LOCALS,
    *POOLS,
    *NORMALIZATIONS,
    *FULLY_CONNECTED,
    *TOWERS,
    *NETWORKS,
)

"""What a row of the gradient check's table is, and how rows of each kind are made; the table is `table.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tinyalex import layers, towers
from tinyalex.devices import Device
from tinyalex.fast.table import CPU, operation_of
from tinyalex.gradcheck.check import NETWORK_STEPS, STEP, check_layer, check_loss, check_network
from tinyalex.gradcheck.difference import Check, Host, compare, kink_free
from tinyalex.init import Gaussian
from tinyalex.loss import SoftmaxCrossEntropy

Classes = Mapping[str, Any]  # the layers' classes by name

WEIGHTED = ("Conv2d", "Linear", "LocallyConnected2d")  # layers that draw weights

CLASSES: Classes = MappingProxyType(
    {name: getattr(home, name) for home in (layers, towers) for name in home.__all__} | {"SoftmaxCrossEntropy": SoftmaxCrossEntropy}
)


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Parameters
    ----------
    layer: the class that is checked, or "network". name: what is special here; unique among the layer's rows.
    function: (device, classes) -> the checks, the layers being made from these classes.
    algorithm: the row of `tinyalex.fast.table` that computes, with which `name` begins; empty where the layer has no choice.
    """

    layer: str
    name: str
    function: Callable[[Device, Classes], list[Check]]
    algorithm: str = ""

    def run(self, device: Device, classes: Classes = CLASSES) -> list[Check]:
        """The checks of this row on a device. With other classes: is a faulty layer found?"""
        return self.function(device, classes)


def rng(seed: int = 0) -> np.random.Generator:
    """Every row draws from generators of its own, so it gives the same numbers alone and in the table."""
    return np.random.default_rng(seed)


def of_layer(layer: str, name: str, shape: tuple[int, ...], *args: Any, steps: tuple[float, ...] = (STEP,), **settings: Any) -> Case:
    """A layer, made with these arguments, on a kink-free input of `shape`."""

    def function(device: Device, classes: Classes) -> list[Check]:
        return check_layer(_made(classes, layer, args, settings, device), kink_free(shape, rng()), steps=steps)

    return Case(layer, name, function)


def _made(classes: Classes, layer: str, args: tuple[Any, ...], settings: Mapping[str, Any], device: str | Device = "cpu") -> Any:
    weights = {"weight_init": Gaussian(0.5), "bias_init": Gaussian(0.5), "rng": rng(1)} if layer in WEIGHTED else {}
    return classes[layer](*args, **weights, **settings, device=device, dtype=np.float64)


@dataclass(frozen=True)
class Geometry:
    """What each algorithm of a layer is checked on.

    name: what is special here. shape: of the input. args, settings: of the layer, but for its algorithm.
    tied: the input has ties, see `of_ties`.
    """

    name: str
    shape: tuple[int, ...]
    args: tuple[Any, ...]
    settings: Mapping[str, Any]
    tied: bool = False


def geometry(name: str, shape: tuple[int, ...], *args: Any, tied: bool = False, **settings: Any) -> Geometry:
    """A `Geometry`, its settings written as the layer takes them."""
    return Geometry(name, shape, args, settings, tied)


def of_each_row(layer: str, *geometries: Geometry) -> list[Case]:
    """Each geometry by the plain functions, then by every other row of `tinyalex.fast.table` that fits it.

    The rows are read off that table: one that is added there is checked without being entered here.
    """
    asked = [_made(CLASSES, layer, g.args, g.settings).asked(g.shape[1:]) for g in geometries]
    rows = CPU[operation_of(asked[0])]
    return [
        of_row(layer, row.name, g)
        for row in (rows[-1], *rows[:-1])  # the plain functions first
        for g, one in zip(geometries, asked, strict=True)
        if row.fits(one)
    ]


def of_row(layer: str, algorithm: str, g: Geometry) -> Case:
    """One geometry by one row of `tinyalex.fast.table`."""
    settings, name = {**g.settings, "algorithm": algorithm}, f"{algorithm}, {g.name}"
    case = of_ties(layer, name, g.shape, *g.args, **settings) if g.tied else of_layer(layer, name, g.shape, *g.args, **settings)
    return replace(case, algorithm=algorithm)


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
            weights = {"weight_init": Gaussian(0.5), "bias_init": Gaussian(0.5), "rng": draw} if layer in WEIGHTED else {}
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


def straight(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """Nothing between Split and Gather."""
    return []


def one_pair(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """A fully connected layer on each tower."""
    return [_two_linear(classes, settings, 4, "fc1")]


def two_pairs(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """A second pair, of layers that have no parameters."""
    tanhs = (classes["Tanh"](name=f"tanh{tower}", device=settings["device"], dtype=settings["dtype"]) for tower in "ab")
    return [*one_pair(classes, settings), classes["Pair"](*tanhs)]


def exchange(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """Two pairs, linked."""
    link = classes["Exchange"](settings["devices"], dtype=settings["dtype"])
    return [_two_linear(classes, settings, 4, "fc1"), link, _two_linear(classes, settings, 5, "fc2")]


def of_ties(layer: str, name: str, shape: tuple[int, ...], kernel: int, *, stride: int, padding: int = 0, algorithm: str = "auto") -> Case:
    """Max-pooling of values from -1, 0, 1, where most windows are tied and there is no derivative.

    The rule instead, window by window: the leftmost column that holds the maximum wins, and in it the topmost row.
    "numerical" in the check is what the rule gives.
    """

    def function(device: Device, classes: Classes) -> list[Check]:
        x = rng().integers(-1, 2, shape).astype(np.float64)
        made = classes[layer](kernel, stride=stride, padding=padding, algorithm=algorithm, device=device, dtype=np.float64)
        out_shape = (shape[0], *made.output_shape(shape[1:]))
        dout = rng(1).standard_normal(out_shape)
        made.forward(device.asarray(x), train=True)
        dx = device.to_numpy(made.backward(device.asarray(dout)))
        return [compare("x", dx, _by_the_rule(x, dout, kernel, stride, padding))]

    return Case(layer, name, function)


def _by_the_rule(x: Host, dout: Host, kernel: int, stride: int, padding: int) -> Host:
    dx, (height, width) = np.zeros_like(x), x.shape[2:]
    for n, c, oy, ox in np.ndindex(dout.shape):
        top, left = oy * stride - padding, ox * stride - padding
        cells = [(j, i) for j in range(left, left + kernel) for i in range(top, top + kernel) if 0 <= i < height and 0 <= j < width]
        j, i = max(cells, key=lambda cell: (x[n, c, cell[1], cell[0]], -cell[0], -cell[1]))
        dx[n, c, i, j] += dout[n, c, oy, ox]
    return dx

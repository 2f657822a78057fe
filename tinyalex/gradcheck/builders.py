"""The class of a case of the gradient check, and the functions that make cases of each kind. The cases are in `table.py`."""

from __future__ import annotations

import inspect
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
from tinyalex.loss import SoftmaxCrossEntropy, SquaredError, WeightedHeads

Classes = Mapping[str, Any]  # the layers' classes by name

CLASSES: Classes = MappingProxyType(
    {name: getattr(home, name) for home in (layers, towers) for name in home.__all__}
    | {loss.__name__: loss for loss in (SoftmaxCrossEntropy, SquaredError, WeightedHeads)}
)


@dataclass(frozen=True)
class Case:
    """One case of the gradient check.

    Parameters
    ----------
    layer: the name of the class that is checked, or "network". name: what is special in this case; unique among the layer's cases.
    function: (device, classes) -> the checks; it makes the layers from these classes.
    algorithm: the row of `tinyalex.fast.table` that computes; `name` begins with it. Empty if the layer has no setting `algorithm`.
    """

    layer: str
    name: str
    function: Callable[[Device, Classes], list[Check]]
    algorithm: str = ""

    def run(self, device: Device, classes: Classes = CLASSES) -> list[Check]:
        """The checks of this case on a device. Tests pass faulty classes, to see whether the checks find the fault."""
        return self.function(device, classes)


def rng(seed: int = 0) -> np.random.Generator:
    """A new generator. Each case makes its own, so its values do not depend on other cases."""
    return np.random.default_rng(seed)


def of_layer(layer: str, name: str, shape: tuple[int, ...], *args: Any, steps: tuple[float, ...] = (STEP,), **settings: Any) -> Case:
    """The case of a layer that is made with these arguments, on a kink-free input of `shape`."""

    def function(device: Device, classes: Classes) -> list[Check]:
        return check_layer(_made(classes, layer, args, settings, device), kink_free(shape, rng()), steps=steps)

    return Case(layer, name, function)


def _made(classes: Classes, layer: str, args: tuple[Any, ...], settings: Mapping[str, Any], device: str | Device = "cpu") -> Any:
    return classes[layer](*args, **_weights(classes[layer], rng(1)), **settings, device=device, dtype=np.float64)


def _weights(made: type[Any], draw: np.random.Generator) -> dict[str, Any]:
    """The arguments with which the class `made` draws its parameters from `draw`, with a large standard deviation; {} if it has none."""
    inits = [name for name in inspect.signature(made.__init__).parameters if name.endswith("_init")]
    return {name: Gaussian(0.5) for name in inits} | ({"rng": draw} if inits else {})


@dataclass(frozen=True)
class Geometry:
    """An input and settings with which each algorithm of a layer is checked.

    name: what is special here. shape: the shape of the input. args, settings: those of the layer, without `algorithm`.
    tied: whether the input has ties, see `of_ties`.
    """

    name: str
    shape: tuple[int, ...]
    args: tuple[Any, ...]
    settings: Mapping[str, Any]
    tied: bool = False


def geometry(name: str, shape: tuple[int, ...], *args: Any, tied: bool = False, **settings: Any) -> Geometry:
    """A `Geometry` from arguments and settings in the form in which the layer takes them."""
    return Geometry(name, shape, args, settings, tied)


def of_each_row(layer: str, *geometries: Geometry) -> list[Case]:
    """The cases of each geometry with the plain functions, and then with every other row of `tinyalex.fast.table` that fits it.

    The rows are read from that table, so a new row is checked without an entry here.
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
    """The case of one geometry with one row of `tinyalex.fast.table`."""
    settings, name = {**g.settings, "algorithm": algorithm}, f"{algorithm}, {g.name}"
    case = of_ties(layer, name, g.shape, *g.args, **settings) if g.tied else of_layer(layer, name, g.shape, *g.args, **settings)
    return replace(case, algorithm=algorithm)


def of_loss(name: str, shape: tuple[int, int], scale: float) -> Case:
    """The case of the loss on logits with magnitudes up to `scale`; shape is (N, classes)."""

    def function(device: Device, classes: Classes) -> list[Check]:
        loss = classes["SoftmaxCrossEntropy"](device=device, dtype=np.float64)
        return check_loss(loss, kink_free(shape, rng()) * scale, np.arange(shape[0]) % shape[1])

    return Case("SoftmaxCrossEntropy", name, function)


def of_squared_error(name: str, shape: tuple[int, int]) -> Case:
    """The case of the squared error of outputs of `shape`, (N, F)."""

    def function(device: Device, classes: Classes) -> list[Check]:
        loss = classes["SquaredError"](device=device, dtype=np.float64)
        return check_loss(loss, kink_free(shape, rng()), device.asarray(rng(1).standard_normal(shape)))

    return Case("SquaredError", name, function)


def of_network(name: str, shape: tuple[int, ...], layers: list[tuple[Any, ...]], seed: int = 0) -> Case:
    """The case of a network and its loss. Each of `layers` is (class, arguments..., settings); there must be three logits."""

    def function(device: Device, classes: Classes) -> list[Check]:
        common, draw, made = {"device": device, "dtype": np.float64}, rng(1), []
        for i, (layer, *args, settings) in enumerate(layers):
            made.append(classes[layer](*args, **_weights(classes[layer], draw), **settings, **common, name=f"{layer.lower()}{i}"))
        net = classes["Sequential"](made, in_shape=shape[1:])
        loss = classes["SoftmaxCrossEntropy"](**common)
        return check_network(net, loss, rng(seed).standard_normal(shape), np.arange(shape[0]) % 3, steps=NETWORK_STEPS)

    return Case("network", name, function)


def of_towers(layer: str, name: str, between: Callable[[Classes, dict[str, Any]], list[layers.Layer]], n: int = 3) -> Case:
    """The case of two towers on one device and n inputs of shape (4,). `between` makes the layers between Split and Gather."""

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
    """No layers between Split and Gather."""
    return []


def one_pair(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """A fully connected layer on each tower."""
    return [_two_linear(classes, settings, 4, "fc1")]


def two_pairs(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """A fully connected layer and a tanh on each tower."""
    tanhs = (classes["Tanh"](name=f"tanh{tower}", device=settings["device"], dtype=settings["dtype"]) for tower in "ab")
    return [*one_pair(classes, settings), classes["Pair"](*tanhs)]


def exchange(classes: Classes, settings: dict[str, Any]) -> list[layers.Layer]:
    """Two fully connected layers on each tower, with a link between them."""
    link = classes["Exchange"](settings["devices"], dtype=settings["dtype"])
    return [_two_linear(classes, settings, 4, "fc1"), link, _two_linear(classes, settings, 5, "fc2")]


def of_ties(layer: str, name: str, shape: tuple[int, ...], kernel: int, *, stride: int, padding: int = 0, algorithm: str = "auto") -> Case:
    """The case of max pooling of values -1, 0 and 1, where most windows have ties and so no derivative.

    Instead of the derivative the rule for ties is checked: of equal cells the leftmost wins, and of several leftmost cells the
    topmost. "numerical" in the check is the gradient by this rule.
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
    """dx by the rule for ties, window by window."""
    dx, (height, width) = np.zeros_like(x), x.shape[2:]
    for n, c, oy, ox in np.ndindex(dout.shape):
        top, left = oy * stride - padding, ox * stride - padding
        cells = [(j, i) for j in range(left, left + kernel) for i in range(top, top + kernel) if 0 <= i < height and 0 <= j < width]
        j, i = max(cells, key=lambda cell: (x[n, c, cell[1], cell[0]], -cell[0], -cell[1]))
        dx[n, c, i, j] += dout[n, c, oy, ox]
    return dx

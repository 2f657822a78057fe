"""Turns rows into layers: a net on one device, or the same net as two towers on two devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinyalex import layers as classes
from tinyalex.devices import Device, get_device
from tinyalex.errors import DeviceError, show
from tinyalex.layers import Layer, Sequential
from tinyalex.models.halves import half
from tinyalex.models.rows import Row, Shape, Step, change, walk, weighted
from tinyalex.towers import Exchange, Gather, Pair, Split, two_devices

ACTIVATIONS: dict[str, Callable[..., Layer]] = {
    "relu": classes.ReLU,
    "tanh": classes.Tanh,
    "sigmoid": classes.Sigmoid,
    "abstanh": classes.AbsTanh,
}
KINDS: dict[str, Callable[..., Layer]] = ACTIVATIONS | {
    "conv": classes.Conv2d,
    "linear": classes.Linear,
    "norm": classes.LocalResponseNorm,
    "rnorm": classes.SpatialResponseNorm,
    "pool": classes.MaxPool2d,
    "mean_pool": classes.AvgPool2d,
    "dropout": classes.Dropout,
    "flatten": classes.Flatten,
    "bn": classes.BatchNorm2d,
    "gn": classes.GroupNorm,
    "global_pool": classes.GlobalAvgPool2d,
}


def build_rows(
    rows: Iterable[Row],
    in_shape: Shape,
    name: str,
    places: Sequence[Device],
    *,
    seed: int = 0,
    dtype: Any = np.float32,
    input_gradient: bool = False,
) -> Sequential:
    """The net that these rows describe.

    Paper: section 3.2 for two towers. A tower is the part of the net that one device holds: half of the filters or units of
    every layer before the last one with weights. A layer with two groups reads only its own tower. In front of a layer with
    one group the towers exchange their outputs. The last layer with weights is on the first device.

    Parameters
    ----------
    rows: one for each layer, in order. name: of the net.
    in_shape: the shape of one image, (C, H, W). places: one device, or two devices for two towers.
    seed: of the initial weights, which are drawn layer by layer in the order of the rows, and of the dropout masks. Each
        layer is drawn whole and then split, so that one tower and two towers start with the same weights.
    dtype: of parameters and outputs, float32 or float64.
    input_gradient: whether backward returns the gradient of the image.

    Raises
    ------
    ShapeError: an image so small that a window does not fit, a setting outside its range, or groups that two towers cannot share.
    """
    rows, rng = tuple(rows), np.random.default_rng(seed)
    rows = change(rows, **{row.name: {"seed": seed} for row in rows if row.kind == "dropout"})
    if rows[0].kind == "conv":
        rows = change(rows, **{rows[0].name: {"input_gradient": input_gradient}})
    steps = list(walk(rows, in_shape))
    if len(places) == 2:
        passed_on = input_gradient or rows[0].kind != "conv"  # a first layer of another kind always returns a gradient
        layers: list[Layer] = [Split(places, input_gradient=passed_on, dtype=dtype), *_two_towers(steps, places, rng, dtype)]
    else:
        layers = [_whole(step, rng, places[0], dtype) for step in steps]
    return Sequential(layers, in_shape=in_shape, name=name)


def _whole(step: Step, rng: np.random.Generator, device: Device, dtype: Any) -> Layer:
    row, inputs = step.row, step.in_shape[0]
    if row.weighted:
        weight, bias = step.initial
        row = row.having(weight_init=weight, bias_init=bias)
    return _layer(row, inputs, rng, device, dtype)


def _layer(row: Row, inputs: int, rng: np.random.Generator, device: Device, dtype: Any) -> Layer:
    """The layer that a row describes. inputs: the number of its input channels or features."""
    takes = {"in_features" if row.kind == "linear" else "in_channels": inputs, "rng": rng} if row.weighted else {}
    return KINDS[row.kind](**row.settings, **takes, name=row.name, device=device, dtype=dtype)


def _two_towers(steps: Sequence[Step], places: Sequence[Device], rng: np.random.Generator, dtype: Any) -> list[Layer]:
    """The layers of a net with two towers: a Pair for each run of rows between two links, the links, and the rest on one device.

    A link is where a layer reads both towers: an Exchange, or the Gather in front of the last layer with weights.
    """
    first, *_, last = weighted(step.row for step in steps)
    layers: list[Layer] = []
    between: tuple[list[Layer], list[Layer]] = ([], [])
    name = "towers"
    for i, step in enumerate(steps):
        row = step.row
        if row is last or (row.weighted and row is not first and row.groups == 1):
            layers.append(Pair(*(Sequential(tower, name=f"tower {side}") for tower, side in zip(between, "ab", strict=True)), name=name))
            layers.append((Gather if row is last else Exchange)(places, name=f"{row.name}_link", dtype=dtype))
            between, name = ([], []), f"towers from {row.name}"
        if row is last:
            return layers + [_whole(each, rng, places[0], dtype) for each in steps[i:]]
        for tower, part in enumerate(_halves(step, places[0], rng)):
            inputs = step.in_shape[0] // row.groups if row.weighted else 0
            between[tower].append(_layer(part, inputs, rng, places[tower], dtype))
    raise AssertionError("the last layer with weights is one of the rows")


def _halves(step: Step, device: Device, rng: np.random.Generator) -> tuple[Row, Row]:
    """The rows of a layer's two halves. Their initial weights and biases are the two halves of those drawn for the whole layer."""
    a, b = half(step.row, 0), half(step.row, 1)
    if not step.weight:
        return a, b
    shapes = (step.weight, step.weight[:1] if step.row.biased else (0,))
    weight, bias = (device.draw(init, shape, rng) for init, shape in zip(step.initial, shapes, strict=True))
    k = len(weight) // 2
    return (
        a.having(weight_init=lambda *_: weight[:k], bias_init=lambda *_: bias[:k]),
        b.having(weight_init=lambda *_: weight[k:], bias_init=lambda *_: bias[k:]),
    )


def places_of(who: str, towers: int, devices: str | Device | Sequence[str | Device] | None) -> Sequence[Device]:
    """The device of each tower. `devices` is one device, a sequence of devices, or names such as "cpu:0,cpu:1".

    Raises
    ------
    DeviceError: there is no such device, or the number of devices does not fit the number of towers.
    """
    if devices is None:
        devices = "cpu" if towers == 1 else "cpu:0,cpu:1"
    if isinstance(devices, str):
        devices = [name.strip() for name in devices.split(",")]
    if not isinstance(devices, (Device, tuple, list)):
        raise DeviceError(f"{who}: devices must be a device or one a tower, such as 'cpu:0,cpu:1', got {show(devices)}")
    given = [devices] if isinstance(devices, Device) else list(devices)
    if towers == 2:
        return two_devices(who, given * 2 if len(given) == 1 else given)
    if len(given) != 1:
        raise DeviceError(f"{who}: devices must be one for one tower, got {len(given)}")
    return [get_device(given[0], who)]

"""AlexNet (paper 3.5, Figure 2) in every form of `variants`, on one device or split over two, whole or with something left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from inspect import Parameter, signature
from typing import Any

import numpy as np

from tinyalex.devices import Device, get_device
from tinyalex.errors import DeviceError, ShapeError, require_int, show
from tinyalex.layers import Exchange, Gather, Layer, Pair, Sequential, Split
from tinyalex.layers.towers import two_devices
from tinyalex.models.plan import WHO, Part, Plan, Recipe

OPTIONS = tuple(name for name, parameter in signature(Plan).parameters.items() if parameter.kind == Parameter.KEYWORD_ONLY)


def alexnet(
    variant: str = "paper",
    towers: int = 1,
    exchange: Sequence[str] | None = None,
    num_classes: int = 1000,
    *,
    seed: int = 0,
    devices: str | Device | Sequence[str | Device] | None = None,
    input_gradient: bool = False,
    dtype: Any = np.float32,
    **options: Any,
) -> Sequential:
    """AlexNet, 60,965,224 parameters.

    Paper: section 3.5 and Figure 2; section 3.2 for two towers. `variants.differences` lists what sets each variant apart.

    With one tower, conv2, conv4, conv5 have two groups and response normalization stops between them, so that the net
    computes what two towers compute; from one seed both also start with the same weights and drop the same units.

    Parameters
    ----------
    variant: "paper", "authors", "caffe", "caffenet" or "torchvision". The last three were made for one device.
    towers: 1, or 2 for "paper" and "authors": then all from conv1 to fc7 is split over two devices, and fc8 is on the first.
    exchange: the layers after conv1 that see the channels of both towers; None for the variant's, ("conv3", "fc6", "fc7").
        () is the columnar net, whose towers meet in fc8 alone.
    num_classes: outputs of fc8, at least 2.
    seed: of the initial weights and of the dropout masks.
    devices: one device, or one a tower ("cpu:0,cpu:1" or a sequence); None for "cpu", or "cpu:0" and "cpu:1".
    input_gradient: whether backward returns the gradient of the image.
    options: what `Plan` takes: input_size, remove, half, lrn, overlapping, dropout, sixth, widths, width.

    Raises
    ------
    ShapeError: a setting outside these ranges. DeviceError: no such device, or two of different kinds.

    Example
    -------
    >>> net = alexnet(towers=2, width=1 / 16, num_classes=10)
    >>> net.params["conv2a.weight"].shape, net.params["conv3a.weight"].shape
    ((8, 3, 5, 5), (12, 16, 3, 3))
    """
    for option in options:
        if option not in OPTIONS:
            raise ShapeError(f"{WHO}: options must be among {', '.join(OPTIONS)}, got {show(option)}")
    plan = Plan(variant, towers, exchange, num_classes, **options)
    places = places_of(plan, devices)
    whole = Part(0, 1, places[0], dtype, require_int(WHO, "seed", seed, least=0), input_gradient, _initial(plan, seed, places[0]))
    layers = two_towers(plan, places, whole) if plan.towers == 2 else [step(whole) for step in plan.steps if not isinstance(step, str)]
    return Sequential(layers, in_shape=(3, plan.input_size, plan.input_size), name=f"{WHO}-{variant}")


def _initial(plan: Plan, seed: int, place: Device) -> dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Weights and biases of whole layers, drawn in the order of the layers, so that two towers start as one does."""
    rng, initial = np.random.default_rng(seed), {}
    for layer, shape in plan.weight_shapes.items():
        fan_in = math.prod(shape[1:])
        weight = place.draw(plan.variant.weight_init(layer, fan_in), shape, rng)
        initial[layer] = weight, place.draw(plan.variant.bias_init(layer, fan_in), shape[:1], rng)
    return initial


def two_towers(plan: Plan, places: Sequence[Device], whole: Part) -> list[Layer]:
    """A pair of towers for what stands between two links, and the links; fc8 stands on the first device."""
    a, b = (replace(whole, index=i, of=2, device=place) for i, place in enumerate(places))
    first_is_conv1 = plan.layers[0] == "conv1"  # else something in front of it passes a gradient on
    layers: list[Layer] = [Split(places, input_gradient=whole.input_gradient or not first_is_conv1, dtype=whole.dtype)]
    between: list[Recipe] = []
    name = "towers"
    for step in plan.steps:
        if not isinstance(step, str):
            between.append(step)
            continue
        tower_a, tower_b = (Sequential([make(part) for make in between], name=f"tower {'ab'[part.index]}") for part in (a, b))
        layers.append(Pair(tower_a, tower_b, name=name))
        layers.append((Gather if step == "fc8" else Exchange)(places, name=f"{step}_link", dtype=whole.dtype))
        between, name = [], f"towers from {step}"
    return layers + [make(whole) for make in between]


def places_of(plan: Plan, devices: str | Device | Sequence[str | Device] | None) -> Sequence[Device]:
    """A device for each tower."""
    if devices is None:
        devices = "cpu" if plan.towers == 1 else "cpu:0,cpu:1"
    if isinstance(devices, str):
        devices = [name.strip() for name in devices.split(",")]
    if not isinstance(devices, (Device, tuple, list)):
        raise DeviceError(f"{plan.who}: devices must be a device or one a tower, such as 'cpu:0,cpu:1', got {show(devices)}")
    given = [devices] if isinstance(devices, Device) else list(devices)
    if plan.towers == 2:
        return two_devices(plan.who, given * 2 if len(given) == 1 else given)
    if len(given) != 1:
        raise DeviceError(f"{plan.who}: devices must be one for one tower, got {len(given)}")
    return [get_device(given[0], plan.who)]

"""Whether training fits into the memory of a card: a plan for one card and for two, the memory of the 2012 code, a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.analysis.memory import largest_batch, training_needs
from tinyalex.analysis.need import Need
from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.devices import Device
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import OutOfMemory, ShapeError, show
from tinyalex.layers import Layer, Sequential
from tinyalex.layers.facts import elements
from tinyalex.loss import SoftmaxCrossEntropy
from tinyalex.optim import SGD
from tinyalex.shown import layer_of

Build = Callable[[Any], Sequential]  # makes a network on the given devices
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
MOST_BYTES = 2**60
PARTIAL_SUMS = {"conv1": 5, "conv2": 3, "conv3": 13, "conv4": 13, "conv5": 13}  # windows in one partial sum, with the paper's settings
SCALED = {"width": 1 / 8, "num_classes": 10, "input_size": 115}
SCALED_BATCH = 16


def parse_bytes(who: str, text: str) -> int:
    """The number of bytes that a text such as `3GiB` or `500 MB` names. ShapeError: another text, no unit, or not 1 B to 2**30 GiB."""
    nbytes = 0
    if isinstance(text, str):
        digits = text.strip().rstrip("KMGiB").rstrip()
        unit = text.strip()[len(digits) :].strip()
        with contextlib.suppress(KeyError, ValueError, OverflowError):
            nbytes = round(float(digits) * UNITS[unit])
    if not 1 <= nbytes <= MOST_BYTES:
        rule = f"a number with one of {', '.join(UNITS)}, such as 3GiB, from 1B to {MOST_BYTES // UNITS['GiB']:,}GiB"
        bare = isinstance(text, str) and text.strip().replace(".", "", 1).isdecimal()
        raise ShapeError(f"{who}: memory must be {rule}, got {show(text)}", f"write the unit too, {text.strip()}GiB" if bare else None)
    return nbytes


@dataclass
class Plan:
    """How the training of a network fits into the memory of one card or two.

    cards: 1 or 2. memory: bytes of each card. largest: the largest batch that fits, 0 if a single image does not.
    batch, needs: the memory that each card needs for a batch of `batch` images.
    kept_2012: bytes, by kind, that the authors' code held for that batch on its fullest card. largest_2012: the largest batch
        that fits with that code.
    """

    cards: int
    memory: int
    batch: int
    largest: int
    needs: dict[str, Need]
    kept_2012: dict[str, int]
    largest_2012: int

    @property
    def fullest(self) -> Need:
        """The need of the card that has the least room left."""
        return max(self.needs.values(), key=lambda need: need.peak)


def plan_cards(build: Build, cards: int, memory: int, batch: int) -> Plan:
    """The plan for the network of `build` on so many cards. The network is not run."""
    places = [DryDevice(f"card {i}", stands_for="sim") for i in range(cards)]
    net = build(places if cards > 1 else places[0])
    one, two = (max(kept_2012(net, n).values(), key=lambda parts: sum(parts.values())) for n in (1, 2))
    each = sum(two.values()) - sum(one.values())  # bytes for one more image
    room = memory - (sum(one.values()) - each)
    now = max(kept_2012(net, batch).values(), key=lambda parts: sum(parts.values()))
    return Plan(cards, memory, batch, largest_batch(net, memory), training_needs(net, batch), now, max(0, room // each))


def kept_2012(net: Layer, batch: int) -> dict[str, dict[str, int]]:
    """The bytes that the authors' code of 2012 held for this net, by device and kind, with the default settings of that code.

    That code kept, for each layer, a matrix for the output and another for its gradient, and never freed them. It also kept
    two batches of images on each card, the divisors of normalizations, dropout masks of four bytes for each unit, and the
    partial sums of the weights' gradients. Only activation functions worked in place. The numbers are derived from the layers
    of its source. Its option --conserve-mem, which freed some arrays after use, is not counted.
    """
    kept: dict[str, dict[str, int]] = {}

    def add(device: Device, kind: str, numbers: int) -> None:
        parts = kept.setdefault(device.name, {})
        parts[kind] = parts.get(kind, 0) + 4 * numbers

    in_shape = input_shape(net)
    for place in {leaf.device for leaf in net.leaves()}:
        add(place, "images, twice", 2 * batch * elements(in_shape))
    for at in visit(net, in_shape):
        layer = at.layer
        for param in layer.params.values():
            add(layer.device, "parameters, gradients, velocities", 3 * param.size)
        facts = layer.facts(at.in_shape, batch)
        if facts.windows is not None and layer_of(layer.name) in PARTIAL_SUMS:
            sums = elements(at.out_shape[1:]) // PARTIAL_SUMS[layer_of(layer.name)]
            add(layer.device, "partial sums of gradients", sums * layer.params["weight"].size)
        for device, numbers in _outputs_2012(at):
            add(device, "outputs", batch * numbers)
            add(device, "gradients of outputs", batch * numbers)
        if facts.divides:
            add(layer.device, "divisors and masks", batch * elements(at.in_shape))
    return kept


def _outputs_2012(at: Visit) -> list[tuple[Device, int]]:
    layer, facts = at.layer, at.layer.facts(at.in_shape)
    if facts.view or (facts.in_place and not facts.divides):  # there activation functions worked in place, dropout did not
        return []
    if len(layer.takes) == 2:  # a link: each device that has an output receives a copy of the other tower's half
        halves = [elements(shape) for shape in at.in_shape]
        return [(layer.takes[0], halves[1])] + ([(layer.takes[1], halves[0])] if len(layer.gives) == 2 else [])
    return [(layer.device, elements(at.out_shape))]


@dataclass
class Failure:
    """A training step on simulated cards of `memory` bytes, which one card has no room for and two cards have.

    settings: the settings that make the net small; empty if it is small already. batch: images of the step.
    message: the error of the one card, None if the step fits there too. peaks: the largest number of bytes in use on each of
    the two cards, by name.
    """

    settings: dict[str, Any]
    batch: int
    memory: int
    message: str | None
    peaks: dict[str, int]


def fail_in_small(build: Callable[..., Sequential], settings: Mapping[str, Any] = SCALED) -> Failure:
    """Run a training step on one simulated card that is too small for it, then on two cards of the same size.

    build: makes the network from the keywords towers, devices and those in `settings`.
    """
    from tinyalex.devices.sim import SimDevice

    one = training_needs(build(towers=1, devices=DryDevice(stands_for="sim"), **settings), SCALED_BATCH)
    two = training_needs(build(towers=2, devices=[DryDevice("a", "sim"), DryDevice("b", "sim")], **settings), SCALED_BATCH)
    most, least = (max(need.peak for need in needs.values()) for needs in (one, two))
    for memory in (max((most + least) // 2, least), least):
        message = _refusal(build(towers=1, devices=SimDevice(0, memory), **settings))
        if message is not None:
            break
    cards = [SimDevice(i, memory) for i in (0, 1)]
    _step(build(towers=2, devices=cards, **settings))
    return Failure(dict(settings), SCALED_BATCH, memory, message, {card.name: card.peak for card in cards})


def _refusal(net: Sequential) -> str | None:
    """The error message of a training step for which the card of the net has no room; None if the step succeeds."""
    try:
        _step(net)
    except OutOfMemory as error:
        return str(error)
    return None


def _step(net: Sequential) -> None:
    """Run one training step on images of noise."""
    sgd = SGD(net)
    x = np.random.default_rng(0).standard_normal((SCALED_BATCH, *input_shape(net)), np.float32)
    loss = SoftmaxCrossEntropy(device=net.gives[0])
    loss.forward(net.forward(net.device.asarray(x), train=True), np.zeros(SCALED_BATCH, np.int64), train=True)
    net.backward(loss.backward())
    sgd.step()

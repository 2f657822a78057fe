"""The time of a training step on a named card, computed from counts. No card is used.

A kernel is one function that runs on the whole card. It reads each of its inputs once from the card's memory and writes each of its
outputs once. It needs the longest of three times: that of its operations at the card's peak and that of its bytes at the peak of the
memory, both divided by one `EFFICIENCY`, and the time of a launch. The kernels of a card run one after the other. Each of two towers
has a card, and so a clock, of its own. Where towers exchange outputs, both wait for the later one and for the copy between the cards.

The efficiency is the only figure that is neither counted nor a published peak. It comes from one published timing, `REFERENCE`, of another
card and another net: with it, the passes described there take as long as was published. It was fixed before the time of the paper's own
training was predicted. The loss is left out; its arrays have one element for each image and class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tinyalex.analysis.count import nbytes, sent_bytes
from tinyalex.analysis.predict_cards import Card
from tinyalex.analysis.walk import Visit, input_shape, visit
from tinyalex.errors import require_int
from tinyalex.layers import Layer
from tinyalex.layers.facts import elements

EFFICIENCY = 0.364  # a share of each published peak; `test_predict.py` computes it again from `REFERENCE`
LAUNCH = 5e-6  # seconds that a kernel takes at least: "between 5-20 microseconds", facebookresearch/HolisticTraceAnalysis, docs
UPDATE_ARRAYS = 6  # weight, gradient and velocity are read, and all three are written, the gradient with zeros
PAPER_EPOCHS, PAPER_IMAGES = 90, 1_200_000  # section 5 of the paper
PAPER_DAYS = (5.0, 6.0)  # "five to six days on two NVIDIA GTX 580 3GB GPUs", section 5
OPERATIONS, MEMORY, LAUNCHES = "operations", "memory", "launch"  # what limits a kernel


@dataclass(frozen=True)
class Kernel:
    """One kernel: its operations, two for a multiplication with an addition, and the bytes that it reads and writes."""

    operations: int
    nbytes: int

    def times(self, card: Card, efficiency: float = EFFICIENCY) -> dict[str, float]:
        """The three times in seconds, by what limits the kernel; it needs the longest."""
        return {
            OPERATIONS: self.operations / (efficiency * card.operations),
            MEMORY: self.nbytes / (efficiency * card.traffic),
            LAUNCHES: LAUNCH,
        }


@dataclass(frozen=True)
class Pass:
    """The kernels of one layer in one pass on one card, as counted and as predicted. seconds: their sum. limit: of the longest kernel."""

    kernels: tuple[Kernel, ...] = ()
    seconds: float = 0.0
    limit: str = ""

    @property
    def operations(self) -> int:
        """The operations of all kernels."""
        return sum(kernel.operations for kernel in self.kernels)

    @property
    def nbytes(self) -> int:
        """The bytes that all kernels read and write."""
        return sum(kernel.nbytes for kernel in self.kernels)


@dataclass(frozen=True)
class LayerTime:
    """The predicted times of one layer.

    name, tower, devices: as in `count.Row`; a layer that copies between two cards has two devices.
    forward, backward, update: its kernels. For a layer with two devices they are those of one card; the other has no more.
    link: seconds of the copy between the cards in one pass; backward copies as much. sent: bytes of a direction in one pass.
    """

    name: str
    tower: int | None
    devices: tuple[str, ...]
    forward: Pass
    backward: Pass
    update: Pass
    link: float = 0.0
    sent: int = 0


@dataclass(frozen=True)
class Prediction:
    """The predicted time of a training step of `batch` images, in seconds.

    cards: how many cards of this kind there are. layers: in the order of forward.
    forward, backward, update: the passes; with two cards, those of the card that ends last.
    upload: the copy of the next batch from the host to each card, at the same time as the step; it counts only if it takes longer.
        Each card gets its batch from the host, as in 2012, and both copies are made at the same time.
    """

    card: Card
    cards: int
    batch: int
    layers: tuple[LayerTime, ...]
    forward: float
    backward: float
    update: float
    upload: float

    @property
    def step(self) -> float:
        """Seconds of a training step."""
        return max(self.forward + self.backward + self.update, self.upload)

    @property
    def launches(self) -> int:
        """Kernels that a step launches on all cards together."""
        passes = (each for layer in self.layers for each in (layer.forward, layer.backward, layer.update) for _ in layer.devices)
        return sum(len(each.kernels) for each in passes)

    @property
    def linked(self) -> float:
        """Seconds of a step in which the cards wait for copies between them."""
        return sum(2 * layer.link for layer in self.layers)

    def days(self, epochs: int = PAPER_EPOCHS, images: int = PAPER_IMAGES) -> float:
        """Days for so many epochs of so many images."""
        return epochs * images / self.batch * self.step / 86400


def predict(net: Layer, card: Card, batch: int, in_shape: tuple[int, ...] | None = None, *, efficiency: float = EFFICIENCY) -> Prediction:
    """The predicted time of a training step of `batch` images, if each device of the net is such a card. The net is not run.

    Raises
    ------
    ShapeError: `batch` is not a positive integer, or the shape of the input is not known.

    Example
    -------
    >>> from tinyalex.analysis.predict_cards import CARDS
    >>> from tinyalex.models import figure1_net
    >>> predict(figure1_net(), CARDS["gtx580"], 128).launches
    35
    """
    batch, shape = require_int("predict", "batch", batch), input_shape(net, in_shape)
    layers = tuple(_time(at, card, batch, efficiency) for at in visit(net, shape))
    devices = list(dict.fromkeys(name for layer in layers for name in layer.devices))
    forward, backward = _end(layers, "forward", devices), _end(layers[::-1], "backward", devices)
    upload = batch * nbytes(net, shape) / (efficiency * card.bus)
    return Prediction(card, len(devices), batch, layers, forward, backward, _end(layers, "update", devices), upload)


def _end(layers: Iterable[LayerTime], key: str, devices: Iterable[str]) -> float:
    """When the last card ends this pass. At a layer on two cards, both wait for the later one."""
    clocks = dict.fromkeys(devices, 0.0)
    for layer in layers:
        begin = max(clocks[name] for name in layer.devices)
        seconds = getattr(layer, key).seconds + (layer.link if key != "update" else 0.0)
        clocks |= {name: begin + seconds for name in layer.devices}
    return max(clocks.values())


def _time(at: Visit, card: Card, batch: int, efficiency: float) -> LayerTime:
    layer = at.layer

    def timed(kernels: Iterable[Kernel]) -> Pass:
        kernels = tuple(kernels)
        if not kernels:
            return Pass()
        longest = [max((seconds, limit) for limit, seconds in kernel.times(card, efficiency).items()) for kernel in kernels]
        return Pass(kernels, sum(seconds for seconds, _ in longest), max(longest)[1])

    sent = batch * sent_bytes(layer, at.in_shape) // (len(set(layer.gives)) if sent_bytes(layer, at.in_shape) else 1)
    hops = 1 if card.direct else 2
    return LayerTime(
        layer.name,
        at.tower,
        tuple(device.name for device in layer.runs_on),
        timed(forward_kernels(at, batch)),
        timed(backward_kernels(at, batch)),
        timed(update_kernels(layer)),
        hops * sent / (efficiency * card.link),
        sent,
    )


def forward_kernels(at: Visit, batch: int) -> Iterator[Kernel]:
    """The kernels of one layer in forward: one, which also adds the bias; none if the output is a view of the input."""
    layer, facts = at.layer, at.layer.facts(at.in_shape, batch)
    if facts.view:
        return
    if hasattr(layer, "sent_bytes"):  # each card copies both halves into one array
        yield Kernel(0, 2 * batch * nbytes(layer, _one(at.out_shape)))
        return
    arrays = batch * (nbytes(layer, at.in_shape) + nbytes(layer, at.out_shape) + facts.keeps.own)
    yield Kernel(batch * (2 * facts.macs + facts.comparisons), arrays + sum(_parameters(layer).values()))


def backward_kernels(at: Visit, batch: int) -> Iterator[Kernel]:
    """The kernels of one layer in backward.

    A layer with weights has one kernel for each gradient: of the weights, of the biases and, if somebody needs it, of the input.
    The gradients of parameters are added to, so they are read and written. Another layer has one kernel, which reads what was kept.
    """
    layer, facts = at.layer, at.layer.facts(at.in_shape, batch)
    if facts.view:
        return
    if hasattr(layer, "sent_bytes"):
        halves = at.in_shape if len(layer.gives) == 2 else ()  # a card adds its own half of the gradient and the one copied to it
        for half in halves[: 3 - len(layer.runs_on)]:  # both halves on the same card, or the half of each of two cards
            yield Kernel(batch * elements(half), 3 * batch * nbytes(layer, half))
        return
    x, out = (batch * nbytes(layer, shape) for shape in (at.in_shape, at.out_shape))
    parameters = _parameters(layer)
    if not parameters:
        kept = facts.keeps
        yield Kernel(0, out + kept.x * x + kept.out * out + batch * kept.own + layer.gives_dx * x)
        return
    for key, size in parameters.items():
        if key == "bias":
            yield Kernel(out // layer.dtype.itemsize, out + 2 * size)
        else:
            yield Kernel(2 * batch * facts.macs, x + out + 2 * size)
    if layer.gives_dx:
        yield Kernel(2 * batch * facts.macs, out + x + parameters.get("weight", 0))


def update_kernels(layer: Layer) -> Iterator[Kernel]:
    """The kernels that update the layer's parameters, one for each array, with momentum and weight decay."""
    for size in _parameters(layer).values():
        yield Kernel(4 * size // layer.dtype.itemsize, UPDATE_ARRAYS * size)


def _parameters(layer: Layer) -> dict[str, int]:
    """The bytes of each parameter by its name."""
    return {key: math.prod(array.shape) * layer.dtype.itemsize for key, array in layer.params.items()}


def _one(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """The first shape of a pair, or the shape itself."""
    return shape[0] if shape and isinstance(shape[0], tuple) else shape

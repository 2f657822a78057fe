"""Networks side by side: what each costs, in sum and by the size of its maps. Only `time_forward` runs a network."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyalex.analysis.count import Row, count
from tinyalex.analysis.memory import training_needs
from tinyalex.analysis.need import Need
from tinyalex.errors import require_int
from tinyalex.layers import Conv2d, Sequential

RUNS = 7  # forward passes that are timed, after WARM others
WARM = 2  # in the first one, a frozen net prepares what follows from its weights alone
COPIES = 2.5  # weights, their gradients, and what drawing the weights needs: measured, at most 2.5 for VGG-16
DRAWING = 2.5  # drawing weights takes so many times the time of their random numbers: measured for VGG-16
FORWARD = 3  # a multiplication in a net takes so many times one in a 3x3 convolution alone: measured, 1 for VGG-16 to 4 for DenseNet-121
FIRST = 4  # the first pass of a frozen net takes so many times a later one
PREPARED = 4  # a frozen 3x3 convolution keeps 36 transformed weights for 9, see fast/winograd.py


@dataclass(frozen=True)
class Cost:
    """What layers cost for one image.

    parameters: weights and biases. macs: multiplications with a weight in the forward pass, each with an addition.
    activation_bytes: the outputs of the layers, without those that may be written over the input, such as a ReLU's.
    """

    parameters: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class Stage:
    """The layers of a net whose outputs are maps of one size. size: height and width; (1, 1) for layers without maps, such as fc6."""

    size: tuple[int, int]
    layers: int
    cost: Cost


@dataclass(frozen=True)
class Timing:
    """Seconds of one image in a forward pass: the median, the least and the most of `runs` passes."""

    median: float
    least: float
    most: float
    runs: int


@dataclass(frozen=True)
class Compared:
    """A net among others.

    image: its shape, (C, H, W). cost: of all layers. stages: in the order of the layers. rows: of each layer, see `count`.
    batch, training: the memory of a training step of so many images, see `training_needs`. timing: None if the net was not run.
    """

    name: str
    image: tuple[int, ...]
    cost: Cost
    stages: tuple[Stage, ...]
    rows: tuple[Row, ...]
    batch: int
    training: Need
    timing: Timing | None = None

    def layers(self) -> list[tuple[Row, Cost]]:
        """Each layer with what it costs."""
        return [(row, cost([row])) for row in self.rows]


def compared(name: str, net: Sequential, batch: int, workers: int | None = None) -> Compared:
    """The counts of a net of one device. It is not run, and may be on a `DryDevice`. workers: as in `training_needs`.

    Raises
    ------
    ShapeError: a batch below 1, or a net whose `in_shape` is not known.

    Example
    -------
    >>> from tinyalex.models import figure1_net
    >>> [(stage.size, stage.cost.macs) for stage in compared("figure1", figure1_net(), 1).stages]  # doctest: +ELLIPSIS
    [((32, 32), 2457600), ...]
    """
    rows = tuple(count(net))
    (need,) = training_needs(net, require_int("compare", "batch", batch), workers=workers).values()
    return Compared(name, tuple(net.in_shape or ()), cost(rows), stages(rows), rows, batch, need)


def cost(rows: Iterable[Row]) -> Cost:
    """The sums over some layers."""
    rows = tuple(rows)
    kept = sum(row.activation_bytes for row in rows if not (row.in_place or row.copies))
    return Cost(sum(row.parameters for row in rows), sum(row.macs for row in rows), kept)


def stages(rows: Iterable[Row]) -> tuple[Stage, ...]:
    """The layers by the size of the maps that they give, in the order in which these sizes come first."""
    by_size: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        by_size.setdefault(size_of(row.out_shape), []).append(row)
    return tuple(Stage(size, len(layers), cost(layers)) for size, layers in by_size.items())


def size_of(shape: tuple[Any, ...]) -> tuple[int, int]:
    """Height and width of maps (C, H, W); (1, 1) for other outputs. Of several outputs the first counts, which is the main one."""
    first = shape[0] if isinstance(shape[0], tuple) else shape
    return (first[1], first[2]) if len(first) == 3 else (1, 1)


def inference_bytes(net: Sequential) -> int:
    """An upper bound of the memory that a frozen net takes for one image: weights, what it prepares from them, outputs."""
    parameters = {leaf.name: sum(_bytes(array) for array in leaf.params.values()) for leaf in net.leaves()}
    filters = sum(_bytes(array) for leaf in net.leaves() for array in leaf.params.values() if array.ndim == 4)
    return int(COPIES * sum(parameters.values())) + PREPARED * filters + cost(count(net)).activation_bytes


def _bytes(array: Any) -> int:
    return math.prod(array.shape) * array.dtype.itemsize


def time_forward(net: Sequential, runs: int = RUNS) -> Timing:
    """Freeze the net, and time its forward pass on one random image."""
    net.freeze()
    x = net.device.asarray(np.random.default_rng(0).standard_normal((1, *(net.in_shape or ())), dtype=np.float32), net.dtype)
    seconds = []
    for _ in range(WARM + require_int("compare", "runs", runs)):
        start = time.perf_counter()
        net.forward(x)
        net.device.synchronize()
        seconds.append(time.perf_counter() - start)
    timed = seconds[WARM:]
    return Timing(statistics.median(timed), min(timed), max(timed), runs)


def expected_seconds(parameters: Iterable[int], macs: Iterable[int]) -> float:
    """About how long building these nets and `time_forward` take here. Random numbers and a convolution are timed for it."""
    rng = np.random.default_rng(0)
    drawn = _median(lambda: rng.standard_normal(200_000)) / 200_000
    probe = Sequential([Conv2d(64, 3, padding=1)], in_shape=(64, 56, 56))
    probe.freeze()
    x = np.ones((1, 64, 56, 56), np.float32)
    multiplied = _median(lambda: probe.forward(x)) / cost(count(probe)).macs
    return DRAWING * drawn * sum(parameters) + (WARM + RUNS + FIRST - 1) * FORWARD * multiplied * sum(macs)


def _median(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)

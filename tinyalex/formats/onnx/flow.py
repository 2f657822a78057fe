"""What the nodes of an ONNX graph pass on: arrays that the network computes, and how the file sees their axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.models.rows import Shape

Tensor = npt.NDArray[Any]
Sides = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass
class Draft:
    """A layer of the network while the graph is read. Nodes that follow may still change it: a bias that is added, a scale behind it."""

    kind: str
    name: str
    inputs: tuple[Flow, ...]
    output: str
    where: str
    settings: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One of `count` equal pieces of the channels of `whole`. norm: the settings of the response normalization behind it, {} for none."""

    whole: Flow
    index: int
    count: int
    norm: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Squares:
    """What stands for x^2 while a file computes x / (k + alpha * mean of x^2 over n channels)^beta step by step, as PyTorch writes it.

    whole: x. around: channels of zeros in front and behind. n: 0 before the mean is taken. beta: None before the power is.
    """

    whole: Flow
    around: tuple[int, int] = (0, 0)
    n: int = 0
    alpha: float = 1.0
    k: float = 0.0
    beta: float | None = None


@dataclass(frozen=True)
class Flow:
    """An array that the network computes, for one image.

    Parameters
    ----------
    value: its name in the nodes that are made. shape: (C, H, W) or (F,), as the layers of tinyalex have it.
    seen: its shape in the file, without the batch axis. The elements are in the same order, unless `order` or `features` is given.
    order: axis i of `seen` is axis order[i] of `shape`. features: element i of the file's vector is element features[i] of ours.
    padding: pixels around it that are not there yet, because the next layer adds them itself; pad_value: what they hold.
    alone: whether no other node reads it. softmax: whether the file has made probabilities of it. part: it is a piece of a larger one.
    squares: it is a step of a response normalization.
    """

    value: str
    shape: Shape
    seen: Shape
    order: tuple[int, ...] | None = None
    features: Tensor | None = None
    padding: Sides = (0, 0, 0, 0)
    pad_value: float = 0.0
    alone: bool = True
    softmax: bool = False
    part: Part | None = None
    squares: Squares | None = None

    @property
    def padded(self) -> Shape:
        """`shape` with the padding around it."""
        if len(self.shape) != 3 or not any(self.padding):
            return self.shape
        (c, h, w), (top, bottom, left, right) = self.shape, self.padding
        return c, h + top + bottom, w + left + right

    @property
    def axes(self) -> tuple[int, ...] | None:
        """For each axis of `seen` the axis of `shape`, -1 for an axis of size 1 that has none. None: the axes do not correspond."""
        if self.order is not None:
            return self.order
        if self.seen == self.padded:
            return tuple(range(len(self.seen)))
        if len(self.shape) == 1 and math.prod(self.seen) == max(self.seen, default=1) == self.shape[0]:
            place = self.seen.index(self.shape[0])
            return tuple(0 if i == place else -1 for i in range(len(self.seen)))
        return None

    @property
    def is_image(self) -> bool:
        """Whether the file sees it as (C, H, W), as the layers do."""
        return len(self.shape) == 3 and self.order is None and self.seen == self.padded

    @property
    def is_vector(self) -> bool:
        """Whether it is one number a channel for the layers."""
        return len(self.shape) == 1

    def with_seen(self, seen: Shape, **changes: Any) -> Flow:
        """The same elements in the same order, which the file now sees in another shape."""
        return replace(self, seen=seen, **changes)

    def transposed(self, permutation: tuple[int, ...]) -> Flow | None:
        """The array after the axes of `seen` have changed places; None where its axes do not correspond to those of `shape`."""
        axes = self.axes
        if axes is None:
            return None
        seen = tuple(self.seen[i] for i in permutation)
        if self.is_vector:
            return self.with_seen(seen)
        order = tuple(axes[i] for i in permutation)
        return replace(self, seen=seen, order=None if order == (0, 1, 2) else order)

    def features_in_order(self) -> Tensor | None:
        """For each element that the file sees, in its order, the index of this element in ours; None if both orders are the same."""
        if self.order is None:
            return self.features
        places = np.arange(math.prod(self.shape)).reshape(self.shape).transpose(self.order).reshape(-1)
        return None if np.array_equal(places, np.arange(places.size)) else places

"""What a layer tells of itself to whoever counts, draws or plans: nothing is computed, and nobody keeps a list of layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tinyalex.fast.request import Keeps
from tinyalex.geometry import Windows


@dataclass(frozen=True)
class Facts:
    """The facts of one layer for one image of a known shape.

    macs: multiplications with a weight, each followed by an addition; cells in the padding count.
    keeps: what is kept between forward and backward.
    windows: which pixels an output sees, None where each output sees the same place of the input alone.
    sees_all: whether every output sees the whole image instead. draws: "max" or "mean" where a picture shows pooling.
    comparisons: elements that max pooling looks at, window by window; cells beyond the edge count.
    in_place: whether the output may lie where the input does, as that of an activation function may.
    view: whether the output is the input seen otherwise, with no array of its own.
    dx_in_kept: whether dx is written where the layer's own kept array was.
    divides: whether a divisor or a mask of the size of the input is kept, as in the code of 2012.
    """

    macs: int = 0
    keeps: Keeps = Keeps(x=True)
    windows: Windows | None = None
    sees_all: bool = False
    draws: str | None = None
    comparisons: int = 0
    in_place: bool = False
    view: bool = False
    dx_in_kept: bool = False
    divides: bool = False


def elements(shape: tuple[Any, ...]) -> int:
    """Elements of an array of that shape, or of a pair of them."""
    return sum(map(elements, shape)) if shape and isinstance(shape[0], tuple) else math.prod(shape)

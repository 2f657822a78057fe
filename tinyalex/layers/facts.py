"""The facts that each layer reports about itself, so that `tinyalex.analysis` can count, draw and plan without a list of layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tinyalex.fast.request import Keeps
from tinyalex.geometry import Windows


@dataclass(frozen=True)
class Facts:
    """The facts of one layer for one image of a known shape.

    macs: how many multiplications by a weight, each followed by an addition; those by a padded cell count too.
    keeps: what the layer keeps between forward and backward.
    windows: the windows through which outputs see the input; None if each output sees only the input at its own position.
    sees_all: whether every output sees the whole image. draws: "max" or "mean" for a layer that pictures show as pooling.
    comparisons: how many cells max pooling compares, summed over the windows; padded cells count too.
    in_place: whether the output may be written over the input, as an activation function may do.
    view: whether the output is a view of the input and needs no memory.
    dx_in_kept: whether dx is written over the array that the layer kept.
    divides: whether the authors' code of 2012 kept a divisor or a mask of the size of the input for such a layer.
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
    """How many elements an array of this shape has; for a pair of shapes, how many both arrays have."""
    return sum(map(elements, shape)) if shape and isinstance(shape[0], tuple) else math.prod(shape)

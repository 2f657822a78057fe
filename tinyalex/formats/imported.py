"""What every reader of a foreign file gives and every writer takes: rows, the shape of one image, and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyalex.models.rows import Rows, Shape
from tinyalex.models.saved_net import SavedNet, printable

Arrays = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, eq=False)
class Imported:
    """A network that a file describes.

    Parameters
    ----------
    name: of the network, as the file has it. source: which file, for messages.
    rows: the layers, of the kinds of `tinyalex.models.later.rows.KINDS`; forks are rows of kind "branches".
    in_shape: (C, H, W) of one image. None where the file holds arrays alone.
    arrays: parameters and buffers by the names of a built net, such as "conv1.weight". A layer without arrays keeps its initial values.
    ends: "logits", or "probabilities" where the file ends with a softmax, which the engine has in its loss and not in the net.
    notes: what a user should know, each one sentence: what was left out, what differs.
    about: how images become the input and what classes are called, where the file says both. heads: the weights of the losses of auxiliary
        heads, in the order of `tinyalex.loss.WeightedHeads`; () where the file does not say them.
    """

    name: str
    source: str
    rows: Rows
    in_shape: Shape | None
    arrays: Arrays = field(default_factory=dict)
    ends: str = "logits"
    notes: tuple[str, ...] = ()
    about: SavedNet | None = None
    heads: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", printable(self.notes))  # they may have names of the file, which could change a terminal

"""Dropout (paper 4.2): at each training step the output of every unit is set to 0 with probability p."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, require_choice, require_float, require_int, show
from tinyalex.fast.request import Keeps
from tinyalex.fast.table import function
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts, elements
from tinyalex.masks import kept_units, mask_key, threshold


def drop(x: Array, mask: Array, factor: float, out: Array, xp: Any = np) -> None:
    """Fill out with mask * factor * x."""
    xp.multiply(x, factor, out=out)
    out *= mask


class Dropout(Layer):
    """While training, set each unit to zero with probability p, so that no unit can rely on particular other units.

    Paper: section 4.2, p = 0.5 in fc6 and fc7; at test time every output is multiplied by 0.5.

    Parameters
    ----------
    p: the probability that a unit is dropped, 0 <= p < 1.
    scale: "test" as in the paper: outputs are multiplied by 1 - p at test time. "train" ("inverted" dropout, as in Caffe and
        PyTorch): outputs are divided by 1 - p while training, and nothing is done at test time.
    seed: an integer of at least 0. The mask depends on the seed, the layer's name and `step`, see `tinyalex.masks`.
    part: (index, parts) with 0 <= index < parts: the features on axis 1 are divided into equal parts, and x is the part `index`. The
        mask is drawn for the whole layer, so fc6a with part=(0, 2) and fc6b with part=(1, 2) together drop the units that fc6 drops.

    Attributes
    ----------
    step: which mask the next forward(train=True) takes, from 0 to 2^64 - 1. Each forward(train=True) adds 1. Assign it to resume a run.

    Raises
    ------
    ShapeError: a setting outside these ranges.

    Cache: the mask, one byte for each unit.

    Gradient: out = m x, where m is the mask, divided by 1 - p for scale="train"; so dx = m dout.

    Example
    -------
    >>> Dropout(0.5).forward(np.ones((1, 2), np.float32)).tolist()
    [[0.5, 0.5]]
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"part"}
    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "p": lambda who, v: require_float(who, "p", v, "at least 0 and below 1", lambda v: 0 <= v < 1),
        "scale": lambda who, v: require_choice(who, "scale", v, ("test", "train")),
        "seed": lambda who, v: require_int(who, "seed", v, least=0),
    }

    def __init__(
        self,
        p: float = 0.5,
        *,
        scale: str = "test",
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
        name: str = "dropout",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.p, self.scale, self.seed = p, scale, seed
        if not isinstance(part, (tuple, list)) or len(part) != 2:
            raise ShapeError(f"{name}: part must be two integers (index, parts), got {show(part)}")
        index, parts = require_int(name, "part's index", part[0], least=0), require_int(name, "part's number of parts", part[1])
        if index >= parts:
            raise ShapeError(f"{name}: part's index must be below {parts}, the number of parts, got {index}")
        self.part = (index, parts)
        self.step = 0

    @property
    def train_factor(self) -> float:
        """The factor of a kept unit while training."""
        return 1 / (1 - self.p) if self.scale == "train" else 1.0

    @property
    def test_factor(self) -> float:
        """The factor of every unit at test time."""
        return 1 - self.p if self.scale == "test" else 1.0

    def mask(self, shape: tuple[int, ...]) -> Array:
        """The mask of this part of the layer at the present `step`, for an input of `shape`, on the device."""
        make = function(kept_units, self.device, self.dtype)
        return self.device.asarray(make(*mask_key(self.seed, self.name, self.step), shape, threshold(self.p), self.part))

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x)
        if not train:
            return self._multiply(x, None, self.test_factor)
        mask = self.mask(x.shape)
        out = self._multiply(x, mask, self.train_factor)
        self.keep(out.shape, mask, self.train_factor)  # `p` may be assigned before backward
        self.step += 1
        return out

    def backward(self, dout: Array) -> Array:
        mask, factor = self.take(dout)
        return self._multiply(dout, mask, factor)

    def _multiply(self, x: Array, mask: Array | None, factor: float) -> Array:
        """mask * factor * x, or without a mask factor * x, in a new array."""
        xp, out, multiply = self.device.xp, self.device.empty(x.shape, self.dtype), function(drop, self.device, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            if mask is None:
                xp.multiply(x[images], factor, out=out[images])
            else:
                multiply(x[images], mask[images], factor, out[images], xp)

        self.device.map_blocks(block, len(x), out[:1].nbytes)
        return out

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps(own=elements(in_shape)), in_place=True, divides=True)  # one byte for each unit

    def settings(self) -> str:
        text = f"p {self.p:g}" + (", scale train" if self.scale == "train" else "")
        return text + (f", part {self.part[0]} of {self.part[1]}" if self.part[1] > 1 else "")

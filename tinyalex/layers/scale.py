"""A fixed factor: y = factor x, so dx = factor dy. Inception-ResNet adds only a tenth of what a block computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import require_float
from tinyalex.fast.request import Keeps
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts


class Scale(Layer):
    """y = factor x, with a factor that is not learned.

    Paper: after AlexNet: Szegedy et al. 2016, "Inception-v4, Inception-ResNet", section 3.3: with more than 1,000 filters the residual
    blocks die early in training, unless what they compute is multiplied by 0.1 to 0.3 before it is added.

    Parameters
    ----------
    factor: a finite number other than 0.

    Raises
    ------
    ShapeError: another factor.

    Cache: the shape of x.

    Gradient: y_i depends on x_i alone, and dy_i/dx_i = factor, so dx = factor dy.

    Example
    -------
    >>> Scale(0.5).forward(np.array([[1.0, 4.0]], np.float32)).tolist()
    [[0.5, 2.0]]
    """

    checked: ClassVar[Mapping[str, Callable[[str, Any], Any]]] = {
        "factor": lambda who, v: require_float(who, "factor", v, "a finite number other than 0", lambda v: math.isfinite(v) and v != 0)
    }

    def __init__(self, factor: float, *, name: str = "scale", device: str | Device = "cpu", dtype: Any = np.float32) -> None:
        super().__init__(name, device, dtype)
        self.factor = factor

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x)
        if train:
            self.keep(x.shape, self.factor)  # `factor` may be assigned before backward
        return self._times(x, self.factor)

    def backward(self, dout: Array) -> Array:
        (factor,) = self.take(dout)
        return self._times(dout, factor)

    def _times(self, a: Array, factor: float) -> Array:
        out = self.device.empty(a.shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            scratch.xp.multiply(a[images], factor, out=out[images])

        self.device.map_blocks(block, len(a), out[:1].nbytes)
        return out

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        return Facts(keeps=Keeps())

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        return 0

    def settings(self) -> str:
        return f"factor {self.factor:g}"

"""The shortcut without parameters (He et al. 2015, option A), where a residual block halves the maps and has more channels than x.

**Derivation.** Let s be the stride and b the number of new channels in front of those of x. Then

    y[n, b + c, i, j] = x[n, c, s i, s j],    and y is 0 in every other channel.

Each pixel of x is copied to at most one place. So the gradient of a pixel that was copied is that of its copy, and the gradient of every
other pixel is 0:

    dx[n, c, s i, s j] = dy[n, b + c, i, j].
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import ShapeError, require_choice, require_int, show
from tinyalex.fast.request import Keeps
from tinyalex.geometry import Windows
from tinyalex.layers.base import Layer
from tinyalex.layers.facts import Facts


class ZeroShortcut(Layer):
    """Every s-th pixel of each line and column, and new channels of zeros.

    Paper: after AlexNet: He et al. 2015, section 3.3, option A, which the nets for CIFAR-10 use.

    Parameters
    ----------
    channels: of the output, at least those of x. stride: s, at least 1.
    zeros: where the new channels are: "behind" those of x, as in fb.resnet.torch, or "around" them, half (rounded down) in front and the
        rest behind. The paper does not say where. The function that a net can learn is the same.

    Raises
    ------
    ShapeError: a setting outside its range, or an input that is not (N, C, H, W) or has more channels than the output.

    Cache: the shape of x.

    Gradient: see the derivation above.

    Example
    -------
    >>> ZeroShortcut(2, stride=2).forward(np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)).tolist()
    [[[[1.0, 3.0], [7.0, 9.0]], [[0.0, 0.0], [0.0, 0.0]]]]
    """

    fixed: ClassVar[frozenset[str]] = Layer.fixed | {"channels", "stride", "zeros"}

    def __init__(
        self,
        channels: int,
        *,
        stride: int = 1,
        zeros: str = "behind",
        name: str = "shortcut",
        device: str | Device = "cpu",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(name, device, dtype)
        self.channels, self.stride = require_int(name, "channels", channels), require_int(name, "stride", stride)
        self.zeros = require_choice(name, "zeros", zeros, ("behind", "around"))

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        shape = self.output_shape(x.shape[1:])
        own, s = self._own(x.shape[1]), self.stride
        out = self.device.zeros((len(x), *shape), self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            out[images, own] = x[images, :, ::s, ::s]

        self.device.map_blocks(block, len(x), out[:1].nbytes)
        if train:
            self.keep(out.shape, x.shape)
        return out

    def backward(self, dout: Array) -> Array:
        (shape,) = self.take(dout)
        own, s = self._own(shape[1]), self.stride
        dx = self.device.zeros(shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            dx[images, :, ::s, ::s] = dout[images, own]

        self.device.map_blocks(block, len(dx), dx[:1].nbytes)
        return dx

    def _own(self, channels: int) -> slice:
        """The channels of the output that are copies of those of x."""
        before = (self.channels - channels) // 2 if self.zeros == "around" else 0
        return slice(before, before + channels)

    def facts(self, in_shape: tuple[int, ...], n: int = 1) -> Facts:
        _, *size = self.output_shape(in_shape)
        steps = (self.stride, self.stride)
        return Facts(keeps=Keeps(), windows=Windows((in_shape[1], in_shape[2]), (1, 1), steps, (0, 0), (size[0], size[1])))

    def scratch_bytes(self, in_shape: tuple[int, ...], n: int, backward: bool, workers: int | None) -> int:
        return 0

    def output_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(in_shape) != 3:
            raise ShapeError(f"{self.name}: x must have 4 axes (N, C, H, W), got {show(('N', *in_shape))}")
        if in_shape[0] > self.channels:
            rule = f"{self.name}: x must have at most {self.channels} channels on axis 1 of (N, C, H, W)"
            raise ShapeError(f"{rule}, got {show(('N', *in_shape))}; only a projection can have fewer channels than x")
        return (self.channels, *(-(-side // self.stride) for side in in_shape[1:]))

    def settings(self) -> str:
        return f"{self.channels} channels, stride {self.stride}, zeros {self.zeros}"

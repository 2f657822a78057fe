"""Average pooling: the authors' CIFAR-10 nets pool so in their second and third stage."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import Array, Scratch
from tinyalex.geometry import Windows, shifts
from tinyalex.layers.pool import Pool2d


@lru_cache(maxsize=64)
def means(windows: Windows, axis: int, dtype: Any) -> Any:
    """T (OH, H) for axis 0, W (OW, W) for axis 1: row o holds 1 / (cells that window o sees) at these cells."""
    found = np.zeros((windows.out[axis], windows.size[axis]))
    for to, at in shifts(windows, axis):
        found[range(*to.indices(windows.out[axis])), range(*at.indices(windows.size[axis]))] = 1
    return (found / found.sum(axis=1, keepdims=True)).astype(dtype)


class AvgPool2d(Pool2d):
    """The mean of what each window sees of the image: padded cells do not count.

    Paper: not in AlexNet; the authors' CIFAR-10 nets pool by averages in their second and third stage.

    A mean is linear, and the mean over a rectangle is one along the columns of one along the rows: with a matrix for each
    axis, out = T x W^T, and backward is the transpose of that, dx = T^T dout W. A NaN, which 0 times it still is, spreads over
    the whole channel of its image.

    Parameters, Raises: as MaxPool2d, without its limit on the kernel.

    Cache: the shape of x.

    Gradient: each cell of a window gets its share dout / (cells inside).
    """

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        windows, (n, c, h, w) = self.windows(x.shape[1:]), x.shape
        (oh, ow), (tall, wide) = windows.out, (self.device.asarray(means(windows, axis, self.dtype)) for axis in (0, 1))
        out = self.device.empty((n, c, oh, ow), self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            xp, lines = scratch.xp, x[images].reshape(-1, w)
            along = xp.matmul(wide, lines.T, out=scratch((ow, len(lines)), self.dtype)).reshape(ow, -1, h)
            both = xp.matmul(along, tall.T, out=scratch((ow, len(lines) // h, oh), self.dtype))
            out[images] = both.reshape(ow, -1, c, oh).transpose(1, 2, 3, 0)

        self.device.map_blocks(block, n, size=self.device.few_blocks(n, 2 * c * h * ow * self.dtype.itemsize))
        if train:
            self.keep(out.shape, x.shape, tall, wide)
        return out

    def backward(self, dout: Array) -> Array:
        shape, tall, wide = self.take(dout)
        (n, c, h, w), (oh, ow), dx = shape, dout.shape[2:], self.device.empty(shape, self.dtype)

        def block(images: slice, scratch: Scratch) -> None:
            xp, b = scratch.xp, len(dx[images])
            d = scratch((ow, b * c, oh), self.dtype)
            d.reshape(ow, b, c, oh)[...] = dout[images].transpose(3, 0, 1, 2)
            down = xp.matmul(d, tall, out=scratch((ow, b * c, h), self.dtype)).reshape(ow, -1)
            xp.matmul(down.T, wide, out=dx[images].reshape(-1, w))

        self.device.map_blocks(block, n, size=self.device.few_blocks(n, 2 * c * h * ow * self.dtype.itemsize))
        return dx

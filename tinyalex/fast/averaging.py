"""Average pooling as two matrix products. A mean over a window is the mean along the height of means along the width.

With a matrix for each axis, out = T x W^T, and the transpose of this is backward, dx = T^T dout W. Most elements of T and W are 0, so
this pays only on short axes. A product with 0 would spread a NaN or an infinity over its channel; blocks that hold one are computed
by the plain function.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.machine import LONGEST_AXIS
from tinyalex.fast.request import Grads, Keeps, Pooling, Then, apply
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows, shifts


def pays(asked: Pooling, n: int) -> bool:
    """Whether height and width are at most `LONGEST_AXIS`."""
    return max(asked.windows.size) <= LONGEST_AXIS


@lru_cache(maxsize=64)
def means(windows: Windows, axis: int, dtype: Any) -> Any:
    """T (OH, H) for axis 0, W (OW, W) for axis 1. Row o holds 1 / (the number of cells that count in window o) at the pixels it sees."""
    found = np.zeros((windows.out[axis], windows.size[axis]))
    for to, at in shifts(windows, axis):
        found[range(*to.indices(windows.out[axis])), range(*at.indices(windows.size[axis]))] = 1
    starts = windows.stride[axis] * np.arange(windows.out[axis]) - windows.before[axis]
    before, after = windows.counted[2 * axis : 2 * axis + 2]
    counts = np.minimum(starts + windows.kernel[axis], windows.size[axis] + after) - np.maximum(starts, -before)
    return (found / counts[:, None]).astype(dtype)


def _matrices(asked: Pooling, dtype: Any, device: Device) -> tuple[Array, Array]:
    tall, wide = (device.asarray(means(asked.windows, axis, dtype)) for axis in (0, 1))
    return tall, wide


def all_finite(a: Array) -> bool:
    """Whether no element is NaN or infinite. False may also mean that the sum of the squares overflows: the caller is then slower.

    One call of BLAS where the elements lie side by side: two threads wait for each other at every call into NumPy.
    """
    if a.flags.c_contiguous:
        flat = a.reshape(-1)
        return math.isfinite(np.dot(flat, flat))
    return bool(np.isfinite(a.max()) and np.isfinite(a.min()))


def forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, None]:
    """The means of blocks of images: first along the width, then along the height. Nothing is kept."""
    (n, c, h, w), (oh, ow), (tall, wide) = x.shape, asked.windows.out, _matrices(asked, x.dtype, device)
    out = device.empty(asked.out_shape(n), x.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        xp, lines = scratch.xp, x[images].reshape(-1, w)
        with np.errstate(invalid="ignore"):
            along = xp.matmul(wide, lines.T, out=scratch((ow, len(lines)), x.dtype)).reshape(ow, -1, h)
            both = xp.matmul(along, tall.T, out=scratch((ow, len(lines) // h, oh), x.dtype))
        out[images] = both.reshape(ow, -1, c, oh).transpose(1, 2, 3, 0)
        if not all_finite(both):
            out[images] = asked.plain[0](x[images], asked.windows, xp)
        apply(then, out[images], scratch)

    device.map_blocks(block, n, size=device.few_blocks(n, 2 * c * h * ow * x.dtype.itemsize))
    return out, None


def backward(asked: Pooling, kept: None, dout: Array, device: Device, grads: Grads) -> Array:
    """dx in blocks of images, with the transposed matrices."""
    (n, c, h, w), (oh, ow) = asked.x_shape(len(dout)), asked.windows.out
    (tall, wide), dx = _matrices(asked, dout.dtype, device), device.empty((n, c, h, w), dout.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        xp, b = scratch.xp, len(dx[images])
        if not all_finite(dout[images]):
            dx[images] = asked.plain[1](dout[images], asked.windows, xp)
            return
        d = scratch((ow, b * c, oh), dout.dtype)
        d.reshape(ow, b, c, oh)[...] = dout[images].transpose(3, 0, 1, 2)
        down = xp.matmul(d, tall, out=scratch((ow, b * c, h), dout.dtype)).reshape(ow, -1)
        xp.matmul(down.T, wide, out=dx[images].reshape(-1, w))

    device.map_blocks(block, n, size=device.few_blocks(n, 2 * c * h * ow * dout.dtype.itemsize))
    return dx


def keeps(asked: Pooling) -> Keeps:
    """Nothing is kept."""
    return Keeps()


def scratch_bytes(asked: Pooling, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    h, w = asked.windows.size
    return bytes_of_blocks(3 * asked.channels * h * w * asked.itemsize, 0, n, workers)

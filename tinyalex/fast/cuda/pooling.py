"""The rows of pooling for GPUs: each thread gathers for one window forward, and for one pixel backward."""

from __future__ import annotations

import math
from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.cuda.convolution import geometry
from tinyalex.fast.cuda.loader import MOST, contiguous, kernels_of
from tinyalex.fast.request import Grads, Pooling, Then, apply


def forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Any]:
    """The maximum of each window, and which cell won, or the mean of each window: `max_pool` and `avg_pool` of pool.cu."""
    kernels: Any = kernels_of(device)
    with device.activate():
        x = contiguous(x, device)
    out = device.empty(asked.out_shape(len(x)), x.dtype)
    winner = device.empty(out.shape, "int32") if asked.remembers else None

    def block(images: slice, scratch: Scratch) -> None:
        part = out[images]
        name, won = ("avg_pool", ()) if winner is None else ("max_pool", (winner[images],))
        kernels.launch("pool.cu", name, math.prod(part.shape), x[images], part, *won, *_sizes(asked, len(part)))
        apply(then, part, scratch)

    device.map_blocks(block, len(x), size=_images(asked))
    return out, winner


def backward(asked: Pooling, winner: Any, dout: Array, device: Device, grads: Grads) -> Array:
    """The sum over the windows that a pixel won, or that see it: `max_pool_backward` and `avg_pool_backward` of pool.cu."""
    kernels: Any = kernels_of(device)
    with device.activate():
        dout = contiguous(dout, device)
    dx = device.empty(asked.x_shape(len(dout)), dout.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        part = dx[images]
        name, won = ("avg_pool_backward", ()) if winner is None else ("max_pool_backward", (winner[images],))
        kernels.launch("pool.cu", name, math.prod(part.shape), dout[images], *won, part, *_sizes(asked, len(part)))

    device.map_blocks(block, len(dout), size=_images(asked))
    return dx


def fits(asked: Pooling) -> bool:
    """Whether the indices of one image fit an int."""
    return _elements(asked) <= MOST


def scratch_bytes(asked: Pooling, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: no working memory, but forward without backward makes the winners too, four bytes a window."""
    return 4 * n * asked.channels * math.prod(asked.windows.out)


def _sizes(asked: Pooling, n: int) -> tuple[int, ...]:
    """The arguments of the kernels after the arrays: planes, H, W, KH, KW, sh, sw, top, left, OH, OW, and for a mean what it counts."""
    counted = () if asked.remembers else asked.windows.counted
    return (n * asked.channels, *asked.windows.size, *geometry((), asked.windows), *counted)


def _elements(asked: Pooling) -> int:
    return asked.channels * max(math.prod(asked.windows.size), math.prod(asked.windows.out))


def _images(asked: Pooling) -> int:
    return MOST // _elements(asked)

"""The products of fully connected layers, divided by rows of the result: every weight is then read once for the whole batch."""

from __future__ import annotations

from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.machine import FEW_IMAGES, LONG, SMALL_PRODUCT
from tinyalex.fast.request import Grads, Product, Then, apply
from tinyalex.fast.sharing import bytes_of_blocks


def fits(asked: Product) -> bool:
    """Whether there is one group."""
    return asked.groups == 1


def pays(asked: Product, n: int) -> bool:
    """Wherever it fits."""
    return fits(asked)


def product(weight: Array, x: Array, out: Array, xp: Any, at_once: int) -> None:
    """out = weight x^T: (F, C) @ (C, N), so many rows of the weight at a time.

    In this order BLAS reads the weight as it lies; x weight^T, the same numbers, takes up to twice as long. `dot`, not
    `matmul`: that one keeps Python's lock while it multiplies by a single image, so that only one worker gets on.
    """
    for first in range(0, len(weight), at_once):
        rows = slice(first, first + at_once)
        xp.dot(weight[rows], x.T, out=out[rows])


def block_size(rows: int, across: int, n: int, itemsize: int, device: Device) -> int:
    """Rows of a product for n images, with what one of them works with, its weights and its results.

    On a CPU twice as many as fit the cache: a product of `LONG` rows runs at the full speed of BLAS, and reads weights once.
    """
    size = device.block_size(rows, (across + n) * itemsize)
    return max(size, min(2 * size, LONG, rows)) if device.kind == "cpu" else size


def rows_at_once(asked: Product, x: Array, device: Device) -> int:
    """Rows of the weight that are multiplied in one call."""
    few = device.kind == "cpu" and 1 < len(x) <= FEW_IMAGES
    return max(1, SMALL_PRODUCT // x.size) if few else len(asked.weight)


def forward(asked: Product, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """Blocks of outputs."""
    weight, bias, out = asked.weight, asked.bias, device.empty(asked.out_shape(len(x)), x.dtype)
    at_once = rows_at_once(asked, x, device)

    def block(features: slice, scratch: Scratch) -> None:
        part = scratch((features.stop - features.start, len(x)), x.dtype)
        product(weight[features], x, part, scratch.xp, at_once)
        scratch.xp.add(part.T, bias[features], out=out[:, features])
        apply(then, out[:, features], scratch)

    device.map_blocks(block, len(weight), size=block_size(len(weight), asked.features, len(x), x.dtype.itemsize, device))
    return out, x


def backward(asked: Product, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
    """Blocks of outputs for the gradients, which are added where they stay; then blocks of inputs for dx."""
    xp, weight, dweight, dbias = device.xp, asked.weight, grads["weight"], grads["bias"]
    n, features, item = len(x), asked.features, x.dtype.itemsize

    def weight_block(outputs: slice, scratch: Scratch) -> None:
        part = scratch((outputs.stop - outputs.start, features), x.dtype)
        dweight[outputs] += xp.matmul(dout[:, outputs].T, x, out=part)
        dbias[outputs] += dout[:, outputs].sum(axis=0)

    device.map_blocks(weight_block, len(weight), size=block_size(len(weight), features, n, item, device))
    if not asked.input_gradient:
        return None
    dx = device.empty(x.shape, x.dtype)

    def input_block(inputs: slice, scratch: Scratch) -> None:
        part = scratch((n, inputs.stop - inputs.start), x.dtype)
        dx[:, inputs] = xp.matmul(dout, weight[:, inputs], out=part)

    device.map_blocks(input_block, features, size=block_size(features, len(weight), n, item, device))
    return dx


def scratch_bytes(asked: Product, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    return bytes_of_blocks((asked.features + len(asked.weight)) * asked.weight.dtype.itemsize, 0, n, workers)

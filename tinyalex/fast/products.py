"""The products of fully connected layers, in blocks of outputs, so that each weight is read only once for the whole batch."""

from __future__ import annotations

from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.machine import FEW_IMAGES, LONG, SMALL_PRODUCT
from tinyalex.fast.request import Grads, Product, Then, apply
from tinyalex.fast.sharing import bytes_of_blocks


def fits(asked: Product) -> bool:
    """Whether the layer has one group."""
    return asked.groups == 1


def pays(asked: Product, n: int) -> bool:
    """Always, if the row fits."""
    return fits(asked)


def product(weight: Array, x: Array, out: Array, xp: Any, at_once: int) -> None:
    """out = weight x^T: (F, C) @ (C, N), with `at_once` rows of the weight in each call.

    This order lets BLAS read the weight in the order of memory; x weight^T, which has the same elements, takes up to twice as long.
    The function is `dot`, because `matmul` with a single image holds Python's lock, so that only one worker can compute.
    """
    for first in range(0, len(weight), at_once):
        rows = slice(first, first + at_once)
        xp.dot(weight[rows], x.T, out=out[rows])


def block_size(rows: int, across: int, n: int, itemsize: int, device: Device) -> int:
    """How many of the `rows` outputs a block has, for n images; each output has `across` weights.

    On a CPU this is up to twice as many outputs as fit the cache, because a product of `LONG` rows runs at the full speed of BLAS.
    """
    size = device.block_size(rows, (across + n) * itemsize)
    return max(size, min(2 * size, LONG, rows)) if device.kind == "cpu" else size


def rows_at_once(asked: Product, x: Array, device: Device) -> int:
    """How many rows of the weight are multiplied in one call."""
    few = device.kind == "cpu" and 1 < len(x) <= FEW_IMAGES
    return max(1, SMALL_PRODUCT // x.size) if few else len(asked.weight)


def forward(asked: Product, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """The products, in blocks of outputs."""
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
    """First the gradients of weight and bias, added in blocks of outputs; then dx, in blocks of inputs."""
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

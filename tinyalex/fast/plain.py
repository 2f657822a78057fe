"""The rows "plain", which call the plain functions on blocks of images. They are the default on simulated and real GPUs."""

from __future__ import annotations

from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.request import Convolution, Grads, Keeps, Pooling, Product, Then, add_gradients, apply, size_of
from tinyalex.fast.sharing import bytes_of_blocks


def conv_forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """`conv2d` of each block of images."""
    out = device.empty(asked.out_shape(len(x)), x.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        out[images] = asked.plain[0](x[images], asked.weight, asked.bias, asked.windows, asked.groups, scratch.xp)
        apply(then, out[images], scratch)

    device.map_blocks(block, len(x), _bytes_of_image(asked, backward=False))
    return out, x


def conv_backward(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
    """`conv2d_backward` of each block of images; the gradients of weight and bias are sums over the blocks."""
    dx = device.empty(x.shape, x.dtype) if asked.input_gradient else None

    def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
        part, dweight, dbias = asked.plain[1](x[images], asked.weight, dout[images], asked.windows, asked.groups, scratch.xp)
        if dx is not None:
            dx[images] = part
        return dweight, dbias

    dweight, dbias = device.map_blocks(block, len(x), _bytes_of_image(asked, backward=True))
    add_gradients(grads, dweight, dbias, device)
    return dx


def _bytes_of_image(asked: Convolution, backward: bool) -> int:
    """Bytes that one image of a block needs: in forward its columns; in backward also their gradient and that of the parameters."""
    item, (height, width), (oh, ow), (h, w) = asked.weight.dtype.itemsize, asked.windows.sheet, asked.windows.out, asked.windows.size
    columns, out = asked.windows.column_bytes(asked.channels, item), asked.filters * oh * ow * item
    if not backward:
        return columns + max(2 * out, asked.channels * height * width * item)
    return 2 * columns + asked.channels * (height * width + h * w) * item + (size_of(asked.weight) + asked.filters) * item


def conv_scratch(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    sums = (size_of(asked.weight) + asked.filters) * asked.weight.dtype.itemsize * backward
    return bytes_of_blocks(_bytes_of_image(asked, backward), sums, n, workers)


def pool_forward(asked: Pooling, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Any]:
    """`max_pool` of each block of images, whose second result is kept, or `avg_pool`."""
    out, kept = device.empty(asked.out_shape(len(x)), x.dtype), None
    if asked.remembers and asked.train:
        kept = device.empty(asked.out_shape(len(x)), "int32")

    def block(images: slice, scratch: Scratch) -> None:
        result = asked.plain[0](x[images], asked.windows, scratch.xp)
        if asked.remembers:
            result, winner = result
            if kept is not None:
                kept[images] = winner
        out[images] = result
        apply(then, out[images], scratch)

    device.map_blocks(block, len(x), 6 * _sheet_bytes(asked))
    return out, kept


def pool_backward(asked: Pooling, kept: Any, dout: Array, device: Device, grads: Grads) -> Array:
    """`max_pool_backward` or `avg_pool_backward` of each block of images."""
    dx = device.empty(asked.x_shape(len(dout)), dout.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        winner = () if kept is None else (kept[images],)
        dx[images] = asked.plain[1](dout[images], *winner, asked.windows, scratch.xp)

    device.map_blocks(block, len(dout), 6 * _sheet_bytes(asked))
    return dx


def _sheet_bytes(asked: Pooling) -> int:
    """Bytes of one image with its padding."""
    height, width = asked.windows.sheet
    return asked.channels * height * width * asked.itemsize


def pool_keeps(asked: Pooling) -> Keeps:
    """For max pooling four bytes for each window, which say which cell won; for average pooling nothing."""
    return Keeps(own=4 * asked.channels * asked.windows.out[0] * asked.windows.out[1] if asked.remembers else 0)


def pool_scratch(asked: Pooling, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    return bytes_of_blocks(4 * _sheet_bytes(asked), 0, n, workers)


def product_forward(asked: Product, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """`linear` of the whole batch."""
    with device.activate():
        out = device.empty(asked.out_shape(len(x)), x.dtype)
        out[...] = asked.plain[0](x, asked.weight, asked.bias, asked.groups, device.xp)
        apply(then, out, device.scratch())
    return out, x


def product_backward(asked: Product, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
    """`linear_backward` of the whole batch."""
    with device.activate():
        dx, dweight, dbias = asked.plain[1](x, asked.weight, dout, asked.groups, device.xp)
    add_gradients(grads, dweight, dbias, device)
    return dx if asked.input_gradient else None


def product_scratch(asked: Product, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: in forward the product before it is copied to `out`, in backward the gradients before they are added."""
    item = asked.weight.dtype.itemsize
    return (size_of(asked.weight) + len(asked.weight)) * item if backward else n * len(asked.weight) * item

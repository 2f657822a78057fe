"""The rows of convolution for GPUs: products with columns by cuBLAS, and a product in tiles that reads the columns off the images."""

from __future__ import annotations

import math
from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.fast.cuda.loader import MOST, Kernels, contiguous, kernels_of
from tinyalex.fast.request import Convolution, Grads, Then, add_gradients, apply, size_of
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows

TILE, SIDE = 64, 16  # of conv.cu: filters and windows of a tile, and the square root of the threads of a block
MOST_LAYERS = 65535  # of a grid of blocks, along y and z


def geometry(shape: tuple[int, ...], windows: Windows) -> tuple[int, ...]:
    """The arguments N, C, H, W, KH, KW, sh, sw, top, left, OH, OW of a kernel for images of this shape."""
    return (*shape, *windows.kernel, *windows.stride, *windows.before, *windows.out)


def im2col(x: Array, windows: Windows, kernels: Kernels, scratch: Scratch) -> Array:
    """The columns of all images side by side, see `layers.columns.im2col`. x (N, C, H, W), result (C, KH, KW, N, OH, OW)."""
    n, c = x.shape[:2]
    col = scratch((c, *windows.kernel, n, *windows.out), x.dtype)
    kernels.launch("columns.cu", "im2col", c * n * math.prod(windows.out), x, col, *geometry(x.shape, windows))
    return col


def col2im(dcol: Array, windows: Windows, dx: Array, kernels: Kernels) -> None:
    """Fill dx (N, C, H, W) with the transpose of `im2col`. dcol (C, KH, KW, N, OH, OW)."""
    kernels.launch("columns.cu", "col2im", math.prod(dx.shape), dcol, dx, *geometry(dx.shape, windows))


def add_bias(product: Array, bias: Array, out: Array, strides: tuple[int, int], relu: bool, kernels: Kernels) -> None:
    """Fill out (N, K, P) with product + bias, and with ReLU of it if `relu`. strides: of an image and of a filter in `product`."""
    n, k, p = out.shape
    kernels.launch("bias.cu", "add_bias", n * k * p, product, bias, out, n, k, p, *strides, relu)


def is_relu(then: Then | None) -> bool:
    """Whether the activation is that of `ReLU`, which the kernels apply themselves."""
    return getattr(then, "kernel", None) == "relu"


def forward_columns(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """One product for each group and block of images, with the columns of all images of the block; then the bias and ReLU in one pass."""
    kernels, relu = _kernels(device), is_relu(then)
    with device.activate():
        x = contiguous(x, device)
        weight = asked.weight.reshape(asked.groups, asked.filters // asked.groups, -1)  # (G, K/G, R)
    out, p = device.empty(asked.out_shape(len(x)), x.dtype), math.prod(asked.windows.out)

    def block(images: slice, scratch: Scratch) -> None:
        part = out[images]
        col = im2col(x[images], asked.windows, kernels, scratch).reshape(asked.groups, weight.shape[2], -1)  # (G, R, N P)
        product = scratch((asked.groups, weight.shape[1], col.shape[2]), x.dtype)  # (G, K/G, N P): the filters come first
        for group in range(asked.groups):  # not one product of three axes, for which CuPy copies what is transposed
            scratch.xp.matmul(weight[group], col[group], out=product[group])
        add_bias(product, asked.bias, part.reshape(*part.shape[:2], p), (p, col.shape[2]), relu, kernels)
        if not relu:
            apply(then, part, scratch)

    device.map_blocks(block, len(x), size=_images(asked, len(x), device))
    return out, x


def forward_tiles(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """The product in tiles: `conv_forward` of conv.cu."""
    kernels, relu, windows = _kernels(device), is_relu(then), asked.windows
    with device.activate():
        x, weight = contiguous(x, device), contiguous(asked.weight, device)
    out = device.empty(asked.out_shape(len(x)), x.dtype)
    filters = asked.filters // asked.groups

    def block(images: slice, scratch: Scratch) -> None:
        n, c, h, w = x[images].shape
        grid = (-(-n * math.prod(windows.out) // TILE), -(-filters // TILE), asked.groups)
        sizes = (n, c, h, w, asked.filters, *geometry((), windows), asked.groups, relu)
        kernels.start("conv.cu", "conv_forward", grid, SIDE * SIDE, x[images], weight, asked.bias, out[images], *sizes)
        if not relu:
            apply(then, out[images], scratch)

    device.map_blocks(block, len(x), size=max(1, MOST // max(size_of(x[:1]), size_of(out[:1]))))
    return out, x


def backward(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> Array | None:
    """dweight = dout col^T and dcol = weight^T dout for each group and block of images; then the sums of dcol, pixel by pixel."""
    kernels, groups = _kernels(device), asked.groups
    with device.activate():
        weight = asked.weight.reshape(groups, asked.filters // groups, -1)  # (G, K/G, R)
    dx = device.empty(x.shape, x.dtype) if asked.input_gradient else None

    def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
        xp, n = scratch.xp, len(x[images])
        col = im2col(x[images], asked.windows, kernels, scratch).reshape(groups, weight.shape[2], -1)  # (G, R, N P)
        d = xp.ascontiguousarray(dout[images].reshape(n, asked.filters, -1).swapaxes(0, 1))  # (K, N, P)
        by_group = d.reshape(groups, weight.shape[1], -1)  # (G, K/G, N P)
        dweight = scratch(weight.shape, x.dtype)
        for group in range(groups):
            xp.matmul(by_group[group], col[group].T, out=dweight[group])
            if dx is not None:
                xp.matmul(weight[group].T, by_group[group], out=col[group])  # dcol takes the place of col
        if dx is not None:
            col2im(col, asked.windows, dx[images], kernels)
        return dweight, d.reshape(asked.filters, -1).sum(axis=1)

    dweight, dbias = device.map_blocks(block, len(x), size=_images(asked, len(x), device))
    add_gradients(grads, dweight, dbias, device)
    return dx


def tiles_pay(asked: Convolution, n: int) -> bool:
    """Whether one tile holds all filters of a group, so that each element of the columns would be read only once after it was written.

    This bound follows from counted bytes; no card has measured it.
    """
    return asked.filters // asked.groups <= TILE


def fits(asked: Convolution) -> bool:
    """Whether the indices of one image fit an int, and there is a bias."""
    p = math.prod(asked.windows.out)
    largest = max(_columns(asked), asked.channels * math.prod(asked.windows.size), asked.filters * p, size_of(asked.weight))
    return asked.bias is not None and largest <= MOST


def fits_tiles(asked: Convolution) -> bool:
    """`fits`, and the grid of blocks, which has a layer for each group, may be so large."""
    return fits(asked) and asked.groups <= MOST_LAYERS and -(-(asked.filters // asked.groups) // TILE) <= MOST_LAYERS


def scratch_columns(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    item = asked.weight.dtype.itemsize
    return bytes_of_blocks(_bytes_of_image(asked), size_of(asked.weight) * item * backward, n, workers)


def scratch_tiles(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`: forward needs no memory."""
    return scratch_columns(asked, n, backward, workers) if backward else asked.weight.dtype.itemsize


def _columns(asked: Convolution) -> int:
    """Elements of the columns of one image."""
    return asked.channels * math.prod(asked.windows.kernel) * math.prod(asked.windows.out)


def _bytes_of_image(asked: Convolution) -> int:
    """Bytes that one image of a block needs: its columns, and its output with the filters first."""
    return int((_columns(asked) + asked.filters * math.prod(asked.windows.out)) * asked.weight.dtype.itemsize)


def _images(asked: Convolution, n: int, device: Device) -> int:
    """Images of a block: as many as memory allows, and as the indices of a kernel allow."""
    image = asked.channels * math.prod(asked.windows.size)
    most = MOST // max(_columns(asked), image, asked.filters * math.prod(asked.windows.out))
    return max(1, min(device.block_size(n, _bytes_of_image(asked)), most))


def _kernels(device: Device) -> Any:
    kernels = kernels_of(device)
    assert kernels is not None  # the table gives these rows only to devices that run kernels
    return kernels

"""Convolution by columns. im2col and col2im put the image index innermost, so each group has one wide product for a block of images."""

from __future__ import annotations

import math

from tinyalex.devices import NEW_ARRAYS, Array, Device, Scratch
from tinyalex.fast.layout import images_first, images_last, lay_sheet, matrix
from tinyalex.fast.machine import COLUMNS, FEWEST_BLOCKS
from tinyalex.fast.request import Convolution, Grads, Then, add_gradients, apply, columns_of_image, size_of
from tinyalex.fast.sharing import bytes_of_blocks
from tinyalex.geometry import Windows


def copy_windows(sheet: Array, windows: Windows, out: Array, scratch: Scratch) -> None:
    """Copy what the windows of some output lines see: sheet (..., C, SH, SW, B) to out (..., C, KH, KW, lines, OW, B).

    sheet holds only the SH lines that these windows see. The copy has two steps: first KW shifts of the sheet along the width, then
    KH shifts of the result along the height. So the second and larger step copies long runs: whole lines of all images.
    """
    (kh, kw), (sh, sw), (*channels, height, _, b), (lines, ow) = windows.kernel, windows.stride, sheet.shape, out.shape[-3:-1]
    shifted = scratch((*channels, kw, height, ow, b), sheet.dtype)  # (..., C, KW, SH, OW, B)
    for j in range(kw):
        shifted[..., j, :, :, :] = sheet[..., j : j + sw * (ow - 1) + 1 : sw, :]
    for i in range(kh):
        out[..., i, :, :, :, :] = shifted[..., i : i + sh * (lines - 1) + 1 : sh, :, :]


def im2col(x: Array, windows: Windows, groups: int = 1, scratch: Scratch = NEW_ARRAYS, out: Array | None = None) -> Array:
    """Each window of x (B, C, H, W) as a column of a matrix (G, C/G * KH * KW, OH * OW * B), which is `out` unless that is None."""
    (b, c), (oh, ow), (kh, kw) = x.shape[:2], windows.out, windows.kernel
    sheet = lay_sheet(x, windows, scratch((c, *windows.sheet, b), x.dtype))
    col = matrix(c * kh * kw, oh * ow * b, x.dtype, scratch) if out is None else out
    copy_windows(sheet, windows, col.reshape(c, kh, kw, oh, ow, b), scratch)  # into a view
    return col.reshape(groups, c // groups * kh * kw, oh * ow * b)


class ColumnSum:
    """The transpose of im2col for columns that are computed for some lines of the kernel at a time: dx is the sum of all."""

    def __init__(self, dx: Array, windows: Windows, scratch: Scratch) -> None:
        (b, c), (height, _), (_, ow), (_, kw) = dx.shape[:2], windows.sheet, windows.out, windows.kernel
        self.dx, self.windows, self.scratch = dx, windows, scratch
        self.shifted = scratch((c, kw, height, ow, b), dx.dtype)  # (C, KW, SH, OW, B), as in `copy_windows`
        self.shifted.fill(0)

    def add(self, col: Array, first: int) -> None:
        """Add the columns (C * R * KW, OH * OW * B) of R lines of the kernel, of which `first` is the first."""
        (c, kw, _, ow, b), (oh, sh) = self.shifted.shape, (self.windows.out[0], self.windows.stride[0])
        col = col.reshape(c, -1, kw, oh, ow, b)
        for i in range(col.shape[1]):
            self.shifted[:, :, first + i : first + i + sh * (oh - 1) + 1 : sh] += col[:, i]

    def write(self) -> None:
        """Fill dx (B, C, H, W) with the sum."""
        (c, kw, height, ow, b), sw = self.shifted.shape, self.windows.stride[1]
        (h, w), (top, left) = self.windows.seen, self.windows.before
        sheet = self.scratch((c, height, self.windows.sheet[1], b), self.dx.dtype)  # (C, SH, SW, B)
        sheet.fill(0)
        for j in range(kw):
            sheet[:, :, j : j + sw * (ow - 1) + 1 : sw] += self.shifted[:, j]
        if (h, w) != self.windows.size:
            self.dx.fill(0)  # the gradient of a pixel that no window sees
        images_first(sheet[:, top : top + h, left : left + w], None, self.dx[:, :, :h, :w], self.scratch.xp)


def col2im(col: Array, windows: Windows, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """The transpose of im2col: fill dx (B, C, H, W) with the sum, for each pixel, of the elements of `col` that are its copies."""
    total = ColumnSum(dx, windows, scratch)
    total.add(col, 0)
    total.write()


def conv_forward(
    x: Array, weight: Array, bias: Array | None, windows: Windows, groups: int, out: Array, scratch: Scratch = NEW_ARRAYS
) -> None:
    """`conv2d` of a block: for each group (K/G, C/G * KH * KW) @ (C/G * KH * KW, OH * OW * B). x (B, C, H, W), out (B, K, OH, OW)."""
    xp, k = scratch.xp, len(weight)
    col = im2col(x, windows, groups, scratch)  # (G, C/G * KH * KW, OH * OW * B)
    wide = matrix(k, col.shape[2], x.dtype, scratch)
    xp.matmul(weight.reshape(groups, k // groups, -1), col, out=wide.reshape(groups, k // groups, -1))  # (G, K/G, OH * OW * B)
    images_first(wide.reshape(k, *windows.out, len(x)), None if bias is None else bias[:, None, None], out, xp)


def conv_backward_weight(x: Array, dout: Array, windows: Windows, groups: int, scratch: Scratch = NEW_ARRAYS) -> tuple[Array, Array]:
    """The gradients of a block of images: of weight, transposed, as (G, C/G * KH * KW, K/G), and of bias, as (G, K/G).

    dweight = dout @ col^T. With few filters its transpose, col @ dout^T, is faster, because its first matrix has more rows.
    """
    d = _wide(dout, groups, scratch)  # (G, K/G, OH * OW * B)
    col = im2col(x, windows, groups, scratch)  # (G, C/G * KH * KW, OH * OW * B)
    dweight_t = scratch((groups, col.shape[1], d.shape[1]), x.dtype)
    scratch.xp.matmul(col, d.swapaxes(1, 2), out=dweight_t)
    return dweight_t, d.sum(axis=2)


def conv_backward_input(dout: Array, weight: Array, windows: Windows, groups: int, dx: Array, scratch: Scratch = NEW_ARRAYS) -> None:
    """Fill dx of a block, for any stride: dcol = weight^T @ dout, and dx = col2im(dcol).

    If the columns have more than `COLUMNS` bytes, they are computed for some lines of the kernel at a time.
    """
    (k, c, kh, kw), d = weight.shape, _wide(dout, groups, scratch)  # (G, K/G, OH * OW * B)
    total, of_line = ColumnSum(dx, windows, scratch), groups * c * kw
    at_once = max(1, min(kh, COLUMNS // (of_line * d.shape[2] * dout.itemsize)))
    buffer = matrix(of_line * at_once, d.shape[2], dout.dtype, scratch)
    by_line = weight.reshape(groups, k // groups, c, kh, kw)
    for first in range(0, kh, at_once):
        lines = by_line[:, :, :, first : first + at_once]
        weight_t = lines.reshape(groups, k // groups, -1).swapaxes(1, 2)  # (G, C/G * R * KW, K/G) for R lines of the kernel
        dcol = buffer[: groups * weight_t.shape[1]].reshape(groups, -1, d.shape[2])
        total.add(scratch.xp.matmul(weight_t, d, out=dcol), first)
    total.write()


def turn(weight: Array, groups: int) -> Array:
    """The weights of the convolution that computes dx, if the stride is 1: height and width are reversed, C and K exchanged.

    weight[k, c, i] multiplies x[c, y] in out[k, y - i + before]. So dx[c, y] = sum over k, i of weight[k, c, i] *
    dout[k, y - i + before]. With i' = KH - 1 - i this is a correlation of dout with the turned weights.
    weight (K, C/G, KH, KW), result (C, K/G, KH, KW).
    """
    k, c, kh, kw = weight.shape
    turned = weight.reshape(groups, k // groups, c, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)  # (G, C/G, K/G, KH, KW)
    return turned.reshape(groups * c, k // groups, kh, kw)


def turns(asked: Convolution) -> bool:
    """Whether dx is computed as a correlation with turned weights. Its columns have K channels, those of col2im have C.

    A kernel of 1x1 has no columns, see `pointwise`.
    """
    windows = asked.windows
    cheaper = windows.kernel == (1, 1) or 2 * asked.filters <= 3 * asked.channels
    return windows.stride == (1, 1) and min(windows.turned().before) >= 0 and cheaper


def turned(asked: Convolution, device: Device) -> Convolution:
    """The request for the convolution of dout that computes dx."""
    with device.activate():
        weight = turn(asked.weight, asked.groups)
    return Convolution(asked.plain, weight, None, asked.windows.turned(), asked.groups)


def _wide(dout: Array, groups: int, scratch: Scratch) -> Array:
    """dout (B, K, OH, OW) in the order of the product in `conv_forward`: (G, K/G, OH * OW * B)."""
    b, k, oh, ow = dout.shape
    d = matrix(k, oh * ow * b, dout.dtype, scratch)
    images_last(dout, d.reshape(k, oh, ow, b))
    return d.reshape(groups, k // groups, oh * ow * b)


# The row "im2col" computes blocks of whole images.


def forward(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """The columns and the product of each block of images."""
    out = device.empty(asked.out_shape(len(x)), x.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        conv_forward(x[images], asked.weight, asked.bias, asked.windows, asked.groups, out[images], scratch)
        apply(then, out[images], scratch)

    device.map_blocks(block, len(x), asked.windows.column_bytes(asked.channels, x.dtype.itemsize))
    return out, x


def backward_weight(asked: Convolution, x: Array, dout: Array, device: Device, grads: Grads) -> None:
    """Add the gradients of weight and bias, which are sums over blocks of images."""

    def block(images: slice, scratch: Scratch) -> tuple[Array, Array]:
        return conv_backward_weight(x[images], dout[images], asked.windows, asked.groups, scratch)

    dweight_t, dbias = device.map_blocks(block, len(x), asked.windows.column_bytes(asked.channels, x.dtype.itemsize))
    add_gradients(grads, dweight_t.swapaxes(1, 2), dbias, device)


def backward_input(asked: Convolution, dout: Array, device: Device) -> Array:
    """dx by col2im in blocks of images, for any stride and padding."""
    dx = device.empty(asked.x_shape(len(dout)), dout.dtype)

    def block(images: slice, scratch: Scratch) -> None:
        conv_backward_input(dout[images], asked.weight, asked.windows, asked.groups, dx[images], scratch)

    device.map_blocks(block, len(dout), asked.windows.column_bytes(asked.channels, dout.dtype.itemsize))
    return dx


def scratch_bytes(asked: Convolution, n: int, backward: bool, workers: int | None) -> int:
    """See `Row`."""
    item, (h, w), (oh, ow) = asked.weight.dtype.itemsize, asked.windows.size, asked.windows.out
    image = columns_of_image(asked.windows, asked.channels) + asked.filters * oh * ow + backward * asked.channels * h * w
    return bytes_of_blocks(image * item, size_of(asked.weight) * item * backward, n, workers)


# The row "few" computes the columns of a few images in blocks of channels, and multiplies them in blocks of filters.


def is_few(asked: Convolution, n: int) -> bool:
    """Whether there are too few images to give each worker a block of them."""
    return n < FEWEST_BLOCKS


def forward_few(asked: Convolution, x: Array, device: Device, then: Then | None = None) -> tuple[Array, Array]:
    """First the columns, in blocks of channels; then the products of all columns with blocks of filters."""
    weight, windows, groups = asked.weight, asked.windows, asked.groups
    out = device.empty(asked.out_shape(len(x)), x.dtype)
    of_channel, of_group = math.prod(windows.kernel), len(weight) // groups
    columns = matrix(x.shape[1] * of_channel, len(x) * math.prod(windows.out), x.dtype, device.empty)
    by_group = columns.reshape(groups, -1, columns.shape[1])
    parts = min(of_group, max(1, FEWEST_BLOCKS // groups))  # blocks of filters in each group

    def lay_out(channels: slice, scratch: Scratch) -> None:
        im2col(x[:, channels], windows, 1, scratch, columns[channels.start * of_channel : channels.stop * of_channel])

    def multiply(blocks: slice, scratch: Scratch) -> None:
        for group, part in (divmod(block, parts) for block in range(blocks.start, blocks.stop)):
            filters = slice(group * of_group + part * of_group // parts, group * of_group + (part + 1) * of_group // parts)
            wide = matrix(filters.stop - filters.start, columns.shape[1], x.dtype, scratch)
            scratch.xp.matmul(weight[filters].reshape(len(wide), -1), by_group[group], out=wide)
            shift = None if asked.bias is None else asked.bias[filters, None, None]
            images_first(wide.reshape(len(wide), *windows.out, len(x)), shift, out[:, filters], scratch.xp)
            apply(then, out[:, filters], scratch)

    device.map_blocks(lay_out, x.shape[1], of_channel * columns.shape[1] * x.dtype.itemsize)
    device.map_blocks(multiply, groups * parts, size=1)
    return out, x

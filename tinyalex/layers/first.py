"""The convolution of a net's input images, which leaves its output with the images innermost in memory.

The columns of one line of the output lie in memory already, if only the shifts along the width are made: with
shifted[line, c, j, x] = sheet[c, line, sw x + j], what the windows of line y see is shifted[sh y : sh y + KH], one after the
other as the KH * C * KW rows of a matrix. A row of ones for each line makes the bias a weight of the first of them.
"""

from __future__ import annotations

from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import require_int
from tinyalex.geometry import Windows
from tinyalex.layers.base import Then, apply
from tinyalex.layers.chwn import chwn, empty_chwn
from tinyalex.layers.conv import Conv2d
from tinyalex.layers.windows import GAP, SMALL_PRODUCT, lay_sheet


def lay_sheets(x: Array, windows: Windows, device: Device) -> Array:
    """What the windows see of all images x (N, C, H, W), with zeros around it: (C, SH, SW, N)."""
    sheet = device.empty((x.shape[1], *windows.sheet, len(x)), x.dtype)

    def block(images: slice, _: Scratch) -> None:
        lay_sheet(x[images], windows, sheet[..., images])

    device.map_blocks(block, len(x), size=device.few_blocks(len(x), sheet[..., :1].nbytes))
    return sheet


def shifted_lines(sheet: Array, windows: Windows, groups: int, lines: slice, scratch: Scratch) -> Array:
    """What some lines of the output see: (G, rows of the sheet, C/G * KW + 1, OW * N), a row of ones below each."""
    (c, _, _, n), ow, (kh, kw), (sh, sw) = sheet.shape, windows.out[1], windows.kernel, windows.stride
    seen = sheet[:, lines.start * sh : (lines.stop - 1) * sh + kh]
    shifted = scratch((groups, seen.shape[1], c // groups * kw + 1, ow * n + GAP), sheet.dtype)[..., : ow * n]
    shifted[:, :, -1].fill(1)
    by_shift = shifted[:, :, :-1].reshape(groups, -1, c // groups, kw, ow, n)  # a view
    of_group = seen.reshape(groups, c // groups, *seen.shape[1:]).swapaxes(1, 2)
    for j in range(kw):
        by_shift[:, :, :, j] = of_group[:, :, :, j : j + sw * (ow - 1) + 1 : sw]
    return shifted


def line_weights(weight: Array, bias: Array, groups: int, device: Device) -> Array:
    """Both as the rows that multiply such lines: (G, K/G, KH * (C/G * KW + 1))."""
    k, c, kh, kw = weight.shape
    with device.activate():
        both = device.zeros((groups, k // groups, kh, c * kw + 1), weight.dtype)
        both[..., :-1] = weight.transpose(0, 2, 1, 3).reshape(groups, k // groups, kh, c * kw)
        both[:, :, 0, -1] = bias.reshape(groups, -1)
    return both.reshape(groups, k // groups, -1)


def pieces_of_line(width: int, product: int) -> int:
    """Into how many pieces a line is cut, so that OpenBLAS multiplies them without copying operands; `product`: of one place."""
    return next(n for n in range(1, width + 1) if width % n == 0 and (n == width or width // n * product <= SMALL_PRODUCT))


def in_pieces(lines: Array, pieces: int) -> Array:
    """Lines (G, A, B, L) as matrices (pieces, G, A * B, L / pieces), a view."""
    g, a, b, length = lines.shape
    return lines.reshape(g, a * b, pieces, length // pieces).transpose(2, 0, 1, 3)


class FirstConv2d(Conv2d):
    """The first layer of a net: a `Conv2d` that returns no dx, and leaves images innermost in memory for a pooling that follows.

    Paper: section 3.5; conv1 of the net of Figure 1. The 2012 code had the images of every layer innermost.

    The product of a line, (K, KH*C*KW) @ (KH*C*KW, OW*N), then writes its output where it stays and finds dout where it needs it:
    what Conv2d copies to turn the images outward and back stays as it is. A block is some lines of the output of all images.

    Parameters, Raises: as Conv2d, without `algorithm` and `input_gradient`.
    least_images: batches of fewer images are done as in Conv2d, at least 1; what lies innermost must be long.

    Cache: the images with their padding, (C, SH, SW, N).

    Gradient: that of weight and bias together is col @ dout^T, see `conv_backward_weight`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, *, least_images: int = 32, name: str = "conv1", **settings: Any
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, name=name, input_gradient=False, **settings)
        self.least_images = require_int(name, "least_images", least_images)

    def chosen(self, windows: Windows, n: int) -> str:
        return "im2col"

    def forward(self, x: Array, *, train: bool = False, then: Then | None = None) -> Array:
        self.check_x(x, "N C H W")
        if len(x) < self.least_images:
            return super().forward(x, train=train, then=then)
        windows, (sh, _), (kh, _) = self.windows(x.shape[1:]), self.stride, self.kernel_size
        weights = line_weights(self.params["weight"], self.params["bias"], self.groups, self.device)
        pieces = pieces_of_line(windows.out[1], weights[0].size * len(x))
        sheet, out = lay_sheets(x, windows, self.device), empty_chwn(self.device, (len(x), self.out_channels, *windows.out), self.dtype)

        def block(lines: slice, scratch: Scratch) -> None:
            shifted = shifted_lines(sheet, windows, self.groups, lines, scratch)
            for i in range(lines.stop - lines.start):
                seen = in_pieces(shifted[:, i * sh : i * sh + kh], pieces)
                of_line = in_pieces(chwn(out)[:, lines.start + i].reshape(self.groups, -1, 1, shifted.shape[3]), pieces)
                scratch.xp.matmul(weights, seen, out=of_line)
            apply(then, chwn(out)[:, lines], scratch)

        self.device.map_blocks(block, windows.out[0], size=self.device.few_blocks(windows.out[0], self.line_bytes(windows, len(x))))
        if train:
            self.keep(out.shape, sheet, windows)
        return out

    def backward(self, dout: Array) -> None:
        if self.kept()[0][0] < self.least_images:
            super().backward(dout)
            return
        sheet, windows = self.take(dout)
        d, (sh, _), (kh, kw) = chwn(dout), self.stride, self.kernel_size
        c, k = self.in_channels // self.groups, self.out_channels // self.groups

        def block(lines: slice, scratch: Scratch) -> tuple[Array]:
            shifted = shifted_lines(sheet, windows, self.groups, lines, scratch)
            sums, of_line = (scratch((self.groups, kh * (c * kw + 1), k), self.dtype) for _ in range(2))
            for i in range(lines.stop - lines.start):
                seen = shifted[:, i * sh : i * sh + kh].reshape(self.groups, -1, shifted.shape[3])
                dout_t = d[:, lines.start + i].reshape(self.groups, k, -1).swapaxes(1, 2)
                scratch.xp.matmul(seen, dout_t, out=of_line if i else sums)
                if i:
                    sums += of_line
            return (sums,)

        size = self.device.few_blocks(windows.out[0], self.line_bytes(windows, len(dout)), summed=True)
        (sums,) = self.device.map_blocks(block, windows.out[0], size=size)
        sums = sums.reshape(self.groups, kh, c * kw + 1, k)
        self.add_grad("weight", sums[:, :, :-1].reshape(self.groups, kh, c, kw, k).transpose(0, 4, 2, 1, 3))
        self.add_grad("bias", sums[:, 0, -1])

    def line_bytes(self, windows: Windows, n: int) -> int:
        """Bytes of working memory for a line of the output of n images."""
        return (self.in_channels * self.kernel_size[1] + self.groups) * windows.out[1] * n * self.dtype.itemsize * self.stride[0]

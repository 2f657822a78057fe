"""The convolution of a net's input images, which leaves its output with the images innermost in memory."""

from __future__ import annotations

from typing import Any

from tinyalex.devices import Array, Device, Scratch
from tinyalex.errors import require_int
from tinyalex.layers.chwn import chwn, empty_chwn
from tinyalex.layers.conv import Conv2d
from tinyalex.layers.strips import columns_of, weight_and_bias
from tinyalex.layers.windows import Windows, lay_sheet


def lay_sheets(x: Array, windows: Windows, device: Device) -> Array:
    """What the windows see of all images x (N, C, H, W), with zeros around it: (C, SH, SW, N)."""
    sheet = device.empty((x.shape[1], *windows.sheet, len(x)), x.dtype)

    def block(images: slice, _: Scratch) -> None:
        lay_sheet(x[images], windows, sheet[..., images])

    device.map_blocks(block, len(x), size=device.few_blocks(len(x), sheet[..., :1].nbytes))
    return sheet


class FirstConv2d(Conv2d):
    """The first layer of a net: a `Conv2d` that returns no dx, and leaves images innermost in memory for a pooling that follows.

    Paper: section 3.5; conv1 of the net of Figure 1. The 2012 code had the images of every layer innermost.

    The product (K, C*KH*KW) @ (C*KH*KW, OH*OW*N) then writes its output where it stays and finds dout where it needs it: what
    Conv2d copies to turn the images outward and back stays as it is. The bias is one more weight, of an input that is always 1.
    A block is some lines of the output of all images.

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

    def forward(self, x: Array, *, train: bool = False) -> Array:
        self.check_x(x, "N C H W")
        if len(x) < self.least_images:
            return super().forward(x, train=train)
        windows, by_group = self.windows(x.shape[1:]), (self.groups, self.out_channels // self.groups, -1)
        weights = weight_and_bias(self.params["weight"], self.params["bias"], self.groups, self.device)
        sheet, out = lay_sheets(x, windows, self.device), empty_chwn(self.device, (len(x), self.out_channels, *windows.out), self.dtype)

        def block(lines: slice, scratch: Scratch) -> None:
            col = columns_of(sheet, windows, self.groups, lines, scratch)
            scratch.xp.matmul(weights, col, out=chwn(out)[:, lines].reshape(by_group))  # a view of out

        self.device.map_blocks(block, windows.out[0], size=self.device.few_blocks(windows.out[0], self._line_bytes(windows, len(x))))
        if train:
            self.keep(out.shape, sheet, windows)
        return out

    def backward(self, dout: Array) -> None:
        if self.kept()[0][0] < self.least_images:
            super().backward(dout)
            return
        sheet, windows = self.take(dout)
        d, filters = chwn(dout), self.out_channels // self.groups

        def block(lines: slice, scratch: Scratch) -> tuple[Array]:
            col = columns_of(sheet, windows, self.groups, lines, scratch)
            dweights_t = scratch((self.groups, col.shape[1], filters), self.dtype)
            scratch.xp.matmul(col, d[:, lines].reshape(self.groups, filters, -1).swapaxes(1, 2), out=dweights_t)
            return (dweights_t,)

        size = self.device.few_blocks(windows.out[0], self._line_bytes(windows, len(dout)), summed=True)
        (dweights_t,) = self.device.map_blocks(block, windows.out[0], size=size)
        self.add_grad("weight", dweights_t[:, :-1].swapaxes(1, 2))
        self.add_grad("bias", dweights_t[:, -1])

    def _line_bytes(self, windows: Windows, n: int) -> int:
        return windows.column_bytes(self.in_channels, self.dtype.itemsize) // windows.out[0] * n

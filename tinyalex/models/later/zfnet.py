"""ZFNet (Zeiler and Fergus 2013): AlexNet's structure with a smaller first kernel and stride, which keep more of the fine structure."""

from __future__ import annotations

from tinyalex.models.later.rows import conv_relu, hidden, linear, row
from tinyalex.models.rows import Rows


def zfnet(classes: int = 1000, *, filters: tuple[int, int, int] = (384, 384, 256)) -> Rows:
    """The net of the paper's Figure 3. filters: of conv3, conv4 and conv5; the lecture's net has 512, 1024 and 512."""
    third, fourth, fifth = filters
    return (
        *conv_relu("conv1", 96, 7, 2, 1),
        row("pool", "pool1", kernel_size=3, stride=2, ceil_mode=True),
        row("norm", "norm1"),
        *conv_relu("conv2", 256, 5, 2, 0),
        row("pool", "pool2", kernel_size=3, stride=2, ceil_mode=True),
        row("norm", "norm2"),
        *conv_relu("conv3", third, 3),
        *conv_relu("conv4", fourth, 3),
        *conv_relu("conv5", fifth, 3),
        row("pool", "pool5", kernel_size=3, stride=2, ceil_mode=True),
        row("flatten", "flatten"),
        *hidden("6", 4096),
        *hidden("7", 4096),
        linear("fc8", classes),
    )

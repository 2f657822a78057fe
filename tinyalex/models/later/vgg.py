"""VGG (Simonyan and Zisserman 2014): only 3x3 convolutions and 2x2 pooling, and twice the filters where the maps are halved."""

from __future__ import annotations

from tinyalex.errors import require_choice
from tinyalex.models.later.rows import conv, conv_relu, hidden, linear, row
from tinyalex.models.rows import Row, Rows

FILTERS = (64, 128, 256, 512, 512)  # of the five stages
DEPTHS: dict[int, tuple[int, ...]] = {  # the paper's columns A, B, D and E: how many convolutions in each stage
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


def vgg(depth: int, classes: int = 1000, *, bn: bool = False) -> Rows:
    """VGG of 11, 13, 16 or 19 layers with weights. bn: with batch normalization behind every convolution, which keeps its biases."""
    rows: list[Row] = []
    counts = DEPTHS[require_choice("vgg", "depth", depth, tuple(DEPTHS))]
    for stage, (count, filters) in enumerate(zip(counts, FILTERS, strict=True), 1):
        for i in range(1, count + 1):
            name = f"conv{stage}_{i}"
            if bn:
                rows += [conv(name, filters, 3), row("bn", f"{name}.bn"), row("relu", f"{name}.relu")]
            else:
                rows += conv_relu(name, filters, 3)
        rows.append(row("pool", f"pool{stage}", kernel_size=2, stride=2))
    return (*rows, row("flatten", "flatten"), *hidden("6", 4096), *hidden("7", 4096), linear("fc8", classes))

"""DenseNet (Huang et al. 2016): every layer reads the outputs of all layers before it in its block, and adds few maps to them."""

from __future__ import annotations

from collections.abc import Sequence

from tinyalex.errors import require_choice
from tinyalex.models.later.rows import branches, conv, linear, row
from tinyalex.models.rows import Row, Rows

DEPTHS: dict[int, tuple[int, ...]] = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32)}  # table 1: how many layers in each block


def densenet(depth: int, classes: int = 1000) -> Rows:
    """DenseNet of 121 or 169 layers."""
    return densenet_of(DEPTHS[require_choice("densenet", "depth", depth, tuple(DEPTHS))], classes)


def densenet_of(counts: Sequence[int], classes: int, *, growth: int = 32) -> Rows:
    """A net of blocks with so many layers each. growth: how many maps a layer adds."""
    channels = 2 * growth
    rows: list[Row] = [
        conv("conv1", channels, 7, 2, bias=False),
        row("bn", "bn1"),
        row("relu", "relu1"),
        row("pool", "pool1", kernel_size=3, stride=2, padding=1),
    ]
    for block, count in enumerate(counts, 1):
        if block > 1:
            channels //= 2
            rows += transition(f"transition{block - 1}", channels)
        rows += [layer(f"block{block}.{i}", growth) for i in range(1, count + 1)]
        channels += count * growth
    return (*rows, row("bn", "bn5"), row("relu", "relu5"), row("global_pool", "pool5"), linear("fc", classes))


def layer(name: str, growth: int) -> Row:
    """x, and beside it the maps of a bottleneck whose normalization and ReLU come before each convolution."""
    path = (
        row("bn", f"{name}.bn1"),
        row("relu", f"{name}.relu1"),
        conv(f"{name}.conv1", 4 * growth, 1, bias=False),
        row("bn", f"{name}.bn2"),
        row("relu", f"{name}.relu2"),
        conv(f"{name}.conv2", growth, 3, bias=False),
    )
    return branches(name, "concat", (), path)


def transition(name: str, channels: int) -> Rows:
    """Half of the channels and of the height and width."""
    compressed = conv(f"{name}.conv", channels, 1, bias=False)
    return row("bn", f"{name}.bn"), row("relu", f"{name}.relu"), compressed, row("mean_pool", f"{name}.pool", kernel_size=2, stride=2)

"""Residual networks (He et al. 2015): y = f(x) + x, so that a block only learns what to add, and gradients pass the sums undiminished.

A block of kind "basic" has two convolutions of 3x3; a "bottleneck" has 1x1, which makes the maps few, 3x3, and 1x1, which makes them four
times as many again. The first block of every stage but the first halves the maps; its shortcut is a projection of 1x1 (option B), or has
no parameters (option A).
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyalex.errors import require_choice
from tinyalex.models.later.rows import branches, conv, conv_bn, conv_bn_relu, row
from tinyalex.models.rows import Row, Rows

DEPTHS: dict[int, tuple[str, tuple[int, ...]]] = {  # table 1 of the paper: the kind of block, and how many in each stage
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


def stem() -> Rows:
    """The first layers, which leave 56x56 of 224x224."""
    return (*conv_bn_relu("conv1", 64, 7, 2), row("pool", "pool1", kernel_size=3, stride=2, padding=1))


def head(classes: int) -> Rows:
    """The mean of each map, and the classes."""
    return row("global_pool", "pool5"), row("linear", "fc", out_features=classes)


def basic(name: str, k: int, stride: int) -> Rows:
    """Two convolutions of 3x3 with k filters."""
    return *conv_bn_relu(f"{name}.conv1", k, 3, stride), *conv_bn(f"{name}.conv2", k, 3)


def bottleneck(name: str, k: int, stride: int, *, wide: int = 1, first: bool = False, gate: Rows = ()) -> Rows:
    """1x1 with k filters, 3x3, and 1x1 with 4 k. first: whether the 1x1 has the stride, as in the paper; else the 3x3 (v1.5)."""
    one, three = (stride, 1) if first else (1, stride)
    return (
        *conv_bn_relu(f"{name}.conv1", k * wide, 1, one),
        *conv_bn_relu(f"{name}.conv2", k * wide, 3, three),
        *conv_bn(f"{name}.conv3", 4 * k, 1),
        *gate,
    )


def block(name: str, path: Rows, filters: int, stride: int, changes: bool, option: str = "B") -> Rows:
    """relu(f(x) + x). Where the shape changes, option "B" adds a projection of x, and "A" every second pixel beside channels of zeros."""
    shortcut: Rows = ()
    if changes and option == "A":
        shortcut = (row("shortcut", f"{name}.shortcut", channels=filters, stride=stride),)
    elif changes:
        shortcut = conv_bn(f"{name}.project", filters, 1, stride)
    return branches(name, "sum", path, shortcut), row("relu", f"{name}.relu")


def stages(kind: str, counts: Sequence[int], *, wide: int = 1, first: bool = False, se: int = 0, option: str = "B") -> Rows:
    """All blocks. wide, first: as in `bottleneck`. se: the reduction of squeeze-and-excitation, 0 for none. option: as in `block`."""
    rows: list[Row] = []
    for stage, count in enumerate(counts):
        k, grows = 64 * 2**stage, 4 if kind == "bottleneck" else 1
        for i in range(count):
            name, stride = f"stage{stage + 1}.{i + 1}", 2 if stage and not i else 1
            if kind == "basic":
                path = basic(name, k, stride)
            else:
                path = bottleneck(name, k, stride, wide=wide, first=first, gate=squeeze(name, 4 * k, se) if se else ())
            rows += block(name, path, grows * k, stride, not i and (stage > 0 or kind == "bottleneck"), option)
    return tuple(rows)


def squeeze(name: str, channels: int, reduction: int) -> Rows:
    """Squeeze-and-excitation (Hu et al. 2017): each map times a number from 0 to 1 that the means of all maps decide."""
    gate = (
        row("global_pool", f"{name}.squeeze"),
        row("linear", f"{name}.reduce", out_features=channels // reduction),
        row("relu", f"{name}.reduce.relu"),
        row("linear", f"{name}.excite", out_features=channels),
        row("sigmoid", f"{name}.gate"),
    )
    return (branches(f"{name}.se", "product", (), gate),)


def resnet(depth: int, classes: int = 1000, *, wide: int = 1, first: bool = False, se: int = 0, option: str = "B") -> Rows:
    """ResNet of 18, 34, 50, 101 or 152 layers; wide=2: Wide ResNet; first: the paper's stride; se=16: SE-ResNet; option: see `block`."""
    kind, counts = DEPTHS[require_choice("resnet", "depth", depth, tuple(DEPTHS))]
    require_choice("resnet", "option", option, ("A", "B"))
    return (*stem(), *stages(kind, counts, wide=wide, first=first, se=se, option=option), *head(classes))


def preactivation(depth: int, classes: int = 1000) -> Rows:
    """Identity mappings (He et al. 2016): batch normalization and ReLU come before each convolution, so nothing stands on the shortcut.

    The projection reads what the first ReLU gives; the stem has no normalization, and one more stands in front of the head.
    """
    kind, counts = DEPTHS[require_choice("preresnet", "depth", depth, tuple(DEPTHS))]
    rows: list[Row] = [conv("conv1", 64, 7, 2, bias=False), row("pool", "pool1", kernel_size=3, stride=2, padding=1)]
    for stage, count in enumerate(counts):
        k, grows = 64 * 2**stage, 4 if kind == "bottleneck" else 1
        for i in range(count):
            name, stride = f"stage{stage + 1}.{i + 1}", 2 if stage and not i else 1
            before = row("bn", f"{name}.bn1"), row("relu", f"{name}.relu1")
            path = preactivated(name, kind, k, stride)
            if not i and (stage or grows > 1):
                rows += [*before, branches(name, "sum", path, (conv(f"{name}.project", grows * k, 1, stride, bias=False),))]
            else:
                rows.append(branches(name, "sum", (*before, *path), ()))
    return (*rows, row("bn", "bn5"), row("relu", "relu5"), *head(classes))


def preactivated(name: str, kind: str, k: int, stride: int) -> Rows:
    """The path of a block behind its first normalization and ReLU."""
    if kind == "basic":
        sizes = [(k, 3, stride), (k, 3, 1)]
    else:
        sizes = [(k, 1, 1), (k, 3, stride), (4 * k, 1, 1)]
    rows: list[Row] = []
    for i, (filters, kernel, step) in enumerate(sizes, 1):
        if i > 1:
            rows += [row("bn", f"{name}.bn{i}"), row("relu", f"{name}.relu{i}")]
        rows.append(conv(f"{name}.conv{i}", filters, kernel, step, bias=False))
    return tuple(rows)

"""The residual networks for CIFAR-10 (He et al. 2015, section 4.2) and their plain twins, which show that deeper alone trains worse.

6 n + 2 layers: a convolution, three stages of n blocks with 16, 32 and 64 filters on maps of 32x32, 16x16 and 8x8, the mean, the classes.
"""

from __future__ import annotations

from tinyalex.errors import ShapeError, require_choice, require_int
from tinyalex.models.later.resnet import basic, block
from tinyalex.models.later.rows import conv_bn_relu, linear, row
from tinyalex.models.rows import Row, Rows

DEPTHS = (20, 32, 44, 56, 110)


def cifar_resnet(depth: int, classes: int = 10, *, option: str = "A", plain: bool = False) -> Rows:
    """depth: 6 n + 2. option: "A", a shortcut without parameters, as in the paper, or "B", a projection. plain: without shortcuts."""
    require_choice("resnet", "option", option, ("A", "B"))
    if require_int("resnet", "depth", depth, least=8) % 6 != 2:
        rule = "resnet: depth must be 6 n + 2 for CIFAR-10, that is two layers in each of n blocks of three stages, and two more"
        raise ShapeError(f"{rule}, got {depth}; the paper has {', '.join(map(str, DEPTHS))}")
    rows: list[Row] = [*conv_bn_relu("conv1", 16, 3)]
    for stage, filters in enumerate((16, 32, 64), 1):
        for i in range(1, (depth - 2) // 6 + 1):
            changes = stage > 1 and i == 1
            name, stride = f"stage{stage}.{i}", 2 if changes else 1
            path = basic(name, filters, stride)
            if plain:
                rows += [*path, row("relu", f"{name}.relu")]
            else:
                rows += block(name, path, filters, stride, changes, option)
    return (*rows, row("global_pool", "pool"), linear("fc", classes))

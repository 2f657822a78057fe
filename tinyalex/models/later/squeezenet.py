"""SqueezeNet (Iandola et al. 2016): fire modules, in which 1x1 convolutions make the maps few before 1x1 and 3x3 make them many again."""

from __future__ import annotations

from tinyalex.models.later.rows import branches, conv_relu, row
from tinyalex.models.rows import Row, Rows

FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}  # squeezed, expanded
POOLS_BEFORE = {"1.0": (2, 5, 9), "1.1": (2, 4, 6)}  # the fire modules in front of which the maps are halved


def squeezenet(version: str, classes: int = 1000) -> Rows:
    """Version "1.0" is the paper's; "1.1" has a smaller first convolution and pools earlier, for 2.3 times fewer multiplications."""
    rows: list[Row] = [*(conv_relu("conv1", 96, 7, 2, 0) if version == "1.0" else conv_relu("conv1", 64, 3, 2, 0))]
    for number in FIRES:
        if number in POOLS_BEFORE[version]:
            rows.append(row("pool", f"pool{number - 1}", kernel_size=3, stride=2, ceil_mode=True))
        rows += fire(f"fire{number}", *FIRES[number])
    last = conv_relu("conv10", classes, 1)
    return (*rows, row("dropout", "drop9", p=0.5, scale="train"), *last, row("global_pool", "pool10"))


def fire(name: str, squeezed: int, expanded: int) -> Rows:
    """1x1, and then 1x1 and 3x3 side by side."""
    both = conv_relu(f"{name}.1x1", expanded, 1), conv_relu(f"{name}.3x3", expanded, 3)
    return *conv_relu(f"{name}.squeeze", squeezed, 1), branches(name, "concat", *both)

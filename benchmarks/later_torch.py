"""The rows of a network after AlexNet as modules of PyTorch, with the shapes of given weights."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import Arrays
from tinyalex.models.rows import Row, Rows

DOT = "__"  # stands for the dot in a layer's name, which PyTorch does not allow in a module's


def later_torch(rows: Rows, weights: Arrays) -> Any:
    """A net whose weights have no values yet; `steps.own_name` gives the names that its parameters have in tinyalex."""
    import torch
    from torch import nn

    class Sum(nn.Module):
        """The sum of two paths; a path of no layers passes x on."""

        def __init__(self, first: nn.Module, second: nn.Module) -> None:
            super().__init__()
            self.first, self.second = first, second

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            total: torch.Tensor = self.first(x) + self.second(x)
            return total

    def module(row: Row) -> nn.Module:
        settings = {key: value for key, value in row.settings.items() if key in ("kernel_size", "stride", "padding")}
        shape = weights[f"{row.name}.weight"].shape if f"{row.name}.weight" in weights else ()
        if row.kind == "conv":
            return nn.Conv2d(shape[1], shape[0], **settings, bias=f"{row.name}.bias" in weights)
        if row.kind == "linear":
            return nn.Linear(shape[1], shape[0])
        if row.kind == "branches":
            assert row["merge"] == "sum"
            return Sum(*(net(path) for path in row["paths"]))
        made: nn.Module = {
            "bn": lambda: nn.BatchNorm2d(shape[0]),
            "relu": lambda: nn.ReLU(inplace=True),
            "pool": lambda: nn.MaxPool2d(**settings),
            "global_pool": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "flatten": nn.Flatten,
            "dropout": lambda: nn.Dropout(row["p"]),
        }[row.kind]()
        return made

    def net(rows: Rows) -> nn.Module:
        made = nn.Sequential()
        for row in rows:
            made.add_module(row.name.replace(".", DOT), module(row))
        return made

    return net(rows)

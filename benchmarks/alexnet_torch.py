"""The paper's AlexNet made of PyTorch's own modules, with the shapes of given weights."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import Arrays

GROUPS = 2  # of response normalization, which does not cross the border of the towers


def alexnet_torch(weights: Arrays, lrn: bool = True, dropout: bool = True) -> Any:
    """A net whose weights have no values yet. Its parameters have the names that they have in tinyalex."""
    import torch
    from torch import nn

    class TwoGroups(nn.Module):
        """Response normalization in two groups. Each half of the channels is viewed as a separate image, so nothing is copied."""

        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # PyTorch divides alpha by n, the paper does not

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, c, h, w = x.shape
            out: torch.Tensor = self.norm(x.reshape(GROUPS * n, c // GROUPS, h, w)).reshape(n, c, h, w)
            return out

    net, channels = nn.Sequential(), 3

    def conv(stage: int, stride: int = 1, padding: int = 0) -> None:
        nonlocal channels
        filters, seen, kernel, _ = weights[f"conv{stage}.weight"].shape
        net.add_module(f"conv{stage}", nn.Conv2d(channels, filters, kernel, stride, padding, groups=channels // seen))
        net.add_module(f"relu{stage}", nn.ReLU(inplace=True))
        if lrn and stage < 3:
            net.add_module(f"norm{stage}", TwoGroups())
        if stage in (1, 2, 5):
            net.add_module(f"pool{stage}", nn.MaxPool2d(3, 2))
        channels = filters

    conv(1, stride=4)
    conv(2, padding=2)
    for stage in (3, 4, 5):
        conv(stage, padding=1)
    net.add_module("flatten5", nn.Flatten())
    for layer in ("fc6", "fc7", "fc8"):
        units, features = weights[f"{layer}.weight"].shape
        net.add_module(layer, nn.Linear(features, units))
        if layer != "fc8":
            net.add_module(f"relu_{layer}", nn.ReLU(inplace=True))
            if dropout:
                net.add_module(f"drop_{layer}", nn.Dropout(0.5))
    return net

"""GoogLeNet (Szegedy et al. 2014): modules of four paths, of which 1x1 convolutions keep the expensive ones narrow.

A path of 3x3 or 5x5 first makes the maps few. Two auxiliary heads read the net in the middle while it trains, so that a gradient of few
layers reaches the lower layers; their losses count 0.3 each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tinyalex.models.later.rows import branches, conv_bn_relu, conv_relu, linear, row
from tinyalex.models.rows import Row, Rows

MODULES: dict[str, tuple[int, ...]] = {  # table 1: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; behind the pooling
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
Unit = Callable[..., Rows]  # a convolution and what follows it


def googlenet(classes: int = 1000, *, bn: bool = False, heads: bool = False, torchvision: bool = False) -> Rows:
    """The net of table 1. bn: with batch normalization in the place of biases and response normalization. heads: with both heads.

    torchvision: 3x3 in the place of 5x5, the last pooling 2x2, and batch normalization with eps 0.001.
    """
    unit: Unit = partial(conv_bn_relu, eps=1e-3) if torchvision else conv_bn_relu if bn else conv_relu
    of = partial(module, unit, 3 if torchvision else 5)
    bottom = (*_stem(unit, normalizes=not bn and not torchvision), of("3a"), of("3b"), _pool("pool3"), of("4a"))
    middle = (of("4b"), of("4c"), of("4d"))
    top = (of("4e"), _pool("pool4", 2 if torchvision else 3), of("5a"), of("5b"), *_head(classes))
    if not heads:
        return *bottom, *middle, *top
    second = branches("head2", "both", top, auxiliary(unit, "aux2", classes))
    return *bottom, branches("head1", "both", (*middle, second), auxiliary(unit, "aux1", classes))


def _stem(unit: Unit, normalizes: bool) -> Rows:
    """From 224x224 to 28x28 in few layers."""
    lrn = {"n": 5, "k": 1.0, "alpha": 1e-4, "beta": 0.75, "alpha_over_n": True}  # as in Caffe's file of this net
    return (
        *unit("conv1", 64, 7, 2),
        _pool("pool1"),
        *((row("norm", "norm1", **lrn),) if normalizes else ()),
        *unit("conv2.reduce", 64, 1),
        *unit("conv2", 192, 3),
        *((row("norm", "norm2", **lrn),) if normalizes else ()),
        _pool("pool2"),
    )


def module(unit: Unit, large: int, name: str) -> Row:
    """Four paths side by side. large: the kernel of the third path."""
    one, reduce3, three, reduce5, five, projected = MODULES[name]
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", one, 1),
        (*unit(f"{name}.3x3.reduce", reduce3, 1), *unit(f"{name}.3x3", three, 3)),
        (*unit(f"{name}.5x5.reduce", reduce5, 1), *unit(f"{name}.5x5", five, large)),
        (row("pool", f"{name}.pool", kernel_size=3, stride=1, padding=1), *unit(f"{name}.project", projected, 1)),
    )


def _head(classes: int) -> Rows:
    return row("global_pool", "pool5"), row("dropout", "drop", p=0.4, scale="train"), linear("fc", classes)


def auxiliary(unit: Unit, name: str, classes: int) -> Rows:
    """A head that reads the maps in the middle of the net."""
    return (
        row("mean_pool", f"{name}.pool", kernel_size=5, stride=3),
        *unit(f"{name}.conv", 128, 1),
        row("flatten", f"{name}.flatten"),
        linear(f"{name}.fc1", 1024, relu=True),
        row("relu", f"{name}.relu"),
        row("dropout", f"{name}.drop", p=0.7, scale="train"),
        linear(f"{name}.fc2", classes),
    )


def _pool(name: str, kernel: int = 3) -> Row:
    return row("pool", name, kernel_size=kernel, stride=2, ceil_mode=True)

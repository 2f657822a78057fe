"""Nets that the paper builds on and cites: Ciresan's columns (2011 and 2012), and Jarrett's stages (2009)."""

from __future__ import annotations

from tinyalex.init import FanIn
from tinyalex.models.later.rows import branches, conv, row
from tinyalex.models.rows import Row, Rows

LECUN = FanIn(1.0)  # keeps the variance of the signal in front of tanh
TANH = {"a": 1.7159, "b": 2 / 3}


def column(classes: int = 10, *, name: str = "") -> Rows:
    """One column for CIFAR-10: 3x32x32-300C3-MP2-300C2-MP2-300C3-MP2-300C2-MP2-300N-100N-10N. name: the beginning of its layers' names."""
    rows: list[Row] = []
    for i, kernel in enumerate((3, 2, 3, 2), 1):
        rows += [
            conv(f"{name}conv{i}", 300, kernel, padding=0, weight_init=LECUN),
            row("tanh", f"{name}tanh{i}", **TANH),
            row("pool", f"{name}pool{i}", kernel_size=2, stride=2, ceil_mode=True),
        ]
    rows.append(row("flatten", f"{name}flatten"))
    for i, units in enumerate((300, 100), 5):
        rows += [row("linear", f"{name}fc{i}", out_features=units, weight_init=LECUN), row("tanh", f"{name}tanh{i}", **TANH)]
    return (*rows, row("linear", f"{name}fc7", out_features=classes, weight_init=LECUN))


def columns(count: int, classes: int = 10) -> Rows:
    """`count` columns, each a whole net, and the mean of what they give."""
    paths = (column(classes, name=f"column{i}.") for i in range(1, count + 1))
    return branches("columns", "sum", *paths), row("scale", "mean", factor=1 / count)


def jarrett(classes: int = 102) -> Rows:
    """Two stages for Caltech-101: filters, |tanh|, local contrast normalization, average pooling; then the classes.

    Each filter of the second stage reads 16 of the 64 maps.
    """
    return (
        conv("conv1", 64, 9, padding=0, weight_init=LECUN),
        row("abstanh", "abs1"),
        row("contrast", "norm1", kernel_size=9),
        row("mean_pool", "pool1", kernel_size=10, stride=5),
        conv("conv2", 256, 9, padding=0, groups=4, weight_init=LECUN),
        row("abstanh", "abs2"),
        row("contrast", "norm2", kernel_size=9),
        row("mean_pool", "pool2", kernel_size=6, stride=4),
        row("flatten", "flatten"),
        row("linear", "fc3", out_features=classes, weight_init=LECUN),
    )

"""Inception-v3 (Szegedy et al. 2015): 5x5 becomes two 3x3, and 7x7 becomes 1x7 and 7x1, which see as much and compute less.

The tables follow the authors' program, which is what the published weights belong to; the paper's figures differ from it in places.
"""

from __future__ import annotations

from functools import partial

from tinyalex.models.later.rows import branches, conv_bn_relu, linear, row
from tinyalex.models.rows import Row, Rows

unit = partial(conv_bn_relu, eps=1e-3)


def inception_v3(classes: int = 1000, *, heads: bool = False) -> Rows:
    """The net for images of 299x299. heads: with the auxiliary head, which reads the maps of 17x17."""
    stem: Rows = (
        *unit("conv1", 32, 3, 2, 0),
        *unit("conv2", 32, 3, 1, 0),
        *unit("conv3", 64, 3),
        row("pool", "pool1", kernel_size=3, stride=2),
        *unit("conv4", 80, 1),
        *unit("conv5", 192, 3, 1, 0),
        row("pool", "pool2", kernel_size=3, stride=2),
    )
    bottom = (module35("5b", 32), module35("5c", 64), module35("5d", 64), to_17("6a"))
    middle = (module17("6b", 128), module17("6c", 160), module17("6d", 160), module17("6e", 192))
    head = (row("global_pool", "pool"), row("dropout", "drop", p=0.5, scale="train"), linear("fc", classes))
    top = (to_8("7a"), module8("7b"), module8("7c"), *head)
    if not heads:
        return *stem, *bottom, *middle, *top
    return *stem, *bottom, *middle, branches("head", "both", top, auxiliary(classes))


def mean(name: str, *, count_padding: bool = True) -> Row:
    """A mean of 3x3 at every place; this net's counts the padding."""
    return row("mean_pool", name, kernel_size=3, stride=1, padding=1, count_padding=count_padding)


def module35(name: str, pooled: int, *, narrow: int = 48, one: int = 64, count_padding: bool = True) -> Row:
    """Maps of 35x35: 1x1, 5x5, two times 3x3, and the mean."""
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", one, 1),
        (*unit(f"{name}.5x5.reduce", narrow, 1), *unit(f"{name}.5x5", 64, 5)),
        (*unit(f"{name}.3x3.reduce", 64, 1), *unit(f"{name}.3x3a", 96, 3), *unit(f"{name}.3x3b", 96, 3)),
        (mean(f"{name}.mean", count_padding=count_padding), *unit(f"{name}.project", pooled, 1)),
    )


def to_17(name: str, reduced: tuple[int, int, int] = (64, 96, 96)) -> Row:
    """From 35x35 to 17x17. reduced: the filters of the path of two times 3x3."""
    a, b, c = reduced
    return branches(
        name,
        "concat",
        unit(f"{name}.3x3", 384, 3, 2, 0),
        (*unit(f"{name}.3x3.reduce", a, 1), *unit(f"{name}.3x3a", b, 3), *unit(f"{name}.3x3b", c, 3, 2, 0)),
        (row("pool", f"{name}.pool", kernel_size=3, stride=2),),
    )


def module17(name: str, k: int) -> Row:
    """Maps of 17x17: 1x1, 7x7 as 1x7 and 7x1, the same twice, and the mean. k: the filters of the narrow layers."""
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", 192, 1),
        (*unit(f"{name}.7x7.reduce", k, 1), *unit(f"{name}.1x7", k, (1, 7)), *unit(f"{name}.7x1", 192, (7, 1))),
        (
            *unit(f"{name}.twice.reduce", k, 1),
            *unit(f"{name}.7x1a", k, (7, 1)),
            *unit(f"{name}.1x7a", k, (1, 7)),
            *unit(f"{name}.7x1b", k, (7, 1)),
            *unit(f"{name}.1x7b", 192, (1, 7)),
        ),
        (mean(f"{name}.mean"), *unit(f"{name}.project", 192, 1)),
    )


def to_8(name: str) -> Row:
    """From 17x17 to 8x8."""
    return branches(
        name,
        "concat",
        (*unit(f"{name}.3x3.reduce", 192, 1), *unit(f"{name}.3x3", 320, 3, 2, 0)),
        (
            *unit(f"{name}.7x7.reduce", 192, 1),
            *unit(f"{name}.1x7", 192, (1, 7)),
            *unit(f"{name}.7x1", 192, (7, 1)),
            *unit(f"{name}.3x3b", 192, 3, 2, 0),
        ),
        (row("pool", f"{name}.pool", kernel_size=3, stride=2),),
    )


def module8(name: str) -> Row:
    """Maps of 8x8: 1x1; 1x3 beside 3x1 behind 1x1; the same behind 1x1 and 3x3; and the mean."""
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", 320, 1),
        (*unit(f"{name}.3x3.reduce", 384, 1), beside(f"{name}.3x3", 384)),
        (*unit(f"{name}.twice.reduce", 448, 1), *unit(f"{name}.3x3a", 384, 3), beside(f"{name}.3x3b", 384)),
        (mean(f"{name}.mean"), *unit(f"{name}.project", 192, 1)),
    )


def beside(name: str, k: int) -> Row:
    """1x3 and 3x1 side by side, k filters each."""
    return branches(name, "concat", unit(f"{name}.1x3", k, (1, 3)), unit(f"{name}.3x1", k, (3, 1)))


def auxiliary(classes: int) -> Rows:
    """The head that reads the maps of 17x17."""
    return (
        row("mean_pool", "aux.pool", kernel_size=5, stride=3),
        *unit("aux.conv1", 128, 1),
        *unit("aux.conv2", 768, 5, 1, 0),
        row("global_pool", "aux.mean"),
        linear("aux.fc", classes),
    )

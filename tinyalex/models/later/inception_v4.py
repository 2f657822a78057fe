"""Inception-v4 and Inception-ResNet-v2 (Szegedy et al. 2016): uniform modules, and modules that compute what is added to their input.

The means of 3x3 do not count the padding, as in the authors' program.
"""

from __future__ import annotations

from functools import partial

from tinyalex.models.later.inception_v3 import beside, mean, module35, to_17, unit
from tinyalex.models.later.rows import branches, conv, linear, row
from tinyalex.models.rows import Row, Rows

average = partial(mean, count_padding=False)


def inception_v4(classes: int = 1000, *, blocks: tuple[int, int, int] = (4, 7, 3)) -> Rows:
    """The net for images of 299x299. blocks: how many modules have maps of 35x35, 17x17 and 8x8."""
    return (
        *stem(),
        *(uniform35(f"a{i}") for i in range(1, blocks[0] + 1)),
        to_17("reduce_a", (192, 224, 256)),
        *(uniform17(f"b{i}") for i in range(1, blocks[1] + 1)),
        uniform_to_8("reduce_b"),
        *(uniform8(f"c{i}") for i in range(1, blocks[2] + 1)),
        *_head(classes),
    )


def stem() -> Rows:
    """From 299x299 to 35x35, with paths that meet three times."""
    pool, both = row("pool", "stem1.pool", kernel_size=3, stride=2), row("pool", "stem3.pool", kernel_size=3, stride=2)
    long = (*unit("stem2.7x7.reduce", 64, 1), *unit("stem2.1x7", 64, (1, 7)), *unit("stem2.7x1", 64, (7, 1)))
    return (
        *unit("conv1", 32, 3, 2, 0),
        *unit("conv2", 32, 3, 1, 0),
        *unit("conv3", 64, 3),
        branches("stem1", "concat", (pool,), unit("stem1.3x3", 96, 3, 2, 0)),
        branches(
            "stem2",
            "concat",
            (*unit("stem2.3x3.reduce", 64, 1), *unit("stem2.3x3", 96, 3, 1, 0)),
            (*long, *unit("stem2.3x3b", 96, 3, 1, 0)),
        ),
        branches("stem3", "concat", unit("stem3.3x3", 192, 3, 2, 0), (both,)),
    )


def uniform35(name: str) -> Row:
    """Maps of 35x35: 1x1, 3x3, two times 3x3, and the mean."""
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", 96, 1),
        (*unit(f"{name}.3x3.reduce", 64, 1), *unit(f"{name}.3x3", 96, 3)),
        (*unit(f"{name}.twice.reduce", 64, 1), *unit(f"{name}.3x3a", 96, 3), *unit(f"{name}.3x3b", 96, 3)),
        (average(f"{name}.mean"), *unit(f"{name}.project", 96, 1)),
    )


def uniform17(name: str) -> Row:
    """Maps of 17x17: 1x1, 7x7 as 1x7 and 7x1, the same twice, and the mean."""
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", 384, 1),
        (*unit(f"{name}.7x7.reduce", 192, 1), *unit(f"{name}.1x7", 224, (1, 7)), *unit(f"{name}.7x1", 256, (7, 1))),
        (
            *unit(f"{name}.twice.reduce", 192, 1),
            *unit(f"{name}.7x1a", 192, (7, 1)),
            *unit(f"{name}.1x7a", 224, (1, 7)),
            *unit(f"{name}.7x1b", 224, (7, 1)),
            *unit(f"{name}.1x7b", 256, (1, 7)),
        ),
        (average(f"{name}.mean"), *unit(f"{name}.project", 128, 1)),
    )


def uniform_to_8(name: str) -> Row:
    """From 17x17 to 8x8."""
    return branches(
        name,
        "concat",
        (*unit(f"{name}.3x3.reduce", 192, 1), *unit(f"{name}.3x3", 192, 3, 2, 0)),
        (
            *unit(f"{name}.7x7.reduce", 256, 1),
            *unit(f"{name}.1x7", 256, (1, 7)),
            *unit(f"{name}.7x1", 320, (7, 1)),
            *unit(f"{name}.3x3b", 320, 3, 2, 0),
        ),
        (row("pool", f"{name}.pool", kernel_size=3, stride=2),),
    )


def uniform8(name: str) -> Row:
    """Maps of 8x8: 1x1; 1x3 beside 3x1 behind 1x1; the same behind 3x1 and 1x3; and the mean."""
    twice = (*unit(f"{name}.twice.reduce", 384, 1), *unit(f"{name}.3x1a", 448, (3, 1)), *unit(f"{name}.1x3a", 512, (1, 3)))
    return branches(
        name,
        "concat",
        unit(f"{name}.1x1", 256, 1),
        (*unit(f"{name}.3x3.reduce", 384, 1), beside(f"{name}.3x3", 256)),
        (*twice, beside(f"{name}.3x3b", 256)),
        (average(f"{name}.mean"), *unit(f"{name}.project", 256, 1)),
    )


def _head(classes: int) -> Rows:
    return row("global_pool", "pool"), row("dropout", "drop", p=0.2, scale="train"), linear("fc", classes)


def inception_resnet_v2(classes: int = 1000, *, blocks: tuple[int, int, int] = (10, 20, 9)) -> Rows:
    """Residual modules. blocks: of maps of 35x35, 17x17 and 8x8; one more of 8x8 has no factor and no ReLU."""
    return (
        *unit("conv1", 32, 3, 2, 0),
        *unit("conv2", 32, 3, 1, 0),
        *unit("conv3", 64, 3),
        row("pool", "pool1", kernel_size=3, stride=2),
        *unit("conv4", 80, 1),
        *unit("conv5", 192, 3, 1, 0),
        row("pool", "pool2", kernel_size=3, stride=2),
        module35("5b", 64, one=96, count_padding=False),
        *(each for i in range(1, blocks[0] + 1) for each in block35(f"block35.{i}")),
        to_17("6a", (256, 256, 384)),
        *(each for i in range(1, blocks[1] + 1) for each in block17(f"block17.{i}")),
        residual_to_8("7a"),
        *(each for i in range(1, blocks[2] + 1) for each in block8(f"block8.{i}")),
        *block8(f"block8.{blocks[2] + 1}", last=True),
        *unit("conv7b", 1536, 1),
        *_head(classes),
    )


def _residual(name: str, channels: int, factor: float, *paths: Rows, last: bool = False) -> Rows:
    """relu(x + factor f(x)), where f joins the paths, and a 1x1 with biases gives them the channels of x. last: x + f(x) alone."""
    f: Rows = (branches(f"{name}.paths", "concat", *paths), conv(f"{name}.project", channels, 1))
    if last:
        return (branches(name, "sum", (), f),)
    return branches(name, "sum", (), (*f, row("scale", f"{name}.scale", factor=factor))), row("relu", f"{name}.relu")


def block35(name: str) -> Rows:
    """A residual block of maps of 35x35."""
    return _residual(
        name,
        320,
        0.17,
        unit(f"{name}.1x1", 32, 1),
        (*unit(f"{name}.3x3.reduce", 32, 1), *unit(f"{name}.3x3", 32, 3)),
        (*unit(f"{name}.twice.reduce", 32, 1), *unit(f"{name}.3x3a", 48, 3), *unit(f"{name}.3x3b", 64, 3)),
    )


def block17(name: str) -> Rows:
    """A residual block of maps of 17x17."""
    long = (*unit(f"{name}.7x7.reduce", 128, 1), *unit(f"{name}.1x7", 160, (1, 7)), *unit(f"{name}.7x1", 192, (7, 1)))
    return _residual(name, 1088, 0.10, unit(f"{name}.1x1", 192, 1), long)


def block8(name: str, *, last: bool = False) -> Rows:
    """A residual block of maps of 8x8. last: without factor and ReLU."""
    long = (*unit(f"{name}.3x3.reduce", 192, 1), *unit(f"{name}.1x3", 224, (1, 3)), *unit(f"{name}.3x1", 256, (3, 1)))
    return _residual(name, 2080, 0.20, unit(f"{name}.1x1", 192, 1), long, last=last)


def residual_to_8(name: str) -> Row:
    """From 17x17 to 8x8 in Inception-ResNet-v2."""
    return branches(
        name,
        "concat",
        (*unit(f"{name}.a.reduce", 256, 1), *unit(f"{name}.a", 384, 3, 2, 0)),
        (*unit(f"{name}.b.reduce", 256, 1), *unit(f"{name}.b", 288, 3, 2, 0)),
        (*unit(f"{name}.c.reduce", 256, 1), *unit(f"{name}.c1", 288, 3), *unit(f"{name}.c2", 320, 3, 2, 0)),
        (row("pool", f"{name}.pool", kernel_size=3, stride=2),),
    )

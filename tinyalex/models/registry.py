"""The networks by the names that the command line uses."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from tinyalex.errors import ShapeError, require_choice, show
from tinyalex.layers import Sequential
from tinyalex.models.cifar import figure1_net, figure1_rows
from tinyalex.models.cifar_alexnet import ROWS, cifar_alexnet
from tinyalex.models.options import alexnet
from tinyalex.models.rows import Rows
from tinyalex.models.variants import VARIANTS

Builder: TypeAlias = Callable[..., Sequential]


def _figure1(*, towers: int = 1, devices: Any = None, **settings: Any) -> Sequential:
    require_choice("figure1", "towers", towers, (1,))
    return figure1_net(device="cpu" if devices is None else devices, **settings)


MODELS: dict[str, Builder] = {
    "alexnet": alexnet,
    "alexnet-authors": partial(alexnet, "authors"),
    "alexnet-caffe": partial(alexnet, "caffe"),
    "alexnet-caffenet": partial(alexnet, "caffenet"),
    "alexnet-torchvision": partial(alexnet, "torchvision"),
    "cifar-alexnet": cifar_alexnet,
    "figure1": _figure1,
}
SMALL: dict[str, Rows] = {"cifar-alexnet": ROWS, "figure1": figure1_rows()}
ORIGINS = {"alexnet": VARIANTS["paper"].origin} | {f"alexnet-{name}": each.origin for name, each in VARIANTS.items() if name != "paper"}
ORIGINS |= {
    "cifar-alexnet": "AlexNet's structure for crops of CIFAR-10, small enough to train on a laptop",
    "figure1": "the four-layer net of the paper's Figure 1, for CIFAR-10",
}


def rows_of(name: str) -> Rows:
    """The rows of the network called `name`; a ShapeError if there is none of that name.

    Example
    -------
    >>> [(row.name, row["out_channels"], row["stride"]) for row in rows_of("alexnet") if row.kind == "conv"][:2]
    [('conv1', 96, 4), ('conv2', 256, 1)]
    """
    known = require_name(name)
    if known.startswith("alexnet"):
        return VARIANTS[known.partition("-")[2] or "paper"].rows
    return SMALL[known]


def require_name(name: Any) -> str:
    """`name` if there is a network of that name, else a ShapeError that lists them."""
    if not isinstance(name, str) or name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1) if isinstance(name, str) else []
        raise ShapeError(f"net: NAME must be one of {', '.join(MODELS)}, got {show(name)}" + (f"; did you mean {near[0]}?" if near else ""))
    return name


def build(name: str, **settings: Any) -> Sequential:
    """The network called `name` with `settings` of its builder, such as towers, devices and seed.

    Raises
    ------
    ShapeError: no network of that name, or a setting outside its range. TypeError: a setting that the builder of a small net
        does not have.

    Example
    -------
    >>> build("figure1").name
    'figure1-relu'
    """
    return MODELS[require_name(name)](**settings)

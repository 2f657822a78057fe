"""The networks by name, as the command line uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from tinyalex.errors import ShapeError, require_choice, require_keywords, show
from tinyalex.layers import Sequential
from tinyalex.models.cifar import figure1_net, figure1_rows
from tinyalex.models.cifar_alexnet import ROWS, cifar_alexnet
from tinyalex.models.later import GROUPS as LATER_GROUPS, LATER, build_later, near_later
from tinyalex.models.options import alexnet, keywords_of
from tinyalex.models.rows import Rows
from tinyalex.models.variants import VARIANTS

Builder: TypeAlias = Callable[..., Sequential]


def _figure1(
    activation: str = "relu",
    setup: str = "2012",
    *,
    towers: int = 1,
    seed: int = 0,
    devices: Any = None,
    classes: int = 10,
    dtype: Any = np.float32,
) -> Sequential:
    """`figure1_net` with the settings that the other networks have."""
    require_choice("figure1", "towers", towers, (1,))
    return figure1_net(activation, setup, seed=seed, classes=classes, device="cpu" if devices is None else devices, dtype=dtype)


MODELS: dict[str, Builder] = {
    "alexnet": alexnet,
    "alexnet-authors": partial(alexnet, "authors"),
    "alexnet-caffe": partial(alexnet, "caffe"),
    "alexnet-caffenet": partial(alexnet, "caffenet"),
    "alexnet-torchvision": partial(alexnet, "torchvision"),
    "cifar-alexnet": cifar_alexnet,
    "figure1": _figure1,
}
GROUPS: Mapping[str, tuple[str, ...]] = {"AlexNet and small nets": tuple(MODELS)} | {
    group: tuple(nets) for group, nets in LATER_GROUPS.items()
}
MODELS |= {name: partial(build_later, name) for name in LATER}
SMALL: dict[str, Rows] = {"cifar-alexnet": ROWS, "figure1": figure1_rows()}
ORIGINS = {"alexnet": VARIANTS["paper"].origin} | {f"alexnet-{name}": each.origin for name, each in VARIANTS.items() if name != "paper"}
ORIGINS |= {
    "cifar-alexnet": "AlexNet's structure for crops of CIFAR-10, small enough to train on a laptop",
    "figure1": "the four-layer net of the paper's Figure 1, for CIFAR-10",
} | {name: net.origin for name, net in LATER.items()}
NAMES = "; ".join(f"{group}: {', '.join(names)}" for group, names in GROUPS.items())  # for the help of a command
SHORT = f"{', '.join(GROUPS['AlexNet and small nets'])}, or one of {len(LATER)} others that `tinyalex net --list` prints"


def rows_of(name: str) -> Rows:
    """The rows of the network called `name`. ShapeError: there is no network of that name.

    Example
    -------
    >>> [(row.name, row["out_channels"], row["stride"]) for row in rows_of("alexnet") if row.kind == "conv"][:2]
    [('conv1', 96, 4), ('conv2', 256, 1)]
    """
    known = require_name(name)
    if known in LATER:
        return LATER[known].rows(LATER[known].classes)
    if known.startswith("alexnet"):
        return VARIANTS[known.partition("-")[2] or "paper"].rows
    return SMALL[known]


def require_name(name: Any) -> str:
    """`name` if there is a network of that name. ShapeError: there is none; the message lists the names."""
    if not isinstance(name, str) or name not in MODELS:
        raise ShapeError(f"net: NAME must be one of {SHORT}, got {show(name)}", near_later(name, MODELS))
    return name


def heads_of(name: str) -> tuple[float, ...]:
    """The weights of the losses of the auxiliary heads of the network called `name`, () if it has none: for `WeightedHeads`."""
    return LATER[name].heads if name in LATER else ()


def build(name: str, **settings: Any) -> Sequential:
    """The network called `name`. `settings` are arguments of the function that builds it, such as towers, devices and seed.

    Raises
    ------
    ShapeError: there is no network of that name, the network has no such setting, or a setting is outside its range.
    DeviceError: there is no such device, or two devices are of different kinds.

    Example
    -------
    >>> build("figure1").name
    'figure1-relu'
    """
    builder = MODELS[require_name(name)]
    require_keywords(name, settings, keywords_of(builder))
    return builder(**settings)

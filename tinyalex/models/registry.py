"""The networks by the names that the command line uses."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from tinyalex.errors import ShapeError, require_choice, show
from tinyalex.layers import Sequential
from tinyalex.models.alexnet import alexnet
from tinyalex.models.cifar import figure1_net
from tinyalex.models.cifar_alexnet import cifar_alexnet

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
    if not isinstance(name, str) or name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1) if isinstance(name, str) else []
        raise ShapeError(f"net: NAME must be one of {', '.join(MODELS)}, got {show(name)}" + (f"; did you mean {near[0]}?" if near else ""))
    return MODELS[name](**settings)

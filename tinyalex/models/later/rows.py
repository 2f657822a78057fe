"""The rows of the networks after AlexNet, and the function that turns them into layers.

A row names a layer and its settings, as in `tinyalex.models.rows`. New is `branches`: its paths are rows themselves. No row says how many
channels it reads; a Sequential finds that out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinyalex import layers as classes
from tinyalex.devices import Device
from tinyalex.init import FanIn
from tinyalex.layers import Layer, Sequential
from tinyalex.models.build import ACTIVATIONS
from tinyalex.models.rows import Row, Rows

HE = FanIn(math.sqrt(2))  # He et al. 2015: a ReLU removes half of the variance
MERGES: Mapping[str, type[classes.Concat | classes.Sum | classes.Product | classes.Both]] = {
    "concat": classes.Concat,
    "sum": classes.Sum,
    "product": classes.Product,
    "both": classes.Both,
}
KINDS: Mapping[str, Any] = ACTIVATIONS | {
    "conv": classes.Conv2d,
    "linear": classes.Linear,
    "norm": classes.LocalResponseNorm,
    "bn": classes.BatchNorm2d,
    "gn": classes.GroupNorm,
    "pool": classes.MaxPool2d,
    "mean_pool": classes.AvgPool2d,
    "global_pool": classes.GlobalAvgPool2d,
    "dropout": classes.Dropout,
    "flatten": classes.Flatten,
}


def conv(name: str, filters: int, kernel: int | tuple[int, int], stride: int = 1, padding: Any = "same", **settings: Any) -> Row:
    """A convolution. padding: "same" is kernel // 2 on every side, as the papers draw it; other settings are those of `Conv2d`."""
    if padding == "same":
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = kh // 2 if kh == kw else (kh // 2, kh // 2, kw // 2, kw // 2)
    own = {"out_channels": filters, "kernel_size": kernel, "stride": stride, "padding": padding, "weight_init": HE}
    return Row("conv", name, own | settings)


def row(kind: str, name: str, **settings: Any) -> Row:
    """A row of any kind of `KINDS` with the settings of its class."""
    return Row(kind, name, settings)


def conv_relu(name: str, filters: int, kernel: int | tuple[int, int], stride: int = 1, padding: Any = "same", **settings: Any) -> Rows:
    """A convolution with biases, and a ReLU called `name`.relu."""
    return conv(name, filters, kernel, stride, padding, **settings), row("relu", f"{name}.relu")


def conv_bn(name: str, filters: int, kernel: int | tuple[int, int], stride: int = 1, padding: Any = "same", **bn: Any) -> Rows:
    """A convolution without biases, and a batch normalization called `name`.bn; bn: the settings of the latter."""
    return conv(name, filters, kernel, stride, padding, bias=False), row("bn", f"{name}.bn", **bn)


def conv_bn_relu(name: str, filters: int, kernel: int | tuple[int, int], stride: int = 1, padding: Any = "same", **bn: Any) -> Rows:
    """`conv_bn`, and a ReLU called `name`.relu."""
    return *conv_bn(name, filters, kernel, stride, padding, **bn), row("relu", f"{name}.relu")


def branches(name: str, merge: str, *paths: Iterable[Row]) -> Row:
    """Paths that leave from one value and meet again. merge: a key of `MERGES`; a path of no rows passes the value on."""
    return Row("branches", name, {"merge": merge, "paths": tuple(tuple(path) for path in paths)})


def flat(rows: Iterable[Row]) -> Iterator[Row]:
    """All rows of layers, also those inside of branches, in the order in which they compute."""
    for each in rows:
        if each.kind == "branches":
            for path in each["paths"]:
                yield from flat(path)
        else:
            yield each


def build_net(
    rows: Iterable[Row], in_shape: tuple[int, ...], name: str, device: Device | str = "cpu", *, seed: int = 0, dtype: Any = np.float32
) -> Sequential:
    """The net that these rows describe, on one device. Each layer draws its weights from a generator of the seed and its own name.

    in_shape: (C, H, W) of one image. Raises ShapeError where layers do not fit, or the image is so small that a window does not fit.
    """
    return Sequential(list(_layers(rows, device, seed, dtype)), in_shape, seed=seed, name=name)


def _layers(rows: Iterable[Row], device: Device | str, seed: int, dtype: Any) -> Iterator[Layer]:
    for each in rows:
        if each.kind == "branches":
            merge = MERGES[each["merge"]](name=f"{each.name}.{each['merge']}", device=device, dtype=dtype)
            yield classes.Branches([list(_layers(path, device, seed, dtype)) for path in each["paths"]], merge, name=each.name)
        else:
            unknown: dict[str, dict[str, Any]] = {"conv": {"in_channels": None}, "linear": {"in_features": None}, "dropout": {"seed": seed}}
            settings = {**each.settings, **unknown.get(each.kind, {})}
            yield KINDS[each.kind](**settings, name=each.name, device=device, dtype=dtype)


def narrow(rows: Iterable[Row], width: float) -> Rows:
    """A copy of the rows in which every convolution and hidden layer has `width` times its filters, rounded to multiples of 8 from 8 on."""
    return tuple(_narrow(each, width) for each in rows)


def _narrow(each: Row, width: float) -> Row:
    if each.kind == "branches":
        return each.having(paths=tuple(narrow(path, width) for path in each["paths"]))
    key = {"conv": "out_channels", "linear": "out_features"}.get(each.kind)
    if key is None or each.settings.get("classes"):
        return each
    return each.having(**{key: max(8, 8 * round(each[key] * width / 8))})



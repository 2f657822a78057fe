"""The rows of the networks after AlexNet, and the function that turns them into layers.

A row names a layer and its settings, as in `tinyalex.models.rows`. New is `branches`: its paths are rows themselves. No row says how many
channels it reads; a Sequential finds that out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinyalex import layers as classes
from tinyalex.devices import Device
from tinyalex.init import FanIn
from tinyalex.layers import Layer, Sequential
from tinyalex.models.build import KINDS as OF_ALEXNET
from tinyalex.models.rows import Row, Rows

HE = FanIn(math.sqrt(2))  # He et al. 2015: a ReLU removes half of the variance
MERGES: Mapping[str, type[classes.Concat | classes.Sum | classes.Product | classes.Both]] = {
    "concat": classes.Concat,
    "sum": classes.Sum,
    "product": classes.Product,
    "both": classes.Both,
}
KINDS: Mapping[str, Any] = OF_ALEXNET | {
    "scale": classes.Scale,
    "shortcut": classes.ZeroShortcut,
    "contrast": classes.LocalContrastNorm,
    "local": classes.LocallyConnected2d,
}
WIDTHS = {  # which setting of a kind holds its maps or units
    "conv": "out_channels",
    "local": "out_channels",
    "linear": "out_features",
    "shortcut": "channels",
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


def linear(name: str, units: int, *, relu: bool = False) -> Row:
    """A fully connected layer. relu: whether a ReLU comes behind it, for which its weights are drawn."""
    return row("linear", name, out_features=units, **({"weight_init": HE} if relu else {}))


def hidden(number: str, units: int) -> Rows:
    """A fully connected layer "fc" + number, a ReLU and dropout of half of the units, as in AlexNet."""
    return linear(f"fc{number}", units, relu=True), row("relu", f"relu{number}"), row("dropout", f"drop{number}", p=0.5, scale="train")


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


def each_layer(rows: Iterable[Row], change: Callable[[Row], Row]) -> Rows:
    """A copy of the rows with `change` applied to the row of each layer, also inside of branches."""
    return tuple(
        each.having(paths=tuple(each_layer(path, change) for path in each["paths"])) if each.kind == "branches" else change(each)
        for each in rows
    )


def build_net(
    rows: Iterable[Row],
    in_shape: tuple[int, ...],
    name: str,
    device: Device | str = "cpu",
    *,
    seed: int = 0,
    dtype: Any = np.float32,
    input_gradient: bool = False,
) -> Sequential:
    """The net that these rows describe, on one device. Each layer draws its weights from a generator of the seed and its own name.

    in_shape: (C, H, W) of one image. input_gradient: whether backward returns the gradient of the images.
    Raises ShapeError where layers do not fit, or the image is so small that a window does not fit.
    """
    made = _layers(rows if input_gradient else _without_input_gradient(tuple(rows)), device, seed, dtype)
    return Sequential(list(made), in_shape, seed=seed, name=name)


def _begins_with_convolutions(rows: Rows) -> bool:
    """Whether the first row, or that of every path if the net begins with paths, is a convolution."""
    if not rows or rows[0].kind != "branches":
        return bool(rows) and rows[0].kind == "conv"
    return all(_begins_with_convolutions(path) for path in rows[0]["paths"])


def _without_input_gradient(rows: Rows) -> Rows:
    """The rows, whose first convolution, or that of every path if the net begins with paths, computes no gradient of the images."""
    if not _begins_with_convolutions(rows):  # all paths or none return the gradient
        return rows
    first = rows[0]
    if first.kind == "conv":
        return Row("conv", first.name, {**first.settings, "input_gradient": False}), *rows[1:]
    if first.kind == "branches":
        return first.having(paths=tuple(_without_input_gradient(path) for path in first["paths"])), *rows[1:]
    return rows


def _layers(rows: Iterable[Row], device: Device | str, seed: int, dtype: Any) -> Iterator[Layer]:
    for each in rows:
        if each.kind == "branches":
            merge = MERGES[each["merge"]](name=f"{each.name}.{each['merge']}", device=device, dtype=dtype)
            yield classes.Branches([list(_layers(path, device, seed, dtype)) for path in each["paths"]], merge, name=each.name)
        else:
            channels = {"in_channels": None}
            unknown: dict[str, dict[str, Any]] = {
                "conv": channels, "local": channels, "linear": {"in_features": None}, "dropout": {"seed": seed}
            }  # fmt: skip
            settings = {**each.settings, **unknown.get(each.kind, {})}
            yield KINDS[each.kind](**settings, name=each.name, device=device, dtype=dtype)


def outputs(rows: Iterable[Row]) -> Iterator[str]:
    """The names of the layers that give the classes: the last one with weights, of the main path and of each head or column."""
    for each in reversed(tuple(rows)):
        if each.kind == "branches":
            for path in each["paths"]:
                yield from outputs(path)
            return
        if each.kind in ("conv", "linear"):
            yield each.name
            return


def head_ends(rows: Iterable[Row]) -> list[str]:
    """The last rows of the auxiliary heads, in the order in which the net gives them: the innermost first. "" for a head without rows."""
    found: list[str] = []
    for each in rows:
        if each.kind == "branches":
            paths, both = each["paths"], each["merge"] == "both"
            for path in paths[:1] if both else paths:
                found += head_ends(path)
            found += [path[-1].name if path else "" for path in paths[1:]] if both else []
    return found


def narrow(rows: Iterable[Row], width: float) -> Rows:
    """A copy of the rows in which every layer, except those of `outputs`, has `width` times its maps or units, rounded, at least 1."""
    rows = tuple(rows)
    kept = frozenset(outputs(rows))

    def narrowed(each: Row) -> Row:
        if each.kind not in WIDTHS or each.name in kept:
            return each
        key = WIDTHS[each.kind]
        return each.having(**{key: max(1, round(each[key] * width))})

    return each_layer(rows, narrowed)


def with_classes(rows: Iterable[Row], classes: int, last: Iterable[str] | None = None) -> Rows:
    """A copy of the rows in which the layers called `last`, None for those of `outputs`, give so many classes."""
    rows = tuple(rows)
    giving = frozenset(outputs(rows) if last is None else last)
    return each_layer(rows, lambda each: each.having(width=classes) if each.name in giving else each)

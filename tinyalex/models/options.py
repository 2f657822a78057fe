"""AlexNet with its options. Each option is an edit of the rows of a variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Parameter, signature
from math import isfinite
from typing import Any

import numpy as np

from tinyalex.devices import Device
from tinyalex.errors import ShapeError, did_you_mean, require_bool, require_choice, require_float, require_int, require_keywords, show
from tinyalex.init import Constant, FanIn, Gaussian
from tinyalex.layers import Sequential
from tinyalex.models.build import build_rows, places_of
from tinyalex.models.rows import Row, Rows, after, change, conv, names, parameters, place, relu, scaled, walk, weighted, without
from tinyalex.models.variants import VARIANTS, Variant

WHO = "alexnet"
MOST_PARAMETERS = 2**32  # 17 GB as float32: a larger number is probably a typing error
HALF_SIZE = {"conv1": 48, "conv2": 128, "conv3": 192, "conv4": 192}  # footnote 2 of the paper: conv5 keeps its filters


def alexnet(
    variant: str = "paper",
    towers: int = 1,
    exchange: Sequence[str] | None = None,
    num_classes: int = 1000,
    *,
    seed: int = 0,
    devices: str | Device | Sequence[str | Device] | None = None,
    input_gradient: bool = False,
    dtype: Any = np.float32,
    **options: Any,
) -> Sequential:
    """AlexNet, a network with 60,965,224 parameters that tells 1,000 classes apart.

    Paper: section 3.5 and Figure 2; section 3.2 for two towers. `models/alexnet.py` lists the layers, and `differences`
    lists the facts in which a variant differs from the paper's net.

    With one tower, conv2, conv4 and conv5 have two groups, and response normalization stays within a group. So the net
    computes the same as two towers. One seed gives both the same initial weights and the same dropout masks.

    Parameters
    ----------
    variant: "paper", "authors", "caffe", "caffenet" or "torchvision". The last three have one tower.
    towers: 1, or 2 for "paper" and "authors". With 2, conv1 to fc7 are split over two devices and fc8 is on the first device.
    exchange: the layers after conv1 that read both towers; None for those of the variant, ("conv3", "fc6", "fc7") for the
        paper's. With () the towers stay apart until fc8.
    num_classes: outputs of fc8, at least 2.
    seed: of the initial weights and of the dropout masks.
    devices: one device, or one for each tower ("cpu:0,cpu:1" or a sequence); None for "cpu", with two towers "cpu:0,cpu:1".
    input_gradient: whether backward returns the gradient of the image.
    options: further settings of `as_built`: input_size, remove, half, lrn, overlapping, dropout, sixth, widths, width, weight_std,
        hidden_bias.

    Raises
    ------
    ShapeError: an unknown setting, or a setting outside its range. DeviceError: an unknown device, or two of different kinds.

    Example
    -------
    >>> net = alexnet(towers=2, width=1 / 16, num_classes=10)
    >>> net.params["conv2a.weight"].shape, net.params["conv3a.weight"].shape
    ((8, 3, 5, 5), (12, 16, 3, 3))
    """
    require_keywords(WHO, options, keywords_of(alexnet))
    net = as_built(variant, towers, exchange, num_classes, **options)
    places, shape = places_of(WHO, towers, devices), (3, net.input_size, net.input_size)
    seed = require_int(WHO, "seed", seed, least=0)
    return build_rows(net.rows, shape, f"{WHO}-{variant}", places, seed=seed, dtype=dtype, input_gradient=input_gradient)


def as_built(
    variant: str = "paper",
    towers: int = 1,
    exchange: Sequence[str] | None = None,
    num_classes: int = 1000,
    *,
    input_size: int | None = None,
    remove: Sequence[str] = (),
    half: bool = False,
    lrn: bool = True,
    overlapping: bool = True,
    dropout: bool = True,
    sixth: bool = False,
    widths: Mapping[str, int] | None = None,
    width: float = 1.0,
    weight_std: float | str | None = None,
    hidden_bias: float | None = None,
) -> Variant:
    """A variant whose rows are edited by the options.

    Parameters
    ----------
    variant, towers, exchange, num_classes: as in `alexnet`.
    input_size: height and width of an image; None for the variant's own, with which the outputs have the paper's sizes: 55,
        27, 13 and 6. If conv1 has ceil, 227 gives the same sizes.
    remove: names of layers to leave out, among conv1 to fc7. The ReLU, normalization and dropout of such a layer go too, its
        pooling stays. If the removed layer reads both towers and `exchange` is None, then the next layer reads both towers.
    half: whether to build the one-device net of footnote 2. It has no groups, and half as many filters except in conv5.
    lrn: False leaves out response normalization. dropout: False leaves out dropout.
    overlapping: False makes pooling 2x2 with stride 2, so that windows do not overlap. As in the authors' net of that kind,
        conv2 then has padding 1 and conv3 has no padding.
    sixth: whether to add a sixth convolution on the last pooling layer. It reads both towers (section 6 of the paper).
    widths: for the names of layers, the number of their filters or units, even numbers.
    width: a factor for the filters or units of all layers except fc8, above 0 and at most 1e6. The products are rounded to
        even numbers.
    weight_std: the standard deviation of all initial weights, above 0, or "fan-in" for the one that keeps the variance of the signal
        through a layer with ReLU, sqrt(2 / fan-in); None for the variant's own.
    hidden_bias: the initial biases of conv2, conv4, conv5 and the hidden fully connected layers, which are 1 in the paper; None for the
        variant's own.

    Raises
    ------
    ShapeError: a setting outside its range, or an unknown layer.

    Example
    -------
    >>> from tinyalex.models.variants import differences
    >>> differences(as_built("caffe", num_classes=10, lrn=False), of="caffe")[0]
    'after conv1: relu, pool (caffe: relu, norm, pool)'
    """
    base = VARIANTS[require_choice(WHO, "variant", variant, tuple(VARIANTS))]
    half, lrn = require_bool(WHO, "half", half), require_bool(WHO, "lrn", lrn)
    overlapping, dropout = require_bool(WHO, "overlapping", overlapping), require_bool(WHO, "dropout", dropout)
    sixth, towers = require_bool(WHO, "sixth", sixth), require_choice(WHO, "towers", towers, (1, 2))
    if towers > (1 if half else base.towers):
        reason = "the half-size net, which is for one device" if half else f"the variant {variant!r}, which is for one device"
        raise ShapeError(f"{WHO}: towers must be 1 for {reason}, got {towers}")
    num_classes = require_int(WHO, "num_classes", num_classes, least=2)

    rows = base.rows if lrn else without(base.rows, "norm", "rnorm")
    if half:
        rows = change(rows, **{layer: {"width": k} for layer, k in HALF_SIZE.items()})
    if sixth:
        rows = after(rows, rows[place(rows, "flatten5") - 1].name, _sixth(rows), relu("relu_conv6"))
    if not overlapping:
        rows = change(rows, pool={"kernel_size": 2}, conv2={"padding": 1}, conv3={"padding": 0})
    if not dropout:
        rows = without(rows, "dropout")
    removed = _layer_names("remove", remove, tuple(names(weighted(rows)))[:-1])
    for layer in removed:
        rows = _removed(rows, layer)
    if towers == 2 and len(weighted(rows)) == 1:
        raise ShapeError(f"{WHO}: remove must leave a layer that two towers can share, got {show(remove)}")
    rows = _linked(rows, exchange, half)
    factor = require_float(WHO, "width", width, "a number above 0 and at most 1,000,000", lambda v: 0 < v <= 1e6)
    rows = _widened(rows, {} if widths is None else widths)
    rows = change(scaled(rows, factor) if factor != 1 or widths else rows, fc8={"width": num_classes})
    rows = _initialized(rows, weight_std, hidden_bias)
    size = require_int(WHO, "input_size", base.input_size if input_size is None else input_size)
    check_sizes(WHO, rows, size)
    return replace(base, rows=rows, input_size=size)


OPTIONS = tuple(name for name, parameter in signature(as_built).parameters.items() if parameter.kind == Parameter.KEYWORD_ONLY)


def keywords_of(builder: Callable[..., Any]) -> tuple[str, ...]:
    """The names of all settings that `builder` takes. Where the builder takes `**options`, they are those of `as_built`."""
    parameters = signature(builder).parameters.values()
    own = tuple(parameter.name for parameter in parameters if parameter.kind != Parameter.VAR_KEYWORD)
    return own + OPTIONS if len(own) < len(parameters) else own


def _sixth(rows: Rows) -> Row:
    """A convolution with as many filters as conv5, and the same distributions of initial weights and biases."""
    conv5 = rows[place(rows, "conv5")]
    sixth = conv("conv6", conv5.width, 3, padding=1)
    return sixth.having(weight_init=conv5["weight_init"], bias_init=conv5["bias_init"])


def _removed(rows: Rows, layer: str) -> Rows:
    """The rows without a layer and its ReLU, normalization and dropout. If it reads all channels, then the next layer does."""
    every = weighted(rows)
    taken, next_layer = next((row, then) for row, then in zip(every, every[1:], strict=False) if row.name == layer)
    if taken["groups"] == 1:
        rows = change(rows, **{next_layer.name: {"groups": 1}})
    own = ["relu_conv6"] if layer == "conv6" else [kind + layer[-1] for kind in ("relu", "norm", "rnorm", "drop")]
    return without(rows, layer, *own)


def _linked(rows: Rows, exchange: Sequence[str] | None, half: bool) -> Rows:
    """The rows in which, after the first layer, only those of `exchange` read all channels. In the half-size net all layers do."""
    if half and exchange is not None:
        raise ShapeError(f"{WHO}: exchange must be None for the half-size net, which has no groups, got {show(exchange)}")
    if half:
        return tuple(row.having(groups=1) if "groups" in row.settings else row for row in rows)
    if exchange is None:
        return rows
    between = names(weighted(rows)[1:-1])
    linked = _layer_names("exchange", exchange, tuple(between))
    return change(rows, **{layer: {"groups": 1 if layer in linked else 2} for layer in between})


def _widened(rows: Rows, widths: Mapping[str, int]) -> Rows:
    """The rows with the numbers of filters or units that `widths` gives."""
    if not isinstance(widths, Mapping):
        raise ShapeError(f"{WHO}: widths must be a dict of even numbers by layer, such as {{'conv2': 320}}, got {show(widths)}")
    _layer_names("widths", tuple(widths), tuple(names(weighted(rows)[:-1])))
    for layer, k in widths.items():
        given = require_int(WHO, f"the width of {layer}", k, least=2)
        if given % 2:
            raise ShapeError(f"{WHO}: the width of {layer} must be even, got {show(k)}")
        if given > MOST_PARAMETERS:
            raise ShapeError(f"{WHO}: the width of {layer} must be at most {MOST_PARAMETERS:,}, got {show(k)}")
        rows = change(rows, **{layer: {"width": given}})
    return rows


def _initialized(rows: Rows, weight_std: Any, hidden_bias: Any) -> Rows:
    """The rows with other initial weights in all layers, and other biases where they were not 0."""
    if weight_std is not None:
        if weight_std == "fan-in":
            init: Any = FanIn(2**0.5)
        else:
            rule = 'a number above 0, or "fan-in"'
            init = Gaussian(require_float(WHO, "weight_std", weight_std, rule, lambda v: 0 < v < float("inf")))
        rows = change(rows, **dict.fromkeys(names(weighted(rows)), {"weight_init": init}))
    if hidden_bias is not None:
        value = require_float(WHO, "hidden_bias", hidden_bias, "a finite number", isfinite)
        hidden = [row.name for row in weighted(rows) if isinstance(row["bias_init"], Constant) and row["bias_init"].value != 0]
        rows = change(rows, **dict.fromkeys(hidden, {"bias_init": Constant(value)}))
    return rows


def check_sizes(who: str, rows: Rows, size: int) -> None:
    """Raise if an image is so small that a window does not fit, or if the net has more than 2**32 parameters."""
    try:
        list(walk(rows, (3, size, size)))
    except ShapeError as error:
        raise ShapeError(f"{who}: input_size must be at least {_least_size(rows)}, got {size} ({error})") from None
    count, classes = parameters(rows, (3, size, size)), rows[-1].width
    if count > MOST_PARAMETERS:
        raise ShapeError(
            f"{who}: input_size, num_classes and widths must give at most {MOST_PARAMETERS:,} parameters, "
            f"got {f'{count:,}' if count < 2**128 else show(count)} for input_size {show(size)} and num_classes {show(classes)}"
        )


def _least_size(rows: Rows) -> int:
    size = 1
    while True:
        try:
            list(walk(rows, (3, size, size)))
        except ShapeError:
            size += 1
        else:
            return size


def _layer_names(quantity: str, given: Any, choices: tuple[str, ...]) -> frozenset[str]:
    """`given` as a set of layer names; ShapeError if one is not among `choices`."""
    if not isinstance(given, (tuple, list, set, frozenset)) or not all(isinstance(name, str) for name in given):
        raise ShapeError(f"{WHO}: {quantity} must be a sequence of layer names, got {show(given)}")
    for name in given:
        if name not in choices:
            rule = f"{WHO}: {quantity} must hold only names of {', '.join(choices)}, got {show(name)}"
            raise ShapeError(rule, did_you_mean(name, choices))
    return frozenset(given)

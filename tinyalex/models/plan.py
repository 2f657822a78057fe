"""What AlexNet is made of, layer by layer, for any variant and any of the paper's ablations: shapes first, arrays later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinyalex.devices import Device
from tinyalex.errors import ShapeError, require_bool, require_choice, require_float, require_int, show
from tinyalex.geometry import windows_of
from tinyalex.layers import Conv2d, Dropout, Flatten, Layer, Linear, LocalResponseNorm, MaxPool2d, ReLU, SpatialResponseNorm
from tinyalex.models.variants import LAYERS, VARIANTS, Variant

WHO = "alexnet"
MOST_PARAMETERS = 2**32  # 17 GB as float32: above it a number is a slip of the finger
HALF_SIZE = (48, 128, 192, 192, 256)  # footnote 2 of the paper: conv5 is not halved


@dataclass(frozen=True)
class Part:
    """Where and how layers are built, and which part of each: the whole, or the half of tower a (index 0) or b (1).

    `initial`: the weights and biases of whole layers. `seed`: of the dropout masks.
    """

    index: int
    of: int
    device: Device
    dtype: Any
    seed: int
    input_gradient: bool
    initial: Mapping[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]

    def where(self, name: str) -> dict[str, Any]:
        """Name, device and type of the layer's part."""
        return {"name": name + ("ab"[self.index] if self.of == 2 else ""), "device": self.device, "dtype": self.dtype}

    def values(self, layer: str) -> dict[str, Any]:
        """The same, with the part's rows of the layer's weights and biases: its filters or units."""
        rows = len(self.initial[layer][0]) // self.of
        weight, bias = (array[self.index * rows : (self.index + 1) * rows] for array in self.initial[layer])
        return {"weight_init": lambda *_: weight, "bias_init": lambda *_: bias, "rng": np.random.default_rng(0), **self.where(layer)}


Recipe: TypeAlias = Callable[[Part], Layer]


class Plan:
    """A walk down the network that knows every shape, before any array is made.

    Parameters
    ----------
    variant, towers, exchange, num_classes: as in `alexnet`.
    input_size: height and width of an image; None for the variant's. Each variant's own, and 227 where conv1 has ceil, gives
        the paper's 55, 27, 13 and 6.
    remove: layers to leave out, of conv1 to fc7, each with its ReLU, normalization and dropout; pooling stays. A link that
        `exchange` does not name itself moves to the next layer.
    half: the one-device net of footnote 2, half as many filters but in conv5, no groups.
    lrn, overlapping, dropout: False leaves out response normalization, the overlap of pooling (then 2x2 with stride 2, conv2
        with padding 1 and conv3 with none, as the authors did), dropout.
    sixth: a sixth convolution over the last pooling layer, of both towers' channels (section 6 of the paper).
    widths: filters or units by layer instead of the variant's, even numbers.
    width: a factor for all widths but fc8's, above 0 and at most 1e6, for small nets; rounded to even numbers.
    """

    who = WHO  # whose name errors begin with

    def __init__(
        self,
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
    ) -> None:
        self.variant: Variant = VARIANTS[require_choice(self.who, "variant", variant, tuple(VARIANTS))]
        self.half, self.lrn = require_bool(self.who, "half", half), require_bool(self.who, "lrn", lrn)
        self.overlapping, self.dropout = require_bool(self.who, "overlapping", overlapping), require_bool(self.who, "dropout", dropout)
        self.sixth = require_bool(self.who, "sixth", sixth)
        self.towers = require_choice(self.who, "towers", towers, (1, 2))
        if towers > (1 if half else self.variant.towers):
            reason = "the half-size net, which is for one device" if half else f"the variant {variant!r}, which is for one device"
            raise ShapeError(f"{self.who}: towers must be 1 for {reason}, got {towers}")
        self.num_classes = require_int(self.who, "num_classes", num_classes, least=2)
        every = (*LAYERS[:5], *(("conv6",) if sixth else ()), *LAYERS[5:])
        self.removed = _names(self.who, "remove", remove, every[:-1])
        self.layers = tuple(layer for layer in every if layer not in self.removed)
        if self.towers == 2 and len(self.layers) == 1:
            raise ShapeError(f"{self.who}: remove must leave a layer that two towers can share, got {show(remove)}")
        self.links = self._links(exchange, every)
        factor = require_float(self.who, "width", width, "a number above 0 and at most 1,000,000", lambda v: 0 < v <= 1e6)
        self.widths = self._widths({} if widths is None else widths, factor)
        self.input_size = require_int(self.who, "input_size", self.variant.input_size if input_size is None else input_size)
        self.weight_shapes: dict[str, tuple[int, ...]] = {}
        self.steps: list[Recipe | str] = []  # how to build each layer; between them the names of layers with a link in front
        self._channels, self._size, self._whole = 3, self.input_size, True  # whole: each tower has all of the value
        try:
            self._walk()
        except ShapeError as error:
            raise ShapeError(f"{self.who}: input_size must be at least {self._least_size()}, got {self.input_size} ({error})") from None
        self._check_size()

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(math.prod(shape) + shape[0] for shape in self.weight_shapes.values())

    def _check_size(self) -> None:
        """Raise for a size or number of classes so large that it would run out of memory in the middle of being counted."""
        if self.parameters > MOST_PARAMETERS:
            raise ShapeError(
                f"{self.who}: input_size, num_classes and widths must give at most {MOST_PARAMETERS:,} parameters, "
                f"got {_count(self.parameters)} for input_size {show(self.input_size)} and num_classes {show(self.num_classes)}"
            )

    def _links(self, exchange: Sequence[str] | None, every: tuple[str, ...]) -> frozenset[str]:
        after_first = self.layers[1:-1]
        if self.half:
            if exchange is not None:
                raise ShapeError(f"{self.who}: exchange must be None for the half-size net, which has no groups, got {show(exchange)}")
            return frozenset(after_first)
        if exchange is not None:
            return _names(self.who, "exchange", exchange, after_first)
        wanted = (*self.variant.links, *(("conv6",) if self.sixth else ()))
        moved = (next(layer for layer in every[every.index(link) :] if layer not in self.removed) for link in wanted)
        return frozenset(moved) & frozenset(after_first)

    def _widths(self, given: Mapping[str, int], factor: float) -> dict[str, int]:
        if not isinstance(given, Mapping):
            raise ShapeError(f"{self.who}: widths must be a dict of even numbers by layer, such as {{'conv2': 320}}, got {show(given)}")
        _names(self.who, "widths", tuple(given), self.layers[:-1])
        filters = HALF_SIZE if self.half else self.variant.filters
        own = dict(zip(LAYERS, (*filters, *self.variant.units), strict=False)) | {"conv6": filters[4]}
        for layer, k in given.items():
            own[layer] = require_int(self.who, f"the width of {layer}", k, least=2)
            if k % 2:
                raise ShapeError(f"{self.who}: the width of {layer} must be even, got {show(k)}")
            if k > MOST_PARAMETERS:
                raise ShapeError(f"{self.who}: the width of {layer} must be at most {MOST_PARAMETERS:,}, got {show(k)}")
        return {layer: max(2, 2 * round(own[layer] * factor / 2)) for layer in self.layers[:-1]} | {"fc8": self.num_classes}

    def _least_size(self) -> int:
        size, self.input_size = self.input_size, 0
        while True:
            self.input_size += 1
            self._channels, self._size, self._whole = 3, self.input_size, True
            try:
                self._walk()
            except ShapeError:
                continue
            least, self.input_size = self.input_size, size
            return least

    def _walk(self) -> None:
        v = self.variant
        paddings = (v.conv1_padding, *(v.paddings if self.overlapping else (1, 0, *v.paddings[2:])))
        for i, layer in enumerate(LAYERS[:5]):
            if layer in self.layers:
                self._conv(layer, v.kernels[i], 4 if i == 0 else 1, paddings[i], v.conv1_ceil and i == 0)
            stage = {0: v.stage1, 1: v.stage2, 4: v.stage5}.get(i, ("relu",))
            for step in stage if layer in self.layers else [step for step in stage if step == "pool"]:
                self._after_conv(step, i + 1)
        if "conv6" in self.layers:
            self._conv("conv6", 3, 1, 1, False)
            self._relu("relu_conv6")
        self._add(lambda part: Flatten(**part.where("flatten5")))
        self._channels *= self._size**2
        before = v.dropout_place.startswith("before")
        for layer in ("fc6", "fc7"):
            if layer in self.layers:
                self._dropout(layer, here=before)
                self._linear(layer)
                self._relu(f"relu{layer[2:]}")
                self._dropout(layer, here=not before)
        self._linear("fc8")

    def _relu(self, name: str) -> None:
        self._add(lambda part: ReLU(**part.where(name)))

    def _add(self, recipe: Recipe) -> None:
        self.steps.append(recipe)

    def _meets(self, layer: str, fan_in: tuple[int, ...]) -> int:
        """Note the weights of a layer, and a link in front of it where the towers meet; return its groups."""
        if not self._whole and (layer in self.links or layer == "fc8"):
            self.steps.append(layer)
            self._whole = True
        groups = 1 if self._whole else 2
        self.weight_shapes[layer] = (self.widths[layer], self._channels // groups, *fan_in)
        return groups

    def _conv(self, layer: str, kernel: int, stride: int, padding: int, ceil: bool) -> None:
        self._size = windows_of(layer, (self._size, self._size), kernel, stride, padding, ceil).out[0]
        first = not self.steps
        groups, channels, k = self._meets(layer, (kernel, kernel)), self._channels, self.widths[layer]

        def recipe(part: Part) -> Layer:
            return Conv2d(
                channels // min(groups, part.of),
                k // part.of,
                kernel,
                stride=stride,
                padding=padding,
                ceil_mode=ceil,
                groups=groups if part.of == 1 else 1,
                input_gradient=not first or part.input_gradient,
                **part.values(layer),
            )

        self._add(recipe)
        self._channels, self._whole = k, False

    def _after_conv(self, step: str, stage: int) -> None:
        v = self.variant
        if step == "relu":
            self._relu(f"relu{stage}")
        elif step == "norm" and self.lrn:
            k, over_n, groups = v.norm_k or 1.0, bool(v.norm_alpha_over_n), 1 if self.half else v.norm_groups or 1
            self._add(
                lambda part: LocalResponseNorm(
                    v.norm_n, k, v.norm_alpha, v.norm_beta,
                    groups=groups // part.of or 1, alpha_over_n=over_n, **part.where(f"norm{stage}"),
                )
            )  # fmt: skip
        elif step == "rnorm" and self.lrn and v.rnorm is not None:
            rnorm = v.rnorm
            self._add(lambda part: SpatialResponseNorm(*rnorm, **part.where(f"rnorm{stage}")))
        elif step == "pool":
            kernel = 3 if self.overlapping else 2
            self._size = windows_of(f"pool{stage}", (self._size, self._size), kernel, 2, 0, v.pool_ceil, inside=True).out[0]
            self._add(lambda part: MaxPool2d(kernel, stride=2, ceil_mode=v.pool_ceil, **part.where(f"pool{stage}")))

    def _linear(self, layer: str) -> None:
        groups, features, k = self._meets(layer, ()), self._channels, self.widths[layer]

        def recipe(part: Part) -> Layer:
            if groups == 2 and part.of == 1:
                return Linear(features, k, groups=2, **part.values(layer))
            return Linear(features // groups, k // part.of, **part.values(layer))

        self._add(recipe)
        self._channels, self._whole = k, False

    def _dropout(self, layer: str, here: bool) -> None:
        if here and self.dropout:
            scale = {"training": "train", "testing": "test"}[self.variant.dropout_scale]
            name = f"drop{layer[2:]}"
            self._add(lambda part: Dropout(0.5, scale=scale, seed=part.seed, part=(part.index, part.of), **part.where(name)))


def _names(who: str, quantity: str, names: Any, choices: tuple[str, ...]) -> frozenset[str]:
    """Names of layers, each one of `choices`."""
    if not isinstance(names, (tuple, list, set, frozenset)) or not all(isinstance(name, str) for name in names):
        raise ShapeError(f"{who}: {quantity} must be a sequence of layer names, got {show(names)}")
    for name in names:
        if name not in choices:
            raise ShapeError(f"{who}: {quantity} must hold only names of {', '.join(choices)}, got {show(name)}")
    return frozenset(names)


def _count(n: int) -> str:
    return f"{n:,}" if n < 2**128 else show(n)

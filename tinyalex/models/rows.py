"""A network as a list of rows, one for each layer, and the edits that turn one network into another.

A row holds the kind of a layer, its name and the arguments of its class. No array is made before `tinyalex.models.build`
turns the rows into layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from tinyalex.errors import ShapeError, did_you_mean, pair, show
from tinyalex.geometry import windows_of
from tinyalex.init import Constant, Gaussian, Init

Shape: TypeAlias = tuple[int, ...]
NORMS = ("bn", "gn")  # kinds of layers with a scale and a shift for each channel
PYTORCH = "uniform within 1 / sqrt(fan-in)"  # the default of torch.nn.Conv2d and Linear, for weights and biases


@dataclass(frozen=True)
class Row:
    """One layer. kind: such as "conv". name: such as "conv1". settings: the arguments of the layer's class by name."""

    kind: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, setting: str) -> Any:
        return self.settings[setting]

    @property
    def weighted(self) -> bool:
        """Whether the layer has weights."""
        return "weight_init" in self.settings

    @property
    def biased(self) -> bool:
        """Whether a layer with weights has biases too."""
        return bool(self.settings.get("bias", True))

    @property
    def width(self) -> int:
        """The number of filters of a convolution, or of units of a fully connected layer."""
        return int(self.settings["out_channels" if "out_channels" in self.settings else "out_features"])

    def having(self, **settings: Any) -> Row:
        """A copy of the row with these settings replaced; `width` stands for the number of filters or units.

        Raises
        ------
        ShapeError: the row has no such setting.
        """
        if "width" in settings:
            settings["out_channels" if "out_channels" in self.settings else "out_features"] = settings.pop("width")
        for setting in settings:
            if setting not in self.settings:
                rule = f"{self.name}: a setting must be one of {', '.join(self.settings)}, got {show(setting)}"
                raise ShapeError(rule, did_you_mean(setting, self.settings))
        return replace(self, settings=dict(self.settings) | settings)


Rows: TypeAlias = tuple[Row, ...]


def conv(
    name: str,
    filters: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    ceil: bool = False,
    weight: Init | str = Gaussian(0.01),  # noqa: B008 - immutable
    bias: float | None = 0,
) -> Row:
    """A convolution. weight: the distribution of the initial weights. bias: the initial value of every bias, None for no biases."""
    window = {"out_channels": filters, "kernel_size": kernel, "stride": stride, "padding": padding, "groups": groups, "ceil_mode": ceil}
    biases = {"bias_init": Constant(float(bias or 0))} | ({"bias": False} if bias is None else {})
    return Row("conv", name, window | {"input_gradient": True, "weight_init": weight} | biases)


def linear(
    name: str,
    units: int,
    *,
    groups: int = 1,
    weight: Init | str = Gaussian(0.01),  # noqa: B008 - immutable
    bias: float = 0,
) -> Row:
    """A fully connected layer. With two groups, each half of the units reads half of the inputs."""
    return Row("linear", name, {"out_features": units, "groups": groups, "weight_init": weight, "bias_init": Constant(float(bias))})


def relu(name: str) -> Row:
    """A rectified linear unit."""
    return Row("relu", name)


def norm(name: str, *, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, groups: int = 1, over_n: bool = False) -> Row:
    """Local response normalization across channels; over_n: whether alpha is divided by n."""
    return Row("norm", name, {"n": n, "k": k, "alpha": alpha, "beta": beta, "groups": groups, "alpha_over_n": over_n})


def rnorm(name: str, *, n: int, k: float, alpha: float, beta: float) -> Row:
    """Response normalization within each channel."""
    return Row("rnorm", name, {"n": n, "k": k, "alpha": alpha, "beta": beta})


def bn(name: str, **settings: Any) -> Row:
    """Batch normalization; other settings are those of `BatchNorm2d`."""
    return Row("bn", name, settings)


def gn(name: str, groups: int, **settings: Any) -> Row:
    """Group normalization; other settings are those of `GroupNorm`."""
    return Row("gn", name, {"groups": groups, **settings})


def pool(name: str, kernel: int = 3, *, stride: int = 2, ceil: bool = True, kind: str = "pool") -> Row:
    """Max pooling. ceil: whether the last window may reach over the edge of the image."""
    return Row(kind, name, {"kernel_size": kernel, "stride": stride, "ceil_mode": ceil})


def mean_pool(name: str, kernel: int = 3, **settings: Any) -> Row:
    """Average pooling; the settings are those of `pool`."""
    return pool(name, kernel, kind="mean_pool", **settings)


def dropout(name: str, *, scale: str = "test") -> Row:
    """Dropout of half of the units. scale: "test" multiplies by 1 - p while testing, "train" divides by 1 - p while training."""
    return Row("dropout", name, {"p": 0.5, "scale": scale, "seed": 0, "part": (0, 1)})


def flatten(name: str) -> Row:
    """Reshapes (C, H, W) into one vector."""
    return Row("flatten", name)


def change(rows: Iterable[Row], **settings: Mapping[str, Any]) -> Rows:
    """A copy of the rows with some settings replaced. A keyword is the name of one row, or a kind for all rows of that kind.

    Raises
    ------
    ShapeError: a keyword is neither a name nor a kind of these rows, or a row does not have such a setting.

    Example
    -------
    >>> change([conv("conv1", 96, 11), relu("relu1")], conv1={"stride": 4})[0]["stride"]
    4
    """
    rows = tuple(rows)
    known = {row.name for row in rows} | {row.kind for row in rows}
    for key in settings:
        if key not in known:
            near = did_you_mean(key, known) or f"there are {', '.join(names(rows))}"
            raise ShapeError(f"rows: what is changed must be a row or a kind of row, got {show(key)}", near)
    return tuple(row.having(**settings.get(row.kind, {}), **settings.get(row.name, {})) for row in rows)


def names(rows: Iterable[Row]) -> list[str]:
    """The names of the rows."""
    return [row.name for row in rows]


def place(rows: Rows, name: str) -> int:
    """The index of the row called `name`. ShapeError: there is no such row."""
    if name not in names(rows):
        raise ShapeError(f"rows: a row must be one of {', '.join(names(rows))}, got {show(name)}", did_you_mean(name, names(rows)))
    return names(rows).index(name)


def after(rows: Rows, name: str, *new: Row) -> Rows:
    """A copy of the rows with the rows `new` inserted behind the row called `name`."""
    return (*rows[: place(rows, name) + 1], *new, *rows[place(rows, name) + 1 :])


def swap(rows: Rows, first: str, second: str) -> Rows:
    """A copy of the rows in which the rows called `first` and `second` have changed places."""
    exchanged = {place(rows, first): rows[place(rows, second)], place(rows, second): rows[place(rows, first)]}
    return tuple(exchanged.get(i, row) for i, row in enumerate(rows))


def without(rows: Rows, *gone: str) -> Rows:
    """The rows except those whose name or kind is in `gone`."""
    return tuple(row for row in rows if row.name not in gone and row.kind not in gone)


def scaled(rows: Rows, factor: float) -> Rows:
    """A copy of the rows with all filters and units, except the last layer's, times `factor`, rounded to even numbers from 2 on."""
    last = weighted(rows)[-1]
    return tuple(row.having(width=max(2, 2 * round(row.width * factor / 2))) if row.weighted and row is not last else row for row in rows)


def weighted(rows: Iterable[Row]) -> Rows:
    """The rows of the layers that have weights."""
    return tuple(row for row in rows if row.weighted)


def links(rows: Iterable[Row]) -> tuple[str, ...]:
    """The names of the layers between the first and the last that read all channels: in front of them two towers exchange outputs."""
    return tuple(row.name for row in weighted(rows)[1:-1] if row["groups"] == 1)


def half(row: Row, index: int) -> Row:
    """The half of a layer that is in tower a (index 0) or b (index 1): it has half of the filters or units and half of the groups.

    A layer with weights and one group reads both towers. ShapeError: an odd number of groups, filters or units, or a layer with
    parameters whose name does not end with a digit, so that files could not tell its halves.
    """
    mine = replace(row, name=row.name + "ab"[index])
    if (row.weighted or row.kind in NORMS) and not row.name[-1].isdigit():
        rule = f"rows: the name of a layer with parameters must end with a digit for two towers, {row.name + '1'!r} and the like"
        raise ShapeError(f"{rule}, got {show(row.name)}; its halves get an a and a b behind it")
    if row.weighted:
        if row.width % 2:
            raise ShapeError(f"{row.name}: filters or units must be an even number for two towers, got {row.width}")
        mine = mine.having(width=row.width // 2)
    if "groups" in row.settings and not (row.weighted and row["groups"] == 1):
        if row["groups"] % 2:
            rule = f"{row.name}: groups must be an even number for two towers, of which each has half"
            raise ShapeError(f"{rule}, got {row['groups']}; use groups={2 * row['groups']}, or one tower")
        mine = mine.having(groups=row["groups"] // 2)
    return mine.having(part=(index, 2)) if "part" in row.settings else mine


@dataclass(frozen=True)
class Step:
    """A row with the shapes of one image before and after the layer. weight: the shape of its weights, () if it has no weights."""

    row: Row
    in_shape: Shape
    out_shape: Shape
    weight: Shape = ()

    @property
    def initial(self) -> tuple[Init, Init]:
        """The distributions of the initial weights and biases."""
        own = self.row["weight_init"], self.row["bias_init"]
        weight, bias = (Uniform(1 / math.sqrt(math.prod(self.weight[1:]))) if init == PYTORCH else init for init in own)
        return weight, bias


def walk(rows: Iterable[Row], in_shape: Shape) -> Iterator[Step]:
    """The rows with their shapes, in order, for images of shape `in_shape`, (C, H, W).

    Raises
    ------
    ShapeError: the image is so small that a window does not fit.
    """
    shape = tuple(in_shape)
    for row in rows:
        out: Shape = shape
        weight: Shape = ()
        if "kernel_size" in row.settings:
            ceil, inside, padding = row["ceil_mode"], not row.weighted, row.settings.get("padding", 0)
            size = windows_of(row.name, (shape[1], shape[2]), row["kernel_size"], row["stride"], padding, ceil, inside).out
            out = (row["out_channels"] if row.weighted else shape[0], *size)
            if row.weighted:
                weight = (out[0], shape[0] // row["groups"], *pair(row.name, "kernel_size", row["kernel_size"]))
        elif row.kind == "flatten":
            out = (math.prod(shape),)
        elif row.kind == "global_pool":
            out = shape[:1]
        elif row.kind == "linear":
            out, weight = (row["out_features"],), (row["out_features"], shape[0] // row["groups"])
        yield Step(row, shape, out, weight)
        shape = out


def weight_shapes(rows: Iterable[Row], in_shape: Shape) -> dict[str, Shape]:
    """The shape of the weights of each convolution and each fully connected layer, by name."""
    return {step.row.name: step.weight for step in walk(rows, in_shape) if step.weight}


def parameters(rows: Iterable[Row], in_shape: Shape) -> int:
    """The number of parameters of the net: of weights, of biases, and of the scales and shifts of normalization."""
    count = 0
    for step in walk(rows, in_shape):
        if step.weight:
            count += math.prod(step.weight) + (step.weight[0] if step.row.biased else 0)
        elif step.row.kind in NORMS:
            count += 2 * step.out_shape[0]
    return count


@dataclass(frozen=True)
class Uniform:
    """Draws initial values that are uniform from -bound to bound."""

    bound: float

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """A float32 array of `shape`, drawn with `rng`."""
        return (2 * rng.random(shape, np.float32) - 1) * np.float32(self.bound)

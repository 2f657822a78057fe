"""A network as a list of rows, one for each layer, and the edits that turn one network into another.

A row holds the kind of a layer, its name and the arguments of its class. No array is made before `tinyalex.models.build`
turns the rows into layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tinyalex.errors import ShapeError, did_you_mean, pair, show
from tinyalex.geometry import windows_of
from tinyalex.init import Constant, Gaussian, Init, Uniform
from tinyalex.models.defaults import DEFAULTS

Shape: TypeAlias = tuple[int, ...]
WEIGHTED = ("conv", "local", "linear")  # kinds of layers with weights
NORMS = ("bn", "gn")  # kinds of layers with a scale and a shift for each channel
PYTORCH = "uniform within 1 / sqrt(fan-in)"  # the default of torch.nn.Conv2d and Linear, for weights and biases


@dataclass(frozen=True)
class Row:
    """One layer. kind: such as "conv". name: such as "conv1". settings: the arguments of the layer's class by name.

    `row[setting]` is the default of the class where the row does not name a setting, as rows of files often do not.
    """

    kind: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, setting: str) -> Any:
        return self.settings[setting] if setting in self.settings else DEFAULTS.get(self.kind, {})[setting]

    @property
    def known(self) -> tuple[str, ...]:
        """The settings that the row has, named or by default."""
        return tuple(dict.fromkeys([*self.settings, *DEFAULTS.get(self.kind, ())]))

    @property
    def weighted(self) -> bool:
        """Whether the layer has weights."""
        return self.kind in WEIGHTED

    @property
    def biased(self) -> bool:
        """Whether a layer with weights has biases too."""
        return bool(self.settings.get("bias", True))

    @property
    def groups(self) -> int:
        """How many groups the channels are in; 1 for a layer that has no such setting."""
        return int(self["groups"]) if "groups" in self.known else 1

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
        known = self.known
        for setting in settings:
            if setting not in known:
                rule = f"{self.name}: a setting must be one of {', '.join(known) or 'none'}, got {show(setting)}"
                raise ShapeError(rule, did_you_mean(setting, known))
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
    """The rows with their shapes, in order, for images of shape `in_shape`, (C, H, W); of branches the rows of each path.

    Raises
    ------
    ShapeError: the image is so small that a window does not fit.
    """
    yield from _walk(rows, tuple(in_shape))[0]


def _walk(rows: Iterable[Row], shape: Shape) -> tuple[list[Step], Shape]:
    """The steps, and the shape behind the last of them."""
    steps: list[Step] = []
    for row in rows:
        if row.kind == "branches":
            paths = [_walk(path, shape) for path in row["paths"]]
            steps += [step for inner, _ in paths for step in inner]
            first = paths[0][1]
            shape = (sum(end[0] for _, end in paths), *first[1:]) if row["merge"] == "concat" else first
        else:
            steps.append(_step(row, shape))
            shape = steps[-1].out_shape
    return steps, shape


def _step(row: Row, shape: Shape) -> Step:
    out: Shape = shape
    weight: Shape = ()
    if row.kind in ("conv", "local", "pool", "mean_pool"):
        if len(shape) != 3:
            raise ShapeError(f"{row.name}: its input must be images (C, H, W), got {shape}")
        kernel, filters = pair(row.name, "kernel_size", row["kernel_size"]), row.width if row.weighted else shape[0]
        stride = kernel if row["stride"] is None else row["stride"]
        size = windows_of(row.name, (shape[1], shape[2]), kernel, stride, row["padding"], row["ceil_mode"], not row.weighted).out
        out = (filters, *size)
        if row.kind == "conv":
            weight = (filters, shape[0] // row.groups, *kernel)
        elif row.kind == "local":  # each place has weights of its own
            weight = (*size, filters, shape[0], *kernel)
    elif row.kind == "flatten":
        out = (math.prod(shape),)
    elif row.kind == "global_pool":
        out = shape[:1]
    elif row.kind == "linear":
        out, weight = (row["out_features"],), (row["out_features"], shape[0] // row.groups)
    elif row.kind == "shortcut":
        out = (row["channels"], *(-(-side // row["stride"]) for side in shape[1:]))
    return Step(row, shape, out, weight)


def weight_shapes(rows: Iterable[Row], in_shape: Shape) -> dict[str, Shape]:
    """The shape of the weights of each convolution and each fully connected layer, by name."""
    return {step.row.name: step.weight for step in walk(rows, in_shape) if step.weight}


def parameters(rows: Iterable[Row], in_shape: Shape) -> int:
    """The number of parameters of the net: of weights, of biases, and of the scales and shifts of normalization."""
    count = 0
    for step in walk(rows, in_shape):
        if step.weight:
            biases = math.prod(step.out_shape if step.row.kind == "local" else step.out_shape[:1])
            count += math.prod(step.weight) + (biases if step.row.biased else 0)
        elif step.row.kind in NORMS:
            count += 2 * step.out_shape[0]
    return count

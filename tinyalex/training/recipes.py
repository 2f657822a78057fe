"""Recipes: all the settings of a training run that somebody published, each with its source (paper 4 and 5).

A recipe does not contain the network. It names the one it was made for, whose rows hold the initial weights and biases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinyalex.errors import ShapeError, did_you_mean, require_bool, require_choice, require_float, require_int, show
from tinyalex.init import Constant, FanIn, Gaussian
from tinyalex.layers.base import Layer
from tinyalex.models.options import as_built
from tinyalex.models.registry import rows_of
from tinyalex.models.rows import weighted
from tinyalex.optim import SGD
from tinyalex.schedule import Dexp, Plateau, Schedule, Steps

OF_NET = ("weight_std", "hidden_bias", "dropout")  # options of AlexNet that belong to a recipe
SCHEDULES = ("plateau", "steps", "dexp", "constant")
PIXELS = ("mean-image", "standardize")
OFFSETS = ("paper", "code")


@dataclass(frozen=True)
class Recipe:
    """The settings of a run.

    Parameters
    ----------
    net: the network that the recipe was made for, a name of the registry.
    epochs: passes over the training images. batch_size: images in a step.
    lr: the first learning rate. momentum, weight_decay: as in `SGD`.
    bias_lr, bias_decay: factors of the learning rate and of the weight decay for biases.
    bias_lr_falls: False keeps the learning rate of biases at its first value while that of the weights falls.
    schedule: "plateau" divides the rate by `divide_by` after `patience` epochs without a lower validation error, at most `times` times, and
        then ends the run; "steps" divides it after the epochs in `drop_after`; "dexp" divides it in four steps of equal length;
        "constant" keeps it.
    pixels: "mean-image" subtracts the mean image of the training set; "standardize" gives each channel mean 0 and standard deviation 1.
    augment: whether training reads random crops, half of them mirrored, with color noise; False reads the center of each image.
    offsets: "paper" counts 32 places along an axis for a crop of 224 in 256, "code" has all 33.
    own_mean_window: whether the window of the mean image that is subtracted is where the crop is; False is the window in the center.
    color_noise: the strength of the color noise, 0 for none. color_shrink: the number by which images with noise are divided.
    noise_until: the number of the last epoch with color noise; None for all.

    Raises
    ------
    ShapeError: a setting outside its range.
    """

    net: str = "alexnet"
    epochs: int = 90
    batch_size: int = 128
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    bias_lr: float = 1.0
    bias_decay: float = 1.0
    bias_lr_falls: bool = True
    schedule: str = "plateau"
    patience: int = 5
    times: int = 3
    divide_by: float = 10.0
    drop_after: tuple[int, ...] = ()
    pixels: str = "mean-image"
    augment: bool = True
    offsets: str = "paper"
    own_mean_window: bool = False
    color_noise: float = 0.1
    color_shrink: float = 1.0
    noise_until: int | None = None

    def __post_init__(self) -> None:
        who = "recipe"
        for field in ("epochs", "batch_size", "patience"):
            require_int(who, field, getattr(self, field))
        require_int(who, "times", self.times, least=0)
        for field in ("bias_lr_falls", "augment", "own_mean_window"):
            require_bool(who, field, getattr(self, field))
        for field in ("lr", "divide_by", "color_shrink"):
            require_float(who, field, getattr(self, field), "a number above 0", lambda v: 0 < v < float("inf"))
        for field in ("momentum", "weight_decay", "bias_lr", "bias_decay", "color_noise"):
            require_float(who, field, getattr(self, field), "a number of at least 0", lambda v: 0 <= v < float("inf"))
        require_choice(who, "schedule", self.schedule, SCHEDULES)
        require_choice(who, "pixels", self.pixels, PIXELS)
        require_choice(who, "offsets", self.offsets, OFFSETS)
        if self.noise_until is not None:
            require_int(who, "noise_until", self.noise_until, least=0)

    def with_fields(self, **fields: Any) -> Recipe:
        """The recipe with some fields replaced. ShapeError: there is no such field, or its value is outside its range."""
        for name in fields:
            if name not in NAMES:
                raise ShapeError(f"recipe: fields must be among {', '.join(NAMES)}, got {show(name)}", did_you_mean(name, NAMES))
        return dataclasses.replace(self, **fields)

    def of_length(self, epochs: int) -> Recipe:
        """The recipe for a run of so many epochs: the steps of its rate and the end of its noise move in proportion."""
        steps = {step * epochs // self.epochs for step in self.drop_after} - {0}
        until = None if self.noise_until is None else self.noise_until * epochs // self.epochs
        return dataclasses.replace(self, epochs=epochs, drop_after=tuple(sorted(steps)), noise_until=until)

    def schedule_for(self) -> Schedule:
        """A new schedule of the learning rate."""
        if self.schedule == "plateau":
            return Plateau(self.lr, self.patience, self.divide_by, self.times)
        if self.schedule == "steps":
            return Steps(self.lr, self.drop_after, self.divide_by)
        return Dexp(self.lr, self.epochs) if self.schedule == "dexp" else Schedule(self.lr)

    def optimizer_for(self, net: Layer, multipliers: Mapping[str, tuple[float, float]] | None = None) -> SGD:
        """The optimizer of `net`. `multipliers` are further ones, such as those of a fine-tuned net; they come last."""
        biases = {"*.bias": (self.bias_lr, self.bias_decay)} if (self.bias_lr, self.bias_decay) != (1, 1) else {}
        constant = () if self.bias_lr_falls else ("*.bias",)
        return SGD(net, self.lr, self.momentum, self.weight_decay, {**biases, **(multipliers or {})}, constant=constant)


NAMES = tuple(field.name for field in dataclasses.fields(Recipe))

# "authors": their code of 2012, https://github.com/computerhistory/AlexNet-Source-Code. Comments in layers/layer-params-145.cfg are the log
# of the run that gave the errors of Table 2. "caffe": models/bvlc_alexnet of https://github.com/BVLC/caffe.
RECIPES: dict[str, Recipe] = {
    "paper": Recipe(),
    "authors": Recipe(
        net="alexnet-authors",
        epochs=91,
        bias_lr=2.0,
        bias_decay=0.0,
        bias_lr_falls=False,
        schedule="steps",
        drop_after=(25, 51, 79),
        offsets="code",
        color_shrink=1.1,
        noise_until=67,
    ),
    "caffe": Recipe(
        net="alexnet-caffe",
        batch_size=256,
        bias_lr=2.0,
        bias_decay=0.0,
        schedule="steps",
        drop_after=(20, 40, 60, 80),
        offsets="code",
        own_mean_window=True,
        color_noise=0.0,
    ),
    "small": Recipe(
        net="cifar-alexnet",
        epochs=20,
        schedule="steps",
        drop_after=(14, 18),
        pixels="standardize",
        offsets="code",
        color_noise=0.0,
    ),
}

_CHOICE = "choice of this project"
SOURCES: dict[str, dict[str, str]] = {
    "paper": {
        "net": "sections 3.1 to 3.5",
        "epochs": "section 5: roughly 90 cycles",
        "batch_size": "section 5",
        "lr": "section 5: initialized at 0.01",
        "momentum": "section 5",
        "weight_decay": "section 5",
        "bias_lr": "section 5: an equal learning rate for all layers",
        "bias_decay": "section 5: the update rule is for all weights w",
        "bias_lr_falls": "section 5: adjusted throughout training",
        "schedule": "section 5: divided by 10 when the validation error stopped improving",
        "patience": f"{_CHOICE}; the paper's authors did it by hand",
        "times": "section 5: reduced three times",
        "divide_by": "section 5",
        "drop_after": "not used by plateau",
        "pixels": "section 2",
        "augment": "section 4.1",
        "offsets": "section 4.1: a factor of 2048 = 32 * 32 * 2",
        "own_mean_window": "convdata_jpeg.py of the authors' code; the paper does not say",
        "color_noise": "section 4.1: standard deviation 0.1",
        "color_shrink": "section 4.1 does not divide",
        "noise_until": "section 4.1 does not stop it",
        "weight_std": "section 5: standard deviation 0.01",
        "hidden_bias": "section 5: 1 in conv2, conv4, conv5 and the fully connected hidden layers",
        "dropout": "section 4.2",
    },
    "authors": {
        "net": "layers-145.cfg",
        "epochs": "log: killed in epoch 91",
        "batch_size": "--mini, its default",
        "lr": "epsW of layer-params-145.cfg",
        "momentum": "momW of layer-params-145.cfg",
        "weight_decay": "wc of layer-params-145.cfg",
        "bias_lr": "epsB is twice epsW",
        "bias_decay": "src/layer.cu: biases have no wc",
        "bias_lr_falls": "epsB still has its first value in the last file",
        "schedule": "log of layer-params-145.cfg; changed by hand",
        "patience": "not used by steps",
        "times": "not used by steps",
        "divide_by": "log",
        "drop_after": "log; conv1's rate fell at 67 and was 0 from 72 on: here it falls with the others",
        "pixels": "convdata_jpeg.py",
        "augment": "convdata_jpeg.py",
        "offsets": "convdata_jpeg.py: randint(0, 33)",
        "own_mean_window": "convdata_jpeg.py: the central window, whatever the crop",
        "color_noise": "convdata_jpeg.py",
        "color_shrink": "convdata_jpeg.py",
        "noise_until": "log: 0 after 67",
        "weight_std": "initW of layers-145.cfg",
        "hidden_bias": "initB of layers-145.cfg",
        "dropout": "hs1, hs2 of layers-145.cfg: keep 0.5",
    },
    "caffe": {
        "net": "bvlc_alexnet/train_val.prototxt",
        "epochs": "max_iter 450000 of 256 images",
        "batch_size": "train_val.prototxt",
        "lr": "solver.prototxt: base_lr",
        "momentum": "solver.prototxt",
        "weight_decay": "solver.prototxt",
        "bias_lr": "train_val.prototxt: lr_mult 2",
        "bias_decay": "train_val.prototxt: decay_mult 0",
        "bias_lr_falls": "solver.prototxt: one policy for all",
        "schedule": "solver.prototxt: lr_policy step",
        "patience": "not used by steps",
        "times": "not used by steps",
        "divide_by": "solver.prototxt: gamma 0.1",
        "drop_after": "solver.prototxt: stepsize 100000, which is 20 epochs",
        "pixels": "train_val.prototxt: mean_file",
        "augment": "train_val.prototxt: crop_size 227, mirror true",
        "offsets": "data_transformer.cpp: every place",
        "own_mean_window": "data_transformer.cpp: the mean's window is the crop's",
        "color_noise": "Caffe has none",
        "color_shrink": "Caffe has none",
        "noise_until": "Caffe has none",
        "weight_std": "train_val.prototxt: weight_filler",
        "hidden_bias": "train_val.prototxt: bias_filler",
        "dropout": "train_val.prototxt: drop6, drop7",
    },
    "small": dict.fromkeys((*NAMES, *OF_NET), _CHOICE),
}


def recipe_of(name: str, **fields: Any) -> Recipe:
    """The recipe called `name`, with some of its fields replaced.

    Raises
    ------
    ShapeError: there is no recipe of that name, no such field, or a value is outside its range.

    Example
    -------
    >>> recipe_of("authors", epochs=10).drop_after
    (25, 51, 79)
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise ShapeError(f"recipe: the name must be one of {', '.join(RECIPES)}, got {show(name)}", did_you_mean(name, RECIPES))
    return RECIPES[name].with_fields(**fields)


def table_of(name: str, recipe: Recipe, **options: Any) -> list[str]:
    """Lines of a table: each field of a recipe, its value and its source; what is not the recipe's own is marked.

    options: settings of the net, such as weight_std=0.02. The net's initial values and its dropout are in the table too.
    """
    own, sources = RECIPES[name], SOURCES[name]
    mine = {field: _said(getattr(recipe, field)) for field in NAMES} | in_net(recipe.net, **options)
    theirs = {field: _said(getattr(own, field)) for field in NAMES} | in_net(own.net)
    wide, wider = max(map(len, mine)), max(map(len, mine.values()))
    return [
        f"{field:<{wide}}  {value:<{wider}}  {sources[field] if value == theirs[field] else f'yours; {name} has {theirs[field]}'}"
        for field, value in mine.items()
    ]


def in_net(name: str, **options: Any) -> dict[str, str]:
    """What the rows of a net say about its start and its dropout, in words: weight_std, hidden_bias, dropout.

    Example
    -------
    >>> in_net("alexnet-authors")["weight_std"]
    '0.01; conv3, conv4, conv5: 0.03'
    """
    given = {key: value for key, value in options.items() if key in OF_NET}
    variant = name.partition("-")[2] or "paper"
    rows = as_built(variant, **given).rows if name.startswith("alexnet") else rows_of(name)
    layers = weighted(rows)
    stds = {row.name: _init(row["weight_init"]) for row in layers}
    biases = {row.name: _init(row["bias_init"]) for row in layers}
    dropped = [row for row in rows if row.kind == "dropout"]
    return {
        "weight_std": _grouped(stds),
        "hidden_bias": _grouped(biases),
        "dropout": ", ".join(f"{row['p']:g} after {row.name.replace('drop', 'fc')}" for row in dropped) or "none",
    }


def _init(init: Any) -> str:
    if isinstance(init, FanIn):
        return f"{init.gain:.3g} / sqrt(fan-in)"
    return f"{init.std:g}" if isinstance(init, Gaussian) else f"{init.value:g}" if isinstance(init, Constant) else str(init)


def _grouped(values: dict[str, str]) -> str:
    """The value that most layers have, then the layers that differ with theirs."""
    usual = max(dict.fromkeys(values.values()), key=list(values.values()).count)
    others: dict[str, list[str]] = {}
    for layer, value in values.items():
        if value != usual:
            others.setdefault(value, []).append(layer)
    return "; ".join([usual, *(f"{', '.join(layers)}: {value}" for value, layers in others.items())])


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

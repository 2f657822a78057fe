"""Recipes: all the settings of a training run that somebody published, each with its source (paper 4 and 5).

A recipe does not contain the network. It names the one it was made for, whose rows hold the initial weights and biases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinyalex.errors import ShapeError, did_you_mean, require_bool, require_choice, require_float, require_int, show
from tinyalex.layers.base import Layer
from tinyalex.optim import SGD
from tinyalex.schedule import Dexp, Plateau, Schedule, Steps

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
    padding: how many zeros stand on each side of an image when a random crop of it is taken, see `CropAndFlip`. Above 0 there is no color
        noise, every place counts (offsets "code"), and the mean is subtracted before the crop (own_mean_window).

    Raises
    ------
    ShapeError: a setting outside its range, or one that does not go with padding.
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
    padding: int = 0

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
        if require_int(who, "padding", self.padding, least=0):
            with_mean = {"own_mean_window": True} if self.pixels == "mean-image" else {}
            for field, value in {"offsets": "code", "color_noise": 0, **with_mean}.items():
                if (got := getattr(self, field)) != value:
                    raise ShapeError(f"{who}: {field} must be {value} where there is padding, got {show(got)}", "or leave padding at 0")

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
    # He et al. 2015, section 4.2: 64,000 steps of 128 images, of which the 50,000 images make 391 an epoch. By the measured 5.2 ms of a
    # step and 1.7 ms of a test, for an image, it takes about 12.6 h on one core of the machine of `examples/results`; not yet trained.
    "resnet20-cifar10": Recipe(
        net="resnet20",
        epochs=164,
        lr=0.1,
        weight_decay=1e-4,
        schedule="steps",
        drop_after=(82, 123),
        offsets="code",
        own_mean_window=True,
        color_noise=0.0,
        padding=4,
    ),
}


def recipe_for(net: str) -> str:
    """The name of the recipe for a network of the registry: the first one that was made for it, else one for networks like it.

    Example
    -------
    >>> recipe_for("alexnet"), recipe_for("alexnet-caffenet"), recipe_for("figure1")
    ('paper', 'paper', 'small')
    """
    other = "paper" if net.startswith("alexnet") else "small"
    return next((name for name, recipe in RECIPES.items() if recipe.net == net), other)


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

"""What the options of `tinyalex train` ask for: the recipe, the images, the net and its first weights, the config of the run."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyalex.commands.files import is_file
from tinyalex.commands.shared import path, set_cards, tell
from tinyalex.commands.train_own import Own
from tinyalex.data.dataset import Sources
from tinyalex.data.find import open_data
from tinyalex.data.source import Source
from tinyalex.devices.dry import DryDevice
from tinyalex.errors import ShapeError, require_choice, require_float, require_int
from tinyalex.layers import Layer, Sequential
from tinyalex.models.build import places_of
from tinyalex.models.registry import GROUPS, SMALL, build, require_name
from tinyalex.models.weights import arrays_of
from tinyalex.training.checkpoint import checkpoint_files
from tinyalex.training.recipes import SCHEDULES, Recipe, recipe_for, recipe_of
from tinyalex.training.saved_net import is_shipped, read_saved, wrote
from tinyalex.training.start import heads_in, hold_out, load_start

SETTINGS: dict[str, dict[str, Any]] = {"figure1": {"setup": "fan-in"}}  # the setup for inputs of unit variance
HELD_OUT = 0.1  # of the training images, if the schedule follows the validation error: test images must not decide anything
FIELDS = {  # the options that replace a field of the recipe: (type, metavar, words)
    "epochs": (int, "N", "passes over the training images; those before a stop count. The steps of the recipe's schedule move with it"),
    "batch_size": (int, "N", "images in a training step"),
    "lr": (float, "RATE", "the learning rate of the first epoch"),
    "schedule": (str, "NAME", f"of the learning rate: {', '.join(SCHEDULES)}"),
    "drop_after": (str, "14,18", "for steps: lower the rate after these epochs"),
    "patience": (int, "N", "for plateau: epochs without a lower validation error before the rate is lowered"),
    "times": (int, "N", "for plateau: how often the rate is lowered at most"),
    "divide_by": (float, "F", "for plateau and steps: the rate is lowered by this factor"),
    "momentum": (float, "M", "from 0 to below 1"),
    "weight_decay": (float, "D", "at least 0"),
    "bias_lr": (float, "F", "a factor of the learning rate for biases"),
    "bias_decay": (float, "F", "a factor of the weight decay for biases"),
    "pixels": (str, "NAME", "mean-image, or standardize"),
    "offsets": (str, "NAME", "of random crops: paper (0 to 31) or code (0 to 32)"),
    "color_noise": (float, "S", "strength of the color noise, 0.1 in the paper; 0 for none"),
    "color_shrink": (float, "F", "divide images with noise by this number, 1.1 in the authors' code"),
    "noise_until": (int, "N", "the last epoch with color noise"),
    "padding": (int, "N", "zeros on each side of an image before a random crop is taken, for crops as large as the image"),
}
YES_OR_NO = {  # fields that are a yes or a no
    "bias_lr_falls": "whether the rate of biases falls with that of the weights",
    "augment": "random crops, reflections and color noise, section 4.1",
    "own_mean_window": "whether the window of the mean image that is subtracted lies where the crop lies; no is the center",
}
ONLY = {  # options that count only with some values of another one: (the other one, its values)
    "drop_after": ("schedule", ("steps",)),
    "patience": ("schedule", ("plateau",)),
    "times": ("schedule", ("plateau",)),
    "divide_by": ("schedule", ("plateau", "steps")),
    **dict.fromkeys(("offsets", "own_mean_window", "color_noise", "color_shrink", "noise_until"), ("pixels", ("mean-image",))),
}
WITHOUT_MEAN = {"offsets": "code", "own_mean_window": False, "color_noise": 0.0, "noise_until": None}  # what "standardize" does
PADDED = {"offsets": "code", "color_noise": 0.0}  # what goes with padding, unless the user says something else
RECIPE_PREPARES = (
    "the recipe prepares the images, perhaps on another scale than the weights in {} want; "
    "without --net they are prepared as is usual for the file, such as pixels of 0 to 255 for Caffe's"
)
NET_OPTIONS = ("input_size", "width", "weight_std", "hidden_bias", "dropout")  # of AlexNets


def recipe_in(args: argparse.Namespace, brought: tuple[str, Recipe] | None = None) -> tuple[str, Recipe]:
    """The recipe's name, and the recipe with the fields that the user gave. brought: those of the files of --net."""
    if brought is None:
        if args.net is not None:
            require_name(args.net)
        name = recipe_for(args.net or "") if args.recipe is None else args.recipe
        recipe = recipe_of(name)
    else:
        name, recipe = brought
    given = {field: getattr(args, field) for field in (*FIELDS, *YES_OR_NO) if getattr(args, field) is not None}
    if "schedule" in given:
        require_choice("train", "--schedule", given["schedule"], SCHEDULES)
    for field in ("epochs", "batch_size", "patience"):
        if field in given:
            require_int("train", f"--{field.replace('_', '-')}", given[field])
    if "drop_after" in given:
        given["drop_after"] = _numbers(given["drop_after"])
    for field in ONLY.keys() & given.keys():
        other, values = ONLY[field]
        if (value := given.get(other, getattr(recipe, other))) not in values:
            rule = f"train: --{other} must be {' or '.join(values)} where --{field.replace('_', '-')} is given"
            raise ShapeError(f"{rule}, got {value!r}")
    if args.net is not None and brought is None:
        given["net"] = args.net
    if given.get("pixels") == "standardize":
        given |= WITHOUT_MEAN
    if given.get("padding"):
        given = {**PADDED, "own_mean_window": given.get("pixels", recipe.pixels) == "mean-image", **given}
    return name, (recipe.of_length(given["epochs"]) if "epochs" in given else recipe).with_fields(**given)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(epoch) for epoch in text.split(","))
    except ValueError:
        raise ShapeError(f"train: --drop-after must be epochs with commas between, such as 14,18, got {text!r}") from None


def rates_in(args: argparse.Namespace) -> dict[str, float]:
    """The factors of --rates by layer."""
    rates: dict[str, float] = {}
    for part in filter(None, (args.rates or "").split(",")):
        layer, _, factor = part.partition("=")
        rates.pop(layer, None)  # the last one counts, so it must come last
        try:
            rates[layer] = float(factor)
        except ValueError:
            raise ShapeError(f"train: --rates must be layers with factors, such as conv1=0,fc6=0.1, got {args.rates!r}") from None
    return rates


def options_of(args: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    """The settings of the net that the user gave."""
    given = {option: getattr(args, option) for option in NET_OPTIONS if getattr(args, option) is not None}
    if given.get("weight_std") not in (None, "fan-in"):
        rule = 'a number above 0, or "fan-in"'
        try:
            given["weight_std"] = float(given["weight_std"])
        except ValueError:
            raise ShapeError(f"train: --weight-std must be {rule}, got {given['weight_std']!r}") from None
        require_float("train", "--weight-std", given["weight_std"], rule, lambda v: 0 < v < math.inf)
    return SETTINGS.get(recipe.net, {}) | given


def net_of(args: argparse.Namespace, recipe: Recipe, classes: int) -> Sequential:
    """The net with an output for each class."""
    options = options_of(args, recipe) | ({"classes": classes} if recipe.net == "figure1" else {"num_classes": classes})

    def on(devices: Any) -> Sequential:
        return build(recipe.net, towers=args.towers, devices=devices, seed=args.seed, **options)

    if args.memory_limit is not None or args.tf32:
        set_cards("train", places_of(recipe.net, args.towers, args.devices), args, on)
    return on(args.devices)


def input_shape(args: argparse.Namespace, recipe: Recipe) -> tuple[int, ...]:
    """The shape (C, H, W) of the images that the net reads, found without making its arrays."""
    places = DryDevice() if args.towers == 1 else [DryDevice("cpu:0"), DryDevice("cpu:1")]
    net = build(recipe.net, towers=args.towers, devices=places, seed=args.seed, **options_of(args, recipe))
    return net.in_shape or (0, 0, 0)


def crop_size(recipe: Recipe, shape: tuple[int, ...], sources: Sources, option: str = "--net", remedy: str = "") -> int:
    """Height and width of the square crops that the net of `option` reads. ShapeError, with the remedy, if the images are smaller."""
    there = sources.train.image_shape
    channels, height, width = shape
    least = min(there[1:])
    if channels != there[0] or height != width or height > least:
        rule = f"train: {option} must read images of at most {'x'.join(map(str, there))}, as {sources.name} has them"
        small = ", ".join(name for name in (*SMALL, *GROUPS["for CIFAR-10"]))
        other = f", or --input-size {least * 7 // 8} for crops" if recipe.net.startswith("alexnet") and least >= 64 else ""
        raise ShapeError(f"{rule}, got {recipe.net!r}, which reads {'x'.join(map(str, shape))}", remedy or f"use one of {small}{other}")
    if recipe.pixels == "mean-image" and recipe.offsets == "paper" and height == least:
        rule = f"train: --offsets must be code where a crop of {height}x{height} is a whole image of {sources.name}"
        raise ShapeError(f"{rule}, got 'paper'", "with paper the last place is not used, and there is only one")
    return height


def sources_of(args: argparse.Namespace) -> Sources:
    """The images that --data names."""
    for option in ("train_images", "test_images"):
        if getattr(args, option) is not None:
            require_int("train", f"--{option.replace('_', '-')}", getattr(args, option))
    return open_data(args.data, train_images=args.train_images, test_images=args.test_images)


def parts_of(args: argparse.Namespace, recipe: Recipe, sources: Sources) -> tuple[Source, Source | None, Source]:
    """The images to train on; those that are held out of them for validation, None if there are none; those of the second part."""
    train, test, held = sources.train, sources.val, held_of(args, recipe.schedule, sources)
    return (*hold_out(train, held), test) if held else (train, None, test)


def held_of(args: argparse.Namespace, schedule: str, sources: Sources) -> int:
    """How many training images are held out for validation. ShapeError: --val-images leaves none, or too few."""
    n, held = len(sources.train), args.val_images
    decides = schedule == "plateau" and sources.val_name == "test"
    if held is None:
        held = math.ceil(n * HELD_OUT) if decides else 0
    least = 1 if decides else 0
    if not least <= held < n:
        raise ShapeError(f"train: --val-images must be from {least} to {n - 1} of {n} training images, got {held}")
    return int(held)


def start_from(args: argparse.Namespace, net: Layer, folder: Path, own: Own | None = None) -> dict[str, Any]:
    """Copy the weights of --from, and return what the config says about them. own: the net of --from, if it is trained.

    If the run in `folder` goes on, its checkpoint has the weights: nothing is read, so the file of --from may be gone.
    """
    given = getattr(args, "from")
    if given is None:
        if args.keep_head:
            raise ShapeError("train: --from must be given where --keep-head is, got none")
        return {}
    fresh = frozenset() if args.keep_head else heads_in(net)
    where = path(given)
    if not checkpoint_files(folder):
        file, params, prepared = where, own.params if own is not None else None, ""
        if own is not None and params is not None:
            params = {name: params[name] for name in arrays_of(net) if name in params}  # the file may hold more
        else:
            file, params, _ = read_saved(given if is_shipped(given) else where, None if is_file(args.net) else args.net)
            if not wrote(given) and not wrote(str(where)):
                params, prepared = _of_net(params, net), RECIPE_PREPARES.format(where)
        load_start(file, params, net, fresh)
        if prepared:
            tell(prepared)
        tell(f"begins with the weights in {where}" + (f"; {', '.join(sorted(fresh))} start{'s' * (len(fresh) == 1)} anew" if fresh else ""))
    return {"from": {"name": where.name, "fresh": sorted(fresh)}}


def _of_net(params: Mapping[str, Any], net: Layer) -> dict[str, Any]:
    """The arrays of another program's file that the net has; the others are told."""
    wanted = arrays_of(net)
    left = [name for name in params if name not in wanted]
    if left:
        tell(f"left out, as {net.name} has no such array: {', '.join(left[:3])}{f' and {len(left) - 3} more' if len(left) > 3 else ''}")
    return {name: array for name, array in params.items() if name in wanted}


def config_of(
    args: argparse.Namespace, recipe: Recipe, sources: Sources, schedule: dict[str, Any], size: int, test_images: int, held_out: bool
) -> dict[str, Any]:
    """The config of the run. It has no towers and devices: with other ones a run can be continued and gives the same curve."""
    return {
        "net": {"name": recipe.net, "seed": args.seed, **options_of(args, recipe)},
        "data": {"name": sources.name, "note": sources.note, "synthetic": sources.synthetic, "test_images": test_images},
        "val": "training images held out" if held_out else f"{sources.val_name} images",
        "augment": recipe.augment,
        "crop": size,
        "schedule": schedule,
    }

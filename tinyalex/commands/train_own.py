"""Training a net that a file brings along: `tinyalex train --from net.onnx` without --net."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinyalex.commands.shared import path, set_cards, tell
from tinyalex.data.augment import Crops
from tinyalex.data.dataset import Sources
from tinyalex.data.prepare import CropAndFlip, Prepare, Standardize, SubtractMean
from tinyalex.errors import ShapeError
from tinyalex.layers import Sequential
from tinyalex.loss import HEAD
from tinyalex.models.build import places_of
from tinyalex.models.later.rows import build_net, head_ends, with_classes
from tinyalex.models.registry import heads_of
from tinyalex.models.rows import Rows
from tinyalex.models.rows_of_net import rows_of_net
from tinyalex.models.saved_net import SavedNet
from tinyalex.training.checkpoint import latest_checkpoint
from tinyalex.training.recipes import Recipe
from tinyalex.training.saved_net import read_saved, wrote

NOT_FOR_FILES = ("input_size", "width", "weight_std", "hidden_bias", "dropout")  # options of nets of the registry


@dataclass(frozen=True)
class Own:
    """The net of a file, to be trained as its weights want it.

    params: its arrays; None where it has none, or where a run goes on, whose checkpoint has them. option: the one that names the file.
    """

    saved: SavedNet
    params: Mapping[str, np.ndarray[Any, Any]] | None
    option: str = "--from"

    def rows(self, classes: int) -> Rows:
        """The layers, of which the last gives so many classes."""
        return with_classes(self.saved.rows, classes)

    def heads(self, given: tuple[float, ...]) -> tuple[float, ...]:
        """The weights of the losses of auxiliary heads: those of the files, `given`, of the net, or 0.3 each, which is told."""
        count = len(head_ends(self.saved.rows))
        for weights in (given, self.saved.heads, heads_of(self.saved.net)):
            if len(weights) == count:
                return weights
        tell(f"the loss of each of {count} auxiliary heads counts {HEAD:g} times, as in GoogLeNet: no file says it")
        return (HEAD,) * count

    def net(self, args: argparse.Namespace, classes: int) -> Sequential:
        """The net with initial weights, on the device of --devices. ShapeError: an option that only nets of the registry have."""
        for option in NOT_FOR_FILES:
            if option == "input_size" and self.option == "--net":
                continue
            if getattr(args, option) is not None:
                rule = f"train: --net must be a net of the registry where --{option.replace('_', '-')} is given"
                raise ShapeError(f"{rule}, got that of {self.option}; leave it out")
        if args.towers != 1:
            raise ShapeError(f"train: --towers must be 1 for the net of {self.option}, got {args.towers}")

        def on(devices: Any) -> Sequential:
            (place,) = places_of("train", 1, devices)
            return build_net(self.rows(classes), self.saved.takes, self.saved.net, place, seed=args.seed)

        if args.memory_limit is not None or args.tf32:
            set_cards("train", places_of("train", 1, args.devices), args, on)
        return on(args.devices)

    def prepare(self, recipe: Recipe, sources: Sources) -> Prepare:
        """What made the input of the net while it was trained, with the crops of the recipe."""
        pixels: Any = self.saved.prepare
        pixels = getattr(pixels, "prepare", pixels)
        channels, height, width = sources.train.image_shape
        if isinstance(pixels, Crops):
            pixels = SubtractMean(pixels.mean)
        if isinstance(pixels, SubtractMean) and pixels.mean.shape[1:] not in ((1, 1), (height, width)):
            pixels = Standardize(pixels.mean.mean(axis=(1, 2)), (1.0,) * channels)
        side = self.saved.takes[1]
        if (height, width) == self.saved.takes[1:] and not recipe.augment:
            return pixels
        return CropAndFlip(pixels, side, recipe.augment, recipe.padding)

    def about(self, sources: Sources, prepare: Prepare, heads: tuple[float, ...]) -> SavedNet:
        """The description of the net that is trained. heads: the weights of the losses of auxiliary heads."""
        note, classes = f"from {self.saved.net}, trained on {sources.name}: {sources.note}", sources.classes
        return SavedNet(
            self.saved.net,
            classes,
            prepare,
            sources.train.image_shape,
            note=note,
            folders=sources.folders,
            rows=self.rows(len(classes)),
            takes=self.saved.takes,
            heads=heads,
        )


def own_net(args: argparse.Namespace) -> Own | None:
    """The net of --from, if --net names none and another program wrote the file, or the registry does not have the net; None otherwise.

    Where a run goes on in the folder of --out, its checkpoint says which net it is, so the file may be gone.
    """
    given = getattr(args, "from")
    if given is None or args.net is not None:
        return None
    if args.out is not None and path(args.out).is_dir():
        newest = latest_checkpoint(path(args.out))
        about = None if newest is None else newest.about()
        if newest is not None:
            return Own(about, None) if about is not None and about.rows else None
    where = str(path(given))
    foreign = not wrote(given) and not wrote(where)
    _, params, saved = read_saved(where if foreign else given, tell=tell)
    if saved is None or not (saved.rows or foreign):
        return None
    if not saved.rows:  # also for a net of the registry, whose recipe may prepare images in another way than this file's weights want
        saved = replace(saved, rows=rows_of_net(saved.dry()), takes=saved.in_shape)
    return Own(saved, params)

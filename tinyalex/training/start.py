"""What a run starts from: its images, the input of the net, the weights of an earlier run, the rates of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.augment import Crops
from tinyalex.data.color import color_axes
from tinyalex.data.dataset import Sources
from tinyalex.data.prepare import CropAndFlip, Prepare, Standardize, SubtractMean
from tinyalex.data.source import ArraySource, Source, cut
from tinyalex.errors import ShapeError, did_you_mean, require_float, show
from tinyalex.layers import Branches, Sequential
from tinyalex.layers.base import Layer
from tinyalex.layers.merge import Both
from tinyalex.models.weights import arrays_of, check_tensors, copy_state, match_state
from tinyalex.parameters import require_thawed
from tinyalex.shown import layer_of
from tinyalex.training.recipes import Recipe


def hold_out(source: Source, images: int) -> tuple[Source, Source]:
    """A source in two parts: all but the last `images` images, and these."""
    n = len(source)
    return cut(source, 0, n - images), cut(source, n - images, n)


def input_of(recipe: Recipe, sources: Sources, train: Source, size: int) -> Prepare:
    """The function that turns images into the input of a net of `size` by `size` pixels, as the recipe says.

    Mean, deviations and colors are those of `train` where its images are in memory, else those that are stored with the set.

    Paper: sections 2 and 4.1.
    """
    if recipe.pixels == "standardize":
        return CropAndFlip(_standardized(sources, train), size, recipe.augment, recipe.padding)
    mean = SubtractMean.fit(train.images).mean if isinstance(train, ArraySource) else sources.mean_image()
    if recipe.padding:
        return CropAndFlip(SubtractMean(mean), size, recipe.augment, recipe.padding)
    noisy = recipe.augment and recipe.color_noise > 0 and recipe.noise_until != 0
    return Crops(
        mean,
        size,
        recipe.offsets,
        color=_colors(sources, train) if noisy else None,
        strength=recipe.color_noise,
        shrink=recipe.color_shrink,
        noise_epochs=recipe.noise_until,
        augment=recipe.augment,
        own_window=recipe.own_mean_window,
    )


def _colors(sources: Sources, train: Source) -> tuple[Any, Any]:
    return color_axes(train.images) if isinstance(train, ArraySource) else sources.color()


def _standardized(sources: Sources, train: Source) -> Standardize:
    if isinstance(train, ArraySource):
        return Standardize.fit(train.images)
    deviations, directions = sources.color()
    return Standardize(sources.mean_image().mean(axis=(1, 2)), np.sqrt((directions * deviations) ** 2 @ np.ones(len(deviations))))


def load_start(path: Path, params: Mapping[str, np.ndarray[Any, Any]], net: Layer, fresh: frozenset[str]) -> tuple[str, ...]:
    """Copy the parameters of an earlier run into `net`, except those of the layers in `fresh`, and return the names that were left.

    Paper: section 6, the nets that were trained on another set first and then on the 1,000 classes.

    Raises
    ------
    CheckpointError: another parameter has another shape, or is missing on one side.
    """
    wanted = arrays_of(net)
    found = match_state(params, wanted)
    left = tuple(name for name in wanted if layer_of(name.rpartition(".")[0]) in fresh)
    here = {name: array for name, array in wanted.items() if name not in left}
    there = {name: array.astype(net.dtype) for name, array in found.items() if layer_of(name.rpartition(".")[0]) not in fresh}
    check_tensors(f"{path}: param", here, there, exact=True)
    require_thawed(str(path), net)
    copy_state(net, there)
    return left


def head_of(net: Layer) -> str:
    """The name of the last layer with parameters: the one whose outputs are the classes."""
    return layer_of([leaf.name for leaf in net.leaves() if leaf.params][-1])


def heads_in(net: Layer) -> frozenset[str]:
    """The names of the layers whose outputs are classes: `head_of`, and for a net with auxiliary heads the last layer of each of them."""
    layers = net.layers if isinstance(net, Sequential) else ()
    for layer in reversed(layers):
        if isinstance(layer, Branches) and isinstance(layer.merge, Both):
            return frozenset().union(*(heads_in(path) for path in layer.paths if path is not None))
        if any(leaf.params for leaf in layer.leaves()):
            return heads_in(layer) if isinstance(layer, Sequential) else frozenset({head_of(layer)})
    return frozenset()


def rates_of(
    net: Layer, rates: Mapping[str, float], recipe: Recipe, own: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, tuple[float, float]]:
    """The multipliers of `SGD` for layers that learn at another rate, such as {"conv1": 0, "conv*": 0.1}; the last match counts.

    A factor 0 keeps a layer as it is. The recipe's factors for biases count too.
    own: multipliers that the net brings along, by the names of parameters; they count as well.

    Raises
    ------
    ShapeError: a pattern matches no layer with parameters, or a factor is below 0.
    """
    leaves = [leaf for leaf in net.leaves() if leaf.params]
    layers = list(dict.fromkeys(layer_of(leaf.name) for leaf in leaves))
    found = dict(own or {})
    for pattern, factor in rates.items():
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise ShapeError(f"rates: a layer must be one of {', '.join(layers)}, got {show(pattern)}", did_you_mean(pattern, layers))
        times = require_float("rates", f"the factor of {pattern}", factor, "a number of at least 0", lambda v: 0 <= v < float("inf"))
        for leaf in leaves:
            if fnmatchcase(layer_of(leaf.name), pattern):
                for key in leaf.params:
                    usual = (recipe.bias_lr, recipe.bias_decay) if key == "bias" else (1.0, 1.0)
                    name = f"{leaf.name}.{key}"
                    before = (own or {}).get(name, usual)
                    found[name] = (times * before[0], before[1])
    return found

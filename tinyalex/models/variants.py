"""The networks that are called AlexNet, in one table: the paper's, its authors' and three descendants.

Every field is a fact about the network, one a line, so that two columns of the table can be compared: `differences` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from tinyalex.errors import require_choice
from tinyalex.init import Constant, Gaussian, Init

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
PYTORCH = "uniform within 1 / sqrt(fan-in)"  # the default of torch.nn.Conv2d and Linear, of weights and biases


@dataclass(frozen=True)
class Uniform:
    """Uniform from -bound to bound."""

    bound: float

    def __call__(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """An array of `shape`, drawn from `rng`."""
        return (2 * rng.random(shape, np.float32) - 1) * np.float32(self.bound)


def _of(words: str, **settings: Any) -> Any:
    return field(metadata={"words": words}, **settings)


@dataclass(frozen=True)
class Published:
    """Errors that its makers report of a net, in percent: `top1`, and `top5` among the five classes it thinks likeliest."""

    top1: float
    top5: float
    images: str
    crops: str


def _ilsvrc(top1: float, top5: float, images: str = "2012 validation", crops: str = "center crop") -> Published:
    return Published(top1, top5, f"ILSVRC-{images}", crops)


@dataclass(frozen=True)
class Variant:
    """One column of the table. Where a field has a value a layer, they are in the order of `LAYERS`, which ends with fc8.

    `stage1`, `stage2`, `stage5`: what follows conv1, conv2, conv5; after conv3 and conv4 there is a ReLU alone.
    `links`: the layers that see the channels of both towers; the others have two groups.
    `rnorm`: (n, k, alpha, beta) of the normalization within a channel, where a stage has one.
    `std`: standard deviations of the initial weights. `bias`: initial biases. Either may be PYTORCH.
    `bias_rate`, `bias_decay`: factors of the learning rate and of the weight decay for biases.
    `left_out`: what the original has and the net here has not.
    `num_classes`, `pool_kernel`, `removed`, `sixth`: the same in all columns; options change them, see `as_built`.
    `published`: what its makers report; nothing of it was measured here.
    """

    origin: str
    filters: tuple[int, ...] = _of("filters")
    input_size: int = _of("input size")
    conv1_padding: int = _of("padding of conv1")
    conv1_ceil: bool = _of("ceil in the output size of conv1")
    links: tuple[str, ...] = _of("layers after conv1 that see both halves")
    stage1: tuple[str, ...] = _of("after conv1")
    stage2: tuple[str, ...] = _of("after conv2")
    stage5: tuple[str, ...] = _of("after conv5")
    pool_ceil: bool = _of("ceil in the output size of pooling")
    norm_k: float | None = _of("k of response normalization")
    norm_alpha_over_n: bool | None = _of("alpha divided by n in response normalization")
    norm_groups: int | None = _of("groups that response normalization stays in")
    rnorm: tuple[int, float, float, float] | None = _of("normalization within a channel, (n, k, alpha, beta), alpha divided by n^2")
    dropout_place: str = _of("place of dropout")
    dropout_scale: str = _of("dropout scales by 1 - p while")
    std: tuple[float, ...] | str = _of("standard deviation of the initial weights")
    bias: tuple[float, ...] | str = _of("initial biases")
    bias_rate: float = _of("learning rate of biases, times")
    bias_decay: float = _of("weight decay of biases, times")
    batch_size: int | None = _of("batch size")
    kernels: tuple[int, ...] = _of("kernel sizes", default=(11, 5, 3, 3, 3))
    paddings: tuple[int, ...] = _of("padding of conv2 to conv5", default=(2, 1, 1, 1))
    units: tuple[int, ...] = _of("units of fc6 and fc7", default=(4096, 4096))
    norm_n: int = _of("n of response normalization", default=5)
    norm_alpha: float = _of("alpha of response normalization", default=1e-4)
    norm_beta: float = _of("beta of response normalization", default=0.75)
    left_out: str | None = _of("left out here", default=None)
    num_classes: int = _of("classes", default=1000)
    pool_kernel: int = _of("kernel size of pooling", default=3)
    removed: tuple[str, ...] = _of("layers removed", default=())
    sixth: int | None = _of("filters of a sixth convolution", default=None)
    published: tuple[Published, ...] = ()

    @property
    def towers(self) -> int:
        """How many towers it may be split into: one where a layer without a link would see across the border."""
        return 2 if self.norm_groups == 2 else 1

    def weight_init(self, layer: str, fan_in: int) -> Init:
        """The distribution of a layer's initial weights; a sixth convolution has conv5's."""
        if isinstance(self.std, str):
            return Uniform(1 / math.sqrt(fan_in))
        return Gaussian(self.std[LAYERS.index("conv5" if layer == "conv6" else layer)])

    def bias_init(self, layer: str, fan_in: int) -> Init:
        """The distribution of a layer's initial biases."""
        if isinstance(self.bias, str):
            return Uniform(1 / math.sqrt(fan_in))
        return Constant(self.bias[LAYERS.index("conv5" if layer == "conv6" else layer)])

    @property
    def multipliers(self) -> dict[str, tuple[float, float]]:
        """What `SGD(multipliers=...)` takes."""
        return {"*.bias": (self.bias_rate, self.bias_decay)}


_LINKS = ("conv3", "fc6", "fc7")
_PAPER: dict[str, Any] = {
    "origin": "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks (2012), sections 3 to 5",
    "filters": (96, 256, 384, 384, 256),
    "input_size": 224,
    "conv1_padding": 0,
    "conv1_ceil": True,  # the paper is silent; only so do 224 pixels give its 55
    "links": _LINKS,
    "stage1": ("relu", "norm", "pool"),
    "stage2": ("relu", "norm", "pool"),
    "stage5": ("relu", "pool"),
    "pool_ceil": True,  # silent too, and without consequence: 55, 27 and 13 divide
    "norm_k": 2.0,
    "norm_alpha_over_n": False,
    "norm_groups": 2,
    "rnorm": None,
    "dropout_place": "after the ReLU of fc6 and fc7",
    "dropout_scale": "testing",
    "std": (0.01,) * 8,
    "bias": (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    "bias_rate": 1.0,
    "bias_decay": 1.0,
    "batch_size": 128,
    "published": (
        _ilsvrc(37.5, 17.0, "2010 test", "ten crops"),
        _ilsvrc(39.0, 18.3, "2010 test"),
        _ilsvrc(40.7, 18.2, crops="ten crops"),
    ),
}
_AUTHORS = _PAPER | {
    "origin": "the authors' code of 2012, layers-145.cfg: the net whose errors the paper prints",
    "stage1": ("norm", "pool", "relu"),
    "stage2": ("relu", "norm", "rnorm", "pool"),
    "stage5": ("pool", "relu"),
    "norm_alpha_over_n": True,
    "rnorm": (5, 1.0, 1e-3, 0.75),
    "std": (0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01),
    "bias_rate": 2.0,
    "bias_decay": 0.0,
    "published": (  # logs of the code
        _ilsvrc(37.4727, 16.9987, "2010 test", "ten crops"),
        _ilsvrc(39.0247, 18.2953, "2010 test"),
        _ilsvrc(40.664, 18.21, crops="ten crops"),
    ),
}
_CAFFE = _PAPER | {
    "origin": "Caffe's bvlc_alexnet: a replication on one device",
    "input_size": 227,
    "conv1_ceil": False,
    "norm_k": 1.0,
    "norm_alpha_over_n": True,
    "norm_groups": 1,
    "dropout_scale": "training",
    "std": (0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.01),
    "bias": (0.0, 0.1, 0.0, 0.1, 0.1, 0.1, 0.1, 0.0),
    "bias_rate": 2.0,
    "bias_decay": 0.0,
    "batch_size": 256,
    "published": (_ilsvrc(42.9, 19.8),),
}
_CAFFENET = _CAFFE | {
    "origin": "Caffe's bvlc_reference_caffenet: a replication on one device, normalizing after pooling",
    "stage1": ("relu", "pool", "norm"),
    "stage2": ("relu", "pool", "norm"),
    "published": (_ilsvrc(42.6, 19.6),),
    "bias": (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0),
}
_TORCHVISION = _PAPER | {
    "origin": "torchvision's alexnet, after Krizhevsky: One weird trick for parallelizing convolutional neural networks (2014)",
    "filters": (64, 192, 384, 256, 256),
    "conv1_padding": 2,
    "conv1_ceil": False,
    "links": LAYERS[1:-1],
    "stage1": ("relu", "pool"),
    "stage2": ("relu", "pool"),
    "pool_ceil": False,
    "norm_k": None,
    "norm_alpha_over_n": None,
    "norm_groups": None,
    "dropout_place": "before fc6 and fc7",
    "dropout_scale": "training",
    "std": PYTORCH,
    "bias": PYTORCH,
    "batch_size": None,
    "left_out": "average pooling to 6x6 in front of fc6; images of 224 pixels give 6x6 without it",
    "published": (_ilsvrc(43.5, 20.9),),
}
VARIANTS = {
    "paper": Variant(**_PAPER),
    "authors": Variant(**_AUTHORS),
    "caffe": Variant(**_CAFFE),
    "caffenet": Variant(**_CAFFENET),
    "torchvision": Variant(**_TORCHVISION),
}


def differences(variant: str | Variant, of: str = "paper") -> list[str]:
    """What sets a variant, or a net `as_built`, apart from another, a line a field of the table.

    Example
    -------
    >>> differences("caffenet", of="caffe")[0]
    'after conv1: relu, pool, norm (caffe: relu, norm, pool)'
    """
    here, there = (
        name if isinstance(name, Variant) else VARIANTS[require_choice("differences", "variant", name, tuple(VARIANTS))]
        for name in (variant, of)
    )
    lines = []
    for each in fields(Variant):
        mine, theirs = getattr(here, each.name), getattr(there, each.name)
        words = _differing(mine, theirs, here.removed)
        if mine != theirs and "words" in each.metadata and words:
            lines.append(f"{each.metadata['words']}: {words} ({of}: {_differing(theirs, mine, here.removed)})")
    return lines


def _differing(value: Any, other: Any, removed: tuple[str, ...]) -> str:
    """`value` in words; of two rows with a number a layer the entries that differ, but for the layers `removed`."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, tuple):
        return str(value)
    if isinstance(value[0], str) or not isinstance(other, tuple) or len(value) < 5:
        return ", ".join(map(str, value))
    rows = zip(LAYERS, value, other, strict=False)
    return ", ".join(f"{layer} {mine:g}" for layer, mine, theirs in rows if mine != theirs and layer not in removed)

"""Five networks that are all called AlexNet: the paper's, its authors' own and three later ones; and how they differ.

The layers are the rows of `models/alexnet.py`. This file adds what the makers of each network say about training and errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinyalex.errors import require_choice
from tinyalex.init import Constant, Gaussian
from tinyalex.models.alexnet import AUTHORS, CAFFE, CAFFENET, PAPER, TORCHVISION
from tinyalex.models.halves import links
from tinyalex.models.rows import Row, Rows, names, place, weighted

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


@dataclass(frozen=True)
class Published:
    """Errors of a net that its makers report, in percent.

    top1: how often the label is not the class with the highest score. top5: how often it is not among the five highest.
    images: what was tested. crops: how many crops of each image were averaged.
    """

    top1: float
    top5: float
    images: str
    crops: str


def _ilsvrc(top1: float, top5: float, images: str = "2012 validation", crops: str = "center crop") -> Published:
    return Published(top1, top5, f"ILSVRC-{images}", crops)


@dataclass(frozen=True)
class Variant:
    """A network that is called AlexNet.

    origin: where it comes from. rows: its layers.
    input_size: height and width of an image. towers: 2 if its layers may be split over two devices, else 1.
    batch_size: the batch of its makers' training, None if they do not say.
    bias_rate, bias_decay: factors of the learning rate and of the weight decay for biases.
    left_out: a part of the original that the rows do not have.
    published: errors that its makers report. None of them was measured here.
    """

    origin: str
    rows: Rows
    input_size: int = 224
    towers: int = 1
    batch_size: int | None = 128
    bias_rate: float = 1.0
    bias_decay: float = 1.0
    left_out: str | None = None
    published: tuple[Published, ...] = ()

    @property
    def multipliers(self) -> dict[str, tuple[float, float]]:
        """The argument `multipliers` of `SGD`."""
        return {"*.bias": (self.bias_rate, self.bias_decay)}


VARIANTS = {
    "paper": Variant(
        "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks (2012), sections 3 to 5",
        PAPER,
        towers=2,
        published=(
            _ilsvrc(37.5, 17.0, "2010 test", "ten crops"),
            _ilsvrc(39.0, 18.3, "2010 test"),
            _ilsvrc(40.7, 18.2, crops="ten crops"),
        ),
    ),
    "authors": Variant(
        "the authors' code of 2012, layers-145.cfg: the net whose errors the paper prints",
        AUTHORS,
        towers=2,
        bias_rate=2.0,
        bias_decay=0.0,
        published=(  # from the logs that came with the code
            _ilsvrc(37.4727, 16.9987, "2010 test", "ten crops"),
            _ilsvrc(39.0247, 18.2953, "2010 test"),
            _ilsvrc(40.664, 18.21, crops="ten crops"),
        ),
    ),
    "caffe": Variant(
        "Caffe's bvlc_alexnet: a replication on one device",
        CAFFE,
        input_size=227,
        batch_size=256,
        bias_rate=2.0,
        bias_decay=0.0,
        published=(_ilsvrc(42.9, 19.8),),
    ),
    "caffenet": Variant(
        "Caffe's bvlc_reference_caffenet: a replication on one device, normalizing after pooling",
        CAFFENET,
        input_size=227,
        batch_size=256,
        bias_rate=2.0,
        bias_decay=0.0,
        published=(_ilsvrc(42.6, 19.6),),
    ),
    "torchvision": Variant(
        "torchvision's alexnet, after Krizhevsky: One weird trick for parallelizing convolutional neural networks (2014)",
        TORCHVISION,
        batch_size=None,
        left_out="average pooling to 6x6 in front of fc6; images of 224 pixels give 6x6 without it",
        published=(_ilsvrc(43.5, 20.9),),
    ),
}


def _first(kind: str, setting: str) -> Callable[[Variant], Any]:
    """The fact: a setting of the first row of a kind; None if there is no such row."""
    return lambda variant: next((row[setting] for row in variant.rows if row.kind == kind), None)


def _of(layers: tuple[str, ...], fact: Callable[[Row], Any]) -> Callable[[Variant], dict[str, Any]]:
    """The fact: for each of these layers that the net has, what `fact` says about its row."""
    return lambda variant: {row.name: fact(row) for row in variant.rows if row.name in layers}


def _stage(number: int) -> Callable[[Variant], tuple[str, ...]]:
    """The fact: the kinds of the rows that belong to one convolution, in order; "relu1" belongs to "conv1"."""
    kinds = ("relu", "norm", "rnorm", "pool")
    return lambda variant: tuple(row.kind for row in variant.rows if row.kind in kinds and row.name == f"{row.kind}{number}")


def _rnorm(variant: Variant) -> tuple[Any, ...] | None:
    return next((tuple(row.settings.values()) for row in variant.rows if row.kind == "rnorm"), None)


def _dropout_place(variant: Variant) -> str:
    dropped = next((row.name for row in variant.rows if row.kind == "dropout"), None)
    if dropped is None:
        return "nowhere"
    in_front = place(variant.rows, dropped) < place(variant.rows, f"fc{dropped[-1]}")
    return "before fc6 and fc7" if in_front else "after the ReLU of fc6 and fc7"


def _dropout_scale(variant: Variant) -> str:
    return {"train": "training", "test": "testing", None: "never"}[_first("dropout", "scale")(variant)]


def _initial(setting: str) -> Callable[[Variant], Any]:
    """The fact: for each layer, the standard deviation of its weights or the value of its biases; or in words, another distribution."""

    def number(init: Any) -> Any:
        return init.std if isinstance(init, Gaussian) else init.value if isinstance(init, Constant) else init

    def fact(variant: Variant) -> Any:
        values = {row.name: number(row[setting]) for row in weighted(variant.rows) if row.name in LAYERS}
        worded = next((value for value in values.values() if isinstance(value, str)), None)
        return worded or values

    return fact


# The facts that `differences` compares: each in words, and the function that reads it from a variant.
FACTS: tuple[tuple[str, Callable[[Variant], Any]], ...] = (
    ("filters", _of(LAYERS[:5], lambda row: row.width)),
    ("input size", lambda variant: variant.input_size),
    ("padding of conv1", _of(LAYERS[:1], lambda row: row["padding"])),
    ("ceil in the output size of conv1", _of(LAYERS[:1], lambda row: row["ceil_mode"])),
    ("layers after conv1 that see both halves", lambda variant: links(variant.rows)),
    ("after conv1", _stage(1)),
    ("after conv2", _stage(2)),
    ("after conv5", _stage(5)),
    ("ceil in the output size of pooling", _first("pool", "ceil_mode")),
    ("k of response normalization", _first("norm", "k")),
    ("alpha divided by n in response normalization", _first("norm", "alpha_over_n")),
    ("groups that response normalization stays in", _first("norm", "groups")),
    ("normalization within a channel, (n, k, alpha, beta), alpha divided by n^2", _rnorm),
    ("place of dropout", _dropout_place),
    ("dropout scales by 1 - p while", _dropout_scale),
    ("standard deviation of the initial weights", _initial("weight_init")),
    ("initial biases", _initial("bias_init")),
    ("learning rate of biases, times", lambda variant: variant.bias_rate),
    ("weight decay of biases, times", lambda variant: variant.bias_decay),
    ("batch size", lambda variant: variant.batch_size),
    ("padding of conv2 to conv5", _of(LAYERS[1:5], lambda row: row["padding"])),
    ("units of fc6 and fc7", _of(LAYERS[5:7], lambda row: row.width)),
    ("left out here", lambda variant: variant.left_out),
    ("classes", lambda variant: variant.rows[-1].width),
    ("kernel size of pooling", _first("pool", "kernel_size")),
    ("layers removed", lambda variant: tuple(layer for layer in LAYERS if layer not in names(variant.rows))),
    ("filters of a sixth convolution", lambda variant: next((row.width for row in variant.rows if row.name == "conv6"), None)),
)


def differences(variant: str | Variant, of: str = "paper") -> list[str]:
    """The differences between two variants, or nets of `as_built`: one line for each fact that differs.

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
    for words, fact in FACTS:
        mine, theirs = fact(here), fact(there)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            mine, theirs = _of_common_layers(mine, theirs)
        if mine != theirs:
            lines.append(f"{words}: {_said(mine)} ({of}: {_said(theirs)})")
    return lines


def _of_common_layers(mine: dict[str, Any], theirs: dict[str, Any]) -> tuple[Any, Any]:
    """Two facts about layers, reduced to the layers that both nets have; a long list is reduced to the layers that differ."""
    common = [layer for layer in theirs if layer in mine]
    if common == list(theirs) and len(common) < 5:
        return tuple(mine[layer] for layer in common), tuple(theirs.values())
    differing = [layer for layer in common if mine[layer] != theirs[layer]]
    return tuple(f"{layer} {mine[layer]:g}" for layer in differing), tuple(f"{layer} {theirs[layer]:g}" for layer in differing)


def _said(value: Any) -> str:
    """A fact in words."""
    if value is None or value == ():
        return "none"
    if isinstance(value, (tuple, dict)):
        return ", ".join(map(_said, value.values() if isinstance(value, dict) else value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)

"""What is trained: the variants of each family of runs, the claims that compare them, and the order of the runs.

Three families, each with one budget for all of its runs:

- "claims": the small AlexNet of `nets.py` on the first 5,000 images. So it has 41 parameters an image, as the paper's net has 51,
  and can overfit. The base net has all parts that the claims are about; every other variant differs from it in one.
- "pair": the authors' 13 % net with and without response normalization, on all images, with their order of batches and their
  schedule, shortened in the same proportions.
- "towers": the small AlexNet of `tinyalex/models/cifar_alexnet.py` with two towers and, as a control, without the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyalex.errors import ShapeError, did_you_mean, require_int, show
from tinyalex.experiments.claims import nets
from tinyalex.experiments.claims.nets import Builder, joined, of_pair, of_rows
from tinyalex.models.cifar_alexnet import ROWS
from tinyalex.models.rows import Rows

MOMENTUM, DECAY = 0.9, 5e-4
PARTS = (100, 40, 10, 10)  # epochs of the authors' 13 % net: on four fifths of the images; on all; at a tenth of the rate; at a hundredth
LEAST = {"pair": len(PARTS)}  # epochs; 1 for the other families


@dataclass(frozen=True)
class Stage:
    """A part of a run with one set of images and one schedule.

    images: how many of the first training images it reads. epochs: how many. after: the epochs after which the rate is divided by 10.
    """

    images: int
    epochs: int
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Family:
    """Runs with one budget.

    epochs: passes over the images. train_images: the first so many; None for all. lr: the first learning rate.
    batch_size: images in a batch.
    segment: of `Batches`. evaluate_train: whether the error of all training images is measured after each epoch.
    ten_views: whether the finished net is also tested with ten views of each image. colors: whether the gray shares of conv1's
    filters are kept after each epoch.
    """

    name: str
    epochs: int
    train_images: int | None
    lr: float
    batch_size: int = 128
    segment: int | None = None
    evaluate_train: bool = False
    ten_views: bool = False
    colors: bool = False

    def stages(self, images: int) -> tuple[Stage, ...]:
        """The stages of a run on so many images. The rate falls after 70 % and 90 % of the epochs, in the pair as its authors let it.

        Example
        -------
        >>> [(stage.images, stage.epochs, stage.after) for stage in FAMILIES["pair"].stages(50_000)]
        [(40000, 10, ()), (50000, 6, (4, 5))]
        """
        if self.name != "pair":
            falls = sorted({max(1, round(share * self.epochs)) for share in (0.7, 0.9)})
            return (Stage(images, self.epochs, tuple(falls)),)
        second, third, fourth = (max(1, round(self.epochs * part / sum(PARTS))) for part in PARTS[1:])
        first = max(1, self.epochs - second - third - fourth)
        return (Stage(images * 4 // 5, first), Stage(images, second + third + fourth, (second, second + third)))


FAMILIES = {
    "claims": Family("claims", 30, 5_000, 0.01, batch_size=64, evaluate_train=True, ten_views=True),
    "pair": Family("pair", 16, None, 0.001, segment=10_000, ten_views=True),
    "towers": Family("towers", 8, None, 0.01, colors=True),
}
QUICK = {"claims": (2, 256), "pair": (4, 256), "towers": (2, 256)}  # epochs and synthetic images, so few that all takes under a minute


@dataclass(frozen=True)
class Variant:
    """A net and how it is trained.

    name: of its runs. family: a name of `FAMILIES`. text: what it is. build: (seed, classes, device) -> the net.
    crops: whether training reads random crops and reflections; else the center. color: whether training has color noise.
    weight_decay: of the optimizer.
    """

    name: str
    family: str
    text: str
    build: Builder
    crops: bool = True
    color: bool = True
    weight_decay: float = DECAY


def _edited(name: str, text: str, rows: Rows = nets.BASE, **settings: bool | float) -> Variant:
    return Variant(name, "claims", text, of_rows(rows, f"claims-{name}"), **settings)  # type: ignore[arg-type]


JOINED = joined(ROWS)
VARIANTS = {
    variant.name: variant
    for variant in (
        _edited("base", "the base net, with all parts"),
        _edited("separate-pools", "pooling windows of 2x2 with stride 2, which do not overlap", nets.SEPARATE_POOLS),
        _edited("mean-pools", "average pooling in the place of max pooling", nets.MEAN_POOLS),
        _edited("no-dropout", "no dropout", nets.NO_DROPOUT),
        _edited("no-color", "no color noise", color=False),
        _edited("no-crops", "no random crops and no reflections, only the center of each image", crops=False),
        _edited("half-maps", "one tower with half of the maps in conv1 to conv4", nets.HALF_MAPS),
        _edited("no-conv4", "conv4 left out", nets.ONE_LAYER_LESS),
        _edited("no-decay", "no weight decay", weight_decay=0.0),
        Variant("pair-norm", "pair", "the authors' 13 % net with response normalization", of_pair(True), color=False, weight_decay=0.004),
        Variant("pair-plain", "pair", "the same net without response normalization", of_pair(False), color=False, weight_decay=0.004),
        Variant("split", "towers", "the small AlexNet with two towers", of_rows(ROWS, "split"), color=False),
        Variant("whole", "towers", "the same net without the split: every layer reads all maps", of_rows(JOINED, "whole"), color=False),
    )
}


@dataclass(frozen=True)
class Claim:
    """A statement of the paper as a comparison of two variants, with the same seed.

    name: as the command line knows it. section: of the paper. title: the statement in short. paper: the paper's figure.
    better, worse: names of variants; the paper says that the first is better. kind: what is compared, a name of `KINDS` in `values.py`.
    """

    name: str
    section: str
    title: str
    paper: str
    better: str
    worse: str
    kind: str = "test error"


OVERFITS = "no figure; “substantial overfitting” without it"
CLAIMS = {
    claim.name: claim
    for claim in (
        Claim("pooling", "3.4", "overlapping pooling (3x3, stride 2) against 2x2", "0.4 points of top-1", "base", "separate-pools"),
        Claim("average", "3.4", "max pooling against average pooling", "no figure; it uses max pooling", "base", "mean-pools"),
        Claim("dropout", "4.2", "dropout against none", OVERFITS, "base", "no-dropout"),
        Claim("overfitting", "4.2", "dropout closes the gap from training to test error", OVERFITS, "base", "no-dropout", "gap"),
        Claim("iterations", "4.2", "dropout needs more iterations", "“roughly doubles” them", "base", "no-dropout", "iterations"),
        Claim("color", "4.1", "color noise against none", "over 1 point of top-1", "base", "no-color"),
        Claim("crops", "4.1", "random crops and reflections against none", OVERFITS, "base", "no-crops"),
        Claim("views", "4.1", "ten views in testing against one", "1.5 points of top-1", "base", "base", "views"),
        Claim("halves", "3.2", "two towers against one with half of the maps", "1.7 points of top-1", "base", "half-maps"),
        Claim("depth", "3.5, 7", "five convolutions against four", "about 2 points of top-1", "base", "no-conv4"),
        Claim("decay", "5", "weight decay lowers the training error", "no figure", "base", "no-decay", "training error"),
        Claim("pair", "3.3", "normalization in the authors' net", "2 points, 13 % to 11 %", "pair-norm", "pair-plain", "ten views"),
        Claim("towers", "6.1", "two towers treat color differently", "“during every run”, no figure", "split", "whole", "color"),
    )
}


def chosen_claims(names: Sequence[str]) -> tuple[Claim, ...]:
    """The claims of these names, all for no names. ShapeError: there is no claim of a name."""
    for name in names:
        if name not in CLAIMS:
            raise ShapeError(f"claims: NAME must be one of {', '.join(CLAIMS)}, got {show(name)}", did_you_mean(name, CLAIMS))
    return tuple(claim for claim in CLAIMS.values() if claim.name in names or not names)


def queue_of(claims: Sequence[Claim], seeds: int) -> list[tuple[Variant, int]]:
    """The runs that the claims need, in the order in which they are trained: the variant and the seed.

    First come all variants of the claims with seed 0, then with the next seeds, so that every claim has a value early and its interval
    shrinks with time. Then the pair with two seeds, the towers with all, and the pair's other seeds.
    """
    seeds = require_int("claims", "--seeds", seeds)
    needed = {name for claim in claims for name in (claim.better, claim.worse)}
    of = {family: [variant for variant in VARIANTS.values() if variant.family == family and variant.name in needed] for family in FAMILIES}
    rounds = [("claims", range(seeds)), ("pair", range(min(2, seeds))), ("towers", range(seeds)), ("pair", range(2, seeds))]
    return [(variant, seed) for family, some in rounds for seed in some for variant in of[family]]

"""The paper's claims: three families, each with one budget for all of its runs.

- "claims": the small AlexNet of `nets.py` on the first 5,000 images. So it has 41 parameters an image, as the paper's net has 51,
  and can overfit. The base net has all parts that the claims are about; every other variant differs from it in one.
- "pair": the authors' 13 % net with and without response normalization, on all images, with their order of batches and their
  schedule, shortened in the same proportions.
- "towers": the small AlexNet of `tinyalex/models/cifar_alexnet.py` with two towers and, as a control, without the split.
"""

from __future__ import annotations

from tinyalex.experiments.claims import nets
from tinyalex.experiments.claims.claim import PARTS, Claim, Family, Round, Table, Variant
from tinyalex.experiments.claims.nets import joined, of_pair, of_rows
from tinyalex.models.cifar_alexnet import ROWS
from tinyalex.models.rows import Rows

FAMILIES = {
    "claims": Family("claims", 30, 5_000, 0.01, batch_size=64, evaluate_train=True, ten_views=True),
    "pair": Family("pair", 16, None, 0.001, segment=10_000, ten_views=True),
    "towers": Family("towers", 8, None, 0.01, colors=True),
}


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


def rounds(seeds: int) -> tuple[Round, ...]:
    """First all variants of the claims with seed 0, then with the next seeds, so that every claim has a value early and its interval
    shrinks with time. Then the pair with two seeds, the towers with all, and the pair's other seeds."""
    of = {family: [variant.name for variant in VARIANTS.values() if variant.family == family] for family in FAMILIES}
    every = range(seeds)
    return (of["claims"], every), (of["pair"], every[:2]), (of["towers"], every), (of["pair"], every[2:])


ALEXNET = Table(
    "alexnet",
    "what the paper says of its net",
    FAMILIES,
    VARIANTS,
    CLAIMS,
    rounds,
    quick={"claims": (2, 256), "pair": (4, 256), "towers": (2, 256)},
    quick_test=128,
    least={"pair": len(PARTS)},
)

"""What a table of claims consists of: budgets, nets and how they are trained, and the claims that compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tinyalex.experiments.claims.nets import Builder

MOMENTUM, DECAY = 0.9, 5e-4
PARTS = (100, 40, 10, 10)  # epochs of the authors' 13 % net: on four fifths of the images; on all; at a tenth of the rate; at a hundredth
Round: TypeAlias = tuple[Sequence[str], Sequence[int]]  # names of variants, and the seeds with which each of them is trained


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
    padding: None trains on 24x24 crops of the images; a number on whole images that are moved by up to so many pixels.
    test_images: with how many of the first test images the net is tested after each epoch; None for all. With a number, only the finished
    net is tested with all test images and with all of its training images, and its weights are not kept.
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
    padding: int | None = None
    test_images: int | None = None

    def stages(self, images: int) -> tuple[Stage, ...]:
        """The stages of a run on so many images. The rate falls after 70 % and 90 % of the epochs, in the pair as its authors let it.

        Example
        -------
        >>> [(stage.images, stage.epochs, stage.after) for stage in Family("pair", 16, None, 0.001).stages(50_000)]
        [(40000, 10, ()), (50000, 6, (4, 5))]
        """
        if self.name != "pair":
            falls = sorted({max(1, round(share * self.epochs)) for share in (0.7, 0.9)})
            return (Stage(images, self.epochs, tuple(falls)),)
        second, third, fourth = (max(1, round(self.epochs * part / sum(PARTS))) for part in PARTS[1:])
        first = max(1, self.epochs - second - third - fourth)
        return (Stage(images * 4 // 5, first), Stage(images, second + third + fourth, (second, second + third)))


@dataclass(frozen=True)
class Variant:
    """A net and how it is trained.

    name: of its runs. family: the name of a `Family`. text: what it is. build: (seed, classes, device) -> the net; None for an ensemble.
    crops: whether training reads random crops and reflections; else the center. color: whether training has color noise.
    weight_decay: of the optimizer. lr: its own first learning rate; None for that of the family.
    members: of an ensemble, the variants whose finished nets it averages. It is not trained.
    """

    name: str
    family: str
    text: str
    build: Builder | None
    crops: bool = True
    color: bool = True
    weight_decay: float = DECAY
    lr: float | None = None
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A statement of a paper as a comparison of two variants, with the same seed.

    name: as the command line knows it. section: of the paper. title: the statement in short. paper: the paper's figure.
    better, worse: names of variants; the paper says that the first is better, or, where it has no number, lets expect it.
    kind: what is compared, a name of `KINDS` in `values.py`.
    """

    name: str
    section: str
    title: str
    paper: str
    better: str
    worse: str
    kind: str = "test error"


@dataclass(frozen=True)
class Table:
    """Claims that are shown on one page, with all that they need.

    name: as the option --of knows it. text: whose claims they are. families, variants, claims: by name.
    rounds: (seeds) -> the runs in the order in which they are trained, whatever claims are chosen.
    quick: by family, the epochs and the synthetic images of --quick, so few that all takes under a minute. quick_test: test images of it.
    least: by family, the fewest epochs; 1 where it is not named.
    """

    name: str
    text: str
    families: Mapping[str, Family]
    variants: Mapping[str, Variant]
    claims: Mapping[str, Claim]
    rounds: Callable[[int], Sequence[Round]]
    quick: Mapping[str, tuple[int, int]]
    quick_test: int
    least: Mapping[str, int]

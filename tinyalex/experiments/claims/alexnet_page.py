"""The page of the paper's claims: its pictures and texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tinyalex.experiments.claims.claim import PARTS
from tinyalex.experiments.claims.layout import Document, Page, Picture, Runs, filled, images_of, outcomes_of, percent
from tinyalex.experiments.claims.plots import BLUE, GRAY, RED, canvas, caption, curve, finish


def figure_of_dropout(document: Document, runs: Runs) -> Any:
    """Training and test error by epoch, with dropout and without: the mean over the seeds, and a band from the best seed to the worst."""
    figure, panel = canvas(9, 5.6)
    for name, text, color in (("base", "with dropout", BLUE), ("no-dropout", "without dropout", RED)):
        curve(panel, outcomes_of(runs, name), lambda run: run.test_error, color, "-", f"{text}: test error")
        curve(panel, outcomes_of(runs, name), lambda run: run.train_error, color, (0, (4, 2)), f"{text}: training error")
    finish(panel, "error, %")
    caption(figure, document)
    return figure


def figure_of_pair(document: Document, runs: Runs) -> Any:
    """Test error by epoch of both nets of the pair, and the error of the finished nets with ten views."""
    figure, panel = canvas(9, 5.6)
    for name, text, color, mark in (("pair-norm", "with normalization", BLUE, "o"), ("pair-plain", "without", RED, "s")):
        outcomes = outcomes_of(runs, name)
        curve(panel, outcomes, lambda run: run.test_error, color, "-", f"{text}: one view")
        last = max(len(outcome.test_error) for outcome in outcomes)
        ten = [100 * outcome.ten_views for outcome in outcomes if outcome.ten_views is not None]
        panel.plot([last + 0.4] * len(ten), ten, mark, color=color, markersize=8, label=f"{text}: ten views, each seed")
    finish(panel, "test error, %")
    caption(figure, document)
    return figure


def figure_of_towers(document: Document, runs: Runs) -> Any:
    """By how much the gray shares of the two halves of conv1 differ, by epoch and seed, and the 95th percentile of random halves."""
    figure, panel = canvas(9, 5.6)
    for name, text, color, line in (("split", "two towers", BLUE, "-"), ("whole", "without the split", RED, (0, (4, 2)))):
        for number, outcome in enumerate(outcomes_of(runs, name)):
            epochs = [found.epoch for found in outcome.colors]
            label = {"label": f"{text}, each seed"} if number == 0 else {}
            panel.plot(epochs, [found.difference for found in outcome.colors], color=color, linestyle=line, **label)
            null = {"label": "95th percentile of random halves"} if number == 0 and name == "split" else {}
            panel.plot(epochs, [found.null for found in outcome.colors], color=GRAY, linestyle=(0, (1, 1.5)), linewidth=1.2, **null)
    finish(panel, "difference of the gray shares")
    panel.set_xlim(left=0)
    panel.set_ylim(bottom=0)
    caption(figure, document)
    return figure


def _budgets(document: Document) -> str:
    claims, pair, towers = (document["families"][name] for name in ("claims", "pair", "towers"))
    of_claims = f"""- *claims*: AlexNet's five convolutions and one hidden layer of 512 units, 206,986 parameters, on 24x24 crops.
        {claims["epochs"]} epochs of {images_of(claims)}{_ratio(claims)}. Batches of {claims["batch_size"]}, rate {claims["lr"]:g}, a
        tenth of it after 70 % of the epochs and a hundredth after 90 %, momentum 0.9, weight decay 0.0005. The test error is that of
        the center of each test image after the last epoch; no epoch is chosen. The training is short{_steps(claims)}. Parts that
        work against overfitting, such as dropout and color noise, pay after long training, so here they may look useless."""
    of_pair = f"""- *pair*: the authors' net with two locally connected layers, 1,116,490 parameters. {pair["epochs"]} epochs instead of
        their {sum(PARTS)}, in the same proportions {":".join(map(str, PARTS))}: on four fifths of {images_of(pair)}, then on all, then
        at a tenth and at a hundredth of the rate. The order of batches is theirs: of each 10,000 images 78 batches of 128 and one
        of 16, never shuffled. The rates are {pair["lr"]:g} for weights and twice that for biases, and only that of the weights
        falls; weight decay 0.004 for local and fully connected layers, none for convolutions. Both nets are compared by the mean
        of ten views."""
    of_towers = f"""- *towers*: the small AlexNet of `tinyalex train --net cifar-alexnet`, with 32 filters in conv1,
        {towers["epochs"]} epochs of {images_of(towers)}, crops and reflections, no color noise;
        rate {towers["lr"]:g}, which falls as that of the claims."""
    lists = "\n".join(filled(text, "  ") for text in (of_claims, of_pair, of_towers))
    return lists


def _ratio(family: Mapping[str, Any]) -> str:
    """How many parameters there are for an image, beside the paper's net."""
    if "train_images" not in family:
        return ""
    return f", {206_986 / family['train_images']:.0f} parameters an image (the paper's net: 60,965,224 for 1.2 million, 51)"


def _steps(family: Mapping[str, Any]) -> str:
    """How many steps a run takes, beside the paper's."""
    if "stages" not in family:
        return ""
    steps = sum(stage["epochs"] * math.ceil(stage["images"] / family["batch_size"]) for stage in family["stages"])
    return f": {steps:,} steps, where the paper's net took about 900,000"


def _cells(run: Mapping[str, Any]) -> list[str]:
    color = run["color"]
    shares = f"{color['a']:.3f}, {color['b']:.3f} ({color['p']:.3f})" if color else "–"
    return [percent(run["ten_views"]), shares]


RULE = """\
All claims of
the first family share one base net, so they are not independent of each other.

For the iterations, the error to reach is the mean training error that the net with dropout has in the last three epochs before its
learning rate falls for the first time. For the towers, the value is the difference of the mean gray shares of the two halves of conv1's
filters after the last epoch, with the split minus without it, in hundredths; `tinyalex filters` says what a gray share is."""
PAGE = Page(
    "The paper's claims at the scale of CIFAR-10",
    "Each part of the net is taken away in turn, and the net is trained again with the same seeds, images and epochs",
    (
        Picture("dropout.png", "Training and test error by epoch, with dropout and without", figure_of_dropout, ("base", "no-dropout")),
        Picture(
            "pair.png",
            "Test error by epoch of the authors' net with response normalization and without",
            figure_of_pair,
            ("pair-norm", "pair-plain"),
        ),
        Picture(
            "towers.png",
            "Difference of the two halves' gray shares by epoch, with the split and without",
            figure_of_towers,
            ("split", "whole"),
        ),
    ),
    RULE,
    _budgets,
    {"ten views": "--:", "gray shares (p)": "---"},
    _cells,
    """The gray shares are the means of the two halves of conv1's filters. p is the share of random halves of the same
    filters that differ at least as much as these two.""",
    "the log, the outcome with the digest of the final parameters, and for seed 0 the weights as float16",
)

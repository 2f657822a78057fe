"""The page of the claims of the networks after AlexNet: its pictures and texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tinyalex.experiments.claims.cost import cost_of
from tinyalex.experiments.claims.later import FAMILIES, MEMBERS, NORMS, PADDING, RATES
from tinyalex.experiments.claims.layout import Document, Page, Picture, Runs, filled, images_of, outcomes_of
from tinyalex.experiments.claims.plots import BLUE, GRAY, GREEN, RED, canvas, caption, curve, finish

DASHES = (0, (4, 2))
COMPARED = ("resnet-20", "bottleneck-29", "one-5x5", "two-3x3")
DEEP = ("plain-20", "plain-56", "resnet-20", "resnet-56")


def figure_of_degradation(document: Document, runs: Runs) -> Any:
    """Training and test error by epoch, of 20 and of 56 layers, without and with shortcuts, as in figure 6 of He et al. 2015."""
    figure, panels = canvas(11, 5.4, 2)
    for panel, kind, title in zip(panels, ("plain", "resnet"), ("without shortcuts", "with shortcuts"), strict=True):
        for depth, color in ((20, BLUE), (56, RED)):
            outcomes = outcomes_of(runs, f"{kind}-{depth}")
            curve(panel, outcomes, lambda run: run.test_error, color, "-", f"{depth} layers: test")
            curve(panel, outcomes, lambda run: run.running_error, color, DASHES, f"{depth} layers: training batches")
        panel.set_title(title, fontsize=13)
        finish(panel, "error, %")
    caption(figure, document)
    return figure


def figure_of_norms(document: Document, runs: Runs) -> Any:
    """Test error by epoch of the nets of eight layers with each normalization, in batches of 64 and of 4."""
    figure, panels = canvas(11, 5.4, 2)
    looks = {"bn": (BLUE, "-"), "gn": (GREEN, "-."), "lrn": (RED, DASHES), "none": (GRAY, ":")}
    for panel, suffix, title in zip(panels, ("", "-4"), ("batches of 64", "batches of 4"), strict=True):
        for norm, (color, line) in looks.items():
            outcomes = outcomes_of(runs, norm + suffix)
            if outcomes:
                curve(panel, outcomes, lambda run: run.test_error, color, line, NORMS[norm])
        panel.set_title(title, fontsize=13)
        finish(panel, "test error, %")
    caption(figure, document)
    return figure


def figure_of_ensemble(document: Document, runs: Runs) -> Any:
    """The test error of the ensemble and of each of its members, for each seed."""
    figure, panel = canvas(9, 4.2)
    for place, name in enumerate(reversed(("ensemble", *MEMBERS))):
        errors = [100 * error for outcome in outcomes_of(runs, name) if (error := outcome.last_test) is not None]
        color, mark = (BLUE, "o") if name == "ensemble" else (GRAY, "D")
        panel.plot(errors, [place] * len(errors), mark, color=color, markersize=9, alpha=0.8)
    panel.set_yticks(range(len(MEMBERS) + 1), list(reversed(("mean of the four", *MEMBERS))))
    panel.set_xlabel("test error of the finished nets, %, each seed")
    caption(figure, document)
    return figure


def _budgets(document: Document) -> str:
    later, small = document["families"]["later"], document["families"]["batch-4"]
    usual, *others = sorted(set(RATES.values()), reverse=True)
    own = ", ".join(f"{rate:g} with {NORMS[norm]}" for norm, rate in RATES.items() if rate in others)
    of_later = f"""- *later*: {later["epochs"]} epochs of {images_of(later)}, batches of {later["batch_size"]}{_steps(later)}. Each image is
        moved by up to {PADDING} pixels in both directions, and half of them are mirrored, as in He et al. 2015. Rate {later["lr"]:g}
        (theirs is 0.1 with batches of 128; in a pilot of 20 steps the losses of two deep nets were above that of chance at 0.05), a
        tenth of it after 70 % of the epochs and a hundredth after 90 %; momentum 0.9, weight decay 0.0001. The nets of eight layers have
        the best of 0.1, 0.03 and 0.01 in a pilot of two epochs: {usual:g}, and {own}."""
    of_small = f"""- *batch-4*: {small["epochs"]} epochs of {images_of(small)}, batches of {small["batch_size"]}{_steps(small)}; each net's
        rate is 4/64 of the one above."""
    after = f"""The curves show the error of {_curve_images(later)} and, as in figure 6, that of the training batches while
        the net learns. The claims compare finished nets: their errors on all test images, or on all of their training images
        without augmentation. No epoch is chosen. The training is a small part of the paper's 64,000 steps with batches of 128, so nets
        that need longer training, such as the deep ones with shortcuts, may not have reached what they can."""
    (pairs, pair_macs), (bottlenecks, bottleneck_macs), (_, one), (_, two) = (cost_of(name) for name in COMPARED)
    cost = f"""Bottlenecks and pairs of 3x3 are compared at equal cost: bottleneck-29 has
        {100 * (bottleneck_macs / pair_macs - 1):.1f} % more multiply-adds than resnet-20 and {100 * (bottlenecks / pairs - 1):.1f} % more
        parameters. Two 3x3 see as far as one 5x5, with {100 * (1 - two / one):.0f} % fewer multiply-adds."""
    return "\n".join(filled(text, "  ") for text in (of_later, of_small)) + "\n\n" + filled(after) + "\n\n" + filled(cost)


def _curve_images(family: Mapping[str, Any]) -> str:
    """With which images a net is tested after each epoch."""
    first, tested = FAMILIES["later"].test_images, family.get("test_images")
    return f"the first {first:,} test images" if first is not None and (tested is None or tested > first) else "all test images"


def _steps(family: Mapping[str, Any]) -> str:
    """How many steps a run takes."""
    if "stages" not in family:
        return ""
    return f", {sum(stage['epochs'] * math.ceil(stage['images'] / family['batch_size']) for stage in family['stages']):,} steps"


def _cells(run: Mapping[str, Any]) -> list[str]:
    return [f"{cost:,}" for cost in cost_of(run["variant"])]


RULE = """\
Claims that
name the same nets, such as those with resnet-20, are not independent of each other. The ensemble is not trained: with each seed it
averages the probabilities of four finished nets of that seed."""
PAGE = Page(
    "Claims of the networks after AlexNet, at the scale of CIFAR-10",
    "Two nets that differ in one thing are trained with the same seeds, images and epochs",
    (
        Picture("degradation.png", "Errors by epoch of 20 and of 56 layers, without and with shortcuts", figure_of_degradation, DEEP),
        Picture("norms.png", "Test error by epoch with each normalization, in batches of 64 and of 4", figure_of_norms, tuple(NORMS)),
        Picture("ensemble.png", "Test error of four nets and of the mean of their probabilities", figure_of_ensemble, ("ensemble",)),
    ),
    RULE,
    _budgets,
    {"parameters": "--:", "multiply-adds": "--:"},
    _cells,
    "Training errors are those of the finished net without augmentation. Multiply-adds are those of one image.",
    "the log, the outcome with the digest of the final parameters, and for members of the ensemble the probabilities as float16",
)

"""The pictures of the claims, drawn from `result.json` and the finished runs. Colors are those of Okabe and Ito; marks differ too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.experiments.claims.intervals import NOT_SEEN, OTHER_WAY, SEEN
from tinyalex.experiments.claims.runs import Outcome, Run
from tinyalex.files.atomic import write_picture

BLUE, RED, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "0.45"
LOOKS = {SEEN: (BLUE, "o"), OTHER_WAY: (RED, "s"), NOT_SEEN: (GRAY, "D")}  # a verdict's color and mark
FONT: Any = {"font.size": 13, "lines.linewidth": 2.2}
DPI = 130
TICKS = (-20, -5, -2, -1, 0, 1, 2, 5, 20)


def draw(document: Mapping[str, Any], runs: Mapping[tuple[str, int], Run], folder: Path) -> list[str]:
    """Draw each picture for which there is a value or a finished run, and return the names of the files."""
    from tinyalex.experiments.claims.page import CLAIMS_PICTURE, DROPOUT_PICTURE, PAIR_PICTURE, TOWERS_PICTURE

    made: dict[str, Callable[[], Any]] = {}
    if any(claim["values"] for claim in document["claims"].values()):
        made[CLAIMS_PICTURE] = lambda: figure_of_claims(document)
    if _of(runs, "base") and _of(runs, "no-dropout"):
        made[DROPOUT_PICTURE] = lambda: figure_of_dropout(document, runs)
    if _of(runs, "pair-norm") and _of(runs, "pair-plain"):
        made[PAIR_PICTURE] = lambda: figure_of_pair(document, runs)
    if _of(runs, "split") and _of(runs, "whole"):
        made[TOWERS_PICTURE] = lambda: figure_of_towers(document, runs)
    from matplotlib import rc_context

    with rc_context(FONT):
        for name, make in made.items():
            figure = make()
            write_picture(folder / name, lambda file, figure=figure: figure.savefig(file, format="png", dpi=DPI))  # type: ignore[misc]
    return list(made)


def figure_of_claims(document: Mapping[str, Any]) -> Any:
    """Every claim with a value: the mean, the interval, and the value of each seed."""
    claims = [claim for claim in document["claims"].values() if claim["values"]]
    figure, panel = _canvas(9.5, 1.6 + 0.62 * len(claims))
    for place, claim in enumerate(reversed(claims)):
        color, mark = LOOKS.get(claim["verdict"], (GRAY, "o"))
        shift = -claim["no_effect"]
        values = [value + shift for value in claim["values"].values()]
        panel.plot(values, [place] * len(values), "|", color=color, markersize=11, markeredgewidth=1.4, alpha=0.8)
        if claim["low"] is not None:
            panel.plot([claim["low"] + shift, claim["high"] + shift], [place, place], color=color)
        panel.plot(claim["mean"] + shift, place, mark, color=color, markersize=9)
    panel.axvline(0, color="0.2", linewidth=1)
    panel.set_yticks(range(len(claims)), [f"{claim['title']}\n{claim['verdict']}" for claim in reversed(claims)], fontsize=10.5)
    panel.set_xscale("symlog", linthresh=2)
    panel.set_xticks(TICKS, [f"{tick}".replace("-", "−") for tick in TICKS])
    panel.set_xlim(TICKS[0] * 1.4, TICKS[-1] * 1.4)  # an interval of two seeds may reach further
    panel.set_xlabel("points in the paper's direction\n(iterations: times, minus 1)", fontsize=11)
    panel.set_ylim(-0.7, len(claims) - 0.3)
    _caption(figure, document)
    return figure


def figure_of_dropout(document: Mapping[str, Any], runs: Mapping[tuple[str, int], Run]) -> Any:
    """Training and test error by epoch, with dropout and without: the mean over the seeds, and a band from the best seed to the worst."""
    figure, panel = _canvas(9, 5.6)
    for name, text, color in (("base", "with dropout", BLUE), ("no-dropout", "without dropout", RED)):
        _curve(panel, _of(runs, name), lambda run: run.test_error, color, "-", f"{text}: test error")
        _curve(panel, _of(runs, name), lambda run: run.train_error, color, (0, (4, 2)), f"{text}: training error")
    _finish(panel, "error, %")
    _caption(figure, document)
    return figure


def figure_of_pair(document: Mapping[str, Any], runs: Mapping[tuple[str, int], Run]) -> Any:
    """Test error by epoch of both nets of the pair, and the error of the finished nets with ten views."""
    figure, panel = _canvas(9, 5.6)
    for name, text, color, mark in (("pair-norm", "with normalization", BLUE, "o"), ("pair-plain", "without", RED, "s")):
        outcomes = _of(runs, name)
        _curve(panel, outcomes, lambda run: run.test_error, color, "-", f"{text}: one view")
        last = max(len(outcome.test_error) for outcome in outcomes)
        ten = [100 * outcome.ten_views for outcome in outcomes if outcome.ten_views is not None]
        panel.plot([last + 0.4] * len(ten), ten, mark, color=color, markersize=8, label=f"{text}: ten views, each seed")
    _finish(panel, "test error, %")
    _caption(figure, document)
    return figure


def figure_of_towers(document: Mapping[str, Any], runs: Mapping[tuple[str, int], Run]) -> Any:
    """By how much the gray shares of the two halves of conv1 differ, by epoch and seed, and the 95th percentile of random halves."""
    figure, panel = _canvas(9, 5.6)
    for name, text, color, line in (("split", "two towers", BLUE, "-"), ("whole", "without the split", RED, (0, (4, 2)))):
        for number, outcome in enumerate(_of(runs, name)):
            epochs = [found.epoch for found in outcome.colors]
            label = {"label": f"{text}, each seed"} if number == 0 else {}
            panel.plot(epochs, [found.difference for found in outcome.colors], color=color, linestyle=line, **label)
            null = {"label": "95th percentile of random halves"} if number == 0 and name == "split" else {}
            panel.plot(epochs, [found.null for found in outcome.colors], color=GRAY, linestyle=(0, (1, 1.5)), linewidth=1.2, **null)
    _finish(panel, "difference of the gray shares")
    panel.set_xlim(left=0)
    panel.set_ylim(bottom=0)
    _caption(figure, document)
    return figure


def _canvas(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panel = figure.add_subplot()
    panel.spines[["top", "right"]].set_visible(False)
    return figure, panel


def _curve(panel: Any, outcomes: Sequence[Outcome], of: Callable[[Outcome], Sequence[float]], color: str, line: Any, label: str) -> None:
    """A curve of the mean over the seeds in percent, and a band from the lowest to the highest seed."""
    values = 100 * np.array([of(outcome) for outcome in outcomes])  # (seeds, epochs)
    epochs = np.arange(1, values.shape[1] + 1)
    panel.plot(epochs, values.mean(axis=0), color=color, linestyle=line, label=label)
    if len(values) > 1:
        panel.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)


def _finish(panel: Any, what: str) -> None:
    panel.set(xlabel="epochs", ylabel=what)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(frameon=False, fontsize=11)


def _caption(figure: Any, document: Mapping[str, Any]) -> None:
    data = document["dataset"]
    what = "synthetic images, whose numbers say nothing about photographs" if data["synthetic"] else f"{data['name']}, {data['note']}"
    state = "" if document["finished"] else f"; {document['runs_done']} of {document['runs_planned']} runs finished"
    figure.supxlabel(f"{what}{state}", fontsize=10, color="0.35")


def _of(runs: Mapping[tuple[str, int], Run], variant: str) -> list[Outcome]:
    """The outcomes of a variant by seed, without those that diverged and those of another number of epochs than the first."""
    found = [run.outcome for (name, _), run in sorted(runs.items()) if name == variant and run.outcome.diverged is None]
    return [outcome for outcome in found if len(outcome.test_error) == len(found[0].test_error)]

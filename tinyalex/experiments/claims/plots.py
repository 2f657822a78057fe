"""The pictures of the claims, drawn from `result.json` and the finished runs. Colors are those of Okabe and Ito; marks differ too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.experiments.claims.intervals import NOT_SEEN, OTHER_WAY, SEEN
from tinyalex.experiments.claims.layout import Document, Picture, Runs, outcomes_of
from tinyalex.experiments.claims.runs import Outcome
from tinyalex.files.atomic import write_picture

BLUE, RED, GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "0.45"
LOOKS = {SEEN: (BLUE, "o"), OTHER_WAY: (RED, "s"), NOT_SEEN: (GRAY, "D")}  # a verdict's color and mark
FONT: Any = {"font.size": 13, "lines.linewidth": 2.2}
DPI = 130
TICKS = (-20, -5, -2, -1, 0, 1, 2, 5, 20)
FAR = (-50, -10, -2, -1, 0, 1, 2, 10, 50)  # where a value does not fit between those


def draw(document: Document, runs: Runs, folder: Path, pictures: Sequence[Picture]) -> list[Picture]:
    """Draw each picture whose variants have finished runs, and return them."""
    from matplotlib import rc_context

    drawn = [picture for picture in pictures if all(outcomes_of(runs, name) for name in picture.needs)]
    with rc_context(FONT):
        for picture in drawn:
            figure = picture.figure(document, runs)
            write_picture(folder / picture.file, lambda file, figure=figure: figure.savefig(file, format="png", dpi=DPI))  # type: ignore[misc]
    return drawn


def figure_of_claims(document: Document, runs: Runs) -> Any:
    """Every claim with a value: the mean, the interval, and the value of each seed."""
    claims = [claim for claim in document["claims"].values() if claim["values"]]
    figure, panel = canvas(9.5, 1.6 + 0.62 * len(claims))
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
    ticks = FAR if any(abs(claim["mean"]) > TICKS[-1] for claim in claims) else TICKS
    panel.set_xticks(ticks, [f"{tick}".replace("-", "−") for tick in ticks])
    panel.set_xlim(ticks[0] * 1.4, ticks[-1] * 1.4)  # an interval of two seeds may reach further
    times = "\n(iterations: times, minus 1)" if any(claim["no_effect"] for claim in claims) else ""
    panel.set_xlabel(f"points in the paper's direction{times}", fontsize=11)
    panel.set_ylim(-0.7, len(claims) - 0.3)
    caption(figure, document)
    return figure


def canvas(width: float, height: float, panels: int = 1) -> tuple[Any, Any]:
    """A figure and its panel; with more panels than one a list of them, side by side, with the same axis of errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    made = list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])
    for panel in made:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, made[0] if panels == 1 else made


def curve(panel: Any, outcomes: Sequence[Outcome], of: Callable[[Outcome], Sequence[float]], color: str, line: Any, label: str) -> None:
    """A curve of the mean over the seeds in percent, and a band from the lowest to the highest seed."""
    values = 100 * np.array([of(outcome) for outcome in outcomes])  # (seeds, epochs)
    epochs = np.arange(1, values.shape[1] + 1)
    panel.plot(epochs, values.mean(axis=0), color=color, linestyle=line, label=label)
    if len(values) > 1:
        panel.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=color, alpha=0.15, linewidth=0)


def finish(panel: Any, what: str) -> None:
    """Label the axes, and show the legend if there are curves. what: the quantity and its unit."""
    panel.set(xlabel="epochs", ylabel=what)
    panel.xaxis.get_major_locator().set_params(integer=True)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=11)


def caption(figure: Any, document: Document) -> None:
    """The images, and how many runs are finished where some are missing, below a figure."""
    data = document["dataset"]
    what = "synthetic images, whose numbers say nothing about photographs" if data["synthetic"] else f"{data['name']}, {data['note']}"
    state = "" if document["finished"] else f"; {document['runs_done']} of {document['runs_planned']} runs finished"
    figure.supxlabel(f"{what}{state}", fontsize=10, color="0.35")

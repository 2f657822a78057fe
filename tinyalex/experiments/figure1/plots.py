"""The two pictures of Figure 1, drawn from the document of `result.json` alone.

Colors are those of Okabe and Ito; dashes and marks tell the curves apart without them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyalex.experiments.figure1.result import LABELS, median_epochs, shared_factors
from tinyalex.experiments.figure1.runs import START_ERROR
from tinyalex.files.atomic import write_picture

STYLES: dict[str, dict[str, Any]] = {  # as in the paper: ReLU solid, tanh dashed
    "relu": {"color": "#0072B2", "linestyle": "-"},
    "tanh": {"color": "#D55E00", "linestyle": (0, (4, 2))},
    "sigmoid": {"color": "#009E73", "linestyle": (0, (1, 1.5))},
    "abstanh": {"color": "#CC79A7", "linestyle": (0, (6, 2, 1, 2))},
}
MARKS = {"relu": "o", "tanh": "s", "sigmoid": "^", "abstanh": "D"}
WIDTH, DPI = 8, 150  # inches, pixels an inch
FONT: Any = {"font.size": 15, "axes.titlesize": 15, "legend.fontsize": 13, "lines.linewidth": 2.6, "lines.markersize": 8}
PAPER_FACTOR = 6


def draw_figure(document: dict[str, Any], path: Path) -> None:
    """The paper's figure: the training error against epochs, a panel for each setup, seeds as a band from best to worst."""
    from matplotlib import rc_context

    with rc_context(FONT):
        write_png(figure_of_curves(document), path)


def draw_factor(document: dict[str, Any], path: Path) -> None:
    """What the factor depends on: above, the sweep's errors against the rate; below, the factor at shared and at own rates."""
    from matplotlib import rc_context

    with rc_context(FONT):
        write_png(figure_of_factors(document), path)


def figure_of_curves(document: dict[str, Any]) -> Any:
    """The Matplotlib figure that `draw_figure` writes."""
    setups = list(document["setups"].values())
    figure, panels = _canvas(1, len(setups), 5.6)
    for panel, of in zip(panels[0], setups, strict=True):
        for name, mine in of["activations"].items():
            _draw_seeds(panel, mine["train_error"], STYLES[name], f"{LABELS[name]}: {_epochs(of, name)}")
        panel.axhline(of["target"], color="0.35", linestyle=(0, (6, 4)), linewidth=1)
        panel.set(title=f"setup {of['setup']}", xlabel="epochs", ylim=(0, START_ERROR + 0.03))
        panel.set_yticks([0, 0.25, 0.5, 0.75])  # the paper's
        panel.set_xlim(left=0)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend(loc="upper right", title=f"epochs to {100 * of['target']:g} %", handlelength=2.2)
    panels[0][0].set_ylabel("training error rate")
    _caption(figure, document)
    return figure


def figure_of_factors(document: dict[str, Any]) -> Any:
    """The Matplotlib figure that `draw_factor` writes."""
    setups = list(document["setups"].values())
    figure, panels = _canvas(2, len(setups), 10)
    for column, of in enumerate(setups):
        _draw_sweep(panels[0][column], of)
        _draw_factors(panels[1][column], of)
    low, high = panels[1][0].get_ylim()  # of all panels of the row
    panels[1][0].set_ylim(min(low, 0.4), max(high, 8) * 18)  # the legend stands above the paper's 6
    panels[0][0].set_ylabel(f"running error\nafter {setups[0]['sweep_epochs']} epochs")
    first = LABELS[next(iter(setups[0]["activations"]))]
    panels[1][0].set_ylabel(f"epochs needed,\nas a multiple of {first}'s")
    borrowed = any(mine.get("sweep_from") == "record" for of in setups for mine in of["activations"].values())
    _caption(figure, document, "sweep of the shipped record; " if borrowed else "")
    return figure


def _canvas(rows: int, columns: int, height: float) -> tuple[Any, Any]:
    """A figure without pyplot, which keeps no global state and needs no screen; panels of a row share their y axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharey="row")


def _draw_seeds(panel: Any, curves: Sequence[Sequence[float]], style: dict[str, Any], label: str) -> None:
    """The median as far as every seed ran, the band from the lowest to the highest, and each seed's own thin line."""
    curves = [[START_ERROR, *curve] for curve in curves]
    shared = [sorted(errors) for errors in zip(*curves, strict=False)]  # by epoch, as long as the shortest
    epochs = range(len(shared))
    median = [(errors[(len(errors) - 1) // 2] + errors[len(errors) // 2]) / 2 for errors in shared]
    if len(curves) > 1:
        panel.fill_between(epochs, [e[0] for e in shared], [e[-1] for e in shared], color=style["color"], alpha=0.2, linewidth=0)
        for curve in curves:
            panel.plot(range(len(curve)), curve, **style | {"linewidth": 0.9})
    panel.plot(epochs, median, label=label, **style)


def _epochs(of: dict[str, Any], name: str) -> str:
    """The epochs to the target, as the legend has them."""
    epochs, crossed = median_epochs(of["activations"][name], "train_error")
    if crossed:
        return f"{epochs:.1f}"
    return "diverged" if any(of["activations"][name]["diverged"]) else f"over {epochs:.3g}"


def _draw_sweep(panel: Any, of: dict[str, Any]) -> None:
    """The error that each rate has in the end; a ring around the chosen one."""
    for name, mine in of["activations"].items():
        done = [(entry["lr"], entry["running_errors"][-1]) for entry in mine["sweep"] if len(entry["running_errors"]) == of["sweep_epochs"]]
        panel.plot([lr for lr, _ in done], [error for _, error in done], marker=MARKS[name], label=LABELS[name], **STYLES[name])
        panel.plot([lr for lr, _ in done if lr == mine["lr"]], [error for lr, error in done if lr == mine["lr"]], "ko", mfc="none", ms=15)
        gone = [entry["lr"] for entry in mine["sweep"] if entry["diverged"]]
        if gone:
            panel.plot(gone, [START_ERROR] * len(gone), "x", color=STYLES[name]["color"], markersize=11, label=f"{LABELS[name]} diverged")
    _rate_axis(panel, of)
    panel.set(title=f"setup {of['setup']}", xlabel="learning rate")
    panel.legend(loc="best", handlelength=2.2)


def _draw_factors(panel: Any, of: dict[str, Any]) -> None:
    """Two measures: a point at each rate that both were swept with, to an error of the sweep; a level line for own rates, to the target.

    A cross on the axis stands for a rate at which a net learned nothing, so that there is no factor.
    """
    for name, factor in of["factor"].items():
        style, whose = STYLES[name], f"{LABELS[name]}, " if len(of["factor"]) > 1 else ""
        points = shared_factors(of, name)
        known = [(lr, value) for lr, value in points if value is not None]
        panel.plot(
            [lr for lr, _ in known], [value for _, value in known], linestyle="", marker=MARKS[name], color=style["color"],
            label=f"{whose}same rate, to the slower's\nerror after {of['sweep_epochs']} epochs",
        )  # fmt: skip
        none = [lr for lr, value in points if value is None]
        if none:
            bottom = {"transform": panel.get_xaxis_transform(), "label": f"{whose}same rate: a net\nlearned nothing"}
            panel.plot(none, [0.04] * len(none), "x", color=style["color"], markersize=11, markeredgewidth=2.6, **bottom)
        own = factor["train_error"]
        if own["value"] is not None:
            text = f"{whose}own rates, to {100 * of['target']:g} %: {'over ' if own['at_least'] else ''}{own['value']:.1f}"
            panel.axhline(own["value"], color=style["color"], linestyle=style["linestyle"], label=text)
    panel.axhline(1, color="0.35", linewidth=1)
    panel.axhline(PAPER_FACTOR, color="0.35", linestyle=(0, (1, 2)), linewidth=1.5, label=f"the paper's {PAPER_FACTOR}, to 25 %")
    panel.set_yscale("log")
    panel.set_yticks([0.5, 1, 2, 4, 8], ["0.5", "1", "2", "4", "8"], minor=False)
    panel.set_yticks([], minor=True)
    _rate_axis(panel, of)
    panel.set_xlabel("learning rate")
    panel.legend(loc="upper right", handlelength=1.8, fontsize=12.5)


def _rate_axis(panel: Any, of: dict[str, Any]) -> None:
    rates = sorted({entry["lr"] for mine in of["activations"].values() for entry in mine["sweep"]})
    panel.set_xscale("log")
    panel.set_xticks(rates, [f"{rate:g}" for rate in rates], fontsize=FONT["font.size"] if len(rates) < 5 else 11)
    panel.set_xticks([], minor=True)
    panel.set_xlim(rates[0] / 1.6, rates[-1] * 1.6)


def _caption(figure: Any, document: dict[str, Any], more: str = "") -> None:
    """The data in the title, since no figure means anything without; its note below."""
    data, count = document["dataset"], f"{document['train_images']:,}"
    title = f"{count} synthetic images, not photographs" if data["synthetic"] else f"{count} images of {data['name']}"
    figure.suptitle(title, fontsize=17, parse_math=False)
    note = f"{data['note']}; {more}no regularization; tinyalex {document['versions']['tinyalex']}"
    figure.supxlabel("\n".join(textwrap.wrap(note, 88)), fontsize=12, color="0.3", parse_math=False)


def write_png(figure: Any, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    write_picture(path, lambda file: figure.savefig(file, format="png"))

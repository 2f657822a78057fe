"""The two pictures of Figure 1. They are drawn from the contents of `result.json`, the `document`.

The colors are those of Okabe and Ito. Without colors, dashes and marks distinguish the curves; each curve has its own label.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinyalex.experiments.figure1.result import LABELS, median_epochs
from tinyalex.experiments.figure1.runs import START_ERROR
from tinyalex.files.atomic import write_picture

STYLES: dict[str, dict[str, Any]] = {  # as in the paper: ReLU solid, tanh dashed
    "relu": {"color": "#0072B2", "linestyle": "-"},
    "tanh": {"color": "#D55E00", "linestyle": (0, (4, 2))},
    "sigmoid": {"color": "#009E73", "linestyle": (0, (1, 1.5))},
    "abstanh": {"color": "#CC79A7", "linestyle": (0, (6, 2, 1, 2))},
}
MARKS = {"relu": "o", "tanh": "s", "sigmoid": "^", "abstanh": "D"}
INPUTS = {"2012": "raw pixels", "fan-in": "scaled inputs"}  # each setup in two words
WIDTH, DPI = 8, 150  # inches, pixels an inch
FONT: Any = {"font.size": 15, "axes.titlesize": 15, "lines.linewidth": 2.6, "lines.markersize": 9}
ASIDE = 1.08  # factor between the marks of two activations at the same rate, so that both can be seen
ROOM = 0.58  # a label is a bit narrower than this part of a panel
STEP = 0.06  # distance of two labels on the error axis
SHADE = "0.35"


def draw_figure(document: dict[str, Any], path: Path) -> None:
    """Draw the paper's figure: training error against epochs, one panel for each setup; a band goes from the best seed to the worst."""
    _draw(figure_of_curves, document, path)


def draw_factor(document: dict[str, Any], path: Path) -> None:
    """Draw the sweeps: the epochs to the target against the learning rate; the title has the factor between the best rates."""
    _draw(figure_of_factors, document, path)


def _draw(make: Any, document: dict[str, Any], path: Path) -> None:
    from matplotlib import rc_context

    with rc_context(FONT):
        write_png(make(document), path)


def figure_of_curves(document: dict[str, Any]) -> Any:
    """The Matplotlib figure that `draw_figure` writes; both panels have the same axes."""
    setups = list(document["setups"].values())
    figure, panels = _canvas(len(setups), 5.6, sharex=True)
    for panel, of in zip(panels, setups, strict=True):
        for name, mine in of["activations"].items():
            _draw_seeds(panel, mine["train_error"], STYLES[name], LABELS[name])
        panel.axhline(of["target"], color=SHADE, linestyle=(0, (6, 4)), linewidth=1)
        panel.set(title=_finding(of), xlabel="epochs", ylim=(0, START_ERROR + 0.03))
        panel.set_yticks([0, 0.25, 0.5, 0.75])  # the paper's
        panel.set_xlim(left=0)
        panel.xaxis.get_major_locator().set_params(integer=True)
    for panel, of in zip(panels, setups, strict=True):
        _label_crossings(panel, of)
    panels[0].set_ylabel("training error rate")
    _caption(figure, document)
    return figure


def figure_of_factors(document: dict[str, Any]) -> Any:
    """The Matplotlib figure that `draw_factor` writes; both panels have the same axis of epochs."""
    setups = list(document["setups"].values())
    figure, panels = _canvas(len(setups), 6.6)
    known = [epochs for of in setups for mine in of["activations"].values() for _, epochs, _ in _points(mine)] or [1, 10]
    low, top = min(known) / 2, max(known) * 2
    for panel, of in zip(panels, setups, strict=True):
        panel.set_yscale("log")
        panel.set_ylim(low, top * 1.3)
        for place, (name, mine) in enumerate(of["activations"].items()):
            _draw_sweep(panel, name, mine, ASIDE**place, top)
        _rate_axis(panel, of)
        _label_bests(panel, of)
        panel.set(title=_finding(of), xlabel="learning rate")
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000) if low <= tick <= top]
    panels[0].set_yticks(ticks, [str(tick) for tick in ticks], minor=False)
    panels[0].set_yticks([], minor=True)
    panels[0].set_ylabel(f"epochs to {100 * setups[0]['target']:g} % training error")
    borrowed = any(mine.get("sweep_from") == "record" for of in setups for mine in of["activations"].values())
    how = "ring: the best rate. Open mark: stopped there, not yet at the target. Cross: diverged."
    _caption(figure, document, "rates other than the best: from the shipped record; " if borrowed else "", how)
    return figure


def _canvas(columns: int, height: float, sharex: bool = False) -> tuple[Any, Any]:
    """A figure and its panels, which share the vertical axis. It is made without pyplot, so it needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, columns, squeeze=False, sharex=sharex, sharey=True)[0]


def _finding(of: dict[str, Any]) -> str:
    """The title of a panel: the setup in words, and the factor that was found."""
    title = f"setup {of['setup']}: {INPUTS[of['setup']]}"
    names = list(of["activations"])
    if len(names) != 2:
        return title
    factor = of["factor"].get(names[1], {}).get("train_error", {"value": None})
    if factor["value"] is None:
        return f"{title}\n(no factor yet)"
    more = "over " if factor["at_least"] else ""
    return f"{title}\n{LABELS[names[1]]} needs {more}{factor['value']:.1f} times the epochs"


def _draw_seeds(panel: Any, curves: Sequence[Sequence[float]], style: dict[str, Any], label: str) -> None:
    """Draw a thin line for each seed; up to the epoch that all seeds reached, also their median and a band from lowest to highest."""
    curves = [[START_ERROR, *curve] for curve in curves]
    shared = [sorted(errors) for errors in zip(*curves, strict=False)]  # for each epoch up to the end of the shortest curve
    epochs = range(len(shared))
    median = [(errors[(len(errors) - 1) // 2] + errors[len(errors) // 2]) / 2 for errors in shared]
    if len(curves) > 1:
        panel.fill_between(epochs, [e[0] for e in shared], [e[-1] for e in shared], color=style["color"], alpha=0.2, linewidth=0)
        for curve in curves:
            panel.plot(range(len(curve)), curve, **style | {"linewidth": 0.9})
    panel.plot(epochs, median, label=label, **style)


def _label_crossings(panel: Any, of: dict[str, Any]) -> None:
    """From each crossing of the target draw a line down to the axis, and beside it the name of the activation and its epochs."""
    right, target, count = panel.get_xlim()[1], of["target"], len(of["activations"])
    highest = target - 0.09
    step = min(STEP, (highest - 0.03) / max(count - 1, 1))
    for place, name in enumerate(of["activations"]):
        epochs, crossed = median_epochs(of["activations"][name], "train_error")
        style, height = STYLES[name], highest - place * step
        if crossed:
            panel.plot([epochs, epochs], [0, target], **style | {"linewidth": 1.4})
        left = epochs < ROOM * right
        beside = min(epochs + 0.015 * right, (1 - ROOM) * right) if left else epochs - 0.015 * right
        panel.text(
            beside, height, f"{LABELS[name]}: {_epochs(of, name)}", color=style["color"],
            ha="left" if left else "right", va="center", fontweight="bold", fontsize=14,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip


def _epochs(of: dict[str, Any], name: str) -> str:
    """The epochs to the target in the words of a label."""
    epochs, crossed = median_epochs(of["activations"][name], "train_error")
    if crossed:
        return f"{epochs:.1f} epochs"
    return "diverged" if any(of["activations"][name]["diverged"]) else f"not in {epochs:.3g}"


def _points(mine: dict[str, Any]) -> list[tuple[float, float, str]]:
    """(rate, epochs, state) for each rate of the sweep that did not diverge. `epochs` is to the target, or to where the run stopped."""
    rows = [(entry["lr"], entry["epochs_to_target"] or entry["epochs_run"], entry["state"]) for entry in mine["sweep"]]
    return [row for row in rows if row[1] and row[2] != "diverged"]


def _draw_sweep(panel: Any, name: str, mine: dict[str, Any], aside: float, top: float) -> None:
    """Draw a filled mark for each rate that reached the target, and an open mark with an arrow for each that was stopped before.

    A line connects the rates whose runs have ended, and a ring marks the best rate. Marks are drawn at `aside` times their
    rate, so that the marks of two activations do not cover each other.
    """
    style, points, label = STYLES[name], [(lr * aside, epochs, state) for lr, epochs, state in _points(mine)], LABELS[name]
    ended = [(lr, epochs) for lr, epochs, state in points if state != "unfinished"]
    reached = [(lr, epochs) for lr, epochs, state in points if state == "reached"]
    stopped = [(lr, epochs) for lr, epochs, state in points if state != "reached"]
    gone = [entry["lr"] * aside for entry in mine["sweep"] if entry["state"] == "diverged"]
    color, mark = style["color"], {"linestyle": "", "color": style["color"], "marker": MARKS[name]}
    panel.plot(*_columns(ended), **style)
    panel.plot(*_columns(reached), label=f"{label}, reached", **mark)
    panel.plot(*_columns(stopped), label=f"{label}, stopped", **mark, mfc="white", mew=2)
    for lr, epochs in stopped:
        panel.annotate("", (lr, epochs * 1.28), (lr, epochs * 1.04), arrowprops={"arrowstyle": "->", "color": color, "lw": 1.6})
    panel.plot(gone, [top] * len(gone), label=f"{label}, diverged", **mark | {"marker": "x", "markersize": 11, "markeredgewidth": 2.6})
    panel.plot(*_columns([point for point in reached if point[0] == mine["lr"] * aside]), "ko", mfc="none", ms=18)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _label_bests(panel: Any, of: dict[str, Any]) -> None:
    """Write the epochs of each best rate below its ring; above the ring if the ring of another activation is close below it."""
    bests = []
    for name, mine in of["activations"].items():
        bests += [(epochs, lr, name) for lr, epochs, state in _points(mine) if lr == mine["lr"] and state == "reached"]
    low, high = panel.get_xlim()
    before = 0.0
    for epochs, lr, name in sorted(bests):
        above = before > 0 and epochs < 3 * before
        place = math.log(lr / low) / math.log(high / low)
        side = "left" if place < 0.2 else "right" if place > 0.8 else "center"
        panel.annotate(
            f"{LABELS[name]}: {epochs:.1f}", (lr, epochs), (0, 34 if above else -15), textcoords="offset points", ha=side,
            va="bottom" if above else "top", color=STYLES[name]["color"], fontweight="bold", fontsize=14,
        )  # fmt: skip
        before = epochs


def _rate_axis(panel: Any, of: dict[str, Any]) -> None:
    rates = sorted({entry["lr"] for mine in of["activations"].values() for entry in mine["sweep"]})
    panel.set_xscale("log")
    turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(rates) > 4 else {}
    panel.set_xticks(rates, [f"{rate:g}" for rate in rates], fontsize=13, **turned)
    panel.set_xticks([], minor=True)
    panel.set_xlim(rates[0] / 1.9, rates[-1] * 1.9)


def _caption(figure: Any, document: dict[str, Any], more: str = "", how: str = "") -> None:
    """Write the name of the data above the panels; below them, how to read the marks (`how`) and the note of the data."""
    data, count = document["dataset"], f"{document['train_images']:,}"
    title = f"{count} synthetic images, not photographs" if data["synthetic"] else f"{count} images of {data['name']}"
    figure.suptitle(title, fontsize=17, parse_math=False)
    note = f"{data['note']}; {more}no regularization; tinyalex {document['versions']['tinyalex']}"
    lines = [*([how] if how else []), *textwrap.wrap(note, 88)]
    figure.supxlabel("\n".join(lines), fontsize=12, color="0.3", parse_math=False)


def write_png(figure: Any, path: Path) -> None:
    """Write a figure to a PNG file. A reader sees the old file or the whole new one."""
    write_picture(path, lambda file: figure.savefig(file, format="png"))

"""The pictures of the wall: the loss of each step, the same magnified around ln 10, the errors of each epoch; the right run in grey."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lessons.wall.bugs import BUGS, Bug, letter
from lessons.wall.record import Curves
from lessons.wall.run import CLASSES, EPOCHS, GUESS, STEPS, Curve
from tinyalex.files.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parent / "pictures"
TOP = 3.0  # of the axis of the loss; what is higher is drawn at this edge, and its size is written
NEAR = (2.15, 2.45)  # the magnified part of that axis
BLUE, RED, GREY = "#0072B2", "#C04A00", "#8a8a8a"
ROWS, SIZE, DPI, COLORS = (3, 2, 2), (4.6, 5.2), 100, 96


def one(curve: Curve, right: Curve | None, twin: Curve | None = None, twin_name: str = "") -> Figure:
    """A picture of one curve."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    fig, axes = plt.subplots(3, 1, figsize=SIZE, height_ratios=ROWS, layout="constrained")
    draw(axes, curve, right, twin)
    axes[0].set_ylabel("training loss")
    axes[1].set_ylabel("magnified")
    axes[1].set_xlabel("step", labelpad=1)
    axes[2].set_ylabel("error, %")
    axes[2].set_xlabel("epoch", labelpad=1)
    known = [] if right is None else [Line2D([], [], color=GREY, label="right run")]
    lines = [Line2D([], [], color=BLUE, label="training"), Line2D([], [], color=RED, ls="--", label="test"), *known]
    fig.legend(handles=lines, loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    if twin is not None:
        axes[0].legend(handles=[Line2D([], [], color=RED, lw=1, label=twin_name)], loc="lower left", frameon=False, fontsize=9)
    return fig


def wall(curves: Curves) -> Figure:
    """All curves on the same axes."""
    import matplotlib.pyplot as plt

    fig = plt.figure(figsize=(11.5, 15), layout="constrained")
    parts: Any = fig.subfigures(4, 3)
    for bug, part in zip(BUGS, parts.ravel(), strict=True):
        axes = part.subplots(3, 1, height_ratios=ROWS)
        draw(axes, curves[bug.key], curves["right"])
        axes[0].set_title(letter(bug), fontweight="bold", loc="left", fontsize=14)
    return fig


def draw(axes: Any, curve: Curve, right: Curve | None, twin: Curve | None = None) -> None:
    """Draw a curve into two axes."""
    loss, near, error = axes
    for ax in (loss, near):
        if right is not None:
            _line(ax, right.loss, GREY, 1.0)
        if twin is not None:
            _line(ax, twin.loss, RED, 1.0)
        _line(ax, curve.loss, BLUE, 1.3)
        ax.axhline(GUESS, color="black", lw=0.8, ls=":")
        ax.text(STEPS * 1.01, GUESS, "ln 10", va="center", fontsize=9)
        ax.set(xlim=(0, STEPS), xticks=[0, 40, 80, 120, 160])
    loss.set(ylim=(0, TOP), yticks=[0, 1, 2, 3], xticklabels=[])
    near.set(ylim=NEAR, yticks=[2.2, 2.3, 2.4])
    high = curve.loss > TOP
    if high.any():
        most = f"up to {_round(curve.loss.max())}"
        words = f"begins at {_round(curve.loss[0])}, {most}" if high[0] else most
        loss.plot(np.flatnonzero(high)[::3], np.full(high.sum(), TOP)[::3], "^", color=BLUE, ms=4, clip_on=False)
        loss.text(STEPS * 0.98, TOP * 0.93, words, ha="right", va="top", fontsize=10, color=BLUE)
    if len(curve.loss) < STEPS:
        loss.plot(len(curve.loss), GUESS, "x", color="black", ms=9, mew=2)
        loss.text(3, 0.2, f"stopped at step {len(curve.loss) + 1}:\nno number", fontsize=10)
    if right is not None and twin is None:
        _errors(error, right, GREY, GREY, 0.9)
    if twin is not None:
        _errors(error, twin, "#88b9d8", "#e3a078", 0.9)
    _errors(error, curve, BLUE, RED, 1.5)
    error.axhline(100 * (1 - 1 / CLASSES), color="black", lw=0.8, ls=":")
    error.text(EPOCHS * 1.01, 90, "guess", va="center", fontsize=9)
    error.set(xlim=(0, EPOCHS), ylim=(0, 103), yticks=[0, 50, 100], xticks=[0, 4, 8, 12, 16])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=10)


def _line(ax: Any, loss: Any, color: str, width: float) -> None:
    ax.plot(np.arange(len(loss)), np.minimum(loss, TOP), color=color, lw=width)


def _errors(ax: Any, curve: Curve, train: str, test: str, width: float) -> None:
    epochs = np.arange(1, len(curve.train_error) + 1)
    ax.plot(epochs, 100 * curve.train_error, color=train, lw=width)
    ax.plot(epochs, 100 * curve.test_error, color=test, lw=width, ls="--")


def _round(value: float) -> str:
    if value >= 1e6:
        return f"$10^{{{np.log10(value):.0f}}}$"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def described(curve: Curve) -> str:
    """The picture of a curve in words, for readers who do not see it; it does not name the bug."""
    of_epoch = STEPS // EPOCHS
    ends = [curve.loss[start : start + of_epoch].mean() for start in (0, STEPS // 2, STEPS - of_epoch) if start < len(curve.loss)]
    names = ("the first ten steps", "steps 81 to 90", "the last ten steps")
    means = ", ".join(f"{_digits(mean)} in {name}" for mean, name in zip(ends, names, strict=False))
    stop = "" if len(curve.loss) == STEPS else f" The run stops at step {len(curve.loss) + 1} with a loss that is no number."
    last = f"{100 * curve.train_error[-1]:.0f} % in training and {100 * curve.test_error[-1]:.0f} % in the test"
    first = f"{100 * curve.train_error[0]:.0f} % and {100 * curve.test_error[0]:.0f} %"
    return (
        f"The loss is {_digits(curve.loss[0])} in the first step, and on average {means}. The highest is "
        f"{_digits(curve.loss.max())}.{stop} "
        f"The error is {first} after the first epoch, and {last} after the last."
    )


def _digits(value: float) -> str:
    if value >= 1e6:
        return f"about 10^{np.log10(value):.0f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def name_of(bug: Bug) -> str:
    """The file of a bug's picture, which does not give the answer away."""
    return f"{letter(bug)}.png"


def write(curves: Curves, folder: Path = FOLDER) -> None:
    """Write all pictures."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    made = {"right.png": one(curves["right"], None), "wall.png": wall(curves)}
    for bug in BUGS:
        made[name_of(bug)] = one(curves[bug.key], curves["right"])
        if bug.twin is not None:
            made[f"{letter(bug)}-twin.png"] = one(curves[bug.key], curves["right"], curves[f"{bug.key}-twin"], bug.twin.name)
    for name, fig in made.items():
        content, small = io.BytesIO(), io.BytesIO()
        fig.savefig(content, dpi=DPI)
        plt.close(fig)
        Image.open(content).convert("RGB").quantize(COLORS).save(small, "PNG", optimize=True)  # a third of the bytes
        write_bytes(folder / name, small.getvalue())

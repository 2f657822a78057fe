"""Two pictures of what a network says: five bars for each image (Figure 4, left), and the classes that are mixed up most often.

The colors are those of Okabe and Ito. The bar of the right label is also outlined and marked, so that nothing depends on colors.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.files.atomic import write_picture

BLUE, ORANGE, SKY = "#0072B2", "#E69F00", "#56B4E9"
DPI = 150
COLUMNS = 2  # of images side by side: with more, the names cannot be read where the picture is 400 pixels wide
MOST = 24  # images in a picture
LONGEST = 24  # characters of a name


@dataclass(frozen=True)
class Shown:
    """An image and what the network says of it.

    picture: uint8 (H, W, 3). title: the name below it, its right label or its file. guesses: (name, probability, whether it is the
    right label) of the most probable classes, the first one first. note: where the right label is, if it is not among them.
    """

    picture: npt.NDArray[np.uint8]
    title: str
    guesses: tuple[tuple[str, float, bool], ...]
    note: str = ""


@dataclass(frozen=True)
class Mixed:
    """Two classes that are mixed up: their names, and for each the share and the number of its images that were taken for the other."""

    names: tuple[str, str]
    shares: tuple[float, float]
    counts: tuple[int, int]


def draw_guesses(shown: Sequence[Shown], caption: str, path: Path | str) -> None:
    """Draw images and their bars into a PNG file; see `figure_of_guesses`."""
    _write(figure_of_guesses(shown, caption), path)


def draw_mixed(pairs: Sequence[Mixed], title: str, caption: str, path: Path | str) -> None:
    """Draw the pairs of classes that are mixed up most often into a PNG file; see `figure_of_mixed`."""
    _write(figure_of_mixed(pairs, title, caption), path)


def figure_of_guesses(shown: Sequence[Shown], caption: str) -> Any:
    """The Matplotlib figure of `draw_guesses`: each image with its title, and below it one bar for each class that it may be."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(shown))
    lines, longest = math.ceil(len(shown) / columns), max(len(one.guesses) for one in shown)
    height = 3.3 + 0.42 * longest
    figure = Figure(figsize=(3.4 * columns + 0.2, height * lines + 0.5), layout="constrained", dpi=DPI)
    grid = figure.add_gridspec(lines, columns, hspace=0.04, wspace=0.04)
    for k, one in enumerate(shown):
        cell = grid[k // columns, k % columns].subgridspec(2, 1, height_ratios=(2.5, 0.42 * longest), hspace=0.02)
        image: Any = figure.add_subplot(cell[0])
        image.imshow(one.picture, interpolation="nearest" if max(one.picture.shape) <= 64 else "antialiased")
        image.set_xticks([])
        image.set_yticks([])
        image.set_xlabel(short(one.title, 22), fontsize=15, fontweight="bold", parse_math=False)
        bars: Any = figure.add_subplot(cell[1])
        for place, (name, probability, right) in enumerate(one.guesses):
            edge = "black" if right else "none"
            bars.barh(place, probability, 0.86, color=ORANGE if right else SKY, edgecolor=edge, linewidth=1.6)
            words = f"{short(name)} (right)" if right else short(name)
            bars.text(0.02, place, words, va="center", fontsize=13, fontweight="bold" if right else "normal", parse_math=False)
            bars.text(0.99, place, percent(probability), va="center", ha="right", fontsize=12)
        bars.set(xlim=(0, 1), ylim=(longest - 0.4, -0.6), xticks=[], yticks=[])
        if one.note:
            bars.set_xlabel(short(one.note, 40), fontsize=12, parse_math=False)
        for side in ("top", "right", "bottom"):
            bars.spines[side].set_visible(False)
    figure.supxlabel("\n".join(textwrap.wrap(caption, 34 * columns)), fontsize=11, color="0.3", parse_math=False)
    return figure


def figure_of_mixed(pairs: Sequence[Mixed], title: str, caption: str) -> Any:
    """The Matplotlib figure of `draw_mixed`: for each pair two bars, one for each direction."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1.9 + 0.92 * max(1, len(pairs))), layout="constrained", dpi=DPI)
    panel: Any = figure.add_subplot()
    most = max([share for pair in pairs for share in pair.shares], default=1)
    for place, pair in enumerate(pairs):
        for side, color, hatch in ((0, BLUE, None), (1, ORANGE, "//")):
            at, share, count = place + 0.4 * side - 0.2, pair.shares[side], pair.counts[side]
            panel.barh(at, share, 0.38, color=color, hatch=hatch, edgecolor="white" if hatch else color, linewidth=0)
            panel.text(share + most * 0.015, at, f"{percent(share)} ({count:,})", va="center", fontsize=12)
    panel.set_yticks([place + 0.2 * step for place in range(len(pairs)) for step in (-1, 1)])
    panel.set_yticklabels([f"{a} as {b}" for pair in pairs for a, b in _both(pair)], fontsize=13, parse_math=False)
    panel.set(xlim=(0, most * 1.4), ylim=(len(pairs) - 0.5, -0.55), xticks=[])
    panel.tick_params(axis="y", length=0)
    for side_of in ("top", "right", "bottom"):
        panel.spines[side_of].set_visible(False)
    figure.suptitle("\n".join(textwrap.wrap(title, 44)), fontsize=16, parse_math=False)
    figure.supxlabel("\n".join(textwrap.wrap(caption, 62)), fontsize=12, color="0.3", parse_math=False)
    return figure


def _both(pair: Mixed) -> list[tuple[str, str]]:
    """The names of a pair in both orders."""
    a, b = (short(name, 14) for name in pair.names)
    return [(a, b), (b, a)]


def short(name: str, most: int = LONGEST) -> str:
    """A name for a picture: its first of several words with commas between, cut to `most` characters, in letters that can be drawn."""
    first = name.split(",")[0].strip() if len(name) > most else name
    drawn = "".join(c if ord(c) < 0x2000 else "?" for c in first)
    return drawn if len(drawn) <= most else drawn[: most - 1] + "…"


def percent(share: float) -> str:
    """A share as percent, with a digit after the point where there is room.

    Example
    -------
    >>> percent(0.123), percent(0.0004), percent(1.0)
    ('12.3 %', '<0.1 %', '100 %')
    """
    if 0 < share < 0.0005:
        return "<0.1 %"
    return "100 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def _write(figure: Any, path: Path | str) -> None:
    write_picture(path, lambda file: figure.savefig(file, format="png", dpi=DPI))

"""Pictures of what is inside a net: many small tiles side by side, as panels with titles, in one PNG file."""

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

DPI = 150
WIDTH = 8.0  # inches
GAP_COLOR = 1.0  # white

Tiles = npt.NDArray[Any]  # (N, h, w, 3), 0 to 1


@dataclass(frozen=True)
class Panel:
    """A picture of tiles with a title. image: (H, W, 3), 0 to 1. notes: a word on the left of each line of tiles, or none."""

    title: str
    image: npt.NDArray[Any]
    notes: tuple[str, ...] = ()


def mosaic(tiles: Tiles, columns: int, gap: int = 1) -> npt.NDArray[np.float64]:
    """Tiles (N, h, w, 3) in lines of `columns`, with `gap` white pixels between them: (H, W, 3).

    Example
    -------
    >>> mosaic(np.zeros((5, 2, 3, 3)), 4).shape
    (5, 15, 3)
    """
    n, h, w, _ = tiles.shape
    lines = math.ceil(n / columns)
    sheet = np.full((lines * (h + gap) - gap, columns * (w + gap) - gap, 3), GAP_COLOR)
    for k, tile in enumerate(tiles):
        y, x = k // columns * (h + gap), k % columns * (w + gap)
        sheet[y : y + h, x : x + w] = tile
    return sheet


def in_color(values: npt.NDArray[Any]) -> Tiles:
    """Values (N, h, w) in colors: white is 0, red is positive, blue is negative. Full color is the largest magnitude of all values."""
    from matplotlib import colormaps

    most = float(np.abs(values).max()) or 1.0
    colored: Tiles = colormaps["RdBu_r"](0.5 + 0.5 * values / most)[..., :3]
    return colored


def draw_panels(rows: Sequence[Sequence[Panel]], title: str, caption: str, path: Path | str) -> None:
    """Draw panels into a PNG file; see `figure_of_panels`."""
    figure = figure_of_panels(rows, title, caption)
    write_picture(path, lambda file: figure.savefig(file, format="png", dpi=DPI))


def figure_of_panels(rows: Sequence[Sequence[Panel]], title: str, caption: str) -> Any:
    """The Matplotlib figure of `draw_panels`: the panels of a row stand side by side, each with its title above it."""
    from matplotlib.figure import Figure

    sizes = [(max(panel.image.shape[0] for panel in row), sum(panel.image.shape[1] for panel in row)) for row in rows]
    heights = [min(WIDTH * height / width, WIDTH) + 0.35 for height, width in sizes]
    words = textwrap.wrap(caption, 96)
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.5 + 0.2 * len(words)), layout="constrained", dpi=DPI)
    layout: Any = figure.get_layout_engine()
    layout.set(wspace=0.03)
    grid = figure.add_gridspec(len(rows), 1, height_ratios=heights)
    for k, row in enumerate(rows):
        cells = grid[k].subgridspec(1, len(row), width_ratios=[panel.image.shape[1] for panel in row])
        for at, panel in enumerate(row):
            _draw_panel(figure.add_subplot(cells[at]), panel)
    figure.suptitle("\n".join(textwrap.wrap(title, 64)), fontsize=15, parse_math=False)
    figure.supxlabel("\n".join(words), fontsize=10, color="0.3", parse_math=False)
    return figure


def _draw_panel(axes: Any, panel: Panel) -> None:
    axes.imshow(panel.image, interpolation="antialiased", vmin=0, vmax=1)
    axes.set_title(panel.title, fontsize=11, loc="left", parse_math=False)
    axes.set_xticks([])
    lines = len(panel.notes)
    height = panel.image.shape[0] / max(1, lines)
    axes.set_yticks([(k + 0.5) * height for k in range(lines)])
    axes.set_yticklabels(panel.notes, fontsize=10, parse_math=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)

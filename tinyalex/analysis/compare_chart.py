"""The chart of several nets: how many multiply-adds and parameters each has, and where in the net memory, parameters and work are."""

from __future__ import annotations

import io
import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyalex.analysis.compare import Compared
from tinyalex.files.atomic import write_picture

DPI, WIDTH = 200, 8.0  # inches
KEY = "costs"  # under which the picture holds its counts
BANDS = (  # the least height of maps, its name, its color: light where maps are large
    (100, "maps of 100x100 and more", "#c7e3f2"),
    (50, "50 to 99", "#8cc3e0"),
    (25, "25 to 49", "#4f9ec9"),
    (12, "12 to 24", "#2571a6"),
    (2, "2 to 11", "#123f66"),
    (1, "no maps: fully connected", "#e08a2e"),
)
QUANTITIES = (  # the title of a panel; what a cost gives, in the unit of the title
    ("outputs of one image, MiB", lambda cost: cost.activation_bytes / 2**20),
    ("parameters, millions", lambda cost: cost.parameters / 1e6),
    ("multiply-adds, billions", lambda cost: cost.macs / 1e9),
)
TITLE = "What the networks cost: work, parameters, memory"
CAPTION = (
    "Counted from the models, for one image. Outputs are those of all layers, batch normalization and joined maps included; ReLU and "
    "dropout work in place."
)
TIMES = " The time is the median of single images in float32 on one machine, with frozen weights."
SLIPS = (
    "A lecture of 2019 on these nets has slips, corrected here: GoogLeNet's stem does 478 million multiply-adds, 481 with its pooling "
    "(not 418); VGG-16 has three convolutions in its third stage, so 15.5 billion in all (not 13.6); a bottleneck does not keep the "
    "receptive field of a basic block: its units see 3x3 and not 5x5."
)
AREA = 9.0  # square points of a bubble for a MiB of outputs
OFFSETS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.9), (0.8, -0.9), (-0.8, 0.9), (-0.8, -0.9))  # where a name may stand


def draw(nets: Sequence[Compared], path: Path | str) -> None:
    """Write the chart as a PNG file, 1600 pixels wide, of 128 colors, which halves the file. It also holds the counts as text, by `KEY`."""
    from PIL import Image, PngImagePlugin

    held = PngImagePlugin.PngInfo()
    held.add_text(KEY, json.dumps({net.name: asdict(net.cost) for net in nets}))
    figure, drawn = figure_of(nets), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    picture = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    write_picture(path, lambda file: picture.save(file, format="png", optimize=True, pnginfo=held))


def figure_of(nets: Sequence[Compared]) -> Any:
    """The Matplotlib figure: bubbles above, and below a panel of bars for each quantity, and one for the time if it was measured."""
    from matplotlib.figure import Figure

    timed = all(net.timing is not None for net in nets)
    words = textwrap.wrap(CAPTION + (TIMES if timed else ""), 132) + textwrap.wrap(SLIPS, 132)
    bars = 1.0 + 0.235 * len(nets)
    figure = Figure(figsize=(WIDTH, 5.5 + bars + 0.15 * len(words)), layout="constrained", dpi=DPI)
    parts: Any = figure.subfigures(2, 1, height_ratios=(4.9, bars))
    above, below = parts
    _bubbles(above.subplots(), nets)
    panels = below.subplots(1, 3 + timed, sharey=True)
    for axes, (title, of) in zip(panels, QUANTITIES, strict=False):
        _bars(axes, title, [net.name for net in nets], [_by_band(net, of) for net in nets])
    if timed:
        _bars(panels[3], "time of an image, ms", [net.name for net in nets], [[0.0] * 5 + [_ms(net)] for net in nets], color="#777777")
    below.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(TITLE, fontsize=14)
    figure.supxlabel("\n".join(words), fontsize=8.5, color="0.25", x=0.01, ha="left", parse_math=False)
    return figure


def band_of(height: int) -> int:
    """The place in `BANDS` of maps of this height."""
    return next(i for i, (least, _, _) in enumerate(BANDS) if height >= least)


def _by_band(net: Compared, of: Any) -> list[float]:
    sums = [0.0] * len(BANDS)
    for stage in net.stages:
        sums[band_of(stage.size[0])] += of(stage.cost)
    return sums


def _ms(net: Compared) -> float:
    return 0.0 if net.timing is None else 1e3 * net.timing.median


def _bars(axes: Any, title: str, names: Sequence[str], values: Sequence[Sequence[float]], color: str | None = None) -> None:
    """One stacked bar for each net, with its sum behind it."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    places = range(len(names))
    left = [0.0] * len(names)
    for band, (_, label, shade) in enumerate(BANDS):
        parts = [value[band] for value in values]
        axes.barh(places, parts, left=left, height=0.72, color=color or shade, label=label, linewidth=0)
        left = [a + b for a, b in zip(left, parts, strict=True)]
    most = max(left) or 1.0
    for place, whole in zip(places, left, strict=True):
        axes.text(whole + 0.02 * most, place, f"{whole:.3g}" if whole < 1000 else f"{whole:.0f}", va="center", fontsize=8.5)
    axes.set_xlim(0, 1.2 * most)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_yticks(list(places), names, fontsize=9.5, parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)  # the first net on top
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(length=0, labelsize=8.5, axis="x")
    axes.tick_params(length=0, axis="y")
    axes.spines[["top", "right"]].set_visible(False)


def _bubbles(axes: Any, nets: Sequence[Compared]) -> None:
    """Multiply-adds against parameters, both in powers of ten. The area of a bubble is the memory for the outputs of one image."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    x, y = [net.cost.macs / 1e9 for net in nets], [net.cost.parameters / 1e6 for net in nets]
    areas = [AREA * net.cost.activation_bytes / 2**20 for net in nets]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(min(x) / 1.8, max(x) * 2.2)
    axes.set_ylim(min(y) / 1.8, max(y) * 1.8)
    order = sorted(range(len(nets)), key=lambda i: -areas[i])  # a small bubble lies on a large one
    axes.scatter(*([values[i] for i in order] for values in (x, y, areas)), color="#4f9ec9", alpha=0.55, edgecolor="#123f66", linewidth=0.8)
    axes.scatter(x, y, s=5, color="#123f66")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(LogLocator(base=10, subs=()))
    axes.set_xlabel("multiply-adds of one image, billions", fontsize=10)
    axes.set_ylabel("parameters, millions", fontsize=10)
    axes.tick_params(labelsize=9)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("area of a bubble: memory for the outputs of one image", fontsize=10, loc="left")
    _name(axes, [net.name for net in nets], x, y, [math.sqrt(area / math.pi) for area in areas])


def _name(axes: Any, names: Sequence[str], x: Sequence[float], y: Sequence[float], radii: Sequence[float]) -> None:
    """Write each name beside its bubble, where it covers as little as possible of bubbles and of names written before it."""
    figure = axes.figure.figure if hasattr(axes.figure, "figure") else axes.figure
    figure.draw_without_rendering()  # the layout decides how many points the axes measure
    box, (low, high), (bottom, top) = axes.get_window_extent(), axes.get_xlim(), axes.get_ylim()
    scale = 72 / figure.dpi

    def at(value: float, least: float, most: float, extent: float) -> float:
        return scale * extent * math.log(value / least) / math.log(most / least)

    places = [(at(a, low, high, box.width), at(b, bottom, top, box.height)) for a, b in zip(x, y, strict=True)]
    taken = [(px - r, py - r, px + r, py + r) for (px, py), r in zip(places, radii, strict=True)]
    for i in sorted(range(len(names)), key=lambda i: radii[i]):
        width, height, r = 5.4 * len(names[i]), 11.0, radii[i] + 3
        px, py = places[i]
        found: list[tuple[float, int, tuple[float, float, float, float]]] = []
        for dx, dy in OFFSETS:
            left = px + dx * r - (width if dx < 0 else 0 if dx > 0 else width / 2)
            low_edge = py + dy * (r if dx == 0 else r * 0.8) - (height if dy < 0 else 0 if dy > 0 else height / 2)
            label = (left, low_edge, left + width, low_edge + height)
            others = [box for j, box in enumerate(taken) if j != i]
            outside = max(0.0, left + width - scale * box.width) + max(0.0, -left)
            found.append((sum(_common(label, other) for other in others) + 50 * outside, len(found), label))
        _, _, label = min(found)
        taken.append(label)
        offset = (label[0] - px, label[1] - py + 2)
        axes.annotate(
            names[i], (x[i], y[i]), offset, textcoords="offset points", fontsize=9.5, parse_math=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": "#123f66", "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip


def _common(a: Iterable[float], b: Iterable[float]) -> float:
    """The area that two boxes share; each is left, bottom, right, top."""
    (al, ab, ar, at), (bl, bb, br, bt) = a, b
    return max(0.0, min(ar, br) - max(al, bl)) * max(0.0, min(at, bt) - max(ab, bb))

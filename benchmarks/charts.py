"""Two pictures of a results file: tinyalex beside its rivals, and tinyalex beside the limits of the machine.

The curves of `--scaling` are in `scaling_charts`. The colors are those of Okabe and Ito, and nothing is shown by color alone. The
pictures can also be read at a width of 400 pixels.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.document import Document
from benchmarks.results import Result
from tinyalex.files.atomic import make_folder, write_atomically

BLUE, ORANGE, GRAY = "#0072B2", "#D55E00", "0.35"
WIDTH, DPI = 8, 150  # inches, pixels an inch
FONT: Any = {"font.size": 17, "axes.titlesize": 18, "legend.fontsize": 16, "lines.linewidth": 2.6, "lines.markersize": 10}
BAR_HEIGHT = 0.46  # inches
LAYER = "layer-"


def draw(document: Document, folder: Path) -> list[Path]:
    """Write the pictures for which the document has results, and return their paths."""
    from matplotlib import rc_context

    from benchmarks.scaling_charts import figure_of_curves

    results = list(document.results.values())
    compared = [result for result in results if result.fastest() is not None and not result.workload.startswith("towers")]
    layers = [result for result in results if result.workload.startswith(LAYER) and result.flops and result.traffic and result.copy_rate()]
    pictures: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
        "speed.png": (figure_of_ratios, compared),
        "roofline.png": (figure_of_roofs, layers),
        "scaling.png": (figure_of_curves, list(document.scaling.values())),
    }
    make_folder(folder)
    with rc_context(FONT):
        for name, (make, wanted) in pictures.items():
            if wanted:
                write_png(make(wanted), folder / name)
    return [folder / name for name, (_, wanted) in pictures.items() if wanted]


def figure_of_ratios(results: list[Result]) -> Any:
    """One bar for each workload: how many times as fast as the fastest rival, with the worse quartile; on a log scale around 1."""
    figure, panel = canvas(1.9 + BAR_HEIGHT * len(results))
    ratios = [pair.ratio() for pair in map(Result.fastest, results) if pair is not None]
    low, high = min(0.5, *(worse for _, worse in ratios)) * 0.8, max(2.0, *(median for median, _ in ratios)) * 2
    for place, (median, worse) in enumerate(ratios):
        faster = median >= 1
        panel.barh(place, median - 1, left=1, color=BLUE if faster else ORANGE, height=0.7)
        panel.plot([worse, median], [place, place], color="black", linewidth=1.6)
        at = max(median, worse, 1) * 1.04
        panel.text(at, place, f"{median:.2f}", va="center", ha="left")
    panel.axvline(1, color="black", linewidth=1.5)
    panel.set_xscale("log")
    panel.set_xlim(low, high)
    step = 2 if high / low < 64 else 4
    ticks = [tick for tick in (float(step) ** power for power in range(-6, 7)) if low <= tick <= high]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panel.set_xticks([], minor=True)
    panel.set_yticks(range(len(results)), [result.workload for result in results])
    panel.set_ylim(len(results) - 0.4, -0.6)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("times as fast as the fastest rival")
    caption(figure, results, "Median of paired timings; the black line ends at the worse quartile.")
    return figure


def figure_of_roofs(results: list[Result]) -> Any:
    """For each layer: the operations a second of direct convolution against operations a byte, under the limits of the machine."""
    figure, panel = canvas(7.6)
    peak = float(np.median([result.sgemm_rate() for result in results])) / 1e9  # GFLOP/s
    copied = float(np.median([result.copy_rate() or 0.0 for result in results])) / 1e9  # GB/s
    points = [((result.flops or 0.0) / (result.traffic or 1.0), (result.flops or 0.0) / result.tinyalex_s() / 1e9) for result in results]
    edge, right = peak / copied, max(x for x, _ in points) * 1.6
    left = min(*(x for x, _ in points), edge) / 2
    panel.plot([left, edge, right], [copied * left, peak, peak], color=GRAY)
    panel.text(left * 1.1, peak * 1.06, f"sgemm {peak:.0f} GFLOP/s", color=GRAY)
    panel.text(left * 1.3, copied * left * 1.2, f"copy {copied:.0f} GB/s", color=GRAY, va="top")
    for passes, mark, color in (("forward", "o", BLUE), ("backward", "s", ORANGE)):
        mine = [(point, result.workload) for point, result in zip(points, results, strict=True) if result.workload.endswith(passes)]
        panel.plot([x for (x, _), _ in mine], [y for (_, y), _ in mine], mark, color=color, markersize=19, mec="white", label=passes)
        for (x, y), name in mine:
            number = name.removeprefix(LAYER).removesuffix(f"-{passes}")[-1]
            panel.text(x, y, number, color="white", ha="center", va="center_baseline", fontsize=15, fontweight="bold")
    lowest = min(*(y for _, y in points), copied * left)
    panel.set(xscale="log", yscale="log", xlim=(left, right), ylim=(lowest / 1.7, max(peak, *(y for _, y in points)) * 1.6))
    for axis, (low, high) in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, panel.get_ylim())):
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low <= tick <= high]
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axis.set_ticks([], minor=True)
    panel.set_xlabel("operations a byte of input, weights and output")
    panel.set_ylabel("GFLOP/s of direct convolution")
    panel.legend(loc="lower right", markerscale=0.7)
    note = "AlexNet's layers alone, 1 to 5: conv1 to conv5, 6: fc6. Winograd's algorithm does fewer operations than are counted."
    caption(figure, results, note)
    return figure


def canvas(height: float, columns: int = 1, rows: int = 1) -> tuple[Any, Any]:
    """A figure that is made without pyplot, so it needs no screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns)


def caption(figure: Any, entries: Iterable[Any], note: str) -> None:
    """Write what the picture shows, the machine and the versions; and a warning if the inputs were tiny."""
    runs = [entry.run for entry in entries]
    run = max(runs, key=lambda run: str(run["date"]))
    library = {name: version for each in runs for name, version in each["versions"].items() if name != "python"}
    versions = ", ".join(f"{name} {version}" for name, version in library.items())
    text = f"{note} {run['machine']['cpu']}, {run['settings']['threads']} threads, float32; {versions}; {run['date'][:10]}."
    figure.supxlabel("\n".join(textwrap.wrap(text, 76)), fontsize=13, color=GRAY)
    if run["settings"]["quick"]:
        figure.suptitle("tiny inputs: these times mean nothing", color=ORANGE)


def write_png(figure: Any, path: Path) -> None:
    """Write a figure to a PNG file. A reader sees the old file or the whole new one."""
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_atomically(path, [png.getbuffer()], png.getbuffer().nbytes)

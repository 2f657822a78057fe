"""The curves of `--scaling`: time and peak memory of a training step against batch, image size and width."""

from __future__ import annotations

from typing import Any

from benchmarks.charts import BLUE, GRAY, ORANGE, canvas, caption
from benchmarks.scaling import Measured

ROW = 2.9  # inches
UNITS = {"batch": "images in a batch", "image size": "pixels of an image's side", "width": "times AlexNet's width"}


def figure_of_curves(curves: list[Measured]) -> Any:
    """The figure. Each curve has two panels: on the left the time with its fitted line, on the right the memory."""
    figure, panels = canvas(ROW * len(curves) + 1.4, 2, len(curves))
    panels = panels.reshape(len(curves), 2)
    for (time, memory), curve in zip(panels, curves, strict=True):
        fit = curve.overhead()
        time.plot(curve.values, curve.step_s, "o", color=BLUE, linestyle="" if fit else "-")
        if fit is not None:
            ends = [0.0, curve.values[-1]]
            time.plot(ends, [fit[0] + fit[1] * value for value in ends], color=GRAY, linewidth=1.6, zorder=1)
            text = f"{1000 * fit[0]:.1f} ms + {1000 * fit[1]:.2g} ms\nan image"
            time.text(0.05, 0.93, text, transform=time.transAxes, va="top", fontsize=14)
        known = [(value, peak / 1e9) for value, peak in zip(curve.values, curve.peak_rss, strict=True) if peak is not None]
        memory.plot([value for value, _ in known], [peak for _, peak in known], "s-", color=ORANGE)
        for panel in (time, memory):
            panel.set_xlim(left=0)
            panel.set_ylim(0, panel.get_ylim()[1] * 1.1)
            panel.locator_params(nbins=4)
            panel.set_xlabel(UNITS[curve.quantity])
            panel.set_title(curve.title, fontsize=15, loc="left")
        time.set_ylabel("s a step")
        memory.set_ylabel("peak GB")
    caption(figure, curves, "A training step of tinyalex; gray: the line fitted to the times.")
    return figure

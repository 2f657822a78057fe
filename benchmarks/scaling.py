"""Time and peak memory of tinyalex's training step against batch, image size and width. Each point has a separate process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.contestants import Child, Contestant
from benchmarks.measure import PAUSE, WARM_UP, Settings

WHO = Contestant("tinyalex", "scaling")


@dataclass(frozen=True)
class Curve:
    """Points at which one quantity grows.

    Parameters
    ----------
    name: such as "batch-alexnet". net: a name for `tinyalex.models.build`.
    quantity: "batch", "image size" or "width". values: in rising order.
    batch, options: those of every point, except for the quantity that grows.
    rough_s: about how many seconds all points take; used only for the expected time.
    """

    name: str
    net: str
    quantity: str
    values: tuple[float, ...]
    batch: int = 16
    options: dict[str, Any] = field(default_factory=dict)
    rough_s: float = 30

    def point(self, value: float) -> tuple[int, dict[str, Any]]:
        """Batch and options of the net at one value."""
        if self.quantity == "batch":
            return int(value), self.options
        return self.batch, {**self.options, **({"width": value} if self.quantity == "width" else {"input_size": int(value)})}

    def title(self) -> str:
        return self.net if self.quantity == "batch" else f"{self.net}, batch {self.batch}"


POWERS = tuple(2.0**i for i in range(10))  # 1 to 512
CURVES = [
    Curve("batch-figure1", "figure1", "batch", POWERS, rough_s=30),
    Curve("batch-cifar-alexnet", "cifar-alexnet", "batch", POWERS, rough_s=35),
    Curve("batch-alexnet", "alexnet", "batch", POWERS[:8], rough_s=70),
    Curve("size-cifar-alexnet", "cifar-alexnet", "image size", (24, 32, 48, 64, 96), batch=32, rough_s=30),
    Curve("size-alexnet", "alexnet", "image size", (67, 99, 131, 163, 195, 227), rough_s=35),
    Curve("width-alexnet", "alexnet", "width", (0.125, 0.25, 0.5, 0.75, 1.0), rough_s=35),
]
QUICK = [
    Curve("batch-cifar-alexnet", "cifar-alexnet", "batch", (1, 2, 4), rough_s=3),
    Curve("size-alexnet", "alexnet", "image size", (67, 99), 2, {"width": 1 / 16, "num_classes": 10}, rough_s=2),
    Curve("width-alexnet", "alexnet", "width", (1 / 16, 1 / 8), 2, {"input_size": 67, "num_classes": 10}, rough_s=2),
]


@dataclass
class Measured:
    """The measured points of a curve: median seconds of a step, all times, and the peak memory (None if it is not known)."""

    name: str
    title: str
    quantity: str
    values: list[float]
    step_s: list[float]
    times_s: list[list[float]]
    peak_rss: list[int | None]
    run: dict[str, Any] = field(default_factory=dict)

    def overhead(self) -> tuple[float, float] | None:
        """a and b, in seconds, of the fitted line time = a + b * batch; None if the quantity is not the batch."""
        if self.quantity != "batch" or len(self.values) < 2:
            return None
        times = np.array(self.step_s)
        rows = np.stack([1 / times, np.array(self.values) / times], axis=1)  # the relative error of each point has the same weight
        a, b = np.linalg.lstsq(rows, np.ones(len(times)), rcond=None)[0]
        return float(a), float(b)

    def line(self) -> str:
        """The result as one line of text."""
        first, last = (f"{value:g}: {1000 * s:.1f} ms" for value, s in ((self.values[i], self.step_s[i]) for i in (0, -1)))
        fit = self.overhead()
        text = f"{self.title} by {self.quantity}, {first}; {last}"
        return text if fit is None else f"{text}; {1000 * fit[0]:.2f} ms a step and {1000 * fit[1]:.3f} ms an image"


def measure_curve(curve: Curve, settings: Settings, tick: Callable[[int], Any]) -> tuple[Measured, dict[str, Any]]:
    """Time every point. Returns the points, and what the last process reported. `tick(1)` is called after each point.

    Raises
    ------
    ContestantError: a process ended, perhaps because memory was full.
    """
    measured, about = Measured(curve.name, curve.title(), curve.quantity, list(curve.values), [], [], []), {}
    for value in curve.values:
        batch, options = curve.point(value)
        with Child(WHO, settings.threads) as child:
            setting = {"threads": settings.threads}
            child.ask(do="prepare", side=WHO.side, setting=setting, net=curve.net, batch=batch, options=options)
            once = min(child.ask(do="run", calls=1)["s"] for _ in range(WARM_UP))
            child.ask(do="forget peak")
            calls = 1 if settings.quick else max(1, round(0.2 / once))  # a timing takes at least 0.2 s
            times = []
            for _ in range(settings.repeats):
                time.sleep(PAUSE)
                times.append(child.ask(do="run", calls=calls)["s"])
            about = child.ask(do="about")
        measured.times_s.append(times)
        measured.step_s.append(float(np.median(times)))
        measured.peak_rss.append(about["peak_rss"])
        tick(1)
    return measured, about


def curves(quick: bool) -> list[Curve]:
    return QUICK if quick else CURVES


def expected_scaling_s(chosen: Iterable[Curve], settings: Settings) -> float:
    """About how many seconds the curves take on two cores."""
    return sum(curve.rough_s * settings.repeats / (2 if settings.quick else 9) + 2 * len(curve.values) for curve in chosen)


def summary(measured: Sequence[Measured]) -> str:
    """One line of text for each curve."""
    return "\n".join(each.line() for each in measured)

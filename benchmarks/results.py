"""The measured times of one workload, and the ratios and rates that are computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Pair:
    """Times of sgemm, tinyalex and one rival, measured in turns, in seconds a call. `rival_s` is empty without a rival."""

    rival: str | None
    sgemm_s: list[float] = field(default_factory=list)
    tinyalex_s: list[float] = field(default_factory=list)
    rival_s: list[float] = field(default_factory=list)

    def ratio(self) -> tuple[float, float]:
        """How many times as fast as the rival tinyalex was: the median over the turns, and the worse quartile."""
        ratios = np.divide(self.rival_s, self.tinyalex_s)
        return float(np.median(ratios)), float(np.percentile(ratios, 25))


@dataclass
class Result:
    """Everything that was measured for one workload.

    errors: for each rival, the largest relative difference of the answers. absent: for a rival that does not work here, why.
    about: for each contestant, what its process reported at the end, such as its peak memory.
    copy_bytes: bytes that one copy reads and writes together. copy_s: the seconds of each copy.
    run: date, settings, versions and machine. Each result has its own, because a long benchmark can be measured in parts.
    """

    workload: str
    title: str
    tolerance: float
    calls: int
    flops: float | None
    images: int | None
    epoch_calls: int | None
    shapes: dict[str, tuple[int, ...]]
    sgemm_flops: float
    pairs: list[Pair]
    errors: dict[str, float]
    about: dict[str, dict[str, Any]]
    traffic: float | None = None
    copy_bytes: float | None = None
    copy_s: list[float] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def fastest(self) -> Pair | None:
        """The pair of the fastest rival, which has the lowest ratio. Absolute times of different minutes cannot be compared."""
        rivals = [pair for pair in self.pairs if pair.rival is not None]
        return min(rivals, key=lambda pair: pair.ratio()[0]) if rivals else None

    def tinyalex_s(self) -> float:
        """The median of all times of tinyalex, in seconds."""
        return float(np.median([s for pair in self.pairs for s in pair.tinyalex_s]))

    def sgemm_rate(self) -> float:
        """The median rate of sgemm during the measurement, in operations a second."""
        return self.sgemm_flops / float(np.median([s for pair in self.pairs for s in pair.sgemm_s]))

    def copy_rate(self) -> float | None:
        """The median rate of copies during the measurement, in bytes read and written a second."""
        return self.copy_bytes / float(np.median(self.copy_s)) if self.copy_bytes and self.copy_s else None

    def share(self) -> float | None:
        """The rate of tinyalex divided by that of the sgemm just before: the median over all turns."""
        return self._share([(product, s) for pair in self.pairs for product, s in zip(pair.sgemm_s, pair.tinyalex_s, strict=True)])

    def rival_share(self, pair: Pair) -> float | None:
        """The same ratio for a rival."""
        return self._share(list(zip(pair.sgemm_s, pair.rival_s, strict=True)))

    def _share(self, times: list[tuple[float, float]]) -> float | None:
        if self.flops is None:
            return None
        return float(np.median([(self.flops / s) / (self.sgemm_flops / product) for product, s in times]))

    def summary(self) -> dict[str, Any]:
        """The most important numbers."""
        fastest, seconds, copied = self.fastest(), self.tinyalex_s(), self.copy_rate()
        summary: dict[str, Any] = {"tinyalex_s": seconds, "sgemm_gflops": self.sgemm_rate() / 1e9, "share_of_sgemm": self.share()}
        if copied is not None:
            summary["copy_gbytes_per_s"] = copied / 1e9
        if self.images is not None:
            summary["tinyalex_images_per_s"] = self.images / seconds
        if self.epoch_calls is not None:
            summary["tinyalex_epoch_s"] = self.epoch_calls * seconds
        if fastest is not None:
            median, worse = fastest.ratio()
            summary |= {"fastest_rival": fastest.rival, "rival_s": float(np.median(fastest.rival_s)), "ratio": median}
            summary["worse_quartile"] = worse
        return summary

"""What was measured of one workload, and the numbers that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Pair:
    """Times of tinyalex and one rival that followed each other, in seconds a call; `rival_s` is empty without a rival."""

    rival: str | None
    sgemm_s: list[float] = field(default_factory=list)
    tinyalex_s: list[float] = field(default_factory=list)
    rival_s: list[float] = field(default_factory=list)

    def ratio(self) -> tuple[float, float]:
        """How many times as fast tinyalex was: the median over the pairs, and the worse quartile."""
        ratios = np.divide(self.rival_s, self.tinyalex_s)
        return float(np.median(ratios)), float(np.percentile(ratios, 25))


@dataclass
class Result:
    """All that was measured of one workload.

    errors: by rival, the worst relative difference of the answers. absent: by rival, why it does not work on this machine.
    about: what each contestant's process told of itself at the end, its peak memory among it.
    copy_bytes, copy_s: bytes that one copy reads and writes together, and the seconds of each.
    run: when, with what settings, versions and machine: each result has its own, so that a long benchmark can be taken in parts.
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
        """The pair of the rival with the lowest ratio: times of different minutes are not compared."""
        rivals = [pair for pair in self.pairs if pair.rival is not None]
        return min(rivals, key=lambda pair: pair.ratio()[0]) if rivals else None

    def tinyalex_s(self) -> float:
        """The median of all of tinyalex's times."""
        return float(np.median([s for pair in self.pairs for s in pair.tinyalex_s]))

    def sgemm_rate(self) -> float:
        """What this machine's sgemm did meanwhile, in operations a second: the median."""
        return self.sgemm_flops / float(np.median([s for pair in self.pairs for s in pair.sgemm_s]))

    def copy_rate(self) -> float | None:
        """Bytes a second, read and written, of a copy meanwhile: the median."""
        return self.copy_bytes / float(np.median(self.copy_s)) if self.copy_bytes and self.copy_s else None

    def share(self) -> float | None:
        """The share of sgemm's rate that tinyalex reached: the median over pairs that followed each other."""
        return self._share([(product, s) for pair in self.pairs for product, s in zip(pair.sgemm_s, pair.tinyalex_s, strict=True)])

    def rival_share(self, pair: Pair) -> float | None:
        """The same of a rival."""
        return self._share(list(zip(pair.sgemm_s, pair.rival_s, strict=True)))

    def _share(self, times: list[tuple[float, float]]) -> float | None:
        if self.flops is None:
            return None
        return float(np.median([(self.flops / s) / (self.sgemm_flops / product) for product, s in times]))

    def summary(self) -> dict[str, Any]:
        """The numbers a reader looks for first."""
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

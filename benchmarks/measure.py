"""Timing in turns: sgemm, tinyalex, rival, sgemm, tinyalex, next rival ..., one at a time while the others wait.

A machine's speed wanders by tens of percent over minutes, so times of different minutes say little. Two that follow each
other can be divided; the median of such ratios is the result, and their lower quartile says how far to trust it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import worst_error
from benchmarks.child import load, save, sgemm_size
from benchmarks.contestants import SGEMM, TINYALEX, Child, Contestant
from benchmarks.workload import Workload

WARM_UP = 2  # timings that are thrown away: of first steps that ask for their memory
PAUSE = 0.1  # seconds before each timing: a library's threads go on looking for work for a while after their last


@dataclass(frozen=True)
class Settings:
    """Of a whole benchmark run: timings of each pair, threads of each contestant, tiny inputs for a trial or not."""

    repeats: int = 9
    threads: int = 2
    quick: bool = False


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

    about: what each contestant's process told of itself at the end, its peak memory among it.
    errors: by rival, the worst relative difference of the answers.
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

    def fastest(self) -> Pair | None:
        """The pair of the rival with the lowest median."""
        rivals = [pair for pair in self.pairs if pair.rival is not None]
        return min(rivals, key=lambda pair: float(np.median(pair.rival_s))) if rivals else None

    def tinyalex_s(self) -> float:
        """The median of all of tinyalex's times."""
        return float(np.median([s for pair in self.pairs for s in pair.tinyalex_s]))

    def sgemm_rate(self) -> float:
        """What this machine's sgemm did meanwhile, in operations a second: the median."""
        return self.sgemm_flops / float(np.median([s for pair in self.pairs for s in pair.sgemm_s]))

    def share(self) -> float | None:
        """The share of sgemm's rate that tinyalex reached: the median over pairs that followed each other."""
        if self.flops is None:
            return None
        pairs = [(product, s) for pair in self.pairs for product, s in zip(pair.sgemm_s, pair.tinyalex_s, strict=True)]
        return float(np.median([(self.flops / s) / (self.sgemm_flops / product) for product, s in pairs]))


def measure(workload: Workload, rivals: Sequence[Contestant], settings: Settings, tick: Callable[[], Any]) -> Result:
    """Compare the answers, then time; `tick` is called after each timing.

    Raises
    ------
    DisagreementError: a rival's answer differs; ContestantError: a process ended.
    """
    calls = 1 if settings.quick else workload.calls
    with tempfile.TemporaryDirectory(prefix="tinyalex-benchmark-") as name:
        folder = Path(name)
        result = _describe(workload, rivals, settings, folder / "inputs", calls)
        result.errors = agree(workload, rivals, settings, folder)
        with ExitStack() as stack:
            children = {who.name: stack.enter_context(Child(who, settings.threads)) for who in (SGEMM, TINYALEX, *rivals)}
            for child in children.values():
                _prepare(child, workload, settings, folder / "inputs")
            for child in children.values():
                for _ in range(WARM_UP):
                    child.ask(do="run", calls=calls)
            for _ in range(settings.repeats):
                for pair in result.pairs:
                    turn(pair, children, calls, tick)
            result.about = {who: child.ask(do="about") for who, child in children.items()}
    return result


def turn(pair: Pair, children: dict[str, Any], calls: int, tick: Callable[[], Any]) -> None:
    """Time sgemm, tinyalex and the pair's rival, one after the other."""
    for who, times in ((SGEMM.name, pair.sgemm_s), (TINYALEX.name, pair.tinyalex_s), (pair.rival, pair.rival_s)):
        if who is not None:
            time.sleep(PAUSE)
            times.append(children[who].ask(do="run", calls=1 if who == SGEMM.name else calls)["s"])
            tick()


def timings(rivals: Sequence[Contestant], settings: Settings) -> int:
    """How often `measure` calls `tick`."""
    return settings.repeats * (3 * len(rivals) or 2)


def expected_s(workloads: Sequence[Workload], rivals: Sequence[Contestant], settings: Settings) -> float:
    """About how many seconds all will take on two cores: processes that start twice, warm-up, and timings."""
    start, per_turn = 8 + 10 * len(rivals), 0.6 if rivals else 0.4
    turns = (settings.repeats + WARM_UP) * max(1, len(rivals))
    work = [0.0 if settings.quick else workload.rough_s * (1 if rivals else 0.5) for workload in workloads]
    return sum((4 + 3 * len(rivals) if settings.quick else start) + turns * (per_turn + rough) for rough in work)


def agree(workload: Workload, rivals: Sequence[Contestant], settings: Settings, folder: Path) -> dict[str, float]:
    """The worst difference between tinyalex's answer and each rival's; processes of their own, so none later holds an answer."""
    ours, theirs = folder / "ours", folder / "theirs"
    if rivals:
        _answer(TINYALEX, workload, settings, folder / "inputs", ours)
    errors = {}
    for rival in rivals:
        _answer(rival, workload, settings, folder / "inputs", theirs)
        errors[rival.name] = worst_error(workload, load(ours), load(theirs), rival.name)
        shutil.rmtree(theirs)
    shutil.rmtree(ours, ignore_errors=True)
    return errors


def _describe(workload: Workload, rivals: Sequence[Contestant], settings: Settings, folder: Path, calls: int) -> Result:
    """A result without times yet; the inputs are written to `folder`."""
    inputs = workload.inputs(settings.quick)
    folder.mkdir()
    save(inputs, folder)
    return Result(
        workload.name,
        workload.title,
        workload.tolerance,
        calls,
        None if workload.flops is None else workload.flops(inputs),
        None if workload.images is None else workload.images(inputs),
        workload.epoch_calls,
        {name: array.shape for name, array in inputs.items()},
        2.0 * sgemm_size(settings.quick) ** 3,
        [Pair(rival.name) for rival in rivals] or [Pair(None)],
        errors={},
        about={},
    )


def _answer(who: Contestant, workload: Workload, settings: Settings, inputs: Path, folder: Path) -> None:
    folder.mkdir()
    with Child(who, settings.threads) as child:
        _prepare(child, workload, settings, inputs)
        child.ask(do="answer", folder=str(folder))


def _prepare(child: Child, workload: Workload, settings: Settings, inputs: Path) -> None:
    who = child.contestant
    how = {"side": who.side, "layout": who.layout, "threads": settings.threads, "quick": settings.quick}
    child.ask(do="prepare", workload=workload.name, inputs=str(inputs), **how)

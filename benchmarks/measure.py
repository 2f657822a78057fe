"""Times in turns: sgemm, tinyalex, rival, sgemm, tinyalex, rival, .... One process works while the others wait.

The speed of a machine changes by tens of percent within minutes, so two times from different minutes cannot be compared. Two
times that follow each other can be divided. The result is the median of such ratios; their lower quartile shows how reliable it
is. The rivals are measured one after the other, because all of them together need more memory than a laptop has.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.agreement import DisagreementError, worst_error
from benchmarks.child import load, save
from benchmarks.contestants import COPY, SGEMM, TINYALEX, Child, Contestant, ContestantError, taking_part
from benchmarks.machine import copy_size, sgemm_size
from benchmarks.results import Pair, Result
from benchmarks.workload import Workload

WARM_UP = 2  # timings that are thrown away, because the first steps allocate their memory
PAUSE = 0.1  # seconds before each timing, because the threads of a library stay awake for a while after their work

Tick = Callable[[int], Any]


@dataclass(frozen=True)
class Settings:
    """Settings of a benchmark run. repeats: timings of each pair. threads: of each contestant. quick: whether inputs are tiny."""

    repeats: int = 9
    threads: int = 2
    quick: bool = False


def measure(workload: Workload, rivals: Sequence[Contestant], settings: Settings, tick: Tick) -> Result:
    """Compare the answers of all contestants, then time them. `tick(n)` is called after n timings.

    Raises
    ------
    DisagreementError: the answer of a rival differs. ContestantError: the process of a rival ended. Both are not raised for an
        optional rival; the result then has the reason.
    """
    with tempfile.TemporaryDirectory(prefix="tinyalex-benchmark-") as name:
        folder = Path(name)
        result = _describe(workload, settings, folder / "inputs")
        result.errors, result.absent = agree(workload, rivals, settings, folder)
        with ExitStack() as stack:
            always = {who.name: stack.enter_context(Child(who, settings.threads)) for who in (SGEMM, COPY, TINYALEX)}
            for child in always.values():
                _warm_up(child, workload, settings, folder / "inputs", result.calls)
            for rival in rivals:
                if rival.name in result.absent:
                    tick(3 * settings.repeats)
                else:
                    _take_turns_with(rival, always, result, workload, settings, folder / "inputs", tick)
            if not result.pairs:  # no rival takes part, or no rival works here; the timings of such rivals are already counted
                result.pairs.append(_turns(Pair(None), always, result, settings, (lambda n: None) if rivals else tick))
            result.about |= {who: child.ask(do="about") for who, child in always.items()}
    return result


def _take_turns_with(
    rival: Contestant, always: Mapping[str, Child], result: Result, workload: Workload, settings: Settings, inputs: Path, tick: Tick
) -> None:
    """Time tinyalex and one rival. The process of the rival starts and ends here."""
    pair = Pair(rival.name)
    try:
        with Child(rival, settings.threads) as child:
            _warm_up(child, workload, settings, inputs, result.calls)
            _turns(pair, {**always, rival.name: child}, result, settings, tick)
            result.about[rival.name] = child.ask(do="about")
    except ContestantError as error:
        if not rival.optional:
            raise
        result.absent[rival.name] = error.reason
        tick(3 * settings.repeats - sum(map(len, (pair.sgemm_s, pair.tinyalex_s, pair.rival_s))))
    else:
        result.pairs.append(pair)


def _turns(pair: Pair, children: Mapping[str, Any], result: Result, settings: Settings, tick: Tick) -> Pair:
    for _ in range(settings.repeats):
        result.copy_s.append(children[COPY.name].ask(do="run", calls=1)["s"])
        turn(pair, children, result.calls, tick)
    return pair


def turn(pair: Pair, children: Mapping[str, Any], calls: int, tick: Tick) -> None:
    """Time sgemm, tinyalex and the pair's rival, one after the other."""
    for who, times in ((SGEMM.name, pair.sgemm_s), (TINYALEX.name, pair.tinyalex_s), (pair.rival, pair.rival_s)):
        if who is not None:
            time.sleep(PAUSE)
            times.append(children[who].ask(do="run", calls=1 if who == SGEMM.name else calls)["s"])
            tick(1)


def timings(workload: Workload, rivals: Sequence[Contestant], settings: Settings) -> int:
    """How many timings `measure` makes."""
    return settings.repeats * (3 * len(taking_part(workload, rivals)) or 2)


def expected_s(workloads: Sequence[Workload], rivals: Sequence[Contestant], settings: Settings) -> float:
    """About how many seconds everything takes on two cores: two starts of each process, warm-up and timings."""
    total = 0.0
    for workload in workloads:
        them, whole_net = taking_part(workload, rivals), workload.images is not None
        rough_s = 0.0 if settings.quick else workload.rough_s * (1 if them else 0.5)
        translation_s = (40 if whole_net else 10) * sum(rival.compiled for rival in them)
        answers_s = 1.5 * rough_s * (1 + len(them)) if them else 0.0
        turns = (settings.repeats + WARM_UP) * max(1, len(them))
        total += 5 + 5 * len(them) + translation_s + answers_s + turns * ((0.6 if them else 0.4) + rough_s)
    return total


def agree(workload: Workload, rivals: Sequence[Contestant], settings: Settings, folder: Path) -> tuple[dict[str, float], dict[str, str]]:
    """For each rival, the largest difference of its answer from tinyalex's; for an optional rival that failed, the reason.

    The answers are computed in separate processes, so that the memory of the timed processes does not hold them.
    """
    ours, theirs = folder / "ours", folder / "theirs"
    if rivals:
        _answer(TINYALEX, workload, settings, folder / "inputs", ours)
    errors, absent = {}, {}
    for rival in rivals:
        try:
            _answer(rival, workload, settings, folder / "inputs", theirs)
            errors[rival.name] = worst_error(workload, load(ours), load(theirs), rival.name)
        except (ContestantError, DisagreementError) as error:
            if not rival.optional:
                raise
            absent[rival.name] = error.reason if isinstance(error, ContestantError) else f"another answer, {error}"
        finally:
            shutil.rmtree(theirs, ignore_errors=True)
    shutil.rmtree(ours, ignore_errors=True)
    return errors, absent


def _describe(workload: Workload, settings: Settings, folder: Path) -> Result:
    """A result that has no times yet. The inputs are written to `folder`."""
    inputs = workload.inputs(settings.quick)
    folder.mkdir()
    save(inputs, folder)
    return Result(
        workload.name,
        workload.title,
        workload.tolerance,
        1 if settings.quick else workload.calls,
        None if workload.flops is None else workload.flops(inputs),
        None if workload.images is None else workload.images(inputs),
        workload.epoch_calls,
        {name: array.shape for name, array in inputs.items()},
        2.0 * sgemm_size(settings.quick) ** 3,
        pairs=[],
        errors={},
        about={},
        traffic=None if workload.traffic is None else workload.traffic(inputs),
        copy_bytes=2.0 * copy_size(settings.quick),
    )


def _answer(who: Contestant, workload: Workload, settings: Settings, inputs: Path, folder: Path) -> None:
    folder.mkdir()
    with Child(who, settings.threads) as child:
        _prepare(child, workload, settings, inputs)
        child.ask(do="answer", folder=str(folder))


def _warm_up(child: Child, workload: Workload, settings: Settings, inputs: Path, calls: int) -> None:
    """Prepare a child and let it work without timing. Its peak memory counts from here."""
    _prepare(child, workload, settings, inputs)
    for _ in range(WARM_UP):
        child.ask(do="run", calls=calls)
    child.ask(do="forget peak")


def _prepare(child: Child, workload: Workload, settings: Settings, inputs: Path) -> None:
    who = child.contestant
    setting = {"threads": settings.threads, "layout": who.layout, "compiled": who.compiled}
    child.ask(do="prepare", side=who.side, setting=setting, quick=settings.quick, workload=workload.name, inputs=str(inputs))

"""The contents of `result.json`: every claim with its numbers, interval and verdict, and every finished run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyalex.experiments.claims.alexnet import ALEXNET
from tinyalex.experiments.claims.claim import Claim, Family, Table
from tinyalex.experiments.claims.intervals import NOT_RUN, RUNNING, interval_of, verdict_of
from tinyalex.experiments.claims.plan import FAMILIES, VARIANTS, queue_of
from tinyalex.experiments.claims.runs import Run, name_of, read_runs
from tinyalex.experiments.claims.values import KINDS, value_of

FORMAT, FORMAT_VERSION, RESULT = "tinyalex-claims", 1, "result.json"
HOW = ("machine", "versions", "blas", "device", "workers")


@dataclass(frozen=True)
class Work:
    """What a call trains. claims: the chosen ones of `table`. seeds: how many. families: the budgets. command: that continues the work."""

    claims: tuple[Claim, ...]
    seeds: int
    families: Mapping[str, Family]
    command: str
    table: Table = ALEXNET

    @property
    def queue(self) -> list[tuple[str, int]]:
        """The runs in order: the variant's name and the seed."""
        return [(variant.name, seed) for variant, seed in queue_of(self.claims, self.seeds, self.table)]


def result(work: Work, folder: Path) -> dict[str, Any]:
    """The contents of `result.json` for the finished runs in `folder`. CheckpointError: a run cannot be read."""
    runs = read_runs(folder)
    left = [key for key in work.queue if key not in runs]
    hows = [run.how for run in sorted(runs.values(), key=lambda run: str(run.how.get("time")))]
    images: dict[str, Any] = next((run.settings["images"] for run in runs.values()), {})
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "of": work.table.name,
        "command": work.command,
        "finished": not left,
        "seeds": work.seeds,
        "chosen": [claim.name for claim in work.claims],
        "runs_done": len(work.queue) - len(left),
        "runs_planned": len(work.queue),
        "dataset": {"name": images.get("data"), "note": images.get("note"), "synthetic": images.get("data") == "synthetic"},
        "families": {name: _of_family(family, runs.values()) for name, family in work.families.items()},
        "claims": {claim.name: of_claim(claim, runs, work) for claim in work.table.claims.values()},
        "runs": {name_of(*key): _of_run(runs[key]) for key in sorted(runs, key=_place)},
        "wall_s": sum(run.wall_s for run in runs.values()),
        **({key: hows[0].get(key) for key in HOW} | {"date": hows[0].get("time")} if hows else {}),
    }


def of_claim(claim: Claim, runs: Mapping[tuple[str, int], Run], work: Work) -> dict[str, Any]:
    """The numbers of a claim: for each seed of which both runs are finished, then their mean, interval and verdict."""
    kind, values, diverged = KINDS[claim.kind], {}, []
    for seed in sorted({seed for name, seed in runs if name == claim.better}):
        other = runs.get((claim.worse, seed))
        if other is None:
            continue
        value = value_of(claim, runs[claim.better, seed].outcome, other.outcome)
        if value is None:
            diverged.append(seed)
        else:
            values[seed] = value
    chosen = claim in work.claims
    planned = sorted({seed for name, seed in work.queue if name in (claim.better, claim.worse)}) if chosen else []
    running = any((name, seed) not in runs for name in (claim.better, claim.worse) for seed in planned)
    interval = interval_of(list(values.values())) if values else None
    waiting = RUNNING if running else NOT_RUN
    return {
        "section": claim.section,
        "title": claim.title,
        "paper": claim.paper,
        "better": claim.better,
        "worse": claim.worse,
        "kind": claim.kind,
        "unit": kind.unit,
        "no_effect": kind.none,
        "values": {str(seed): value for seed, value in values.items()},
        "diverged_seeds": diverged,
        "mean": interval and interval.mean,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "verdict": verdict_of(interval, kind.none) if interval else waiting,
        "seeds_planned": planned,
        "running": running,
    }


def _of_run(run: Run) -> dict[str, Any]:
    outcome = run.outcome
    color = outcome.colors[-1] if outcome.colors else None
    return {
        "variant": run.variant,
        "seed": run.seed,
        "epochs": len(outcome.test_error),
        "train_error": outcome.last_train,
        "test_error": outcome.last_test,
        "ten_views": outcome.ten_views,
        "color": color and {"a": color.a, "b": color.b, "difference": color.difference, "null": color.null, "p": color.p},
        "parameters": outcome.parameters,
        "sha256": outcome.sha256,
        "diverged": outcome.diverged,
        "wall_s": run.wall_s,
        "date": run.how.get("time"),
    }


def _of_family(family: Family, runs: Iterable[Run]) -> dict[str, Any]:
    """The budget: that of the finished runs where there are some, else the one of this call. Its rate is not one of a variant's own."""
    found = [run for run in runs if VARIANTS[run.variant].family == family.name]
    mine = found[0].settings if found else None
    lr = next((run.settings["lr"] for run in found if VARIANTS[run.variant].lr is None), family.lr)
    if mine is None:
        return {"epochs": family.epochs, "lr": family.lr, "batch_size": family.batch_size}
    images, epochs = mine["images"], sum(stage["epochs"] for stage in mine["stages"])
    known = {"epochs": epochs, "lr": lr, "batch_size": mine["batch_size"], "stages": mine["stages"]}
    return known | {"train_images": images["train_images"], "test_images": images["val_images"]}


def _place(key: tuple[str, int]) -> tuple[int, int, int]:
    """Where a run stands in tables: by family, variant and seed."""
    names = list(VARIANTS)
    return list(FAMILIES).index(VARIANTS[key[0]].family), names.index(key[0]), key[1]

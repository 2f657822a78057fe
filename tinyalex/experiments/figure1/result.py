"""The result of Figure 1: the epochs to the target, the factor, the sentences about them, and the files that hold them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyalex.errors import CheckpointError
from tinyalex.experiments.figure1.plan import Plan
from tinyalex.experiments.figure1.runs import Run, check_images, epochs_to, read_runs
from tinyalex.experiments.figure1.sweep import Sweep, sweep_of
from tinyalex.files.atomic import write_bytes, write_json
from tinyalex.models.cifar import ACTIVATIONS, SETUPS
from tinyalex.training import RunLog
from tinyalex.training.log import NAME as LOG

FORMAT, FORMAT_VERSION, RESULT = "tinyalex-figure1", 2, "result.json"
READABLE = (1, 2)  # versions; only the plans of version 1 are read, as its sweeps had another rule
CROSSED = ("train_error", "running_error")  # for both errors the epochs to the target are computed
LABELS = {"relu": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid", "abstanh": "|tanh|"}
KINDS = {"train_error": "error of all training images after the epoch", "running_error": "mean error of the batches during the epoch"}


def summary(plan: Plan, runs: Sequence[Run]) -> dict[str, Any]:
    """The result of one plan as `result.json` holds it. An activation without a run is left out.

    `factor` compares each activation with the first one: the ratio of their epochs to the target, each a median over the
    seeds. A run that did not reach the target counts with the epochs that it trained; then `at_least` is true, and the
    factor is a lower bound.
    """
    activations = {}
    for name in plan.activations:
        sweep = sweep_of(plan, name, runs)
        chosen = [run for run in runs if (run.setup, run.activation, run.lr) == (plan.setup, name, sweep.best.lr)]
        chosen = sorted((run for run in chosen if run.seed in plan.seeds), key=lambda run: run.seed)
        if chosen:
            activations[name] = _of_activation(plan, sweep, chosen)
    first = activations.get(plan.activations[0])
    others = {name: of for name, of in activations.items() if name != plan.activations[0]} if first else {}
    return {
        "setup": plan.setup,
        "target": plan.target,
        "sweep_epochs": plan.sweep_epochs,
        "max_epochs": plan.max_epochs,
        "activations": activations,
        "factor": {name: {kind: _factor(first, of, kind) for kind in CROSSED} for name, of in others.items()},
    }


def _of_activation(plan: Plan, sweep: Sweep, chosen: Sequence[Run]) -> dict[str, Any]:
    return {
        "lr": sweep.best.lr,
        "seeds": [run.seed for run in chosen],
        "sweep": [_of_rate(sweep, run) for run in sweep.runs],
        "edge": sweep.edge,
        **{kind: [run.errors(kind) for run in chosen] for kind in (*CROSSED, "val_error")},
        "epochs_to_target": {kind: [epochs_to(run.errors(kind), plan.target) for run in chosen] for kind in CROSSED},
        "epochs_run": [len(run.epochs) for run in chosen],
        "diverged": [run.diverged for run in chosen],
        "wall_s": [run.epochs[-1].wall_s if run.epochs else 0.0 for run in chosen],
    }


def _of_rate(sweep: Sweep, run: Run) -> dict[str, Any]:
    """One rate of the sweep. `state` is that of `Sweep.state`; `epochs_to_target` is None unless the state is "reached"."""
    return {
        "lr": run.lr,
        "state": sweep.state(run),
        "epochs_to_target": sweep.needed(run),
        "epochs_run": len(run.epochs),
        "train_error": run.errors("train_error"),
        "diverged": run.diverged,
    }


def _factor(first: Any, other: dict[str, Any], kind: str) -> dict[str, Any]:
    base, base_crossed = median_epochs(first, kind)
    own, own_crossed = median_epochs(other, kind)
    if not base_crossed or not base or (any(other["diverged"]) and not own_crossed):
        return {"value": None, "at_least": False}
    return {"value": own / base, "at_least": not own_crossed}


def median_epochs(of: dict[str, Any], kind: str) -> tuple[float, bool]:
    """The median over the seeds of the epochs to the target, and whether all seeds reached it. If not, the epochs that it ran count."""
    reached = of["epochs_to_target"][kind]
    epochs = sorted(run if value is None else value for value, run in zip(reached, of["epochs_run"], strict=True))
    middle = len(epochs) // 2
    return (epochs[middle] if len(epochs) % 2 else (epochs[middle - 1] + epochs[middle]) / 2), None not in reached


def sentences(document: dict[str, Any]) -> list[str]:
    """What was measured, as sentences: one for each setup, activation and kind of error, then one for each sweep."""
    lines = []
    for of in document["setups"].values():
        names = list(of["activations"])
        for kind, title in KINDS.items():
            for name in names[1:] or names:
                lines.append(f"setup {of['setup']}, {title}: {_sentence(of, names[0], name, kind)}")
        lines += [f"setup {of['setup']}, {LABELS[name]}: {text}" for name in names if (text := _sweep_sentence(of, name))]
    return lines


def _sentence(of: dict[str, Any], first: str, other: str, kind: str) -> str:
    text = _reached(of, first, kind)
    if other == first:
        return f"{text}."
    text += f"; {_reached(of, other, kind)}."
    factor = of["factor"].get(other, {}).get(kind, {"value": None, "at_least": False})
    if factor["value"] is None:
        return f"{text} So there is no factor."
    more = "more than " if factor["at_least"] else ""
    return f"{text} {LABELS[other]} needs {more}{factor['value']:.1f} times as many epochs as {LABELS[first]}."


def _reached(of: dict[str, Any], name: str, kind: str) -> str:
    mine = of["activations"][name]
    epochs, crossed = median_epochs(mine, kind)
    if crossed:
        return f"{LABELS[name]} reached {100 * of['target']:g} % after {epochs:.1f} epochs"
    if any(mine["diverged"]):
        return f"{LABELS[name]} diverged at learning rate {mine['lr']:g}"
    return f"{LABELS[name]} did not reach {100 * of['target']:g} % in {epochs:.3g} epochs"


def _sweep_sentence(of: dict[str, Any], name: str) -> str:
    """A sentence about the rate that the sweep chose, and whether another rate may be better; "" if there was no sweep."""
    mine = of["activations"][name]
    sweep = mine["sweep"]
    if len(sweep) < 2:
        return ""
    text = f"learning rate {mine['lr']:g} is the best of {len(sweep)}, from {sweep[0]['lr']:g} to {sweep[-1]['lr']:g}"
    unfinished = [f"{entry['lr']:g}" for entry in sweep if entry["state"] == "unfinished"]
    if unfinished:
        return f"{text}, so far: a better one may be among {', '.join(unfinished)}, which could still win."
    return f"{text}. It is the {mine['edge']} of them, so a better rate may lie beyond it." if mine["edge"] else f"{text}."


def result(plans: Sequence[Plan], folder: Path, command: str, finished: bool) -> dict[str, Any]:
    """The contents of `result.json` for the runs in `folder`; `command` is the command line that continues them.

    Raises
    ------
    CheckpointError: the folder has no runs, runs with different images, or no run of these plans.
    """
    runs = read_runs(folder)
    if not runs:
        raise CheckpointError(f"{folder}: the folder must hold runs of figure1, got none; run tinyalex figure1 --out {folder}")
    check_images(folder, runs)
    setups = {of["setup"]: of for of in (summary(plan, runs) for plan in plans) if of["activations"]}
    if not setups:
        raise CheckpointError(f"{folder}: plans must be of runs that the folder holds, got others; delete {RESULT} to draw what there is")
    first = runs[0].header
    config = first["config"]
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": {"name": config["data"], "note": config["note"], "synthetic": config["data"] == "synthetic"},
        "train_images": config["trainer"]["train_images"],
        "test_images": config["trainer"]["val_images"],
        "batch_size": config["trainer"]["batch_size"],
        "momentum": config["trainer"]["momentum"],
        "command": command,
        "finished": finished,
        "plans": [asdict(plan) for plan in plans],
        "setups": setups,
        "wall_s": sum(run.epochs[-1].wall_s for run in runs if run.epochs),
        **{key: first[key] for key in ("machine", "versions", "blas", "device", "workers")},
        "date": first["time"],
    }


def plans_in(folder: Path) -> tuple[bool, list[tuple[str, tuple[str, ...], dict[str, tuple[float, ...]], tuple[int, ...]]]]:
    """Whether the runs in a folder used synthetic images, and for each setup: its name, activations, rates and seeds."""
    runs, plans = read_runs(folder), []
    for setup in SETUPS:
        mine = [run for run in runs if run.setup == setup]
        rates = {name: tuple(sorted({run.lr for run in mine if run.activation == name})) for name in ACTIVATIONS}
        rates = {name: found for name, found in rates.items() if found}
        if mine:
            plans.append((setup, tuple(rates), rates, tuple(sorted({run.seed for run in mine}))))
    return bool(runs) and runs[0].header["config"]["data"] == "synthetic", plans


def read_plans(folder: Path) -> tuple[list[Plan], str, bool] | None:
    """The plans, the command and whether the work was finished, from the folder's `result.json`; None if there is no such file.

    Raises
    ------
    CheckpointError: the file is not a result of figure1.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["format_version"] not in READABLE:
            raise ValueError(f"{document['format']} {document['format_version']}")
        plans = []
        for plan in document["plans"]:
            rates = {str(name): tuple(values) for name, values in plan["rates"].items()}
            plans.append(Plan(**plan | {"rates": rates, "activations": tuple(plan["activations"]), "seeds": tuple(plan["seeds"])}))
        if not plans:
            raise ValueError("no plans")
        return plans, str(document["command"]), bool(document["finished"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError, OSError) as error:
        text = f"{path}: the file must be a result of figure1 of format version {FORMAT_VERSION} or lower, got {error!r} in reading it"
        runs = (folder / "runs").is_dir()
        remedy = "delete it to draw from the runs alone" if runs else "name a folder that tinyalex figure1 wrote"
        raise CheckpointError(f"{text}; {remedy}") from None


def write_result(folder: Path, document: dict[str, Any]) -> None:
    """Write `result.json`, and `log.jsonl` with the lines of all runs; each line has the name of its run."""
    write_json(folder / RESULT, document)
    lines = []
    for run in read_runs(folder):
        lines += [json.dumps({"run": run.name, **line}) + "\n" for line in RunLog(folder / "runs" / run.name / LOG).read()]
    write_bytes(folder / LOG, "".join(lines).encode())

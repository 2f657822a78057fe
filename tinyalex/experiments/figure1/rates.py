"""The record that comes with the package: the learning rates that a sweep chose for the synthetic images.

`record.json` is a copy of a file `rates.json` of `tinyalex figure1 --sweep`. Its `command` is the command line that wrote it.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

FORMAT, FORMAT_VERSION = "tinyalex-figure1-rates", 2


def load_record() -> dict[str, Any]:
    """The shipped record. `rates[setup][activation]` has the chosen rate `lr`, the epochs of its runs, and the `sweep`."""
    record: dict[str, Any] = json.loads(files("tinyalex.experiments.figure1").joinpath("record.json").read_text(encoding="utf-8"))
    return record


def record_of(document: dict[str, Any]) -> dict[str, Any]:
    """The record for a finished `result.json` with sweeps."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **{key: document[key] for key in ("command", "date", "dataset", "train_images", "versions")},
        "sweep_epochs": max(of["sweep_epochs"] for of in document["setups"].values()),
        "rates": {
            setup: {name: {key: mine[key] for key in ("lr", "epochs_run", "sweep", "edge")} for name, mine in of["activations"].items()}
            for setup, of in document["setups"].items()
        },
    }


def recorded_rate(record: dict[str, Any], setup: str, activation: str) -> float | None:
    """The rate that the sweep of the record chose; None if the record has no such sweep."""
    rate: float | None = record["rates"].get(setup, {}).get(activation, {}).get("lr")
    return rate


def with_record(document: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Add the sweeps of the record to a `document` of the same images that has none. `sweep_from` says where each sweep is from."""
    same = all(document[key] == record[key] for key in ("dataset", "train_images"))
    for setup, of in document["setups"].items():
        for name, mine in of["activations"].items():
            borrowed = same and len(mine["sweep"]) == 1 and mine["lr"] == recorded_rate(record, setup, name)
            mine["sweep_from"] = "record" if borrowed else "this run"
            if borrowed:
                known = record["rates"][setup][name]
                mine["sweep"], mine["edge"], of["sweep_epochs"] = known["sweep"], known["edge"], record["sweep_epochs"]
    return document

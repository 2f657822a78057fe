"""The results file: all measured times, by workload. A long benchmark can be measured in parts and added to one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.contestants import COPY, SGEMM, THREAD_SETTINGS, TINYALEX, Contestant
from benchmarks.machine import machine
from benchmarks.measure import PAUSE, WARM_UP, Settings
from benchmarks.results import Pair, Result
from benchmarks.scaling import Measured
from benchmarks.workload import SEED
from tinyalex.errors import DataError
from tinyalex.files.atomic import write_atomically

FORMAT = 2  # format 1 had one machine and one date for all results
LIBRARIES = ("python", "numpy", "tinyalex", "torch", "onnxruntime")
ONCE_FOR_ALL = ("date", "settings", "machine", "versions", "blas", "torch_config")  # the parts of `run_of`


@dataclass
class Document:
    """The results by workload, and the curves of `--scaling` by name. Each entry is from the last run that measured it."""

    results: dict[str, Result] = field(default_factory=dict)
    scaling: dict[str, Measured] = field(default_factory=dict)

    def refuse_mixture(self, path: Path, settings: Settings) -> None:
        """Check that the file does not mix times of real inputs with times of tiny inputs, which mean nothing.

        Raises
        ------
        DataError: the file has times of the other kind than `settings`.
        """
        entries: list[Result | Measured] = [*self.results.values(), *self.scaling.values()]
        for entry in entries:
            if entry.run["settings"]["quick"] != settings.quick:
                there = "a quick run" if entry.run["settings"]["quick"] else "a run in full size"
                raise DataError(f"{path}: results to add to must be of the same inputs, got those of {there}; name another file")


def run_of(settings: Settings, contestants: Sequence[Contestant], about: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Date, settings, versions and machine of a measurement. about: what the processes of the contestants reported."""
    library = {key: value for told in about.values() for key, value in told.items()}
    numpys = [about[who.name]["thread_pools"] for who in (SGEMM, TINYALEX) if who.name in about]
    pools: list[dict[str, Any]] = numpys[0] if numpys else []
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            **asdict(settings), "warm_up": WARM_UP, "pause_s": PAUSE, "seed": SEED, "dtype": "float32",
            "thread_variables": dict.fromkeys(THREAD_SETTINGS, str(settings.threads)),
            "contestants": [asdict(who) for who in contestants],
        },
        "machine": machine(),
        "versions": {key: library[key] for key in LIBRARIES if key in library},
        "blas": next((pool for pool in pools if pool["user_api"] == "blas"), None),
        "torch_config": library.get("torch_config"),
    }  # fmt: skip


def with_run(result: Result, rivals: Sequence[Contestant], settings: Settings) -> Result:
    """The result with its `run`. Facts that are the same for all contestants are moved from `about` to `run`."""
    result.run = run_of(settings, (SGEMM, COPY, TINYALEX, *rivals), result.about)
    result.about = {who: {key: value for key, value in told.items() if key != "torch_config"} for who, told in result.about.items()}
    return result


def read(path: Path) -> Document:
    """Read a results file of format 1 or 2. If there is no file, the document is empty.

    Raises
    ------
    DataError: the file is not a results file, or has a newer format.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return Document()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the file must be one of benchmark results, got {error}") from None
    found = content.get("format") if isinstance(content, dict) else None
    if found not in range(1, FORMAT + 1):
        raise DataError(f"{path}: the format of benchmark results must be from 1 to {FORMAT}, got {found!r}")
    try:
        if found == 1:
            for entry in content["results"]:
                entry["run"] = {key: content[key] for key in ONCE_FOR_ALL}
        results = [_result(entry) for entry in content["results"]]
        scaling = [Measured(**entry) for entry in content.get("scaling", [])]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: each result must have all of its fields and no other, got {error}") from None
    return Document({result.workload: result for result in results}, {curve.name: curve for curve in scaling})


def _result(entry: dict[str, Any]) -> Result:
    pairs = [Pair(**pair) for pair in entry["pairs"]]
    shapes = {name: tuple(shape) for name, shape in entry["shapes"].items()}
    return Result(**{key: value for key, value in entry.items() if key != "summary"} | {"pairs": pairs, "shapes": shapes})


def write(path: Path, document: Document) -> None:
    """Write the JSON file. The old file stays until the new one is complete."""
    content = {
        "format": FORMAT,
        "results": [{"summary": result.summary(), **asdict(result)} for result in document.results.values()],
        "scaling": [asdict(curve) for curve in document.scaling.values()],
    }
    text = (json.dumps(content, indent=1) + "\n").encode()
    write_atomically(path, [text], len(text))

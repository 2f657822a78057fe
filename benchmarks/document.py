"""The results file: every time that was measured, by workload, so that a long benchmark can be taken in parts."""

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

FORMAT = 2  # 1 had one machine and one date for all results
LIBRARIES = ("python", "numpy", "tinyalex", "torch", "onnxruntime")
ONCE_FOR_ALL = ("date", "settings", "machine", "versions", "blas", "torch_config")  # the parts of `run_of`


@dataclass
class Document:
    """Results by workload, and curves of `--scaling` by name; each entry is of the latest run that measured it."""

    results: dict[str, Result] = field(default_factory=dict)
    scaling: dict[str, Measured] = field(default_factory=dict)

    def refuse_mixture(self, path: Path, settings: Settings) -> None:
        """Keep times that mean something apart from those of tiny inputs.

        Raises
        ------
        DataError: the file has the other kind.
        """
        entries: list[Result | Measured] = [*self.results.values(), *self.scaling.values()]
        for entry in entries:
            if entry.run["settings"]["quick"] != settings.quick:
                there = "a quick run" if entry.run["settings"]["quick"] else "a run in full size"
                raise DataError(f"{path}: results to add to must be of the same inputs, got those of {there}; name another file")


def run_of(settings: Settings, contestants: Sequence[Contestant], about: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """When and how something was measured, and on what; `about` is what the contestants' processes told of themselves."""
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
    """The result with its `run`, and what is the same for all contestants only there."""
    result.run = run_of(settings, (SGEMM, COPY, TINYALEX, *rivals), result.about)
    result.about = {who: {key: value for key, value in told.items() if key != "torch_config"} for who, told in result.about.items()}
    return result


def read(path: Path) -> Document:
    """What `write` wrote; of format 1 too. An empty document where there is no file.

    Raises
    ------
    DataError: the file is not one of results, or of a newer format.
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
    """Write the JSON file; the one that was there stays until the new one is whole."""
    content = {
        "format": FORMAT,
        "results": [{"summary": result.summary(), **asdict(result)} for result in document.results.values()],
        "scaling": [asdict(curve) for curve in document.scaling.values()],
    }
    text = (json.dumps(content, indent=1) + "\n").encode()
    write_atomically(path, [text], len(text))

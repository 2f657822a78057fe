"""What a benchmark run leaves behind: a table to read and a JSON document with every time."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import SGEMM, THREAD_SETTINGS, TINYALEX, Contestant
from benchmarks.measure import PAUSE, WARM_UP, Result, Settings
from benchmarks.workload import SEED
from tinyalex.training.files import write_atomically

FORMAT = 1


def table(results: Sequence[Result]) -> str:
    """Markdown, a row for each contestant of each workload."""
    lines = [
        "| workload | contestant | ms | images/s | tinyalex is faster by | worse quartile | of sgemm | peak memory |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        share, fastest = result.share(), result.fastest()
        own = ["", "", "" if share is None else f"{share:.2f}"]
        lines.append(_row(result, result.workload, TINYALEX.name, result.tinyalex_s(), own))
        for pair in result.pairs:
            if pair.rival is not None:
                median, worse = pair.ratio()
                name, seconds = pair.rival + (" (fastest)" if pair is fastest else ""), float(np.median(pair.rival_s))
                lines.append(_row(result, "", pair.rival, seconds, [f"{median:.2f}", f"{worse:.2f}", ""], name))
        rate = result.sgemm_rate()
        lines.append(f"|  | sgemm meanwhile: {rate / 1e9:.0f} GFLOP/s |  |  |  |  |  |  |")
    return "\n".join(lines)


def _row(result: Result, first: str, who: str, seconds: float, middle: list[str], name: str | None = None) -> str:
    images = "" if result.images is None else f"{result.images / seconds:.0f}"
    peak = result.about[who]["peak_rss"]
    memory = "" if peak is None else f"{peak / 1e9:.2f} GB"
    return f"| {' | '.join([first, name or who, f'{1000 * seconds:.1f}', images, *middle, memory])} |"


def document(results: Sequence[Result], rivals: Sequence[Contestant], settings: Settings, complete: bool) -> dict[str, Any]:
    """Everything, for JSON; `complete` is False while workloads are left to do."""
    library: dict[str, Any] = {}
    for result in results:
        for who in (TINYALEX, SGEMM, *rivals):
            library |= result.about[who.name]
    return {
        "format": FORMAT,
        "complete": complete,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {
            **asdict(settings), "warm_up": WARM_UP, "pause_s": PAUSE, "seed": SEED, "dtype": "float32",
            "thread_variables": dict.fromkeys(THREAD_SETTINGS, str(settings.threads)),
            "contestants": [asdict(who) for who in (SGEMM, TINYALEX, *rivals)],
        },
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "platform": platform.platform()},
        "versions": {key: library[key] for key in ("python", "numpy", "tinyalex", "torch") if key in library},
        "blas": blas(results),
        "torch_config": library.get("torch_config"),
        "results": [entry(result) for result in results],
    }  # fmt: skip


def entry(result: Result) -> dict[str, Any]:
    """One workload: a summary, and all raw times."""
    fastest, share, seconds = result.fastest(), result.share(), result.tinyalex_s()
    summary: dict[str, Any] = {"tinyalex_s": seconds, "sgemm_gflops": result.sgemm_rate() / 1e9, "share_of_sgemm": share}
    if result.images is not None:
        summary["tinyalex_images_per_s"] = result.images / seconds
    if result.epoch_calls is not None:
        summary["tinyalex_epoch_s"] = result.epoch_calls * seconds
    if fastest is not None:
        median, worse = fastest.ratio()
        summary |= {"fastest_rival": fastest.rival, "rival_s": float(np.median(fastest.rival_s)), "ratio": median, "worse_quartile": worse}
    about = {who: {key: value for key, value in told.items() if key != "torch_config"} for who, told in result.about.items()}
    return {"summary": summary, **asdict(result), "about": about}


def blas(results: Sequence[Result]) -> dict[str, Any] | None:
    """The matrix library that NumPy runs, with its kernel for this processor."""
    pools = results[0].about[SGEMM.name]["thread_pools"] if results else []
    return next((pool for pool in pools if pool["user_api"] == "blas"), None)


def cpu_name(cpuinfo: str = "/proc/cpuinfo") -> str:
    """What the processor calls itself."""
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the JSON file; the one that was there stays until the new one is whole."""
    text = (json.dumps(content, indent=1) + "\n").encode()
    write_atomically(path, [text], len(text))

"""The table that a benchmark prints."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.contestants import TINYALEX
from benchmarks.results import Result


def table(results: Iterable[Result]) -> str:
    """The table in Markdown, with one line for each contestant of each workload."""
    lines = [
        "| workload | contestant | ms | images/s | tinyalex is faster by | worse quartile | of sgemm | peak memory |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        fastest = result.fastest()
        lines.append(_row(result, result.workload, TINYALEX.name, result.tinyalex_s(), ["", "", _number(result.share())]))
        for pair in result.pairs:
            if pair.rival is not None:
                median, worse = pair.ratio()
                name, seconds = pair.rival + (" (fastest)" if pair is fastest else ""), float(np.median(pair.rival_s))
                cells = [f"{median:.2f}", f"{worse:.2f}", _number(result.rival_share(pair))]
                lines.append(_row(result, "", pair.rival, seconds, cells, name))
        for rival, reason in result.absent.items():
            lines.append(f"|  | {rival}: does not work here: {reason.replace('|', '/')} |  |  |  |  |  |  |")
        copied = result.copy_rate()
        meanwhile = f"sgemm meanwhile: {result.sgemm_rate() / 1e9:.0f} GFLOP/s" + (f", copy {copied / 1e9:.0f} GB/s" if copied else "")
        lines.append(f"|  | {meanwhile} |  |  |  |  |  |  |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _row(result: Result, first: str, who: str, seconds: float, middle: list[str], name: str | None = None) -> str:
    images = "" if result.images is None else f"{result.images / seconds:.0f}"
    peak = result.about[who]["peak_rss"]
    memory = "" if peak is None else f"{peak / 1e9:.2f} GB"
    return f"| {' | '.join([first, name or who, f'{1000 * seconds:.1f}', images, *middle, memory])} |"

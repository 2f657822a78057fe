"""What `tinyalex evaluate` prints and draws: errors, classes, pairs that are mixed up, and the paper's tables."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.analysis.paper_tables import CLASSES, TABLES, Line, comparable, table_lines
from tinyalex.analysis.predictions import Mixed, draw_mixed
from tinyalex.commands.saved import Loaded, views_in_words
from tinyalex.data.dataset import Sources
from tinyalex.training.probabilities import TOP, Tally

IN_FULL = 20  # classes that are printed one by one
PAIRS = 8  # pairs of classes that are printed and drawn


@dataclass(frozen=True)
class Result:
    """What was counted: for each net, and for their mean (None for a single net)."""

    nets: list[Loaded]
    tallies: list[Tally]
    mean: Tally | None
    part: str
    data: Sources
    views: int

    @property
    def main(self) -> Tally:
        """That of the mean, or of the only net."""
        return self.tallies[0] if self.mean is None else self.mean

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the nets."""
        return self.nets[0].saved.classes

    def rows(self) -> list[tuple[str, Tally]]:
        """Each net, and the mean, with a name."""
        own = [(loaded.name, tally) for loaded, tally in zip(self.nets, self.tallies, strict=True)]
        return own if self.mean is None else [*own, (f"mean of {len(self.nets)} nets", self.mean)]


def report(result: Result) -> list[str]:
    """The lines of the report."""
    main, data, names = result.main, result.data, result.classes
    lines = [f"{loaded.name}: {loaded.saved.net}, {len(names):,} classes; {loaded.saved.note or 'no note'}" for loaded in result.nets]
    lines += [f"{data.name} ({data.note}): {main.count:,} {result.part} images, {views_in_words(result.views)}", ""]
    rows = result.rows()
    width = max(len(name) for name, _ in rows)
    lines.append(f"{'':<{width}}{'top-1 error':>14}{'top-5 error':>14}{'loss':>10}")
    for name, tally in rows:
        lines.append(f"{name:<{width}}{100 * tally.error:>12.2f} %{100 * tally.top5_error:>12.2f} %{tally.loss / tally.count:>10.4f}")
    if len(names) <= TOP:
        lines.append(f"with {len(names)} classes the label is always among the first five")
    lines += ["", *_class_lines(result), "", *_pair_lines(result), ""]
    measured = [Line(f"here: {name}", (100 * tally.error, 100 * tally.top5_error)) for name, tally in rows]
    for table in TABLES:
        lines += [*table_lines(table, measured), ""]
    return [*lines, comparable(len(data.classes), main.count, data.name)]


def _class_lines(result: Result) -> list[str]:
    """The table of the classes: all of them if they are few, else those of the largest error."""
    main, names, mistaken = result.main, result.classes, result.main.mistaken()
    there = np.flatnonzero(main.images).tolist()
    chosen = there if len(there) <= IN_FULL else sorted(there, key=lambda k: (-main.of_class(k)[0], k))[:IN_FULL]
    width = max(5, *(len(_cut(names[k])) for k in chosen))
    lines = [f"{'class':<{width}}{'images':>9}{'top-1':>10}{'top-5':>10}  most often taken for"]
    for k in chosen:
        (error, error5), taken = main.of_class(k), mistaken.get(k)
        other = "" if taken is None else f"  {_cut(names[taken[0]])} ({taken[1]:,})"
        lines.append(f"{_cut(names[k]):<{width}}{main.images[k]:>9,}{100 * error:>8.1f} %{100 * error5:>8.1f} %{other}")
    if len(chosen) < len(there):
        lines.append(f"these are the {len(chosen)} of the largest error; --json has all {len(there):,}")
    return lines


def _pair_lines(result: Result) -> list[str]:
    pairs = result.main.worst_pairs(PAIRS)
    if not pairs:
        return ["no image was taken for another class"]
    names, images = result.classes, result.main.images
    lines = ["mixed up most often:"]
    for a, b, there, back in pairs:
        both = [f"{_cut(names[x])} taken for {_cut(names[y])} {n:,} of {images[x]:,}" for x, y, n in ((a, b, there), (b, a, back)) if n]
        lines.append("  " + ", ".join(both))
    return lines


def document_of(result: Result) -> dict[str, Any]:
    """The result as JSON values."""
    names, main, mistaken = result.classes, result.main, result.main.mistaken()

    def errors(tally: Tally) -> dict[str, float]:
        return {"error": tally.error, "top5_error": tally.top5_error, "loss": tally.loss / tally.count}

    classes = []
    for k in np.flatnonzero(main.images).tolist():
        (error, error5), taken = main.of_class(k), mistaken.get(k)
        other = None if taken is None else {"class": names[taken[0]], "images": taken[1]}
        classes.append({"class": names[k], "images": int(main.images[k]), "error": error, "top5_error": error5, "taken_for": other})
    nets = zip(result.nets, result.tallies, strict=True)
    return {
        "data": {"name": result.data.name, "note": result.data.note, "synthetic": result.data.synthetic, "part": result.part},
        "images": main.count,
        "views": result.views,
        "nets": [{"file": one.name, "net": one.saved.net, "note": one.saved.note, **errors(tally)} for one, tally in nets],
        "mean": None if result.mean is None else errors(result.mean),
        "classes": classes,
        "mixed": [
            {"classes": [names[a], names[b]], "taken": [there, back], "images": [int(main.images[a]), int(main.images[b])]}
            for a, b, there, back in main.worst_pairs(PAIRS)
        ],
        "paper": [
            {"table": table.title, "columns": table.columns, "rows": {line.name: line.errors for line in table.lines}} for table in TABLES
        ],
        "comparable_with_the_paper": len(result.data.classes) == CLASSES,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def draw(result: Result, png: Path) -> None:
    """Draw the pairs of classes that are mixed up most often."""
    names, images = result.classes, result.main.images

    def share(n: int, k: int) -> float:
        return n / int(images[k]) if images[k] else 0.0

    worst = result.main.worst_pairs(PAIRS)
    pairs = [Mixed((names[a], names[b]), (share(there, a), share(back, b)), (there, back)) for a, b, there, back in worst]
    nets = result.nets[0].saved.net if len(result.nets) == 1 else f"mean of {len(result.nets)} nets"
    found = f"error {100 * result.main.error:.1f} %, worst pairs" if pairs else "no image is taken for another class"
    data = f"{result.data.name} (synthetic)" if result.data.synthetic else result.data.name
    caption = f"{result.main.count:,} {result.part} images of {data}, {views_in_words(result.views)}; share of a class's images"
    draw_mixed(pairs, f"{nets}: {found}", caption, png)


def _cut(name: str) -> str:
    """A name for a column of text."""
    return name if len(name) <= 30 else name[:29] + "…"

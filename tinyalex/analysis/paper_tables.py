"""Tables 1 and 2 of the paper, with rows that were measured here beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CLASSES = 1000  # of both data sets of the paper


class Line(NamedTuple):
    """A line of a table: its name, and its errors in percent in the order of the columns; None where the paper has none."""

    name: str
    errors: tuple[float | None, ...]


class Table(NamedTuple):
    """A table of the paper: its columns, and its lines, whose errors stand in the order of the columns."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


TABLE_1 = Table(
    "Table 1 of the paper, test set of ILSVRC-2010",
    ("top-1", "top-5"),
    (
        Line("Sparse coding", (47.1, 28.2)),
        Line("SIFT + FVs", (45.7, 25.7)),
        Line("CNN", (37.5, 17.0)),
        Line("CNN, one view (footnote)", (39.0, 18.3)),
    ),
)
TABLE_2 = Table(
    "Table 2 of the paper, ILSVRC-2012; with *: trained on the Fall 2011 release first",
    ("top-1 (val)", "top-5 (val)", "top-5 (test)"),
    (
        Line("SIFT + FVs", (None, None, 26.2)),
        Line("1 CNN", (40.7, 18.2, None)),
        Line("5 CNNs", (38.1, 16.4, 16.4)),
        Line("1 CNN*", (39.0, 16.6, None)),
        Line("7 CNNs*", (36.7, 15.4, 15.3)),
    ),
)
TABLES = (TABLE_1, TABLE_2)


def table_lines(table: Table, measured: Sequence[Line]) -> list[str]:
    """The table as lines of text, the measured rows last. A measured row has two errors, top-1 and top-5."""
    rows = [*table.lines, *measured]
    width = max(len(row.name) for row in rows)
    lines = [table.title, "  " + " " * width + "".join(f"{column:>14}" for column in table.columns)]
    for place, row in enumerate(rows):
        if place == len(table.lines):
            lines.append("  " + "-" * (width + 14 * len(table.columns)))
        errors = (*row.errors, *[None] * (len(table.columns) - len(row.errors)))
        lines.append(f"  {row.name:<{width}}" + "".join(f"{'-' if error is None else f'{error:.1f} %':>14}" for error in errors))
    return lines


def comparable(classes: int, images: int, data: str) -> str:
    """A sentence that says how far measured rows can be compared with the paper's."""
    if classes != CLASSES:
        return f"not comparable: {data} has {classes:,} classes, the paper's data have {CLASSES:,}; fewer classes are easier to tell apart"
    return (
        f"comparable only where {data} is the whole set that the paper names: 150,000 test images of ILSVRC-2010, or 50,000 validation "
        f"images of ILSVRC-2012; measured here were {images:,} images"
    )

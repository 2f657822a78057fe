"""The halves of layers, of which each of two towers has one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tinyalex.errors import ShapeError, show
from tinyalex.models.rows import NORMS, Row, weighted


def links(rows: Iterable[Row]) -> tuple[str, ...]:
    """The names of the layers between the first and the last that read all channels: in front of them two towers exchange outputs."""
    return tuple(row.name for row in weighted(rows)[1:-1] if row.groups == 1)


def half(row: Row, index: int) -> Row:
    """The half of a layer that is in tower a (index 0) or b (index 1): it has half of the filters or units and half of the groups.

    A layer with weights and one group reads both towers. ShapeError: an odd number of groups, filters or units, or a layer with
    parameters whose name does not end with a digit, so that files could not tell its halves.
    """
    mine = replace(row, name=row.name + "ab"[index])
    if (row.weighted or row.kind in NORMS) and not row.name[-1].isdigit():
        rule = f"rows: the name of a layer with parameters must end with a digit for two towers, {row.name + '1'!r} and the like"
        raise ShapeError(f"{rule}, got {show(row.name)}; its halves get an a and a b behind it")
    if row.weighted:
        if row.width % 2:
            raise ShapeError(f"{row.name}: filters or units must be an even number for two towers, got {row.width}")
        mine = mine.having(width=row.width // 2)
    if "groups" in row.known and not (row.weighted and row.groups == 1):
        if row.groups % 2:
            rule = f"{row.name}: groups must be an even number for two towers, of which each has half"
            raise ShapeError(f"{rule}, got {row.groups}; use groups={2 * row.groups}, or one tower")
        mine = mine.having(groups=row.groups // 2)
    return mine.having(part=(index, 2)) if "part" in row.known else mine

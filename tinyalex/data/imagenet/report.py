"""What became of every file of SRC: report.json for programs, report.txt for people. Each file that was converted or left out is named."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SHOWN = 20  # names of each kind in report.txt; report.json has all


class Report:
    """Collects what the shards' notes say.

    Attributes
    ----------
    converted, left_out: for each kind, such as "greyscale" or "truncated", the names of the files.
    """

    def __init__(self, aside: Iterable[tuple[str, str]] = ()) -> None:
        self.converted: dict[str, list[str]] = {}
        self.left_out: dict[str, list[str]] = {}
        self.images = {"train": 0, "val": 0}
        self.notes: list[str] = []
        for name, kind in aside:
            self.left_out.setdefault(kind, []).append(name)

    def add(self, part: str, images: int, about: dict[str, Any]) -> None:
        """Count a shard."""
        self.images[part] += images
        for name, kinds in about["converted"]:
            for kind in kinds:
                self.converted.setdefault(kind, []).append(name)
        for name, kind, detail in about["left out"]:
            self.left_out.setdefault(kind, []).append(f"{name} ({detail})" if detail else name)

    def document(self) -> dict[str, Any]:
        """report.json."""
        lists = {"converted": self.converted, "left out": self.left_out}
        counts = {what: {kind: len(names) for kind, names in sorted(kinds.items())} for what, kinds in lists.items()}
        names = {what: {kind: sorted(names) for kind, names in sorted(kinds.items())} for what, kinds in lists.items()}
        return {"images": self.images, "counts": counts, "notes": self.notes, **names}


def lines_of(document: dict[str, Any]) -> list[str]:
    """What the command prints of report.json: how many files of each kind."""
    lines = [f"{count:,} pictures in {part}" for part, count in document["images"].items()]
    for what in ("converted", "left out"):
        lines += [f"{what}: {count:,} {kind}" for kind, count in document["counts"][what].items()]
    return lines + document["notes"]


def text_of(document: dict[str, Any]) -> str:
    """report.txt: the same with names."""
    lines = lines_of(document)
    for what in ("converted", "left out"):
        for kind, names in document[what].items():
            lines += ["", f"{what}, {kind}:", *(f"  {name}" for name in names[:SHOWN])]
            if len(names) > SHOWN:
                lines.append(f"  and {len(names) - SHOWN:,} more, see report.json")
    return "\n".join(lines) + "\n"

"""What `tinyalex convert` says at its end, in lines and as JSON."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyalex.formats.files import format_to_write
from tinyalex.formats.imported import Imported
from tinyalex.formats.matching import Matched
from tinyalex.formats.parity import Parity
from tinyalex.models.later.rows import flat
from tinyalex.models.saved_net import printable
from tinyalex.units import bytes_in_words

MOST_SHOWN = 6  # names in a line


@dataclass(frozen=True)
class Converted:
    """All that the command knows at its end. net: as it was read. notes: sentences about it. checks: the comparisons."""

    net: Imported
    matched: Matched
    parameters: int
    notes: tuple[str, ...]
    wrote: tuple[Path, ...]
    checks: tuple[Parity, ...]

    @property
    def agrees(self) -> bool:
        """Whether no comparison has failed."""
        return all(check.agrees for check in self.checks)


def report(args: argparse.Namespace, done: Converted) -> list[str]:
    """The lines of the report."""
    net, matched = done.net, done.matched
    layers = sum(1 for _ in flat(net.rows))
    images = f"images of {'x'.join(map(str, net.in_shape or ()))}"
    lines = [f"{printable([net.name])[0]}, {images}, {layers:,} layers, {done.parameters:,} parameters"]
    count = len(matched.found) + len(matched.missing)
    lines.append(f"arrays: {len(matched.found):,} of {count:,} were in {args.source}")
    if matched.missing:
        lines.append(f"  not in it, so they keep initial values: {some(matched.missing)}")
    if matched.left:
        lines.append(f"  in it and not in the net: {some(matched.left)}")
    lines += [f"note: {printable([note])[0]}" for note in done.notes]
    for check in done.checks:
        if check.reason:
            lines.append(f"not compared: {check.of}: {check.reason}")
        else:
            words = "agrees" if check.agrees else "DIFFERS"
            limit = f"up to {check.most:g} is rounding" if check.most else "every bit must be the same"
            lines.append(f"{words}: {check.of}: {check.difference:.2g} of the largest output; {limit}")
    for file in done.wrote:
        lines.append(f"wrote {file}, {bytes_in_words(file.stat().st_size)}")
    if [format_to_write(file).name for file in done.wrote] == ["prototxt"]:
        return [*lines, f"next: {shlex.join(['tinyalex', 'net', args.target])}, its layers and their counts"]
    return [*lines, f"next: {shlex.join(['tinyalex', 'predict', args.target])} PICTURE, the five most probable classes"]


def document_of(args: argparse.Namespace, done: Converted) -> dict[str, Any]:
    """The report as JSON values."""
    checks = [asdict(check) | {"agrees": check.agrees, "difference": min(check.difference, 1e30)} for check in done.checks]
    return {
        "format": 1,
        "in": args.source,
        "out": [str(file) for file in done.wrote],
        "net": {"name": done.net.name, "in_shape": done.net.in_shape, "parameters": done.parameters},
        "arrays": {"found": done.matched.found, "missing": done.matched.missing, "left": done.matched.left},
        "notes": done.notes,
        "checks": checks,
        "agrees": done.agrees,
    }


def some(names: Sequence[str]) -> str:
    """The first names in words, and how many more there are."""
    more = f" and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(printable(list(names[:MOST_SHOWN]))) + more

"""The end of a preparation: what the notes of all shards say becomes the tables, the statistics, the report and the index.

The index is written last, so a folder that has one is complete.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from tinyalex.data.export import drawn_note
from tinyalex.data.imagenet.listing import PARTS, Listing
from tinyalex.data.imagenet.packing import ROW, Plan, read_notes, shard_name
from tinyalex.data.imagenet.pictures import QUALITY
from tinyalex.data.imagenet.report import Report, text_of
from tinyalex.data.imagenet.shards import COLOR, FORMAT, INDEX, MEAN, VERSION, fingerprint_of
from tinyalex.data.imagenet.statistics import Sums
from tinyalex.errors import DataError
from tinyalex.files.atomic import write_bytes, write_json

REPORT, TEXT = "report.json", "report.txt"


def finish(plan: Plan, listing: Listing, source: Path, asked: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    """Write the tables, the mean image, the axes, the report and the index from the notes of all shards, and return the index."""
    sums, report = Sums(plan.side), Report(listing.aside)
    parts: dict[str, Any] = {}
    tables = {}
    for part in PARTS:
        shards, rows = [], [np.empty(0, ROW)]
        for k in range(-(-plan.counts[part] // plan.sizes[part])):
            notes = read_notes(plan.folder, part, k)
            if notes is None:
                path = plan.folder / shard_name(part, k)
                raise DataError(f"{path}: shards must stay while the set is made, got none; run the command again")
            about = notes["about"]
            report.add(part, len(notes["rows"]), about)
            rows.append(notes["rows"])
            shards.append({"name": shard_name(part, k), "images": len(notes["rows"]), "bytes": about["bytes"], "sha256": about["sha256"]})
            if part == "train":
                sums.join(notes)
        tables[part] = np.concatenate(rows)
        parts[part] = {"images": len(tables[part]), "shards": shards}
    _require_classes(plan, tables, report)
    deviations, directions = sums.axes()
    axes = json.dumps({"deviations": deviations.tolist(), "directions": directions.tolist()}, indent=1) + "\n"
    files = {f"{part}.npy": _bytes_of(table) for part, table in tables.items()} | {MEAN: _bytes_of(sums.mean()), COLOR: axes.encode()}
    for name, data in files.items():
        write_bytes(plan.folder / name, data)
    document = report.document()
    write_json(plan.folder / REPORT, document)
    write_bytes(plan.folder / TEXT, text_of(document).encode("utf-8", "backslashreplace"))
    index: dict[str, Any] = {
        "format": FORMAT, "version": VERSION, "name": source.resolve().name.removesuffix(".tar"),
        "classes": [[name, words.get(name, name)] for name in plan.classes],
        "side": plan.side, "quality": QUALITY, "resize": asked["resize"], "asked": asked, "parts": parts,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }  # fmt: skip
    if source.is_dir() and (drawn := drawn_note(source)):
        index["synthetic"] = drawn
    index["fingerprint"] = fingerprint_of(index)
    write_json(plan.folder / INDEX, index)
    return index


def _require_classes(plan: Plan, tables: dict[str, Any], report: Report) -> None:
    """Refuse a set without pictures in a part, or with pictures of one class only; note classes that lost all their pictures."""
    for part, table in tables.items():
        there = np.unique(table["label"])
        if len(there) < (2 if part == "train" else 1):
            write_bytes(plan.folder / TEXT, text_of(report.document()).encode("utf-8", "backslashreplace"))
            rule = f"{plan.folder}: {part} must hold pictures of {'2 classes' if part == 'train' else '1 class'} at least"
            raise DataError(f"{rule}, got {len(there)}; report.txt says which pictures were left out")
        absent = np.setdiff1d(np.arange(len(plan.classes)), there)
        if len(absent):
            names = ", ".join(plan.classes[label] for label in absent[:5]) + (", ..." if len(absent) > 5 else "")
            count = f"{len(absent):,} class{'es' * (len(absent) != 1)}"
            report.notes.append(f"{count} without a picture in {part}: {names}")


def _bytes_of(array: np.ndarray[Any, Any]) -> bytes:
    """The file of an array."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()

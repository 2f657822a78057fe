"""The list of all pictures of SRC, in files: a list of ten million pictures does not fit into the memory that a preparation may use.

Order and split are functions of the pictures' names, through a hash. So they do not depend on the disk, on the kind of SRC (a tar or
its unpacked folder), or on the number of processes.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyalex.data.imagenet.originals import Original
from tinyalex.errors import DataError

RECORD = np.dtype([("offset", "<i8"), ("size", "<i8"), ("name", "<u8"), ("file", "<u4"), ("length", "<u2")])
PARTS = ("train", "val")
BUFFER = 4096  # records that are written together
STEPS = 10_000  # a share is counted in ten-thousandths, so that the split is arithmetic of integers

Indices = npt.NDArray[np.int64]


@dataclass
class Listing:
    """What SRC holds. The records themselves are in files of `folder`; any process opens them with `Reader`.

    Parameters
    ----------
    folder: of the files. classes: names of the classes, sorted; a label is a place among them.
    files: tars, and folders of plain files. aside: name and reason of each file that is no picture of the set.
    counts: pictures of each part. digest: a hash of all names, classes and sizes.
    """

    folder: Path
    classes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    aside: list[tuple[str, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""


def list_pictures(originals: Iterable[Original], folder: Path, *, who: str, share: float | None) -> Listing:
    """Write the list of all pictures to files of `folder`.

    Parameters
    ----------
    who: SRC, for messages. share: the part of the training pictures that becomes the validation part if `originals` has none; None
        takes the validation part as it is.

    Raises
    ------
    DataError: there are no pictures, one class only, classes that differ between the parts, or too few pictures for a split.
    """
    listing = Listing(folder)
    classes: dict[str, int] = {}
    files: dict[Path, int] = {}
    found: dict[str, set[int]] = {part: set() for part in PARTS}
    keys, numbers, val = array("Q"), array("i"), bytearray()  # 13 bytes a picture, all that is kept in memory
    digest, names, buffer = hashlib.sha256(), 0, []
    with open(folder / "records", "wb") as records, open(folder / "names", "wb") as texts:
        for one in originals:
            if one.aside:
                listing.aside.append((one.name, one.aside))
                continue
            name = one.name.encode("utf-8", "surrogateescape")
            digest.update(b"%s\0%s\0%s\0%d\n" % (one.part.encode(), one.klass.encode("utf-8", "surrogateescape"), name, one.size))
            number = classes.setdefault(one.klass, len(classes))
            found[one.part].add(number)
            keys.append(int.from_bytes(hashlib.sha256(name).digest()[:8]))
            numbers.append(number)
            val.append(one.part == "val")
            buffer.append((one.offset, one.size, names, files.setdefault(one.file, len(files)), len(name)))
            texts.write(name)
            names += len(name)
            if len(buffer) == BUFFER:
                np.array(buffer, RECORD).tofile(records)
                buffer.clear()
        np.array(buffer, RECORD).tofile(records)
    _check(who, list(classes), found, listing.aside)
    listing.classes, listing.files, listing.digest = tuple(sorted(classes)), tuple(files), digest.hexdigest()
    rank = np.empty(len(classes), np.int32)
    rank[[classes[name] for name in listing.classes]] = np.arange(len(classes))
    key, label, held = np.frombuffer(keys, np.uint64), rank[np.frombuffer(numbers, np.int32)], np.frombuffer(val, np.bool_)
    if not found["val"] and share is not None:
        held = _held_out(key, label, share, who)
    label.tofile(folder / "labels")
    for part in PARTS:
        chosen = np.flatnonzero(held == (part == "val"))
        order = chosen[np.argsort(key[chosen], kind="stable")]  # mixed, as readers that go through the shards in turn need it
        listing.counts[part] = len(order)
        order.tofile(folder / f"{part}.order")
    return listing


def _check(who: str, names: list[str], found: dict[str, set[int]], aside: list[tuple[str, str]]) -> None:
    """Refuse a set from which nothing can be learned."""
    if not names:
        loose = f"{len(aside):,} other file{'s' * (len(aside) != 1)}, such as {aside[0][0]}" if aside else "none"
        raise DataError(f"{who}: SRC must hold pictures in class folders or in tars, got {loose}; put each class into a folder of its own")
    if len(names) == 1:
        raise DataError(f"{who}: classes must be at least 2, got only {names[0]!r}; put each class into a folder of its own")
    if found["val"]:
        for other, part in (PARTS, PARTS[::-1]):
            absent = sorted(names[label] for label in found[other] - found[part])
            if absent:
                got = f"{absent[0]!r}" + (f" and {len(absent) - 1} more" if absent[1:] else "")
                remedy = f"add {'them' if absent[1:] else 'it'} to both parts or to none"
                raise DataError(f"{who}: classes of {part} must be those of {other}, got none for {got}; {remedy}")


def _held_out(key: npt.NDArray[np.uint64], label: npt.NDArray[np.int32], share: float, who: str) -> npt.NDArray[np.bool_]:
    """Which pictures become the validation part: this share of each class, rounded up or down so that the whole has it too.

    All pictures stand in a row, class after class, each class in the order of its keys. Of every 1 / share of them the last is taken.
    """
    steps = round(share * STEPS)
    count = len(key) * steps // STEPS
    if count in (0, len(key)):
        least = -(-STEPS // steps) if steps else 2
        rule = f"{who}: pictures must be at least {least} for a validation part of {share:.3g} of them, got {len(key):,}"
        raise DataError(rule, "take more pictures, or put the class folders into train and val")
    places = -(-np.arange(1, count + 1) * STEPS // steps) - 1
    held = np.zeros(len(key), np.bool_)
    held[np.lexsort((key, label))[places]] = True
    return held


class Reader:
    """Opens the files that `list_pictures` wrote, in any process."""

    def __init__(self, folder: Path) -> None:
        self.records = np.memmap(folder / "records", RECORD, "r")
        self.labels = np.memmap(folder / "labels", np.int32, "r")
        self.names = np.memmap(folder / "names", np.uint8, "r")
        self.orders = {part: _order_of(folder / f"{part}.order") for part in PARTS}

    def records_of(self, part: str, places: range) -> Iterator[tuple[str, int, int, int, int]]:
        """Name, label, file, offset and size of the pictures at places of a part's order."""
        chosen = self.orders[part][places.start : places.stop]
        rows = self.records[chosen][["name", "length", "file", "offset", "size"]].tolist()
        for (start, length, file, offset, size), label in zip(rows, self.labels[chosen].tolist(), strict=True):
            yield bytes(self.names[start : start + length]).decode("utf-8", "surrogateescape"), label, file, offset, size


def _order_of(path: Path) -> Indices:
    return np.memmap(path, np.int64, "r") if path.stat().st_size else np.empty(0, np.int64)  # an empty file cannot be mapped

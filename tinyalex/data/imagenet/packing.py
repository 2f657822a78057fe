"""Makes a shard: a tar in the WebDataset layout, and beside it what the whole set needs to know of it.

A picture is three files in the tar: KEY.jpg, KEY.cls with its label as text, and KEY.json with the name and the size that it had in SRC.
Times and owners are fixed, so the same pictures give the same bytes.

A shard is finished when its tar has its name. Its notes (rows of the table, sums, what was converted) are written before. So at any
kill a shard is either finished or made again as a whole.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.imagenet.listing import Reader
from tinyalex.data.imagenet.pictures import SIDE, LeftOut, encode, square
from tinyalex.data.imagenet.pool import Shared
from tinyalex.data.imagenet.statistics import Sums
from tinyalex.errors import DataError
from tinyalex.files.atomic import write_atomically, write_bytes

ROW = np.dtype([("label", "<i4"), ("shard", "<u4"), ("offset", "<u8"), ("size", "<u4")])
UNFINISHED = "unfinished"  # the folder of lists and notes, which is removed in the end
END = bytes(1024)  # two blocks of zeros end a tar
OVERHEAD = 3072  # bytes of headers and filling for a picture in a tar
BIG_FILE = 2**24  # bytes; larger files are read by one process at a time
BIGGEST_FILE = 2**26


@dataclass(frozen=True)
class Plan:
    """What every process must know to make a shard.

    Parameters
    ----------
    folder: DEST. files, classes: of the listing. counts: pictures of each part. sizes: pictures of a shard of each part.
    warp: whether pictures are squeezed to a square instead of cut. side: of the square.
    """

    folder: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...]
    counts: dict[str, int]
    sizes: dict[str, int]
    warp: bool
    side: int = SIDE

    def shards(self) -> list[tuple[str, int]]:
        """Part and number of every shard."""
        return [(part, k) for part, count in self.counts.items() for k in range(-(-count // self.sizes[part]))]

    def places(self, part: str, k: int) -> range:
        """The places of the shard's pictures in the order of the part."""
        return range(k * self.sizes[part], min((k + 1) * self.sizes[part], self.counts[part]))


def shard_name(part: str, k: int) -> str:
    """The name of a shard, such as train-00012.tar."""
    return f"{part}-{k:05d}.tar"


def notes_path(folder: Path, part: str, k: int) -> Path:
    """The file with the notes of a shard."""
    return folder / UNFINISHED / f"{part}-{k:05d}.npz"


def is_finished(folder: Path, part: str, k: int) -> bool:
    """Whether a shard is finished: its tar has the size that its notes say."""
    return _notes(folder, part, k, ("about",)) is not None


def read_notes(folder: Path, part: str, k: int) -> dict[str, Any] | None:
    """The notes of a finished shard: `rows`, `about` and for training the sums. None if the shard is not finished."""
    return _notes(folder, part, k, None)


def _notes(folder: Path, part: str, k: int, names: tuple[str, ...] | None) -> dict[str, Any] | None:
    """Some of the notes of a shard; None for all of them."""
    try:
        with open(notes_path(folder, part, k), "rb") as opened, np.load(opened) as file:
            notes = {name: file[name] for name in names or file.files}
        size = (folder / shard_name(part, k)).stat().st_size
        notes["about"] = json.loads(bytes(notes["about"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there, or damaged by a power failure
        return None
    return notes if size == notes["about"]["bytes"] else None


class Packer:
    """Makes shards in one process. Each process has its own, which opens files when they are needed."""

    def __init__(self, shared: Shared, plan: Plan) -> None:
        self.shared, self.plan = shared, plan
        self.reader = Reader(plan.folder / UNFINISHED)

    def __call__(self, task: tuple[str, int]) -> int:
        """Make the shard (part, k), and return how many pictures it took from SRC."""
        part, k = task
        sums, rows, at, digest = Sums(self.plan.side), [], 0, hashlib.sha256()
        pieces: list[bytes] = []
        report: dict[str, list[Any]] = {"converted": [], "left out": []}
        places = self.plan.places(part, k)
        for place, (name, label, *where) in zip(places, self.reader.records_of(part, places), strict=True):
            self.shared.check()
            try:
                data = self.read(name, *where)
                with self.shared.alone if len(data) > BIG_FILE else self.shared.together:
                    made = square(data, warp=self.plan.warp, side=self.plan.side, alone=self.shared.alone)
            except LeftOut as out:
                report["left out"].append((name, out.kind, out.detail))
                continue
            finally:
                self.shared.count()
            if made.kinds:
                report["converted"].append((name, made.kinds))
            jpeg = encode(made.image)
            about = {"name": name, "class": self.plan.classes[label], "width": made.width, "height": made.height}
            files = {"jpg": jpeg, "cls": str(label).encode(), "json": json.dumps(about).encode()}
            rows.append((label, k, at + tarfile.BLOCKSIZE, len(jpeg)))
            piece = b"".join(bit for ending, contents in files.items() for bit in _member(f"{place:08d}.{ending}", contents))
            pieces.append(piece)
            digest.update(piece)
            at += len(piece)
            if part == "train":
                sums.add(np.asarray(made.image))
        pieces.append(END)
        digest.update(END)
        about = {"bytes": at + len(END), "sha256": digest.hexdigest(), **report}
        self.write(part, k, pieces, np.array(rows, ROW), about, sums)
        return len(places)

    def trial(self, count: int) -> tuple[float, float]:
        """Seconds and bytes that one picture takes, measured on the first `count` of the training part."""
        began, places, nbytes = time.perf_counter(), range(min(count, self.plan.counts["train"])), 0
        for name, _, *where in self.reader.records_of("train", places):
            with contextlib.suppress(LeftOut):
                made = square(self.read(name, *where), warp=self.plan.warp, side=self.plan.side, alone=self.shared.alone)
                nbytes += len(encode(made.image)) + OVERHEAD
        return (time.perf_counter() - began) / len(places), nbytes / len(places)

    def read(self, name: str, file: int, offset: int, size: int) -> bytes:
        """The bytes of a picture of SRC. DataError: SRC is no longer as it was listed."""
        path = self.plan.files[file]
        path = path / name if offset < 0 else path
        if size > BIGGEST_FILE:
            raise LeftOut("too large", f"{size:,} bytes")
        try:
            with open(path, "rb") as opened:
                opened.seek(max(0, offset))
                data = opened.read(size)
        except PermissionError as error:
            raise LeftOut("unreadable", str(error.strerror)) from None
        except OSError as error:
            if size == 0:  # a link that leads nowhere
                raise LeftOut("unreadable", str(error.strerror)) from None
            raise DataError(f"{path}: SRC must stay as it is while shards are made, got {error.strerror}; run it again") from None
        if len(data) != size:
            raise DataError(f"{path}: SRC must stay as it is while shards are made, got {len(data):,} of {size:,} bytes; run it again")
        return data

    def write(self, part: str, k: int, pieces: list[bytes], rows: npt.NDArray[np.void], about: dict[str, Any], sums: Sums) -> None:
        """Write the notes, then the tar."""
        notes: dict[str, npt.NDArray[Any]] = {"rows": rows, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        if part == "train":
            notes |= sums.state()
        file = io.BytesIO()
        np.savez(file, **notes)  # type: ignore[arg-type]
        write_bytes(notes_path(self.plan.folder, part, k), file.getbuffer())
        write_atomically(self.plan.folder / shard_name(part, k), pieces, about["bytes"])


@functools.cache
def _blank() -> bytes:
    """The header of a plain file without name and size: 8 spaces stand where the checksum will be."""
    info = tarfile.TarInfo("")
    info.mode = 0o644
    header = info.tobuf(tarfile.USTAR_FORMAT)
    return header[:148] + b" " * 8 + header[156:]


def _member(name: str, contents: bytes) -> Iterator[bytes]:
    """A file of a tar: header, contents, and zeros up to the next block. `tarfile` needs five times as long for the same header."""
    header = bytearray(_blank())
    header[: len(name)] = name.encode("ascii")
    header[124:135] = b"%011o" % len(contents)
    header[148:155] = b"%06o\0" % sum(header)
    yield bytes(header)
    yield contents
    yield bytes(-len(contents) % tarfile.BLOCKSIZE)

"""A folder of class folders as a set to train on, in place: pictures are read, resized and cut when they are needed.

That saves the second copy of a prepared set, and costs the decoding of the whole picture at each use. It is for small folders.

Before training every picture is decoded once: to find files that are no pictures, and for the mean image and the colors. What was found
is kept in the cache folder, under a hash of all names and sizes, so the next run of the same folder starts at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyalex.data.dataset import Sources
from tinyalex.data.export import drawn_note
from tinyalex.data.imagenet.listing import PARTS, Listing, Reader, list_pictures
from tinyalex.data.imagenet.originals import find_originals
from tinyalex.data.imagenet.pictures import SIDE, LeftOut, Square, convert, quiet, require_side, square
from tinyalex.data.imagenet.shards import class_names, folder_names
from tinyalex.data.imagenet.statistics import Sums
from tinyalex.data.source import Images, Labels
from tinyalex.errors import DataError, TinyalexError
from tinyalex.files.atomic import make_folder, write_bytes

THREADS = 4
AT_ONCE = 64  # pictures that threads decode between two sums
NAMED = 3  # files that the note names


class FolderSource:
    """Picture files as one part of a set. `read` decodes, resizes and cuts them; `warp` squeezes instead of cutting.

    Parameters
    ----------
    paths: of the picture files. labels: integers, one for each. fingerprint: 16 hex digits. side: height and width of an image.
    """

    def __init__(self, paths: list[Path], labels: Labels, fingerprint: str, warp: bool = False, side: int = SIDE) -> None:
        self.image_shape: tuple[int, int, int] = (3, side, side)
        self.paths, self.labels, self.warp = paths, labels, warp
        self._fingerprint = fingerprint

    def __len__(self) -> int:
        return len(self.paths)

    def fingerprint(self) -> str:
        """16 hex digits of the names and sizes of all files."""
        return self._fingerprint

    def read(self, indices: Any) -> Images:
        """The images with these indices: uint8 (len(indices), 3, side, side).

        Raises
        ------
        DataError: a file is gone, or no longer a picture. The message names it.
        """
        chosen = np.arange(len(self))[indices]
        out = np.empty((len(chosen), *self.image_shape), np.uint8)
        for image, k in zip(out, chosen, strict=True):
            path = self.paths[k]
            try:
                image[...] = np.asarray(square(path.read_bytes(), warp=self.warp, side=self.image_shape[1]).image).transpose(2, 0, 1)
            except LeftOut as out_of:
                got = " ".join(filter(None, (out_of.kind, out_of.detail)))
                raise DataError(f"{path}: the file must be a picture, as it was before, got {got}; remove it and start again") from None
            except OSError as error:
                raise DataError(f"{path}: the file must be there, as it was before, got {error.strerror}; put it back") from None
        return out


def open_folder(
    folder: Path | str,
    *,
    share: float | None = None,
    warp: bool = False,
    side: int = SIDE,
    progress: Callable[[int, int], object] | None = None,
) -> Sources:
    """Open a folder of class folders, or one with `train` and `val` below it, without making a copy.

    Parameters
    ----------
    share: of the pictures, for a validation part where there is no folder `val`; None takes a tenth. The choice is a function of the names.
    warp: squeeze pictures to squares instead of cutting the center. side: of the squares, a multiple of 32 from 32 to 1024.
    progress: called with the pictures that were looked at, and all.

    Raises
    ------
    DataError: there are no pictures, an empty class folder, one class only, or too few pictures for a validation part.
    """
    folder, side = Path(folder).expanduser(), require_side(side)
    if not folder.is_dir():
        raise DataError(f"{folder}: the folder must be one with a folder for each class, got nothing of that kind; correct the name")
    originals = find_originals(folder)
    with tempfile.TemporaryDirectory(prefix="tinyalex-") as temporary:
        listing = list_pictures(originals, Path(temporary), who=str(folder), share=0.1 if share is None else share)
        parts = _files(listing, Reader(Path(temporary)))
    digest = hashlib.sha256(f"{listing.digest} {share} {warp}{'' if side == SIDE else f' {side}'}".encode()).hexdigest()
    found = _known(digest, side) or _look(parts, warp, side, progress, digest)
    sources, others = {}, dict(listing.aside)
    out: dict[str, str] = {}
    for part, (paths, names, labels) in parts.items():
        keep = [k for k, name in enumerate(names) if name not in found.out]
        out |= {name: found.out[name] for name in names if name in found.out}
        if len(np.unique(labels[keep])) < (2 if part == "train" else 1):
            rule = f"{folder}: {part} must hold pictures of {'2 classes' if part == 'train' else '1 class'} at least"
            raise DataError(f"{rule}, got {len(keep)} pictures{_named(out | others)}; replace them")
        mark = hashlib.sha256(f"{digest} {part}".encode()).hexdigest()[:16]
        sources[part] = FolderSource([paths[k] for k in keep], labels[keep], mark, warp, side)
    drawn = drawn_note(folder)
    note = f"{drawn}{', ' if drawn else ''}pictures in place, {'warp' if warp else 'crop'} to {side}{_named(out)}"
    words = [[name, originals.words.get(name, name)] for name in listing.classes]
    parts_of_set = sources["train"], sources["val"]
    sums, aside = found.sums, _named(others)
    name, classes, own = folder.resolve().name, class_names(words), folder_names(words)
    return Sources(name, *parts_of_set, classes, note, bool(drawn), sums.mean, sums.axes, aside=aside, folders=own)


_Files = tuple[list[Path], list[str], Labels]


def _files(listing: Listing, reader: Reader) -> dict[str, _Files]:
    """Paths, names and labels of each part. DataError: a picture lies in a tar."""
    parts = {}
    for part in PARTS:
        records = list(reader.records_of(part, range(listing.counts[part])))
        for name, _, file, offset, _ in records:
            if offset >= 0:
                got = f"{name} in the tar {listing.files[file].name}"
                raise DataError(f"{listing.files[file]}: pictures must be plain files, got {got}; run `tinyalex data imagenet` first")
        names = [record[0] for record in records]
        paths = [listing.files[record[2]] / record[0] for record in records]
        parts[part] = (paths, names, np.array([record[1] for record in records], np.int64))
    return parts


class _Found:
    """What a look at all pictures found: the sums of the training part, and name and reason of each file that is left out."""

    def __init__(self, sums: Sums, out: dict[str, str]) -> None:
        self.sums, self.out = sums, out


def _look(parts: dict[str, _Files], warp: bool, side: int, progress: Callable[[int, int], object] | None, digest: str) -> _Found:
    """Decode every picture once, with threads: Pillow's decoders and filters let other threads run."""
    found, alone = _Found(Sums(side), {}), threading.RLock()
    total, done = sum(len(names) for _, names, _ in parts.values()), 0

    def look(path: Path) -> Square | LeftOut:
        try:
            return convert(path.read_bytes(), warp=warp, side=side, alone=alone)
        except LeftOut as out:
            return out
        except OSError as error:
            return LeftOut("unreadable", error.strerror or "")

    with quiet(), ThreadPoolExecutor(THREADS) as threads:
        for part, (paths, names, _) in parts.items():
            for start in range(0, len(paths), AT_ONCE):
                chosen = slice(start, start + AT_ONCE)
                for name, made in zip(names[chosen], threads.map(look, paths[chosen]), strict=True):
                    if isinstance(made, LeftOut):
                        found.out[name] = made.kind
                    elif part == "train":
                        found.sums.add(np.asarray(made.image))
                done += len(names[chosen])
                if progress is not None:
                    progress(done, total)
    with contextlib.suppress(TinyalexError):  # no room, or a home that nobody may write to
        _keep(found, digest)
    return found


def _cache(digest: str) -> Path:
    from tinyalex.data.find import default_data_folder  # here, because that module opens folders with this one

    return default_data_folder() / "folders" / f"{digest[:32]}.npz"


def _keep(found: _Found, digest: str) -> None:
    out: npt.NDArray[np.uint8] = np.frombuffer(json.dumps(found.out).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, out=out, **found.sums.state())  # type: ignore[arg-type]
    make_folder(_cache(digest).parent)
    write_bytes(_cache(digest), file.getbuffer())


def _known(digest: str, side: int) -> _Found | None:
    """What an earlier look found; None if there was none."""
    found = _Found(Sums(side), {})
    try:
        with np.load(io.BytesIO(_cache(digest).read_bytes())) as state:
            found.sums.join(dict(state))
            found.out = json.loads(bytes(state["out"]))
    except Exception:  # not there, or damaged in any way: look again
        return None
    return found


def _named(out: dict[str, str]) -> str:
    """The files that were left out, as the end of a note."""
    if not out:
        return ""
    few = ", ".join(f"{name} ({kind})" for name, kind in list(out.items())[:NAMED])
    return f", {len(out)} file{'s' * (len(out) > 1)} left out: {few}{', ...' if len(out) > NAMED else ''}"

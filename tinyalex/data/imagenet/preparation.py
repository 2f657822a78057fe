"""`prepare`: from the pictures of SRC to the files of DEST, by several processes, resumable at any moment.

DEST while it is made: `unfinished/plan.json` says of which pictures and with which options; `unfinished/` also holds the list of the
pictures and the notes of the finished shards; the shards lie in DEST. In the end the notes become the tables, the mean image, the axes
of the colors, the report and, last of all, the index. A folder without an index is not a set.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyalex.data.imagenet.finishing import REPORT, finish
from tinyalex.data.imagenet.listing import PARTS, list_pictures
from tinyalex.data.imagenet.originals import find_originals
from tinyalex.data.imagenet.packing import UNFINISHED, Packer, Plan, is_finished, read_notes, shard_name
from tinyalex.data.imagenet.pictures import SHRINK, SIDE, require_side
from tinyalex.data.imagenet.pool import Shared, share
from tinyalex.data.imagenet.shards import INDEX, read_index
from tinyalex.errors import CheckpointError, DataError, DiskFull, require_bool, require_choice, require_float, require_int
from tinyalex.files.atomic import alone_in, free_bytes, make_folder, remove_strays, write_json

HELD_OUT = 0.1  # share of the pictures for validation, where SRC has no such part
SPLITS = {"half": 0.5}
MOST_IN_SHARD, LEAST_IN_SHARD, SHARDS = 1000, 50, 64  # a small set has 64 shards, so that all processes have work
SURE = 0.8  # of the estimated bytes: with fewer free ones the disk is too small even if the estimate is too large
TRIAL = 8  # pictures from which time and bytes are estimated
PLAN = "plan.json"
WAIT_S = 3.0  # for processes of a run that was killed, which end by themselves within a moment

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Expected:
    """What is left to do: pictures, shards, seconds (estimated from a few pictures), and bytes on DEST's disk (estimated too)."""

    pictures: int
    shards: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Prepared:
    """What `prepare` returns: DEST, its index, the report, and how many shards this call made."""

    folder: Path
    index: dict[str, Any]
    report: dict[str, Any]
    made: int


def prepare(
    source: Path | str,
    dest: Path | str,
    *,
    val: Path | str | None = None,
    devkit: Path | str | None = None,
    split: float | str | None = None,
    warp: bool = False,
    side: int = SIDE,
    processes: int = 1,
    progress: Progress | None = None,
    expect: Callable[[Expected], object] | None = None,
    images_a_shard: int | None = None,
    method: str = "spawn",
) -> Prepared:
    """Make a set to train on from the pictures of SRC (paper section 2). A call that was stopped is continued by the same call.

    Parameters
    ----------
    source: SRC, see `tinyalex/data/imagenet/originals.py`. dest: a new folder, or one that this function began.
    val, devkit: the validation part and the development kit, where they are not found in SRC.
    split: "half" or 0.5 is the protocol for 10,184 classes (paper section 6): half of the pictures of each class are for
        training. Another number is the share of the validation part. None: SRC's own validation part, else a tenth.
    warp: squeeze pictures to squares as Caffe does, instead of cutting the center. side: of the squares, a multiple of 32.
    processes: 1 or more. The result does not depend on it.
    progress: called with the number of pictures that are done and the number of all.
    expect: called once before the work.
    images_a_shard: None chooses by the size of the set. method: how processes are started, see `tinyalex/data/imagenet/pool.py`.

    Raises
    ------
    DataError: SRC or DEST is not as it must be. The message says what to change.
    DiskFull: DEST's disk is full. Make room and call again.
    OutOfMemory: a process was killed.
    """
    source, dest = Path(source).expanduser(), Path(dest).expanduser()
    warp, side = require_bool("prepare", "warp", warp), require_side(side)
    own = _share(split)
    processes = require_int("prepare", "processes", processes)
    if images_a_shard is not None:
        images_a_shard = require_int("prepare", "images_a_shard", images_a_shard)
    require_choice("prepare", "method", method, ("spawn", "fork", "forkserver"))
    originals = find_originals(source, *(None if place is None else Path(place).expanduser() for place in (val, devkit)))
    if own is not None and originals.val is not None:
        rule = "prepare: split must be None where there is a validation part"
        raise DataError(f"{rule}, got {split!r} and {originals.val}; leave one of them out")
    _require_apart(source, dest)
    with _alone(dest):
        _require_ours(dest)
        remove_strays(dest)
        make_folder(dest / UNFINISHED)
        remove_strays(dest / UNFINISHED)
        with _tidy(dest):
            listing = list_pictures(originals, dest / UNFINISHED, who=str(source), share=HELD_OUT if own is None else own)
        sizes = {part: images_a_shard or _size(listing.counts[part]) for part in PARTS}
        plan = Plan(dest, listing.files, listing.classes, listing.counts, sizes, warp, side)
        asked = {
            "source": listing.digest[:16],
            "resize": "warp" if warp else "crop",
            "side": side,
            "shrink": SHRINK.name,
            "split": own,
            "images a shard": sizes,
        }
        with _tidy(dest):
            index = _begun(dest, asked)
        if index is None:
            left = [task for task in plan.shards() if not is_finished(dest, *task)]
        else:  # a finished set, of which shards may have been lost
            left = [task for task in plan.shards() if not _whole(dest, index, *task)]
        if left:
            _work(plan, left, processes, method, progress, expect)
        if index is None:
            index = finish(plan, listing, source, asked, originals.words)
        for task in left:
            _require_same(dest, index, *task)
        shutil.rmtree(dest / UNFINISHED)
        return Prepared(dest, index, _read(dest / REPORT), len(left))


def _share(split: float | str | None) -> float | None:
    if split is None:
        return None
    if isinstance(split, str) and split in SPLITS:
        return SPLITS[split]
    return require_float("prepare", "split", split, "half, or a share above 0 and below 1", lambda value: 0 < value < 1)


def _size(count: int) -> int:
    """Pictures of a shard, where a part has so many."""
    return min(MOST_IN_SHARD, max(LEAST_IN_SHARD, count // SHARDS))


def _require_apart(source: Path, dest: Path) -> None:
    """DEST must not lie in SRC, where it would be taken for a class."""
    real, target = (Path(os.path.realpath(path)) for path in (source, dest))
    if source.is_dir() and (real == target or real in target.parents):
        raise DataError(f"{dest}: DEST must lie outside of SRC, got a folder in {source}; choose another place")
    if dest.exists() and not dest.is_dir():
        raise DataError(f"{dest}: DEST must be a folder, got a file; choose another place")


def _require_ours(dest: Path) -> None:
    """DEST must be empty or begun by `prepare`, so that no files of the user mix with the set's."""
    names = {path.name for path in dest.iterdir()}
    if names and INDEX not in names and UNFINISHED not in names:
        got = f"{len(names)} other files such as {min(names)}"
        raise DataError(f"{dest}: DEST must be a new folder or a prepared set, got {got}; choose another place")


@contextlib.contextmanager
def _tidy(dest: Path) -> Iterator[None]:
    """If the block refuses SRC or DEST, leave nothing of this call behind; what an unfinished set needs stays."""
    try:
        yield
    except DataError:
        if not (dest / UNFINISHED / PLAN).exists() or (dest / INDEX).exists():
            shutil.rmtree(dest / UNFINISHED)
            with contextlib.suppress(OSError):  # DEST is a set
                dest.rmdir()
        raise


@contextlib.contextmanager
def _alone(dest: Path) -> Iterator[None]:
    """Lock DEST. The processes of a run that was just killed may hold the lock for a moment."""
    give_up = time.monotonic() + WAIT_S
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(alone_in(dest))
                break
            except CheckpointError as error:
                if "got a second" not in str(error):
                    raise DataError(str(error)) from None
                if time.monotonic() > give_up:
                    raise DataError(f"{dest}: runs that prepare it must be one, got a second", error.remedy) from None
            time.sleep(0.1)
        yield


def _begun(dest: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The index of DEST; None if the set is not finished. DataError: DEST holds another set, or one of other options."""
    plan = dest / UNFINISHED / PLAN
    index = read_index(dest) if (dest / INDEX).is_file() else None
    if index is not None:
        known = index["asked"]
    elif plan.is_file():
        known = _read(plan)
    else:
        write_json(plan, asked)
        return None
    if known != asked:
        differs = [key for key in asked if known.get(key) != asked[key]]
        if differs[0] == "source":
            raise DataError(f"{dest}: DEST must hold shards of the same pictures, got those of another set; choose another DEST")
        got = f"{differs[0]} {known.get(differs[0])} instead of {asked[differs[0]]}"
        raise DataError(f"{dest}: DEST must hold shards made with the same options, got {got}; choose another DEST")
    return index


def _shard(index: dict[str, Any], part: str, k: int) -> dict[str, Any]:
    """What the index says of a shard."""
    shard: dict[str, Any] = index["parts"][part]["shards"][k]
    return shard


def _whole(dest: Path, index: dict[str, Any], part: str, k: int) -> bool:
    """Whether a shard of a finished set is there and has its size."""
    path = dest / shard_name(part, k)
    return path.is_file() and path.stat().st_size == _shard(index, part, k)["bytes"]


def _require_same(dest: Path, index: dict[str, Any], part: str, k: int) -> None:
    """A shard that was made again must have the checksum of the index: another version of Pillow may encode JPEG in other bytes."""
    notes = read_notes(dest, part, k)
    if notes is None or notes["about"]["sha256"] != _shard(index, part, k)["sha256"]:
        rule = f"{dest / shard_name(part, k)}: a shard that is made again must have the bytes of the first one"
        raise DataError(rule + ", got others, as another version of Pillow makes; prepare the whole set again")


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def _work(
    plan: Plan,
    left: list[tuple[str, int]],
    processes: int,
    method: str,
    progress: Progress | None,
    expect: Callable[[Expected], object] | None,
) -> None:
    """Make the shards that are left."""
    total = sum(plan.counts.values())
    todo = sum(len(plan.places(*task)) for task in left)
    seconds, nbytes = Packer(Shared(lambda done: None), plan).trial(TRIAL)
    needed, free = int(nbytes * todo), free_bytes(plan.folder)
    if expect is not None:
        expect(Expected(todo, len(left), seconds * todo / processes, needed))
    if free < SURE * needed:
        rule = f"{plan.folder}: the disk must have about {needed:,} bytes free, got {free:,}"
        raise DiskFull(rule, "make room and run the same command again")

    def tick(done: int) -> None:
        if progress is not None:
            progress(total - todo + done, total)

    tick(0)
    for _ in share(left, Packer, plan, processes=processes, tick=tick, method=method):
        pass
    tick(todo)
